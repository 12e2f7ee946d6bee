// Package fleet keeps replicas running and brings calls to them. A group is the
// replicas of one label: of a model's owner one worker that holds many models,
// of a version of code as many as its queue asks for, down to none. A bounded
// queue stands before each group. A replica that dies takes no call with it
// unanswered: a model's run is tried once more on a fresh one, since it changes
// nothing; a call of code ends in an error that names what happened.
package fleet

import (
	"context"
	"time"

	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker"
)

// Spec says which replica is wanted.
type Spec struct {
	Label  string // of its group
	Policy Policy // of its group
	Code   *Code  // what a replica of code is made of; nil: a model worker
}

// Policy says how many replicas a group has, and how calls meet them. The zero
// Policy is that of model workers: one replica that stays, its slots and queue
// the Fleet's, and runs that may be tried again.
type Policy struct {
	Min   int           `json:"min,omitempty"`   // kept warm though nobody calls
	Max   int           `json:"max,omitempty"`   // at once; 0: one
	Slots int           `json:"slots,omitempty"` // calls that a replica works on at once; 0: the Fleet's
	Idle  time.Duration `json:"idle,omitempty"`  // a replica without a call for so long ends; 0: never
	// Once: a call that a replica was given is given to no other, since code may
	// have done something before it died.
	Once bool `json:"once,omitempty"`
}

// Code is what a replica of code is made of. Its program comes with Load.
type Code struct {
	Layers  []Layer         `json:"layers"`
	Models  []blob.File     `json:"models,omitempty"`  // seen below ModelsDir by their names
	Mounts  []sandbox.Mount `json:"mounts,omitempty"`  // of the host: the language's runtime
	Limits  sandbox.Limits  `json:"limits"`            // of the whole replica
	Tmp     int64           `json:"tmp,omitempty"`     // bytes of /tmp
	Network []string        `json:"network,omitempty"` // hosts that the version may reach
}

// Layer is a folder of files that a replica sees, read-only.
type Layer struct {
	File   blob.File `json:"file"`
	Target string    `json:"target"`
}

// ModelsDir is where a replica of code finds the models that its manifest names.
const ModelsDir = "/opt/models"

// Handle names a running replica across a restart of the server.
type Handle struct {
	ID     string    `json:"id"`
	Label  string    `json:"label"`
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"`
	Policy Policy    `json:"policy,omitzero"`
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

// Mortal is a Replica that may be ending though it has just answered: the call
// that it worked on was its last.
type Mortal interface {
	Dying() bool
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
