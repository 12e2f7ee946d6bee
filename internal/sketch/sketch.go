// Package sketch looks at the files of an algorithm that has not been published
// yet: what network they hold, what manifest they have or suggest, and what is
// wrong with them. The command line and the page of /publish guess by it, so
// that they guess the same. It reads untrusted bytes and is meant to run, as
// imports do, in a process of its own.
package sketch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
)

// Options steer a sketch.
type Options struct {
	Name   string           // of the algorithm; "" leaves it out
	Import importer.Options // Files are those that may hold the model; the rest goes into the manifest
}

// Sketch is what a model's files suggest.
type Sketch struct {
	Report   importer.Report
	Manifest *manifest.Manifest
	Comments manifest.Comments // on what was guessed
}

// Text gives the manifest as stoa.yaml.
func (s Sketch) Text() string { return string(manifest.Marshal(s.Manifest, s.Comments)) }

// Of reads the model among the files of src and makes the manifest that they
// suggest. What of the network is not supported stands in the report.
func Of(ctx context.Context, plugs []importer.Plug, src fs.FS, o Options) (Sketch, error) {
	r, err := importer.Inspect(ctx, plugs, src, o.Import)
	if err != nil {
		return Sketch{}, err
	}
	return of(r, src, o)
}

func of(r importer.Report, src fs.FS, o Options) (Sketch, error) {
	in := manifest.InferInput{Name: o.Name, Files: r.Files, Framework: r.Framework, Graph: media.Graph{Inputs: r.Inputs, Outputs: r.Outputs}}
	if len(r.Declared) > 0 {
		in.Graph.Inputs = r.Declared // the sizes that the model was made for
	}
	var err error
	if in.LabelsFile, in.Labels, err = labels(src, r); err != nil {
		return Sketch{}, err
	}
	m, comments := manifest.Infer(in)
	o.Import.Set(m.Model)
	file, err := sample(src, m)
	if err != nil {
		return Sketch{}, err
	}
	if file != "" {
		m.Sample = &manifest.Sample{File: file}
	}
	return Sketch{Report: r, Manifest: m, Comments: comments}, nil
}

// maxLabels bounds a file that may hold labels: ImageNet's longest known lists
// of names are below 1 MiB.
const maxLabels = 4 << 20

// labels finds a text file that is called like labels and has as many lines as
// an output has scores.
func labels(src fs.FS, r importer.Report) (name string, lines int, err error) {
	names, err := plainFiles(src, ".")
	if err != nil {
		return "", 0, err
	}
	for _, name := range names {
		if !soundsLikeLabels(name) {
			continue
		}
		f, err := src.Open(name)
		if err != nil {
			continue // it is only a guess
		}
		b, err := io.ReadAll(io.LimitReader(f, maxLabels))
		f.Close()
		if err != nil || len(b) == maxLabels {
			continue
		}
		n := bytes.Count(bytes.TrimRight(b, "\r\n"), []byte("\n")) + 1
		for _, out := range r.Outputs {
			if len(out.Shape) >= 2 && out.Shape[1] == int64(n) && n > 1 {
				return name, n, nil
			}
		}
	}
	return "", 0, nil
}

func soundsLikeLabels(name string) bool {
	lower := strings.ToLower(name)
	if ext := path.Ext(lower); ext != ".txt" && ext != "" {
		return false
	}
	return contains(lower, "label", "class", "synset", "categor", "names")
}

func contains(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

var pictures = []string{".png", ".jpg", ".jpeg", ".gif", ".webp"}

// sample finds an input to try: samples/before.*, or else the first file of
// samples that can be one, or else a file beside the model: a picture where the
// network takes one, or what is called a sample, an input or an example.
func sample(src fs.FS, m *manifest.Manifest) (string, error) {
	names, err := plainFiles(src, "samples")
	if err != nil {
		return "", err
	}
	first := ""
	for _, name := range names {
		base := path.Base(name)
		if !hasExt(name, append([]string{".npy", ".json"}, pictures...)) {
			continue
		}
		if strings.HasPrefix(base, "before.") {
			return name, nil
		}
		if first == "" && !strings.HasPrefix(base, "after.") {
			first = name
		}
	}
	if first != "" {
		return first, nil
	}
	if names, err = plainFiles(src, "."); err != nil {
		return "", err
	}
	takesPicture := slices.ContainsFunc(m.Input, func(in media.Input) bool { return in.Picture != nil })
	for _, name := range names {
		if takesPicture && hasExt(name, pictures) {
			return name, nil
		}
	}
	for _, name := range names {
		if hasExt(name, []string{".npy", ".json", ".txt"}) && contains(strings.ToLower(name), "sample", "input", "example") {
			return name, nil
		}
	}
	return "", nil
}

func hasExt(name string, exts []string) bool {
	return slices.Contains(exts, path.Ext(strings.ToLower(name)))
}

// plainFiles lists the files of one folder that are not hidden, by name; none
// where there is no such folder.
func plainFiles(src fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(src, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the folder %s cannot be read: %v", dir, err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// Name makes an algorithm's name of that of a folder or file.
func Name(base string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_':
			return r
		case r == '-', r == '.', r == ' ':
			return '_'
		}
		return -1
	}, base)
	name = strings.TrimLeft(name, "0123456789_")
	if name == "" || len(name) > 100 {
		return "net"
	}
	return name
}
