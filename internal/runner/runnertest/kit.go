// Package runnertest is the conformance kit of programs that speak a runner
// protocol: what stoa runner-test tries, and a program that passes it. The
// program that is tried echoes its input, and does what a text asks it to where
// that begins with "stoa:" (see AskError and its like).
package runnertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
)

// Subject is a program to be tried.
type Subject struct {
	Program runner.Program
	// Folder is for its FIFO or socket. "": /tmp for the pipe protocol, where
	// programs look for their FIFO, and a folder of its own for frames.
	Folder string
	// Input is for a program that is no echo: only what can be said of any is
	// tried, with this. Type "": it is one.
	Input stoa.Value
	// Load is how long it may take to become ready, Call how long to answer;
	// default a minute and 30 s.
	Load, Call time.Duration
}

// Outcome says how a check ended.
type Outcome string

// The outcomes.
const (
	OK            Outcome = "ok"
	Failed        Outcome = "failed"
	NotApplicable Outcome = "not applicable"
)

// Check is one line of the report.
type Check struct {
	Name    string        `json:"name"`
	Outcome Outcome       `json:"outcome"`
	Reason  string        `json:"reason,omitempty"`
	Took    time.Duration `json:"took"`
}

// check is one thing to try. Those without echo can be asked of any program.
type check struct {
	name string
	any  bool
	try  func(*trial) error
}

var checks = []check{
	{"becomes ready", true, (*trial).ready},
	{"answers the input that was given", true, (*trial).given},
	{"text comes back", false, (*trial).text},
	{"text beyond ASCII comes back", false, (*trial).letters},
	{"JSON comes back", false, (*trial).json},
	{"bytes come back", false, (*trial).binary},
	{"nothing comes back", false, (*trial).void},
	{"1 MiB comes back", false, (*trial).large},
	{"100 calls, each its answer", true, (*trial).many},
	{"an error has message and type", false, (*trial).raises},
	{"what is printed is the call's", false, (*trial).prints},
	{"10 MiB printed do not block", false, (*trial).floods},
	{"calls at once", false, (*trial).atOnce},
	{"a call that is given up does not disturb the next", false, (*trial).givesUp},
	{"the end in a call is seen", false, (*trial).exits},
	{"stops when asked", true, (*trial).stops},
}

// Exercise tries a program and reports each check when it is done. It gives how
// many failed; the error is one of this machine.
func Exercise(ctx context.Context, s Subject, report func(Check)) (failed int, err error) {
	if s.Load == 0 {
		s.Load = time.Minute
	}
	if s.Call == 0 {
		s.Call = 30 * time.Second
	}
	free, err := s.prepare()
	if err != nil {
		return 0, err
	}
	defer free()
	t := &trial{ctx: ctx, s: &s}
	defer t.end()
	for _, c := range checks {
		if err := ctx.Err(); err != nil {
			return failed, err
		}
		start := time.Now()
		r := Check{Name: c.name, Outcome: OK}
		err := error(notApplicableError("this is no echo program: it was given an input"))
		if c.any || s.Input.Type == "" {
			err = c.try(t)
		}
		if why, ok := errors.AsType[notApplicableError](err); ok {
			r.Outcome, r.Reason = NotApplicable, string(why)
		} else if err != nil {
			r.Outcome, r.Reason = Failed, err.Error()
			failed++
			t.end() // the next one starts with a fresh program
		}
		r.Took = time.Since(start)
		report(r)
		if t.never {
			break
		}
	}
	return failed, nil
}

// prepare makes the folder. Two programs that look for the same FIFO are tried
// one after the other.
func (s *Subject) prepare() (free func(), err error) {
	switch {
	case s.Folder != "":
		return func() {}, nil
	case s.Program.Protocol == runner.Frames:
		if s.Folder, err = os.MkdirTemp("", "stoa-runner-test"); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "a folder for the socket cannot be made: %v", err)
		}
		return func() { _ = os.RemoveAll(s.Folder) }, nil
	}
	s.Folder = "/tmp"
	lock, err := os.OpenFile(fmt.Sprintf("/tmp/stoa-runner-test-%d.lock", os.Getuid()), os.O_CREATE|os.O_RDONLY|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the lock for /tmp/algoout cannot be opened: %v", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the lock for /tmp/algoout cannot be taken: %v", err)
	}
	return func() { _ = lock.Close() }, nil
}

// notApplicableError is the reason why a check was not made.
type notApplicableError string

func (n notApplicableError) Error() string { return string(n) }

// trial is a program under test, started when it is needed.
type trial struct {
	ctx   context.Context // a trial lasts as long as one Exercise
	s     *Subject
	r     *runner.Runner
	never bool // it does not become ready: there is nothing more to try
}

func (t *trial) start() error {
	if t.r != nil {
		select {
		case <-t.r.Done():
			t.r = nil
		default:
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.s.Load)
	defer cancel()
	r, err := runner.Start(ctx, t.s.Program, runner.Config{Folder: t.s.Folder})
	if err != nil {
		t.never = true
		return describe(err)
	}
	t.r = r
	return nil
}

func (t *trial) end() {
	if t.r != nil {
		t.r.Close(t.ctx)
		t.r = nil
	}
}

// describe gives an error with the trace of the author's code.
func describe(err error) error {
	e := stoa.AsError(err)
	return errors.New(strings.TrimPrefix(e.Type+": "+e.Msg, ": ") + strings.TrimRight("\n"+e.Stack, "\n"))
}

// call makes one call.
func (t *trial) call(in stoa.Value) (stoa.Result, error) {
	if err := t.start(); err != nil {
		return stoa.Result{}, err
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.s.Call)
	defer cancel()
	res := t.r.Run(ctx, runner.Call{Input: in, Request: "runner-test", Left: t.s.Call})
	if errors.Is(res.Err, context.DeadlineExceeded) {
		return res, fmt.Errorf("no answer after %s", t.s.Call)
	}
	return res, nil
}

// answer makes one call that must be answered.
func (t *trial) answer(in stoa.Value) (stoa.Result, error) {
	res, err := t.call(in)
	if err == nil && res.Err != nil {
		err = describe(res.Err)
	}
	return res, err
}

// comes wants the input back.
func (t *trial) comes(in stoa.Value) error {
	res, err := t.answer(in)
	if err != nil {
		return err
	}
	return same(in, res.Value)
}

func text(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }

func same(want, got stoa.Value) error {
	if got.Type != want.Type {
		return fmt.Errorf("%s %.60q came back as %s %.60q", want.Type, want.Data, got.Type, got.Data)
	}
	if want.Type == stoa.JSON {
		var a, b any
		if json.Unmarshal(want.Data, &a) == nil && json.Unmarshal(got.Data, &b) == nil && fmt.Sprint(a) == fmt.Sprint(b) {
			return nil // spaces and the order of keys are free
		}
	} else if string(want.Data) == string(got.Data) {
		return nil
	}
	if len(want.Data) <= 60 && len(got.Data) <= 60 {
		return fmt.Errorf("%q came back as %q", want.Data, got.Data)
	}
	at := 0
	for at < len(want.Data) && at < len(got.Data) && want.Data[at] == got.Data[at] {
		at++
	}
	return fmt.Errorf("%d bytes went in and %d came back, different from byte %d on: want %.40q, got %.40q",
		len(want.Data), len(got.Data), at, want.Data[at:], got.Data[at:])
}

func (t *trial) ready() error { return t.start() }

func (t *trial) given() error {
	if t.s.Input.Type == "" {
		return notApplicableError("this is an echo program: no input was given")
	}
	res, err := t.answer(t.s.Input)
	if err == nil && strings.HasPrefix(string(res.Value.Data), "{\"error\"") {
		err = fmt.Errorf("it answered %.100q", res.Value.Data)
	}
	return err
}
