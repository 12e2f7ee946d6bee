package runnertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
)

func (t *trial) text() error {
	return errors.Join(t.comes(text("hello")), t.comes(text("")))
}

func (t *trial) letters() error {
	return t.comes(text("\"quoted\" \\ back\\slash, tab\t, line\nend, Grüße, 世界, 🙂, separator \u2028 end"))
}

func (t *trial) json() error {
	for _, s := range []string{`{"a":[1,2.5,null,true,"é"],"b":{}}`, `"a string"`, `[]`, `null`} {
		if err := t.comes(stoa.Value{Type: stoa.JSON, Data: []byte(s)}); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (t *trial) binary() error {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return errors.Join(
		t.comes(stoa.Value{Type: stoa.Binary, Data: bytes.Repeat(all, 5)}),
		t.comes(stoa.Value{Type: stoa.Binary, Data: []byte{}}),
	)
}

func (t *trial) void() error {
	res, err := t.answer(stoa.Value{Type: stoa.Void})
	if err != nil {
		return err
	}
	if v := res.Value; v.Type != stoa.Void && string(v.Data) != "null" {
		return fmt.Errorf("%s %.60q came back, where void or JSON null is expected", v.Type, v.Data)
	}
	return nil
}

func (t *trial) large() error {
	if err := t.comes(text(strings.Repeat("0123456789abcdeé", BigSize/17))); err != nil {
		return err
	}
	if err := t.comes(stoa.Value{Type: stoa.Binary, Data: bytes.Repeat([]byte{0, 1, 2, 255}, BigSize/4)}); err != nil {
		return err
	}
	res, err := t.answer(text(AskBig))
	if err != nil {
		return err
	}
	return same(text(strings.Repeat("x", BigSize)), res.Value)
}

func (t *trial) many() error {
	for i := range 100 {
		if t.s.Input.Type != "" {
			if _, err := t.answer(t.s.Input); err != nil {
				return fmt.Errorf("call %d: %w", i+1, err)
			}
			continue
		}
		if err := t.comes(text(fmt.Sprintf("call %d", i+1))); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) raises() error {
	res, err := t.call(text(AskError))
	if err != nil {
		return err
	}
	e := stoa.AsError(res.Err)
	switch {
	case e == nil:
		return fmt.Errorf("it answered %.60q to %s", res.Value.Data, AskError)
	case e.Type == runner.SystemExit || e.Type == runner.ProtocolError:
		return fmt.Errorf("an error ended the program: %s: %s%s", e.Type, e.Msg, said(res))
	case !strings.Contains(e.Msg, AskError):
		return fmt.Errorf("the message is %.100q, without %q", e.Msg, AskError)
	case e.Type == "":
		return errors.New("the error has no type")
	}
	if err := t.comes(text("and on")); err != nil {
		return fmt.Errorf("the call after an error: %w", err)
	}
	return nil
}

// said gives what a call has printed to standard error, for a message.
func said(res stoa.Result) string {
	if s := strings.TrimSpace(res.Stderr); s != "" {
		return "\n" + s
	}
	return ""
}

func (t *trial) prints() error {
	for range 20 {
		res, err := t.answer(text(AskPrint))
		if err != nil {
			return err
		}
		if err := errors.Join(printed("standard output", res.Stdout, PrintedOut), printed("standard error", res.Stderr, PrintedErr)); err != nil {
			return err
		}
		if res, err = t.answer(text("quiet")); err != nil {
			return err
		}
		if res.Stdout+res.Stderr != "" {
			return fmt.Errorf("a call that prints nothing has %.60q: flush before the answer", res.Stdout+res.Stderr)
		}
	}
	return nil
}

func printed(stream, got, want string) error {
	if strings.TrimRight(got, "\r\n") == want {
		return nil
	}
	return fmt.Errorf("%s of the call is %.60q, and should be a line %q: flush before the answer", stream, got, want)
}

func (t *trial) floods() error {
	res, err := t.answer(text(AskFlood))
	if err != nil {
		return err
	}
	if n := len(res.Stdout); n < runner.DefaultLog || n > 2*runner.DefaultLog || !strings.Contains(res.Stdout[n-80:], "more bytes were not kept") {
		return fmt.Errorf("%d bytes of its output were kept, where it should have printed %d", n, FloodSize)
	}
	return t.comes(text("and on"))
}

func (t *trial) atOnce() error {
	n := t.s.Program.Concurrency
	if t.s.Program.Protocol == runner.Pipe {
		return notApplicableError("the pipe protocol has one call at a time")
	}
	if n < 2 {
		return notApplicableError("its concurrency is 1")
	}
	if err := t.start(); err != nil {
		return err
	}
	n = min(n, 8)
	start := time.Now()
	errs := make([]error, 2*n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[2*i] = t.answer(text(AskSleep)) })
		wg.Go(func() { errs[2*i+1] = t.comes(text(strings.Repeat(string(rune('a'+i)), 10_000))) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// One after the other they would take n times the sleep; halfway is neither.
	if took := time.Since(start); took > time.Duration(n+1)*SleepTime/2 {
		return fmt.Errorf("%d calls that each sleep %s took %s: they were not worked on at once", n, SleepTime, took.Round(time.Millisecond))
	}
	return nil
}

func (t *trial) givesUp() error {
	if err := t.start(); err != nil {
		return err
	}
	// As many as it takes at once, so that the next call needs one of them ended.
	errs := make([]error, max(t.s.Program.Concurrency, 1))
	if t.s.Program.Protocol == runner.Pipe {
		errs = errs[:1]
	}
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.ctx, SleepTime/5)
			defer cancel()
			if res := t.r.Run(ctx, runner.Call{Input: text(AskSleep)}); !errors.Is(res.Err, context.DeadlineExceeded) {
				errs[i] = errors.Join(fmt.Errorf("it ended before %s: %.60q", SleepTime/5, res.Value.Data), res.Err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range 3 {
		if err := t.comes(text(fmt.Sprintf("mine %d", i))); err != nil {
			return fmt.Errorf("the next call: %w", err)
		}
	}
	return nil
}

func (t *trial) exits() error {
	res, err := t.call(text(AskExit))
	if err != nil {
		return err
	}
	e := stoa.AsError(res.Err)
	if e == nil {
		return fmt.Errorf("it answered %.60q to %s", res.Value.Data, AskExit)
	}
	if want := fmt.Sprintf("exited with code %d", ExitCode); e.Type != runner.SystemExit || e.Msg != want {
		return fmt.Errorf("it ended with %s: %s, where %s: %s is expected", e.Type, e.Msg, runner.SystemExit, want)
	}
	<-t.r.Done()
	return nil
}

func (t *trial) stops() error {
	if err := t.start(); err != nil {
		return err
	}
	r := t.r
	t.end()
	if end := r.Err().Error(); end != "exited with code 0" {
		return fmt.Errorf("it ended so: %s; it has %s to end by itself, with code 0", end, runner.StopTime)
	}
	return nil
}
