package ort

import (
	"errors"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestWantOfMemoryIsNamed(t *testing.T) {
	for text, kind := range map[string]stoa.Kind{
		"BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 36": stoa.TooLarge,
		"std::bad_alloc":             stoa.TooLarge,
		"Tile node. Name:'t1' fails": stoa.Failed,
	} {
		e := stoa.AsError(failed(stoa.Failed, errors.New(text), "the network failed"))
		if e.Kind != kind || !strings.HasPrefix(e.Msg, "the network failed: ") || kind == stoa.TooLarge && !strings.Contains(e.Msg, "more memory than") {
			t.Errorf("%q: %s, %q", text, e.Kind, e.Msg)
		}
	}
}
