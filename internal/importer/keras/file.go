package keras

import (
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/importer"
)

// What files hold, under short names.
type (
	source = kerasfile.Source
	layer  = kerasfile.Layer
	config = kerasfile.Config
	ref    = kerasfile.Ref
)

// open reads the files of a candidate.
func open(job importer.Job, kinds map[string]*kind) (*source, error) {
	var files []kerasfile.File
	for _, n := range job.Candidate.Files {
		f, err := job.Source.Open(n)
		if err != nil {
			return nil, err
		}
		data, err := f.Data()
		if err != nil {
			return nil, err
		}
		files = append(files, kerasfile.File{Name: n, Data: data})
	}
	return kerasfile.Open(classesOf(kinds), files...)
}

// classesOf tells the reader of files what is mapped.
func classesOf(kinds map[string]*kind) kerasfile.Classes {
	return kerasfile.Classes{
		Known: func(name string) bool { return kinds[name] != nil },
		Slots: func(l *layer) []string {
			if k := kinds[l.Kind]; k != nil && k.slots != nil {
				return k.slots(l)
			}
			return nil
		},
	}
}
