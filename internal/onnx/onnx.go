// Package onnx is the one form in which Stoa holds a network between reading it
// and running it: the model, graph, node, attribute and tensor of ONNX, read and
// written by hand so that weights are never copied. A model that was read views
// the memory it was read from, which must stay in place and unchanged as long as
// the model is used; writing streams those views out again.
//
// Reading untrusted bytes takes memory in proportion to their real length, and a
// bounded depth, whatever they claim. Unknown fields of the model and the graph
// are kept, so that reading and writing loses nothing that a runtime might want.
package onnx

import (
	"math"

	"github.com/stoa-project/stoa/internal/tensor"
)

// The versions that importers write.
const (
	IRVersion = 8
	Opset     = 17
)

// Model is a network and what it needs of a runtime.
type Model struct {
	IRVersion       int64
	Opsets          []OpsetID
	Producer        string
	ProducerVersion string
	Domain          string
	Version         int64
	Doc             string
	Graph           *Graph
	Metadata        []Property

	unknown []byte // training info, functions: kept as they are
}

// OpsetID says which version of a domain's operators a model is written in.
// The domain of ONNX itself is "".
type OpsetID struct {
	Domain  string
	Version int64
}

// Property is a key and its value.
type Property struct{ Key, Value string }

// Graph is a list of nodes in the order in which they can run, and the names of
// what goes in and out.
type Graph struct {
	Name         string
	Doc          string
	Nodes        []*Node
	Initializers []*Tensor
	Inputs       []*ValueInfo // Initializers may be listed too, as old files do; see TrueInputs
	Outputs      []*ValueInfo
	Values       []*ValueInfo // types of tensors within, where somebody knew them

	unknown []byte // quantization annotations, sparse initializers: kept as they are
}

// Node is one operation. An empty name among Inputs or Outputs is an optional
// one that is left out.
type Node struct {
	Name    string
	Op      string
	Domain  string
	Inputs  []string
	Outputs []string
	Attrs   []Attribute
	Doc     string

	unknown []byte
}

// AttrType says which member of an Attribute is set. Its number is ONNX's.
type AttrType int32

// The types of attributes that are read in full; others are kept as they are.
const (
	AttrFloat   AttrType = 1
	AttrInt     AttrType = 2
	AttrString  AttrType = 3
	AttrTensor  AttrType = 4
	AttrGraph   AttrType = 5
	AttrFloats  AttrType = 6
	AttrInts    AttrType = 7
	AttrStrings AttrType = 8
	AttrTensors AttrType = 9
	AttrGraphs  AttrType = 10
)

// Attribute is a setting of a node.
type Attribute struct {
	Name    string
	Type    AttrType
	F       float32
	I       int64
	S       []byte
	T       *Tensor
	G       *Graph
	Floats  []float32
	Ints    []int64
	Strings [][]byte
	Tensors []*Tensor
	Graphs  []*Graph

	unknown []byte
}

// Tensor is a named array. Its Data is a view of what it was read from. Arrays
// of strings are in Strings. The elements of a type that package tensor does not
// know (eight-bit floats and the like) are in Data as they lie in the file.
type Tensor struct {
	Name string
	tensor.Tensor
	Strings  [][]byte
	External *External // where Data is still to be read from; see Model.LoadExternal

	unknown []byte
}

// External says where the data of a tensor lies beside the model's file.
type External struct {
	Location string // relative to the folder of the model's file
	Offset   int64
	Length   int64 // -1: not given, as much as the tensor takes
}

// Dim is a dimension: a number, a name for a number that is known only when the
// network runs, or (Value -1 and no Param) nothing.
type Dim struct {
	Value int64
	Param string
}

// Known tells whether the dimension is a number.
func (d Dim) Known() bool { return d.Value >= 0 && d.Param == "" }

// Fixed makes a dimension that is a number.
func Fixed(n int64) Dim { return Dim{Value: n} }

// Named makes a dimension that has a name.
func Named(name string) Dim { return Dim{Value: -1, Param: name} }

// unknownDim is a dimension of which nothing is known.
func unknownDim() Dim { return Dim{Value: -1} }

// ValueInfo is a named tensor's type. A nil Shape is not known; a scalar's is
// empty but not nil.
type ValueInfo struct {
	Name  string
	DType tensor.DType
	Shape []Dim
	Doc   string

	other   []byte // the type where it is no tensor: a sequence, map or optional
	unknown []byte
}

// IsTensor tells whether the value is a tensor, and not a sequence, a map or an
// optional.
func (v *ValueInfo) IsTensor() bool { return v.other == nil }

// Spec gives the value with -1 for every dimension that is not a number.
func (v *ValueInfo) Spec() tensor.Spec {
	s := tensor.Spec{Name: v.Name, DType: v.DType, Shape: make([]int64, len(v.Shape))}
	for i, d := range v.Shape {
		s.Shape[i] = -1
		if d.Known() {
			s.Shape[i] = d.Value
		}
	}
	return s
}

// OpsetOf gives the version of a domain's operators; 0 where the model uses none.
func (m *Model) OpsetOf(domain string) int64 {
	for _, o := range m.Opsets {
		if plainDomain(o.Domain) == plainDomain(domain) {
			return o.Version
		}
	}
	return 0
}

// plainDomain gives "" for both spellings of ONNX's own domain.
func plainDomain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

// TrueInputs gives the inputs that must be fed: those that are no initializers.
func (g *Graph) TrueInputs() []*ValueInfo {
	init := make(map[string]bool, len(g.Initializers))
	for _, t := range g.Initializers {
		init[t.Name] = true
	}
	var out []*ValueInfo
	for _, v := range g.Inputs {
		if !init[v.Name] {
			out = append(out, v)
		}
	}
	return out
}

// Attr finds an attribute; nil where there is none.
func (n *Node) Attr(name string) *Attribute {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return &n.Attrs[i]
		}
	}
	return nil
}

// Int gives an integer attribute, or otherwise where there is none.
func (n *Node) Int(name string, otherwise int64) int64 {
	if a := n.Attr(name); a != nil && a.Type == AttrInt {
		return a.I
	}
	return otherwise
}

// Float gives a floating-point attribute, or otherwise where there is none.
func (n *Node) Float(name string, otherwise float32) float32 {
	if a := n.Attr(name); a != nil && a.Type == AttrFloat {
		return a.F
	}
	return otherwise
}

// Ints gives a list of integers; nil where there is none.
func (n *Node) Ints(name string) []int64 {
	if a := n.Attr(name); a != nil && a.Type == AttrInts {
		return a.Ints
	}
	return nil
}

// Str gives a string attribute, or "" where there is none.
func (n *Node) Str(name string) string {
	if a := n.Attr(name); a != nil && a.Type == AttrString {
		return string(a.S)
	}
	return ""
}

// Input gives the name of input i; "" where it is left out.
func (n *Node) Input(i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Set puts attributes into a node, in place of those of the same name, and
// gives the node.
func (n *Node) Set(attrs ...Attribute) *Node {
	for _, a := range attrs {
		if old := n.Attr(a.Name); old != nil {
			*old = a
		} else {
			n.Attrs = append(n.Attrs, a)
		}
	}
	return n
}

// AInt makes an integer attribute.
func AInt(name string, v int64) Attribute { return Attribute{Name: name, Type: AttrInt, I: v} }

// AInts makes an attribute that is a list of integers.
func AInts(name string, v ...int64) Attribute { return Attribute{Name: name, Type: AttrInts, Ints: v} }

// AFloat makes a floating-point attribute.
func AFloat(name string, v float32) Attribute { return Attribute{Name: name, Type: AttrFloat, F: v} }

// AStr makes a string attribute.
func AStr(name, v string) Attribute { return Attribute{Name: name, Type: AttrString, S: []byte(v)} }

// AFloats makes an attribute that is a list of floating-point numbers.
func AFloats(name string, v ...float32) Attribute {
	return Attribute{Name: name, Type: AttrFloats, Floats: v}
}

// AStrs makes an attribute that is a list of strings.
func AStrs(name string, v ...string) Attribute {
	a := Attribute{Name: name, Type: AttrStrings}
	for _, s := range v {
		a.Strings = append(a.Strings, []byte(s))
	}
	return a
}

// ATensor makes an attribute that is an array.
func ATensor(name string, t tensor.Tensor) Attribute {
	return Attribute{Name: name, Type: AttrTensor, T: NewTensor("", t)}
}

// AGraph makes an attribute that is a graph: the body of a loop or of a branch.
func AGraph(name string, g *Graph) Attribute { return Attribute{Name: name, Type: AttrGraph, G: g} }

// Describe names a node for a message: by its name where it has one, else by
// what it makes.
func (n *Node) Describe() string {
	switch {
	case n.Name != "":
		return "node " + quote(n.Name) + " (" + n.Op + ")"
	case len(n.Outputs) > 0:
		return n.Op + " node that makes " + quote(n.Outputs[0])
	}
	return n.Op + " node without a name"
}

func quote(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return `"` + s + `"`
}

// Floats gives the elements as 32-bit floats: a view where they are such, else a
// copy. It is nil for types that hold no numbers.
func (t *Tensor) Floats() []float32 {
	switch t.DType {
	case tensor.Float32:
		return tensor.As[float32](t.Tensor)
	case tensor.Float64:
		return converted[float64, float32](t.Tensor)
	case tensor.Float16:
		return halves(tensor.As[uint16](t.Tensor))
	default:
	}
	ints := t.Ints()
	if ints == nil {
		return nil
	}
	out := make([]float32, len(ints))
	for i, v := range ints {
		out[i] = float32(v)
	}
	return out
}

// Ints gives the elements of an integer or boolean tensor; nil for others.
func (t *Tensor) Ints() []int64 {
	switch t.DType {
	case tensor.Int64:
		return tensor.As[int64](t.Tensor)
	case tensor.Int32:
		return converted[int32, int64](t.Tensor)
	case tensor.Int16:
		return converted[int16, int64](t.Tensor)
	case tensor.Int8:
		return converted[int8, int64](t.Tensor)
	case tensor.Uint8, tensor.Bool:
		return converted[uint8, int64](t.Tensor)
	case tensor.Uint16:
		return converted[uint16, int64](t.Tensor)
	case tensor.Uint32:
		return converted[uint32, int64](t.Tensor)
	case tensor.Uint64:
		return converted[uint64, int64](t.Tensor)
	default:
		return nil
	}
}

func converted[From, To tensor.Number](t tensor.Tensor) []To {
	in := tensor.As[From](t)
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}

// halves widens IEEE half-precision numbers.
func halves(in []uint16) []float32 {
	out := make([]float32, len(in))
	for i, h := range in {
		sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
		switch exp {
		case 0:
			out[i] = float32(frac) / (1 << 24)
			if sign != 0 {
				out[i] = -out[i]
			}
		case 0x1f:
			out[i] = math.Float32frombits(sign | 0xff<<23 | frac<<13)
		default:
			out[i] = math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
		}
	}
	return out
}

// NewTensor names an array.
func NewTensor(name string, t tensor.Tensor) *Tensor { return &Tensor{Name: name, Tensor: t} }
