package langpack

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
)

// WriteRunner lays the language's runner into an existing folder, which is a
// replica's /opt/lang.
func (l *Language) WriteRunner(dir string) error {
	if err := l.lay("runner", dir, strings.NewReplacer()); err != nil {
		return err
	}
	if l.spec.Prepare == "" {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "%s has no absolute path", dir)
	}
	// Where the language is not installed, the recipe tells; a runner works without.
	if all, err := l.locate(forBuild); err == nil {
		_, _ = ask(l.spec.Prepare, "LANG_DIR="+abs, "PATH="+l.path(all))
	}
	return nil
}

// Write lays the language's template into a folder, which it makes where there
// is none, and says which files it wrote. owner may be "". A file that exists is
// never changed: then nothing is written.
func (l *Language) Write(dir, owner, name string) ([]string, error) {
	whole := name
	if owner != "" {
		whole = owner + "/" + name
	}
	if _, err := stoa.ParseRef(or(owner, "me") + "/" + name); err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("__OWNER__/__NAME__", whole, "__OWNER__", owner, "__NAME__", name)
	names, err := l.list("template", fill)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if _, err := os.Lstat(filepath.Join(dir, n)); err == nil {
			return nil, stoa.Errorf(stoa.Conflict, "%s exists already, and is left as it is: nothing was written", filepath.Join(dir, n))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the folder %s cannot be made", dir)
	}
	return names, l.lay("template", dir, fill)
}

// list gives the names under which the files of a folder are laid.
func (l *Language) list(folder string, fill *strings.Replacer) (names []string, err error) {
	err = fs.WalkDir(l.files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		names = append(names, target(folder, name, fill))
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

func target(folder, name string, fill *strings.Replacer) string {
	return filepath.FromSlash(fill.Replace(strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ".tmpl")))
}

// lay writes the files of a folder of the language, which may lack it.
func (l *Language) lay(folder, dir string, fill *strings.Replacer) error {
	if _, err := fs.Stat(l.files, folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := fs.WalkDir(l.files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(l.files, name)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, target(folder, name, fill))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o644) // what is embedded has lost its own
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o755
		}
		return writeNew(to, []byte(fill.Replace(string(data))), mode)
	})
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "the files of %s cannot be written into %s", l.Title(), dir)
	}
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
