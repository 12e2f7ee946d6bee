package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// call is a Call on its way.
type call struct {
	Call
	number uint64
	done   chan struct{} // its answer is there

	value          stoa.Value
	err            error
	stdout, stderr string

	printed record      // guarded by logs.mu
	given   bool        // given up; guarded by Runner.mu
	timer   *time.Timer // kills the program if it does not answer nevertheless
	parts   []byte      // chunks that came, which belong to who reads answers
	size    int64       // of all parts, those that were not kept included
}

// Run makes the program answer one call, and waits for a place where as many are
// under way as the program takes. When ctx ends first, the call is given up: its
// result is the context's error. The error is NotFound where the program ended
// before it was told of the call, which another may then answer. The result's
// data is the caller's alone, who may give it to package buffer when it is done.
func (r *Runner) Run(ctx context.Context, in Call) stoa.Result {
	c := &call{Call: in, done: make(chan struct{}, 1)}
	if err := r.begin(ctx, c); err != nil {
		return stoa.Result{Err: err}
	}
	start := time.Now()
	if err := r.talk.send(ctx, c); err != nil {
		r.answered(c, stoa.Value{}, err)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if r.giveUp(c) {
			c.err = ctx.Err()
		} else {
			<-c.done // the answer was faster
		}
	}
	return stoa.Result{
		Value: c.value, Err: c.err, Stdout: c.stdout, Stderr: c.stderr,
		Usage: stoa.Usage{Compute: max(time.Since(start), 1), BatchSize: 1},
	}
}

// begin takes a place and a number.
func (r *Runner) begin(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
	default:
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return r.gone()
		}
	}
	r.mu.Lock()
	if r.doomed {
		r.mu.Unlock()
		<-r.slots
		select { // others still end
		case <-r.done:
			return r.gone()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.last++
	c.number = r.last
	r.calls[c.number] = c
	r.live++
	r.mu.Unlock()
	r.logs.begin(c)
	return nil
}

// gone is the error of a call that the program was never told of.
func (r *Runner) gone() error {
	return stoa.Errorf(stoa.NotFound, "the program runs no more: %v", r.Err())
}

// find gives the call of a number; nil where there is none under way.
func (r *Runner) find(number uint64) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[number]
}

// wanted tells whether somebody still waits for a call.
func (r *Runner) wanted(c *call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !c.given
}

// answered ends a call.
func (r *Runner) answered(c *call, v stoa.Value, err error) {
	r.mu.Lock()
	if r.calls[c.number] != c {
		r.mu.Unlock()
		return
	}
	delete(r.calls, c.number)
	given := c.given
	if !given {
		r.live--
	}
	kill := r.doomed && r.live == 0
	r.mu.Unlock()
	if given {
		c.timer.Stop()
		r.logs.settle()
	} else {
		c.value, c.err = v, err
		c.stdout, c.stderr = r.logs.end(c)
		c.explain()
	}
	<-r.slots
	if kill {
		r.process.kill()
	}
	c.done <- struct{}{}
}

// explain gives the end of the program in a call what it printed last: most
// languages say there what was wrong.
func (c *call) explain() {
	e, ok := errors.AsType[*stoa.Error](c.err)
	if !ok || e.Type != SystemExit || e.Stack != "" || c.stderr == "" {
		return
	}
	told := *e // others have the same
	told.Stack = strings.ToValidUTF8(c.stderr[max(len(c.stderr)-recentSize, 0):], "")
	c.err = &told
}

// giveUp lets go of a call. Its place is free again when the program has
// answered it nevertheless, for which it has the grace.
func (r *Runner) giveUp(c *call) bool {
	r.mu.Lock()
	if r.calls[c.number] != c {
		r.mu.Unlock()
		return false
	}
	c.given = true
	r.live--
	c.timer = time.AfterFunc(r.cfg.Grace, func() { r.overstayed(c) })
	kill := r.doomed && r.live == 0
	r.mu.Unlock()
	c.stdout, c.stderr = r.logs.giveUp(c)
	if kill {
		r.process.kill()
	}
	go r.talk.stop(c)
	return true
}

// overstayed condemns a program that did not come back from a call. Other calls
// that it works on may end first.
func (r *Runner) overstayed(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[c.number] != c || r.doomed {
		return
	}
	r.doomed, r.reason = true, r.stuck()
	if r.live == 0 {
		r.process.kill()
		return
	}
	time.AfterFunc(overstay*r.cfg.Grace, r.process.kill)
}

func (r *Runner) stuck() *stoa.Error {
	return &stoa.Error{
		Kind: stoa.Failed, Type: SystemExit,
		Msg: fmt.Sprintf("was killed: a call that was given up did not end within %s", r.cfg.Grace),
	}
}

// watchWrite is for a message that the program may be slow to read. It must be
// written to its end, or the next would be part of it: when ctx ends first, the
// program has the grace to read on before it is killed, which ends the writing
// too.
func (r *Runner) watchWrite(ctx context.Context) (done func()) {
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(r.cfg.Grace)
		defer t.Stop()
		select {
		case <-t.C:
			r.fail(r.stuck())
		case <-written:
		}
	})
	return func() {
		stop()
		close(written)
	}
}

// overstay is how many times the grace other calls have at most, once the
// program is condemned for one of them.
const overstay = 10

// fail ends the program, for a reason of ours.
func (r *Runner) fail(reason *stoa.Error) {
	r.mu.Lock()
	r.doomed = true
	if r.reason == nil {
		r.reason = reason
	}
	r.mu.Unlock()
	r.process.kill()
}

// lost is called when the program has closed its end of the connection, which it
// does by ending, as a rule.
func (r *Runner) lost(what string) {
	t := time.NewTimer(hangUp)
	defer t.Stop()
	select {
	case <-r.process.exited:
	case <-t.C:
		r.mu.Lock()
		stopping := r.stopping
		r.mu.Unlock()
		if stopping { // whoever stops it has a limit of his own
			return
		}
		r.fail(&stoa.Error{Kind: stoa.Failed, Type: ProtocolError, Msg: "the program closed its " + what + ", and did not end"})
	}
}

// hangUp is how long a program may live without a connection: long enough for an
// interpreter's end.
const hangUp = time.Second

// wait waits for the program's end, and ends what depends on it.
func (r *Runner) wait() {
	r.process.wait()
	r.talk.close()
	end := r.process.ending()
	r.mu.Lock()
	r.doomed = true
	r.err = end
	var cause, loading error = &stoa.Error{Kind: stoa.Failed, Type: SystemExit, Msg: end.Error()}, end
	if r.reason != nil {
		cause, loading, r.err = r.reason, r.reason, errors.New(r.reason.Msg)
	}
	calls := make([]*call, 0, len(r.calls))
	for _, c := range r.calls {
		calls = append(calls, c)
	}
	r.mu.Unlock()
	r.logs.ready() // takes what is still in the pipes
	r.load(loading)
	close(r.done) // before the calls end: who hears of that may look
	for _, c := range calls {
		r.answered(c, stoa.Value{}, cause)
	}
	r.logs.close()
}

// Done is closed when the program has ended.
func (r *Runner) Done() <-chan struct{} { return r.done }

// Err says how the program ended, such as "exited with code 1". It is nil before
// Done is closed.
func (r *Runner) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close asks the program to end, and kills it after StopTime or when ctx ends.
// Calls under way are not waited for.
func (r *Runner) Close(ctx context.Context) {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	go r.talk.stop(nil)
	t := time.NewTimer(StopTime)
	defer t.Stop()
	select {
	case <-r.done:
		return
	case <-t.C:
	case <-ctx.Done():
	}
	r.process.kill()
	<-r.done
}

// turn is a lock that can be waited for as long as a context lasts.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }
