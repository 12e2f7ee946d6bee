package sandbox

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/cgroup"
	"github.com/stoa-project/stoa/internal/stage"
)

// startTime bounds how long the kernel may take to make a sandbox: it takes
// milliseconds, and a hundred times that where the machine is busy.
const startTime = 20 * time.Second

// Start starts a command. The sandbox is there when it returns, but not all of
// its root: what goes wrong later is told by Wait. The caller's files stay the
// caller's. The Process must be closed, also after it has ended.
func (s *Sandbox) Start(spec Spec) (*Process, error) {
	if s.cfg.Mode == None {
		return s.startPlain(spec)
	}
	if err := s.check(&spec); err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{}), record: Record{Name: spec.Name}, pidfd: -1}
	if s.parent != nil {
		l := spec.Limits
		group, err := s.parent.New(spec.Name, cgroup.Limits{Memory: l.Memory, CPU: l.CPU, Processes: l.Processes})
		if err != nil {
			return nil, err
		}
		p.record.Group = group
	}
	if err := s.launch(&spec, p); err != nil {
		if p.record.Group != nil {
			p.record.Group.Kill()
			_ = p.record.Group.Remove() // the first error says more
		}
		return nil, err
	}
	if s.parent == nil && spec.Limits.Memory > 0 {
		p.record.Watch = spec.Limits.Memory
		go p.watch()
	}
	return p, nil
}

// launch starts the stage and waits until it has become a sandbox.
func (s *Sandbox) launch(spec *Spec, p *Process) (err error) {
	cmd, status, unblock, err := s.command(spec, p.record.Group)
	if err != nil {
		return err
	}
	if unblock != nil {
		defer unblock.Close()
	}
	err = cmd.Start()
	for _, f := range cmd.ExtraFiles[len(spec.Files):] {
		_ = f.Close() // the child has them, or there is none
	}
	if err != nil {
		_ = status.Close()
		return stoa.Wrap(stoa.Unavailable, err, "the sandbox %s cannot be started", spec.Name)
	}
	lines := bufio.NewReader(status)
	first, err := p.hello(cmd, status, lines)
	if err == nil {
		err = p.take(first)
	}
	if err == nil && unblock != nil {
		err = release(first, spec.Limits, unblock)
	}
	if err != nil {
		_ = cmd.Process.Kill() // it may be gone
		if p.pidfd >= 0 {
			p.signal(unix.SIGKILL)
			_ = unix.Close(p.pidfd)
		}
		_ = cmd.Wait() // the error at hand says more
		_ = status.Close()
		return stoa.Wrap(stoa.Unavailable, err, "the sandbox %s cannot be made: %s", spec.Name, words(err))
	}
	go func() { p.ended(waitFor(cmd, status, lines)) }()
	return nil
}

// words are an error's own, where it is not one of ours.
func words(err error) string {
	if e := new(stoa.Error); errors.As(err, &e) {
		return e.Msg
	}
	return err.Error()
}

// command is the stage, with the pipe's end on which bubblewrap tells its status,
// and where the command must wait for its limits that by which it is let go.
func (s *Sandbox) command(spec *Spec, group *cgroup.Group) (*exec.Cmd, *os.File, *os.File, error) {
	base := 3 + len(spec.Files)
	fd := fds{plan: base, args: base + 1, filter: base + 2, status: base + 3}
	var cgroups []string
	if group != nil {
		cgroups = group.Tasks()
	} else if spec.Limits.Processes > 0 {
		fd.block = base + 4
	}
	uid := 0
	if s.root {
		uid = randomUID()
	}
	plan, args := s.plan(spec, fd, uid, cgroups)
	plan.Last = max(fd.status, fd.block)
	b, err := json.Marshal(plan)
	if err != nil {
		return nil, nil, nil, stoa.Wrap(stoa.Internal, err, "the sandbox's plan cannot be written")
	}
	var files []*os.File
	fail := func(err error) (*exec.Cmd, *os.File, *os.File, error) {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, nil, nil, stoa.Wrap(stoa.Unavailable, err, "no descriptors for a sandbox")
	}
	for _, content := range []string{string(b), strings.Join(args, "\x00") + "\x00", string(s.filters[spec.Kind])} {
		f, err := memory(content)
		if err != nil {
			return fail(err)
		}
		files = append(files, f)
	}
	status, write, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	files = append(files, write)
	var unblock *os.File
	if fd.block != 0 {
		r, w, err := os.Pipe()
		if err != nil {
			_ = status.Close()
			return fail(err)
		}
		files, unblock = append(files, r), w
	}
	cmd := exec.Command(s.cfg.Init, stage.Stage, strconv.Itoa(fd.plan)) //nolint:noctx // it may outlive whoever starts it
	cmd.Env = []string{}
	cmd.Dir = "/"
	setStreams(cmd, spec)
	cmd.ExtraFiles = append(append([]*os.File{}, spec.Files...), files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C for the server is not for it
	if uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	}
	if group != nil && group.V2 != "" {
		dir, err := os.Open(group.V2)
		if err != nil {
			_ = status.Close()
			return fail(err)
		}
		// The child has no use for it, but it is closed with the others after the
		// start, which is when it has been used.
		cmd.ExtraFiles = append(cmd.ExtraFiles, dir)
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	return cmd, status, unblock, nil
}

// randomUID takes one of the range that is kept for sandboxes.
func randomUID() int {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return firstUID + int(binary.NativeEndian.Uint64(b[:])%uids)
}

// setStreams gives a command its standard files. An *os.File that is nil must not
// become an interface that is not.
func setStreams(cmd *exec.Cmd, spec *Spec) {
	if spec.Stdin != nil {
		cmd.Stdin = spec.Stdin
	}
	if spec.Stdout != nil {
		cmd.Stdout = spec.Stdout
	}
	if spec.Stderr != nil {
		cmd.Stderr = spec.Stderr
	}
}

// memory gives a file that is nowhere, read from its beginning.
func memory(content string) (*os.File, error) {
	fd, err := unix.MemfdCreate("stoa", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "stoa")
	if _, err = f.WriteString(content); err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// status is a line of what bubblewrap and the stage tell.
type status struct {
	ChildPID int    `json:"child-pid"`
	ExitCode *int   `json:"exit-code"`
	Stage    string `json:"stage"`
}

// hello waits for the first line, which has the id of the sandbox's process 1.
func (p *Process) hello(cmd *exec.Cmd, pipe *os.File, lines *bufio.Reader) (status, error) {
	var st status
	_ = pipe.SetReadDeadline(time.Now().Add(startTime)) // pipes have deadlines
	line, err := lines.ReadBytes('\n')
	_ = pipe.SetReadDeadline(time.Time{})
	if err != nil {
		return st, fmt.Errorf("bubblewrap ended before there was a sandbox, its reason is on the sandbox's standard error: %w", err)
	}
	if err := json.Unmarshal(line, &st); err != nil {
		return st, err
	}
	if st.Stage != "" {
		return st, errors.New(st.Stage)
	}
	p.record.Outer = cmd.Process.Pid
	return st, nil
}

// take remembers which processes the sandbox's are.
func (p *Process) take(st status) error {
	var err error
	p.pidfd, err = unix.PidfdOpen(st.ChildPID, unix.PIDFD_NONBLOCK)
	if err == unix.ESRCH {
		p.pidfd = -1 // a quick command has ended by now, and waitFor tells how
		return nil
	}
	if err != nil {
		return fmt.Errorf("the sandbox's first process cannot be watched: %w", err)
	}
	p.record.PID = st.ChildPID
	p.record.Ticks = startTicks(st.ChildPID)
	return nil
}

// release limits the processes where no cgroup does, and lets the command start.
// The limit counts those of the sandbox's own user namespace, so it can only be
// set once that is there.
func release(st status, l Limits, unblock *os.File) error {
	n := uint64(l.Processes)
	if err := unix.Prlimit(st.ChildPID, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
		return fmt.Errorf("the limit on processes cannot be set: %w", err)
	}
	_, err := unblock.Write([]byte{1})
	return err
}

// waitFor waits for bubblewrap, and gives how the command ended. Only where it
// was started has bubblewrap told its status.
func waitFor(cmd *exec.Cmd, pipe *os.File, lines *bufio.Reader) error {
	err := cmd.Wait()
	defer pipe.Close()
	// What was written is in the pipe; another process may hold its other end, so
	// that it does not end by itself.
	_ = pipe.SetReadDeadline(time.Now().Add(time.Second))
	var end status
	for end.ExitCode == nil {
		line, readErr := lines.ReadBytes('\n')
		_ = json.Unmarshal(line, &end) // a line that is none says nothing
		if readErr != nil {
			break
		}
	}
	if end.ExitCode != nil {
		return exitOf(*end.ExitCode)
	}
	var exit *exec.ExitError
	if ws, ok := processState(err, &exit); ok && ws.Signaled() {
		return &ExitError{Code: -1, Signal: ws.Signal()}
	}
	return stoa.Wrap(stoa.Unavailable, err, "the command was not started in its sandbox; the reason is on its standard error")
}

func processState(err error, exit **exec.ExitError) (syscall.WaitStatus, bool) {
	if !errors.As(err, exit) {
		return 0, false
	}
	ws, ok := (*exit).Sys().(syscall.WaitStatus)
	return ws, ok
}
