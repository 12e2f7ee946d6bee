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

import (
	"context"
	"os/exec"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

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
	// Load is how long it may take to become ready; 0: as long as Start's context
	// lasts. Where that ends first, nobody hears what the program printed.
	Load time.Duration `json:"load,omitempty"`
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

// Limits of a Program.
const (
	MaxOutput      = 1 << 30 // what one message to the supervisor can carry
	MaxConcurrency = 1024
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

// Stream is one of the two that a program prints to. The numbers are those of
// the frames protocol.
type Stream uint8

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// String gives "stdout" or "stderr".
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// Config is what whoever runs a program decides. The zero Config will do.
type Config struct {
	// Folder is where the FIFO or the socket is made; default /tmp, where
	// programs of the pipe protocol look for theirs.
	Folder string
	// Grace is how long a program may take to answer a call that was given up,
	// before it is killed; default StopTime.
	Grace time.Duration
	// Loose is given what is printed in no call, or in which one cannot be told:
	// while loading, and while several calls are under way. It must not block.
	Loose func(Stream, []byte)
	// Start starts the first process; nil: its own Start. Who collects the status
	// of every orphan, as a first process does, must know which child is not his.
	Start func(*exec.Cmd) error
}

// Call is one call of the author's code.
type Call struct {
	Token   string        // speaks for the call at the API of the replica; "" for none
	Request string        // id of the request, for the author's log
	Left    time.Duration // until the deadline; 0 for none
	Input   stoa.Value    // read until Run returns, and not after
	// OnChunk is given each part of the answer before its last as it comes, which
	// is then the result's Value. nil: the Value is the whole. It is called from
	// where answers are read for all calls, so it must not block; of a call that
	// is given up, one part may still come while Run returns.
	OnChunk func([]byte)
}

// Runner is a program that is loaded and answers calls.
//
//	starting -> ready -> ended
//	              |        ^
//	              +-> condemned: no call is sent any more; it is killed when
//	                  those under way have ended
type Runner struct {
	program Program
	cfg     Config
	process *process
	talk    talker
	logs    *logs
	began   time.Time
	slots   chan struct{} // one is taken by each call that was sent and is not answered
	loaded  chan error    // what came of loading, once
	done    chan struct{}

	mu       sync.Mutex
	loading  bool
	doomed   bool             // condemned
	stopping bool             // Close was called
	reason   *stoa.Error      // why we ended it; nil where it ended by itself
	last     uint64           // number of the last call
	calls    map[uint64]*call // sent, and not answered
	live     int              // of which were not given up
	err      error            // how the program ended
}

// talker is a protocol: what differs between the two.
type talker interface {
	// env is what the program finds in its environment.
	env() []string
	// listen hears answers until there are no more.
	listen()
	// send tells the program of a call. It returns when the input is no longer
	// needed. The error is one of the call's own: where the program is gone, its
	// end says so.
	send(ctx context.Context, c *call) error
	// stop asks the program to give a call up, or with nil to end.
	stop(c *call)
	// close takes the answers that are still there after the program ended, and
	// lets go of what was opened.
	close()
}
