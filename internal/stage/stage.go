package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa/internal/landlock"
)

// The words by which Main is asked for.
const (
	Stage   = "stage"
	Confine = "confine"
)

// Main is a stage or a confine, as the first argument says. It becomes another
// program and does not return, or gives the status to exit with.
func Main(args []string) int {
	// Namespaces and rules belong to threads, and the one that execs is the one
	// that stays.
	runtime.LockOSThread()
	if len(args) > 1 && args[0] == Confine {
		fmt.Fprintln(os.Stderr, "sandbox:", confine(args[1:]))
		return failed
	}
	if len(args) != 2 || args[0] != Stage {
		fmt.Fprintln(os.Stderr, "stage: it is started by the server, not by hand")
		return failed
	}
	p, err := read(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		return failed
	}
	err = run(p)
	b, err := json.Marshal(Failure{Stage: err.Error()})
	if err == nil {
		_, _ = unix.Write(p.Status, append(b, '\n')) // nobody else is there to be told
	}
	return failed
}

// failed is the status of what could not be started, as shells have it.
const failed = 126

// confine puts Landlock in force and becomes the command: it is the first to run
// in the new root. args are the paths that may be written, "--", and the command.
func confine(args []string) error {
	at := slices.Index(args, "--")
	if at < 0 || at+1 == len(args) {
		return fmt.Errorf("confine: it is started by the server, not by hand")
	}
	if err := landlock.Thread(args[:at]); err != nil {
		return err
	}
	command := args[at+1:]
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s cannot be started: %w", command[0], syscall.Exec(path, command, unix.Environ()))
}

func read(fd string) (*Plan, error) {
	n, err := strconv.Atoi(fd)
	if err != nil || n < 3 {
		return nil, fmt.Errorf("%q is no descriptor of a plan", fd)
	}
	f := os.NewFile(uintptr(n), "plan")
	defer f.Close() // it is not for bubblewrap
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	return p, json.Unmarshal(b, p)
}

// run does not return but with an error.
func run(p *Plan) error {
	// Whoever started the server may have left descriptors open: none of them is
	// for a sandbox.
	if err := unix.CloseRange(uint(p.Last)+1, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("descriptors cannot be closed: %w", err)
	}
	if err := layOut(p); err != nil {
		return err
	}
	// The last of what takes memory is done, so that little of it is counted.
	for _, file := range p.Cgroups {
		if err := join(file); err != nil {
			return fmt.Errorf("the cgroup cannot be joined: %w", err)
		}
	}
	for _, l := range p.Limits {
		if err := limit(l); err != nil {
			return err
		}
	}
	if p.UID != 0 {
		if err := give(p.UID); err != nil {
			return fmt.Errorf("the standard streams cannot be given away: %w", err)
		}
		if err := become(p.UID); err != nil {
			return fmt.Errorf("the user id %d cannot be taken: %w", p.UID, err)
		}
	}
	unix.Umask(0o022)
	err := syscall.Exec(p.Path, append([]string{"bwrap"}, p.Args...), []string{})
	return fmt.Errorf("bubblewrap cannot be started: %w", err)
}

func join(file string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("0"))
	return err
}

// limit sets a limit, or the hard one where that is lower: it cannot be raised.
func limit(l Limit) error {
	var have unix.Rlimit
	if err := unix.Getrlimit(l.Which, &have); err != nil {
		return fmt.Errorf("limit %d cannot be read: %w", l.Which, err)
	}
	v := min(l.Value, have.Max)
	if err := unix.Setrlimit(l.Which, &unix.Rlimit{Cur: v, Max: v}); err != nil {
		return fmt.Errorf("limit %d cannot be set: %w", l.Which, err)
	}
	return nil
}

// give makes pipes that are standard streams the user's, since a program may open
// them again by the names /dev/stdout and /dev/stderr.
func give(uid int) error {
	for fd := range 3 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue
		}
		if err := unix.Fchown(fd, uid, uid); err != nil {
			return err
		}
	}
	return nil
}

// become gives root up, for this thread alone: the others end when it becomes
// bubblewrap, and to have each of them do the same first takes milliseconds where
// the machine is busy.
func become(uid int) error {
	id := uintptr(uid)
	for _, c := range [][4]uintptr{{unix.SYS_SETGROUPS, 0, 0, 0}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
		if _, _, errno := unix.RawSyscall(c[0], c[1], c[2], c[3]); errno != 0 {
			return errno
		}
	}
	// The keys of whoever started the server are not to be had inside. A kernel
	// without keys has none to hide.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && err != unix.ENOSYS {
		return fmt.Errorf("no session keyring of its own: %w", err)
	}
	return nil
}
