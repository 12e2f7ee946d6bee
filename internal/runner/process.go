package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/stoa-project/stoa"
)

// process is the program's first process, the leader of a group of its own.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and its group was killed

	mu     sync.Mutex
	reaped bool
}

// start starts a program with its ends of the streams, which are closed here.
func start(p *Program, env []string, cfg *Config, files [3]*os.File) (*process, error) {
	defer func() {
		for _, f := range files {
			if f != nil {
				_ = f.Close()
			}
		}
	}()
	path, err := LookPath(p.Command[0], p.Env)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: path, Args: p.Command, Dir: p.Dir, Env: environment(p, env), // of two with a name, the last one counts
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if files[0] != nil {
		cmd.Stdin = files[0]
	}
	cmd.Stdout, cmd.Stderr = files[1], files[2]
	run := (*exec.Cmd).Start
	if cfg.Start != nil {
		run = cfg.Start
	}
	if err := run(cmd); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, exited: make(chan struct{})}, nil
}

// environment gives the program's, and with it what it is told of the protocol.
func environment(p *Program, told []string) []string {
	var all []string
	if p.Protocol == Pipe {
		// Algorithmia's kit for Python flushes what was printed after it has
		// answered, when it is too late to be the call's.
		all = append(all, "PYTHONUNBUFFERED=1")
	}
	return append(append(all, p.Env...), told...)
}

// defaultPath is where a command is looked for when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// LookPath finds a command on the PATH of its own environment.
func LookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := defaultPath
	for _, e := range env { // the last one counts
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", stoa.Errorf(stoa.Failed, "there is no command %q on the PATH %s", name, path)
}

// wait waits for the end of the first process, kills what is left of its group,
// and gives the process back to the system. In this order: once it was given
// back, the group's number may be another's.
func (p *process) wait() {
	waitable(p.cmd.Process.Pid)
	p.mu.Lock()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // nobody may be left
	_ = p.cmd.Wait()                                      // the state says how it ended
	p.reaped = true
	p.mu.Unlock()
	close(p.exited)
}

// kill kills the group.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// waitable waits until a child can be waited for without blocking, and leaves it
// so.
func waitable(pid int) {
	const (
		pPid    = 1         // P_PID
		wExited = 4         // WEXITED
		wNoWait = 0x1000000 // WNOWAIT
	)
	var info [128]byte // siginfo_t, of which we need nothing
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, pPid, uintptr(pid), uintptr(unsafe.Pointer(&info)), wExited|wNoWait, 0, 0)
		if e != syscall.EINTR {
			return
		}
	}
}

// ending says how the process ended, in the words of Algorithmia's contract.
func (p *process) ending() error {
	st := p.cmd.ProcessState
	if st == nil {
		return errors.New("exited with code -99") // the contract's number where it is not known
	}
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Errorf("was killed by signal %d", int(ws.Signal()))
	}
	return fmt.Errorf("exited with code %d", st.ExitCode())
}
