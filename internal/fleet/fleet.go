package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/worker"
)

// Config is what a Fleet needs. Zero values mean the defaults.
type Config struct {
	Driver      Driver
	Log         *slog.Logger
	Slots       int           // calls a replica works on at once, where its Policy does not say
	Queue       int           // calls that may wait for a slot of one group; default 256
	StartLimit  time.Duration // for a worker to start, and a model to load; default 2 min
	StopLimit   time.Duration // for a replica to end politely; default 30 s
	BackoffBase time.Duration // after a second crash in a row; default 250 ms, doubling up to BackoffMax
	BackoffMax  time.Duration // default 30 s
}

// Fleet is the room.
type Fleet struct {
	cfg Config

	mu     sync.Mutex
	groups map[string]*group // by label; a group lives as long as the Fleet
	closed bool

	busy sync.WaitGroup // starts and stops under way
}

// Work is one value for one model, or for one version of code.
type Work struct {
	Label  string       // of the group
	Policy Policy       // of the group
	Code   *Code        // nil: Model runs in a model worker
	Model  worker.Model // loaded there if it is not
	Call   worker.Call  // on whose behalf
	Input  stoa.Value
}

// New makes a Fleet; Adopt should follow, then Run.
func New(cfg Config) *Fleet {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	def(&cfg.Queue, 256)
	def(&cfg.Slots, 4)
	def(&cfg.StartLimit, 2*time.Minute)
	def(&cfg.StopLimit, 30*time.Second)
	def(&cfg.BackoffBase, 250*time.Millisecond)
	def(&cfg.BackoffMax, 30*time.Second)
	return &Fleet{cfg: cfg, groups: map[string]*group{}}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Adopt takes over the replicas that an earlier server left running. One that
// cannot be taken over is ended, and a fresh one starts when it is needed.
func (f *Fleet) Adopt(ctx context.Context) error {
	handles, err := f.cfg.Driver.Running(ctx)
	if err != nil {
		return err
	}
	for _, h := range handles {
		r, err := f.cfg.Driver.Adopt(ctx, h)
		if err != nil {
			f.cfg.Log.InfoContext(ctx, "worker not adopted", "label", h.Label, "pid", h.PID, "cause", err)
			continue
		}
		g, err := f.group(h.Label)
		if err != nil {
			return err
		}
		g.adopt(r)
		f.cfg.Log.InfoContext(ctx, "worker adopted", "label", h.Label, "pid", h.PID)
	}
	return nil
}

// attempts is how often a call is handed to a replica before its failure is
// the caller's.
const attempts = 2

// Dispatch brings one value to a replica and gives the answer. It starts a
// replica and loads the model where that is needed.
func (f *Fleet) Dispatch(ctx context.Context, w Work) stoa.Result {
	res := stoa.Result{Usage: stoa.Usage{BytesIn: int64(len(w.Input.Data))}}
	g, err := f.group(w.Label)
	if err != nil {
		res.Err = err
		return res
	}
	ctx = worker.WithCall(ctx, w.Call)
	queued := time.Now()
	for {
		start := time.Now()
		m, cold, err := g.acquire(ctx, want{policy: w.Policy, code: w.Code, again: res.Usage.Attempts > 0})
		res.Usage.Queue = time.Since(queued)
		if cold {
			res.Usage.Load += time.Since(start)
		}
		if err != nil {
			res.Err = err
			break
		}
		res.Usage.Attempts++
		again := g.attempt(ctx, m, w, queued, &res)
		g.release(m, res.Err == nil)
		if !again || res.Usage.Attempts == attempts || ctx.Err() != nil {
			break
		}
	}
	if wire.IsLost(res.Err) {
		e := stoa.Wrap(stoa.Unavailable, res.Err, "the worker died %d times while it ran %s: the model may need more memory than there is, or crash its runtime", res.Usage.Attempts, w.Model.ID)
		e.Type, e.RetryAfter = "WorkerCrashed", time.Second
		res.Err = e
	}
	res.Usage.BytesOut = int64(len(res.Value.Data))
	return res
}

// attempt makes one try, and tells whether another may help.
func (g *group) attempt(ctx context.Context, m *member, w Work, queued time.Time, res *stoa.Result) bool {
	start := time.Now()
	loaded, err := g.load(ctx, m, w.Model)
	if loaded {
		res.Usage.Load += time.Since(start)
	}
	res.Usage.Queue = time.Since(queued)
	if err != nil {
		res.Err = err
		return wire.IsLost(err)
	}
	results, err := m.replica.Engine().Run(ctx, w.Model.ID, []stoa.Value{w.Input})
	switch {
	case err == nil:
		usage := res.Usage
		*res = results[0]
		usage.Compute, usage.Batch, usage.BatchSize = res.Usage.Compute, res.Usage.Batch, res.Usage.BatchSize
		res.Usage = usage
		if x, ok := m.replica.(Mortal); ok && res.Err != nil && x.Dying() {
			g.drop(m) // before another call is given to it
		}
		return false
	case stoa.KindOf(err) == stoa.NotFound: // the worker was replaced, or dropped it: it did not run
		g.forget(m, w.Model.ID)
		res.Err = err
		return true
	case wire.IsLost(err) && w.Policy.Once:
		res.Err = g.cause(ctx, m, err)
		return false
	case wire.IsLost(err):
		g.drop(m)
		res.Err = err
		return true
	}
	res.Err = err
	return false
}

// causeTime is how long a lost call waits for its replica to be seen dead, so
// that it can tell of what.
const causeTime = 2 * time.Second

// cause gives what a replica that was lost in a call died of.
func (g *group) cause(ctx context.Context, m *member, lost error) error {
	g.drop(m)
	wait := time.NewTimer(causeTime)
	defer wait.Stop()
	select {
	case <-m.replica.Done():
		if err := m.replica.Err(); err != nil {
			if e := stoa.AsError(err); e.Type != "" {
				return e
			}
			lost = err
		}
	case <-wait.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	e := stoa.Wrap(stoa.Failed, lost, "the algorithm's process was lost in the call")
	e.Type = "SystemExit"
	return e
}

// Unload drops a model from the replicas of a group, where they hold it.
func (f *Fleet) Unload(ctx context.Context, label, id string) error {
	if g := f.known(label); g != nil {
		return g.unload(ctx, id)
	}
	return nil
}

// Keep makes a group hold w.Policy.Min replicas, with the model loaded, from now
// on: though nobody calls, and after a crash again. A Min of 0 ends that.
func (f *Fleet) Keep(w Work) error {
	g, err := f.group(w.Label)
	if err != nil {
		return err
	}
	g.keep(w)
	return nil
}

// Retire lets a group's replicas finish what they work on, and ends them. Calls
// that wait, and later ones, get fresh replicas. What Keep asked for is over.
func (f *Fleet) Retire(label string) {
	if g := f.known(label); g != nil {
		g.retire()
	}
}

// Status is what the fleet says of one of its replicas.
type Status struct {
	Handle  Handle
	Models  []string
	Running int // calls in the worker
	Queued  int // calls that wait for the group; told with its first replica
}

// Status lists the live replicas, by label.
func (f *Fleet) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Status
	for _, g := range f.groups {
		out = append(out, g.status()...)
	}
	return out
}

// Close lets go of all replicas: they stay for the next server to adopt, or end
// by themselves when none comes. Stop ends them.
func (f *Fleet) Close() error {
	return f.each(f.cfg.Driver.Release)
}

// Stop ends all replicas.
func (f *Fleet) Stop(ctx context.Context) error {
	return f.each(func(r Replica) error { return r.Stop(ctx) })
}

func (f *Fleet) each(do func(Replica) error) error {
	f.mu.Lock()
	f.closed = true
	groups := f.groups
	f.groups = map[string]*group{}
	f.mu.Unlock()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for _, g := range groups {
		for _, r := range g.close() {
			wg.Go(func() {
				if err := do(r); err != nil {
					mu.Lock()
					defer mu.Unlock()
					if first == nil {
						first = err
					}
				}
			})
		}
	}
	wg.Wait()
	f.settle()
	return first
}

// settleTime bounds the wait for what is under way when a Fleet ends.
const settleTime = 10 * time.Second

// settle waits for starts and stops under way: what comes to be now must be ended
// before its server is gone.
func (f *Fleet) settle() {
	done := make(chan struct{})
	go func() {
		f.busy.Wait()
		close(done)
	}()
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		f.cfg.Log.Warn("replicas were still being started or stopped when the fleet ended")
	}
}

func (f *Fleet) known(label string) *group {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups[label]
}

func (f *Fleet) group(label string) (*group, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, shuttingDown()
	}
	g := f.groups[label]
	if g == nil {
		g = newGroup(label, &f.cfg, &f.busy)
		f.groups[label] = g
	}
	return g, nil
}

func shuttingDown() error {
	e := stoa.Errorf(stoa.Unavailable, "the server is shutting down")
	e.RetryAfter = time.Second
	return e
}
