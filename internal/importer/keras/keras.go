// Package keras reads networks of Keras 1, 2 and 3: whole models in HDF5, .keras
// archives, and an architecture in JSON beside a file of weights. It takes them
// layer by layer, by their settings; code that a file holds (Lambda layers) is
// refused by name and never run. A setting that is not known is refused too, for
// it may change what the layer computes.
package keras

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Plug reads networks of Keras.
type Plug struct{}

var _ importer.Plug = Plug{}

// Framework gives "keras".
func (Plug) Framework() string { return "keras" }

// Operators gives the layers that are mapped, by their class.
func (Plug) Operators() []string { return slices.Sorted(maps.Keys(allKinds())) }

// Find recognises whole models, archives, and pairs of an architecture and its
// weights. One of a pair alone is named with what is missing.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var out []importer.Candidate
	var plans, weights []string
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		switch form := kerasfile.Sight(data); form {
		case kerasfile.None:
		case kerasfile.Plan:
			plans = append(plans, f.Name)
		case kerasfile.Weights:
			weights = append(weights, f.Name)
		default:
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: form})
		}
	}
	return append(out, pairs(plans, weights)...)
}

// pairs puts architectures and weights together: the only two, or those whose
// names begin alike.
func pairs(plans, weights []string) []importer.Candidate {
	var out []importer.Candidate
	used := map[string]bool{}
	for _, p := range plans {
		var fit []string
		for _, w := range weights {
			if len(plans) == 1 && len(weights) == 1 || strings.HasPrefix(stem(w), stem(p)) || strings.HasPrefix(stem(p), stem(w)) {
				fit = append(fit, w)
			}
		}
		if len(plans) == 1 && len(fit) == 0 {
			fit = weights
		}
		if len(fit) == 0 {
			out = append(out, importer.Candidate{Files: []string{p}, Format: "Keras JSON", Err: stoa.Errorf(stoa.Invalid,
				"%s: it is the architecture of a Keras model, without weights: put the file beside it that model.save_weights() wrote", p)})
		}
		for _, w := range fit {
			used[w] = true
			out = append(out, importer.Candidate{Files: []string{p, w}, Format: "Keras JSON, HDF5 weights"})
		}
	}
	for _, w := range weights {
		if !used[w] {
			out = append(out, importer.Candidate{Files: []string{w}, Format: "Keras HDF5 weights", Err: stoa.Errorf(stoa.Invalid,
				"%s: it holds the weights of a Keras model, and no architecture: put a JSON file beside it that has what model.to_json() gives, or save the whole model with model.save()", w)})
		}
	}
	return out
}

// stem is a file's name up to the first dot.
func stem(name string) string {
	s, _, _ := strings.Cut(name, ".")
	return s
}

// Import makes the network of a candidate.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	t := table{allKinds(), activations()}
	s, err := open(job, t.kinds)
	if err != nil {
		return nil, err
	}
	root, err := s.Parse()
	if err != nil {
		return nil, err
	}
	net := &importer.Network{Files: job.Candidate.Files, Format: s.Format(job.Candidate.Format), Fold: true}
	net.Layers, net.Unsupported = t.survey(s, root)
	if len(net.Unsupported) > 0 {
		return net, nil
	}
	if net.Parameters, err = s.Bind(root); err != nil {
		return nil, err
	}
	// Sizes of pictures are left open where no layer needs them, as the
	// network then takes others too.
	c := newConverter(ctx, s, t, job.Options)
	c.open = true
	if err = c.convert(root); err != nil && c.needsSize {
		c = newConverter(ctx, s, t, job.Options)
		err = c.convert(root)
	}
	if err != nil {
		return nil, err
	}
	net.Unsupported, net.Notes = c.unsupported, slices.Sorted(maps.Keys(c.notes))
	if len(net.Unsupported) > 0 {
		return net, nil
	}
	net.Bind, net.Mapped = c.bound, c.b.Mapped()
	net.Model, err = c.b.Model()
	return net, err
}

func newConverter(ctx context.Context, s *source, t table, opt importer.Options) *converter {
	return &converter{
		source: s, kinds: t.kinds, activations: t.activations, b: build.New("keras"), ctx: ctx, shapes: opt.Shapes,
		notes: map[string]bool{}, bound: map[string]int64{}, prepared: map[weightOf]tensor.Tensor{}, packs: map[*layer]packed{},
	}
}

// convert makes the graph.
func (c *converter) convert(root *layer) error {
	c.pictures, c.theano = picturesOf(root), c.source.Backend == "theano"
	if c.source.Era() == 1 && c.source.Backend == "" {
		c.theano = c.pictures == "th"
		c.note("files of Keras 1 do not say on which backend they were trained, and kernels of Theano are turned: taken as %s's, by the order of axes (dim_ordering); if that is wrong, give the file an attribute that says it, such as backend = tensorflow, with h5py",
			map[bool]string{true: "Theano", false: "TensorFlow"}[c.theano])
	}
	ins, err := c.inputs(root)
	if err != nil {
		return err
	}
	outs, err := c.run(root, call{args: ins})
	if err != nil {
		return err
	}
	c.outputs(root, outs)
	if c.needsSize && c.open {
		return stoa.Errorf(stoa.Internal, "%s: a size is needed", c.source.File)
	}
	return c.b.Err()
}

// outputs names what the network gives after the layers that make it.
func (c *converter) outputs(root *layer, v value) {
	taken := map[string]bool{}
	names := outputNames(root)
	for i, v := range v.flat() {
		if v.bad {
			continue
		}
		base := root.Name
		if i < len(names) {
			base = names[i]
		}
		name := base
		for n := 1; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		taken[name] = true
		c.b.Output(name, v.name)
	}
}
