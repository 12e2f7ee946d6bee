package breakout

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetwork(t *testing.T) {
	g := newGround(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer tcp.Close()
	abstract := fmt.Sprintf("@breakout-%d", os.Getpid())
	unixes, err := net.Listen("unix", abstract)
	must(t, err)
	defer unixes.Close()
	path := filepath.Join(t.TempDir(), "s")
	file, err := net.Listen("unix", path)
	must(t, err)
	defer file.Close()

	// Another replica, which listens on the port on which each finds the API.
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec := g.spec("other", inProbe, "listen", "tcp", "127.0.0.1:9000", "unix", abstract+"-other", "unix", "/tmp/s")
	spec.Stdout = w
	other, err := g.box.Start(spec)
	must(t, err)
	defer other.Close()
	must(t, w.Close())
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "listening\n" {
		t.Fatalf("the other replica: %q, %v", line, err)
	}
	refused := words("ECONNREFUSED")
	g.try(t, []attempt{
		{"the host's loopback", []string{"connect", "tcp", tcp.Addr().String()}, refused, []string{"connect", "tcp", tcp.Addr().String()}, ""},
		{"an abstract socket of the host", []string{"connect", "unix", abstract}, words("ECONNREFUSED EPERM"), []string{"connect", "unix", abstract}, ""},
		{"a socket in a folder of the host", []string{"connect", "unix", path}, words("ENOENT"), []string{"connect", "unix", path}, ""},
		{"another replica's port", words("connect tcp 127.0.0.1:9000"), refused, nil, ""},
		{"another replica's abstract socket", []string{"connect", "unix", abstract + "-other"}, refused, nil, ""},
		{"another replica's socket", words("connect unix /tmp/s"), words("ENOENT"), nil, ""},
		{"the internet", words("connect tcp 192.0.2.1:80"), words("ENETUNREACH"), nil, ""},
		{"the metadata of a cloud", words("connect tcp 169.254.169.254:80"), words("ENETUNREACH"), nil, ""},
		{"the internet by version 6", words("connect tcp [2001:db8::1]:80"), words("ENETUNREACH EADDRNOTAVAIL"), nil, ""},
		{"a raw socket", sock(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP), words("EPERM"), nil, ""},
		{"a packet socket", sock(unix.AF_PACKET, unix.SOCK_DGRAM, 0), words("EAFNOSUPPORT"), nil, ""},
		{"a netlink socket", sock(unix.AF_NETLINK, unix.SOCK_DGRAM, 0), words("EAFNOSUPPORT"), sock(unix.AF_NETLINK, unix.SOCK_DGRAM, 0), ""},
		{"a socket to the hypervisor", sock(unix.AF_VSOCK, unix.SOCK_STREAM, 0), words("EAFNOSUPPORT"), nil, ""},
		{"a socket of the kernel's ciphers", sock(unix.AF_ALG, unix.SOCK_SEQPACKET, 0), words("EAFNOSUPPORT"), nil, ""},
	})
}

func sock(family, kind, protocol int) []string {
	return []string{"socket", strconv.Itoa(family), strconv.Itoa(kind), strconv.Itoa(protocol)}
}

func TestOtherProcesses(t *testing.T) {
	g := newGround(t)
	sleeper := exec.CommandContext(t.Context(), g.probe, "sleep")
	must(t, sleeper.Start())
	defer func() {
		must(t, sleeper.Process.Kill())
		_ = sleeper.Wait() // killed
	}()
	pid := strconv.Itoa(sleeper.Process.Pid)
	g.try(t, []attempt{
		{"signal a process of the host", words("kill " + pid), words("ESRCH"), words("kill " + pid), ""},
		{"read a process of the host", words("read /proc/" + pid + "/environ"), words("ENOENT"), words("read /proc/" + pid + "/environ"), ""},
		{"trace a process", words("traceme"), words("EPERM"), nil, ""},
		{"become root", words("setuid"), words("EINVAL EPERM"), nil, ""},
		{"a user namespace", words("userns"), words("EPERM"), words("userns"), ""},
		{"type at the terminal", words("type"), words("EPERM"), nil, ""},
		{"a file that runs as its owner", words("setid /tmp/x"), words("EPERM"), []string{"setid", filepath.Join(t.TempDir(), "x")}, ""},
	})
	t.Run("setuid programs of the host", func(t *testing.T) {
		got, _, err := g.inside(t, "/bin/sh", "-c", "for f in /usr/bin/su /usr/bin/mount /usr/bin/passwd; do test -u $f && echo setuid; done; grep -E '^(NoNewPrivs|CapBnd)' /proc/self/status | tr -d '\\n'")
		if want := "CapBnd:\t0000000000000000NoNewPrivs:\t1"; err != nil || len(got) < len(want) || got[len(got)-len(want):] != want {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestMounts(t *testing.T) {
	g := newGround(t)
	no := words("EPERM")
	g.try(t, []attempt{
		{"mount over /tmp", words("mount /tmp"), no, nil, ""},
		{"make the bundle writable", words("remount /opt/algorithm"), no, nil, ""},
		{"make the root writable", words("remount /"), no, nil, ""},
		{"uncover what is below /proc", words("umount /proc"), no, nil, ""},
		{"uncover what is below /etc", words("umount /etc"), no, nil, ""},
		{"make a device", words("mknod /tmp/null"), no, nil, ""},
	})
}

// TestSystemCalls makes calls without arguments, of which the kernel would
// complain in another way if it looked at them. The controls are those that an
// ordinary user may make.
func TestSystemCalls(t *testing.T) {
	g := newGround(t)
	for _, c := range []struct {
		name    string
		call    int
		args    []uintptr
		want    string
		control string // "": none is harmless
	}{
		{"ptrace", unix.SYS_PTRACE, nil, "EPERM", "ok"}, // TRACEME
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil, "EPERM", "ok"},
		{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, nil, "EPERM", "ok"},
		{"add_key", unix.SYS_ADD_KEY, nil, "EPERM", "EFAULT"},
		{"request_key", unix.SYS_REQUEST_KEY, nil, "EPERM", "EFAULT"},
		{"keyctl", unix.SYS_KEYCTL, nil, "EPERM", ""},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, "ENOSYS", ""},
		{"io_uring_enter", unix.SYS_IO_URING_ENTER, []uintptr{1 << 20}, "ENOSYS", ""},
		{"clone3", unix.SYS_CLONE3, nil, "ENOSYS", "EINVAL"},
		{"openat2", unix.SYS_OPENAT2, nil, "ENOSYS", "EINVAL"},
		{"unshare mounts", unix.SYS_UNSHARE, []uintptr{unix.CLONE_NEWNS}, "EPERM", ""},
		{"unshare network", unix.SYS_UNSHARE, []uintptr{unix.CLONE_NEWNET}, "EPERM", ""},
		{"setns", unix.SYS_SETNS, []uintptr{^uintptr(0)}, "EPERM", "EBADF"},
		{"bpf", unix.SYS_BPF, []uintptr{1 << 20}, "EPERM", ""},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, nil, "EPERM", ""},
		{"userfaultfd", unix.SYS_USERFAULTFD, []uintptr{1 << 20}, "EPERM", ""},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, "EPERM", ""},
		{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, nil, "EPERM", "EFAULT"},
		{"kexec_load", unix.SYS_KEXEC_LOAD, nil, "EPERM", ""},
		{"init_module", unix.SYS_INIT_MODULE, nil, "EPERM", ""},
		{"finit_module", unix.SYS_FINIT_MODULE, nil, "EPERM", ""},
		{"delete_module", unix.SYS_DELETE_MODULE, nil, "EPERM", ""},
		{"reboot", unix.SYS_REBOOT, nil, "EPERM", ""},
		{"settimeofday", unix.SYS_SETTIMEOFDAY, nil, "EPERM", ""},
		{"swapon", unix.SYS_SWAPON, nil, "EPERM", ""},
		{"syslog", unix.SYS_SYSLOG, []uintptr{10}, "EPERM", ""},
		{"pivot_root", unix.SYS_PIVOT_ROOT, nil, "EPERM", ""},
		{"open_tree", unix.SYS_OPEN_TREE, nil, "EPERM", "EFAULT"},
		{"fsopen", unix.SYS_FSOPEN, nil, "EPERM", ""},
		{"fanotify_init", unix.SYS_FANOTIFY_INIT, []uintptr{1 << 30}, "EPERM", ""},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, []uintptr{^uintptr(0)}, "EPERM", "EBADF"},
		{"personality", unix.SYS_PERSONALITY, []uintptr{0x0400000}, "EPERM", "ok"}, // READ_IMPLIES_EXEC
	} {
		command := []string{"syscall", strconv.Itoa(c.call)}
		for _, a := range c.args {
			command = append(command, strconv.FormatUint(uint64(a), 10))
		}
		got, _, err := g.inside(t, append([]string{inProbe}, command...)...)
		if err != nil || got != c.want {
			t.Errorf("%s inside: %q (%v), want %s", c.name, got, err, c.want)
		}
		if c.control == "" {
			continue
		}
		if got := g.outside(t, append([]string{g.probe}, command...)...); got != c.control {
			t.Errorf("%s outside: %q, want %q: the attempt shows nothing", c.name, got, c.control)
		}
	}
}
