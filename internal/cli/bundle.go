package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

// A bundle of more files than this is a mistake: a folder of pictures that is
// called samples, say.
const maxBundleFiles = 2000

// source is the files that a command line names: a folder, or single files.
type source struct {
	dir   string            // "" for single files
	files map[string]string // name in the bundle to path; of single files only
}

// openSource finds out what paths name: one folder, one stoa.yaml, which stands
// for its folder, or any number of files.
func openSource(paths []string) (*source, error) {
	s := &source{files: map[string]string{}}
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, stoa.Wrap(stoa.NotFound, err, "%s cannot be read: %v", p, plainCause(err))
		}
		if filepath.Base(p) == manifest.FileName && len(paths) == 1 {
			p, st = filepath.Dir(p), nil
		}
		if st == nil || st.IsDir() {
			if len(paths) > 1 {
				return nil, usagef("give one folder, or files: %s is a folder among %d paths", p, len(paths))
			}
			s.dir = p
			return s, nil
		}
		name := filepath.Base(p)
		if other, ok := s.files[name]; ok {
			return nil, usagef("%s and %s have the same name: a bundle has one folder", other, p)
		}
		s.files[name] = p
	}
	return s, nil
}

func plainCause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// fsys gives the source as a file system.
func (s *source) fsys() fs.FS {
	if s.dir != "" {
		return os.DirFS(s.dir)
	}
	return looseFS(s.files)
}

// models gives the source to an importer, which maps its files; done lets go of
// it.
func (s *source) models() (fsys fs.FS, done func(), err error) {
	if s.dir == "" {
		return looseFS(s.files), func() {}, nil
	}
	d, err := importer.Dir(s.dir)
	if err != nil {
		return nil, nil, err
	}
	return d, func() { d.Close() }, nil
}

// readManifest gives the text of stoa.yaml; ok is false where there is none.
func (s *source) readManifest() (text string, ok bool, err error) {
	f, err := s.fsys().Open(manifest.FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", manifest.FileName, plainCause(err))
	}
	defer f.Close()
	const limit = 1 << 20
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", false, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", manifest.FileName, plainCause(err))
	}
	if len(b) > limit {
		return "", false, stoa.Errorf(stoa.TooLarge, "%s is over 1 MiB: it should be a page", manifest.FileName)
	}
	return string(b), true, nil
}

// bundleFiles gives the files to push, name to path: those that are named, and
// the papers and samples beside them. Hidden files never go, nor links that
// lead out of the folder.
func (s *source) bundleFiles(named []string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range named {
		p, err := s.path(name)
		if err != nil {
			return nil, err
		}
		out[name] = p
	}
	papers, err := s.papers()
	if err != nil {
		return nil, err
	}
	for _, name := range papers {
		p, err := s.path(name)
		if err != nil {
			return nil, err
		}
		out[name] = p
	}
	if len(out) > maxBundleFiles {
		return nil, stoa.Errorf(stoa.TooLarge, "%d files are too many for a bundle (%d at most): is samples/ what it should be?", len(out), maxBundleFiles)
	}
	return out, nil
}

// path gives the path of a file of the bundle, after checking that it is one.
func (s *source) path(name string) (string, error) {
	if manifest.IsHidden(name) {
		return "", stoa.Errorf(stoa.Invalid, "%s is hidden: hidden files are not pushed, give it another name", name)
	}
	if s.dir == "" {
		p, ok := s.files[name]
		if !ok {
			return "", stoa.Errorf(stoa.NotFound, "%s names %s, which is not among the files given", manifest.FileName, name)
		}
		return p, nil
	}
	if !fs.ValidPath(name) {
		return "", stoa.Errorf(stoa.Invalid, "%s names %q: write a path within the folder, with forward slashes", manifest.FileName, name)
	}
	p := filepath.Join(s.dir, filepath.FromSlash(name))
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		return "", stoa.Wrap(stoa.NotFound, err, "%s is not in %s", name, s.dir)
	}
	root, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		return "", stoa.Wrap(stoa.NotFound, err, "%s cannot be read: %v", s.dir, plainCause(err))
	}
	if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return "", stoa.Errorf(stoa.Invalid, "%s is a link that leads out of %s: copy the file there", name, s.dir)
	}
	st, err := os.Stat(real)
	if err != nil || !st.Mode().IsRegular() {
		return "", stoa.Wrap(stoa.Invalid, err, "%s is no plain file", name)
	}
	return p, nil
}

// papers lists README, licence and notice files, and the samples.
func (s *source) papers() ([]string, error) {
	entries, err := fs.ReadDir(s.fsys(), ".")
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", s.dir, plainCause(err))
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && manifest.IsPaper(e.Name()) {
			out = append(out, e.Name())
		}
	}
	if s.dir == "" {
		return out, nil
	}
	err = fs.WalkDir(s.fsys(), "samples", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "samples":
			return fs.SkipAll
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.IsDir(), strings.HasPrefix(d.Name(), "."):
			return nil
		case len(out) > maxBundleFiles:
			return fs.SkipAll
		}
		out = append(out, name)
		return nil
	})
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "samples cannot be read: %v", plainCause(err))
	}
	return out, nil
}

// looseFS is single files, wherever they are, as one flat folder.
type looseFS map[string]string

// Open opens a file, or the folder itself.
func (l looseFS) Open(name string) (fs.File, error) {
	if name == "." {
		return &looseDir{fs: l}, nil
	}
	p, ok := l[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return os.Open(p)
}

// Map views a file in memory.
func (l looseFS) Map(name string) ([]byte, func() error, error) {
	p, ok := l[name]
	if !ok {
		return nil, nil, &fs.PathError{Op: "map", Path: name, Err: fs.ErrNotExist}
	}
	// A link among the files that a person named is followed.
	p, err := filepath.EvalSymlinks(p)
	if err != nil {
		return nil, nil, err
	}
	d, err := importer.Dir(filepath.Dir(p))
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	return d.Map(filepath.Base(p))
}

var _ importer.Mapper = looseFS(nil)

// ReadDir lists the files.
func (l looseFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var out []fs.DirEntry
	for n, p := range l {
		st, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		out = append(out, fs.FileInfoToDirEntry(renamed{st, n}))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// renamed is a file under its name in the bundle.
type renamed struct {
	fs.FileInfo
	name string
}

// Name gives the name in the bundle.
func (r renamed) Name() string { return r.name }

// looseDir is the folder of a looseFS.
type looseDir struct {
	fs   looseFS
	done bool
}

func (*looseDir) Read([]byte) (int, error)     { return 0, io.EOF }
func (*looseDir) Close() error                 { return nil }
func (d *looseDir) Stat() (fs.FileInfo, error) { return dirInfo{}, nil }

// ReadDir lists the files, all at once.
func (d *looseDir) ReadDir(int) ([]fs.DirEntry, error) {
	if d.done {
		return nil, io.EOF
	}
	d.done = true
	return d.fs.ReadDir(".")
}

type dirInfo struct{}

func (dirInfo) Name() string       { return path.Base(".") }
func (dirInfo) Size() int64        { return 0 }
func (dirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (dirInfo) ModTime() time.Time { return time.Time{} }
func (dirInfo) IsDir() bool        { return true }
func (dirInfo) Sys() any           { return nil }
