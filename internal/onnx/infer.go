package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Shapes holds the types that Infer found.
type Shapes struct{ known map[string]info }

// info is what is known of one tensor.
type info struct {
	dtype tensor.DType
	shape []Dim  // nil: not known
	value []elem // of a small array of integers, where it is known

	scales []float32 // of a constant that may be those of a Resize
}

// elem is an element of a known array: a number, the name of one that is known
// only when the network runs, or neither.
type elem struct {
	n     int64
	fixed bool
	param string
}

// maxValue bounds the arrays whose elements are followed: shapes, axes, sizes.
const maxValue = 64

// Of gives the type and shape of a tensor. A nil shape is not known.
func (s *Shapes) Of(name string) (tensor.DType, []Dim) {
	i := s.known[name]
	return i.dtype, i.shape
}

// Infer finds the shapes of all tensors of the model's main graph, as far as
// they follow from its inputs. bind gives numbers for named dimensions; the
// others stay names. An operator that is not known has outputs of unknown
// shape; one whose inputs cannot fit is an error that names the node.
func Infer(m *Model, bind map[string]int64) (*Shapes, error) {
	s := &Shapes{known: make(map[string]info, 2*len(m.Graph.Nodes))}
	for _, v := range m.Graph.Inputs {
		if v.IsTensor() {
			s.known[v.Name] = info{dtype: v.DType, shape: bound(v.Shape, bind)}
		}
	}
	for _, t := range m.Graph.Initializers {
		s.Constant(t)
	}
	opset := m.OpsetOf("")
	for _, n := range m.Graph.Nodes {
		if err := s.Node(n, opset); err != nil {
			return nil, err
		}
	}
	s.declared(m.Graph, bind)
	return s, nil
}

// NewShapes begins an inference for one who makes a graph node by node.
func NewShapes() *Shapes { return &Shapes{known: map[string]info{}} }

// Value takes the type and shape of a tensor from elsewhere: an input, or what
// a source says of one that the inference does not find.
func (s *Shapes) Value(name string, t tensor.DType, shape []Dim) {
	s.known[name] = info{dtype: t, shape: shape}
}

// Constant takes an initializer.
func (s *Shapes) Constant(t *Tensor) { s.known[t.Name] = constInfo(t) }

// Node infers the outputs of a node whose inputs were all inferred before.
func (s *Shapes) Node(n *Node, opset int64) error {
	x := &inference{node: n, opset: opset, in: make([]info, len(n.Inputs)), out: make([]info, len(n.Outputs))}
	for i, name := range n.Inputs {
		x.in[i] = s.known[name]
	}
	if plainDomain(n.Domain) == "" {
		if f := inferrers[n.Op]; f != nil {
			if err := f(x); err != nil {
				return stoa.Wrap(stoa.Invalid, err, "onnx: %s: %s", n.Describe(), stoa.AsError(err).Msg)
			}
		}
	}
	for i, name := range n.Outputs {
		if name != "" && i < len(x.out) {
			s.known[name] = x.out[i]
		}
	}
	return nil
}

// Dims gives the elements of a small array of whole numbers as dimensions: a
// number where it follows from the model, a name where it is a named dimension
// of an input, else nothing known. It is false where not even their count is
// known.
func (s *Shapes) Dims(name string) ([]Dim, bool) {
	v := s.known[name].value
	if v == nil {
		return nil, false
	}
	out := make([]Dim, len(v))
	for i, e := range v {
		switch {
		case e.fixed:
			out[i] = Fixed(e.n)
		case e.param != "":
			out[i] = Named(e.param)
		default:
			out[i] = unknownDim()
		}
	}
	return out, true
}

// declared takes what the file says of tensors of which nothing was found.
func (s *Shapes) declared(g *Graph, bind map[string]int64) {
	for _, vs := range [][]*ValueInfo{g.Values, g.Outputs} {
		for _, v := range vs {
			i := s.known[v.Name]
			if !v.IsTensor() {
				continue
			}
			if i.dtype == tensor.Undefined {
				i.dtype = v.DType
			}
			if i.shape == nil {
				i.shape = bound(v.Shape, bind)
			}
			s.known[v.Name] = i
		}
	}
}

func bound(shape []Dim, bind map[string]int64) []Dim {
	out := slices.Clone(shape)
	for i, d := range out {
		if n, ok := bind[d.Param]; ok && d.Param != "" {
			out[i] = Fixed(n)
		}
	}
	return out
}

func constInfo(t *Tensor) info {
	i := info{dtype: t.DType, shape: make([]Dim, len(t.Shape))}
	n := int64(1)
	for k, d := range t.Shape {
		i.shape[k] = Fixed(d)
		n *= d
	}
	if len(t.Shape) <= 1 && n <= maxValue && t.External == nil && (t.DType == tensor.Int64 || t.DType == tensor.Int32) {
		i.value = make([]elem, 0, n)
		for _, v := range t.Ints() {
			i.value = append(i.value, elem{n: v, fixed: true})
		}
	}
	if len(t.Shape) == 1 && n <= maxScales && t.External == nil && t.DType == tensor.Float32 && int64(len(t.Data)) == 4*n {
		i.scales = tensor.As[float32](t.Tensor)
	}
	return i
}

// maxScales bounds the axes of a Resize.
const maxScales = 8

// inference is one node, what is known of its inputs, and what was found of its
// outputs.
type inference struct {
	node  *Node
	opset int64
	in    []info
	out   []info
}

func (x *inference) input(i int) info {
	if i < len(x.in) {
		return x.in[i]
	}
	return info{}
}

func (x *inference) set(i int, t tensor.DType, shape []Dim) {
	if i < len(x.out) {
		x.out[i].dtype, x.out[i].shape = t, shape
	}
}

// ints gives a list that newer versions of an operator take as an input and
// older ones as an attribute; ok tells whether it is known or left out.
func (x *inference) ints(at int, attr string) (vs []int64, ok bool) {
	if a := x.node.Ints(attr); a != nil {
		return a, true
	}
	if x.node.Input(at) == "" {
		return nil, true
	}
	v := x.input(at).value
	if v == nil {
		return nil, false
	}
	for _, e := range v {
		if !e.fixed {
			return nil, false
		}
		vs = append(vs, e.n)
	}
	return vs, true
}

func mismatch(format string, args ...any) error { return stoa.Errorf(stoa.Invalid, format, args...) }

// axis counts from the end where it is negative; -1 is out of range.
func axis(a int64, rank int) int {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return -1
	}
	return int(a)
}

// same tells whether two dimensions are surely the same.
func (d Dim) same(e Dim) bool {
	return d.Known() && e.Known() && d.Value == e.Value || d.Param != "" && d.Param == e.Param
}

// mul multiplies dimensions. The product of one named dimension and ones is
// that name.
func mul(ds ...Dim) Dim {
	out := Fixed(1)
	for _, d := range ds {
		switch {
		case d.Known() && d.Value == 0:
			return Fixed(0)
		case out.Known() && out.Value == 1:
			out = d
		case d.Known() && d.Value == 1:
		case d.Known() && out.Known() && d.Value <= maxDim/max(out.Value, 1):
			out.Value *= d.Value
		default:
			out = unknownDim()
		}
	}
	return out
}

// maxDim keeps computed dimensions far from overflow; no array is that large.
const maxDim = 1 << 48

// affine gives (d*a + b)/c rounded down, plus e, for a known dimension.
func affine(d Dim, f func(int64) int64) Dim {
	if !d.Known() || d.Value > maxDim {
		return unknownDim()
	}
	n := f(d.Value)
	if n < 0 || n > maxDim {
		return unknownDim()
	}
	return Fixed(n)
}

// broadcast gives the shape of an elementwise operation.
func broadcast(a, b []Dim) ([]Dim, error) {
	if a == nil || b == nil {
		return nil, nil
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i := range b {
		p, q := a[len(a)-len(b)+i], b[i]
		at := len(a) - len(b) + i
		switch {
		case p.same(q), q.Known() && q.Value == 1:
			out[at] = p
		case p.Known() && p.Value == 1:
			out[at] = q
		case p.Known() && q.Known():
			return nil, mismatch("shapes %s and %s do not fit together", DimString(a), DimString(b))
		case p.Known():
			out[at] = p
		case q.Known():
			out[at] = q
		default:
			out[at] = unknownDim()
		}
	}
	return out, nil
}

// DimString writes a shape as in "Nx3x224x224", with ? for what is not known.
func DimString(shape []Dim) string {
	if shape == nil {
		return "?"
	}
	if len(shape) == 0 {
		return "scalar"
	}
	var s strings.Builder
	for i, d := range shape {
		if i > 0 {
			s.WriteString("x")
		}
		switch {
		case d.Known():
			fmt.Fprint(&s, d.Value)
		case d.Param != "":
			s.WriteString(d.Param)
		default:
			s.WriteString("?")
		}
	}
	return s.String()
}

func unknownShape(rank int) []Dim {
	out := make([]Dim, rank)
	for i := range out {
		out[i] = unknownDim()
	}
	return out
}

// Ints gives the elements of a small array of whole numbers, where all of them
// follow from the model: shapes, axes and what is computed of them.
func (s *Shapes) Ints(name string) ([]int64, bool) {
	v := s.known[name].value
	if v == nil {
		return nil, false
	}
	out := make([]int64, len(v))
	for i, e := range v {
		if !e.fixed {
			return nil, false
		}
		out[i] = e.n
	}
	return out, true
}
