package cntk

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// overSample is an operator over all the numbers of a sample, which is what
// CNTK's plain Softmax and Hardmax are over.
func overSample(op string) func(c *converter, f *function, in []value) (value, error) {
	return func(c *converter, f *function, in []value) (value, error) {
		x := in[0]
		if x.rank <= 1 {
			return x.like(c.op(f, op, []string{x.name}, onnx.AInt("axis", -1))), nil
		}
		shape := c.op(f, "Shape", []string{x.name})
		flat := c.op(f, "Reshape", []string{x.name, c.concat(slices.Concat(c.zeros(x), []string{c.b.Ints(-1)})...)})
		y := c.op(f, op, []string{flat}, onnx.AInt("axis", -1))
		return x.like(c.op(f, "Reshape", []string{y, shape})), nil
	}
}

// zeros says in a new shape that the dynamic axes stay.
func (c *converter) zeros(v value) []string {
	n := c.lead(v)
	if n == 0 {
		return nil
	}
	return []string{c.b.Ints(make([]int64, n)...)}
}

// alongAxis is a block that CNTK makes of several functions.
func alongAxis(op string) func(c *converter, f *function, in []value) (value, error) {
	return func(c *converter, f *function, in []value) (value, error) {
		x := in[0]
		a, _ := f.attrs["axis"].(axis)
		at, err := c.axisOf(f, a, x.rank)
		if err != nil {
			return x, err
		}
		return x.like(c.op(f, op, []string{x.name}, onnx.AInt("axis", int64(c.lead(x)+at)))), nil
	}
}

func (c *converter) leakyReLU(f *function, in []value) (value, error) {
	return in[0].like(c.op(f, "LeakyRelu", []string{in[0].name}, onnx.AFloat("alpha", float32(f.attrs.num("alpha", 0.01))))), nil
}

func (c *converter) elu(f *function, in []value) (value, error) {
	return in[0].like(c.op(f, "Elu", []string{in[0].name}, onnx.AFloat("alpha", float32(f.attrs.num("alpha", 1))))), nil
}

func (c *converter) straightThrough(f *function, in []value) (value, error) {
	above := c.op(f, "Greater", []string{in[0].name, c.b.Float(0)})
	return in[0].like(c.op(f, "Where", []string{above, c.b.Float(1), c.b.Float(-1)})), nil
}

// logPlus is log(exp(a) + exp(b)).
func (c *converter) logPlus(f *function, in []value) (value, error) {
	names, out, err := c.align(in[:2]...)
	if err != nil {
		return out, err
	}
	larger := c.op(f, "Max", names)
	apart := c.op(f, "Neg", []string{c.op(f, "Abs", []string{c.op(f, "Sub", names)})})
	return out.like(c.op(f, "Add", []string{larger, c.op(f, "Softplus", []string{apart})})), nil
}

func (c *converter) clip(f *function, in []value) (value, error) {
	names, out, err := c.align(in[:3]...)
	if err != nil {
		return out, err
	}
	return out.like(c.op(f, "Min", []string{c.op(f, "Max", []string{names[0], names[1]}), names[2]})), nil
}

// selectOp takes its second input where the first is not 0, else the third.
func (c *converter) selectOp(f *function, in []value) (value, error) {
	names, out, err := c.align(in[:3]...)
	if err != nil {
		return out, err
	}
	flag := c.op(f, "Cast", []string{names[0]}, onnx.AInt("to", int64(tensor.Bool)))
	return out.like(c.op(f, "Where", []string{flag, names[1], names[2]})), nil
}

// cosDistance is the cosine of the angle between two samples.
func (c *converter) cosDistance(f *function, in []value) (value, error) {
	names, out, err := c.align(in[:2]...)
	if err != nil {
		return out, err
	}
	axes := make([]int64, out.rank)
	for i := range axes {
		axes[i] = int64(i - out.rank)
	}
	sum := func(a, b string) string {
		return c.op(f, "ReduceSum", []string{c.op(f, "Mul", []string{a, b}), c.b.Ints(axes...)}, onnx.AInt("keepdims", 0))
	}
	dot := sum(names[0], names[1])
	norm := c.op(f, "Sqrt", []string{c.op(f, "Mul", []string{sum(names[0], names[0]), sum(names[1], names[1])})})
	y := c.op(f, "Div", []string{dot, norm})
	out.rank = 0
	return out.like(y), nil
}

// times contracts the last axes of CNTK of its first input with the first ones
// of the second. In C order the second is a matrix of rows that the first, whose
// shape is contracted x made, is multiplied to from the right.
func (c *converter) times(f *function, in []value) (value, error) {
	w, x := in[0], in[1]
	made := int(f.attrs.int("outputRank", 1))
	if f.attrs.int("inferInputRankToMap", -1) == -2 {
		return c.timesSequence(f, w, x)
	}
	if made < 0 || made > w.rank {
		return w, c.invalid(f, "its outputRank %d does not fit an input of %d axes", made, w.rank)
	}
	return c.product(f, w, x, w.rank-made)
}

// product multiplies x, whose last axes are contracted, and w, whose first are.
func (c *converter) product(f *function, w, x value, contracted int) (value, error) {
	if contracted > x.rank {
		return x, c.invalid(f, "it contracts %d axes of an input of %d", contracted, x.rank)
	}
	out := value{rank: x.rank - contracted + w.rank - contracted, batch: w.batch || x.batch, seq: x.seq}
	if out.seq == "" {
		out.seq = w.seq
	}
	wName, xName := w.name, x.name
	// As matrices: all that is contracted is one axis, all that is made another.
	if w.rank != 2 || contracted != 1 {
		wName = c.matrix(f, w, contracted)
	}
	rest := x.rank - contracted
	simple := contracted == 1 && rest <= 1 && (c.lead(w) == 0 || rest == 1) && (c.lead(x) > 0 || rest == 1)
	if !simple {
		xName = c.matrix(f, x, rest)
	}
	if both := (value{rank: 2, batch: out.batch, seq: out.seq}); c.lead(w) > 0 && c.lead(x) != c.lead(w) {
		mw, mx := w, x
		mw.name, mw.rank, mx.name, mx.rank = wName, 2, xName, 2
		wName, xName = c.spread(mw, both), c.spread(mx, both)
	}
	y := c.op(f, "MatMul", []string{xName, wName})
	if simple && w.rank-contracted == 1 {
		return out.like(y), nil
	}
	parts := c.zeros(out)
	parts = append(parts, c.dimsAs(x, 0, rest)...)
	parts = append(parts, c.dimsAs(w, contracted, w.rank)...)
	if len(parts) == 0 {
		return out.like(c.op(f, "Squeeze", []string{y})), nil
	}
	return out.like(c.op(f, "Reshape", []string{y, c.concat(parts...)})), nil
}

// matrix makes the static axes before a place one, and those behind it another.
func (c *converter) matrix(f *function, v value, at int) string {
	dims := c.dims(v)
	product := func(ds []onnx.Dim) int64 {
		n := int64(1)
		for _, d := range ds {
			if !d.Known() {
				return -1
			}
			n *= d.Value
		}
		return n
	}
	a, b := product(dims[:at]), product(dims[at:])
	if a < 0 && b < 0 {
		b = 0 // refused by the runtime; no file of CNTK has two free dimensions here
	}
	if c.lead(v) == 0 && a >= 0 && b >= 0 {
		return c.reshaped(f, v.name, a, b)
	}
	return c.op(f, "Reshape", []string{v.name, c.concat(append(c.zeros(v), c.b.Ints(a, b))...)})
}

// dimsAs gives static dimensions as parts of a shape.
func (c *converter) dimsAs(v value, from, to int) []string {
	var out []string
	for i, d := range c.dims(v)[from:to] {
		if d.Known() {
			out = append(out, c.b.Ints(d.Value))
		} else {
			out = append(out, c.size(v.name, c.lead(v)+from+i))
		}
	}
	return out
}

func (c *converter) transposeTimes(f *function, in []value) (value, error) {
	w, x := in[0], in[1]
	if w.rank > 2 || w.rank < 1 {
		return w, c.refuse(f, "it transposes an input of %d axes", w.rank)
	}
	// In C order w is made x contracted.
	if w.rank == 1 {
		w.name, w.rank = c.unsqueeze(w.name, c.lead(w), 1), 2
	}
	perm := make([]int64, c.lead(w)+2)
	for i := range perm {
		perm[i] = int64(i)
	}
	slices.Reverse(perm[c.lead(w):])
	w.name = c.op(f, "Transpose", []string{w.name}, onnx.AInts("perm", perm...))
	return c.product(f, w, x, 1)
}

// timesSequence sums the products of two sequences over their steps.
func (c *converter) timesSequence(f *function, w, x value) (value, error) {
	if w.seq == "" || x.seq == "" || w.rank != 1 || x.rank != 1 || c.inLoop {
		return w, c.refuse(f, "a product over the steps of a sequence is supported for two sequences of vectors only")
	}
	perm := make([]int64, c.lead(x)+1)
	for i := range perm {
		perm[i] = int64(i)
	}
	n := len(perm)
	perm[n-1], perm[n-2] = perm[n-2], perm[n-1]
	xt := c.op(f, "Transpose", []string{x.name}, onnx.AInts("perm", perm...))
	out := value{rank: 2, batch: w.batch || x.batch}
	return out.like(c.op(f, "MatMul", []string{xt, w.name})), nil
}

func (c *converter) sumAll(f *function, in []value) (value, error) {
	return value{name: c.op(f, "ReduceSum", []string{in[0].name}, onnx.AInt("keepdims", 0))}, nil
}

// reduce works along static axes, the sequence, or all there is.
func (c *converter) reduce(f *function, in []value) (value, error) {
	x := in[0]
	keep := !f.attrs.has("reductionKeepDimensions") || f.attrs.flag("reductionKeepDimensions")
	out := x
	axes, err := c.reducedAxes(f, x, &out)
	if err != nil || len(axes) == 0 {
		return x, err
	}
	y, err := c.reduced(f, f.attrs.str("reductionOpName"), x.name, axes)
	if err != nil {
		return x, err
	}
	lead := int64(c.lead(x))
	drop := slices.DeleteFunc(slices.Clone(axes), func(a int64) bool { return a >= lead })
	if whole := lead > 0 && c.lead(out) == 0; !keep || whole {
		out.rank -= len(axes) - len(drop)
		drop = axes
	}
	if len(drop) > 0 {
		y = c.op(f, "Squeeze", []string{y, c.b.Ints(drop...)})
	}
	return out.like(y), nil
}

// reducedAxes gives the axes that a reduction is over, and takes the dynamic ones
// among them from what comes out.
func (c *converter) reducedAxes(f *function, x value, out *value) ([]int64, error) {
	lead := c.lead(x)
	var axes []int64
	for _, a := range f.attrs.axes("axis", "axisVec") {
		switch {
		case a.index == axisAllStatic || a.index == axisAll:
			for i := range x.rank {
				axes = append(axes, int64(lead+i))
			}
			if a.index == axisAll {
				for i := range lead {
					axes = append(axes, int64(i))
				}
				out.batch, out.seq = false, ""
			}
		case a.index == axisDynamic && a.name == "defaultBatchAxis":
			if x.batch && c.batch {
				axes = append(axes, 0)
			}
			out.batch = false
		case a.index == axisDynamic:
			if c.inLoop || x.seq == "" {
				return nil, c.refuse(f, "its input is no sequence, or it is within a loop along it")
			}
			axes = append(axes, int64(c.seqAxis(x)))
			out.seq = ""
		default:
			at, err := c.axisOf(f, a, x.rank)
			if err != nil {
				return nil, err
			}
			axes = append(axes, int64(lead+at))
		}
	}
	slices.Sort(axes)
	return slices.Compact(axes), nil
}

// reduced makes the nodes of a reduction that keeps its axes.
func (c *converter) reduced(f *function, kind, x string, axes []int64) (string, error) {
	switch kind {
	case "Sum":
		return c.op(f, "ReduceSum", []string{x, c.b.Ints(axes...)}), nil
	case "Mean", "Max", "Min", "Prod":
		return c.op(f, "Reduce"+kind, []string{x}, onnx.AInts("axes", axes...)), nil
	case "LogSum":
		// The largest is taken out first, so that no power is too large.
		most := c.op(f, "ReduceMax", []string{x}, onnx.AInts("axes", axes...))
		y := c.op(f, "ReduceLogSumExp", []string{c.op(f, "Sub", []string{x, most})}, onnx.AInts("axes", axes...))
		return c.op(f, "Add", []string{y, most}), nil
	case "Argmax", "Argmin":
		if len(axes) != 1 {
			return "", c.refuse(f, "%s over %d axes is not supported", kind, len(axes))
		}
		y := c.op(f, map[string]string{"Argmax": "ArgMax", "Argmin": "ArgMin"}[kind], []string{x}, onnx.AInt("axis", axes[0]))
		return c.float(f, y), nil
	}
	return "", c.refuse(f, "the reduction %q is not supported", kind)
}

func (c *converter) constantOp(f *function, in []value) (value, error) {
	shape := c.op(f, "Shape", []string{in[0].name})
	fill := tensor.Of([]float32{float32(f.attrs.num("fillValue", 0))}, 1)
	return in[0].like(c.op(f, "ConstantOfShape", []string{shape}, onnx.ATensor("value", fill))), nil
}

func (c *converter) eyeLike(f *function, in []value) (value, error) {
	if in[0].rank+c.lead(in[0]) != 2 {
		return in[0], c.refuse(f, "its input is no matrix")
	}
	y := c.op(f, "EyeLike", []string{in[0].name}, onnx.AInt("dtype", 1))
	c.b.Declare(y, tensor.Float32, c.shape(in[0]))
	return in[0].like(y), nil
}
