package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

// need makes a Sandbox, or skips where the machine has none.
func need(t *testing.T, cfg sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: bubblewrap (bwrap) is not installed")
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Init = initPath()
	s, err := sandbox.New(cfg)
	if err != nil {
		t.Fatalf("%v: %v", err, errors.Unwrap(err))
	}
	t.Cleanup(s.Close)
	return s
}

// shell runs a script, and gives what it printed and how it ended.
func shell(t *testing.T, s *sandbox.Sandbox, spec sandbox.Spec, script string) (string, error) {
	t.Helper()
	spec.Command = []string{"/bin/sh", "-c", script}
	if spec.Name == "" {
		spec.Name = "test"
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	spec.Stdout, spec.Stderr = out, out
	p, err := s.Start(spec)
	if err != nil {
		t.Fatalf("%v: %v", err, errors.Unwrap(err))
	}
	end := p.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b), end
}

func TestWhatIsSeenInside(t *testing.T) {
	s := need(t, sandbox.Config{})
	for _, c := range []struct{ script, want string }{
		{"id -u; id -g; id -un", "1000\n1000\nalgorithm\n"},
		{"hostname", "test\n"},
		{"ls /", "bin\ndev\netc\nlib\nlib64\nproc\nrun\nsbin\nsys\ntmp\nusr\nvar\n"},
		{"env | sort", "PWD=/\nX=a b\n"},
		{"ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 "},
		{"grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status", "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"},
		{"cat /sys/kernel/x 2>&1; cat /etc/shadow 2>&1; true", "cat: /sys/kernel/x: No such file or directory\ncat: /etc/shadow: No such file or directory\n"},
		{"ls /dev | tr '\\n' ' '", "fd full null random shm stderr stdin stdout urandom zero "},
		{"touch /x /etc/x /dev/x /usr/x 2>&1 | wc -l; touch /tmp/x && echo ok", "4\nok\n"},
		{"ls /sys/class/net 2>&1; cat /proc/net/dev | grep -c :", "ls: cannot access '/sys/class/net': No such file or directory\n1\n"},
		{"ps -e 2>/dev/null | wc -l; echo $PPID", ""},
	} {
		out, err := shell(t, s, sandbox.Spec{Env: []string{"X=a b"}, Limits: sandbox.Limits{Processes: 32}}, c.script)
		if err != nil || c.want != "" && out != c.want {
			t.Errorf("%s: %v\n%q, want\n%q", c.script, err, out, c.want)
		}
	}
}

func TestMounts(t *testing.T) {
	s := need(t, sandbox.Config{})
	dir := t.TempDir()
	deep := filepath.Join(dir, "private", "deep")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "secret"), []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{Mounts: []sandbox.Mount{
		{Source: out, Target: "/opt/in/out", Write: true},
		{Source: deep, Target: "/opt/in"},
		{Source: filepath.Join(deep, "secret"), Target: "/opt/file"},
	}}
	if err := os.Mkdir(filepath.Join(deep, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := shell(t, s, spec, "cat /opt/in/secret /opt/file; echo new > /opt/in/out/made && chmod 600 /opt/in/out/made; echo no > /opt/in/x; chmod u+s /opt/in/out/made")
	if strings.Count(got, "mine\n") != 2 || !strings.Contains(got, "Read-only file system") || !strings.Contains(got, "Operation not permitted") {
		t.Errorf("%v: %q", err, got)
	}
	b, err := os.ReadFile(filepath.Join(out, "made"))
	if err != nil || string(b) != "new\n" {
		t.Errorf("what was written inside: %q, %v", b, err)
	}
}

func TestHowItEnds(t *testing.T) {
	s := need(t, sandbox.Config{})
	for _, c := range []struct{ script, want string }{
		{"exit 0", ""},
		{"exit 7", "it exited with status 7"},
		{"kill -9 $$", "it was ended by the signal killed (9)"},
		{"sleep 1000 & exit 3", "it exited with status 3"},
	} {
		for _, first := range []bool{false, true} {
			if first && strings.Contains(c.script, "kill") {
				continue // process 1 cannot kill itself
			}
			_, err := shell(t, s, sandbox.Spec{First: first}, c.script)
			if got := text(err); got != c.want {
				t.Errorf("%s (first: %v): %q, want %q", c.script, first, got, c.want)
			}
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestMemoryIsLimited(t *testing.T) {
	s := need(t, sandbox.Config{})
	p, err := s.Start(sandbox.Spec{
		Name: "greedy", Command: []string{"/usr/bin/python3", "-c", "x = []\nwhile True: x.append(b'x' * 1048576)"}, Limits: sandbox.Limits{Memory: 64 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	end := p.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	var exit *sandbox.ExitError
	if u := p.Usage(); !errors.As(end, &exit) || exit.Signal != 9 || u.OOMKills == 0 || u.Peak < 60<<20 {
		t.Errorf("%v, %+v", end, u)
	}
}

func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	s := need(t, sandbox.Config{Dir: dir})
	p, err := s.Start(sandbox.Spec{Name: "long", Command: []string{"/bin/sleep", "1000"}, Limits: sandbox.Limits{Memory: 64 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	q, err := need(t, sandbox.Config{Dir: dir}).Adopt(p.Record())
	if err != nil {
		t.Fatal(err)
	}
	if q.PID() != p.PID() {
		t.Errorf("adopted %d, not %d", q.PID(), p.PID())
	}
	q.Kill()
	if err := q.Wait(); err == nil {
		t.Error("how it ended cannot be known")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Adopt(p.Record()); err == nil {
		t.Error("a dead one was adopted")
	}
}

func BenchmarkStart(b *testing.B) {
	s, err := sandbox.New(sandbox.Config{Dir: b.TempDir(), Init: initPath()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		p, err := s.Start(sandbox.Spec{Name: "bench", Command: []string{"/usr/bin/true"}, Limits: sandbox.Limits{Memory: 64 << 20, CPU: 1, Processes: 32}})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// initPath is this test binary, which TestMain makes a stage.
func initPath() string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return self
}
