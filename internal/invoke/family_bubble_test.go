package invoke_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/invoke"
)

// house is algorithms by name, which may call each other through the Service as
// replicas do: by their ticket.
type house struct {
	svc  *invoke.Service
	algs map[string]func(ctx context.Context, in stoa.Value, t invoke.Ticket) stoa.Result
	took time.Duration // limit of each version; 0: none
}

func newHouse() *house {
	h := &house{algs: map[string]func(context.Context, stoa.Value, invoke.Ticket) stoa.Result{}}
	h.svc = invoke.New(h, h)
	return h
}

func (h *house) Target(_ context.Context, _ stoa.Caller, ref stoa.Ref) (*invoke.Target, error) {
	run := h.algs[ref.Name]
	if run == nil {
		return nil, stoa.Errorf(stoa.NotFound, "no %s", ref)
	}
	return &invoke.Target{Ref: ref, Code: true, Run: run, Timeout: h.took}, nil
}

func (h *house) Record(*stoa.Call, stoa.Ref, *stoa.Result, time.Duration) {}

// child makes a call for a ticket.
func (h *house) child(ctx context.Context, t invoke.Ticket, name string, timeout time.Duration) stoa.Result {
	who, id, ok := h.svc.Child(t.Token)
	if !ok {
		return stoa.Result{Err: errors.New("no such call")}
	}
	return h.svc.Invoke(ctx, stoa.Call{ID: id, Caller: who, Ref: stoa.Ref{Owner: "ann", Name: name}, Timeout: timeout})
}

func (h *house) call(ctx context.Context, name string, timeout time.Duration) stoa.Result {
	return h.svc.Invoke(ctx, stoa.Call{ID: "r", Caller: stoa.Caller{Account: "bob", Admin: true}, Ref: stoa.Ref{Owner: "ann", Name: name}, Timeout: timeout})
}

func TestAChildIsCalledForTheCallerWithoutHisPowers(t *testing.T) {
	h := newHouse()
	h.algs["a"] = func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
		who, id, ok := h.svc.Child(k.Token)
		if !ok || who.Account != "bob" || who.Admin || who.Parent != k.Token || id != "r.1" || len(k.Token) != 28 || !strings.HasPrefix(k.Token, "sim") {
			t.Errorf("%+v, %q, %v, token %q", who, id, ok, k.Token)
		}
		return h.child(ctx, k, "b", 0)
	}
	h.algs["b"] = func(_ context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
		return stoa.Result{Value: stoa.Value{Type: stoa.Text, Data: []byte(k.Request)}}
	}
	if res := h.call(t.Context(), "a", 0); res.Err != nil || string(res.Value.Data) != "r.2" {
		t.Errorf("%q, %v", res.Value.Data, res.Err)
	}
	if _, _, ok := h.svc.Child("simNothing"); ok {
		t.Error("a token of no call is known")
	}
}

func TestATokenEndsWithItsCall(t *testing.T) {
	h := newHouse()
	var late invoke.Ticket
	h.algs["a"] = func(_ context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
		late = k
		return stoa.Result{}
	}
	h.call(t.Context(), "a", 0)
	if _, _, ok := h.svc.Child(late.Token); ok {
		t.Error("the token is known after its call")
	}
	res := h.svc.Invoke(t.Context(), stoa.Call{Caller: stoa.Caller{Account: "bob", Parent: late.Token}, Ref: stoa.Ref{Owner: "ann", Name: "a"}})
	if stoa.KindOf(res.Err) != stoa.Canceled {
		t.Errorf("%v", res.Err)
	}
}

func TestACycleIsNamed(t *testing.T) {
	h := newHouse()
	next := map[string]string{"a": "b", "b": "C", "C": "A"}
	run := func(name string) func(context.Context, stoa.Value, invoke.Ticket) stoa.Result {
		return func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
			return h.child(ctx, k, next[name], 0)
		}
	}
	for name := range next {
		h.algs[name] = run(name)
	}
	h.algs["A"] = h.algs["a"]
	e := stoa.AsError(h.call(t.Context(), "a", 0).Err)
	if e.Kind != stoa.Invalid || e.Type != "TooManyCallsError" || !strings.Contains(e.Msg, "ann/a calls ann/b calls ann/c calls ann/a") {
		t.Errorf("%+v", e)
	}
}

func TestDepthAndWidthAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		for i := range 20 {
			h.algs[fmt.Sprint("d", i)] = func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
				return h.child(ctx, k, fmt.Sprint("d", i+1), 0)
			}
		}
		if e := stoa.AsError(h.call(t.Context(), "d0", 0).Err); e.Type != "TooManyCallsError" || !strings.Contains(e.Msg, "10 deep") {
			t.Errorf("depth: %+v", e)
		}
		open := make(chan struct{})
		h.algs["leaf"] = func(context.Context, stoa.Value, invoke.Ticket) stoa.Result { <-open; return stoa.Result{} }
		h.algs["wide"] = func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
			for range invoke.MaxAtOnce {
				go h.child(ctx, k, "leaf", 0)
			}
			synctest.Wait()
			res := h.child(ctx, k, "leaf", 0)
			close(open)
			return res
		}
		if e := stoa.AsError(h.call(t.Context(), "wide", 0).Err); e.Type != "TooManyCallsError" || !strings.Contains(e.Msg, "24 calls under way") {
			t.Errorf("width: %+v", e)
		}
		synctest.Wait()
		h.algs["leaf"] = func(context.Context, stoa.Value, invoke.Ticket) stoa.Result { return stoa.Result{} }
		h.algs["many"] = func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
			for range invoke.MaxChildren {
				if res := h.child(ctx, k, "leaf", 0); res.Err != nil {
					return stoa.Result{Err: errors.New("too early")}
				}
			}
			return h.child(ctx, k, "leaf", 0)
		}
		if e := stoa.AsError(h.call(t.Context(), "many", 0).Err); e.Type != "TooManyCallsError" || !strings.Contains(e.Msg, "made 1000 calls") {
			t.Errorf("number: %+v", e)
		}
	})
}

func TestAChildsDeadlineIsTheSmaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.algs["slow"] = func(ctx context.Context, _ stoa.Value, _ invoke.Ticket) stoa.Result {
			<-ctx.Done()
			return stoa.Result{Err: ctx.Err()}
		}
		var own time.Duration
		h.algs["a"] = func(ctx context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
			time.Sleep(2 * time.Second)
			return h.child(context.Background(), k, "slow", own) // a connection of its own
		}
		for _, tc := range []struct {
			own, want time.Duration
			words     string
		}{{time.Second, 3 * time.Second, "within 1.0 seconds"}, {time.Minute, 10 * time.Second, "within 8.0 seconds"}, {0, 10 * time.Second, "within 8.0 seconds"}} {
			own = tc.own
			start := time.Now()
			res := h.call(t.Context(), "a", 10*time.Second)
			if e := stoa.AsError(res.Err); e.Kind != stoa.Timeout || !strings.Contains(e.Msg, tc.words) || time.Since(start) != tc.want {
				t.Errorf("own %v: %+v after %v", tc.own, e, time.Since(start))
			}
		}
	})
}

func TestACancelledParentCancelsItsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		ended := make(chan error, 1)
		h.algs["slow"] = func(ctx context.Context, _ stoa.Value, _ invoke.Ticket) stoa.Result {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return stoa.Result{Err: ctx.Err()}
		}
		h.algs["a"] = func(_ context.Context, _ stoa.Value, k invoke.Ticket) stoa.Result {
			return h.child(context.Background(), k, "slow", 0)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go h.call(ctx, "a", 0)
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
	})
}
