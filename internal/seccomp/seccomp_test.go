package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// run is the kernel's interpreter of such programs, as far as they use it.
func run(t *testing.T, p []unix.SockFilter, arch, call uint32, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, offsetArgs+6*8)
	binary.LittleEndian.PutUint32(data[offsetCall:], call)
	binary.LittleEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.LittleEndian.PutUint64(data[offsetArgs+8*i:], a)
	}
	var acc uint32
	for at := 0; at < len(p); at++ {
		in := p[at]
		jump := func(yes bool) {
			if yes {
				at += int(in.Jt)
			} else {
				at += int(in.Jf)
			}
		}
		switch in.Code {
		case load:
			acc = binary.LittleEndian.Uint32(data[in.K:])
		case mask:
			acc &= in.K
		case equals:
			jump(acc == in.K)
		case least:
			jump(acc >= in.K)
		case ret:
			return in.K
		default:
			t.Fatalf("instruction %d has the unknown code %#x", at, in.Code)
		}
	}
	t.Fatal("the program runs out of its end")
	return 0
}

func TestTheList(t *testing.T) {
	code, worker := assemble(rules(Code)), assemble(rules(Worker))
	const allow = uint32(unix.SECCOMP_RET_ALLOW)
	no := func(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }
	for _, c := range []struct {
		name    string
		program []unix.SockFilter
		call    uint32
		args    []uint64
		want    uint32
	}{
		{"read", code, unix.SYS_READ, []uint64{0}, allow},
		{"execve", code, unix.SYS_EXECVE, nil, allow},
		{"ptrace", code, unix.SYS_PTRACE, nil, no(unix.EPERM)},
		{"mount", code, unix.SYS_MOUNT, nil, no(unix.EPERM)},
		{"io_uring_setup", code, unix.SYS_IO_URING_SETUP, nil, no(unix.ENOSYS)},
		{"clone3", code, unix.SYS_CLONE3, nil, no(unix.ENOSYS)},
		{"clone a thread", code, unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD}, allow},
		{"clone a user namespace", code, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, no(unix.EPERM)},
		{"clone, upper half", code, unix.SYS_CLONE, []uint64{unix.CLONE_VM | 1<<40}, allow},
		{"unshare a network", code, unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWNET}, no(unix.EPERM)},
		{"unshare files", code, unix.SYS_UNSHARE, []uint64{unix.CLONE_FILES}, allow},
		{"unix socket", code, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"tcp socket", code, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM}, allow},
		{"tcp socket of a worker", worker, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM}, no(unix.EAFNOSUPPORT)},
		{"unix socket of a worker", worker, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow},
		{"raw socket", code, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC}, no(unix.EPERM)},
		{"packet socket", code, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_DGRAM}, no(unix.EAFNOSUPPORT)},
		{"netlink", code, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_DGRAM}, no(unix.EAFNOSUPPORT)},
		{"vsock", code, unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, no(unix.EAFNOSUPPORT)},
		{"personality asked", code, unix.SYS_PERSONALITY, []uint64{0xffffffff}, allow},
		{"personality READ_IMPLIES_EXEC", code, unix.SYS_PERSONALITY, []uint64{0x0400000}, no(unix.EPERM)},
		{"ioctl of a terminal's size", code, unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, allow},
		{"ioctl TIOCSTI", code, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, no(unix.EPERM)},
		{"ioctl TIOCSTI with an upper half", code, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI | 1<<32}, no(unix.EPERM)},
		{"chmod 755", code, unix.SYS_FCHMODAT, []uint64{0, 0, 0o755}, allow},
		{"chmod 4755", code, unix.SYS_FCHMODAT, []uint64{0, 0, 0o4755}, no(unix.EPERM)},
		{"fchmod 2755", code, unix.SYS_FCHMOD, []uint64{0, 0o2755}, no(unix.EPERM)},
		{"open to read, junk for a mode", code, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_DIRECTORY, 0o7777}, allow},
		{"make a setuid file", code, unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT | unix.O_WRONLY, 0o4755}, no(unix.EPERM)},
		{"make a setuid file without a name", code, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TMPFILE | unix.O_WRONLY, 0o4755}, no(unix.EPERM)},
		{"make a file", code, unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT | unix.O_WRONLY, 0o755}, allow},
	} {
		if got := run(t, c.program, auditArch, c.call, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := run(t, code, unix.AUDIT_ARCH_I386, unix.SYS_READ); got != no(unix.ENOSYS) {
		t.Errorf("a call of another architecture: %#x", got)
	}
	if x32 != 0 {
		if got := run(t, code, auditArch, x32|unix.SYS_READ); got != no(unix.ENOSYS) {
			t.Errorf("a call of the second form: %#x", got)
		}
	}
}

// TestEveryCallHasOneAnswer: no rule hides another's, and each is reached.
func TestEveryCallHasOneAnswer(t *testing.T) {
	seen := map[uint32]bool{}
	program := assemble(rules(Code))
	for _, r := range rules(Code) {
		if len(r.tests) > 0 {
			continue
		}
		if seen[r.call] {
			t.Errorf("call %d is refused twice", r.call)
		}
		seen[r.call] = true
		if got := run(t, program, auditArch, r.call); got != unix.SECCOMP_RET_ERRNO|uint32(r.errno) {
			t.Errorf("call %d: %#x", r.call, got)
		}
	}
	if n := len(program); n > 4096 {
		t.Errorf("%d instructions, more than the kernel takes", n)
	}
	if got, want := len(Program(Code)), 8*len(program); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
