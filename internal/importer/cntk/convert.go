package cntk

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// A tensor of CNTK has static axes, and before them here as many dynamic ones as
// it depends on: the batch, then the sequence. The static axes are in C order,
// so that CNTK's axis 0 is the last.

// value is a tensor.
type value struct {
	name  string
	rank  int    // static axes
	batch bool   // it has a batch axis
	seq   string // the name of its sequence axis; "" where it has none
	index bool   // it holds whole numbers: places within a sequence
}

// converter makes a graph of a network.
type converter struct {
	net    *network
	table  map[int64]operator
	root   *build.Builder // the graph's
	b      *build.Builder // the graph's, or that of a loop's body
	values map[ref]value
	// batch: inputs have a batch axis. Where sequences are, they have one only if
	// whoever imports asks for it.
	batch  bool
	inLoop bool // one step of sequences is made: they have no sequence axis
	budget int64
	notes  map[string]bool
	shapes map[string][]int64 // what whoever imports says of inputs
	names  map[ref]string
	// reached are all functions that the outputs need, and takers what each takes.
	reached []*function
	takers  map[*function][]ref
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

func (c *converter) refuse(f *function, format string, args ...any) error {
	return stoa.Errorf(stoa.Unsupported, "%s: function %s (%s): %s", c.net.file, f.label(), opName(f), fmt.Sprintf(format, args...))
}

func (c *converter) invalid(f *function, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: function %s (%s): %s", c.net.file, f.label(), opName(f), fmt.Sprintf(format, args...))
}

// label is what messages call a function.
func (f *function) label() string {
	if f.name != "" {
		return f.name + " " + f.uid
	}
	return f.uid
}

// lead is how many axes stand before the static ones.
func (c *converter) lead(v value) int {
	n := 0
	if v.batch && c.batch {
		n++
	}
	if v.seq != "" && !c.inLoop {
		n++
	}
	return n
}

// seqAxis is where the sequence lies.
func (c *converter) seqAxis(v value) int { return c.lead(v) - 1 }

// shape gives all dimensions; those that are not known are nothing.
func (c *converter) shape(v value) []onnx.Dim {
	n := c.lead(v) + v.rank
	if s := c.b.Shape(v.name); len(s) == n {
		return s
	}
	return slices.Repeat([]onnx.Dim{{Value: -1}}, n)
}

// dims gives the static dimensions.
func (c *converter) dims(v value) []onnx.Dim { return c.shape(v)[c.lead(v):] }

// known gives the static dimensions where all are numbers.
func (c *converter) known(v value) ([]int64, bool) {
	dims := c.dims(v)
	out := make([]int64, len(dims))
	for i, d := range dims {
		if !d.Known() {
			return nil, false
		}
		out[i] = d.Value
	}
	return out, true
}

// get gives the tensor of what a function takes.
func (c *converter) get(r ref) (value, error) {
	if v, ok := c.values[r]; ok {
		return v, nil
	}
	if r.v == nil {
		return value{}, stoa.Errorf(stoa.Invalid, "%s: function %s has no output %d", c.net.file, r.f.label(), r.out)
	}
	v, err := c.variable(r.v)
	if err == nil {
		c.values[r] = v
	}
	return v, err
}

// variable makes an input or a constant of the graph.
func (c *converter) variable(v *variable) (value, error) {
	name := v.name
	if name == "" {
		name = v.uid
	}
	if v.kind == kindInput {
		return c.input(v)
	}
	if v.value == nil {
		return value{}, stoa.Errorf(stoa.Invalid, "%s: %s has no numbers: the file was saved without its weights", c.net.file, v.uid)
	}
	t, err := c.floats(v)
	if err != nil {
		return value{}, err
	}
	return value{name: c.b.Constant(name, t), rank: len(t.Shape)}, nil
}

// floats gives the numbers of a parameter or a constant.
func (c *converter) floats(v *variable) (tensor.Tensor, error) {
	if v.value == nil {
		return tensor.Tensor{}, stoa.Errorf(stoa.Invalid, "%s: %s has no numbers", c.net.file, v.uid)
	}
	t, err := v.value.floats()
	if err != nil {
		return t, stoa.Wrap(stoa.KindOf(err), err, "%s: %s: %s", c.net.file, v.uid, stoa.AsError(err).Msg)
	}
	if v.value.width != 4 {
		if c.budget -= int64(len(t.Data)); c.budget < 0 {
			return t, stoa.Errorf(stoa.TooLarge, "%s: the weights take more memory than their file", c.net.file)
		}
		c.note("numbers that are no 32-bit floats became such")
	}
	return t, nil
}

// dynamic tells which dynamic axes a variable has, and the sequence's name.
func dynamic(v *variable) (batch bool, seq string) {
	for _, a := range v.axes {
		if a.name == "defaultBatchAxis" || a.name == "__defaultBatchAxis" {
			batch = true
		} else {
			seq = a.name
		}
	}
	return batch, seq
}

// seqDim is what a sequence's length is called.
func seqDim(seq string) string {
	if seq == "defaultDynamicAxis" || seq == "__defaultDynamicAxis" || seq == "UnknownAxes" || seq == "" {
		return "sequence"
	}
	return "sequence_" + seq
}

func (c *converter) input(v *variable) (value, error) {
	name := v.name
	if name == "" {
		name = v.uid
	}
	for r, other := range c.values {
		if r.v != nil && r.v != v && r.v.kind == kindInput && other.name == name {
			name = v.uid
		}
	}
	out := value{rank: len(v.shape)}
	out.batch, out.seq = dynamic(v)
	if len(v.axes) == 0 && v.shape == nil {
		return out, stoa.Errorf(stoa.Invalid, "%s: nothing tells the shape of input %s", c.net.file, name)
	}
	var dims []onnx.Dim
	if out.batch && c.batch {
		dims = append(dims, onnx.Named("batch"))
	}
	if out.seq != "" {
		dims = append(dims, onnx.Named(seqDim(out.seq)))
	}
	for i, n := range v.shape.cOrder() {
		d := onnx.Fixed(n)
		if n < 0 {
			d = onnx.Named(fmt.Sprintf("%s_%d", name, i))
		}
		dims = append(dims, d)
	}
	if given, ok := c.shapes[name]; ok {
		if len(given) != len(dims) {
			return out, stoa.Errorf(stoa.Invalid, "%s: input %s has %d dimensions, %s, and the shape given has %d", c.net.file, name, len(dims), onnx.DimString(dims), len(given))
		}
		for i, n := range given {
			switch {
			case n < 0:
			case dims[i].Known() && dims[i].Value != n:
				return out, stoa.Errorf(stoa.Invalid, "%s: input %s is %s, and the shape given is %s", c.net.file, name, onnx.DimString(dims), tensor.ShapeString(given))
			default:
				dims[i] = onnx.Fixed(n)
			}
		}
	}
	if v.sparse {
		c.note("input %q is sparse in CNTK and takes all its numbers here", name)
	}
	if v.double {
		c.note("input %q holds 64-bit floats in CNTK and 32-bit ones here", name)
	}
	out.name = c.b.Input(name, tensor.Float32, dims...)
	return out, c.b.Err()
}

// convert makes the nodes of a function whose inputs are there.
func (c *converter) convert(f *function) error {
	op, ok := c.table[f.op]
	if f.op == opBlock {
		op, ok = blocks()[f.block], true
	}
	if !ok || op.make == nil {
		return c.refuse(f, "it is not supported")
	}
	needs, err := c.net.needs(f)
	if err != nil {
		return err
	}
	in := make([]value, len(needs))
	for i, r := range needs {
		if in[i], err = c.get(r); err != nil {
			return err
		}
		if in[i].index && f.op != opPackedIndex && f.op != opGatherPacked && f.op != opScatterPacked {
			return c.refuse(f, "it computes with places within a sequence, which only Sequence::Gather and its like can here")
		}
	}
	if len(in) < op.least {
		return c.invalid(f, "it has %d inputs and takes %d", len(in), op.least)
	}
	if v, ok := c.constant(f, in); ok {
		c.values[ref{f: f}] = v
		return nil
	}
	before := c.b.From(opName(f))
	out, err := op.make(c, f, in)
	c.b.From(before)
	if err == nil {
		err = c.b.Err()
	}
	if err != nil {
		return c.wrap(f, err)
	}
	for k, v := range out {
		c.values[ref{f: f, out: k}] = v
	}
	return nil
}

// constant computes a function of constants of one number each, such as those of
// a stabiliser.
func (c *converter) constant(f *function, in []value) (value, bool) {
	var out value
	for _, v := range in {
		dims, ok := c.known(v)
		if n, err := tensor.Elements(dims); !ok || err != nil || n != 1 || c.root.Initializer(v.name) == nil {
			return out, false
		}
		out.rank = max(out.rank, v.rank)
	}
	n, ok := (&matcher{c: c}).number(ref{f: f}, 0)
	if !ok {
		return out, false
	}
	t := tensor.Of([]float32{float32(n)}, slices.Repeat([]int64{1}, out.rank)...)
	return out.like(c.b.Constant(c.nodeName(f), t)), true
}

// wrap says which function an error is about.
func (c *converter) wrap(f *function, err error) error {
	e := stoa.AsError(err)
	if len(e.Msg) > len(c.net.file) && e.Msg[:len(c.net.file)] == c.net.file {
		return err
	}
	return stoa.Wrap(stoa.KindOf(err), err, "%s: function %s (%s): %s", c.net.file, f.label(), opName(f), e.Msg)
}

// nodeName is what the nodes of a function are called.
func (c *converter) nodeName(f *function) string {
	if c.inLoop { // names of a body must not be those that the network's outputs are to have
		return f.uid
	}
	if n, ok := c.names[ref{f: f}]; ok {
		return n
	}
	if f.name != "" {
		return f.name
	}
	return f.uid
}

func (c *converter) op(f *function, op string, inputs []string, attrs ...onnx.Attribute) string {
	return c.b.Op(c.nodeName(f), op, inputs, attrs...)
}

// reshaped gives a tensor another shape: a constant at once, and without a copy.
func (c *converter) reshaped(f *function, name string, shape ...int64) string {
	t := c.root.Initializer(name)
	if t == nil {
		return c.op(f, "Reshape", []string{name, c.b.Ints(shape...)})
	}
	n, err := tensor.Elements(t.Shape)
	rest := int64(1)
	for _, d := range shape {
		if d > 0 {
			rest *= d
		}
	}
	shape = slices.Clone(shape)
	if i := slices.Index(shape, -1); i >= 0 && rest > 0 {
		shape[i] = n / rest
	}
	if m, e := tensor.Elements(shape); err != nil || e != nil || m != n {
		return c.op(f, "Reshape", []string{name, c.b.Ints(shape...)})
	}
	return c.root.Constant(name, tensor.Tensor{DType: t.DType, Shape: shape, Data: t.Data})
}

// like is a tensor of the same axes as another.
func (v value) like(name string) value { v.name, v.index = name, false; return v }

// unsqueeze puts n axes of one element at a place.
func (c *converter) unsqueeze(name string, at, n int) string {
	if n <= 0 {
		return name
	}
	axes := make([]int64, n)
	for i := range axes {
		axes[i] = int64(at + i)
	}
	return c.b.Op(name+"/unsqueeze", "Unsqueeze", []string{name, c.b.Ints(axes...)})
}

// align makes tensors fit for an operator that works element by element. It
// gives their names, and a value that has the axes of the result and no name.
func (c *converter) align(in ...value) ([]string, value, error) {
	var out value
	for _, v := range in {
		out.rank = max(out.rank, v.rank)
		out.batch = out.batch || v.batch
		if v.seq != "" && out.seq != "" && v.seq != out.seq && !c.sameLength(v.seq, out.seq) {
			return nil, out, stoa.Errorf(stoa.Unsupported, "it joins sequences along %q and %q, which may differ in length", out.seq, v.seq)
		}
		if out.seq == "" {
			out.seq = v.seq
		}
	}
	names := make([]string, len(in))
	for i, v := range in {
		names[i] = c.spread(v, out)
	}
	return names, out, nil
}

// sameLength tells whether two sequence axes are one: CNTK gives what a block
// makes along the sequence a new name in places.
func (c *converter) sameLength(a, b string) bool { return seqDim(a) == seqDim(b) }

// spread gives a tensor that broadcasts to the axes of another.
func (c *converter) spread(v, to value) string {
	name := v.name
	if lead := c.lead(v); lead > 0 {
		name = c.unsqueeze(name, lead, to.rank-v.rank)
		if v.batch && c.batch && v.seq == "" && to.seq != "" && !c.inLoop {
			name = c.unsqueeze(name, 1, 1)
		}
	}
	return name
}

// size gives the length of an axis as a list of one element.
func (c *converter) size(name string, axis int) string {
	shape := c.b.Op(name+"/shape", "Shape", []string{name})
	return c.b.Op(name+"/size", "Slice", []string{shape, c.b.Ints(int64(axis)), c.b.Ints(int64(axis) + 1)})
}

func (c *converter) concat(parts ...string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return c.b.Op("shape", "Concat", parts, onnx.AInt("axis", 0))
}

// leadSizes gives the lengths of the dynamic axes as a list; "" where there are
// none.
func (c *converter) leadSizes(v value) string {
	lead := c.lead(v)
	if lead == 0 {
		return ""
	}
	shape := c.b.Op(v.name+"/shape", "Shape", []string{v.name})
	return c.b.Op(v.name+"/lead", "Slice", []string{shape, c.b.Ints(0), c.b.Ints(int64(lead))})
}

// flat makes f, which takes one batch axis before the static ones, work on a
// tensor of any dynamic axes.
func (c *converter) flat(v value, f func(name string) (string, error)) (string, error) {
	switch c.lead(v) {
	case 1:
		return f(v.name)
	case 0:
		y, err := f(c.unsqueeze(v.name, 0, 1))
		if err != nil {
			return "", err
		}
		return c.b.Op(v.name+"/squeeze", "Squeeze", []string{y, c.b.Ints(0)}), nil
	}
	lead := c.leadSizes(v)
	shape := c.b.Op(v.name+"/shape", "Shape", []string{v.name})
	rest := c.b.Op(v.name+"/static", "Slice", []string{shape, c.b.Ints(2), c.b.Ints(int64(2 + v.rank))})
	static, ok := c.known(v)
	if ok {
		rest = c.b.Ints(static...)
	}
	x := c.b.Op(v.name+"/flat", "Reshape", []string{v.name, c.concat(c.b.Ints(-1), rest)})
	y, err := f(x)
	if err != nil {
		return "", err
	}
	yShape := c.b.Shape(y)
	if slices.ContainsFunc(yShape[min(1, len(yShape)):], func(d onnx.Dim) bool { return !d.Known() }) || len(yShape) == 0 {
		shape := c.b.Op(y+"/shape", "Shape", []string{y})
		rest = c.b.Op(y+"/static", "Slice", []string{shape, c.b.Ints(1), c.b.Ints(1 << 31)})
	} else {
		var sizes []int64
		for _, d := range yShape[1:] {
			sizes = append(sizes, d.Value)
		}
		rest = c.b.Ints(sizes...)
	}
	return c.b.Op(v.name+"/unflat", "Reshape", []string{y, c.concat(lead, rest)}), nil
}

// axisOf gives the place of a static axis among the static ones, in C order.
func (c *converter) axisOf(f *function, a axis, rank int) (int, error) {
	i := a.index
	if i < 0 {
		i += int64(rank)
	}
	if a.index >= axisAll || i < 0 || i >= int64(rank) {
		return 0, c.invalid(f, "axis %d %s is none of its %d", a.index, a.name, rank)
	}
	return rank - 1 - int(i), nil
}
