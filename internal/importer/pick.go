package importer

import (
	"context"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// pick finds the one model among the files of a source.
func pick(ctx context.Context, plugs []Plug, s *Source, opt Options) (Plug, Candidate, error) {
	var files []*File
	var err error
	if len(opt.Files) == 0 {
		if files, err = s.list(); err != nil {
			return nil, Candidate{}, err
		}
	}
	for _, name := range opt.Files {
		f, err := s.Open(name)
		if err != nil {
			return nil, Candidate{}, err
		}
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	var good, bad []found
	for _, p := range plugs {
		if err := ctx.Err(); err != nil {
			return nil, Candidate{}, stoa.AsError(err)
		}
		for _, c := range p.Find(files) {
			if c.Err == nil {
				good = append(good, found{p, c})
			} else {
				bad = append(bad, found{p, c})
			}
		}
	}
	switch {
	case len(good) == 1:
		return good[0].plug, good[0].candidate, nil
	case len(good) > 1:
		return nil, Candidate{}, ambiguous(good)
	case len(bad) > 0:
		return nil, Candidate{}, bad[0].candidate.Err
	}
	return nil, Candidate{}, unknown(plugs, files)
}

type found struct {
	plug      Plug
	candidate Candidate
}

func ambiguous(all []found) error {
	const most = 6
	var names []string
	for _, f := range all[:min(len(all), most)] {
		names = append(names, strings.Join(f.candidate.Files, " with ")+" ("+f.candidate.Format+")")
	}
	if len(all) > most {
		names = append(names, "and more")
	}
	return stoa.Errorf(stoa.Invalid, "there are several models, and only one can be taken: %s. Name the files of one", strings.Join(names, "; "))
}

func unknown(plugs []Plug, files []*File) error {
	var frameworks, names []string
	for _, p := range plugs {
		frameworks = append(frameworks, p.Framework())
	}
	const most = 8
	for _, f := range files[:min(len(files), most)] {
		names = append(names, f.Name)
	}
	if len(files) > most {
		names = append(names, "…")
	}
	if len(names) == 0 {
		names = []string{"nothing"}
	}
	return stoa.Errorf(stoa.Unsupported, "no model was recognised among %s; known are models of %s",
		strings.Join(names, ", "), strings.Join(frameworks, ", "))
}
