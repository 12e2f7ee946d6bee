package build

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stoa-project/stoa"
)

// removeDepth is how many folders are open at once while a tree is removed.
const removeDepth = 32

// removeAll removes a folder that untrusted code has filled. os.RemoveAll would
// open as many folders at once as they are deep, which may be more than this
// process has descriptors, and fails where one of our own folders forbids writing.
func removeAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the folder of a build cannot be removed")
	}
	defer root.Close()
	r := &remover{top: root}
	for r.again = true; r.again; {
		r.again = false
		if err := r.clear(root, "", 0); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the folder of a build cannot be removed")
		}
	}
	if err := os.Remove(dir); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the folder of a build cannot be removed")
	}
	return nil
}

type remover struct {
	top   *os.Root
	again bool // something was moved to the top
}

// clear empties root, which is at path below the top.
func (r *remover) clear(root *os.Root, path string, depth int) error {
	for {
		names, err := some(root)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, n := range names {
			if err := r.remove(root, n, filepath.Join(path, n), depth); err != nil {
				return err
			}
		}
	}
}

func some(root *os.Root) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(4096)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

func (r *remover) remove(root *os.Root, name, path string, depth int) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return root.Remove(name)
	}
	if info.Mode()&0o700 != 0o700 {
		if err := root.Chmod(name, 0o700); err != nil {
			return err
		}
	}
	if depth >= removeDepth {
		// It goes to the top, under a name that nobody has foreseen, for the next round.
		r.again = true
		return r.top.Rename(path, ".removing-"+rand.Text())
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	err = r.clear(sub, path, depth+1)
	sub.Close()
	if err != nil {
		return err
	}
	return root.Remove(name)
}
