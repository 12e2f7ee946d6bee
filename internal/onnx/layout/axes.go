package layout

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The movers of operators that name axes.

// alongAxis moves an operator that works along the axis of an attribute. Before
// opset 13 the axis of a Softmax parts the axes into two, and it stays.
func alongAxis(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	axes, inside := axesOf([]int64{n.Int("axis", -1)}, len(v.perm))
	const single = 13
	if !ok || !inside || p.opset < single {
		return false
	}
	n.Inputs[0] = v.of
	n.Set(onnx.AInt("axis", int64(v.perm[axes[0]])))
	return p.put(n, v.perm)
}

func cumSum(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	list, known := p.known(n, 1, "")
	axes, inside := axesOf(list, len(v.perm))
	if !ok || !known || !inside || len(axes) != 1 {
		return false
	}
	n.Inputs = []string{v.of, p.scalar(int64(v.perm[axes[0]]))}
	return p.put(n, v.perm)
}

// scalar adds a constant without axes.
func (p *pass) scalar(i int64) string {
	t := onnx.NewTensor(p.free("int"), tensor.Of([]int64{i}, []int64{}...))
	p.graph.Initializers = append(p.graph.Initializers, t)
	p.constants[t.Name] = t
	p.shapes.Constant(t)
	return t.Name
}

func split(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	axes, inside := axesOf([]int64{n.Int("axis", 0)}, len(v.perm))
	if !ok || !inside {
		return false
	}
	n.Inputs[0] = v.of
	n.Set(onnx.AInt("axis", int64(v.perm[axes[0]])))
	for i := range n.Outputs {
		if n.Outputs[i] != "" {
			p.becomes(n, i, v.perm)
		}
	}
	p.out = append(p.out, n)
	return true
}

// slice moves a Slice whose axes are known. Its bounds may be open.
func slice(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	const inputs = 10 // before, attributes
	if !ok || p.opset < inputs {
		return false
	}
	list, known := p.known(n, 3, "")
	if n.Input(3) == "" {
		_, shape := p.shapes.Of(n.Input(1))
		if len(shape) != 1 || !shape[0].Known() || shape[0].Value > int64(len(v.perm)) {
			return false
		}
		list, known = count64(shape[0].Value), true
	}
	axes, inside := axesOf(list, len(v.perm))
	if !known || !inside {
		return false
	}
	n.Inputs[0] = v.of
	for len(n.Inputs) < 4 {
		n.Inputs = append(n.Inputs, "")
	}
	// Bounds and axes must be of one type.
	n.Inputs[3] = p.ints(sources(v.perm, axes))
	if t, _ := p.shapes.Of(n.Inputs[1]); t == tensor.Int32 {
		n.Inputs[3] = p.ints32(sources(v.perm, axes))
	}
	return p.put(n, v.perm)
}

func (p *pass) ints32(vs []int64) string {
	narrow := make([]int32, len(vs))
	for i, v := range vs {
		narrow[i] = int32(v)
	}
	t := onnx.NewTensor(p.free("ints"), tensor.Of(narrow, int64(len(narrow))))
	p.graph.Initializers = append(p.graph.Initializers, t)
	p.constants[t.Name] = t
	p.shapes.Constant(t)
	return t.Name
}

// count64 counts from 0.
func count64(n int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// pad moves a Pad of known widths for all axes.
func pad(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	widths, known := p.known(n, 1, "pads")
	rank := len(v.perm)
	if !ok || !known || n.Input(3) != "" || len(widths) != 2*rank {
		return false
	}
	moved := make([]int64, len(widths))
	for i, a := range v.perm {
		moved[a], moved[rank+a] = widths[i], widths[rank+i]
	}
	n.Inputs[0] = v.of
	if n.Input(1) != "" {
		n.Inputs[1] = p.ints(moved)
	} else {
		n.Set(onnx.AInts("pads", moved...))
	}
	return p.put(n, v.perm)
}

// reduce moves a reduction over known axes.
func reduce(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	list, known := p.known(n, 1, "axes")
	all := n.Input(1) == "" && n.Attr("axes") == nil
	axes, inside := axesOf(list, len(v.perm))
	if !ok || !inside || !known && !all || all && n.Int("noop_with_empty_axes", 0) != 0 {
		return false
	}
	keep := n.Int("keepdims", 1) != 0
	n.Inputs[0] = v.of
	if all || len(axes) == 0 {
		if !keep {
			return p.put(n, nil)
		}
		return p.put(n, v.perm)
	}
	moved := sources(v.perm, axes)
	slices.Sort(moved)
	if n.Input(1) != "" {
		n.Inputs[1] = p.ints(moved)
	} else {
		n.Set(onnx.AInts("axes", moved...))
	}
	if keep {
		return p.put(n, v.perm)
	}
	return p.put(n, without(v.perm, axes))
}

func arg(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	axes, inside := axesOf([]int64{n.Int("axis", 0)}, len(v.perm))
	if !ok || !inside {
		return false
	}
	n.Inputs[0] = v.of
	n.Set(onnx.AInt("axis", int64(v.perm[axes[0]])))
	if n.Int("keepdims", 1) != 0 {
		return p.put(n, v.perm)
	}
	return p.put(n, without(v.perm, axes))
}

// squeeze moves a Squeeze of known axes.
func squeeze(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	list, known := p.known(n, 1, "axes")
	axes, inside := axesOf(list, len(v.perm))
	if !ok || !known || !inside || len(axes) == 0 {
		return false
	}
	moved := sources(v.perm, axes)
	slices.Sort(moved)
	n.Inputs[0] = v.of
	if n.Input(1) != "" {
		n.Inputs[1] = p.ints(moved)
	} else {
		n.Set(onnx.AInts("axes", moved...))
	}
	return p.put(n, without(v.perm, axes))
}

// unsqueeze moves an Unsqueeze: the new axes keep their places, and the others
// are moved around them.
func unsqueeze(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	list, known := p.known(n, 1, "axes")
	rank := len(v.perm) + len(list)
	axes, inside := axesOf(list, rank)
	if !ok || !known || !inside || identity(v.perm) {
		return false
	}
	// The places that the axes of the source have in the result.
	var places []int
	for i := range rank {
		if !slices.Contains(axes, i) {
			places = append(places, i)
		}
	}
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	for i, a := range v.perm {
		perm[places[i]] = places[a]
	}
	n.Inputs[0] = v.of
	return p.put(n, perm)
}

// gather moves a Gather of one index, which takes an axis away, or of a list of
// them.
func gather(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	axes, inside := axesOf([]int64{n.Int("axis", 0)}, len(v.perm))
	_, index := p.shapes.Of(n.Input(1))
	if !ok || !inside || index == nil || len(index) > 1 {
		return false
	}
	n.Inputs[0] = v.of
	n.Set(onnx.AInt("axis", int64(v.perm[axes[0]])))
	if len(index) == 1 {
		return p.put(n, v.perm)
	}
	return p.put(n, without(v.perm, axes))
}

// shapeOf gives the sizes of what a view is of, in the order of the view.
func shapeOf(p *pass, n *onnx.Node) bool {
	v := p.views[n.Inputs[0]]
	if n.Attr("start") != nil || n.Attr("end") != nil {
		return false
	}
	n.Inputs[0] = v.of
	if identity(v.perm) {
		return p.put(n, nil)
	}
	perm := make([]int64, len(v.perm))
	for i, a := range v.perm {
		perm[i] = int64(a)
	}
	out := n.Outputs[0]
	n.Outputs[0] = p.free(out + ".base")
	p.out = append(p.out, n, &onnx.Node{
		Name: p.free(out + ".gather"), Op: "Gather", Inputs: []string{n.Outputs[0], p.ints(perm)}, Outputs: []string{out},
	})
	return true
}
