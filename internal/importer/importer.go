// Package importer turns model files of any framework into ONNX, and says in a
// report what it found and what it made. Each framework is a Plug; this package
// picks the plug by content, never by name. It reads untrusted bytes: it never
// runs them, never allocates what a header merely claims, and is meant to run in
// a process of its own with a limit on memory.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/fold"
	"github.com/stoa-project/stoa/internal/onnx/layout"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Report says what an import found and made. It is stored with the version.
type Report struct {
	Framework string         `json:"framework"` // caffe, onnx
	Format    string         `json:"format"`    // such as "Caffe V1 binary, prototxt"
	Files     []string       `json:"files"`     // those that hold the model
	Inputs    []tensor.Spec  `json:"inputs"`
	Outputs   []tensor.Spec  `json:"outputs"`
	Declared  []tensor.Spec  `json:"declared,omitempty"` // Inputs with the sizes that the file names where they may be others too
	Layers    map[string]int `json:"layers"`             // source layer types and how many
	Operators map[string]int `json:"operators"`          // ONNX operators and how many
	// Mapped says of each type of source layer which ONNX operators were made of
	// it, before simplification; none: it was dropped.
	Mapped map[string][]string `json:"mapped,omitempty"`
	// Simplified says how many operators of which type were then moved away:
	// computed beforehand, made part of weights, or without effect.
	Simplified  map[string]int `json:"simplified,omitempty"`
	Parameters  int64          `json:"parameters"` // numbers in the weights of the source
	MACs        int64          `json:"macs"`       // of one item, at the declared size; -1 unknown
	WeightBytes int64          `json:"weight_bytes"`
	MemoryBytes int64          `json:"memory_bytes"` // estimate of weights and the largest live set of activations
	Opset       int64          `json:"opset"`
	Unsupported []string       `json:"unsupported,omitempty"` // layers or operators by name, with where they stand
	Notes       []string       `json:"notes,omitempty"`       // what a person should know: layers dropped, sizes made dynamic
	Seconds     float64        `json:"seconds"`
	Check       *Check         `json:"check,omitempty"` // that the result loads and answers; nil where nobody tried
}

// Check says how the imported network fared when it was loaded and given a
// sample, before it was published.
type Check struct {
	LoadSeconds float64 `json:"load_seconds,omitempty"`
	HostBytes   int64   `json:"host_bytes,omitempty"` // memory that loading took
	Sample      string  `json:"sample,omitempty"`
	RunSeconds  float64 `json:"run_seconds,omitempty"`
	Answer      string  `json:"answer,omitempty"` // shortened
	// Compared says how far answers were from those of the framework of origin,
	// where somebody gave them.
	Compared []Comparison `json:"compared,omitempty"`
}

// Plug reads one framework's files. Plugs hold no state: all methods may be
// called at once.
type Plug interface {
	// Framework gives the framework's name, such as "caffe".
	Framework() string
	// Operators gives the types of layers or operators of the source that it
	// maps, sorted, as Network.Layers names them. Each has a case in
	// test/operators or among the assets.
	Operators() []string
	// Find recognises the models among files, by content. It gives none, and
	// no error, where there is nothing that it knows.
	Find(files []*File) []Candidate
	// Import reads one of the candidates that Find gave.
	Import(ctx context.Context, job Job) (*Network, error)
}

// Candidate is a set of files that make a model.
type Candidate struct {
	Files  []string
	Format string
	// Err says why files that were recognised cannot be imported. Such a
	// candidate counts only where there is no other.
	Err error
}

// Job is one candidate to import.
type Job struct {
	Candidate Candidate
	Source    *Source // to open further files, which the candidate names
	Options   Options
}

// Network is what a Plug makes of a candidate.
type Network struct {
	Model       *onnx.Model // nil where Unsupported says why
	Files       []string    // all that were read
	Format      string
	Layers      map[string]int
	Mapped      map[string][]string // what was made of each type of layer; nil where nothing changes
	Unsupported []string
	Notes       []string
	Parameters  int64            // numbers in the weights of the source; 0: as many as in Model
	Bind        map[string]int64 // sizes that the file declares for named dimensions
	Fold        bool             // the network was made here, and may be simplified
}

// Imported is a network in ONNX, not yet written. It views the files of the
// source until it is closed.
type Imported struct {
	Report Report

	model  *onnx.Model
	source *Source
}

// Close lets go of the source's files. The network is of no use afterwards.
func (i *Imported) Close() error { return i.source.Close() }

// Import finds the model files in src, reads them and makes the network. What
// the network asks for and Stoa does not do is an error that lists it.
func Import(ctx context.Context, plugs []Plug, src fs.FS, opt Options) (*Imported, error) {
	im, err := inspect(ctx, plugs, src, opt)
	if err != nil {
		return nil, err
	}
	if len(im.Report.Unsupported) > 0 {
		return nil, errors.Join(refusal(im.Report), im.Close())
	}
	return im, nil
}

// RefusedError is the error of Import for a network that asks for what Stoa does not
// do. Its Report lists all of that at once.
type RefusedError struct {
	Report Report
	err    error
}

func (r *RefusedError) Error() string { return r.err.Error() }

// Unwrap gives the error of kind Unsupported with the list as a text.
func (r *RefusedError) Unwrap() error { return r.err }

func refusal(r Report) error {
	return &RefusedError{r, stoa.Errorf(stoa.Unsupported, "%s: not supported: %s", strings.Join(r.Files, ", "), strings.Join(r.Unsupported, "; "))}
}

// Inspect is Import for those who want to know and not to run: what is not
// supported is listed in the report and is no error.
func Inspect(ctx context.Context, plugs []Plug, src fs.FS, opt Options) (Report, error) {
	im, err := inspect(ctx, plugs, src, opt)
	if err != nil {
		return Report{}, err
	}
	return im.Report, im.Close()
}

func inspect(ctx context.Context, plugs []Plug, src fs.FS, opt Options) (_ *Imported, err error) {
	began := time.Now()
	source, err := openSource(src)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = source.Close()
		}
	}()
	plug, candidate, err := pick(ctx, plugs, source, opt)
	if err != nil {
		return nil, err
	}
	if err := opt.fits(plug.Framework()); err != nil {
		return nil, err
	}
	net, err := plug.Import(ctx, Job{Candidate: candidate, Source: source, Options: opt})
	if err != nil {
		return nil, err
	}
	im := &Imported{source: source, model: net.Model, Report: Report{
		Framework: plug.Framework(), Format: net.Format, Files: net.Files, Layers: net.Layers, Mapped: net.Mapped,
		Unsupported: net.Unsupported, Notes: net.Notes, MACs: -1, MemoryBytes: -1,
	}}
	if net.Model != nil {
		if err := im.finish(ctx, net, opt); err != nil {
			return nil, err
		}
	}
	im.Report.Unsupported, im.Report.Notes = few(im.Report.Unsupported), few(im.Report.Notes)
	im.Report.Seconds = time.Since(began).Seconds()
	return im, nil
}

// few shortens a list that a file could make as long as it likes.
func few(list []string) []string {
	const most = 100
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

// finish cuts, simplifies and checks the network, and fills in the report.
func (i *Imported) finish(ctx context.Context, net *Network, opt Options) error {
	m := net.Model
	if len(opt.Inputs) > 0 || len(opt.Outputs) > 0 {
		if err := onnx.Cut(m, opt.Inputs, opt.Outputs); err != nil {
			return err
		}
	}
	if net.Fold {
		before := operators(m)
		if err := layout.Propagate(m); err != nil {
			return err
		}
		if err := fold.Fold(m); err != nil {
			return err
		}
		i.Report.Simplified = fewer(before, operators(m))
	}
	if err := ctx.Err(); err != nil {
		return stoa.AsError(err)
	}
	i.Report.Unsupported = append(i.Report.Unsupported, onnx.Unsupported(m)...)
	if err := onnx.Check(m); err != nil {
		return err
	}
	free, err := onnx.Infer(m, nil)
	if err != nil {
		return err
	}
	declared, err := onnx.Infer(m, i.bindings(net))
	if err != nil {
		return err
	}
	i.describe(free, declared)
	if net.Parameters > 0 {
		i.Report.Parameters = net.Parameters
	}
	return nil
}

// bindings gives each named dimension of the inputs the size that the file
// declares, and the first of an input, which is the batch, 1.
func (i *Imported) bindings(net *Network) map[string]int64 {
	out := map[string]int64{}
	for _, v := range i.model.Graph.TrueInputs() {
		if len(v.Shape) > 0 && v.Shape[0].Param != "" {
			out[v.Shape[0].Param] = 1
		}
	}
	for name, n := range net.Bind {
		if _, isBatch := out[name]; !isBatch {
			out[name] = n
		}
	}
	return out
}

func (i *Imported) describe(free, declared *onnx.Shapes) {
	g, r := i.model.Graph, &i.Report
	for _, v := range g.TrueInputs() {
		r.Inputs = append(r.Inputs, v.Spec())
		_, shape := declared.Of(v.Name)
		r.Declared = append(r.Declared, (&onnx.ValueInfo{Name: v.Name, DType: v.DType, Shape: shape}).Spec())
	}
	if slices.EqualFunc(r.Inputs, r.Declared, func(a, b tensor.Spec) bool { return slices.Equal(a.Shape, b.Shape) }) {
		r.Declared = nil
	}
	for _, v := range g.Outputs {
		if t, shape := free.Of(v.Name); v.IsTensor() {
			if shape != nil {
				v.Shape = shape
			}
			if t != tensor.Undefined {
				v.DType = t
			}
		}
		r.Outputs = append(r.Outputs, v.Spec())
	}
	r.Operators = operators(i.model)
	if r.Layers == nil {
		r.Layers = r.Operators
	}
	cost := onnx.CostOf(i.model, declared)
	r.Parameters, r.WeightBytes, r.MACs = cost.Parameters, cost.WeightBytes, cost.MACs
	if cost.Activations >= 0 {
		r.MemoryBytes = cost.WeightBytes + cost.Activations
	}
	r.Opset = i.model.OpsetOf("")
}

// operators counts the nodes of the main graph by operator.
func operators(m *onnx.Model) map[string]int {
	out := map[string]int{}
	for _, n := range m.Graph.Nodes {
		const longest = 60
		out[n.Op[:min(len(n.Op), longest)]]++
	}
	return out
}

// fewer gives how many of each are gone.
func fewer(before, after map[string]int) map[string]int {
	out := map[string]int{}
	for op, n := range before {
		if gone := n - after[op]; gone > 0 {
			out[op] = gone
		}
	}
	return out
}
