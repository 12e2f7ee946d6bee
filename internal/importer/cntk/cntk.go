// Package cntk reads networks of CNTK 2, which Function.save wrote: .model,
// .dnn and .cmf. Blocks are opened into what they are made of, loops through
// PastValue and FutureValue become the LSTM, GRU or Scan of ONNX, and outputs
// that only training needs are left out. Files of CNTK 1 are recognised, and
// refused with advice.
//
// Axes are those of NumPy in CNTK's Python interface: a picture of CNTK's shape
// [28 x 28 x 1] is 1x28x28. A network without sequences takes a batch. One with
// sequences takes one sequence: an input of 943 numbers a step is sequence x 943.
// It takes a batch of sequences of the same length, batch x sequence x 943, where
// a shape with so many dimensions is given for one of its inputs.
package cntk

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Plug reads networks of CNTK.
type Plug struct{}

var _ importer.Plug = Plug{}

// Framework gives "cntk".
func (Plug) Framework() string { return "cntk" }

// Operators gives the primitive functions that are known, by CNTK's names.
func (Plug) Operators() []string {
	names := map[string]bool{}
	for _, op := range operators() {
		names[op.name] = true
	}
	for op := range passes {
		names[opNames[op]] = true
	}
	names[opNames[opCombine]] = true
	return slices.Sorted(maps.Keys(names))
}

// magic1 begins files of CNTK 1: "BCN" in UTF-16.
const magic1 = "B\x00C\x00N\x00"

// Find recognises files of CNTK.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var out []importer.Candidate
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		c := importer.Candidate{Files: []string{f.Name}, Format: "CNTK 2"}
		switch kind := sight(data); {
		case bytes.HasPrefix(data, []byte(magic1)):
			c.Format = "CNTK 1"
			c.Err = stoa.Errorf(stoa.Unsupported, "%s: a model of CNTK 1, of which only version 2 is read: load it with CNTK 2 and save it again (C.Function.load(\"%s\").save(\"new.dnn\")), or export it as ONNX", f.Name, f.Name)
		case kind == "CompositeFunction":
		case kind != "":
			c.Err = stoa.Errorf(stoa.Unsupported, "%s: a %s of CNTK, not a model: push the model's own file, which CNTK writes beside a checkpoint under the name without .ckp", f.Name, kind)
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}

// sight tells what a file of CNTK 2 holds by its topmost dictionary; "" where it
// is none.
func sight(data []byte) string {
	num, typ, used := protowire.ConsumeTag(data)
	if used < 0 || num != 1 || typ != protowire.VarintType {
		return ""
	}
	keys := map[string]bool{}
	kind := ""
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte, _ uint64) error {
		if num == 1 && typ == protowire.VarintType {
			return nil
		}
		if num != 2 || typ != protowire.BytesType || len(keys) > 100 {
			return damaged()
		}
		key, at, used := protowire.ConsumeField(val)
		if used < 0 || key != 1 || at != protowire.BytesType {
			return damaged()
		}
		name, _ := protowire.ConsumeBytes(val[1:])
		keys[string(name)] = true
		if string(name) == "type" {
			d := decoder{}
			_, v, err := d.entry(val, maxDepth-1)
			kind, _ = v.(string)
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return ""
	case kind == "CompositeFunction" && keys["root"] && keys["primitive_functions"]:
		return kind
	case keys["Learners"] || keys["Learner"] || keys["TrainerState"] || keys["trainer_state"]:
		return "checkpoint"
	}
	return ""
}

// Import makes the network of a file.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	name := job.Candidate.Files[0]
	file, err := job.Source.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := file.Data()
	if err != nil {
		return nil, err
	}
	d := decoder{}
	top, err := d.dictionary(data, 0)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	return networkOf(ctx, job, top, len(data))
}

// networkOf makes the network of a dictionary, whose file has so many bytes.
func networkOf(ctx context.Context, job importer.Job, top dict, size int) (*importer.Network, error) {
	name := job.Candidate.Files[0]
	n, err := parse(name, top)
	if err != nil {
		return nil, err
	}
	b := build.New("cntk")
	c := &converter{
		net: n, table: operators(), root: b, b: b, values: map[ref]value{}, budget: 2*int64(size) + 1<<20,
		notes: map[string]bool{}, shapes: job.Options.Shapes, names: map[ref]string{},
	}
	net := &importer.Network{Files: []string{name}, Format: job.Candidate.Format, Fold: true, Layers: n.layers(), Parameters: n.parameters()}
	out, dropped, err := n.results()
	if err != nil {
		return nil, err
	}
	for _, d := range dropped {
		c.note("output %s was left out: only training needs it", d)
	}
	groups, err := n.reached(out)
	if err != nil {
		return nil, err
	}
	if net.Unsupported = c.survey(groups); len(net.Unsupported) > 0 {
		return net, nil
	}
	if err := c.build(ctx, groups, out); err != nil {
		return nil, err
	}
	if net.Model, err = c.b.Model(); err != nil {
		return nil, err
	}
	c.unname(net.Model)
	net.Mapped = c.b.Mapped()
	net.Notes = slices.Sorted(maps.Keys(c.notes))
	return net, nil
}

// unname takes the name from the first axis of inputs where the network does not
// take one element along it, as it may where windows slide over a sequence: such
// a name would be taken for that of a batch, whose smallest size is 1.
func (c *converter) unname(m *onnx.Model) {
	bind := map[string]int64{}
	for _, v := range m.Graph.Inputs {
		if len(v.Shape) > 0 && v.Shape[0].Param != "" {
			bind[v.Shape[0].Param] = 1
		}
	}
	if _, err := onnx.Infer(m, bind); err == nil {
		return
	}
	for _, v := range m.Graph.Inputs {
		if len(v.Shape) > 0 && v.Shape[0].Param != "" {
			v.Shape[0] = onnx.Dim{Value: -1}
		}
	}
}

// parameters counts the numbers of parameters, and those of constants that are
// more than one, such as the statistics of a normalisation.
func (n *network) parameters() int64 {
	total := int64(0)
	for _, v := range n.variables {
		if v.value == nil {
			continue
		}
		if k, err := tensor.Elements(v.value.shape); err == nil && (v.kind == kindParameter || k > 1) && k <= int64(len(v.value.data)) {
			total += k
		}
	}
	return total
}

// layers counts the functions of the file by their kinds.
func (n *network) layers() map[string]int {
	out := map[string]int{}
	for _, f := range n.order {
		if f.op != opBlock {
			out[opName(f)]++
		}
	}
	return out
}
