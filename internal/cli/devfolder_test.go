package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-project/stoa/internal/serve"
)

// TestDevFolder is one a command, is emptied before and afterwards, and keeps what
// builds leave.
func TestDevFolder(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	open := func() *devFolder {
		t.Helper()
		f, err := openDevFolder(cache)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	if first.path == second.path {
		t.Fatalf("both have %s", first.path)
	}
	for _, name := range []string{"layers/a/b", serve.CacheDir + "/pip/c", "db"} {
		path := filepath.Join(first.path, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(first.path, "layers/a"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(first.path, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != serve.CacheDir {
		t.Errorf("left are %v, %v", left, err)
	}
	if again := open(); again.path != first.path {
		t.Errorf("%s was not taken again, but %s", first.path, again.path)
	}

	loose, err := openDevFolder("")
	if err != nil {
		t.Fatal(err)
	}
	if err := loose.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(loose.path); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", loose.path, err)
	}
}
