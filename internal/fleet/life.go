package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/worker"
)

// Wanted is how many replicas a group should have: enough slots for the calls
// that run and wait, within the bounds of its policy.
func Wanted(p Policy, slots, calls int) int {
	n := (calls + slots - 1) / slots
	return min(max(n, p.Min), max(p.Max, 1))
}

// grow starts what the calls in line ask for. The caller holds mu.
func (g *group) grow() {
	if g.closed || time.Until(g.retryAt) > 0 {
		return
	}
	calls := len(g.line)
	for _, m := range g.members {
		if !m.leaving {
			calls += m.running
		}
	}
	p := g.policy
	if g.kept == nil {
		p.Min = 0
	}
	for n := Wanted(p, g.slots(), calls) - g.live() - g.starting; n > 0; n-- {
		g.starting++
		s := Spec{Label: g.label, Policy: g.policy, Code: g.code}
		g.busy.Go(func() { g.start(s) })
	}
}

func (g *group) start(s Spec) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StartLimit)
	defer cancel()
	began := time.Now()
	r, err := g.cfg.Driver.Start(ctx, s)
	g.mu.Lock()
	g.starting--
	closed := g.closed
	switch {
	case err != nil:
		g.crashed(time.Now(), err)
	case !closed:
		g.own(r)
	}
	g.mu.Unlock()
	switch {
	case err != nil:
		g.cfg.Log.ErrorContext(ctx, "worker not started", "label", g.label, "cause", err)
	case closed:
		_ = r.Stop(ctx) // nobody is left to use it, nor to hear of a failure
	default:
		g.cfg.Log.InfoContext(ctx, "worker started", "label", g.label, "pid", r.Handle().PID, "seconds", time.Since(began).Seconds())
	}
}

func (g *group) adopt(r Replica) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.policy = r.Handle().Policy
	g.own(r)
}

// own makes r a member. The caller holds mu.
func (g *group) own(r Replica) {
	m := &member{replica: r, since: time.Now(), loads: map[string]*task{}}
	g.members = append(g.members, m)
	g.rest(m)
	g.serve()
	if g.kept != nil && m.running == 0 {
		g.warm(m, *g.kept)
	}
	go func() {
		<-r.Done()
		if g.drop(m) {
			g.cfg.Log.Error("worker died", "label", g.label, "pid", r.Handle().PID, "cause", r.Err())
		}
	}()
}

// rest begins the idle time of a member without calls. The caller holds mu.
func (g *group) rest(m *member) {
	if g.policy.Idle <= 0 {
		return
	}
	if m.idle == nil {
		m.idle = time.AfterFunc(g.policy.Idle, func() { g.idled(m) })
		return
	}
	m.idle.Reset(g.policy.Idle)
}

// idled ends a member that nobody needed for a while.
func (g *group) idled(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.running > 0 || m.gone {
		return
	}
	if g.kept != nil && g.live() <= g.kept.Policy.Min {
		g.rest(m)
		return
	}
	g.end(m)
}

// dismiss gives a member no more calls, and ends it after those it has. The
// caller holds mu.
func (g *group) dismiss(m *member) {
	m.leaving = true
	if m.running == 0 {
		g.end(m)
	}
}

// live counts the members that calls may be given to. The caller holds mu.
func (g *group) live() int {
	n := 0
	for _, m := range g.members {
		if !m.leaving {
			n++
		}
	}
	return n
}

// end stops a member that has no calls. The caller holds mu.
func (g *group) end(m *member) {
	g.remove(m)
	g.busy.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StopLimit)
		defer cancel()
		if err := m.replica.Stop(ctx); err != nil {
			g.cfg.Log.WarnContext(ctx, "worker not stopped", "label", g.label, "cause", err)
			return
		}
		g.cfg.Log.InfoContext(ctx, "worker stopped", "label", g.label, "pid", m.replica.Handle().PID)
	})
}

// remove takes a member out, and tells whether it was in. The caller holds mu.
func (g *group) remove(m *member) bool {
	if m.gone {
		return false
	}
	m.gone = true
	if m.idle != nil {
		m.idle.Stop()
	}
	if i := slices.Index(g.members, m); i >= 0 {
		g.members = slices.Delete(g.members, i, i+1)
	}
	return true
}

// calmAfter is how long a worker must have lived for its crash to count as the
// first.
const calmAfter = time.Minute

// drop removes a member that is lost. The first to notice does so: a call that
// lost its connection, or the watcher of Done. It tells whether this was news,
// to a group that is still in use.
func (g *group) drop(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.remove(m) || g.closed {
		return false
	}
	now := time.Now()
	if now.Sub(m.since) > calmAfter {
		g.crashes = 0
	}
	g.crashed(now, nil)
	return true
}

// crashed counts a crash, sets the pause before the next start, and sees to those
// that wait. The caller holds mu.
func (g *group) crashed(now time.Time, err error) {
	g.crashes++
	g.lastErr = err
	pause := Backoff(g.crashes, g.cfg.BackoffBase, g.cfg.BackoffMax)
	g.retryAt = now.Add(pause)
	if g.live() == 0 && g.starting == 0 {
		switch {
		case err != nil: // it did not start: that is the answer
			g.refuse(err)
		case pause > 0:
			g.refuse(g.pausing(pause))
		}
	}
	g.grow()
	if g.kept != nil && pause > 0 {
		time.AfterFunc(pause, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.grow()
		})
	}
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

// load makes a member ready for a model, and tells whether that took a load.
func (g *group) load(ctx context.Context, m *member, mod worker.Model) (loaded bool, err error) {
	g.mu.Lock()
	t := m.loads[mod.ID]
	if t == nil {
		t = &task{done: make(chan struct{})}
		m.loads[mod.ID] = t
		go g.loadInto(m, mod, t)
	}
	g.mu.Unlock()
	select {
	case <-t.done:
		return false, t.err
	default:
	}
	select {
	case <-t.done:
		return true, t.err
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

func (g *group) loadInto(m *member, mod worker.Model, t *task) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.StartLimit)
	defer cancel()
	start := time.Now()
	f, err := m.replica.Engine().Load(ctx, mod)
	t.err = err
	switch {
	case err == nil:
		g.cfg.Log.InfoContext(ctx, "model loaded", "model", mod.ID, "label", g.label, "seconds", time.Since(start).Seconds(), "bytes", f.Host)
	case wire.IsLost(err):
		g.drop(m)
	default:
		g.unloadable(m, mod, err)
	}
	if err != nil {
		g.cfg.Log.WarnContext(ctx, "model not loaded", "model", mod.ID, "label", g.label, "cause", err)
	}
	close(t.done)
}

// unloadable makes the next call load again. Code that does not load is started
// afresh, after a pause that grows: it may have left things behind.
func (g *group) unloadable(m *member, mod worker.Model, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(m.loads, mod.ID)
	if !g.policy.Once || m.gone || g.closed {
		return
	}
	g.dismiss(m)
	g.crashed(time.Now(), err)
}

// forget makes the next call load the model again.
func (g *group) forget(m *member, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(m.loads, id)
}

func (g *group) unload(ctx context.Context, id string) error {
	g.mu.Lock()
	var holders []*member
	for _, m := range g.members {
		if _, loaded := m.loads[id]; loaded {
			delete(m.loads, id)
			holders = append(holders, m)
		}
	}
	g.mu.Unlock()
	var first error
	for _, m := range holders {
		if err := m.replica.Engine().Unload(ctx, id); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// keep holds replicas warm; see Fleet.Keep.
func (g *group) keep(w Work) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	if w.Policy.Min == 0 {
		g.kept = nil
		return
	}
	g.kept = &w
	g.policy, g.code = w.Policy, w.Code
	g.grow()
	for _, m := range g.members {
		g.warm(m, w)
	}
}

// warm loads what a kept member is kept for. The caller holds mu.
func (g *group) warm(m *member, w Work) {
	if m.leaving || m.loads[w.Model.ID] != nil {
		return
	}
	t := &task{done: make(chan struct{})}
	m.loads[w.Model.ID] = t
	go g.loadInto(m, w.Model, t)
}

// retire ends the replicas after what they work on; see Fleet.Retire.
func (g *group) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = nil
	for _, m := range slices.Clone(g.members) {
		g.dismiss(m)
	}
	g.serve()
}
