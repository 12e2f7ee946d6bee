package wire

import (
	"context"
	"sync"
	"time"
)

// watcher looks, during calls that take long, whether their callers are still
// there. Most calls are over before it looks, and a timer for each would cost
// more than they do: arming one wakes a thread. One ticker serves all calls,
// and rests when there are none.
type watcher struct {
	mu      sync.Mutex
	calls   map[*serverConn]struct{}
	begun   int // calls, ever
	ticking bool
}

// watch is the state of one call, guarded by watcher.mu.
type watch struct {
	cancel  func() // ends the call
	old     bool   // it has seen a tick
	looking chan struct{}
}

const (
	watchEvery = 10 * time.Millisecond
	watchRest  = 100 // ticks without a new call, after which the ticker stops
)

func (w *watcher) begin(c *serverConn, cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[*serverConn]struct{}{}
	}
	c.watch = watch{cancel: cancel}
	w.calls[c] = struct{}{}
	w.begun++
	if !w.ticking {
		w.ticking = true
		go w.tick()
	}
}

// end stops the looking, so that the connection can be read again. A deadline
// that the end of ctx has set stays.
func (w *watcher) end(ctx context.Context, c *serverConn) {
	w.mu.Lock()
	delete(w.calls, c)
	looking := c.watch.looking
	w.mu.Unlock()
	if looking == nil {
		return
	}
	_ = c.conn.SetReadDeadline(past)
	<-looking
	_ = c.conn.SetReadDeadline(time.Time{})
	if ctx.Err() != nil { // the deadline that this set is the one that was just lifted
		_ = c.conn.SetReadDeadline(past)
	}
}

func (w *watcher) tick() {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	seen, quiet := 0, 0
	for range t.C {
		w.mu.Lock()
		for c := range w.calls {
			switch {
			case !c.watch.old:
				c.watch.old = true
			case c.watch.looking == nil:
				c.watch.looking = make(chan struct{})
				go c.look(c.watch.cancel, c.watch.looking)
			}
		}
		quiet++
		if w.begun != seen || len(w.calls) > 0 {
			seen, quiet = w.begun, 0
		}
		if quiet >= watchRest {
			w.ticking = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

// look waits for the caller to close the connection. Nothing may come during a
// call, so that it ends with the connection, or by a deadline.
func (c *serverConn) look(cancel func(), done chan<- struct{}) {
	defer close(done)
	if _, err := c.r.Peek(1); err == nil || !isTimeout(err) {
		cancel()
	}
}
