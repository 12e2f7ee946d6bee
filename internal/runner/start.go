package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// Start starts a program and waits until it is ready for calls; its Load
// and the deadline of ctx are the limits on that. A program that does not become ready is killed, and
// the error says why: LoadingError, or the type that the author's code gives.
// The Runner must be closed.
func Start(ctx context.Context, p Program, cfg Config) (*Runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := complete(&p, &cfg); err != nil {
		return nil, err
	}
	r := &Runner{
		program: p, cfg: cfg, logs: newLogs(&p, &cfg), began: time.Now(),
		slots: make(chan struct{}, p.Concurrency), loaded: make(chan error, 1), done: make(chan struct{}),
		loading: true, calls: map[uint64]*call{},
	}
	if err := r.spawn(); err != nil {
		return nil, err
	}
	late := ctx
	if p.Load > 0 {
		var cancel context.CancelFunc
		late, cancel = context.WithTimeout(ctx, p.Load)
		defer cancel()
	}
	var err error
	select {
	case err = <-r.loaded:
	case <-late.Done():
		err = late.Err()
	}
	if err == nil {
		return r, nil
	}
	r.process.kill()
	<-r.done // what it has printed is all there now
	return nil, r.loadFailure(err)
}

// complete checks a program and gives what was left out its default.
func complete(p *Program, cfg *Config) error {
	switch {
	case len(p.Command) == 0 || p.Command[0] == "":
		return stoa.Errorf(stoa.Invalid, "command: name the program to start")
	case p.Protocol != Pipe && p.Protocol != Frames:
		return stoa.Errorf(stoa.Invalid, "protocol: %.40q is neither %s nor %s", p.Protocol, Pipe, Frames)
	case p.Concurrency < 0 || p.Concurrency > MaxConcurrency:
		return stoa.Errorf(stoa.Invalid, "concurrency: %d is not from 1 to %d", p.Concurrency, MaxConcurrency)
	case p.Load < 0:
		return stoa.Errorf(stoa.Invalid, "load: %s is no time to become ready in", p.Load)
	case p.Output < 0 || p.Output > MaxOutput:
		return stoa.Errorf(stoa.Invalid, "output: %d is not from 1 to %d bytes", p.Output, MaxOutput)
	case p.Log < 0 || p.Log > MaxOutput:
		return stoa.Errorf(stoa.Invalid, "log: %d is not from 1 to %d bytes", p.Log, MaxOutput)
	}
	if p.Concurrency == 0 || p.Protocol == Pipe {
		p.Concurrency = 1
	}
	if p.Output == 0 {
		p.Output = DefaultOutput
	}
	if p.Log == 0 {
		p.Log = DefaultLog
	}
	if cfg.Folder == "" {
		cfg.Folder = "/tmp"
	}
	if cfg.Grace == 0 {
		cfg.Grace = StopTime
	}
	return nil
}

// spawn starts the program and all that listens to it.
func (r *Runner) spawn() (err error) {
	var files [3]*os.File
	if r.program.Protocol == Pipe {
		r.talk, files[0], err = newPipe(r)
	} else {
		r.talk, err = newFrames(r)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			r.talk.close()
			r.logs.close()
		}
	}()
	for i, s := range []Stream{Stdout, Stderr} {
		if files[i+1], err = r.logs.pipe(s); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the program's %s cannot be made", s)
		}
	}
	env := append(r.talk.env(), "STOA_PROTOCOL="+r.program.Protocol, "STOA_CONCURRENCY="+strconv.Itoa(r.program.Concurrency))
	r.process, err = start(&r.program, env, &r.cfg, files)
	if err != nil {
		e := stoa.Wrap(stoa.Failed, err, "%s cannot be started: %v", r.program.Command[0], err)
		e.Type = LoadingError
		return e
	}
	go r.logs.read(Stdout)
	go r.logs.read(Stderr)
	go r.talk.listen()
	go r.wait()
	return nil
}

// load says what came of loading; only the first word counts.
func (r *Runner) load(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loading {
		r.loading = false
		r.loaded <- err
	}
}

// loadFailure gives the error of a program that did not become ready, with the
// end of what it printed.
func (r *Runner) loadFailure(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	said := r.logs.tail()
	var e *stoa.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e = stoa.Wrap(stoa.Failed, err, "the program was not ready after %s%s", time.Since(r.began).Round(time.Millisecond), lastLine(said))
	case errors.As(err, &e):
	default:
		e = stoa.Errorf(stoa.Failed, "the program %v before it was ready%s", err, lastLine(said))
	}
	if e.Type == "" {
		e.Type = LoadingError
	}
	if e.Stack == "" {
		e.Stack = said
	}
	return e
}

// lastLine gives the end of what was printed, for a message: it is where most
// languages say what was wrong.
func lastLine(said string) string {
	if said == "" {
		return "; it printed nothing"
	}
	line := said[strings.LastIndexByte(said, '\n')+1:]
	if len(line) > 500 {
		line = line[:500]
	}
	return fmt.Sprintf("; the last that it printed is: %s", strings.ToValidUTF8(line, ""))
}
