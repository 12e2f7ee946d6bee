// Package runner speaks to an author's program: it starts the program, tells it
// of calls and hears its answers. A program speaks one of two protocols, which
// docs/runner-protocol.md describes:
//
//	pipe    a line of JSON in on standard input, a JSON value out through a FIFO;
//	        the protocol of Algorithmia's development kits
//	frames  binary frames on a unix socket, several calls in flight
//
// In both, standard output and standard error belong to the author: what is
// printed during a call is given with its answer. The package knows no sandbox:
// the first process of a replica (cmd/stoa-init) uses it inside one, and stoa
// runner-test outside.
package runner

import "time"

// The protocols.
const (
	Pipe   = "pipe"
	Frames = "frames"
)

// Program says what to start and how to speak to it.
type Program struct {
	Command     []string `json:"command"` // found on the PATH of Env
	Env         []string `json:"env,omitempty"`
	Dir         string   `json:"dir,omitempty"`
	Protocol    string   `json:"protocol"`              // Pipe or Frames
	Concurrency int      `json:"concurrency,omitempty"` // calls at once; 0 and pipe: 1
	// Output bounds a result, and Log what is kept of each stream of one call, in
	// bytes; 0 means the defaults.
	Output int64 `json:"output,omitempty"`
	Log    int64 `json:"log,omitempty"`
}

// Defaults of a Program.
const (
	DefaultOutput = 64 << 20
	DefaultLog    = 256 << 10
)

// StopTime is how long a program has to end by itself after its input was
// closed, before it is killed.
const StopTime = 3 * time.Second

// Types of the errors that a Runner gives; the author's own come beside them.
const (
	LoadingError    = "LoadingError"        // the program did not become ready
	SystemExit      = "SystemExit"          // it ended, by itself or by a signal, in a call
	OutputTooLarge  = "OutputTooLargeError" // a result over Output
	ProtocolError   = "ProtocolError"       // what it sent is none of the protocol
	AlgorithmError  = "AlgorithmError"      // what the author's code raised, unless it says otherwise
	OutOfMemory     = "OutOfMemoryError"    // given by the driver, which sees the cgroup
	TooManyOpenings = "TooManyCallsError"   // depth, width or cycle of child calls
)
