// Package langpack knows the languages that code may be written in. A language
// is one folder here, of data alone:
//
//	language.yaml  how it is recognised, built and run
//	template/      what stoa init writes; __OWNER__ and __NAME__ are replaced, in names too
//	runner/        what a replica needs to speak to Stoa, seen there at /opt/lang
//	README.md      its page for authors, the same as docs/languages/NAME.md
//	testdata/      its program for tests: probe does on demand what programs do
//
// A file whose name ends in .tmpl loses that ending when it is written: so may a
// folder hold a go.mod, or Go files that this module does not compile. A
// language more is a folder more, and touches nothing else.
package langpack

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/stoa-project/stoa"
)

//go:embed */language.yaml */README.md all:*/template all:*/runner
var folders embed.FS

// Language is one of them.
type Language struct {
	spec  spec
	files fs.FS // its folder
	host  host  // what was found on this machine
}

// All gives the languages by name.
func All() []*Language { return slices.Clone(known()) }

var known = sync.OnceValue(func() []*Language {
	entries, err := folders.ReadDir(".")
	if err != nil {
		panic(err) // it is compiled in
	}
	var out []*Language
	for _, e := range entries {
		l, err := read(folders, e.Name())
		if err != nil {
			panic(err) // a mistake in what is compiled in, which the tests find
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *Language) int { return strings.Compare(a.Name(), b.Name()) })
	return out
})

// read reads one language's folder.
func read(all fs.FS, folder string) (*Language, error) {
	files, err := fs.Sub(all, folder)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the language %s cannot be read", folder)
	}
	data, err := fs.ReadFile(files, "language.yaml")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the language %s has no language.yaml", folder)
	}
	s, err := parse(path.Join(folder, "language.yaml"), data)
	if err != nil {
		return nil, err
	}
	return &Language{spec: *s, files: files}, nil
}

// Find gives the language of a name.
func Find(name string) (*Language, error) {
	var names []string
	for _, l := range known() {
		if l.Name() == name {
			return l, nil
		}
		names = append(names, l.Name())
	}
	return nil, stoa.Errorf(stoa.NotFound, "there is no language %.40q: there are %s", name, strings.Join(names, ", "))
}

// Name gives what code.language calls it, such as python.
func (l *Language) Name() string { return l.spec.Name }

// Title gives its name for people, such as Python.
func (l *Language) Title() string { return l.spec.Title }

// Ignore gives patterns of files that belong into no bundle of the language.
func (l *Language) Ignore() []string { return slices.Clone(l.spec.Ignore) }

// Page gives its page for authors, in Markdown.
func (l *Language) Page() string {
	page, err := fs.ReadFile(l.files, "README.md")
	if err != nil {
		return ""
	}
	return string(page)
}
