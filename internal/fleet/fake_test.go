package fleet_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

// fakeDriver starts replicas that live in this process.
type fakeDriver struct {
	engine func(n int) worker.Engine // of the n-th start, from 1
	fail   error
	left   []fleet.Handle // what an earlier server left

	mu       sync.Mutex
	starts   int
	replicas []*fakeReplica
}

func (d *fakeDriver) Start(ctx context.Context, s fleet.Spec) (fleet.Replica, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.starts++
	if d.fail != nil {
		return nil, d.fail
	}
	return d.add(fleet.Handle{ID: "r", Label: s.Label, PID: d.starts}), ctx.Err()
}

func (d *fakeDriver) add(h fleet.Handle) *fakeReplica {
	r := &fakeReplica{handle: h, engine: d.engine(d.starts), done: make(chan struct{})}
	d.replicas = append(d.replicas, r)
	return r
}

func (d *fakeDriver) Adopt(_ context.Context, h fleet.Handle) (fleet.Replica, error) {
	if h.ID == "stale" {
		return nil, errors.New("of another build")
	}
	return d.add(h), nil
}

func (d *fakeDriver) Running(context.Context) ([]fleet.Handle, error) { return d.left, nil }
func (d *fakeDriver) Release(fleet.Replica) error                     { return nil }

func (d *fakeDriver) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.starts
}

func (d *fakeDriver) last() *fakeReplica {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.replicas[len(d.replicas)-1]
}

// fakeReplica can be killed: then runs in flight, and later ones, are lost.
type fakeReplica struct {
	handle fleet.Handle
	engine worker.Engine
	done   chan struct{}
	once   sync.Once
}

func (r *fakeReplica) Handle() fleet.Handle       { return r.handle }
func (r *fakeReplica) Engine() worker.Engine      { return mortal{r.engine, r.done} }
func (r *fakeReplica) Done() <-chan struct{}      { return r.done }
func (r *fakeReplica) Err() error                 { return errors.New("killed") }
func (r *fakeReplica) kill()                      { r.once.Do(func() { close(r.done) }) }
func (r *fakeReplica) Stop(context.Context) error { r.kill(); return nil }

type mortal struct {
	worker.Engine
	done chan struct{}
}

var errLost = &stoa.Error{Kind: stoa.Unavailable, Type: wire.ErrLost, Msg: "lost"}

func (m mortal) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	type answer struct {
		res []stoa.Result
		err error
	}
	ch := make(chan answer, 1)
	go func() {
		res, err := m.Engine.Run(ctx, id, items)
		ch <- answer{res, err}
	}()
	select {
	case <-m.done:
		return nil, errLost
	case a := <-ch:
		return a.res, a.err
	}
}

func echo(int) worker.Engine { return &workertest.Double{} }

func text(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }

func work(id, input string) fleet.Work {
	return fleet.Work{Label: "ann", Model: worker.Model{ID: id}, Input: text(input)}
}

// newFleet makes a Fleet that is stopped at the test's end.
func newFleet(t *testing.T, cfg fleet.Config) *fleet.Fleet {
	f := fleet.New(cfg)
	t.Cleanup(func() { _ = f.Stop(context.Background()) })
	return f
}

// Preview is worker.Previewer's, where the engine is one.
func (m mortal) Preview(ctx context.Context, j worker.PreviewJob) (media.Preview, error) {
	p, ok := m.Engine.(worker.Previewer)
	if !ok {
		return media.Preview{}, stoa.Errorf(stoa.Unsupported, "no previews")
	}
	return p.Preview(ctx, j)
}
