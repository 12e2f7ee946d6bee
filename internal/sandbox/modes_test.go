package sandbox_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

func TestWhatIsMissingRefusesByName(t *testing.T) {
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: bubblewrap (bwrap) is not installed")
	}
	dir := t.TempDir()
	notBwrap := filepath.Join(dir, "bwrap")
	if err := os.WriteFile(notBwrap, []byte("#!/bin/sh\necho no namespaces today >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  sandbox.Config
		want string
	}{
		{"mode", sandbox.Config{Mode: "off", Init: initPath()}, "it is on, strict or none"},
		{"runtime", sandbox.Config{Runtime: "docker", Init: initPath()}, `"docker" is not known`},
		{"gVisor", sandbox.Config{Runtime: "runsc", Init: initPath()}, "gVisor"},
		{"stoa-init", sandbox.Config{}, "stoa-init is missing"},
		{"a cgroup that is not there", sandbox.Config{Cgroup: "not/there", Init: initPath()}, "no cgroup for memory can be made"},
		{"bubblewrap that does not work", sandbox.Config{Bwrap: notBwrap, Init: initPath()}, "no namespaces today"},
	} {
		c.cfg.Dir = t.TempDir()
		s, err := sandbox.New(c.cfg)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTheReportNamesAll(t *testing.T) {
	s := need(t, sandbox.Config{})
	states := map[string]sandbox.State{}
	for _, p := range s.Report() {
		states[p.Name] = p.State
		if p.Detail == "" || p.State != sandbox.InPlace && p.Remedy == "" {
			t.Errorf("%+v says too little", p)
		}
	}
	for _, name := range []string{"namespaces", "root", "user", "privileges", "seccomp", "landlock", "rlimits", "memory", "processors", "processes"} {
		if states[name] == "" {
			t.Errorf("the report lacks %s", name)
		}
		if os.Geteuid() == 0 && states[name] != sandbox.InPlace {
			t.Errorf("as root %s is %s", name, states[name])
		}
	}
}

func TestNoneSaysSoAndRunsPlain(t *testing.T) {
	s, err := sandbox.New(sandbox.Config{Mode: sandbox.None, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Report(); len(r) != 1 || r[0].State != sandbox.Off || !strings.Contains(r[0].Detail, "none") {
		t.Errorf("%+v", r)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("seen\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{Env: []string{"WHERE=/opt/in", "PATH=/usr/bin:/bin"}, Dir: "/opt/in", Mounts: []sandbox.Mount{{Source: dir, Target: "/opt/in"}}}
	got, err := shell(t, s, spec, "cat file $WHERE/file; exit 4")
	if strings.Count(got, "seen\n") != 2 || text(err) != "it exited with status 4" {
		t.Errorf("%q, %v", got, err)
	}
	// A mount's path is put in the host's form where it is a whole word only.
	p, err := s.Start(sandbox.Spec{Name: "long", Command: []string{"/bin/sh", "-c", "sleep 1000 & wait"}, Env: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.Adopt(p.Record())
	if err != nil {
		t.Fatal(err)
	}
	q.Kill()
	if err := p.Wait(); text(err) != "it was ended by the signal killed (9)" {
		t.Errorf("after Kill: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestSecretsAreNotOnTheCommandLine: any user of the machine can read that.
func TestSecretsAreNotOnTheCommandLine(t *testing.T) {
	s := need(t, sandbox.Config{})
	const secret = "a-secret-of-the-author"
	p, err := s.Start(sandbox.Spec{Name: "secret", Command: []string{"/bin/sleep", "1000"}, Env: []string{"KEY=" + secret, "LD_PRELOAD=/opt/none.so"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, pid := range []int{p.PID(), p.Record().Outer} {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || strings.Contains(string(b), secret) {
			t.Errorf("process %d: %v: %q", pid, err, b)
		}
		// bubblewrap must not run with what the author has set, which could load code
		// into it while it still sees the host.
		b, err = os.ReadFile("/proc/" + strconv.Itoa(p.Record().Outer) + "/environ")
		if err != nil || len(b) > 0 {
			t.Errorf("bubblewrap's environment: %v, %q", err, b)
		}
	}
}

func TestSweepEndsWhatNobodyKnows(t *testing.T) {
	dir := t.TempDir()
	s := need(t, sandbox.Config{Dir: dir})
	if s.Report()[len(s.Report())-3].State != sandbox.InPlace {
		t.Skip("SKIPPED: there is no cgroup, by which sandboxes are found")
	}
	start := func(name string) *sandbox.Process {
		p, err := s.Start(sandbox.Spec{Name: name, Command: []string{"/bin/sleep", "1000"}, Limits: sandbox.Limits{Memory: 64 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	kept, lost := start("kept"), start("lost")
	next := need(t, sandbox.Config{Dir: dir})
	if err := next.Sweep(t.Context(), []sandbox.Record{kept.Record()}); err != nil {
		t.Fatal(err)
	}
	if err := lost.Wait(); err == nil {
		t.Error("the lost one has ended well")
	}
	select {
	case <-kept.Done():
		t.Error("the kept one was ended")
	default:
	}
}
