package sandbox_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

// TestTheUserOutside: what runs as root's sandbox is nobody that this machine
// knows, in all four ids, without groups; and each sandbox's is another.
func TestTheUserOutside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can run a sandbox as another user")
	}
	s := need(t, sandbox.Config{})
	seen := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		p, err := s.Start(sandbox.Spec{Name: name, Command: []string{"/bin/sleep", "1000"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, pid := range []int{p.PID(), p.Record().Outer} {
			b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
			if err != nil {
				t.Fatal(err)
			}
			fields := map[string][]string{}
			for line := range strings.Lines(string(b)) {
				f := strings.Fields(line)
				fields[f[0]] = f[1:]
			}
			uid := fields["Uid:"]
			n, _ := strconv.Atoi(uid[0])
			if n < 1_879_048_192 || n > 2_147_483_647 || uid[1] != uid[0] || uid[2] != uid[0] || uid[3] != uid[0] {
				t.Errorf("the user is %v", uid)
			}
			if gid := fields["Gid:"]; gid[0] != uid[0] || gid[1] != uid[0] || gid[2] != uid[0] || gid[3] != uid[0] {
				t.Errorf("the group is %v", gid)
			}
			if g := fields["Groups:"]; len(g) != 0 {
				t.Errorf("it has the groups %v", g)
			}
			if pid == p.PID() && seen[uid[0]] {
				t.Errorf("two sandboxes are the user %s", uid[0])
			}
			seen[uid[0]] = true
		}
	}
}

// TestAFileSystemThatMapsNoOwners shows what others may read. /proc is one.
func TestAFileSystemThatMapsNoOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root maps owners")
	}
	s := need(t, sandbox.Config{})
	got, err := shell(t, s, sandbox.Spec{Mounts: []sandbox.Mount{{Source: "/proc/version", Target: "/opt/version"}}}, "cat /opt/version")
	if err != nil || !strings.HasPrefix(got, "Linux ") {
		t.Errorf("%q, %v", got, err)
	}
}
