// Package engine is how an Engine (see package worker) is spoken to over the
// wire: its methods, what a worker says of itself, and the form of a run. It
// knows no model and no picture, so that the small program that is the first
// process of every code replica can speak it too.
package engine

import (
	"encoding/json"
	"time"

	"github.com/stoa-project/stoa"
)

// The methods. Load, Unload and Hello speak JSON: they are rare. Run has a form
// of its own, in codec.go.
const (
	MethodHello uint8 = iota + 1
	MethodLoad
	MethodRun
	MethodUnload
	MethodStats
	MethodPreview
)

// Hello is what a worker says of itself when the supervisor connects.
type Hello struct {
	Build string `json:"build"` // a worker of another build is drained and replaced
	PID   int    `json:"pid"`
	Label string `json:"label"` // whose models it holds
}

// Stats is what a worker says of the memory it uses.
type Stats struct {
	Resident int64 `json:"resident"` // bytes
	Models   int   `json:"models"`
}

// Footprint is the memory that a loaded model was seen to take, in bytes.
type Footprint struct {
	Host int64 `json:"host"`
}

// Run is what MethodRun carries.
type Run struct {
	ID    string // of the model
	Call  Call
	Items []stoa.Value
}

// Call says on whose behalf a run is made. Models do without; code is told, so
// that what it calls is called for the same caller and in what time is left.
type Call struct {
	Token   string        // speaks for the call at the API of the replica; "" for none
	Request string        // id of the request, for the author's log
	Left    time.Duration // until the deadline; 0 for none
}

// JSONReply is a reply that is one JSON value.
func JSONReply(v any) ([][]byte, error) {
	b, err := json.Marshal(v)
	return [][]byte{b}, err
}
