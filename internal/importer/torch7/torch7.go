// Package torch7 reads networks of Torch7, which torch.save wrote in its binary
// form or as text: modules of nn, cudnn and nngraph, with tensors of CUDA as the
// plain kind. Code in a file is skipped; nothing runs.
package torch7

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Plug reads networks of Torch7.
type Plug struct{}

var _ importer.Plug = Plug{}

const inputName, outputName = "input", "output"

// Framework gives "torch7".
func (Plug) Framework() string { return "torch7" }

// Operators gives the classes of modules, without their package.
func (Plug) Operators() []string { return slices.Sorted(maps.Keys(allModules())) }

// Find recognises files that begin with an object of Torch7, or with a table
// that has modules in it. Files of tensors are none.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var out []importer.Candidate
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		if form, ok := sight(data); ok {
			out = append(out, importer.Candidate{Files: []string{f.Name}, Format: "Torch7 " + form})
		}
	}
	return out
}

// sight looks at the beginning of a file.
func sight(data []byte) (form string, ok bool) {
	head := data[:min(len(data), 200)]
	isClass := func(b []byte) bool {
		b = bytes.TrimLeft(b, "V 0123456789\r\n\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
		return bytes.HasPrefix(b, []byte("nn.")) || bytes.HasPrefix(b, []byte("cudnn.")) || bytes.HasPrefix(b, []byte("inn.")) || bytes.HasPrefix(b, []byte("dpnn."))
	}
	hasModules := func() bool {
		return bytes.Contains(data, []byte("nn.Sequential")) || bytes.Contains(data, []byte("nn.gModule"))
	}
	switch {
	case len(head) < 12:
	case head[0] == '4' && (head[1] == '\n' || head[1] == '\r'):
		return "text", isClass(head[1:])
	case head[0] == '3' && (head[1] == '\n' || head[1] == '\r'):
		return "text", hasModules()
	case binary.LittleEndian.Uint32(head) == typeTorch:
		return "binary", isClass(head[8:])
	case binary.LittleEndian.Uint32(head) == typeTable:
		key := uint32(0)
		if len(head) > 16 {
			key = binary.LittleEndian.Uint32(head[12:])
		}
		return "binary", (key == typeString || key == typeNumber) && hasModules()
	}
	return "", false
}

// network finds the module that a file is about: the file itself, or a field of
// the table that a training script has saved.
func network(file string, v any) (module, error) {
	if o, ok := v.(*object); ok {
		return module{object: o}, nil
	}
	t, ok := v.(*table)
	if !ok {
		return module{}, stoa.Errorf(stoa.Invalid, "%s: it holds no network", file)
	}
	for _, name := range []string{"model", "net", "network", "module", "cnn", "netG", "generator"} {
		if o, ok := t.get(name).(*object); ok {
			return module{object: o}, nil
		}
	}
	var found []*object
	for _, v := range t.values {
		if o, ok := v.(*object); ok && (module{object: o}).kind() != o.class {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return module{}, stoa.Errorf(stoa.Invalid, "%s: it is a table with %d networks: save the one that is wanted by itself", file, len(found))
	}
	return module{object: found[0]}, nil
}

// Import makes the network of a file.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	name := job.Candidate.Files[0]
	f, err := job.Source.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := f.Data()
	if err != nil {
		return nil, err
	}
	v, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	root, err := network(name, v)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, stoa.AsError(err)
	}
	c := &converter{
		file: name, types: allModules(), b: build.New("torch7"), budget: 8*int64(len(data)) + 1<<20, training: job.Options.Training,
		notes: map[string]bool{}, floats: map[*array]tensor.Tensor{},
	}
	net := &importer.Network{Files: []string{name}, Format: job.Candidate.Format, Fold: true}
	if net.Layers, net.Unsupported, err = c.survey(root); err != nil || len(net.Unsupported) > 0 {
		return net, err
	}
	in, err := c.inputs(root, job.Options.Shapes)
	if err != nil {
		return nil, err
	}
	out, err := c.run(root, in)
	if err != nil {
		return nil, err
	}
	c.output(outputName, out)
	if net.Model, err = c.b.Model(); err != nil {
		return nil, err
	}
	net.Bind, net.Mapped = c.declared(net.Model), c.b.Mapped()
	net.Notes = slices.Sorted(maps.Keys(c.notes))
	return net, nil
}

func (c *converter) output(name string, v value) {
	if !v.list {
		c.b.Output(name, v.name)
		return
	}
	for i, e := range v.table {
		c.output(fmt.Sprintf("%s%d", name, i+1), e)
	}
}

// shapeAdvice says how to give what the file does not tell.
func shapeAdvice(input string) string {
	return fmt.Sprintf("give the shape of its input: model.shapes in stoa.yaml, or --shape %s=-1,3,224,224 with stoa import and stoa init, where -1 is free", input)
}

// inputs makes the inputs, of the shapes that were given or that the modules
// which take them ask for.
func (c *converter) inputs(root module, shapes map[string][]int64) (value, error) {
	n := 1
	if root.kind() == "gModule" {
		n = int(max(1, min(root.int("nInputs", 1), 64)))
	}
	var vs []value
	for i := range n {
		name := inputName
		if n > 1 {
			name = fmt.Sprintf("%s%d", inputName, i+1)
		}
		w := want{}
		given, ok := shapes[name]
		if !ok && len(shapes) == 1 && n == 1 {
			for _, given = range shapes { // the one input there is, whatever its name
				ok = true
			}
		}
		if ok {
			w.shape = given
		}
		if asks := c.asks(root); n == 1 && (!ok || asks.dtype == tensor.Int64) {
			w.dtype = asks.dtype
			if !ok {
				w.shape = asks.shape
			}
		}
		if w.shape == nil {
			return value{}, stoa.Errorf(stoa.Invalid, "%s: files of Torch7 do not say what the network takes, and its modules do not either: %s", c.file, shapeAdvice(name))
		}
		vs = append(vs, one(c.input(name, w)))
	}
	if n == 1 {
		return vs[0], nil
	}
	return value{table: vs, list: true}, nil
}

// want is what a module asks of its input.
type want struct {
	dtype tensor.DType
	shape []int64
}

func (c *converter) input(name string, w want) string {
	free := []string{"N", "C", "H", "W"}
	if len(w.shape) != 4 {
		free = []string{"N"}
	}
	dims := make([]onnx.Dim, len(w.shape))
	for i, n := range w.shape {
		switch {
		case n >= 0:
			dims[i] = onnx.Fixed(n)
		case i < len(free):
			dims[i] = onnx.Named(free[i])
		default:
			dims[i] = onnx.Named(fmt.Sprintf("D%d", i))
		}
		if n < 0 && name != inputName && i > 0 {
			dims[i].Param = name + "_" + dims[i].Param
		}
	}
	if w.dtype == tensor.Undefined {
		w.dtype = tensor.Float32
	}
	return c.b.Input(name, w.dtype, dims...)
}

// asks finds the first module whose weights or kind say what it takes.
func (c *converter) asks(m module) want {
	return c.asksWithin(m, 0)
}

func (c *converter) asksWithin(m module, depth int) want {
	kids := m.children()
	if depth < 200 {
		for _, k := range kids {
			if w := c.asksWithin(k, depth+1); w.shape != nil {
				return w
			}
			if k.changesShape() {
				return want{}
			}
		}
	}
	w := m.array("weight")
	switch kind := m.kind(); {
	case strings.HasPrefix(kind, "SpatialConvolution"), kind == "SpatialDilatedConvolution", kind == "SpatialFullConvolution":
		n := m.int("nInputPlane", 0)
		if n == 0 && w != nil && len(w.size) == 4 {
			n = w.size[1]
		}
		return want{shape: []int64{-1, max(n, 1), -1, -1}}
	case kind == "Linear" && w != nil && len(w.size) == 2:
		return want{shape: []int64{-1, w.size[1]}}
	case kind == "LookupTable":
		return want{dtype: tensor.Int64, shape: []int64{-1, -1}}
	case kind == "TemporalConvolution":
		return want{shape: []int64{-1, -1, m.int("inputFrameSize", 1)}}
	case kind == "SpatialBatchNormalization", kind == "BatchNormalization":
		if mean := m.array("running_mean"); mean != nil && len(mean.size) == 1 {
			if kind == "BatchNormalization" {
				return want{shape: []int64{-1, mean.size[0]}}
			}
			return want{shape: []int64{-1, mean.size[0], -1, -1}}
		}
	case strings.HasPrefix(kind, "Spatial") && kind != "SpatialZeroPadding":
		return want{shape: []int64{-1, -1, -1, -1}}
	case len(kids) > 0 && kind == "Concat":
		if sizes := ints(m.fields.get("outputSize")); len(sizes) > 1 && len(sizes) <= 5 {
			free := slices.Repeat([]int64{-1}, len(sizes))
			return want{shape: free}
		}
	}
	return want{}
}

// changesShape tells whether what comes after a module says nothing of what goes
// into it.
func (m module) changesShape() bool {
	switch m.kind() {
	case "View", "Reshape", "Transpose", "Select", "Squeeze", "Unsqueeze", "SplitTable", "Mean", "Sum", "Max", "Min", "Narrow", "Padding", "Parallel":
		return true
	}
	return false
}

// declared finds the size of square pictures for which all items get as many
// elements as the modules behind them take. Several sizes may, since poolings
// round: then it is the one that can be halved most often, as people choose it.
func (c *converter) declared(m *onnx.Model) map[string]int64 {
	if len(c.needs) == 0 {
		return nil
	}
	first := c.needs[0]
	end := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, first.tensor) })
	if end < 0 {
		return nil
	}
	// Only what leads to the first of them: behind it no other size fits.
	upTo := *m
	upTo.Graph = &onnx.Graph{Nodes: m.Graph.Nodes[:end+1], Initializers: m.Graph.Initializers, Inputs: m.Graph.Inputs}
	at := func(s int64) int64 { // below 0: too small, 0: fits, above 0: too large
		shapes, err := onnx.Infer(&upTo, map[string]int64{"N": 1, "H": s, "W": s})
		if err != nil {
			return -1
		}
		_, shape := shapes.Of(first.tensor)
		have, known := itemSize(shape, 1)
		if !known || shape == nil {
			return -1
		}
		return have - first.n
	}
	const largest = 4096
	low, high := int64(1), int64(largest)
	for low < high {
		if mid := (low + high) / 2; at(mid) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	best := int64(0)
	for s := low; s <= largest && s < low+256 && at(s) == 0; s++ {
		if best == 0 || s&-s > best&-best {
			best = s
		}
	}
	if best == 0 {
		return nil
	}
	c.note("the modules fit pictures of %dx%d, which the file does not say in words", best, best)
	return map[string]int64{"H": best, "W": best}
}
