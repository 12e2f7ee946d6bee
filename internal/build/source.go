package build

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// copySource copies the files of a bundle that want lets through into a fresh
// folder, and gives their names in order. The source was laid out by the catalog:
// plain files in folders; a link or anything else is refused.
func copySource(ctx context.Context, from, to string, want func(name string) bool) ([]string, error) {
	root, err := os.OpenRoot(from)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the source cannot be read")
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return stoa.Wrap(stoa.Internal, err, "the source cannot be read")
		case d.IsDir() || !want(name):
			return nil
		case !d.Type().IsRegular():
			return stoa.Errorf(stoa.Invalid, "%.200q is not a file: a bundle has files alone", name)
		}
		names = append(names, name)
		return copyFile(ctx, root, name, filepath.Join(to, filepath.FromSlash(name)))
	})
	return names, err
}

func copyFile(ctx context.Context, root *os.Root, name, to string) error {
	src, err := root.Open(name)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "%.200q cannot be read", name)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "%.200q cannot be read", name)
	}
	mode := os.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return blob.WriteError(err)
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return blob.WriteError(err)
	}
	_, _, err = blob.Copy(ctx, dst, src, -1)
	if cerr := dst.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	return err
}

func everything(string) bool { return true }

// isLock tells whether a file of the source names dependencies. A pattern without
// a slash is for the top folder.
func (r *Recipe) isLock(name string) bool {
	for _, p := range r.Locks {
		if ok, _ := path.Match(p, name); ok { // the recipe is the server's own
			return true
		}
	}
	return false
}

// keySum hashes parts so that no two lists of parts have the same bytes.
type keySum struct{ parts []string }

func (k *keySum) add(parts ...string) { k.parts = append(k.parts, parts...) }

func (k *keySum) sum() string {
	h := sha256.New()
	for _, p := range k.parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// addFiles adds names and contents of files in a folder of ours.
func (k *keySum) addFiles(dir string, names []string) error {
	for _, n := range names {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(n)))
		if err != nil {
			return stoa.Wrap(stoa.Internal, err, "%.200q cannot be read", n)
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return stoa.Wrap(stoa.Internal, err, "%.200q cannot be read", n)
		}
		k.add(n, string(h.Sum(nil)))
	}
	return nil
}

// visible are those of an environment that decide what dependencies are: what is
// the program's own, such as its entry, is not among them.
func visible(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "STOA_") {
			out = append(out, e)
		}
	}
	return out
}
