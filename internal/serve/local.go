package serve

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
)

// Check runs an ONNX file on each case and says how far its outputs are from
// those wanted.
func Check(ctx context.Context, library, model string, cases []importer.Case) ([]importer.Comparison, error) {
	if library == "" {
		return nil, stoa.Errorf(stoa.Unavailable, "ONNX Runtime is not there: run make setup, or give --onnxruntime PATH")
	}
	dir, name := filepath.Split(model)
	if dir == "" {
		dir = "."
	}
	src, err := importer.Dir(dir)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	report, err := importer.Inspect(ctx, Plugs(), src, importer.Options{Files: []string{name}})
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "stoa-check-")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "no folder for scratch: %v", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	files := fileFetcher{worker.ModelFile: model}
	for _, f := range report.Files {
		if f != name { // weights of the network, beside it
			files[f] = filepath.Join(dir, f)
		}
	}
	engine, err := ort.New(ort.Config{Library: library, Fetcher: files, Scratch: scratch})
	if err != nil {
		return nil, err
	}
	m := worker.Model{ID: "check", Manifest: []byte(`{"kind":"model"}`), Inputs: report.Inputs, Outputs: report.Outputs}
	for f := range files {
		m.Files = append(m.Files, blob.File{Name: f})
	}
	if _, err := engine.Load(ctx, m); err != nil {
		return nil, err
	}
	return compare(ctx, engine, m, cases, readNpy)
}

// fileFetcher is a Fetcher of files of this machine, by their names for the
// worker.
type fileFetcher map[string]string

// Fetch gives the file's path; see worker.Fetcher.
func (f fileFetcher) Fetch(_ context.Context, file blob.File) (string, error) {
	return filepath.Abs(f[file.Name])
}

// compare runs a loaded model on each case. open reads an array by the name
// that the case has for it.
func compare(ctx context.Context, e *ort.Engine, m worker.Model, cases []importer.Case, open func(string) (tensor.Tensor, error)) ([]importer.Comparison, error) {
	var out []importer.Comparison
	for _, c := range cases {
		if len(c.Inputs) != len(m.Inputs) || len(c.Outputs) != len(m.Outputs) {
			return nil, stoa.Errorf(stoa.Invalid, "a check has %d inputs and %d outputs, the network %d and %d (%s; %s): name a file for each, in that order",
				len(c.Inputs), len(c.Outputs), len(m.Inputs), len(m.Outputs), names(m.Inputs), names(m.Outputs))
		}
		in := make([]tensor.Tensor, len(c.Inputs))
		for i, name := range c.Inputs {
			var err error
			if in[i], err = open(name); err != nil {
				return nil, err
			}
		}
		got, err := e.Tensors(ctx, m.ID, in)
		if err != nil {
			return nil, stoa.Wrap(stoa.KindOf(err), err, "the network does not run on %s: %s", strings.Join(c.Inputs, ", "), stoa.AsError(err).Msg)
		}
		for i, name := range c.Outputs {
			want, err := open(name)
			if err != nil {
				return nil, err
			}
			r, err := importer.Compare(got[i], want, c.Tolerance)
			if err != nil {
				return nil, stoa.Wrap(stoa.KindOf(err), err, "%s %s", name, stoa.AsError(err).Msg)
			}
			r.Output, r.Wanted = m.Outputs[i].Name, name
			out = append(out, r)
		}
	}
	return out, nil
}

func names(specs []tensor.Spec) string {
	out := make([]string, len(specs))
	for i, s := range specs {
		out[i] = s.Name
	}
	return strings.Join(out, ", ")
}

func readNpy(path string) (tensor.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return tensor.Tensor{}, stoa.Wrap(stoa.NotFound, err, "%s cannot be read: %v", path, err)
	}
	t, err := npy.Parse(b)
	if err != nil {
		e := *stoa.AsError(err)
		e.Msg = path + ": " + e.Msg
		return t, &e
	}
	return t, nil
}
