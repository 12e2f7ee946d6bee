package stage_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/landlock"
	"github.com/stoa-project/stoa/internal/stage"
)

// TestMain is also the stage.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == stage.Stage || os.Args[1] == stage.Confine) {
		os.Exit(stage.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestWhatFailsIsToldOnTheStatus(t *testing.T) {
	for _, c := range []struct {
		name string
		plan stage.Plan
		want string
	}{
		{"no bubblewrap", stage.Plan{Path: "/not/there"}, "bubblewrap cannot be started: no such file"},
		{"no cgroup", stage.Plan{Path: "/usr/bin/true", Cgroups: []string{"/not/there/tasks"}}, "the cgroup cannot be joined: no such file"},
		{"no such limit", stage.Plan{Path: "/usr/bin/true", Limits: []stage.Limit{{Which: 9999}}}, "limit 9999"},
	} {
		dir := t.TempDir()
		c.plan.Status, c.plan.Last = 4, 4
		b, err := json.Marshal(c.plan)
		if err != nil {
			t.Fatal(err)
		}
		plan := filepath.Join(dir, "plan")
		if err := os.WriteFile(plan, b, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(plan)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		status, err := os.Create(filepath.Join(dir, "status"))
		if err != nil {
			t.Fatal(err)
		}
		defer status.Close()
		cmd := exec.CommandContext(t.Context(), os.Args[0], stage.Stage, "3")
		cmd.ExtraFiles = []*os.File{in, status}
		if err := cmd.Run(); err == nil {
			t.Errorf("%s: it ended well", c.name)
		}
		line, err := os.ReadFile(status.Name())
		var failure stage.Failure
		if err != nil || json.Unmarshal(line, &failure) != nil || !strings.Contains(failure.Stage, c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, line, err, c.want)
		}
	}
}

func TestStartedByHand(t *testing.T) {
	for _, args := range [][]string{{stage.Stage}, {stage.Stage, "x"}, {stage.Stage, "1"}, {stage.Confine}, {stage.Confine, "/tmp"}, {stage.Confine, "/tmp", "--"}} {
		out, err := exec.CommandContext(t.Context(), os.Args[0], args...).CombinedOutput()
		if err == nil || len(out) == 0 {
			t.Errorf("%v: %v, %q", args, err, out)
		}
	}
}

func TestConfineBecomesTheCommand(t *testing.T) {
	if landlock.Version() == 0 {
		t.Skip("SKIPPED: this kernel has no Landlock")
	}
	mine, other := t.TempDir(), filepath.Join(t.TempDir(), "x")
	cmd := exec.CommandContext(t.Context(), os.Args[0], stage.Confine, mine, "--", "sh", "-c", "echo $KEY; touch "+mine+"/x && ! touch "+other)
	cmd.Env = []string{"KEY=kept", "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if os.Geteuid() != 0 && strings.Contains(string(out), "operation not permitted") {
		// Landlock asks for no new privileges, which bubblewrap has set by then.
		t.Skip("SKIPPED: only root can do it without no new privileges")
	}
	if err != nil || !strings.HasPrefix(string(out), "kept\n") || !strings.Contains(string(out), "Permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}
