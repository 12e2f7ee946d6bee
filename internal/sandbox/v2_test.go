package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/cgroup"
)

// TestStartedInAGroupOfVersion2 needs no controllers: machines that have both
// versions have such groups too.
func TestStartedInAGroupOfVersion2(t *testing.T) {
	if Find("") == "" || os.Geteuid() != 0 {
		t.Skip("SKIPPED: it needs bubblewrap (bwrap) and root")
	}
	dir := ""
	for _, top := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(top, "cgroup.controllers")); err == nil {
			dir = filepath.Join(top, "stoa-test-"+strconv.Itoa(os.Getpid()))
			break
		}
	}
	if dir == "" {
		t.Skip("SKIPPED: there is no cgroup hierarchy of version 2")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Dir: t.TempDir(), Init: self})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	group := &cgroup.Group{V2: dir, Dirs: map[string]string{"pids": dir}}
	p := &Process{done: make(chan struct{}), pidfd: -1, record: Record{Name: "two", Group: group}}
	spec := Spec{Name: "two", Command: []string{"/bin/sleep", "1000"}}
	if err := s.check(&spec); err != nil {
		t.Fatal(err)
	}
	if err := s.launch(&spec, p); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/cgroup")
	if err != nil || !strings.Contains(string(b), filepath.Base(dir)) {
		t.Errorf("it is in %s (%v)", b, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the group is left")
	}
}
