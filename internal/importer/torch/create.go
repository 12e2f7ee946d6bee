package torch

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxMade bounds arrays that are computed here.
const maxMade = 1 << 22

// createOps make tensors of numbers.
func createOps() map[string]operator {
	out := map[string]operator{
		"full": {"size fill_value dtype", func(c *converter, a *args) value {
			return c.filledWith(a, a.sizes("size"), a.get("fill_value"), tensor.Undefined)
		}},
		"full_like": {"self fill_value dtype", func(c *converter, a *args) value { return c.filledLike(a, a.get("fill_value")) }},
		"new_full": {"self size fill_value dtype", func(c *converter, a *args) value {
			return c.filledWith(a, a.sizes("size"), a.get("fill_value"), c.dtype(a.ten("self")))
		}},
		"arange":        {"a b c dtype", arange},
		"linspace":      {"start end steps dtype", linspace},
		"eye":           {"n m dtype", eye},
		"tensor":        {"data dtype requires_grad", tensorOf},
		"fill_diagonal": {"self value wrap", fillDiagonal},
	}
	for name, v := range map[string]value{"zeros": 0.0, "ones": 1.0, "empty": 0.0} {
		out[name] = operator{"size dtype", func(c *converter, a *args) value { return c.filledWith(a, a.sizes("size"), v, tensor.Float32) }}
		out[name+"_like"] = operator{"self dtype", func(c *converter, a *args) value { return c.filledLike(a, v) }}
		out["new_"+name] = operator{"self size dtype", func(c *converter, a *args) value { return c.filledWith(a, a.sizes("size"), v, c.dtype(a.ten("self"))) }}
	}
	return out
}

// filledWith makes a tensor that has one value everywhere.
func (c *converter) filledWith(a *args, shape []value, v value, t tensor.DType) *ten {
	if d, ok := a.dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	if x, ok := v.(*ten); ok {
		known, isKnown := c.content(x)
		if t == tensor.Undefined {
			t = c.dtype(x)
		}
		if !isKnown {
			return c.expand(c.cast(x, t), shape)
		}
		v = known
	}
	if t == tensor.Undefined {
		t = scalarType(v)
	}
	return c.full(shape, t, v)
}

func (c *converter) filledLike(a *args, v value) *ten {
	x := a.ten("self")
	return c.filledWith(a, c.shape(x), v, c.dtype(x))
}

func (c *converter) full(shape []value, t tensor.DType, v value) *ten {
	for _, d := range c.settleAll(shape) {
		for _, n := range c.lift(d).n {
			if n < 0 || n > 1<<31 {
				c.contradict("a tensor with an axis of %d is made", n)
			}
		}
	}
	if len(shape) == 0 {
		return c.operand(v, t)
	}
	if _, isNum := v.(*num); isNum {
		return c.declare(c.op("Expand", []any{c.operand(v, t), c.vector(shape)}), t, shape)
	}
	w := c.b.Initializer(c.use(c.operand(v, t)))
	data := tensor.Tensor{DType: t, Shape: []int64{1}, Data: w.Data}
	y := c.declare(c.op("ConstantOfShape", []any{c.vector(shape)}, onnx.ATensor("value", data)), t, shape)
	y.zero = !slices.ContainsFunc(w.Data, func(b byte) bool { return b != 0 })
	return y
}

func (c *converter) settleAll(vs []value) []value {
	for i, v := range vs {
		vs[i] = c.settle(c.lift(v))
	}
	return vs
}

// arange is arange(end), arange(start, end) or arange(start, end, step).
func arange(c *converter, a *args) value {
	from, to, by := value(int64(0)), a.get("a"), value(int64(1))
	if v, ok := a.vals["end"]; ok {
		to = v
	}
	if a.has("b") {
		from, to = a.get("a"), a.get("b")
	}
	if a.has("c") {
		by = a.get("c")
	}
	from, to, by = c.settle(c.lift(from)), c.settle(c.lift(to)), c.settle(c.lift(by))
	t := tensor.Int64
	for _, v := range []value{from, to, by} {
		if scalarType(v) == tensor.Float32 {
			t = tensor.Float32
		}
	}
	want := t
	if d, ok := a.dtype("dtype"); ok {
		want = c.dtypeOf(d)
	}
	count := c.single(c.arithmetic("div", c.arithmetic("sub", to, from), by), true, math.Ceil, "Ceil")
	if n, ok := count.(int64); ok {
		return c.sequence(n, c.lift(from).floats()[0], c.lift(by).floats()[0], want)
	}
	if t == tensor.Int64 && from == int64(0) && by == int64(1) {
		return c.cast(c.rangeOf(from, to), want)
	}
	y := c.op("Range", []any{c.scalarTensor(t, from), c.scalarTensor(t, to), c.scalarTensor(t, by)})
	return c.cast(c.declare(y, t, []value{count}), want)
}

// sequence makes n numbers, each further by a step.
func (c *converter) sequence(n int64, from, by float64, t tensor.DType) *ten {
	if n < 1 || n > maxMade {
		c.contradict("a sequence of %d numbers is made", n)
	}
	if category(t) == 1 {
		vs := make([]int64, n)
		for i := range vs {
			vs[i] = int64(from) + int64(i)*int64(by)
		}
		return c.cast(&ten{name: c.constant("range", tensor.Of(vs, n))}, t)
	}
	vs := make([]float32, n)
	for i := range vs {
		vs[i] = float32(from + float64(i)*by)
	}
	return c.cast(&ten{name: c.constant("range", tensor.Of(vs, n))}, t)
}

func linspace(c *converter, a *args) value {
	from, to, n := a.float("start", 0), a.float("end", 1), a.sizes("steps")[0]
	t := tensor.Float32
	if d, ok := a.dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	steps, ok := n.(int64)
	if !ok {
		// from + i*(to-from)/(n-1)
		i := c.cast(c.rangeOf(int64(0), n), t)
		by := c.arithmetic("div", to-from, c.arithmetic("sub", n, int64(1)))
		return c.plus(c.op("Mul", []any{i, c.operand(by, t)}), from)
	}
	by := 0.0
	if steps > 1 {
		by = (to - from) / float64(steps-1)
	}
	return c.sequence(steps, from, by, t)
}

func eye(c *converter, a *args) value {
	n := a.int("n", 1)
	m := a.int("m", n)
	if n < 1 || m < 1 || n > maxMade/m {
		c.contradict("a matrix of %dx%d is made", n, m)
	}
	vs := make([]float32, n*m)
	for i := range min(n, m) {
		vs[i*m+i] = 1
	}
	t := tensor.Float32
	if d, ok := a.dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	return c.cast(&ten{name: c.constant("eye", tensor.Of(vs, n, m))}, t)
}

// tensorOf makes a tensor of a number or of lists of numbers.
func tensorOf(c *converter, a *args) value {
	v := a.get("data")
	t := tensor.Undefined
	if d, ok := a.dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	if x, ok := v.(*ten); ok {
		if t == tensor.Undefined {
			return copied(c, &args{c: c, vals: map[string]value{"self": x}})
		}
		return c.cast(x, t)
	}
	if isNumber(v) {
		if t == tensor.Undefined {
			t = scalarType(v)
		}
		if category(t) < 2 && c.lift(v).float {
			v = c.single(v, true, math.Trunc)
		}
		if category(t) == 2 && !c.lift(v).float {
			v = c.single(v, false, func(f float64) float64 { return f })
		}
		return &ten{scalar: v, dtype: t}
	}
	var flat []value
	shape := c.nested(v, &flat, 0)
	for _, e := range flat {
		if x, ok := e.(*ten); ok {
			t = wider(t, c.dtype(x))
		} else if !a.has("dtype") {
			t = wider(t, scalarType(e))
		}
	}
	return c.listTensor(flat, shape, t)
}

// nested gives the numbers of lists within lists, and their shape.
func (c *converter) nested(v value, flat *[]value, depth int) []value {
	vs, ok := items(v)
	if !ok {
		*flat = append(*flat, v)
		return nil
	}
	if depth > 8 || len(*flat) > maxMade {
		c.refuse("its lists are too deep or too long")
	}
	var inner []value
	for _, e := range vs {
		inner = c.nested(e, flat, depth+1)
	}
	return append([]value{int64(len(vs))}, inner...)
}

func (c *converter) listTensor(flat, shape []value, t tensor.DType) value {
	if len(flat) == 0 {
		return &ten{name: c.constant("empty", tensor.Of([]float32{}, 0))}
	}
	var parts []any
	plain := true
	for _, e := range flat {
		plain = plain && isNumber(e)
		_, isNum := e.(*num)
		plain = plain && !isNum
	}
	if plain {
		vs := make([]float64, len(flat))
		for i, e := range flat {
			vs[i] = c.lift(e).floats()[0]
		}
		dims := make([]int64, len(shape))
		for i, d := range shape {
			dims[i] = c.lift(d).n[0]
		}
		if n, err := tensor.Elements(dims); err != nil || n != int64(len(vs)) {
			c.contradict("lists of different lengths make no tensor")
		}
		name := c.constant("values", tensor.Of(vs, dims...))
		return c.cast(&ten{name: name}, t)
	}
	for _, e := range flat {
		x := c.operand(e, t)
		parts = append(parts, c.op("Unsqueeze", []any{x, c.ints(0)}))
	}
	return c.reshape(c.op("Concat", parts, onnx.AInt("axis", 0)), shape)
}

// fillDiagonal sets the elements of a matrix whose places are the same.
func fillDiagonal(c *converter, a *args) value {
	x := a.ten("self")
	if c.rank(x) != 2 {
		c.refuse("only matrices are supported")
	}
	s := c.shape(x)
	row := c.unsqueeze(c.rangeOf(int64(0), s[0]), 1)
	column := c.unsqueeze(c.rangeOf(int64(0), s[1]), 0)
	return c.op("Where", []any{c.op("Equal", []any{row, column}), c.operand(a.get("value"), c.dtype(x)), x})
}
