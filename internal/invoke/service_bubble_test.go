package invoke_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/invoke"
)

type fake struct {
	target   *invoke.Target
	err      error
	recorded []stoa.Ref
}

func (f *fake) Target(context.Context, stoa.Caller, stoa.Ref) (*invoke.Target, error) {
	return f.target, f.err
}

func (f *fake) Record(_ *stoa.Call, ref stoa.Ref, _ *stoa.Result, _ time.Duration) {
	f.recorded = append(f.recorded, ref)
}

func ref(t *testing.T, s string) stoa.Ref {
	t.Helper()
	r, err := stoa.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInvokeAnswersAndRecords(t *testing.T) {
	f := &fake{target: &invoke.Target{Ref: ref(t, "ann/net/1.0.0"), Run: func(_ context.Context, in stoa.Value, _ invoke.Ticket) stoa.Result {
		return stoa.Result{Value: in}
	}}}
	s := invoke.New(f, f)
	res := s.Invoke(t.Context(), stoa.Call{Ref: ref(t, "Ann/Net"), Input: stoa.Value{Data: []byte("x")}})
	if res.Err != nil || string(res.Value.Data) != "x" || f.recorded[0].String() != "ann/net/1.0.0" {
		t.Errorf("%+v, recorded %v", res, f.recorded)
	}
	f.err = stoa.Errorf(stoa.NotFound, "no")
	if res := s.Invoke(t.Context(), stoa.Call{Ref: ref(t, "a/b")}); stoa.KindOf(res.Err) != stoa.NotFound || len(f.recorded) != 2 {
		t.Errorf("%+v, recorded %v", res, f.recorded)
	}
}

func TestADeadlineIsToldInAlgorithmiasWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{target: &invoke.Target{Ref: ref(t, "ann/net/1.0.0"), Timeout: 2 * time.Second, Run: func(ctx context.Context, _ stoa.Value, _ invoke.Ticket) stoa.Result {
			<-ctx.Done()
			return stoa.Result{Err: ctx.Err()}
		}}}
		start := time.Now()
		res := invoke.New(f, f).Invoke(t.Context(), stoa.Call{Timeout: time.Minute})
		e := stoa.AsError(res.Err)
		if e.Kind != stoa.Timeout || e.Ref != "ann/net/1.0.0" || !strings.HasPrefix(e.Msg, "algorithm did not complete within 2.0 seconds") {
			t.Errorf("%+v", e)
		}
		if time.Since(start) != 2*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
	})
}

func TestLimit(t *testing.T) {
	for _, tc := range []struct{ asked, version, want time.Duration }{
		{0, 0, invoke.DefaultTimeout},
		{time.Second, 0, time.Second},
		{0, time.Second, time.Second},
		{time.Hour, 0, invoke.MaxTimeout},
		{time.Second, time.Minute, time.Second},
	} {
		if got := invoke.Limit(tc.asked, tc.version); got != tc.want {
			t.Errorf("asked %v, version %v: %v, want %v", tc.asked, tc.version, got, tc.want)
		}
	}
}
