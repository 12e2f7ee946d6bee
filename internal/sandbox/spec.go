package sandbox

import (
	"os"
)

// Spec is one command to run in a sandbox. Paths of Command, Dir and Mounts'
// Targets are those inside.
type Spec struct {
	Name    string   // of the sandbox: a cgroup's and a host's name, unique among those that live
	Command []string // the first process but for the sandbox's own; stoa-init for code
	Env     []string // all of its environment
	Dir     string
	Mounts  []Mount // beside the system's: /usr and what belongs to it, read-only
	Limits  Limits
	Tmp     int64 // bytes of /tmp, the one place to write; default 64 MiB
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File
	Files   []*os.File // descriptors 3 and on, as in exec.Cmd's ExtraFiles
	Kind    Kind
	// First makes Command process 1: it must reap what it inherits, and the signals
	// that it does not handle do nothing to it. Else a small process 1 stands
	// before it. Either way all processes end when Command does.
	First bool
}

// Kind says what runs, which decides what system calls it may make.
type Kind uint8

// What runs in a sandbox.
const (
	Code   Kind = iota // an author's program, behind stoa-init
	Build              // a language's own client, behind stoa-init
	Worker             // this program, as a worker or an import child
)

// Mount is a file or folder of the host to be seen inside.
//
// Where the server is root, its files appear inside as the sandbox's own, of
// whatever mode, and what is written is root's outside. A file system that cannot
// map owners so (Linux says which in its documentation of mount_setattr) needs
// modes that let others read, and a Source to be written is given to the
// sandbox's user. Source must be a path that nobody but the server can change.
type Mount struct {
	Source string
	Target string // its folder is made where the root has none; sorted, so that one may lie in another
	Write  bool   // may be changed; else it is read-only
}

// Limits bound a sandbox. Zero means no limit of that kind.
type Limits struct {
	Memory    int64   // bytes of all its processes together, swap included
	CPU       float64 // processors
	Processes int64   // and threads
	FileSize  int64   // bytes of one file (RLIMIT_FSIZE)
	Files     int64   // open at once, of one process
	Data      int64   // bytes of private writable memory of one process (RLIMIT_DATA)
}

// Mode says what protections must be there.
type Mode string

// The modes, as --sandbox has them.
const (
	// On refuses to start where a protection is missing, but for a user without a
	// cgroup of his own: his processes' memory is watched.
	On Mode = "on"
	// Strict refuses what is watched, too.
	Strict Mode = "strict"
	// None has no sandbox. Everything says so in red.
	None Mode = "none"
)

// Protection is one of those that doctor and the log tell of.
type Protection struct {
	Name   string `json:"name"` // such as "namespaces", "memory"
	State  State  `json:"state"`
	Detail string `json:"detail"` // such as "cgroup v1", "resident memory polled every 100 ms"
	Remedy string `json:"remedy,omitempty"`
}

// State says how far a protection is there.
type State string

// The states.
const (
	InPlace State = "on"
	Watched State = "watched" // by the server, at intervals: weaker
	Off     State = "off"
)
