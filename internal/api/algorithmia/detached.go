package algorithmia

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// detached counts the calls that nobody waits for, so that there is a bound and
// a drain can wait for them.
type detached struct {
	limit int

	mu       sync.Mutex
	running  int
	draining bool
	idle     chan struct{} // closed when draining and none is running
}

// enter counts a call in; leave counts it out.
func (d *detached) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.draining:
		return &stoa.Error{Kind: stoa.Unavailable, Msg: "the server is going down: try again shortly", RetryAfter: 5 * time.Second}
	case d.running >= d.limit:
		return &stoa.Error{
			Kind: stoa.Busy, RetryAfter: time.Second,
			Msg: fmt.Sprintf("%d calls with output=void are under way already: try again shortly", d.running),
		}
	}
	d.running++
	return nil
}

func (d *detached) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.draining && d.running == 0 {
		close(d.idle)
	}
}

// drain lets nobody in any more.
func (d *detached) drain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.draining {
		d.draining = true
		if d.running == 0 {
			close(d.idle)
		}
	}
}

// Drain takes no more calls with output=void, and waits until those under way
// have ended or ctx has. It may be called more than once.
func (a *API) Drain(ctx context.Context) error {
	a.detached.drain()
	select {
	case <-a.detached.idle:
		return nil
	case <-ctx.Done():
		return stoa.Wrap(stoa.Timeout, ctx.Err(), "calls with output=void were still under way")
	}
}

// runDetached makes a call whose answer nobody waits for: only the log hears of
// it.
func (a *API) runDetached(ctx context.Context, c stoa.Call) {
	defer func() {
		if p := recover(); p != nil {
			a.log.LogAttrs(ctx, slog.LevelError, "detached call", slog.String("request_id", c.ID),
				slog.String("error", fmt.Sprintf("panic: %v\n%s", p, debug.Stack())))
		}
	}()
	res := a.cfg.Invoker.Invoke(ctx, c)
	attrs := []slog.Attr{
		slog.String("request_id", c.ID), slog.String("ref", c.Ref.String()),
		slog.String("account", c.Caller.Account), slog.Duration("compute", res.Usage.Compute),
	}
	level := slog.LevelInfo
	if res.Err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", res.Err.Error()))
	}
	a.log.LogAttrs(ctx, level, "detached call", attrs...)
}
