package shim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

// programs is the Engine of a replica, as package worker has the contract. It
// holds one program at a time.
type programs struct {
	cfg    runner.Config
	reaper *reaper
	log    io.Writer
	hello  engine.Hello

	turn chan struct{} // holds one while something is loaded or unloaded

	mu     sync.Mutex
	loaded *loaded
}

// loaded is a program that answers. Runs hold it for reading, its end for
// writing.
type loaded struct {
	sync.RWMutex
	id      string
	runner  *runner.Runner
	serial  bool
	cleared chan struct{} // it has ended, and so has what it left behind
}

func newPrograms(cfg runner.Config, r *reaper, log io.Writer, hello engine.Hello) *programs {
	return &programs{cfg: cfg, reaper: r, log: log, hello: hello, turn: make(chan struct{}, 1)}
}

// handle answers one call of the supervisor.
func (p *programs) handle(ctx context.Context, method uint8, body []byte) ([][]byte, error) {
	switch method {
	case engine.MethodHello:
		return engine.JSONReply(p.hello)
	case engine.MethodLoad:
		var l engine.Load
		if err := json.Unmarshal(body, &l); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the program to load cannot be read")
		}
		if l.Program == nil {
			return nil, stoa.Errorf(stoa.Unsupported, "%s has no program, and this worker runs nothing else", l.ID)
		}
		if err := p.load(ctx, l.ID, *l.Program); err != nil {
			return nil, err
		}
		return engine.JSONReply(engine.Footprint{Host: p.stats().Resident})
	case engine.MethodRun:
		run, err := engine.DecodeRun(body)
		if err != nil {
			return nil, err
		}
		results, err := p.run(ctx, run)
		if err != nil {
			return nil, err
		}
		return engine.EncodeResults(results), nil
	case engine.MethodUnload:
		return nil, p.unload(ctx, string(body))
	case engine.MethodStats:
		return engine.JSONReply(p.stats())
	}
	return nil, stoa.Errorf(stoa.Unsupported, "a code worker does not know method %d", method)
}

func (p *programs) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *programs) give() { <-p.turn }

func (p *programs) current() *loaded {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loaded
}

func (p *programs) set(l *loaded) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loaded = l
}

// load starts a program. What it holds is for as long as it lives: ctx is for
// the loading only.
func (p *programs) load(ctx context.Context, id string, prog runner.Program) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if l := p.current(); l != nil && !l.ended() {
		if l.id != id {
			return stoa.Errorf(stoa.Conflict, "this worker runs %s, and one program only", l.id)
		}
		return nil
	}
	return p.start(ctx, id, prog)
}

// ended tells whether the program has ended, and waits until all that it left
// behind is gone too.
func (l *loaded) ended() bool {
	select {
	case <-l.runner.Done():
		<-l.cleared
		return true
	default:
		return false
	}
}

func (p *programs) start(ctx context.Context, id string, prog runner.Program) error {
	cfg := p.cfg
	cfg.Loose = p.loose()
	pid := 0
	cfg.Start = func(c *command) error {
		err := p.reaper.start(c)
		if err == nil {
			pid = c.Process.Pid
		}
		return err
	}
	r, err := runner.Start(ctx, prog, cfg)
	if err != nil {
		p.reaper.ended(pid)
		return err
	}
	l := &loaded{
		id: id, runner: r, cleared: make(chan struct{}),
		serial: prog.Concurrency <= 1 || prog.Protocol == runner.Pipe,
	}
	p.set(l)
	go func() {
		<-r.Done()
		_, _ = fmt.Fprintf(p.log, "stoa-init: the program %s has ended: %v\n", id, r.Err()) // a log that cannot be written is no reason to stop
		p.reaper.ended(pid)
		p.mu.Lock()
		if p.loaded == l {
			p.loaded = nil
		}
		p.mu.Unlock()
		close(l.cleared)
	}()
	return nil
}

// looseMax is what is kept, in the worker's log, of what a program prints in no
// call: a log must not fill the machine's disk.
const looseMax = 1 << 20

func (p *programs) loose() func(runner.Stream, []byte) {
	var mu sync.Mutex
	left := looseMax
	return func(_ runner.Stream, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		n := min(len(b), left)
		left -= n
		_, _ = p.log.Write(b[:n]) // a log that cannot be written is no reason to stop
	}
}

// run answers the items of a run. The error is NotFound where the program is not
// there, or ended before it was told of any item.
func (p *programs) run(ctx context.Context, run engine.Run) ([]stoa.Result, error) {
	l := p.current()
	if l == nil || l.id != run.ID || !l.TryRLock() {
		return nil, stoa.Errorf(stoa.NotFound, "%s is not loaded here", run.ID)
	}
	defer l.RUnlock()
	results := make([]stoa.Result, len(run.Items))
	one := func(i int) {
		results[i] = l.runner.Run(ctx, runner.Call{
			Token: run.Call.Token, Request: run.Call.Request, Left: run.Call.Left, Input: run.Items[i],
		})
	}
	if len(results) == 1 || l.serial {
		for i := range results {
			one(i)
		}
	} else {
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { one(i) })
		}
		wg.Wait()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	untold := 0
	for i := range results {
		if r := &results[i]; r.Err != nil && stoa.KindOf(r.Err) == stoa.NotFound {
			untold++
			if untold == len(results) {
				return nil, r.Err
			}
		}
	}
	return results, nil
}

// unload waits for the runs in flight, then ends the program.
func (p *programs) unload(ctx context.Context, id string) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	l := p.current()
	if l == nil || l.id != id {
		return nil
	}
	p.set(nil)
	l.Lock() // and never unlocked: a run that comes late finds nothing
	l.runner.Close(ctx)
	<-l.cleared
	return nil
}

// end ends whatever runs.
func (p *programs) end(ctx context.Context) {
	if l := p.current(); l != nil {
		_ = p.unload(ctx, l.id)
	}
}

func (p *programs) stats() engine.Stats {
	s := engine.Stats{Resident: resident(p.reaper.groups())}
	if p.current() != nil {
		s.Models = 1
	}
	return s
}
