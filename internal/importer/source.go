package importer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
)

const (
	// maxFiles bounds the files of a folder that are looked at.
	maxFiles = 10_000
	// maxDepth bounds the folders within folders that are looked at.
	maxDepth = 8
)

// Mapper is a file system whose files can be viewed in memory without reading
// them, which is how a model of many gigabytes costs no more than the pages of
// it that are used at a time.
type Mapper interface {
	fs.FS
	// Map gives the content of a regular file, and a function that ends the
	// view.
	Map(name string) (data []byte, unmap func() error, err error)
}

// Folder is a folder of this machine. It never leads out of it, by links
// neither. It must be closed.
type Folder struct {
	fs.FS
	root *os.Root
}

// Dir opens a folder. Its files are mapped: whoever shortens one while it is in
// use ends the process. Imports of what users push work on a staged copy that
// nobody else writes to, in a process of their own, so that this cannot matter.
func Dir(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.NotFound, err, "folder %s cannot be opened: %s", dir, reason(err))
	}
	return &Folder{FS: root.FS(), root: root}, nil
}

// Close lets go of the folder; files that were mapped stay.
func (d *Folder) Close() error { return d.root.Close() }

// Map maps a file.
func (d *Folder) Map(name string) ([]byte, func() error, error) {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // a mapping outlives its descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "map", Path: name, Err: fs.ErrInvalid}
	}
	if info.Size() == 0 {
		return nil, func() error { return nil }, nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "mmap", Path: name, Err: err}
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// Open opens what a person named: one folder, or files of one folder. It gives
// that folder, and the names of the files within it where files were named.
func Open(paths ...string) (*Folder, []string, error) {
	if len(paths) == 0 {
		return nil, nil, stoa.Errorf(stoa.Invalid, "name a model's files or its folder")
	}
	dir := ""
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, nil, stoa.Wrap(stoa.NotFound, err, "%s: %s", p, reason(err))
		}
		if info.IsDir() {
			if len(paths) > 1 {
				return nil, nil, stoa.Errorf(stoa.Invalid, "%s is a folder: name one folder, or files", p)
			}
			d, err := Dir(p)
			return d, nil, err
		}
		in := filepath.Dir(p)
		if dir != "" && in != dir {
			return nil, nil, stoa.Errorf(stoa.Invalid, "%s and %s lie in different folders: put the files of a model into one", paths[0], p)
		}
		dir = in
		files = append(files, filepath.Base(p))
	}
	d, err := Dir(dir)
	return d, files, err
}

// reason gives the cause of a file error without its path, which the message
// has already.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// Source is the opened files of one import.
type Source struct {
	fsys  fs.FS
	files map[string]*File
	undo  []func() error
}

// File is a file of a source.
type File struct {
	Name string
	Size int64

	source *Source
	data   []byte
	opened bool
	err    error
}

func openSource(src fs.FS) (*Source, error) {
	if src == nil {
		return nil, stoa.Errorf(stoa.Invalid, "there are no files to import")
	}
	return &Source{fsys: src, files: map[string]*File{}}, nil
}

// Close ends all views of files.
func (s *Source) Close() error {
	var first error
	for _, f := range s.undo {
		if err := f(); err != nil && first == nil {
			first = err
		}
	}
	s.undo, s.files = nil, map[string]*File{}
	return first
}

// Data gives the content of the file, mapped where the source can. Nobody may
// change it.
func (f *File) Data() ([]byte, error) {
	if f.opened {
		return f.data, f.err
	}
	f.opened = true
	if m, ok := f.source.fsys.(Mapper); ok {
		var unmap func() error
		f.data, unmap, f.err = m.Map(f.Name)
		if f.err == nil {
			f.source.undo = append(f.source.undo, unmap)
		}
	} else {
		f.data, f.err = f.read()
	}
	if f.err != nil {
		f.err = stoa.Wrap(stoa.NotFound, f.err, "file %s cannot be read: %s", f.Name, reason(f.err))
	}
	return f.data, f.err
}

func (f *File) read() ([]byte, error) {
	r, err := f.source.fsys.Open(f.Name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Open gives a file by its name.
func (s *Source) Open(name string) (*File, error) {
	if f := s.files[name]; f != nil {
		return f, nil
	}
	clean := path.Clean(strings.ReplaceAll(name, `\`, "/"))
	if !fs.ValidPath(clean) {
		return nil, stoa.Errorf(stoa.Invalid, "file name %.100q leads out of the model's folder", name)
	}
	info, err := fs.Stat(s.fsys, clean)
	if err != nil {
		return nil, stoa.Wrap(stoa.NotFound, err, "file %s cannot be read: %s", clean, reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, stoa.Errorf(stoa.Invalid, "%s is no file", clean)
	}
	f := &File{Name: clean, Size: info.Size(), source: s}
	s.files[clean] = f
	return f, nil
}

// list gives all files, those of hidden folders apart.
func (s *Source) list() ([]*File, error) {
	var out []*File
	err := fs.WalkDir(s.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." && (strings.HasPrefix(d.Name(), ".") || strings.Count(name, "/") >= maxDepth) {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		case len(out) == maxFiles:
			return stoa.Errorf(stoa.TooLarge, "the folder has over %d files: name those of the model", maxFiles)
		}
		f, err := s.Open(name)
		if err == nil {
			out = append(out, f)
		}
		return err
	})
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "the folder cannot be read: %s", stoa.AsError(err).Msg)
	}
	return out, nil
}

// inFolderOf gives a name that is relative to the folder of another file.
func inFolderOf(file, name string) string { return path.Join(path.Dir(file), name) }
