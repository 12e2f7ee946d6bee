// Package theano reads networks that Lasagne made for Theano: the parameters, as
// np.savez or pickle wrote them, and beside them lasagne.yaml, which says what
// layers they are of; see docs/lasagne.md. Pickles are read and not run: arrays
// are the one thing that they may hold.
//
// Networks of Keras on Theano lie in HDF5 and are for the importer of Keras.
package theano

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Plug reads networks of Lasagne.
type Plug struct{}

var _ importer.Plug = Plug{}

// FileName is what the file that describes the layers is called.
const FileName = "lasagne.yaml"

// Framework gives "theano".
func (Plug) Framework() string { return "theano" }

// Operators gives the layers that are known, as lasagne.yaml calls them.
func (Plug) Operators() []string { return slices.Sorted(maps.Keys(layerTypes())) }

// Find pairs descriptions with parameters in the same folder.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var texts []string
	var lists []*parameters
	var out []importer.Candidate
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		if isText(data) {
			texts = append(texts, f.Name)
			continue
		}
		p, err := readParameters(f.Name, data)
		if err != nil {
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: "Theano pickle", Err: err})
		} else if p != nil {
			lists = append(lists, p)
		}
	}
	for _, text := range texts {
		out = append(out, pair(text, lists))
	}
	if len(texts) == 0 {
		for _, p := range lists {
			out = append(out, importer.Candidate{Files: []string{p.file}, Format: "Lasagne parameters", Err: p.withoutText()})
		}
	}
	return out
}

// isText tells whether a file is a description by its first words, comments
// apart: format: lasagne.
func isText(data []byte) bool {
	const most = 4 << 10
	for line := range bytes.Lines(data[:min(len(data), most)]) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		rest, ok := bytes.CutPrefix(line, []byte("format:"))
		return ok && bytes.HasPrefix(bytes.Trim(bytes.TrimSpace(rest), `"'`), []byte("lasagne"))
	}
	return false
}

// pair finds the parameters of a description: those that it names, else the only
// ones of its folder.
func pair(text string, lists []*parameters) importer.Candidate {
	c := importer.Candidate{Files: []string{text}, Format: "Lasagne, " + FileName}
	var near []string
	for _, p := range lists {
		if path.Dir(p.file) == path.Dir(text) {
			near = append(near, p.file)
			c.Format = "Lasagne " + p.form + ", " + FileName
		}
	}
	if len(near) == 1 {
		c.Files = append(c.Files, near[0])
	}
	return c
}

// withoutText says what is in a file of parameters, and how to describe it.
func (p *parameters) withoutText() error {
	const most = 12
	var shapes []string
	for _, a := range p.arrays[:min(len(p.arrays), most)] {
		shapes = append(shapes, tensor.ShapeString(a.Shape))
	}
	if len(p.arrays) > most {
		shapes = append(shapes, fmt.Sprintf("and %d more, the last %s", len(p.arrays)-most, tensor.ShapeString(p.arrays[len(p.arrays)-1].Shape)))
	}
	return stoa.Errorf(stoa.Unsupported, "%s: a list of %d arrays of numbers, of %s, and no network: such a list does not say what layers it is of. "+
		"Write %s beside it: \"format: lasagne\", then under \"layers:\" the layers in the order of the program that made them, "+
		"as in {type: Input, shape: [null, 3, 32, 32]}, {type: Conv2D, num_filters: 16, filter_size: 3, pad: same}, {type: Dense, num_units: 10, nonlinearity: softmax}; docs/lasagne.md has all of them",
		p.file, len(p.arrays), strings.Join(shapes, ", "), FileName)
}

// Import makes the network of a description.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	name := job.Candidate.Files[0]
	data, err := open(job.Source, name)
	if err != nil {
		return nil, err
	}
	net, err := readNetwork(name, data)
	if err != nil {
		return nil, err
	}
	out := &importer.Network{Files: []string{name}, Format: job.Candidate.Format, Fold: true, Layers: net.count()}
	p, err := weights(job, net)
	if err != nil {
		return nil, err
	}
	if p.file != "" {
		out.Files = append(out.Files, p.file)
	}
	if out.Unsupported = net.unsupported(); len(out.Unsupported) > 0 {
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, stoa.AsError(err)
	}
	c := &converter{net: net, b: build.New("lasagne"), params: p, notes: map[string]bool{}, values: map[*layer]string{}, taken: map[*layer][]taken{}}
	for _, a := range p.arrays {
		c.budget += 4 * int64(len(a.Data))
	}
	c.budget += 1 << 20
	if err := c.run(job.Options.Shapes); err != nil {
		return nil, err
	}
	if out.Model, err = c.b.Model(); err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	out.Mapped, out.Notes = c.b.Mapped(), slices.Sorted(maps.Keys(c.notes))
	for _, a := range p.arrays {
		n, err := tensor.Elements(a.Shape)
		if err == nil {
			out.Parameters += n
		}
	}
	return out, nil
}

func open(s *importer.Source, name string) ([]byte, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Data()
}

// weights reads the parameters of a description.
func weights(job importer.Job, net *network) (*parameters, error) {
	name := ""
	if net.weights != "" {
		name = path.Join(path.Dir(net.file), net.weights)
	} else if len(job.Candidate.Files) > 1 {
		name = job.Candidate.Files[1]
	}
	if name == "" { // there are networks without parameters
		return &parameters{}, nil
	}
	data, err := open(job.Source, name)
	if err != nil {
		return nil, err
	}
	p, err := readParameters(name, data)
	if err == nil && p == nil {
		err = stoa.Errorf(stoa.Invalid, "%s: it is no list of parameters of Lasagne: np.savez(file, *get_all_param_values(network)) writes one", name)
	}
	return p, err
}
