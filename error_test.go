package stoa_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestAsError(t *testing.T) {
	own := stoa.Errorf(stoa.Busy, "wait")
	for name, c := range map[string]struct {
		in   error
		kind stoa.Kind
		msg  string
	}{
		"own":      {own, stoa.Busy, "wait"},
		"wrapped":  {fmt.Errorf("calling: %w", own), stoa.Busy, "wait"},
		"deadline": {fmt.Errorf("x: %w", context.DeadlineExceeded), stoa.Timeout, "the deadline passed"},
		"canceled": {context.Canceled, stoa.Canceled, "the call was cancelled"},
		"other":    {errors.New("password is 123"), stoa.Internal, "internal error"},
	} {
		e := stoa.AsError(c.in)
		if e.Kind != c.kind || e.Msg != c.msg || stoa.KindOf(c.in) != c.kind {
			t.Errorf("%s: %s %q", name, e.Kind, e.Msg)
		}
		if !errors.Is(e, c.in) && name != "wrapped" {
			t.Errorf("%s: the cause is gone", name)
		}
	}
	if stoa.AsError(nil) != nil {
		t.Error("nil does not stay nil")
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("disk on fire")
	e := stoa.Wrap(stoa.NoRoom, cause, "%d bytes did not fit", 7)
	e.Op = "push"
	if got, want := e.Error(), "push: 7 bytes did not fit: disk on fire"; got != want {
		t.Errorf("%q", got)
	}
	if !errors.Is(e, cause) {
		t.Error("the cause is gone")
	}
	if got := (&stoa.Error{Kind: stoa.NotFound}).Error(); got != "not_found" {
		t.Errorf("without a message: %q", got)
	}
	b, err := json.Marshal(e)
	if err != nil || string(b) != `{"kind":"no_room","op":"push","msg":"7 bytes did not fit"}` {
		t.Errorf("%s, %v: the cause is never sent", b, err)
	}
}

func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := stoa.Internal; k <= stoa.Unavailable; k++ {
		b, _ := k.MarshalText()
		var back stoa.Kind
		if err := back.UnmarshalText(b); err != nil || back != k || seen[string(b)] {
			t.Errorf("%d is %q, which is %d", k, b, back)
		}
		seen[string(b)] = true
	}
	k := stoa.Busy
	if err := k.UnmarshalText([]byte("strange")); err != nil || k != stoa.Internal {
		t.Errorf("an unknown name gives %s, %v", k, err)
	}
	if stoa.Kind(99).String() != "internal" {
		t.Error("an unknown kind has a name")
	}
}
