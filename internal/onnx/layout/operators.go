package layout

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

// mover takes a node one of whose inputs is a view, makes it work on what the
// view is of, and says how its outputs are views. It gives false, and has changed
// nothing, where it cannot.
type mover func(p *pass, n *onnx.Node) bool

// moved gives a node to the mover of its operator.
func (p *pass) moved(n *onnx.Node) bool {
	if slices.ContainsFunc(n.Outputs[1:], func(o string) bool { return o != "" }) && n.Op != "Split" {
		return false
	}
	move := movers()[n.Op]
	return move != nil && move(p, n)
}

// movers gives how each operator that works in any order of axes is moved. The
// others need their axes as they were.
func movers() map[string]mover {
	out := map[string]mover{
		"Clip": first, "Dropout": first, "Identity": first, "Cast": first,
		"Concat": concat, "Softmax": alongAxis, "LogSoftmax": alongAxis, "Hardmax": alongAxis, "CumSum": cumSum,
		"Split": split, "Slice": slice, "Pad": pad, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Gather": gather,
		"Resize": resize, "Tile": tile, "Shape": shapeOf, "Reshape": reshape, "Flatten": reshape,
		"ArgMax": arg, "ArgMin": arg, "PRelu": elementwise, "Where": elementwise,
	}
	for _, op := range []string{
		"Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "Not",
		"Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "IsNaN", "IsInf",
	} {
		out[op] = first
	}
	for _, op := range []string{
		"Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Sum", "Mean", "And", "Or", "Xor",
		"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "BitShift",
	} {
		out[op] = elementwise
	}
	for _, op := range []string{
		"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare",
	} {
		out[op] = reduce
	}
	return out
}

// becomes makes a node write a new tensor, of which its output is a view.
func (p *pass) becomes(n *onnx.Node, output int, perm []int) {
	name := n.Outputs[output]
	if identity(perm) {
		return
	}
	of := p.free(name + ".base")
	t, shape := p.shapes.Of(name)
	p.shapes.Value(of, t, permuted(shape, inverse(perm)))
	p.views[name] = view{of, perm}
	n.Outputs[output] = of
}

// put writes a node whose inputs are bases, and whose one output is a view.
func (p *pass) put(n *onnx.Node, perm []int) bool {
	p.becomes(n, 0, perm)
	p.out = append(p.out, n)
	return true
}

// only gives the view that is the first input, where no other input is one.
func (p *pass) only(n *onnx.Node) (view, bool) {
	v, ok := p.views[n.Inputs[0]]
	for _, name := range n.Inputs[1:] {
		if _, another := p.views[name]; another {
			return v, false
		}
	}
	return v, ok
}

// known gives the whole numbers of an input or, where the input is not there,
// of an attribute.
func (p *pass) known(n *onnx.Node, input int, attr string) ([]int64, bool) {
	if name := n.Input(input); name != "" {
		return p.shapes.Ints(name)
	}
	if a := n.Attr(attr); a != nil {
		return a.Ints, true
	}
	return nil, false
}

// first moves an operator whose first input is the array and whose others, if
// any, are single numbers.
func first(p *pass, n *onnx.Node) bool {
	v, ok := p.only(n)
	if !ok {
		return false
	}
	n.Inputs[0] = v.of
	return p.put(n, v.perm)
}

// common gives the order that most inputs of a node are views in.
func (p *pass) common(inputs []string) []int {
	count := map[string]int{}
	var best []int
	for _, name := range inputs {
		if v, ok := p.views[name]; ok && !identity(v.perm) {
			key := spell("", v.perm)
			count[key]++
			if best == nil || count[key] > count[spell("", best)] {
				best = v.perm
			}
		}
	}
	return best
}

// elementwise moves an operator whose inputs are laid over one another.
func elementwise(p *pass, n *onnx.Node) bool {
	perm := p.common(n.Inputs)
	if perm == nil {
		return false
	}
	to := inverse(perm)
	// In a first round nothing is changed, since it may turn out not to be
	// worth it.
	lifts := make([][]int64, len(n.Inputs))
	for i, name := range n.Inputs {
		lift, ok := p.fits(name, perm, n.Inputs)
		if !ok {
			return false
		}
		lifts[i] = lift
	}
	for i, name := range n.Inputs {
		switch {
		case name == "" || p.single(name): // as it is
		case lifts[i] != nil:
			n.Inputs[i] = p.ordered(p.lifted(name, lifts[i]), to, "")
		default:
			n.Inputs[i] = p.base(name, to)
		}
	}
	return p.put(n, perm)
}

// base gives a tensor with its axes in another order, looking through views.
func (p *pass) base(name string, to []int) string {
	if v, ok := p.views[name]; ok {
		return p.ordered(v.of, through(v.perm, to), "")
	}
	return p.ordered(name, to, "")
}

// single tells whether a tensor that is no view has one element, so that its
// order is no matter.
func (p *pass) single(name string) bool {
	_, isView := p.views[name]
	_, shape := p.shapes.Of(name)
	return !isView && shape != nil && !slices.ContainsFunc(shape, func(d onnx.Dim) bool { return !d.Known() || d.Value != 1 })
}

// fits tells whether an input of an elementwise operator can be had in the order
// of the others at little cost. A constant of fewer axes must first get as many
// of one element in front as lift says.
func (p *pass) fits(name string, perm []int, all []string) (lift []int64, ok bool) {
	if name == "" || p.single(name) {
		return nil, true
	}
	if v, isView := p.views[name]; isView {
		return nil, len(v.perm) == len(perm) && (slices.Equal(v.perm, perm) || p.cheap(v.of, through(v.perm, inverse(perm)), all))
	}
	_, shape := p.shapes.Of(name)
	switch {
	case shape == nil || len(shape) > len(perm):
		return nil, false
	case p.constants[name] != nil && len(shape) < len(perm):
		for range len(perm) - len(shape) {
			lift = append(lift, 1)
		}
		for _, d := range shape {
			lift = append(lift, d.Value)
		}
		return lift, true
	case len(shape) < len(perm):
		return nil, false
	}
	return nil, p.constants[name] != nil || p.cheap(name, inverse(perm), all)
}

// cheap tells whether a transpose is there already, costs nothing, or is of a
// tensor smaller than one that is spared it.
func (p *pass) cheap(name string, perm []int, all []string) bool {
	if identity(perm) || p.made[spell(name, perm)] != "" {
		return true
	}
	_, shape := p.shapes.Of(name)
	if len(shape) == len(perm) && keepsOrder(shape, perm) {
		return true
	}
	size := count(shape)
	return slices.ContainsFunc(all, func(other string) bool {
		_, isView := p.views[other]
		_, shape := p.shapes.Of(other)
		return isView && other != name && shape != nil && size < count(shape)
	})
}

// count gives the elements of a shape, those of open dimensions counted as one.
func count(shape []onnx.Dim) int64 {
	n := int64(1)
	for _, d := range shape {
		const most = 1 << 40 // of no weight beside any other
		if d.Known() && n < most {
			n *= max(d.Value, 1)
		}
	}
	return n
}

// lifted gives a constant more axes of one element in front.
func (p *pass) lifted(name string, shape []int64) string {
	t := *p.constants[name]
	t.Shape = shape
	t.Name = p.free(name + ".lifted")
	p.graph.Initializers = append(p.graph.Initializers, &t)
	p.constants[t.Name] = &t
	p.shapes.Constant(&t)
	return t.Name
}

// concat moves a Concat whose inputs are mostly views in one order.
func concat(p *pass, n *onnx.Node) bool {
	perm := p.common(n.Inputs)
	if perm == nil {
		return false
	}
	axes, ok := axesOf([]int64{n.Int("axis", 0)}, len(perm))
	if !ok {
		return false
	}
	for _, name := range n.Inputs {
		if lift, ok := p.fits(name, perm, n.Inputs); !ok || lift != nil {
			return false
		}
	}
	for i, name := range n.Inputs {
		n.Inputs[i] = p.base(name, inverse(perm))
	}
	n.Set(onnx.AInt("axis", int64(perm[axes[0]])))
	return p.put(n, perm)
}
