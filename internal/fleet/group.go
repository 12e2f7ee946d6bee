package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/worker"
)

// group is the replicas of one label: for now one at a time.
//
//	        start            crash
//	none ----------> live ----------> none     again at once after the first crash,
//	  \--- adopt ---->/                         then after a pause that doubles
//
// All state changes under mu. What takes time (starting, loading) is a task
// that many callers wait for; it has a deadline of its own, so that a caller
// who leaves does not spoil it for the others.
type group struct {
	label string
	cfg   *Config
	slots chan struct{} // one token for each call in the worker

	mu       sync.Mutex
	queued   int
	live     Replica
	since    time.Time        // live for so long
	starting *task            // of live
	loads    map[string]*task // of models into live, finished ones too
	crashes  int              // in a row
	retryAt  time.Time        // no start before
	closed   bool
}

// task is work done once for many: wait for done, then read err.
type task struct {
	done chan struct{}
	err  error
}

func newGroup(label string, cfg *Config) *group {
	return &group{label: label, cfg: cfg, slots: make(chan struct{}, cfg.Slots), loads: map[string]*task{}}
}

// enter waits for a free slot, and refuses at once where too many wait already.
func (g *group) enter(ctx context.Context) (release func(), err error) {
	release = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return release, nil
	default:
	}
	g.mu.Lock()
	if g.queued >= g.cfg.Queue {
		g.mu.Unlock()
		e := stoa.Errorf(stoa.Busy, "%d calls wait for the models of %s already", g.cfg.Queue, g.label)
		e.RetryAfter = time.Second
		return nil, e
	}
	g.queued++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.queued--
		g.mu.Unlock()
	}()
	select {
	case g.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ready gives a live replica that holds the model.
func (g *group) ready(ctx context.Context, m worker.Model) (Replica, error) {
	r, err := g.replica(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	if g.live != r { // gone meanwhile
		g.mu.Unlock()
		return nil, stoa.Wrap(stoa.Unavailable, lostError(), "the worker went away")
	}
	t := g.loads[m.ID]
	if t == nil {
		t = &task{done: make(chan struct{})}
		g.loads[m.ID] = t
		go g.load(r, m, t)
	}
	g.mu.Unlock()
	select {
	case <-t.done:
		return r, t.err
	default:
	}
	select {
	case <-t.done:
		return r, t.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lostError is the error of a connection that was lost before the call began.
func lostError() error {
	return &stoa.Error{Kind: stoa.Unavailable, Type: wire.ErrLost, Msg: "the worker went away"}
}

func (g *group) load(r Replica, m worker.Model, t *task) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StartLimit)
	defer cancel()
	start := time.Now()
	f, err := r.Engine().Load(ctx, m)
	t.err = err
	if err != nil {
		g.forget(r, m.ID)
		if wire.IsLost(err) {
			g.drop(r)
		}
		g.cfg.Log.WarnContext(ctx, "model not loaded", "model", m.ID, "label", g.label, "cause", err)
	} else {
		g.cfg.Log.InfoContext(ctx, "model loaded", "model", m.ID, "label", g.label,
			"seconds", time.Since(start).Seconds(), "bytes", f.Host)
	}
	close(t.done)
}

// forget makes the next call load the model again.
func (g *group) forget(r Replica, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == r {
		delete(g.loads, id)
	}
}

// replica gives the live replica, starting one where there is none.
func (g *group) replica(ctx context.Context) (Replica, error) {
	g.mu.Lock()
	switch {
	case g.closed:
		g.mu.Unlock()
		return nil, shuttingDown()
	case g.live != nil:
		defer g.mu.Unlock()
		return g.live, nil
	}
	if wait := time.Until(g.retryAt); wait > 0 && g.starting == nil {
		defer g.mu.Unlock()
		e := stoa.Errorf(stoa.Unavailable, "the worker of %s crashed %d times in a row; the next try is in %s", g.label, g.crashes, wait.Round(time.Millisecond))
		e.Type, e.RetryAfter = "WorkerCrashed", wait
		return nil, e
	}
	t := g.starting
	if t == nil {
		t = &task{done: make(chan struct{})}
		g.starting = t
		go g.start(t)
	}
	g.mu.Unlock()
	select {
	case <-t.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if t.err != nil {
		return nil, t.err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == nil {
		return nil, lostError()
	}
	return g.live, nil
}

func (g *group) start(t *task) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StartLimit)
	defer cancel()
	began := time.Now()
	r, err := g.cfg.Driver.Start(ctx, Spec{Label: g.label})
	g.mu.Lock()
	g.starting = nil
	closed := g.closed
	if err != nil {
		g.crashed(time.Now())
	} else if !closed {
		g.own(r)
	}
	g.mu.Unlock()
	if err == nil && closed {
		err = shuttingDown()
		_ = r.Stop(ctx) // nobody is left to use it, nor to hear of a failure
	}
	t.err = err
	close(t.done)
	if err != nil {
		g.cfg.Log.ErrorContext(ctx, "worker not started", "label", g.label, "cause", err)
		return
	}
	g.cfg.Log.InfoContext(ctx, "worker started", "label", g.label, "pid", r.Handle().PID, "seconds", time.Since(began).Seconds())
}

func (g *group) adopt(r Replica) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own(r)
}

// own makes r the live replica. The caller holds mu.
func (g *group) own(r Replica) {
	g.live = r
	g.since = time.Now()
	g.loads = map[string]*task{}
	go func() {
		<-r.Done()
		if g.drop(r) {
			g.cfg.Log.Error("worker died", "label", g.label, "pid", r.Handle().PID, "cause", r.Err())
		}
	}()
}

// calmAfter is how long a worker must have lived for its crash to count as the
// first.
const calmAfter = time.Minute

// drop makes r, which is lost, no longer the live replica. The first to notice
// does so: a call that lost its connection, or the watcher of Done. It tells
// whether the group is still in use.
func (g *group) drop(r Replica) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == r {
		now := time.Now()
		if now.Sub(g.since) > calmAfter {
			g.crashes = 0
		}
		g.live = nil
		g.loads = map[string]*task{}
		g.crashed(now)
	}
	return !g.closed
}

// crashed counts a crash and sets the pause before the next start. The caller
// holds mu.
func (g *group) crashed(now time.Time) {
	g.crashes++
	g.retryAt = now.Add(Backoff(g.crashes, g.cfg.BackoffBase, g.cfg.BackoffMax))
}

// Backoff is the pause before the start that follows a number of crashes in a
// row: none after the first, base after the third, then doubling up to limit.
// Two starts without a pause let a call be tried again at once.
func Backoff(crashes int, base, limit time.Duration) time.Duration {
	if crashes <= 2 {
		return 0
	}
	d := base
	for range min(crashes-3, 30) {
		d *= 2
		if d >= limit {
			return limit
		}
	}
	return min(d, limit)
}

func (g *group) unload(ctx context.Context, id string) error {
	g.mu.Lock()
	r := g.live
	_, loaded := g.loads[id]
	delete(g.loads, id)
	g.mu.Unlock()
	if r == nil || !loaded {
		return nil
	}
	return r.Engine().Unload(ctx, id)
}

func (g *group) status() (Status, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == nil {
		return Status{}, false
	}
	s := Status{Handle: g.live.Handle(), Running: len(g.slots), Queued: g.queued}
	for id := range g.loads {
		s.Models = append(s.Models, id)
	}
	return s, true
}

// close takes the live replica out, and refuses calls from then on.
func (g *group) close() Replica {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.live
	g.live, g.closed = nil, true
	return r
}
