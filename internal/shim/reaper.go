package shim

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type command = exec.Cmd

// reaper collects the status of orphans, which become children of ours when
// their parents end. Children that somebody waits for are left to him: whoever
// collects a status first has it.
type reaper struct {
	mu   sync.Mutex
	ours map[int]struct{} // pids that somebody waits for
}

func newReaper() *reaper { return &reaper{ours: map[int]struct{}{}} }

// start starts a command whose end its starter waits for. The lock keeps the
// reaper from seeing it before it is known.
func (r *reaper) start(c *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := c.Start(); err != nil {
		return err
	}
	r.ours[c.Process.Pid] = struct{}{}
	return nil
}

// ended says that a command was waited for. What it has left behind is killed
// and collected before ended returns, or nearly always: what the kernel does not
// let go of within sweepTime is left to die.
func (r *reaper) ended(pid int) {
	r.mu.Lock()
	delete(r.ours, pid)
	r.mu.Unlock()
	start := time.Now()
	for left := r.reap(); left && time.Since(start) < sweepTime; left = r.reap() {
		<-time.After(time.Millisecond)
	}
}

// sweepTime is for processes that are in a system call which no signal ends.
const sweepTime = time.Second

// sweep kills what nobody of ours has to do with: everything else in a process
// namespace of our own, and elsewhere our children, which are orphans. Theirs
// become ours when they end, and we are called again. mu is held.
func (r *reaper) sweep() {
	if len(r.ours) > 0 {
		return
	}
	if os.Getpid() == 1 {
		_ = syscall.Kill(-1, syscall.SIGKILL) // all but the first process; there may be none
		return
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is right
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	}
}

// groups gives the process groups that our commands lead.
func (r *reaper) groups() map[int]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[int]bool, len(r.ours))
	for pid := range r.ours {
		out[pid] = true
	}
	return out
}

const (
	prSetChildSubreaper = 36 // prctl(2)
	pAll                = 0  // P_ALL of waitid(2)
	wNoHang             = 1
	wExited             = 4
	wNoWait             = 0x1000000
)

// watch collects orphans until stop is called. A process that is not the first
// of its namespace asks to be given the orphans of its children.
func (r *reaper) watch() (stop func()) {
	if os.Getpid() != 1 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0) // else the system's first process gets them
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			r.reap()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// reap collects the orphans that have ended, and tells whether there are others
// while nobody waits for any. It stops at one of ours, since the system tells of
// no other before that is collected; ended then comes back.
func (r *reaper) reap() (left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.sweep()
	for {
		pid, some := endedChild()
		if _, known := r.ours[pid]; known || pid == 0 {
			return some && len(r.ours) == 0
		}
		if _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != nil && err != syscall.EINTR {
			return false
		}
	}
}

// endedChild gives the pid of a child that has ended, and leaves it to be waited
// for; 0 where none has. some tells whether there are children at all.
func endedChild() (pid int, some bool) {
	var info struct {
		_   [12]byte // signo, errno, code
		_   [4 * (unsafe.Sizeof(uintptr(0))/4 - 1)]byte
		pid int32
		_   [128]byte
	}
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, pAll, 0, uintptr(unsafe.Pointer(&info)), wExited|wNoHang|wNoWait, 0, 0)
		switch e {
		case 0:
			return int(info.pid), true
		case syscall.EINTR:
		default:
			return 0, false
		}
	}
}
