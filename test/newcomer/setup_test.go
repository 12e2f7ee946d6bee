// Package newcomer proves what a machine without this or that is told by
// tools/setup.sh: one clear sentence, and the remedy.
package newcomer

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// machine is a folder with the scripts, and a PATH that holds these programs
// alone.
func machine(t *testing.T, programs map[string]string) (dir, path string) {
	t.Helper()
	dir, path = t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"setup.sh", "onnxruntime.sh", "requirements-onnxruntime.txt"} {
		b, err := os.ReadFile(filepath.Join("../../tools", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tools", name), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bash", "dirname", "uname", "cat", "tail", "mktemp", "mkdir", "mv", "cp", "rm", "chmod"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("SKIPPED: no %s", name)
		}
		if err := os.Symlink(real, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, without := programs[noBubblewrap]; !without {
		programs = maps.Clone(programs)
		if programs == nil {
			programs = map[string]string{}
		}
		programs["bwrap"] = ""
	}
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!"+filepath.Join(path, "bash")+"\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, path
}

// noBubblewrap among the programs of a machine: it has no bwrap.
const noBubblewrap = "no-bwrap"

func setup(t *testing.T, dir, path string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(path, "bash"), filepath.Join(dir, "tools", "setup.sh"))
	cmd.Env = []string{"PATH=" + path}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const goodGo = `[ "$2" = CC ] && echo cc || echo go1.26.1`

func TestSetupSaysWhatIsMissing(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("SKIPPED: there is no wheel for this machine")
	}
	for _, c := range []struct {
		name     string
		programs map[string]string
		says     []string
	}{
		{"no Go", nil, []string{"Go is not installed", "install Go 1.26"}},
		{"old Go", map[string]string{"go": "echo go1.21.0"}, []string{"Go is go1.21.0", "needs 1.26 or newer"}},
		{"no compiler", map[string]string{"go": goodGo}, []string{"no C compiler", "apt-get install gcc"}},
		{"no bubblewrap", map[string]string{"go": goodGo, "cc": "", noBubblewrap: ""}, []string{"bubblewrap (bwrap) is not installed", "install it"}},
		{"no Python", map[string]string{"go": goodGo, "cc": ""}, []string{"Python 3 is not installed", "apt-get install python3-pip"}},
		{"no pip", map[string]string{"go": goodGo, "cc": "", "python3": "exit 1"}, []string{"Python has no pip", "apt-get install python3-pip"}},
		{
			"no network",
			map[string]string{"go": goodGo, "cc": "", "python3": `[ "$3" = --version ] && exit 0; echo "ERROR: no matching distribution" >&2; exit 1`},
			[]string{"ONNX Runtime could not be fetched", "check the network", "bin/lib/libonnxruntime.so"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, path := machine(t, c.programs)
			out, err := setup(t, dir, path)
			if err == nil {
				t.Fatalf("it went well: %s", out)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "setup: ") {
				t.Errorf("the last line is %q", last)
			}
			for _, want := range c.says {
				if !strings.Contains(last, want) {
					t.Errorf("%q does not say %q", last, want)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "bin", "lib", "libonnxruntime.so")); err == nil {
				t.Error("a library is there")
			}
		})
	}
}

// TestSetupDoesNothingTwice asks for no Python where the library is there.
func TestSetupDoesNothingTwice(t *testing.T) {
	dir, path := machine(t, map[string]string{"go": goodGo, "cc": ""})
	lib := filepath.Join(dir, "bin", "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../tools/onnxruntime.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(script), "\nonnxruntime=")
	version, _, _ := strings.Cut(after, "\n")
	for name, content := range map[string]string{"libonnxruntime.so": "library", "VERSION": version + "\n"} {
		if err := os.WriteFile(filepath.Join(lib, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := setup(t, dir, path); err != nil || out != "" {
		t.Errorf("%v %q", err, out)
	}
}
