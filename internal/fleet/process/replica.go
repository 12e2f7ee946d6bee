package process

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/worker"
)

// replica is a worker process that we are connected to.
type replica struct {
	driver   *Driver
	handle   fleet.Handle
	remote   *worker.Remote
	exited   func() error // waits for the end of the process, and says how it ended
	released atomic.Bool

	done chan struct{}
	err  error // set before done is closed
}

func (r *replica) Handle() fleet.Handle  { return r.handle }
func (r *replica) Engine() worker.Engine { return r.remote }
func (r *replica) Done() <-chan struct{} { return r.done }
func (r *replica) Err() error            { return r.err }

// watch waits for the end of the connection, which is the end of the replica:
// a worker that we cannot speak to is ended, unless it was let go.
func (r *replica) watch() {
	<-r.remote.Done()
	if r.released.Load() {
		close(r.done)
		return
	}
	_ = syscall.Kill(r.handle.PID, syscall.SIGKILL) // it may be gone already
	words := r.driver.lastWords(r.handle.ID)
	r.err = fmt.Errorf("worker %d ended (%w): %s", r.handle.PID, r.exited(), words)
	r.driver.remove(r.handle.ID)
	close(r.done)
}

// Stop ends the worker; see fleet.Replica.
func (r *replica) Stop(ctx context.Context) error {
	_ = syscall.Kill(r.handle.PID, syscall.SIGTERM) // it may be gone already
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = syscall.Kill(r.handle.PID, syscall.SIGKILL)
		<-r.done
	}
	return nil
}
