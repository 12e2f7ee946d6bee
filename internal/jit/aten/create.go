package aten

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxMade bounds arrays that are computed here.
const maxMade = 1 << 22

// createOps make tensors of numbers.
func createOps() map[string]operator {
	out := map[string]operator{
		"full": {"size fill_value dtype", func(c *converter, a *jit.Args) jit.Value {
			return c.filledWith(a, a.Sizes("size"), a.Get("fill_value"), tensor.Undefined)
		}},
		"full_like": {"self fill_value dtype", func(c *converter, a *jit.Args) jit.Value { return c.filledLike(a, a.Get("fill_value")) }},
		"new_full": {"self size fill_value dtype", func(c *converter, a *jit.Args) jit.Value {
			return c.filledWith(a, a.Sizes("size"), a.Get("fill_value"), c.Dtype(a.Tensor("self")))
		}},
		"arange":        {"a b c dtype", arange},
		"linspace":      {"start end steps dtype", linspace},
		"eye":           {"n m dtype", eye},
		"tensor":        {"data dtype requires_grad", tensorOf},
		"fill_diagonal": {"self value wrap", fillDiagonal},
	}
	for name, v := range map[string]jit.Value{"zeros": 0.0, "ones": 1.0, "empty": 0.0} {
		out[name] = operator{"size dtype", func(c *converter, a *jit.Args) jit.Value { return c.filledWith(a, a.Sizes("size"), v, tensor.Float32) }}
		out[name+"_like"] = operator{"self dtype", func(c *converter, a *jit.Args) jit.Value { return c.filledLike(a, v) }}
		out["new_"+name] = operator{"self size dtype", func(c *converter, a *jit.Args) jit.Value {
			return c.filledWith(a, a.Sizes("size"), v, c.Dtype(a.Tensor("self")))
		}}
	}
	return out
}

// filledWith makes a tensor that has one value everywhere.
func (c *converter) filledWith(a *jit.Args, shape []jit.Value, v jit.Value, t tensor.DType) *jit.Tensor {
	if d, ok := a.Dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	if x, ok := v.(*jit.Tensor); ok {
		known, isKnown := c.Content(x)
		if t == tensor.Undefined {
			t = c.Dtype(x)
		}
		if !isKnown {
			return c.expand(c.Cast(x, t), shape)
		}
		v = known
	}
	if t == tensor.Undefined {
		t = jit.ScalarType(v)
	}
	return c.full(shape, t, v)
}

func (c *converter) filledLike(a *jit.Args, v jit.Value) *jit.Tensor {
	x := a.Tensor("self")
	return c.filledWith(a, c.Shape(x), v, c.Dtype(x))
}

func (c *converter) full(shape []jit.Value, t tensor.DType, v jit.Value) *jit.Tensor {
	for _, d := range c.settleAll(shape) {
		for _, n := range c.Lift(d).N {
			if n < 0 || n > 1<<31 {
				c.Contradict("a tensor with an axis of %d is made", n)
			}
		}
	}
	if len(shape) == 0 {
		return c.operand(v, t)
	}
	if _, isNum := v.(*jit.Num); isNum {
		return c.Declare(c.Op("Expand", []any{c.operand(v, t), c.Vector(shape)}), t, shape)
	}
	w := c.B.Initializer(c.Use(c.operand(v, t)))
	data := tensor.Tensor{DType: t, Shape: []int64{1}, Data: w.Data}
	y := c.Declare(c.Op("ConstantOfShape", []any{c.Vector(shape)}, onnx.ATensor("value", data)), t, shape)
	y.Zero = !slices.ContainsFunc(w.Data, func(b byte) bool { return b != 0 })
	return y
}

func (c *converter) settleAll(vs []jit.Value) []jit.Value {
	for i, v := range vs {
		vs[i] = c.Settle(c.Lift(v))
	}
	return vs
}

// arange is arange(end), arange(start, end) or arange(start, end, step).
func arange(c *converter, a *jit.Args) jit.Value {
	from, to, by := jit.Value(int64(0)), a.Get("a"), jit.Value(int64(1))
	if v, ok := a.Vals["end"]; ok {
		to = v
	}
	if a.Has("b") {
		from, to = a.Get("a"), a.Get("b")
	}
	if a.Has("c") {
		by = a.Get("c")
	}
	from, to, by = c.Settle(c.Lift(from)), c.Settle(c.Lift(to)), c.Settle(c.Lift(by))
	t := tensor.Int64
	for _, v := range []jit.Value{from, to, by} {
		if jit.ScalarType(v) == tensor.Float32 {
			t = tensor.Float32
		}
	}
	want := t
	if d, ok := a.Dtype("dtype"); ok {
		want = c.dtypeOf(d)
	}
	count := c.Whole(c.Arithmetic("div", c.Arithmetic("sub", to, from), by), math.Ceil, "Ceil")
	if n, ok := count.(int64); ok {
		return c.sequence(n, c.Lift(from).Floats()[0], c.Lift(by).Floats()[0], want)
	}
	if t == tensor.Int64 && from == int64(0) && by == int64(1) {
		return c.Cast(c.rangeOf(from, to), want)
	}
	y := c.Op("Range", []any{c.ScalarTensor(t, from), c.ScalarTensor(t, to), c.ScalarTensor(t, by)})
	return c.Cast(c.Declare(y, t, []jit.Value{count}), want)
}

// sequence makes n numbers, each further by a step.
func (c *converter) sequence(n int64, from, by float64, t tensor.DType) *jit.Tensor {
	if n < 1 || n > maxMade {
		c.Contradict("a sequence of %d numbers is made", n)
	}
	if jit.Category(t) == 1 {
		vs := make([]int64, n)
		for i := range vs {
			vs[i] = int64(from) + int64(i)*int64(by)
		}
		return c.Cast(&jit.Tensor{Name: c.Constant("range", tensor.Of(vs, n))}, t)
	}
	vs := make([]float32, n)
	for i := range vs {
		vs[i] = float32(from + float64(i)*by)
	}
	return c.Cast(&jit.Tensor{Name: c.Constant("range", tensor.Of(vs, n))}, t)
}

func linspace(c *converter, a *jit.Args) jit.Value {
	from, to, n := a.Float("start", 0), a.Float("end", 1), a.Sizes("steps")[0]
	t := tensor.Float32
	if d, ok := a.Dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	steps, ok := n.(int64)
	if !ok {
		// from + i*(to-from)/(n-1)
		i := c.Cast(c.rangeOf(int64(0), n), t)
		by := c.Arithmetic("div", to-from, c.Arithmetic("sub", n, int64(1)))
		return c.plus(c.Op("Mul", []any{i, c.operand(by, t)}), from)
	}
	by := 0.0
	if steps > 1 {
		by = (to - from) / float64(steps-1)
	}
	return c.sequence(steps, from, by, t)
}

func eye(c *converter, a *jit.Args) jit.Value {
	n := a.Int("n", 1)
	m := a.Int("m", n)
	if n < 1 || m < 1 || n > maxMade/m {
		c.Contradict("a matrix of %dx%d is made", n, m)
	}
	vs := make([]float32, n*m)
	for i := range min(n, m) {
		vs[i*m+i] = 1
	}
	t := tensor.Float32
	if d, ok := a.Dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	return c.Cast(&jit.Tensor{Name: c.Constant("eye", tensor.Of(vs, n, m))}, t)
}

// tensorOf makes a tensor of a number or of lists of numbers.
func tensorOf(c *converter, a *jit.Args) jit.Value {
	v := a.Get("data")
	t := tensor.Undefined
	if d, ok := a.Dtype("dtype"); ok {
		t = c.dtypeOf(d)
	}
	if x, ok := v.(*jit.Tensor); ok {
		if t == tensor.Undefined {
			return &jit.Tensor{Name: c.Use(x)}
		}
		return c.Cast(x, t)
	}
	if jit.IsNumber(v) {
		if t == tensor.Undefined {
			t = jit.ScalarType(v)
		}
		if jit.Category(t) < 2 && c.Lift(v).Float {
			v = c.Whole(v, math.Trunc)
		}
		if jit.Category(t) == 2 && !c.Lift(v).Float {
			v = c.Single(v, func(f float64) float64 { return f })
		}
		return &jit.Tensor{Scalar: v, Dtype: t}
	}
	var flat []jit.Value
	shape := c.nested(v, &flat, 0)
	for _, e := range flat {
		if x, ok := e.(*jit.Tensor); ok {
			t = jit.Wider(t, c.Dtype(x))
		} else if !a.Has("dtype") {
			t = jit.Wider(t, jit.ScalarType(e))
		}
	}
	return c.listTensor(flat, shape, t)
}

// nested gives the numbers of lists within lists, and their shape.
func (c *converter) nested(v jit.Value, flat *[]jit.Value, depth int) []jit.Value {
	vs, ok := jit.Items(v)
	if !ok {
		*flat = append(*flat, v)
		return nil
	}
	if depth > 8 || len(*flat) > maxMade {
		c.Refuse("its lists are too deep or too long")
	}
	var inner []jit.Value
	for _, e := range vs {
		inner = c.nested(e, flat, depth+1)
	}
	return append([]jit.Value{int64(len(vs))}, inner...)
}

func (c *converter) listTensor(flat, shape []jit.Value, t tensor.DType) jit.Value {
	if len(flat) == 0 {
		return &jit.Tensor{Name: c.Constant("empty", tensor.Of([]float32{}, 0))}
	}
	var parts []any
	plain := true
	for _, e := range flat {
		plain = plain && jit.IsNumber(e)
		_, isNum := e.(*jit.Num)
		plain = plain && !isNum
	}
	if plain {
		vs := make([]float64, len(flat))
		for i, e := range flat {
			vs[i] = c.Lift(e).Floats()[0]
		}
		dims := make([]int64, len(shape))
		for i, d := range shape {
			dims[i] = c.Lift(d).N[0]
		}
		if n, err := tensor.Elements(dims); err != nil || n != int64(len(vs)) {
			c.Contradict("lists of different lengths make no tensor")
		}
		name := c.Constant("values", tensor.Of(vs, dims...))
		return c.Cast(&jit.Tensor{Name: name}, t)
	}
	for _, e := range flat {
		x := c.operand(e, t)
		parts = append(parts, c.Op("Unsqueeze", []any{x, c.Ints(0)}))
	}
	return c.reshape(c.Op("Concat", parts, onnx.AInt("axis", 0)), shape)
}

// fillDiagonal sets the elements of a matrix whose places are the same.
func fillDiagonal(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if c.Rank(x) != 2 {
		c.Refuse("only matrices are supported")
	}
	s := c.Shape(x)
	row := c.unsqueeze(c.rangeOf(int64(0), s[0]), 1)
	column := c.unsqueeze(c.rangeOf(int64(0), s[1]), 0)
	return c.Op("Where", []any{c.Op("Equal", []any{row, column}), c.operand(a.Get("value"), c.Dtype(x)), x})
}
