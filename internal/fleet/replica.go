// Package fleet keeps replicas running and brings calls to them: one model
// worker for each owner, started when it is first needed, with a bounded queue
// before it. A worker that dies takes no call with it unanswered: each is tried
// once more on a fresh worker, or ends in an error that names what happened.
package fleet

import (
	"context"
	"time"

	"github.com/stoa-project/stoa/internal/worker"
)

// Spec says which replica is wanted.
type Spec struct {
	Label string // whose models it holds; one live replica a label
}

// Handle names a running replica across a restart of the server.
type Handle struct {
	ID    string    `json:"id"`
	Label string    `json:"label"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// Replica is one running worker.
type Replica interface {
	Handle() Handle
	// Engine speaks to it.
	Engine() worker.Engine
	// Done is closed when it is gone; Err then says why.
	Done() <-chan struct{}
	Err() error
	// Stop ends it: politely, and by force when ctx ends.
	Stop(ctx context.Context) error
}

// Driver starts replicas on one substrate.
type Driver interface {
	// Start starts a replica and returns when it answers. A Start that fails or
	// is cancelled leaves no process behind.
	Start(ctx context.Context, s Spec) (Replica, error)
	// Adopt takes over a replica that an earlier server started. One of another
	// build, or that does not answer, is ended, and an error returned.
	Adopt(ctx context.Context, h Handle) (Replica, error)
	// Running lists the replicas that earlier servers have left.
	Running(ctx context.Context) ([]Handle, error)
	// Release lets go of a replica without ending it, so that the next server
	// may adopt it.
	Release(r Replica) error
}
