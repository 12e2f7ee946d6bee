// Package breakout tries to get out of the sandbox: every attempt is a real
// program's, is made inside, where it must fail in the way that is named here,
// and, where that does no harm, outside too, where it must work. All is done as
// root and as an ordinary user.
package breakout

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/shim/shimtest"
)

// The second run of this test binary, as an ordinary user, is told where its
// tools are: it could not build them.
const (
	initVar   = "STOA_BREAKOUT_INIT"
	probeVar  = "STOA_BREAKOUT_PROBE"
	cgroupVar = "STOA_BREAKOUT_CGROUP" // one that is the user's
)

// nobody is the ordinary user.
const nobody = 65534

// ground is where attempts are made.
type ground struct {
	box    *sandbox.Sandbox
	init   string // the path of stoa-init
	probe  string // outside; inside it is inProbe
	bundle string // the folder that is /opt/algorithm inside
	other  string // another version's file
}

func (g *ground) config(t *testing.T) sandbox.Config {
	t.Helper()
	return sandbox.Config{Dir: t.TempDir(), Init: g.init, Cgroup: os.Getenv(cgroupVar)}
}

const inProbe = "/opt/algorithm/probe"

func newGround(t *testing.T) *ground {
	t.Helper()
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: bubblewrap (bwrap) is not installed")
	}
	g := &ground{init: os.Getenv(initVar), probe: os.Getenv(probeVar)}
	if g.init == "" {
		g.init, g.probe = shimtest.Build(t), buildProbe(t, t.TempDir())
	}
	box, err := sandbox.New(g.config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	dir := t.TempDir()
	g.box, g.bundle, g.other = box, filepath.Join(dir, "bundle"), filepath.Join(dir, "other", "secret")
	for _, d := range []string{g.bundle, filepath.Dir(g.other)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(g.probe)
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.WriteFile(filepath.Join(g.bundle, "probe"), b, 0o755))
	must(t, os.WriteFile(g.other, []byte("another version's"), 0o644))
	must(t, os.Symlink(g.other, filepath.Join(g.bundle, "link")))
	must(t, os.Symlink("../other/secret", filepath.Join(g.bundle, "up")))
	must(t, os.Symlink("/", filepath.Join(g.bundle, "root")))
	return g
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func buildProbe(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "./probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the probe cannot be built: %v: %s", err, out)
	}
	return path
}

// spec is that of a small replica.
func (g *ground) spec(name string, command ...string) sandbox.Spec {
	return sandbox.Spec{
		Name: name, Command: command, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/opt/algorithm", Tmp: 16 << 20,
		Mounts: []sandbox.Mount{{Source: g.bundle, Target: "/opt/algorithm"}},
		Limits: sandbox.Limits{Memory: 128 << 20, CPU: 1, Processes: 40, Files: 128, FileSize: 8 << 20},
	}
}

// inside makes an attempt inside, and gives the last line that it printed.
func (g *ground) inside(t *testing.T, command ...string) (string, sandbox.Usage, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	u, err := g.box.Run(ctx, g.spec("attempt", command...), nil, &out, &errs)
	if out.Len() == 0 {
		return strings.TrimSpace(errs.String()), u, err
	}
	return strings.TrimSpace(out.String()), u, err
}

// outside makes it here.
func (g *ground) outside(t *testing.T, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v outside: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestAsAnOrdinaryUser makes all attempts once more as a user without rights and
// without a cgroup: the user outside is the server's own, and memory is watched.
func TestAsAnOrdinaryUser(t *testing.T) { asNobody(t, "") }

// TestAsAnOrdinaryUserWithACgroup is the same with limits by a group that root
// has given to that user.
func TestAsAnOrdinaryUserWithACgroup(t *testing.T) {
	const name = "stoa-breakout-test"
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: the tests run as an ordinary user already")
	}
	for _, controller := range []string{"memory", "cpu", "pids"} {
		dir := filepath.Join("/sys/fs/cgroup", controller, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("SKIPPED: no cgroup of version 1 can be given to a user here: %v", err)
		}
		t.Cleanup(func() { must(t, os.Remove(dir)) })
		for _, path := range []string{dir, filepath.Join(dir, "cgroup.procs")} {
			must(t, os.Chown(path, nobody, nobody))
		}
	}
	asNobody(t, name)
}

func asNobody(t *testing.T, cgroup string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: the tests run as an ordinary user already")
	}
	dir, err := os.MkdirTemp("", "breakout") //nolint:usetesting // the other user must get into it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	home := filepath.Join(dir, "home")
	must(t, os.Mkdir(home, 0o700))
	must(t, os.Chown(home, nobody, nobody))
	self, err := os.Executable()
	must(t, err)
	files := map[string]string{"test": self, "init": shimtest.Build(t), "probe": buildProbe(t, t.TempDir())}
	for name, from := range files {
		b, err := os.ReadFile(from)
		must(t, err)
		files[name] = filepath.Join(dir, name)
		must(t, os.WriteFile(files[name], b, 0o755))
	}
	cmd := exec.CommandContext(t.Context(), files["test"], "-test.v", "-test.timeout=120s")
	cmd.Dir = home
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + home, initVar + "=" + files["init"], probeVar + "=" + files["probe"], cgroupVar + "=" + cgroup}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "--- PASS: Test")
	t.Logf("as the user %d: %d tests passed", nobody, passed)
	if err != nil || passed < 8 {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "SKIPPED") && !strings.Contains(line, "already") {
			t.Errorf("as an ordinary user: %s", line)
		}
	}
}

// TestStrictRefusesWhatIsWatched: the user without a cgroup is refused, others are
// not.
func TestStrictRefusesWhatIsWatched(t *testing.T) {
	g := newGround(t)
	watched := slices.ContainsFunc(g.box.Report(), func(p sandbox.Protection) bool { return p.State == sandbox.Watched })
	if want := os.Geteuid() != 0 && os.Getenv(cgroupVar) == ""; watched != want {
		t.Errorf("memory is watched: %v, want %v", watched, want)
	}
	cfg := g.config(t)
	cfg.Mode = sandbox.Strict
	strict, err := sandbox.New(cfg)
	if err == nil {
		strict.Close()
	}
	if watched != (err != nil) || watched && !strings.Contains(err.Error(), "strict refuses") {
		t.Errorf("memory is watched: %v; strict: %v", watched, err)
	}
}

// attempt is one of the table.
type attempt struct {
	name    string
	command []string // of the probe
	want    []string // how it may fail
	control []string // the same outside; nil: nothing harmless would show it
	shows   string   // what the control comes to; default ok
}

func (g *ground) try(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		t.Run(strings.ReplaceAll(a.name, " ", "_"), func(t *testing.T) {
			got, _, err := g.inside(t, append([]string{inProbe}, a.command...)...)
			if err != nil || !slices.Contains(a.want, got) {
				t.Errorf("inside %v comes to %q (%v), want %q", a.command, got, err, a.want)
			}
			if a.control == nil {
				return
			}
			want := a.shows
			if want == "" {
				want = "ok"
			}
			if got := g.outside(t, append([]string{g.probe}, a.control...)...); got != want {
				t.Errorf("outside %v comes to %q, want %q: the attempt shows nothing", a.control, got, want)
			}
		})
	}
}

func words(s string) []string { return strings.Fields(s) }

func TestFilesOfOthers(t *testing.T) {
	g := newGround(t)
	outside := filepath.Join(t.TempDir(), "new")
	none, read := words("ENOENT"), words("EROFS EACCES")
	g.try(t, []attempt{
		{"another version's file", words("read " + g.other), none, words("read " + g.other), ""},
		{"another version's file by a link in the bundle", words("read /opt/algorithm/link"), none, words("read " + filepath.Join(g.bundle, "link")), ""},
		{"another version's file by a link upwards", words("read /opt/algorithm/up"), none, words("read " + filepath.Join(g.bundle, "up")), ""},
		{"another version's file by a link to the root", words("read /opt/algorithm/root" + g.other), none, words("read " + filepath.Join(g.bundle, "root", g.other)), ""},
		{"another version's file by the first process's root", words("read /proc/1/root" + g.other), words("ENOENT EACCES"), words("read /proc/self/root" + g.other), ""},
		{"the host's passwords", words("read /etc/shadow"), none, words("list /etc"), ""},
		{"the host's homes", words("list /root"), none, nil, ""},
		{"the host's data", words("list /var/lib"), none, words("list /var/lib"), ""},
		{"the host's memory", words("read /dev/mem"), none, nil, ""},
		{"write to the root", words("write /x"), read, words("write " + outside), ""},
		{"write to /usr", words("write /usr/x"), read, nil, ""},
		{"write to /etc", words("write /etc/x"), read, nil, ""},
		{"write to /dev", words("write /dev/x"), read, nil, ""},
		{"write to /run", words("write /run/x"), read, nil, ""},
		{"write to the bundle", words("write /opt/algorithm/x"), read, words("write " + filepath.Join(g.bundle, "x")), ""},
		{"write to the program", words("put /opt/algorithm/probe x"), words("EROFS EACCES ETXTBSY"), nil, ""},
		{"write to stoa-init", words("put /run/stoa/init x"), words("EROFS EACCES ETXTBSY"), nil, ""},
		{"a hard link out of the bundle", words("link /opt/algorithm/probe /tmp/x"), words("EXDEV EROFS EACCES"), nil, ""},
		{"/tmp, the one place to write", words("write /tmp/x"), words("ok"), nil, ""},
		{"swap a folder for a link", words("race /tmp " + g.other), words("ENOENT ENOTDIR"), nil, ""},
	})
}

func TestProcAndSys(t *testing.T) {
	g := newGround(t)
	no := words("EACCES EROFS EPERM ENOENT")
	var attempts []attempt
	for _, f := range []string{
		"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
		"/proc/self/oom_score_adj", "/proc/self/comm", "/proc/1/mem", "/proc/self/uid_map", "/proc/irq/default_smp_affinity",
		"/sys/power/state", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/mm/transparent_hugepage/enabled",
	} {
		attempts = append(attempts, attempt{name: f, command: []string{"put", f, "0"}, want: no})
	}
	attempts = append(attempts,
		attempt{"the host's devices", words("list /sys/class"), words("ENOENT"), words("list /sys/class"), ""},
		attempt{"turn a processor off", words("put /sys/devices/system/cpu/cpu1/online 0"), no, nil, ""},
		attempt{"the kernel's memory", words("read /proc/kcore"), words("EACCES EPERM ENOENT"), nil, ""},
	)
	g.try(t, attempts)
}

func TestPythonGetsNoFurther(t *testing.T) {
	g := newGround(t)
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		t.Skip("SKIPPED: there is no /usr/bin/python3")
	}
	for _, c := range []struct{ name, script, want string }{
		{"passwords", "open('/etc/shadow')", "FileNotFoundError"},
		{"another version", "open('" + g.other + "')", "FileNotFoundError"},
		{"root", "import os; os.setuid(0)", "OSError"},
		{"raw socket", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "PermissionError"},
		{"user namespace", "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nif l.unshare(0x10000000): raise OSError(ctypes.get_errno(), 'unshare')", "PermissionError"},
		{"chroot", "import os; os.chroot('/tmp')", "PermissionError"},
		{"device", "import os, stat; os.mknod('/tmp/d', stat.S_IFCHR | 0o666, os.makedev(1, 1))", "PermissionError"},
		{"all processes", "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))", ""},
		{"the first process", "import os, signal; os.kill(1, signal.SIGKILL)", "PermissionError"},
	} {
		script := "try:\n  exec(" + quote(c.script) + ")\nexcept BaseException as e:\n  print(type(e).__name__)"
		got, _, err := g.inside(t, "/usr/bin/python3", "-c", script)
		switch {
		case c.want == "" && (len(got) > 1 || got > "3"):
			t.Errorf("%s: %q (%v): it sees processes of others", c.name, got, err)
		case c.want != "" && (err != nil || got != c.want):
			t.Errorf("%s: %q (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`).Replace(s) + "'"
}

func exit(err error) *sandbox.ExitError {
	var e *sandbox.ExitError
	errors.As(err, &e)
	return e
}
