// Package tensorflow reads networks of TensorFlow 1 and 2: frozen graphs, binary
// and as text, checkpoints with their .meta file, and SavedModels. Functions are
// inlined, variables become constants, conditions that are known are decided,
// and loops become ONNX's. Nothing runs, and no file is executed.
package tensorflow

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/bundle"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/format/savedmodel"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx/build"
)

// Plug reads networks of TensorFlow.
type Plug struct{}

var _ importer.Plug = Plug{}

// Framework gives "tensorflow".
func (Plug) Framework() string { return "tensorflow" }

// Operators gives TensorFlow's operators that are mapped.
func (Plug) Operators() []string { return slices.Sorted(maps.Keys(operators())) }

// Find recognises graphs, SavedModels and checkpoints. Variables without a graph
// are recognised too, and are an error.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var out []importer.Candidate
	names := map[string]bool{}
	for _, f := range files {
		names[f.Name] = true
	}
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		kind, text := savedmodel.Sight(data)
		format := formats[kind]
		if text {
			format += ", text"
		}
		switch {
		case kind != graphdef.KindNone:
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: format})
		case bundle.Is(data) && !names[strings.TrimSuffix(f.Name, ".index")+".meta"] && path.Base(path.Dir(f.Name)) != "variables":
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: "TensorFlow variables", Err: stoa.Errorf(stoa.Unsupported,
				"%s: variables of TensorFlow, without the graph that uses them: add the checkpoint's .meta file, or export the network as a SavedModel", f.Name)})
		}
	}
	return out
}

var formats = map[graphdef.Kind]string{
	graphdef.KindGraph: "TensorFlow GraphDef", graphdef.KindSavedModel: "TensorFlow SavedModel", graphdef.KindMetaGraph: "TensorFlow checkpoint",
}

// Import makes the network of a candidate.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	m, err := savedmodel.Open(job.Candidate.Files[0], func(name string) ([]byte, error) {
		f, err := job.Source.Open(name)
		if err != nil {
			return nil, err
		}
		return f.Data()
	})
	if err != nil {
		return nil, err
	}
	c := newConverter(m, job.Options)
	net := &importer.Network{Format: job.Candidate.Format, Fold: true}
	err = c.convert(ctx)
	net.Files, net.Layers = m.Files, c.layers
	net.Notes = slices.Sorted(maps.Keys(c.notes))
	if len(c.unsupported) > 0 {
		net.Unsupported = c.unsupported
		return net, nil
	}
	if err != nil {
		return nil, err
	}
	if net.Model, err = c.root.Model(); err != nil {
		return nil, err
	}
	net.Mapped = c.root.Mapped()
	c.dropUnused(net.Model)
	return net, nil
}

func newConverter(m *savedmodel.Model, opt importer.Options) *converter {
	c := &converter{
		model: m, opt: opt, ops: operators(), root: build.New("tensorflow"), layers: map[string]int{}, counted: map[*flow.Node]bool{},
		notes: map[string]bool{}, known: map[string]bool{}, scopes: map[string]*flow.Scope{}, constants: map[*graphdef.Tensor]string{},
		transposed: map[string]string{}, marks: map[string]mark{}, sizeOf: map[string]string{},
	}
	c.budget = 8*m.Size + 64<<20
	return c
}
