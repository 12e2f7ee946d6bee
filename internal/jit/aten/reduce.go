package aten

import (
	"math"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// reduceOps make one number of many, along axes or of all.
func reduceOps() map[string]operator {
	out := map[string]operator{
		"sum":  {"self dim keepdim dtype", func(c *converter, a *jit.Args) jit.Value { return c.sum(a) }},
		"mean": {"self dim keepdim dtype", mean},
		"prod": {"self dim keepdim dtype", func(c *converter, a *jit.Args) jit.Value {
			x := c.whole(c.typed(a))
			return c.reduce("ReduceProd", x, a)
		}},
		"amax":   {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.reduce("ReduceMax", a.Tensor("self"), a) }},
		"amin":   {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.reduce("ReduceMin", a.Tensor("self"), a) }},
		"max":    {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.best(a, "ReduceMax", "ArgMax", "Max") }},
		"min":    {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.best(a, "ReduceMin", "ArgMin", "Min") }},
		"argmax": {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.where(a, "ArgMax") }},
		"argmin": {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.where(a, "ArgMin") }},
		"any":    {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.quantified(a, "ReduceMax") }},
		"all":    {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value { return c.quantified(a, "ReduceMin") }},
		"logsumexp": {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value {
			return c.reduce("ReduceLogSumExp", c.asFloat(a.Tensor("self")), a)
		}},
		"var":      {"self dim unbiased keepdim correction", func(c *converter, a *jit.Args) jit.Value { v, _ := c.variance(a); return v }},
		"std":      {"self dim unbiased keepdim correction", func(c *converter, a *jit.Args) jit.Value { v, _ := c.variance(a); return c.Op("Sqrt", []any{v}) }},
		"var_mean": {"self dim unbiased keepdim correction", func(c *converter, a *jit.Args) jit.Value { v, m := c.variance(a); return jit.Tuple{v, m} }},
		"std_mean": {"self dim unbiased keepdim correction", func(c *converter, a *jit.Args) jit.Value {
			v, m := c.variance(a)
			return jit.Tuple{c.Op("Sqrt", []any{v}), m}
		}},
		"norm":           {"self p dim keepdim dtype", normOp},
		"frobenius_norm": {"self dim keepdim", normOp},
		"cumsum": {"self dim dtype", func(c *converter, a *jit.Args) jit.Value {
			x := c.whole(c.typed(a))
			return c.Op("CumSum", []any{x, c.ScalarTensor(tensor.Int64, int64(a.Axis("dim", c.Rank(x), 0)))})
		}},
		"count_nonzero": {"self dim", func(c *converter, a *jit.Args) jit.Value {
			return c.reduce("ReduceSum", c.Cast(c.asBool(a.Tensor("self")), tensor.Int64), a)
		}},
		"mse_loss": {"self target reduction", loss(func(c *converter, d *jit.Tensor) *jit.Tensor { return c.Op("Mul", []any{d, d}) })},
		"l1_loss":  {"self target reduction", loss(func(c *converter, d *jit.Tensor) *jit.Tensor { return c.Op("Abs", []any{d}) })},
	}
	return out
}

// keeps is 1 where axes stay as ones, else 0.
func keeps(a *jit.Args) int64 {
	if a.Bool("keepdim", false) {
		return 1
	}
	return 0
}

// typed gives the tensor in the element type that is asked for.
func (c *converter) typed(a *jit.Args) *jit.Tensor {
	x := a.Tensor("self")
	if v, ok := a.Dtype("dtype"); ok {
		return c.Cast(x, c.dtypeOf(v))
	}
	return x
}

// whole makes whole numbers as wide as sums of them are.
func (c *converter) whole(x *jit.Tensor) *jit.Tensor {
	if jit.Category(c.Dtype(x)) < 2 {
		return c.Cast(x, tensor.Int64)
	}
	return x
}

// reduce works along the given axes, or along all.
func (c *converter) reduce(op string, x *jit.Tensor, a *jit.Args) *jit.Tensor {
	axes := a.Axes("dim", c.Rank(x))
	if vs, isList := jit.Items(a.Get("dim")); isList && len(vs) == 0 {
		axes = nil
	}
	return c.reduceOver(op, x, axes, keeps(a))
}

func (c *converter) reduceOver(op string, x *jit.Tensor, axes []int64, keep int64) *jit.Tensor {
	if c.Rank(x) == 0 {
		return x
	}
	if len(axes) == 0 {
		axes = c.order(x)
	}
	if op == "ReduceSum" {
		return c.sumOver(x, keep, axes...)
	}
	return c.Op(op, []any{x}, onnx.AInts("axes", axes...), onnx.AInt("keepdims", keep))
}

func (c *converter) sum(a *jit.Args) *jit.Tensor {
	return c.reduce("ReduceSum", c.whole(c.typed(a)), a)
}

func mean(c *converter, a *jit.Args) jit.Value {
	x := c.typed(a)
	if jit.Category(c.Dtype(x)) < 2 {
		c.Refuse("the mean of whole numbers is not supported")
	}
	return c.reduce("ReduceMean", x, a)
}

// best is the largest or smallest: of all, along an axis with its place, or of
// two tensors.
func (c *converter) best(a *jit.Args, op, arg, pair string) jit.Value {
	x := a.Tensor("self")
	if other, ok := a.Get("dim").(*jit.Tensor); ok && (other.Scalar == nil || c.Rank(x) != 0) {
		return c.pair(pair, x, other, c.Promote(x, other))
	}
	if !a.Has("dim") {
		return c.reduceOver(op, x, nil, 0)
	}
	return jit.Tuple{c.reduce(op, x, a), c.where(a, arg)}
}

// where gives the place of the largest or smallest, the first of several.
func (c *converter) where(a *jit.Args, op string) *jit.Tensor {
	x := a.Tensor("self")
	if c.Dtype(x) == tensor.Bool {
		x = c.Cast(x, tensor.Int32)
	}
	keep := keeps(a)
	if !a.Has("dim") {
		x = c.reshape(x, []jit.Value{int64(-1)})
		return c.Op(op, []any{x}, onnx.AInt("axis", 0), onnx.AInt("keepdims", 0))
	}
	return c.Op(op, []any{x}, onnx.AInt("axis", int64(a.Axis("dim", c.Rank(x), 0))), onnx.AInt("keepdims", keep))
}

func (c *converter) quantified(a *jit.Args, op string) *jit.Tensor {
	x := c.Cast(c.asBool(a.Tensor("self")), tensor.Int32)
	return c.asBool(c.reduce(op, x, a))
}

// variance divides by one less than the count, unless told otherwise.
func (c *converter) variance(a *jit.Args) (variance, mean *jit.Tensor) {
	x := c.asFloat(a.Tensor("self"))
	less := 1.0
	if b, ok := a.Get("dim").(bool); ok { // var(x, unbiased)
		a.Vals["unbiased"], a.Vals["dim"] = b, nil
	}
	if a.Has("unbiased") && !a.Bool("unbiased", true) {
		less = 0
	}
	if a.Has("correction") {
		less = a.Float("correction", 1)
	}
	axes := a.Axes("dim", c.Rank(x))
	if len(axes) == 0 {
		axes = c.order(x)
	}
	keep := keeps(a)
	m := c.Op("ReduceMean", []any{x}, onnx.AInts("axes", axes...))
	d := c.Op("Sub", []any{x, m})
	v := c.reduceOver("ReduceMean", c.Op("Mul", []any{d, d}), axes, keep)
	if less != 0 {
		n := jit.Value(int64(1))
		for _, i := range axes {
			n = c.Arithmetic("mul", n, c.Shape(x)[i])
		}
		factor := c.Arithmetic("div", n, c.Arithmetic("sub", n, less))
		v = c.Op("Mul", []any{v, c.operand(factor, c.Dtype(v))})
	}
	if keep == 0 {
		m = c.Op("Squeeze", []any{m, c.Ints(axes...)})
	}
	return v, m
}

func normOp(c *converter, a *jit.Args) jit.Value {
	x := c.typed(a)
	p := 2.0
	switch v := a.Get("p").(type) {
	case string:
		if v != "fro" {
			c.Refuse("a norm of %.40q is not supported", v)
		}
	case nil:
	default:
		p = a.Float("p", 2)
	}
	axes := a.Axes("dim", c.Rank(x))
	return c.norm(x, p, axes, keeps(a))
}

// norm is (sum |x|^p)^(1/p).
func (c *converter) norm(x *jit.Tensor, p float64, axes []int64, keep int64) *jit.Tensor {
	switch {
	case p == 2:
		return c.reduceOver("ReduceL2", x, axes, keep)
	case p == 1:
		return c.reduceOver("ReduceL1", x, axes, keep)
	case math.IsInf(p, 1):
		return c.reduceOver("ReduceMax", c.Op("Abs", []any{x}), axes, keep)
	case math.IsInf(p, -1):
		return c.reduceOver("ReduceMin", c.Op("Abs", []any{x}), axes, keep)
	case p == 0:
		c.Refuse("a norm of 0 is not supported")
	}
	t := c.Dtype(x)
	y := c.Op("Pow", []any{c.Op("Abs", []any{x}), c.Number(t, p)})
	return c.Op("Pow", []any{c.reduceOver("ReduceSum", y, axes, keep), c.Number(t, 1/p)})
}

// loss compares two tensors; reduction is 0 none, 1 mean, 2 sum.
func loss(f func(c *converter, d *jit.Tensor) *jit.Tensor) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		y := f(c, c.Op("Sub", []any{a.Tensor("self"), a.Tensor("target")}))
		switch a.Int("reduction", 1) {
		case 1:
			return c.reduceOver("ReduceMean", y, nil, 0)
		case 2:
			return c.reduceOver("ReduceSum", y, nil, 0)
		}
		return y
	}
}
