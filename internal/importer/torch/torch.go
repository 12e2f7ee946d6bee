// Package torch reads networks of PyTorch that were saved as TorchScript, traced
// or scripted. Their code is followed step by step: what it does with numbers and
// lists is computed, what it does with tensors becomes nodes, and nothing of it
// ever runs. Files of weights alone are recognised, and their answer is a list of
// the tensors and the lines of Python that would save a network.
package torch

import (
	"context"
	"slices"

	"github.com/stoa-project/stoa/internal/jit"
	"github.com/stoa-project/stoa/internal/jit/aten"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

// Plug reads TorchScript.
type Plug struct{}

var _ importer.Plug = Plug{}

// Framework gives "pytorch".
func (Plug) Framework() string { return "pytorch" }

// Operators gives the operators of PyTorch that become nodes.
func (Plug) Operators() []string {
	var out []string
	for name := range aten.Operators() {
		out = append(out, jit.OpName(name))
	}
	slices.Sort(out)
	return out
}

// Find recognises archives of TorchScript, and files of PyTorch without a graph,
// which cannot be imported.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var out []importer.Candidate
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		if format, ok, err := recognise(f.Name, data); ok {
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: format, Err: err})
		}
	}
	return out
}

// Import makes the network of an archive.
func (Plug) Import(ctx context.Context, in importer.Job) (*importer.Network, error) {
	name := in.Candidate.Files[0]
	f, err := in.Source.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := f.Data()
	if err != nil {
		return nil, err
	}
	a, ok, err := openArchive(name, data)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, stoa.Errorf(stoa.Invalid, "%s: it is no archive of PyTorch", name)
	}
	root, err := a.unpickle("data.pkl", "data")
	if err != nil {
		return nil, err
	}
	var constants any
	if a.has("constants.pkl") {
		if constants, err = a.unpickle("constants.pkl", "constants"); err != nil {
			return nil, err
		}
	}
	r, err := jit.Convert(jit.Job{
		File: name, Root: root, Constants: constants, Source: a, Shapes: in.Options.Shapes, Training: in.Options.Training, Ops: aten.Operators(),
		Done: func() error {
			if err := ctx.Err(); err != nil {
				return stoa.AsError(err)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &importer.Network{
		Model: r.Model, Files: []string{name}, Format: in.Candidate.Format, Layers: r.Layers, Mapped: r.Mapped, Unsupported: r.Unsupported,
		Notes: r.Notes, Parameters: r.Parameters, Bind: r.Bind, Fold: true,
	}, nil
}
