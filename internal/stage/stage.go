package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main is a stage. It becomes bubblewrap and does not return, or gives the
// status to exit with; args are those behind the word "stage".
func Main(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "stage: it is started by the server, not by hand")
		return 2
	}
	// Namespaces belong to threads, and the one that execs is the one that stays.
	runtime.LockOSThread()
	p, err := read(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		return 2
	}
	err = run(p)
	b, err := json.Marshal(Failure{Stage: err.Error()})
	if err == nil {
		_, _ = unix.Write(p.Status, append(b, '\n')) // nobody else is there to be told
	}
	return 2
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

// become gives root up. The calls are those of package syscall, which hold for
// all threads.
func become(uid int) error {
	if err := syscall.Setgroups([]int{}); err != nil {
		return err
	}
	if err := syscall.Setresgid(uid, uid, uid); err != nil {
		return err
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return err
	}
	// The keys of whoever started the server are not to be had inside. A kernel
	// without keys has none to hide.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && err != unix.ENOSYS {
		return fmt.Errorf("no session keyring of its own: %w", err)
	}
	return nil
}
