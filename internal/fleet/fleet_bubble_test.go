package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

func TestOneWorkerIsStartedAndHoldsManyModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo}
		f := newFleet(t, fleet.Config{Driver: d})
		for _, id := range []string{"a", "b", "a", "b"} {
			res := f.Dispatch(t.Context(), work(id, "hi "+id))
			if res.Err != nil || string(res.Value.Data) != "hi "+id || res.Usage.Attempts != 1 {
				t.Fatalf("%s: %q, %v, %+v", id, res.Value.Data, res.Err, res.Usage)
			}
		}
		s := f.Status()
		if d.count() != 1 || len(s) != 1 || len(s[0].Models) != 2 || s[0].Running != 0 {
			t.Errorf("%d starts, status %+v", d.count(), s)
		}
		if err := f.Unload(t.Context(), "ann", "a"); err != nil {
			t.Error(err)
		}
		if s := f.Status(); len(s[0].Models) != 1 {
			t.Errorf("after unload: %+v", s)
		}
		if err := f.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if res := f.Dispatch(t.Context(), work("a", "x")); stoa.KindOf(res.Err) != stoa.Unavailable {
			t.Errorf("after Stop: %v", res.Err)
		}
	})
}

func TestACrashIsAnsweredByAFreshWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		d.engine = func(n int) worker.Engine {
			return &workertest.Double{OnRun: func(ctx context.Context, _ string, v stoa.Value) (stoa.Value, error) {
				if n == 1 { // the first worker never answers
					<-ctx.Done()
				}
				return v, nil
			}}
		}
		f := newFleet(t, fleet.Config{Driver: d})
		results := make(chan stoa.Result, 3)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range cap(results) {
			go func() { results <- f.Dispatch(ctx, work("a", "x")) }()
		}
		synctest.Wait()
		d.last().kill()
		for range cap(results) {
			if res := <-results; res.Err != nil || res.Usage.Attempts != 2 {
				t.Errorf("%v after %d attempts", res.Err, res.Usage.Attempts)
			}
		}
		if d.count() != 2 {
			t.Errorf("%d starts", d.count())
		}
		cancel()
	})
}

func TestAModelThatAlwaysCrashesIsNamedAndBackedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		d.engine = func(int) worker.Engine {
			return &workertest.Double{OnRun: func(context.Context, string, stoa.Value) (stoa.Value, error) {
				d.last().kill()
				return stoa.Value{}, errLost
			}}
		}
		f := newFleet(t, fleet.Config{Driver: d, BackoffBase: time.Second})
		res := f.Dispatch(t.Context(), work("ann/net/1.0.0", "x"))
		e := stoa.AsError(res.Err)
		if e.Kind != stoa.Unavailable || e.Type != "WorkerCrashed" || res.Usage.Attempts != 2 {
			t.Fatalf("%+v after %d attempts", e, res.Usage.Attempts)
		}
		synctest.Wait()
		f.Dispatch(t.Context(), work("ann/net/1.0.0", "x"))
		synctest.Wait()
		starts := d.count()
		res = f.Dispatch(t.Context(), work("ann/net/1.0.0", "x"))
		if e := stoa.AsError(res.Err); e.RetryAfter <= 0 || d.count() != starts {
			t.Errorf("no pause: %+v, %d starts then %d", e, starts, d.count())
		}
		time.Sleep(31 * time.Second) // the longest pause is over
		f.Dispatch(t.Context(), work("ann/net/1.0.0", "x"))
		if d.count() == starts {
			t.Error("no start after the pause")
		}
		synctest.Wait()
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		d := &fakeDriver{engine: func(int) worker.Engine {
			return &workertest.Double{OnRun: func(_ context.Context, _ string, v stoa.Value) (stoa.Value, error) {
				<-open
				return v, nil
			}}
		}}
		f := newFleet(t, fleet.Config{Driver: d, Slots: 2, Queue: 3})
		results := make(chan stoa.Result, 5)
		for range cap(results) {
			go func() { results <- f.Dispatch(t.Context(), work("a", "x")) }()
		}
		synctest.Wait()
		res := f.Dispatch(t.Context(), work("a", "x"))
		if e := stoa.AsError(res.Err); e.Kind != stoa.Busy || e.RetryAfter == 0 {
			t.Errorf("the sixth call: %+v", e)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		close(open)
		for range cap(results) {
			if res := <-results; res.Err != nil {
				t.Error(res.Err)
			}
		}
		if res := f.Dispatch(ctx, work("a", "x")); res.Err != nil {
			t.Error(res.Err)
		}
	})
}

func TestADeadlinePassesInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: func(int) worker.Engine {
			return &workertest.Double{OnRun: func(ctx context.Context, _ string, v stoa.Value) (stoa.Value, error) {
				<-ctx.Done()
				return v, nil
			}}
		}}
		f := newFleet(t, fleet.Config{Driver: d, Slots: 1})
		ctx, cancel := context.WithCancel(t.Context())
		go f.Dispatch(ctx, work("a", "x"))
		synctest.Wait()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		res := f.Dispatch(short, work("a", "x"))
		if !errors.Is(res.Err, context.DeadlineExceeded) || res.Usage.Queue != time.Second || res.Usage.Attempts != 0 {
			t.Errorf("%v, %+v", res.Err, res.Usage)
		}
		cancel()
		synctest.Wait()
	})
}

func TestACallerWhoLeavesDoesNotSpoilTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		double := &workertest.Double{OnLoad: func(ctx context.Context, _ worker.Model) error {
			select {
			case <-open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		f := newFleet(t, fleet.Config{Driver: &fakeDriver{engine: func(int) worker.Engine { return double }}})
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if res := f.Dispatch(short, work("a", "x")); !errors.Is(res.Err, context.DeadlineExceeded) {
			t.Errorf("%v", res.Err)
		}
		close(open)
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil || double.Loads() != 1 {
			t.Errorf("%v after %d loads", res.Err, double.Loads())
		}
	})
}

func TestALoadThatFailsIsTriedAgainByTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		double := &workertest.Double{OnLoad: func(context.Context, worker.Model) error {
			if fail {
				return stoa.Errorf(stoa.NoRoom, "no memory")
			}
			return nil
		}}
		f := newFleet(t, fleet.Config{Driver: &fakeDriver{engine: func(int) worker.Engine { return double }}})
		if res := f.Dispatch(t.Context(), work("a", "x")); stoa.KindOf(res.Err) != stoa.NoRoom {
			t.Errorf("%v", res.Err)
		}
		fail = false
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil {
			t.Errorf("%v", res.Err)
		}
		if err := double.Unload(t.Context(), "a"); err != nil { // behind the fleet's back
			t.Fatal(err)
		}
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil || res.Usage.Attempts != 2 {
			t.Errorf("%v after %d attempts", res.Err, res.Usage.Attempts)
		}
	})
}

func TestWorkersOfAnEarlierServerAreAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo, left: []fleet.Handle{{ID: "w1", Label: "ann"}, {ID: "stale", Label: "bob"}}}
		f := newFleet(t, fleet.Config{Driver: d})
		if err := f.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil || d.count() != 0 {
			t.Errorf("%v, %d starts", res.Err, d.count())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		d.last().kill()
		synctest.Wait()
	})
}

func TestAWorkerThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo, fail: stoa.Errorf(stoa.Unavailable, "no library")}
		f := newFleet(t, fleet.Config{Driver: d})
		if res := f.Dispatch(t.Context(), work("a", "x")); stoa.AsError(res.Err).Msg != "no library" {
			t.Errorf("%v", res.Err)
		}
		d.fail = nil
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil {
			t.Errorf("%v", res.Err)
		}
		_ = f.Stop(t.Context())
		synctest.Wait()
	})
}

func TestBackoff(t *testing.T) {
	for crashes, want := range map[int]time.Duration{0: 0, 1: 0, 2: 0, 3: 1, 4: 2, 5: 4, 6: 8, 7: 10, 99: 10} {
		if got := fleet.Backoff(crashes, 1, 10); got != want {
			t.Errorf("after %d crashes: %v, want %v", crashes, got, want)
		}
	}
}
