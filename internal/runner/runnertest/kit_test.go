package runnertest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/runner/runnertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(runnertest.EchoEnv) != "" {
		runnertest.Echo(os.Getenv)
	}
	os.Exit(m.Run())
}

// failures tries the echo program, in a manner, and gives what failed.
func failures(t *testing.T, protocol, manner string, s runnertest.Subject) []string {
	t.Helper()
	s.Program = runner.Program{
		Command: []string{os.Args[0]}, Protocol: protocol, Concurrency: 4,
		Env: []string{runnertest.EchoEnv + "=" + manner, "GORACE=atexit_sleep_ms=0"},
	}
	s.Folder = t.TempDir()
	var bad []string
	n, err := runnertest.Exercise(t.Context(), s, func(c runnertest.Check) {
		t.Logf("%-14s %s (%s) %s", c.Outcome, c.Name, c.Took, c.Reason)
		if c.Outcome == runnertest.Failed {
			bad = append(bad, c.Name)
		}
	})
	if err != nil || n != len(bad) {
		t.Errorf("%d failed, %v", n, err)
	}
	return bad
}

func TestTheEchoPasses(t *testing.T) {
	for _, protocol := range []string{runner.Pipe, runner.Frames} {
		if bad := failures(t, protocol, runnertest.Good, runnertest.Subject{}); len(bad) > 0 {
			t.Errorf("%s: %q", protocol, bad)
		}
	}
}

func TestAnyProgramWithAnInput(t *testing.T) {
	if bad := failures(t, runner.Pipe, runnertest.Good, runnertest.Subject{Input: stoa.Value{Type: stoa.Text, Data: []byte("x")}}); len(bad) > 0 {
		t.Errorf("%q", bad)
	}
	if bad := failures(t, runner.Pipe, runnertest.Good, runnertest.Subject{Input: stoa.Value{Type: stoa.Text, Data: []byte(runnertest.AskError)}}); len(bad) != 2 {
		t.Errorf("an input that it does not answer: %q", bad)
	}
}

// The kit finds what is wrong with a program, and nothing else.
func TestWhatIsWrongIsFound(t *testing.T) {
	for manner, want := range map[string][]string{
		runnertest.Silent:  {"what is printed is the call's", "10 MiB printed do not block"},
		runnertest.Mangles: {"text beyond ASCII comes back", "1 MiB comes back"},
		runnertest.Deaf:    {"stops when asked"},
		runnertest.Dies:    {"an error has message and type"},
		runnertest.Slow:    {"becomes ready"},
		runnertest.Forgets: {"a call that is given up does not disturb the next"},
	} {
		protocols := []string{runner.Pipe, runner.Frames}
		if manner != runnertest.Deaf { // whatever the protocol, what is wrong is the same
			protocols = protocols[(len(manner)+1)%2:][:1]
			if manner == runnertest.Forgets {
				protocols = []string{runner.Frames}
			}
		}
		for _, protocol := range protocols {
			t.Run(protocol+" "+manner, func(t *testing.T) {
				t.Parallel()
				s := runnertest.Subject{}
				if manner == runnertest.Slow {
					s.Load = 1
				}
				if d := cmp.Diff(want, failures(t, protocol, manner, s)); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// page is what authors read; its programs are tried as they stand there.
const page = "../../../docs/runner-protocol.md"

func TestThePagesProgramsPass(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: there is no python3, in which the page's programs are")
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(b), "```python\n")
	if len(parts) != 3 {
		t.Fatalf("the page has %d programs, want 2", len(parts)-1)
	}
	for i := range parts {
		parts[i], _, _ = strings.Cut(parts[i], "```")
	}
	algorithm, _, _ := strings.Cut(parts[1], "print(\"PIPE_INIT_COMPLETE\"")
	for protocol, text := range map[string]string{runner.Pipe: parts[1], runner.Frames: algorithm + parts[2]} {
		file := filepath.Join(t.TempDir(), "echo.py")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := runnertest.Subject{Program: runner.Program{Command: []string{python, file}, Protocol: protocol, Env: []string{"PATH=" + os.Getenv("PATH")}}}
		if _, err := runnertest.Exercise(t.Context(), s, func(c runnertest.Check) {
			if c.Outcome == runnertest.Failed {
				t.Errorf("%s: %s: %s", protocol, c.Name, c.Reason)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}
