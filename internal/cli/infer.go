package cli

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

// infer makes the manifest that a model's files suggest, as text.
func (a *app) infer(ctx context.Context, src *source, name string) (string, error) {
	r, err := a.inspect(ctx, src, importer.Options{Files: src.candidates()})
	if err != nil {
		return "", err
	}
	if len(r.Unsupported) > 0 {
		return "", stoa.Errorf(stoa.Unsupported, "%s: not supported: %s", strings.Join(r.Files, ", "), strings.Join(r.Unsupported, "; "))
	}
	in := manifest.InferInput{Name: name, Files: r.Files, Framework: r.Framework, Graph: media.Graph{Inputs: r.Inputs, Outputs: r.Outputs}}
	if len(r.Declared) > 0 {
		in.Graph.Inputs = r.Declared // the sizes that the model was made for
	}
	if in.LabelsFile, in.Labels, err = src.labels(r); err != nil {
		return "", err
	}
	if in.Sample, err = src.sample(); err != nil {
		return "", err
	}
	m, comments := manifest.Infer(in)
	return string(manifest.Marshal(m, comments)), nil
}

// maxLabels bounds a file that may hold labels: ImageNet's longest known lists
// of names are below 1 MiB.
const maxLabels = 4 << 20

// labels finds a text file that is called like labels and has as many lines as
// an output has scores.
func (s *source) labels(r importer.Report) (name string, lines int, err error) {
	entries, err := fs.ReadDir(s.fsys(), ".")
	if err != nil {
		return "", 0, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", s.dir, plainCause(err))
	}
	for _, e := range entries {
		if e.IsDir() || isHidden(e.Name()) || !soundsLikeLabels(e.Name()) {
			continue
		}
		f, err := s.fsys().Open(e.Name())
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
				return e.Name(), n, nil
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
	return slices.ContainsFunc([]string{"label", "class", "synset", "categor", "names"}, func(w string) bool { return strings.Contains(lower, w) })
}

// sample finds an input to try: samples/before.*, or else the first file of
// samples that can be one.
func (s *source) sample() (string, error) {
	if s.dir == "" {
		return "", nil
	}
	entries, err := fs.ReadDir(s.fsys(), "samples")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", stoa.Wrap(stoa.Invalid, err, "samples cannot be read: %v", plainCause(err))
	}
	first := ""
	for _, e := range entries {
		ext := path.Ext(strings.ToLower(e.Name()))
		if e.IsDir() || isHidden(e.Name()) || !slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".npy", ".json"}, ext) {
			continue
		}
		if strings.HasPrefix(e.Name(), "before.") {
			return "samples/" + e.Name(), nil
		}
		if first == "" && !strings.HasPrefix(e.Name(), "after.") {
			first = "samples/" + e.Name()
		}
	}
	return first, nil
}
