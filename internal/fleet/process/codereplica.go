package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker"
)

// codeReplica is a program in its sandbox that we are connected to. What its
// engine says of a program that ended it makes more exact: only the control group
// knows that it was for its memory.
type codeReplica struct {
	*replica
	code       *fleet.Code
	process    *sandbox.Process
	releases   []func() // of layers
	api        net.Listener
	egress     net.Listener
	closeDoors func()
	places     []string // where each layer is inside, and on the host
	relocated  bool     // there is no sandbox: a program's paths are those of the host
	dying      atomic.Bool
	ended      chan struct{}
	reason     error // set before ended is closed

	mu       sync.Mutex
	inFlight map[string]int // tokens of the calls in it
}

var (
	_ fleet.Replica = (*codeReplica)(nil)
	_ fleet.Mortal  = (*codeReplica)(nil)
	_ worker.Engine = (*codeReplica)(nil)
)

func (r *codeReplica) Engine() worker.Engine { return r }
func (r *codeReplica) Done() <-chan struct{} { return r.ended }
func (r *codeReplica) Err() error            { return r.reason }

// Load starts the author's program; see worker.Engine.
func (r *codeReplica) Load(ctx context.Context, m worker.Model) (worker.Footprint, error) {
	if r.relocated && m.Program != nil {
		p := relocate(*m.Program, strings.NewReplacer(r.places...))
		m.Program = &p
	}
	f, err := r.remote.Load(ctx, m)
	if err != nil {
		return f, r.exact(err)
	}
	f.Host = r.process.Usage().Memory
	return f, nil
}

// relocate gives a program whose paths inside are those of the host.
func relocate(p runner.Program, paths *strings.Replacer) runner.Program {
	replace := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = paths.Replace(s)
		}
		return out
	}
	p.Command, p.Env, p.Dir = replace(p.Command), replace(p.Env), paths.Replace(p.Dir)
	return p
}

// Run hands calls to the program; see worker.Engine.
func (r *codeReplica) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	if token := worker.CallOf(ctx).Token; token != "" {
		r.enter(token)
		defer r.leave(token)
	}
	results, err := r.remote.Run(ctx, id, items)
	for i := range results {
		if results[i].Err != nil {
			results[i].Err = r.exact(results[i].Err)
		}
	}
	return results, err
}

// Unload ends the author's program; see worker.Engine.
func (r *codeReplica) Unload(ctx context.Context, id string) error { return r.remote.Unload(ctx, id) }

func (r *codeReplica) enter(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight[token]++
}

func (r *codeReplica) leave(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight[token]--; r.inFlight[token] == 0 {
		delete(r.inFlight, token)
	}
}

// tokens gives those of the calls in flight.
func (r *codeReplica) tokens() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.inFlight))
	for t := range r.inFlight {
		out = append(out, t)
	}
	return out
}

// exact says of an end that it was for the memory, where the control group counts
// that. What has ended once is not used again: it may have left things in /tmp.
func (r *codeReplica) exact(err error) error {
	e := stoa.AsError(err)
	if e.Type != runner.SystemExit && e.Type != runner.LoadingError {
		return err
	}
	if usage := r.process.Usage(); usage.OOMKills > 0 {
		err = r.outOfMemory(usage)
	}
	if e.Type == runner.SystemExit {
		r.dying.Store(true)
		r.process.Kill()
	}
	return err
}

// Dying tells that the program has ended, and the replica with it; see
// fleet.Mortal.
func (r *codeReplica) Dying() bool { return r.dying.Load() }

func (r *codeReplica) outOfMemory(u sandbox.Usage) error {
	figure := ""
	if u.Peak > 0 {
		figure = fmt.Sprintf(" (it had %s when it was ended)", human.Bytes(u.Peak))
	}
	e := stoa.Errorf(stoa.Failed, "the algorithm needs more memory than the %s that it may have%s: raise limits.memory in stoa.yaml, or make it need less",
		human.Bytes(r.code.Limits.Memory), figure)
	e.Type = runner.OutOfMemory
	return e
}

// watchCode waits for the end of the connection, which is the end of the replica:
// one that we cannot speak to is ended, unless it was let go.
func (r *codeReplica) watchCode() {
	defer close(r.ended)
	<-r.remote.Done()
	r.closeDoors()
	if r.released.Load() {
		r.releaseLayers()
		return
	}
	r.process.Kill()
	err := r.process.Wait()
	usage := r.process.Usage()
	if cerr := r.process.Close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	words := r.driver.lastWords(r.handle.ID)
	if usage.OOMKills > 0 {
		r.reason = r.outOfMemory(usage)
	} else {
		r.reason = fmt.Errorf("replica %d ended (%w): %s", r.handle.PID, cause(err), words)
	}
	r.releaseLayers()
	r.driver.remove(r.handle.ID)
}

func cause(err error) error {
	if err == nil {
		return errors.New("exited")
	}
	return err
}

func (r *codeReplica) releaseLayers() {
	for _, f := range r.releases {
		f()
	}
	r.releases = nil
}

// discard lets go of all that a replica which did not come to be has taken.
func (r *codeReplica) discard() {
	if r.replica != nil {
		_ = r.remote.Close()
	}
	if r.process != nil {
		r.process.Kill()
		_ = r.process.Wait()
		_ = r.process.Close()
	}
	for _, ln := range []net.Listener{r.api, r.egress} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	r.releaseLayers()
}

// Stop ends the replica; see fleet.Replica.
func (r *codeReplica) Stop(ctx context.Context) error {
	r.process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-r.ended:
	case <-ctx.Done():
		r.process.Kill()
		<-r.ended
	}
	return nil
}
