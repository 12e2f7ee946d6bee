package sandbox

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
)

// RLimits bound the process that applies them. Zero means no limit.
type RLimits struct {
	Memory int64 // bytes of private writable memory (RLIMIT_DATA); mapped files do not count
	Files  uint64
}

// Apply limits this process and its children for good. It is the first thing a
// worker does, before it reads anything that it was not compiled with.
func Apply(l RLimits) error {
	limits := []struct {
		name  string
		which int
		value uint64
		set   bool
	}{
		{"core dumps", unix.RLIMIT_CORE, 0, true},
		{"memory", unix.RLIMIT_DATA, uint64(max(l.Memory, 0)), l.Memory > 0},
		{"open files", unix.RLIMIT_NOFILE, l.Files, l.Files > 0},
	}
	for _, x := range limits {
		if !x.set {
			continue
		}
		if err := unix.Setrlimit(x.which, &unix.Rlimit{Cur: x.value, Max: x.value}); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the limit on %s cannot be set", x.name)
		}
	}
	return nil
}

// Start starts a command that can gain no privileges, nor can its children.
func Start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		// The flag belongs to a thread and is inherited by what it starts. This
		// thread is never unlocked, so that it ends with the goroutine and nothing
		// else of ours runs under the flag.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			started <- stoa.Wrap(stoa.Internal, err, "the system cannot take privileges away")
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}
