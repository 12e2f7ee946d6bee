package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// group is the replicas of one label and the calls that wait for them.
//
//	        start            crash
//	none ----------> live ----------> gone     again at once after the first crash,
//	  \--- adopt ---->/ \--> leaving -->/      then after a pause that doubles
//	                     idle, retired
//
// All state changes under mu. A call takes a slot of a member and gives it back;
// where there is none free it waits in line, and whoever frees a slot hands it to
// the first in line. What takes time (starting, loading, stopping) is done in
// goroutines of its own with a deadline of its own, so that a caller who leaves
// does not spoil it for the others.
type group struct {
	label string
	cfg   *Config
	busy  *sync.WaitGroup // of the Fleet

	mu       sync.Mutex
	policy   Policy
	code     *Code // of the last call or Keep
	members  []*member
	starting int
	line     []*waiter
	kept     *Work     // what Keep asked for
	crashes  int       // in a row
	lastErr  error     // of the last of them
	retryAt  time.Time // no start before
	closed   bool
}

// member is a live replica.
type member struct {
	replica Replica
	since   time.Time        // live for so long
	loads   map[string]*task // of models into it, finished ones too
	running int              // calls that hold a slot
	leaving bool             // gets no more calls, and ends after those it has
	gone    bool             // dropped: dead, or being stopped
	idle    *time.Timer
}

// task is work done once for many: wait for done, then read err.
type task struct {
	done chan struct{}
	err  error
}

// waiter is a call in line. got takes exactly one grant.
type waiter struct {
	got chan grant
}

type grant struct {
	m   *member
	err error
}

// want is what a call asks of a group.
type want struct {
	policy Policy
	code   *Code
	again  bool // it has waited before: it goes to the head of the line
}

func newGroup(label string, cfg *Config, busy *sync.WaitGroup) *group {
	return &group{label: label, cfg: cfg, busy: busy}
}

// slots gives how many calls a member works on at once. The caller holds mu.
func (g *group) slots() int {
	if g.policy.Slots > 0 {
		return g.policy.Slots
	}
	return g.cfg.Slots
}

// acquire takes a slot of a member, waiting in line for it; release gives it
// back. cold says that there was no replica when the call came. It refuses at
// once where too many wait already.
func (g *group) acquire(ctx context.Context, w want) (m *member, cold bool, err error) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil, false, shuttingDown()
	}
	g.policy, g.code = w.policy, w.code
	if m := g.free(); m != nil {
		g.take(m)
		g.mu.Unlock()
		return m, false, nil
	}
	cold = g.live() == 0
	if err := g.admit(w); err != nil {
		g.mu.Unlock()
		return nil, cold, err
	}
	wait := &waiter{got: make(chan grant, 1)}
	if w.again {
		g.line = slices.Insert(g.line, 0, wait)
	} else {
		g.line = append(g.line, wait)
	}
	g.grow()
	g.mu.Unlock()
	select {
	case got := <-wait.got:
		return got.m, cold, got.err
	case <-ctx.Done():
		g.leave(wait)
		return nil, cold, ctx.Err()
	}
}

// free gives a member with a free slot: the one that has had most to do, so that
// those that are not needed become idle. The caller holds mu.
func (g *group) free() *member {
	n := g.slots()
	for _, m := range g.members {
		if m.running < n && !m.leaving {
			return m
		}
	}
	return nil
}

// take gives a call a slot of m. The caller holds mu.
func (g *group) take(m *member) {
	m.running++
	if m.idle != nil {
		m.idle.Stop()
	}
}

// admit refuses a call where too many are in line, or where no replica may be
// started for it. The caller holds mu.
func (g *group) admit(w want) error {
	if room := g.cfg.Queue + g.starting*g.slots(); len(g.line) >= room && g.starting+g.live() > 0 && !w.again {
		e := stoa.Errorf(stoa.Busy, "%d calls wait for %s already", g.cfg.Queue, g.label)
		e.RetryAfter = time.Second
		return e
	}
	if g.live() > 0 || g.starting > 0 {
		return nil
	}
	if wait := time.Until(g.retryAt); wait > 0 {
		return g.pausing(wait)
	}
	return nil
}

// pausing is the error of a call that comes in the pause after crashes.
func (g *group) pausing(wait time.Duration) error {
	e := stoa.Wrap(stoa.Unavailable, g.lastErr, "the worker of %s crashed %d times in a row; the next try is in %s", g.label, g.crashes, wait.Round(time.Millisecond))
	if last := stoa.AsError(g.lastErr); last != nil && last.Kind == stoa.Failed { // the author's own: he should read it
		e.Msg += ": " + last.Msg
	}
	e.Type, e.RetryAfter = "WorkerCrashed", wait
	return e
}

// leave takes a call out of the line. One that was just given a slot gives it
// back.
func (g *group) leave(w *waiter) {
	g.mu.Lock()
	if i := slices.Index(g.line, w); i >= 0 {
		g.line = slices.Delete(g.line, i, i+1)
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	if got := <-w.got; got.m != nil {
		g.release(got.m, false)
	}
}

// release gives a slot back: to the first in line, or for later. ok says that
// the call was answered, which ends a row of crashes.
func (g *group) release(m *member, ok bool) { //nolint:revive // how the call ended, and no choice of the caller
	g.mu.Lock()
	defer g.mu.Unlock()
	if ok {
		g.crashes = 0
	}
	m.running--
	g.serve()
	if m.running > 0 || m.gone {
		return
	}
	if m.leaving {
		g.end(m)
		return
	}
	g.rest(m)
}

// serve hands free slots to those in line. The caller holds mu.
func (g *group) serve() {
	for len(g.line) > 0 {
		m := g.free()
		if m == nil {
			g.grow()
			return
		}
		g.take(m)
		w := g.line[0]
		g.line = slices.Delete(g.line, 0, 1)
		w.got <- grant{m: m}
	}
}

// refuse ends the waiting of all in line. The caller holds mu.
func (g *group) refuse(err error) {
	for _, w := range g.line {
		w.got <- grant{err: err}
	}
	g.line = nil
}

func (g *group) status() []Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Status
	for i, m := range g.members {
		s := Status{Handle: m.replica.Handle(), Running: m.running}
		if i == 0 {
			s.Queued = len(g.line)
		}
		for id := range m.loads {
			s.Models = append(s.Models, id)
		}
		out = append(out, s)
	}
	return out
}

// close takes the live replicas out, and refuses calls from then on.
func (g *group) close() []Replica {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.kept = true, nil
	g.refuse(shuttingDown())
	var out []Replica
	for _, m := range g.members {
		m.gone = true
		if m.idle != nil {
			m.idle.Stop()
		}
		out = append(out, m.replica)
	}
	g.members = nil
	return out
}
