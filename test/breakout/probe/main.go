// Command probe is a program that tries to get out of its sandbox: each of its
// words is one attempt, and it prints how that went: "ok", the name of an error
// of the kernel's, or what it found. It is run outside too, where the same attempt
// shows that it would work.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		say("which attempt?")
		return
	}
	do, ok := attempts[os.Args[1]]
	if !ok {
		say("no such attempt:", os.Args[1])
		return
	}
	say(result(do(os.Args[2:])))
}

// say prints a line.
func say(words ...any) {
	_, _ = fmt.Fprintln(os.Stdout, words...) // who does not hear it misses it
}

// attempts are the words.
var attempts = map[string]func(args []string) error{
	"read":    func(a []string) error { _, err := os.ReadFile(a[0]); return err },
	"list":    func(a []string) error { _, err := os.ReadDir(a[0]); return err },
	"write":   write,
	"put":     func(a []string) error { return os.WriteFile(a[0], []byte(a[1]), 0) },
	"link":    func(a []string) error { return os.Link(a[0], a[1]) },
	"race":    race,
	"setid":   setID,
	"syscall": call,
	"forks":   forks,
	"memory":  memory,
	"fill":    fill,
	"open":    openMany,
	"connect": connect,
	"listen":  listen,
	"socket":  socket,
	"kill":    kill,
	"daemon":  daemon,
	"sleep":   func([]string) error { return wait() },
	"userns":  userNamespace,
	"mknod":   func(a []string) error { return unix.Mknod(a[0], unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) },
	"mount":   func(a []string) error { return unix.Mount("none", a[0], "tmpfs", 0, "") },
	"remount": func(a []string) error { return unix.Mount("", a[0], "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"umount":  func(a []string) error { return unix.Unmount(a[0], unix.MNT_DETACH) },
	"traceme": func([]string) error { return syscall.PtraceAttach(os.Getppid()) },
	"setuid":  func([]string) error { return unix.Setuid(0) },
	"type":    typeAtTerminal,
}

// result names what an attempt came to.
func result(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// write makes a file and removes it.
func write(a []string) error {
	f, err := os.OpenFile(a[0], os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(a[0]))
}

// setID makes a file that would run as its owner, in every way that there is.
func setID(a []string) error {
	if err := os.WriteFile(a[0], nil, 0o700); err != nil {
		return err
	}
	defer os.Remove(a[0])
	tries := []error{
		unix.Chmod(a[0], 0o4755),
		unix.Fchmodat(unix.AT_FDCWD, a[0], 0o2755, 0),
		func() error {
			fd, err := unix.Open(a[0]+"2", unix.O_CREAT|unix.O_WRONLY, 0o4755)
			if err == nil {
				_ = unix.Close(fd)
				_ = os.Remove(a[0] + "2")
			}
			return err
		}(),
		unix.Mknod(a[0]+"3", unix.S_IFREG|0o4755, 0),
	}
	for _, err := range tries {
		if err == nil {
			return nil
		}
	}
	return tries[0]
}

// race swaps a folder for a link out of it while it reads through the name: the
// mount is the border, so whatever the name is just then, there is nothing.
func race(a []string) error {
	dir, secret := a[0], a[1]
	in, link := dir+"/in", dir+"/link"
	if err := errors.Join(os.Mkdir(in, 0o700), os.Symlink("/", link)); err != nil {
		return err
	}
	go func() {
		for {
			_ = unix.Renameat2(unix.AT_FDCWD, in, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
		}
	}()
	var last error
	for range 20_000 {
		if _, last = os.ReadFile(in + secret); last == nil {
			return nil
		}
	}
	return last
}

// call makes a system call by its number. Without arguments no call does harm
// where it is allowed.
func call(a []string) error {
	n, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	var args [3]uintptr
	for i, s := range a[1:] {
		v, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			return err
		}
		args[i] = uintptr(v)
	}
	if _, _, errno := syscall.Syscall(uintptr(n), args[0], args[1], args[2]); errno != 0 {
		return errno
	}
	return nil
}

// forks starts processes until there can be no more, or as many as it is told.
func forks(a []string) error {
	most, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	var started []*os.Process
	defer func() {
		for _, p := range started {
			_ = p.Kill()
		}
	}()
	for len(started) < most {
		p, err := os.StartProcess("/proc/self/exe", []string{"probe", "sleep"}, &os.ProcAttr{})
		if err != nil {
			say("processes:", len(started))
			return err
		}
		started = append(started, p)
	}
	return nil
}

// memory takes as many MiB as it is told; with "children" in eight processes, with
// "memfd" in files that no process has mapped.
func memory(a []string) error {
	most, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	if len(a) > 1 && a[1] == "memfd" {
		return memfds(most)
	}
	if len(a) > 1 {
		var all []*exec.Cmd
		for range 8 {
			c := exec.Command("/proc/self/exe", "memory", strconv.Itoa(most/8))
			if err := c.Start(); err != nil {
				return err
			}
			all = append(all, c)
		}
		for _, c := range all {
			if err := c.Wait(); err != nil {
				return err
			}
		}
		return nil
	}
	var blocks [][]byte
	for range most {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		blocks = append(blocks, b)
	}
	time.Sleep(time.Second) //nolint:forbidigo // so that a watcher sees it
	say("MiB:", len(blocks))
	return nil
}

func memfds(most int) error {
	b := make([]byte, 4<<20)
	for range most / 4 {
		fd, err := unix.MemfdCreate("probe", 0)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, b); err != nil {
			return err
		}
	}
	time.Sleep(time.Second) //nolint:forbidigo // so that a watcher sees it
	return nil
}

// fill writes a file of as many MiB as it is told, in files of 1 MiB.
func fill(a []string) error {
	most, err := strconv.Atoi(a[1])
	if err != nil {
		return err
	}
	b := make([]byte, 1<<20)
	for i := range most {
		name := fmt.Sprintf("%s/%d", a[0], i)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			say("MiB:", i)
			return err
		}
		defer os.Remove(name)
	}
	return nil
}

// openMany opens a file as often as it is told.
func openMany(a []string) error {
	most, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	for i := range most {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			say("files:", i)
			return err
		}
	}
	return nil
}

func connect(a []string) error {
	c, err := net.DialTimeout(a[0], a[1], 5*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// listen is another replica: it says when it listens, and waits.
func listen(a []string) error {
	for i := 0; i+1 < len(a); i += 2 {
		if _, err := net.Listen(a[i], a[i+1]); err != nil {
			return err
		}
	}
	say("listening")
	return wait()
}

func socket(a []string) error {
	var n [3]int
	for i := range n {
		v, err := strconv.Atoi(a[i])
		if err != nil {
			return err
		}
		n[i] = v
	}
	fd, err := unix.Socket(n[0], n[1], n[2])
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// kill sends a signal that does nothing, to see whether it may.
func kill(a []string) error {
	pid, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	return unix.Kill(pid, 0)
}

// daemon leaves a process behind that has left its session and hears no signal.
func daemon(a []string) error {
	c := exec.Command("/proc/self/exe", "sleep", a[0])
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c.Start()
}

// userNamespace starts a process in a user namespace of its own.
func userNamespace([]string) error {
	c := exec.Command("/proc/self/exe", "read", "/proc/self/uid_map")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	return c.Run()
}

// typeAtTerminal types for whoever reads the terminal next.
func typeAtTerminal([]string) error {
	b := []byte("x")
	return unix.IoctlSetInt(0, unix.TIOCSTI, int(b[0]))
}

// wait waits for the signal that ends it.
func wait() error {
	_, err := unix.Ppoll(nil, nil, nil)
	return err
}
