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
	Slots       int           // calls a replica works on at once
	Queue       int           // calls that may wait for a slot of one replica; default 256
	StartLimit  time.Duration // for a worker to start, and a model to load; default 2 min
	BackoffBase time.Duration // after a second crash in a row; default 250 ms, doubling up to BackoffMax
	BackoffMax  time.Duration // default 30 s
}

// Fleet is the room.
type Fleet struct {
	cfg Config

	mu     sync.Mutex
	groups map[string]*group // by label; a group lives as long as the Fleet
	closed bool
}

// Work is one value for one model.
type Work struct {
	Label string       // whose worker
	Model worker.Model // loaded there if it is not
	Input stoa.Value
}

// New makes a Fleet; Adopt should follow, then Run.
func New(cfg Config) *Fleet {
	if cfg.Queue == 0 {
		cfg.Queue = 256
	}
	if cfg.Slots == 0 {
		cfg.Slots = 4
	}
	if cfg.StartLimit == 0 {
		cfg.StartLimit = 2 * time.Minute
	}
	if cfg.BackoffBase == 0 {
		cfg.BackoffBase = 250 * time.Millisecond
	}
	if cfg.BackoffMax == 0 {
		cfg.BackoffMax = 30 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Fleet{cfg: cfg, groups: map[string]*group{}}
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
// the caller's: inference changes nothing, so that trying again is safe.
const attempts = 2

// Dispatch brings one value to the model's worker and gives the answer. It
// starts the worker and loads the model where that is needed.
func (f *Fleet) Dispatch(ctx context.Context, w Work) stoa.Result {
	res := stoa.Result{Usage: stoa.Usage{BytesIn: int64(len(w.Input.Data))}}
	g, err := f.group(w.Label)
	if err != nil {
		res.Err = err
		return res
	}
	queued := time.Now()
	release, err := g.enter(ctx)
	if err != nil {
		res.Usage.Queue = time.Since(queued)
		res.Err = err
		return res
	}
	defer release()
	for res.Usage.Attempts = 1; ; res.Usage.Attempts++ {
		again := g.attempt(ctx, w, queued, &res)
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
func (g *group) attempt(ctx context.Context, w Work, queued time.Time, res *stoa.Result) bool {
	start := time.Now()
	r, err := g.ready(ctx, w.Model)
	res.Usage.Load += time.Since(start)
	res.Usage.Queue = time.Since(queued)
	if err != nil {
		res.Err = err
		return wire.IsLost(err)
	}
	results, err := r.Engine().Run(ctx, w.Model.ID, []stoa.Value{w.Input})
	if err != nil {
		res.Err = err
		if stoa.KindOf(err) == stoa.NotFound { // the worker was replaced, or dropped it
			g.forget(r, w.Model.ID)
			return true
		}
		if wire.IsLost(err) {
			g.drop(r)
			return true
		}
		return false
	}
	res.Value, res.Err = results[0].Value, results[0].Err
	res.Usage.Compute = results[0].Usage.Compute
	res.Usage.Batch, res.Usage.BatchSize = results[0].Usage.Batch, results[0].Usage.BatchSize
	return false
}

// Unload drops a model from its owner's worker, if it is there.
func (f *Fleet) Unload(ctx context.Context, label, id string) error {
	f.mu.Lock()
	g := f.groups[label]
	f.mu.Unlock()
	if g == nil {
		return nil
	}
	return g.unload(ctx, id)
}

// Status is what the fleet says of one of its replicas.
type Status struct {
	Handle  Handle
	Models  []string
	Running int // calls in the worker
	Queued  int // calls that wait
}

// Status lists the live replicas, by label.
func (f *Fleet) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Status
	for _, g := range f.groups {
		if s, ok := g.status(); ok {
			out = append(out, s)
		}
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
	var first error
	for _, g := range groups {
		if r := g.close(); r != nil {
			if err := do(r); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

func (f *Fleet) group(label string) (*group, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, shuttingDown()
	}
	g := f.groups[label]
	if g == nil {
		g = newGroup(label, &f.cfg)
		f.groups[label] = g
	}
	return g, nil
}

func shuttingDown() error {
	e := stoa.Errorf(stoa.Unavailable, "the server is shutting down")
	e.RetryAfter = time.Second
	return e
}
