package cli

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// watchEvery is how often a folder is looked at: soon enough for who saves a file
// and looks up, and seldom enough to cost nothing.
const watchEvery = 300 * time.Millisecond

// stamp tells two states of a file apart.
type stamp struct {
	size int64
	time time.Time
}

// watcher looks for changes of a folder by size and time of its files. It needs
// nothing of the system, and so works on every file system.
type watcher struct {
	dir    string
	ignore []string
	every  time.Duration
}

// ignoring sets what is passed over: what belongs to no bundle of the manifest's
// language, or of any where there is no manifest that can be read.
func (w *watcher) ignoring(m *manifest.Manifest) {
	w.ignore = nil
	if m != nil {
		if m.Code != nil {
			w.ignore = append(w.ignore, m.Code.Ignore...)
		}
		if l, err := langpack.Detect(os.DirFS(w.dir), m); err == nil {
			w.ignore = append(w.ignore, l.Ignore()...)
			return
		}
	}
	for _, l := range langpack.All() {
		w.ignore = append(w.ignore, l.Ignore()...)
	}
}

// look gives the present state. What cannot be read is not there.
func (w *watcher) look() map[string]stamp {
	out := map[string]stamp{}
	dir, err := filepath.EvalSymlinks(w.dir) // the walk would not follow it
	if err != nil {
		return out
	}
	// The function gives no errors of its own.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, path)
		if err != nil || relErr != nil || rel == "." {
			return nil //nolint:nilerr // see above
		}
		if manifest.IgnoredByCode(filepath.ToSlash(rel), w.ignore) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			out[rel] = stamp{st.Size(), st.ModTime()}
		}
		return nil
	})
	return out
}

// changed waits until the folder is another than it was, and has come to rest: an
// editor that saves many files is waited for. It is false when ctx ends.
func (w *watcher) changed(ctx context.Context, was map[string]stamp) bool {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	last := was
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		now := w.look()
		if !maps.Equal(now, was) && maps.Equal(now, last) {
			return true
		}
		last = now
	}
}
