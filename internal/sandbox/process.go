package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/cgroup"
)

// Usage is what the processes of a sandbox use together.
type Usage = cgroup.Usage

// ExitError is how a command ended that did not end with status 0.
type ExitError struct {
	Code   int            // -1 where a signal ended it
	Signal syscall.Signal // 0 where it exited
}

// Error says how it ended.
func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return fmt.Sprintf("it was ended by the signal %s (%d)", e.Signal, int(e.Signal))
	}
	return "it exited with status " + strconv.Itoa(e.Code)
}

// exitOf reads a status of bubblewrap's, which tells signals as shells do. A
// command that itself exits with such a status cannot be told from that.
func exitOf(code int) error {
	switch {
	case code == 0:
		return nil
	case code > 128 && code <= 128+64:
		return &ExitError{Code: -1, Signal: syscall.Signal(code - 128)}
	}
	return &ExitError{Code: code}
}

// Record is what another server needs to take a sandbox over.
type Record struct {
	Name  string        `json:"name"`
	PID   int           `json:"pid"`   // of its process 1, as this machine counts
	Ticks uint64        `json:"ticks"` // when that started: an id alone may be another's by then
	Outer int           `json:"outer"` // bubblewrap, which waits for it
	Group *cgroup.Group `json:"group,omitempty"`
	Watch int64         `json:"watch,omitempty"` // bytes of memory, where they are watched
	Plain bool          `json:"plain,omitempty"` // there is no sandbox
}

// Process is a command in its sandbox. Its methods may be called at once.
type Process struct {
	record Record
	pidfd  int // of process 1; guarded by mu once there are others who use it
	done   chan struct{}
	err    error // how it ended, after done

	mu     sync.Mutex
	closed bool
	last   Usage // read before the group was removed
	peak   int64 // of watched memory
	kills  int64 // by the watcher
}

// PID is the id of the sandbox's process 1 on this machine.
func (p *Process) PID() int { return p.record.PID }

// Record is what Adopt needs.
func (p *Process) Record() Record { return p.record }

// Done is closed when the command has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the command's end: nil for status 0, else an *ExitError, or why it
// did not start. When it returns no process of the sandbox is left, or they are
// being killed. That of an adopted one is an error which says that it is not known.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Kill kills all processes of the sandbox, and does not wait for their end: with
// process 1 the kernel ends its whole namespace.
func (p *Process) Kill() {
	p.signal(unix.SIGKILL)
	if p.record.Group != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.closed {
			p.record.Group.Kill()
		}
	}
}

// Signal sends a signal to process 1, which must handle it.
func (p *Process) Signal(s syscall.Signal) { p.signal(s) }

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd < 0 {
		return
	}
	_ = unix.PidfdSendSignal(p.pidfd, s, nil, 0) // it may be gone
	if p.record.Plain && s == unix.SIGKILL {
		_ = unix.Kill(-p.record.PID, s) // its session; what has left that is lost
	}
}

// ended is called once.
func (p *Process) ended(err error) {
	p.err = err
	// Where a small process 1 stands before the command, others may be left.
	p.signal(unix.SIGKILL)
	close(p.done)
}

// Usage tells what is used now; after the end, what was used then.
func (p *Process) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usage()
}

func (p *Process) usage() Usage {
	switch {
	case p.closed:
		return p.last
	case p.record.Group != nil:
		return p.record.Group.Usage()
	}
	memory, n := tree(p.record.PID)
	p.peak = max(p.peak, memory)
	return Usage{Memory: memory, Peak: p.peak, OOMKills: p.kills, Processes: n}
}

// Close kills what still lives and removes the cgroup. Nothing of the sandbox is
// left then: its mounts, network and sockets went with its last process.
func (p *Process) Close() error {
	p.signal(unix.SIGKILL)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		return stoa.Errorf(stoa.Internal, "the sandbox %s does not end: process %d hangs in the kernel", p.record.Name, p.record.PID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if p.pidfd >= 0 {
		gone(p.pidfd)
	}
	p.last, p.closed = p.usage(), true
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
		p.pidfd = -1
	}
	if p.record.Group == nil {
		return nil
	}
	p.record.Group.Kill()
	return p.record.Group.Remove()
}

// gone waits until a process, whose death is certain, has died; at most a while.
func gone(pidfd int) {
	for range 50 {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 100)
		if n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// Adopt takes over a sandbox that an earlier server has started.
func (s *Sandbox) Adopt(r Record) (*Process, error) {
	if r.Ticks == 0 || startTicks(r.PID) != r.Ticks {
		return nil, stoa.Errorf(stoa.NotFound, "the sandbox %s is gone", r.Name)
	}
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, stoa.Wrap(stoa.NotFound, err, "the sandbox %s is gone", r.Name)
	}
	if startTicks(r.PID) != r.Ticks { // between the two it ended, and the id is another's
		_ = unix.Close(fd)
		return nil, stoa.Errorf(stoa.NotFound, "the sandbox %s is gone", r.Name)
	}
	p := &Process{record: r, pidfd: fd, done: make(chan struct{})}
	watch, err := unix.Dup(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, stoa.Wrap(stoa.Internal, err, "no descriptor for the sandbox %s", r.Name)
	}
	go func() {
		waitPidfd(watch)
		p.ended(errors.New("how an adopted sandbox ended is not known"))
	}()
	if r.Watch > 0 {
		go p.watch()
	}
	return p, nil
}

// waitPidfd waits for the end of a process that is not our child, without a
// thread: the runtime's poller takes the descriptor.
func waitPidfd(fd int) {
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0
	})
}

// Forget removes what is left of a sandbox that cannot be adopted.
func (s *Sandbox) Forget(r Record) error {
	if r.Group == nil {
		return nil
	}
	r.Group.Kill()
	return r.Group.Remove()
}

// startTicks gives when a process started, in clock ticks since boot; 0 where
// there is none. It is field 22 of /proc/PID/stat, counted after the name, which
// may hold spaces and brackets.
func startTicks(pid int) uint64 {
	f := stat(pid)
	if len(f) < 20 || f[0] == "Z" {
		return 0
	}
	n, _ := strconv.ParseUint(f[19], 10, 64)
	return n
}

// stat gives the fields of /proc/PID/stat that follow the name.
func stat(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	s := string(b)
	return strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
}

// startPlain starts a command as it is: --sandbox=none.
func (s *Sandbox) startPlain(spec Spec) (*Process, error) {
	if err := s.check(&spec); err != nil {
		return nil, err
	}
	command := make([]string, len(spec.Command))
	for i, arg := range spec.Command {
		command[i] = s.outside(spec.Mounts, arg)
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it may outlive whoever starts it
	cmd.Env = []string{}
	for _, e := range spec.Env {
		name, value, _ := strings.Cut(e, "=")
		cmd.Env = append(cmd.Env, name+"="+s.outside(spec.Mounts, value))
	}
	cmd.Dir = s.outside(spec.Mounts, spec.Dir)
	setStreams(cmd, &spec)
	cmd.ExtraFiles = spec.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := Start(cmd); err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "%s cannot be started", spec.Name)
	}
	pid := cmd.Process.Pid
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // the first error says more
		return nil, stoa.Wrap(stoa.Internal, err, "no descriptor for the process of %s", spec.Name)
	}
	p := &Process{done: make(chan struct{}), pidfd: fd, record: Record{Name: spec.Name, PID: pid, Ticks: startTicks(pid), Plain: true}}
	go func() {
		err := cmd.Wait()
		var exit *exec.ExitError
		if ws, ok := processState(err, &exit); ok {
			err = &ExitError{Code: ws.ExitStatus()}
			if ws.Signaled() {
				err = &ExitError{Code: -1, Signal: ws.Signal()}
			}
		}
		p.ended(err)
	}()
	return p, nil
}

// outside gives the host's path of what would be a path inside, where it is one
// below a mount; stoa-init's too.
func (s *Sandbox) outside(mounts []Mount, path string) string {
	if path == InitPath && s.cfg.Init != "" {
		return s.cfg.Init
	}
	best := ""
	out := path
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(path, m.Target); ok && len(m.Target) > len(best) && (rest == "" || rest[0] == '/') {
			best, out = m.Target, m.Source+rest
		}
	}
	return out
}
