// Package build makes an ONNX graph node by node for those who read networks of
// other frameworks. It gives every tensor and node a name of its own and keeps
// the source's where it is free, shares constants of the same bytes, and infers
// shapes as nodes come, so that an importer may ask for the shape of what it has
// just made. The first error sticks: it comes back from Model, and whoever needs
// it earlier asks Err.
package build

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Builder is a graph in the making.
type Builder struct {
	graph   *onnx.Graph
	names   *names
	shapes  *onnx.Shapes
	made    map[string]*onnx.Node // by tensor
	outputs []output

	constants map[string]*onnx.Tensor
	shared    map[string]string // constants by content or place
	mapped    map[string]map[string]bool
	from      string
	err       error
}

type output struct{ name, tensor string }

// names are those taken; a graph and those within it have them in common, for a
// body sees the tensors around it.
type names struct {
	tensors, nodes map[string]bool
	reserved       map[string]bool
	next           map[string]int // by name, the number to try next
}

// New begins a graph.
func New(name string) *Builder {
	if name == "" {
		name = "net"
	}
	return &Builder{
		graph: &onnx.Graph{Name: name}, shapes: onnx.NewShapes(), made: map[string]*onnx.Node{},
		constants: map[string]*onnx.Tensor{}, shared: map[string]string{}, mapped: map[string]map[string]bool{},
		names: &names{tensors: map[string]bool{"": true}, nodes: map[string]bool{"": true}, reserved: map[string]bool{}, next: map[string]int{}},
	}
}

// Sub begins a graph within this one: a loop's body or a branch. It may read the
// tensors of this one. Its Body goes into an attribute of a node here.
func (b *Builder) Sub(name string) *Builder {
	s := New(name)
	s.names, s.shapes, s.mapped, s.from = b.names, b.shapes, b.mapped, b.from
	return s
}

// From says which type of layer or operator of the source the nodes that follow
// are made of, and gives what it was before, for one layer within another.
func (b *Builder) From(kind string) (before string) {
	before, b.from = b.from, kind
	if b.mapped[kind] == nil {
		b.mapped[kind] = map[string]bool{}
	}
	return before
}

// Mapped gives, for each type that From named, the operators that were made of
// it; none where it was dropped.
func (b *Builder) Mapped() map[string][]string {
	out := map[string][]string{}
	for kind, ops := range b.mapped {
		if kind != "" {
			out[kind] = slices.Sorted(maps.Keys(ops))
		}
	}
	return out
}

// Reserve keeps names, such as those of all nodes of the source, from being
// given to tensors that only the conversion needs. Op and Add still give them to
// whoever asks first by exactly that name.
func (b *Builder) Reserve(names ...string) {
	for _, n := range names {
		b.names.reserved[n] = true
	}
}

// Err gives the first error.
func (b *Builder) Err() error { return b.err }

// Fail makes an error the builder's, unless it has one.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Input adds an input. A name that is taken, or a dimension of no size, is an
// error. It gives the name.
func (b *Builder) Input(name string, t tensor.DType, shape ...onnx.Dim) string {
	if b.names.tensors[name] {
		b.Fail(stoa.Errorf(stoa.Invalid, "two inputs of the network are called %q", name))
	}
	b.names.tensors[name] = true
	v := &onnx.ValueInfo{Name: name, DType: t, Shape: slices.Clone(shape)}
	if v.Shape == nil {
		v.Shape = []onnx.Dim{}
	}
	b.graph.Inputs = append(b.graph.Inputs, v)
	b.shapes.Value(name, t, v.Shape)
	return name
}

// Op adds a node of one output and gives the output's name: the node's, where it
// is free.
func (b *Builder) Op(name, op string, inputs []string, attrs ...onnx.Attribute) string {
	return b.Add(&onnx.Node{Name: name, Op: op, Inputs: inputs, Outputs: []string{name}, Attrs: attrs})[0]
}

// Add adds a node and gives the names of its outputs. Its name and those of its
// outputs are wishes; an output wished "" is left out.
func (b *Builder) Add(n *onnx.Node) []string {
	for _, in := range n.Inputs {
		if !b.names.tensors[in] {
			b.Fail(stoa.Errorf(stoa.Internal, "%s takes %q, which nothing makes", n.Describe(), in))
		}
	}
	if n.Name == "" {
		n.Name = n.Op
	}
	n.Name = b.names.free(n.Name, b.names.nodes)
	for i, o := range n.Outputs {
		if o != "" {
			n.Outputs[i] = b.names.free(o, b.names.tensors)
			b.made[n.Outputs[i]] = n
		}
	}
	b.graph.Nodes = append(b.graph.Nodes, n)
	if b.from != "" {
		b.mapped[b.from][n.Op] = true
	}
	if b.err == nil {
		b.Fail(b.shapes.Node(n, onnx.Opset))
	}
	return n.Outputs
}

func (n *names) free(base string, taken map[string]bool) string {
	name := base
	for taken[name] || name != base && n.reserved[name] {
		n.next[base]++
		name = base + "_" + strconv.Itoa(n.next[base])
	}
	taken[name] = true
	return name
}

// small bounds the bytes of constants that are shared by content; larger ones
// are shared where they are one place in memory.
const small = 1 << 10

// Constant adds an initializer, whose bytes are not copied, and gives its name.
// One of the same type, shape and bytes is shared.
func (b *Builder) Constant(name string, t tensor.Tensor) string {
	key := fmt.Sprint(t.DType, t.Shape, len(t.Data))
	if len(t.Data) <= small {
		key += string(t.Data)
	} else {
		key += fmt.Sprintf("@%p", unsafe.SliceData(t.Data))
	}
	if old, ok := b.shared[key]; ok {
		return old
	}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	if name == "" {
		name = "const"
	}
	name = b.names.free(name, b.names.tensors)
	w := onnx.NewTensor(name, t)
	if err := t.Check(); err != nil {
		b.Fail(stoa.Wrap(stoa.Invalid, err, "constant %q: %s", name, stoa.AsError(err).Msg))
	}
	b.graph.Initializers = append(b.graph.Initializers, w)
	b.shapes.Constant(w)
	b.shared[key], b.constants[name] = name, w
	return name
}

// Ints adds a list of 64-bit integers.
func (b *Builder) Ints(vs ...int64) string {
	return b.Constant("ints", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// Int adds a 64-bit integer as a scalar.
func (b *Builder) Int(v int64) string { return b.Constant("int", tensor.Of([]int64{v}, []int64{}...)) }

// Floats adds a list of 32-bit floats.
func (b *Builder) Floats(vs ...float32) string {
	return b.Constant("floats", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// Float adds a 32-bit float as a scalar.
func (b *Builder) Float(v float64) string { return b.Number(tensor.Float32, v) }

// Number adds a scalar of any type that has numbers, such as the type of the
// tensor that it is to be added to.
func (b *Builder) Number(t tensor.DType, v float64) string {
	var data []byte
	switch le := binary.LittleEndian; t {
	case tensor.Float64:
		data = le.AppendUint64(nil, math.Float64bits(v))
	case tensor.Float16:
		data = le.AppendUint16(nil, tensor.ToFloat16(float32(v)))
	case tensor.Int64, tensor.Uint64:
		data = le.AppendUint64(nil, uint64(int64(v)))
	case tensor.Int32, tensor.Uint32:
		data = le.AppendUint32(nil, uint32(int64(v)))
	case tensor.Int16, tensor.Uint16:
		data = le.AppendUint16(nil, uint16(int64(v)))
	case tensor.Int8, tensor.Uint8, tensor.Bool:
		data = []byte{byte(int64(v))}
	default:
		t, data = tensor.Float32, le.AppendUint32(nil, math.Float32bits(float32(v)))
	}
	return b.Constant("number", tensor.Tensor{DType: t, Shape: []int64{}, Data: data})
}

// Initializer gives a constant; nil where the name is none.
func (b *Builder) Initializer(name string) *onnx.Tensor {
	return b.constants[name]
}

// Shape gives the shape of a tensor; nil where it is not known.
func (b *Builder) Shape(name string) []onnx.Dim {
	_, shape := b.shapes.Of(name)
	return shape
}

// DType gives the type of a tensor; tensor.Undefined where it is not known.
func (b *Builder) DType(name string) tensor.DType {
	t, _ := b.shapes.Of(name)
	return t
}

// Declare says what the source knows of a tensor and the inference did not find.
func (b *Builder) Declare(name string, t tensor.DType, shape []onnx.Dim) {
	had, known := b.shapes.Of(name)
	if had == tensor.Undefined {
		had = t
	}
	if known == nil {
		known = shape
	}
	b.shapes.Value(name, had, known)
}

// Known gives the elements of a small array of whole numbers that follows from
// constants and from the sizes of inputs.
func (b *Builder) Known(name string) ([]int64, bool) { return b.shapes.Ints(name) }

// Dims is Known for arrays some of whose elements are named dimensions.
func (b *Builder) Dims(name string) ([]onnx.Dim, bool) { return b.shapes.Dims(name) }

// Output makes a tensor an output of the graph, under the given name. One tensor
// may be several outputs.
func (b *Builder) Output(name, tensor string) {
	if !b.names.tensors[tensor] {
		b.Fail(stoa.Errorf(stoa.Internal, "output %q is %q, which nothing makes", name, tensor))
	}
	for _, o := range b.outputs {
		if o.name == name {
			b.Fail(stoa.Errorf(stoa.Invalid, "two outputs of the network are called %q", name))
		}
	}
	b.outputs = append(b.outputs, output{name, tensor})
}

// Body finishes the graph.
func (b *Builder) Body() (*onnx.Graph, error) {
	if b.err != nil {
		return nil, b.err
	}
	if len(b.outputs) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "the network has no output")
	}
	b.nameOutputs()
	for _, o := range b.outputs {
		t, shape := b.shapes.Of(o.tensor)
		if t == tensor.Undefined {
			t = tensor.Float32
		}
		b.graph.Outputs = append(b.graph.Outputs, &onnx.ValueInfo{Name: o.name, DType: t, Shape: shape})
	}
	b.outputs = nil
	b.graph.Prune()
	return b.graph, nil
}

// nameOutputs gives the tensors that are outputs the names that they are to have
// outside: whoever has such a name already takes another, and an input, a
// constant, or a tensor that is an output under another name is copied.
func (b *Builder) nameOutputs() {
	rename := map[string]string{}
	isOutput := map[string]bool{}
	for _, o := range b.outputs {
		isOutput[o.name] = true
	}
	var copies []*onnx.Node
	for _, o := range b.outputs {
		_, renamed := rename[o.tensor]
		switch {
		case b.made[o.tensor] == nil && o.name == o.tensor: // an input that is an output
		case b.made[o.tensor] == nil || renamed:
			copies = append(copies, &onnx.Node{Name: b.names.free(o.name, b.names.nodes), Op: "Identity", Inputs: []string{o.tensor}, Outputs: []string{o.name}})
		default:
			rename[o.tensor] = o.name
		}
	}
	for name := range isOutput {
		if _, moved := rename[name]; !moved && b.names.tensors[name] && !b.isInput(name) {
			rename[name] = b.names.free(name+"_inner", b.names.tensors)
		}
	}
	b.graph.Nodes = append(b.graph.Nodes, copies...)
	for _, t := range b.graph.Initializers {
		if to, ok := rename[t.Name]; ok {
			t.Name = to
		}
	}
	for _, n := range b.graph.Nodes {
		isCopy := slices.Contains(copies, n)
		renameIn(n.Inputs, rename)
		if !isCopy {
			renameIn(n.Outputs, rename)
		}
		for i := range n.Attrs {
			renameBody(n.Attrs[i].G, rename)
			for _, g := range n.Attrs[i].Graphs {
				renameBody(g, rename)
			}
		}
	}
}

func renameIn(names []string, rename map[string]string) {
	for i, name := range names {
		if to, ok := rename[name]; ok {
			names[i] = to
		}
	}
}

// renameBody renames tensors in a graph within, those it reads of the graphs
// around it and its own. The names of all graphs of a builder differ, so that
// nothing else is hit.
func renameBody(g *onnx.Graph, rename map[string]string) {
	if g == nil {
		return
	}
	for _, vs := range [][]*onnx.ValueInfo{g.Inputs, g.Outputs} {
		for _, v := range vs {
			if to, ok := rename[v.Name]; ok {
				v.Name = to
			}
		}
	}
	for _, t := range g.Initializers {
		if to, ok := rename[t.Name]; ok {
			t.Name = to
		}
	}
	for _, n := range g.Nodes {
		renameIn(n.Inputs, rename)
		renameIn(n.Outputs, rename)
		for i := range n.Attrs {
			renameBody(n.Attrs[i].G, rename)
		}
	}
}

func (b *Builder) isInput(name string) bool {
	return slices.ContainsFunc(b.graph.Inputs, func(v *onnx.ValueInfo) bool { return v.Name == name })
}

// Model finishes the graph and gives it as a model. Inputs that no node reads
// stay, for callers give them.
func (b *Builder) Model() (*onnx.Model, error) {
	g, err := b.Body()
	if err != nil {
		return nil, err
	}
	return &onnx.Model{
		IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}},
		Producer: "stoa", Graph: g,
	}, nil
}
