package fleet_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

// codeWork is a call of code: one slot a replica, at most three replicas.
func codeWork(input string) fleet.Work {
	w := work("v", input)
	w.Policy = fleet.Policy{Max: 3, Slots: 1, Idle: time.Minute, Once: true}
	return w
}

// gate is an engine whose runs wait until they are let through.
func gate(open chan struct{}) func(int) worker.Engine {
	return func(int) worker.Engine {
		return &workertest.Double{OnRun: func(ctx context.Context, _ string, v stoa.Value) (stoa.Value, error) {
			select {
			case <-open:
				return v, nil
			case <-ctx.Done():
				return stoa.Value{}, ctx.Err()
			}
		}}
	}
}

func TestWanted(t *testing.T) {
	for _, tc := range []struct {
		p           fleet.Policy
		slots, call int
		want        int
	}{
		{fleet.Policy{}, 4, 0, 0},
		{fleet.Policy{}, 4, 9, 1},
		{fleet.Policy{Max: 3}, 1, 2, 2},
		{fleet.Policy{Max: 3}, 1, 9, 3},
		{fleet.Policy{Max: 3, Min: 2}, 1, 0, 2},
		{fleet.Policy{Max: 3}, 4, 5, 2},
		{fleet.Policy{Max: 3}, 4, 4, 1},
	} {
		if got := fleet.Wanted(tc.p, tc.slots, tc.call); got != tc.want {
			t.Errorf("%+v, %d slots, %d calls: %d, want %d", tc.p, tc.slots, tc.call, got, tc.want)
		}
	}
}

func TestReplicasComeWithTheQueueAndGoWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		d := &fakeDriver{engine: gate(open)}
		f := newFleet(t, fleet.Config{Driver: d})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if res := f.Dispatch(t.Context(), codeWork("x")); res.Err != nil || res.Usage.Attempts != 1 {
					t.Errorf("%+v", res)
				}
			})
			synctest.Wait()
		}
		if s := f.Status(); d.count() != 3 || len(s) != 3 || s[0].Queued != 2 || s[2].Running != 1 {
			t.Errorf("%d starts, %+v", d.count(), s)
		}
		close(open)
		wg.Wait()
		for range 3 { // one after the other keeps one replica busy
			time.Sleep(50 * time.Second)
			if res := f.Dispatch(t.Context(), codeWork("x")); res.Err != nil {
				t.Error(res.Err)
			}
		}
		if s := f.Status(); len(s) != 1 || d.count() != 3 {
			t.Errorf("%d starts, %+v", d.count(), s)
		}
		time.Sleep(61 * time.Second)
		if s := f.Status(); len(s) != 0 {
			t.Errorf("idle, and there still: %+v", s)
		}
		if res := f.Dispatch(t.Context(), codeWork("x")); res.Err != nil || d.count() != 4 {
			t.Errorf("from zero: %v, %d starts", res.Err, d.count())
		}
	})
}

func TestKeptReplicasAreThereBeforeTheFirstCallAndAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo}
		f := newFleet(t, fleet.Config{Driver: d})
		w := codeWork("")
		w.Policy.Min = 2
		if err := f.Keep(w); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := f.Status(); len(s) != 2 || len(s[0].Models) != 1 || len(s[1].Models) != 1 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(time.Hour)
		for range 5 { // the fifth crash in a row is followed by a pause
			d.last().kill()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := f.Status(); len(s) != 2 || len(s[1].Models) != 1 {
			t.Errorf("after crashes: %+v", s)
		}
		w.Policy.Min = 0
		if err := f.Keep(w); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if s := f.Status(); len(s) != 0 {
			t.Errorf("no longer kept: %+v", s)
		}
	})
}

func TestRetiredReplicasFinishWhatTheyHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		d := &fakeDriver{engine: gate(open)}
		f := newFleet(t, fleet.Config{Driver: d})
		var wg sync.WaitGroup
		for range 7 { // three run, four wait
			wg.Go(func() {
				if res := f.Dispatch(t.Context(), codeWork("x")); res.Err != nil || res.Usage.Attempts != 1 {
					t.Errorf("%+v", res)
				}
			})
		}
		synctest.Wait()
		f.Retire("ann")
		synctest.Wait()
		if d.count() != 6 {
			t.Errorf("%d starts: those in line want fresh replicas", d.count())
		}
		close(open)
		wg.Wait()
		synctest.Wait()
		if s := f.Status(); len(s) != 3 {
			t.Errorf("%d replicas are left of six", len(s))
		}
	})
}

func TestACallOfCodeIsNeverRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		d.engine = func(int) worker.Engine {
			return &workertest.Double{OnRun: func(context.Context, string, stoa.Value) (stoa.Value, error) {
				d.last().kill()
				return stoa.Value{}, errLost
			}}
		}
		f := newFleet(t, fleet.Config{Driver: d})
		res := f.Dispatch(t.Context(), codeWork("x"))
		if e := stoa.AsError(res.Err); e.Kind != stoa.Failed || e.Type != "SystemExit" || res.Usage.Attempts != 1 {
			t.Errorf("%+v after %d attempts", e, res.Usage.Attempts)
		}
		synctest.Wait()
	})
}

func TestCodeThatDoesNotLoadIsPausedAndQuoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: func(int) worker.Engine {
			return &workertest.Double{OnLoad: func(context.Context, worker.Model) error {
				return &stoa.Error{Kind: stoa.Failed, Type: "LoadingError", Msg: "no module named cheese"}
			}}
		}}
		f := newFleet(t, fleet.Config{Driver: d, BackoffBase: time.Second})
		for i := range 6 {
			e := stoa.AsError(f.Dispatch(t.Context(), codeWork("x")).Err)
			switch {
			case i < 3 && e.Type != "LoadingError":
				t.Errorf("call %d: %+v", i, e)
			case i >= 3 && (e.Type != "WorkerCrashed" || e.RetryAfter == 0):
				t.Errorf("call %d: %+v", i, e)
			}
			synctest.Wait()
		}
		if d.count() != 3 || len(f.Status()) != 0 {
			t.Errorf("%d starts, %+v", d.count(), f.Status())
		}
	})
}

func TestAnAnswerEndsARowOfCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo}
		f := newFleet(t, fleet.Config{Driver: d})
		for range 10 {
			if res := f.Dispatch(t.Context(), codeWork("x")); res.Err != nil {
				t.Fatal(res.Err)
			}
			d.last().kill()
			synctest.Wait()
		}
	})
}

// slowStart is a driver whose starts wait.
type slowStart struct {
	*fakeDriver
	open chan struct{}
}

func (d slowStart) Start(ctx context.Context, s fleet.Spec) (fleet.Replica, error) {
	<-d.open
	return d.fakeDriver.Start(ctx, s)
}

func TestAReplicaThatComesWhenTheFleetEndsIsEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowStart{&fakeDriver{engine: echo}, make(chan struct{})}
		f := newFleet(t, fleet.Config{Driver: d})
		go f.Dispatch(t.Context(), codeWork("x"))
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			_ = f.Stop(t.Context())
			close(ended)
		}()
		synctest.Wait()
		close(d.open)
		<-ended
		select {
		case <-d.last().done:
		default:
			t.Error("the replica lives on")
		}
	})
}
