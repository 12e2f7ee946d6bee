package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/serve"
)

// devSlots is how many stoa dev may run at once and keep their dependencies: each
// has a folder of its own, since a folder has one server.
const devSlots = 16

// devFolder is the data folder of stoa dev. It is emptied before and afterwards,
// but for what builds leave for later ones.
type devFolder struct {
	path string
	lock *os.File // nil: the folder is a temporary one
}

// openDevFolder takes the first folder below cache that nobody has; cache "" makes
// a temporary one, which keeps nothing.
func openDevFolder(cache string) (*devFolder, error) {
	if cache == "" {
		path, err := os.MkdirTemp("", "stoa-dev-")
		if err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "a temporary folder cannot be made: %v", plainCause(err))
		}
		return &devFolder{path: path}, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s cannot be made: %v", cache, plainCause(err))
	}
	for n := range devSlots {
		path := filepath.Join(cache, strconv.Itoa(n+1))
		// The lock lies beside the folder: its process may die, and the system lets go of
		// the lock.
		lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "%s.lock cannot be written: %v", path, plainCause(err))
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			lock.Close()
			continue
		}
		f := &devFolder{path: path, lock: lock}
		if err := f.empty(); err != nil { // what a killed one has left
			lock.Close()
			return nil, err
		}
		return f, nil
	}
	return openDevFolder("")
}

// close removes what is not kept.
func (f *devFolder) close() error {
	if f.lock == nil {
		return removeTree(f.path)
	}
	defer f.lock.Close()
	return f.empty()
}

func (f *devFolder) empty() error {
	entries, err := os.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", f.path, plainCause(err))
	}
	for _, e := range entries {
		if e.Name() == serve.CacheDir {
			continue
		}
		if err := removeTree(filepath.Join(f.path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a folder, those within it too that forbid writing, as the
// layers of programs may have them.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if err == nil {
		return nil
	}
	// An error of the walk is one of the removal too, which comes next.
	_ = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(name, 0o700) //nolint:gosec // a folder, which its owner must enter
		}
		return nil
	})
	if err = os.RemoveAll(path); err != nil {
		return stoa.Wrap(stoa.Invalid, err, "%s cannot be removed: %v", path, plainCause(err))
	}
	return nil
}
