package layout

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// resize moves a Resize whose scales or sizes are constants.
func resize(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	// The runtime enlarges by cubic curves in channels-first form only.
	if !ok || n.Attr("axes") != nil || p.opset < 11 || n.Str("mode") == "cubic" {
		return false
	}
	for _, i := range []int{1, 2, 3} {
		if name := n.Input(i); name != "" && (p.constants[name] == nil || !p.perAxis(name, len(v.perm))) && !p.empty(name) {
			return false
		}
	}
	to := inverse(v.perm)
	n.Inputs[0] = v.of
	for i := range n.Inputs {
		if i == 0 || n.Inputs[i] == "" || p.empty(n.Inputs[i]) {
			continue
		}
		n.Inputs[i] = p.list(n.Inputs[i], to)
	}
	return p.put(n, v.perm)
}

// tile moves a Tile whose counts are constants.
func tile(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	if !ok || p.constants[n.Input(1)] == nil || !p.perAxis(n.Input(1), len(v.perm)) {
		return false
	}
	n.Inputs = []string{v.of, p.list(n.Input(1), inverse(v.perm))}
	return p.put(n, v.perm)
}

func (p *pass) empty(name string) bool {
	c := p.constants[name]
	return c != nil && len(c.Data) == 0
}

// perAxis tells whether a constant is a list of one number for each axis.
func (p *pass) perAxis(name string, rank int) bool {
	c := p.constants[name]
	return c != nil && len(c.Shape) == 1 && c.Shape[0] == int64(rank)
}

// list puts the elements of a constant into another order.
func (p *pass) list(name string, to []int) string {
	c := p.constants[name]
	size := int(c.DType.Size())
	data := make([]byte, 0, len(c.Data))
	for _, a := range to {
		data = append(data, c.Data[a*size:(a+1)*size]...)
	}
	t := onnx.NewTensor(p.free(name+".moved"), tensor.Tensor{DType: c.DType, Shape: slices.Clone(c.Shape), Data: data})
	p.graph.Initializers = append(p.graph.Initializers, t)
	p.constants[t.Name] = t
	p.shapes.Constant(t)
	return t.Name
}

// reshape takes two forms of a Reshape or Flatten: one whose source only has
// axes of one element in other places, so that the elements lie the same; and one
// that makes rows for matrices, whose own rows are then put into another order
// instead.
func reshape(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	if !ok {
		return false
	}
	_, shape := p.shapes.Of(v.of)
	if len(shape) == len(v.perm) && keepsOrder(shape, v.perm) && p.plainSizes(n) {
		n.Inputs[0] = v.of
		return p.put(n, nil)
	}
	return p.rows(n, v, shape)
}

// plainSizes tells whether a Reshape names its sizes without a look at those of
// its source, or looks at the first only, which stays in its place.
func (p *pass) plainSizes(n *onnx.Node) bool {
	if n.Op == "Flatten" {
		return n.Int("axis", 1) == 1
	}
	sizes, ok := p.shapes.Dims(n.Input(1))
	if !ok || n.Int("allowzero", 0) != 0 {
		return false
	}
	for i, d := range sizes {
		if i > 0 && d.Known() && d.Value == 0 {
			return false
		}
	}
	return true
}

// rows moves a Reshape of [n, …] to [n, all the rest] which only constant
// matrices read.
func (p *pass) rows(n *onnx.Node, v view, of []onnx.Dim) bool {
	_, to := p.shapes.Of(n.Outputs[0])
	if len(to) != 2 || len(of) != len(v.perm) || v.perm[0] != 0 || p.kept[n.Outputs[0]] || !p.plainSizes(n) {
		return false
	}
	sizes := make([]int64, 0, len(of))
	for _, d := range of[1:] {
		if !d.Known() || d.Value < 1 {
			return false
		}
		sizes = append(sizes, d.Value)
	}
	length, err := tensor.Elements(sizes)
	if err != nil || !to[1].Known() || to[1].Value != length || len(p.readers[n.Outputs[0]]) == 0 {
		return false
	}
	for _, r := range p.readers[n.Outputs[0]] {
		if !p.isMatrix(r, n.Outputs[0], length) {
			return false
		}
	}
	inner := make([]int, len(v.perm)-1)
	for i, a := range v.perm[1:] {
		inner[i] = a - 1
	}
	for _, r := range p.readers[n.Outputs[0]] {
		p.reorderRows(r, sizes, inner)
	}
	n.Inputs[0] = v.of
	p.out = append(p.out, n)
	return true
}

// isMatrix tells whether a node multiplies rows of the given length with a
// constant matrix.
func (p *pass) isMatrix(n *onnx.Node, rows string, length int64) bool {
	if n.Domain != "" && n.Domain != "ai.onnx" || n.Op != "MatMul" && n.Op != "Gemm" || n.Inputs[0] != rows ||
		slices.Contains(n.Inputs[1:], rows) || n.Int("transA", 0) != 0 {
		return false
	}
	w := p.constants[n.Inputs[1]]
	if w == nil || len(w.Shape) != 2 {
		return false
	}
	if n.Op == "Gemm" && n.Int("transB", 0) != 0 {
		return w.Shape[1] == length
	}
	return w.Shape[0] == length
}

// reorderRows gives a matrix node a matrix for rows whose inner axes, of the
// given sizes, come in the order of the source and not in that of the view.
func (p *pass) reorderRows(n *onnx.Node, sizes []int64, inner []int) {
	w := p.constants[n.Inputs[1]]
	viewed := make([]int64, len(inner))
	for i, a := range inner {
		viewed[i] = sizes[a]
	}
	perm := make([]int, 0, len(inner)+1)
	t := w.Tensor
	if n.Op == "Gemm" && n.Int("transB", 0) != 0 {
		t.Shape = append([]int64{w.Shape[0]}, viewed...)
		perm = append(perm, 0)
		for _, a := range inverse(inner) {
			perm = append(perm, a+1)
		}
	} else {
		t.Shape = slices.Concat(viewed, w.Shape[1:])
		perm = append(append(perm, inverse(inner)...), len(inner))
	}
	t = tensor.Permute(t, perm...)
	t.Shape = slices.Clone(w.Shape)
	moved := onnx.NewTensor(p.free(w.Name+".moved"), t)
	p.graph.Initializers = append(p.graph.Initializers, moved)
	p.constants[moved.Name] = moved
	p.shapes.Constant(moved)
	n.Inputs[1] = moved.Name
}
