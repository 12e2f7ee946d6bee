package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-project/stoa/internal/manifest"
)

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWatcher sees every change of what belongs to the bundle, once it has come
// to rest, and nothing else.
func TestWatcher(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		seen   bool
	}{
		{"content", func(t *testing.T, dir string) { put(t, dir, "src/a.py", "longer than before") }, true},
		{"time alone", func(t *testing.T, dir string) {
			if err := os.Chtimes(filepath.Join(dir, "src/a.py"), time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a new file", func(t *testing.T, dir string) { put(t, dir, "deep/er/b.txt", "") }, true},
		{"removed", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "src/a.py")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"the manifest", func(t *testing.T, dir string) { put(t, dir, "stoa.yaml", "kind: code") }, true},
		{"of the language", func(t *testing.T, dir string) { put(t, dir, "src/__pycache__/a.pyc", "x") }, false},
		{"ignored", func(t *testing.T, dir string) { put(t, dir, "data/x.csv", "x") }, false},
		{"hidden", func(t *testing.T, dir string) { put(t, dir, ".git/index", "x") }, false},
		{"nothing", func(*testing.T, string) {}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "src/a.py", "x")
			synctest.Test(t, func(t *testing.T) {
				w := watcher{dir: dir, every: watchEvery}
				w.ignoring(&manifest.Manifest{Code: &manifest.Code{Ignore: []string{"data"}}})
				was := w.look()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				seen := make(chan bool, 1)
				go func() { seen <- w.changed(ctx, was) }()
				time.Sleep(time.Second)
				c.change(t, dir)
				start := time.Now()
				got := <-seen
				if took := time.Since(start); got != c.seen || got && took > 3*watchEvery {
					t.Errorf("seen %v after %v", got, took)
				}
			})
		})
	}
}

// TestWatcherWaitsForRest: what changes at each look is being written still.
func TestWatcherWaitsForRest(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := watcher{dir: dir, every: watchEvery}
		w.ignoring(nil)
		was := w.look()
		seen := make(chan bool, 1)
		go func() { seen <- w.changed(t.Context(), was) }()
		text := ""
		for range 10 {
			text += "x"
			put(t, dir, "a.py", text)
			time.Sleep(watchEvery)
			synctest.Wait()
			if len(seen) > 0 {
				t.Fatal("it did not wait")
			}
		}
		if !<-seen {
			t.Error("it has not seen the change")
		}
	})
}

// TestWatcherKeepsBack what no language takes along, where there is no manifest; a
// folder may be a link.
func TestWatcherKeepsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "node_modules/a/index.js", "x")
	put(t, dir, "index.js", "x")
	w := watcher{dir: dir, every: watchEvery}
	w.ignoring(nil)
	if got := w.look(); len(got) != 1 {
		t.Errorf("it looks at %v", got)
	}
}
