package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

func TestPreviewStartsTheOwnersWorker(t *testing.T) {
	job := workertest.PreviewJob(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{engine: echo}
		f := newFleet(t, fleet.Config{Driver: d})
		for range 2 {
			p, err := f.Preview(t.Context(), "ann", job)
			if err != nil || len(p.PNG) == 0 || p.Channels[0].Name != "grey" {
				t.Fatalf("%+v, %v", p, err)
			}
		}
		if s := f.Status(); d.count() != 1 || s[0].Handle.Label != "ann" || len(s[0].Models) != 0 {
			t.Errorf("%d starts, %+v", d.count(), s)
		}
		job.Value.Data = nil
		if _, err := f.Preview(t.Context(), "ann", job); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("no picture: %v", err)
		}
		if res := f.Dispatch(t.Context(), work("a", "x")); res.Err != nil || d.count() != 1 {
			t.Errorf("a call afterwards: %v", res.Err)
		}
	})
}

func TestPreviewIsTriedOnAFreshWorker(t *testing.T) {
	job := workertest.PreviewJob(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		deadly := 1
		d.engine = func(n int) worker.Engine {
			return &workertest.Double{OnPreview: func(context.Context, worker.PreviewJob) (media.Preview, error) {
				if n <= deadly {
					d.last().kill()
					return media.Preview{}, errLost
				}
				return media.Preview{PNG: []byte("p")}, nil
			}}
		}
		f := newFleet(t, fleet.Config{Driver: d})
		if p, err := f.Preview(t.Context(), "ann", job); err != nil || string(p.PNG) != "p" || d.count() != 2 {
			t.Errorf("%q, %v, %d starts", p.PNG, err, d.count())
		}
		deadly = 100
		d.last().kill()
		synctest.Wait()
		_, err := f.Preview(t.Context(), "ann", job)
		if e := stoa.AsError(err); e.Kind != stoa.Unavailable || e.Type != "WorkerCrashed" {
			t.Errorf("%+v", e)
		}
		synctest.Wait()
	})
}
