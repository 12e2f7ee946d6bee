package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa/internal/manifest"
)

func TestWhereDemosAreFound(t *testing.T) {
	make1 := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "one"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "one", manifest.FileName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(self), "demo")
	t.Chdir(t.TempDir())
	if _, err := findDemos(""); err == nil || !strings.Contains(err.Error(), "demo or "+beside+" holds no folder") {
		t.Errorf("without any: %v", err)
	}
	make1(beside)
	t.Cleanup(func() { os.RemoveAll(beside) })
	finds := func(dir, want string) {
		t.Helper()
		got, err := findDemos(dir)
		if err != nil || len(got) != 1 || got[0] != filepath.Join(want, "one", manifest.FileName) {
			t.Errorf("%q: %v, %v; want those in %s", dir, got, err, want)
		}
	}
	finds("", beside)
	make1("demo")
	finds("", "demo")
	make1("mine")
	finds("mine", "mine")
	if _, err := findDemos("none"); err == nil || !strings.Contains(err.Error(), "none holds no folder") {
		t.Errorf("where there are none: %v", err)
	}
}

// TestServerArgs passes on what stoa up was told of the sandbox.
func TestServerArgs(t *testing.T) {
	f := upFlags{data: "d", listen: "l", server: ServeOptions{Sandbox: "strict", Bwrap: "b"}}
	want := []string{"serve", "--data", "d", "--listen", "l", "--sandbox", "strict", "--bwrap", "b"}
	if diff := cmp.Diff(want, f.serveArgs()); diff != "" {
		t.Error(diff)
	}
}
