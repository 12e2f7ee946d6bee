package torch

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// reduceOps make one number of many, along axes or of all.
func reduceOps() map[string]operator {
	out := map[string]operator{
		"sum":  {"self dim keepdim dtype", func(c *converter, a *args) value { return c.sum(a) }},
		"mean": {"self dim keepdim dtype", mean},
		"prod": {"self dim keepdim dtype", func(c *converter, a *args) value {
			x := c.whole(c.typed(a))
			return c.reduce("ReduceProd", x, a)
		}},
		"amax":           {"self dim keepdim", func(c *converter, a *args) value { return c.reduce("ReduceMax", a.ten("self"), a) }},
		"amin":           {"self dim keepdim", func(c *converter, a *args) value { return c.reduce("ReduceMin", a.ten("self"), a) }},
		"max":            {"self dim keepdim", func(c *converter, a *args) value { return c.best(a, "ReduceMax", "ArgMax", "Max") }},
		"min":            {"self dim keepdim", func(c *converter, a *args) value { return c.best(a, "ReduceMin", "ArgMin", "Min") }},
		"argmax":         {"self dim keepdim", func(c *converter, a *args) value { return c.where(a, "ArgMax") }},
		"argmin":         {"self dim keepdim", func(c *converter, a *args) value { return c.where(a, "ArgMin") }},
		"any":            {"self dim keepdim", func(c *converter, a *args) value { return c.quantified(a, "ReduceMax") }},
		"all":            {"self dim keepdim", func(c *converter, a *args) value { return c.quantified(a, "ReduceMin") }},
		"logsumexp":      {"self dim keepdim", func(c *converter, a *args) value { return c.reduce("ReduceLogSumExp", c.asFloat(a.ten("self")), a) }},
		"var":            {"self dim unbiased keepdim correction", func(c *converter, a *args) value { v, _ := c.variance(a); return v }},
		"std":            {"self dim unbiased keepdim correction", func(c *converter, a *args) value { v, _ := c.variance(a); return c.op("Sqrt", []any{v}) }},
		"var_mean":       {"self dim unbiased keepdim correction", func(c *converter, a *args) value { v, m := c.variance(a); return tuple{v, m} }},
		"std_mean":       {"self dim unbiased keepdim correction", func(c *converter, a *args) value { v, m := c.variance(a); return tuple{c.op("Sqrt", []any{v}), m} }},
		"norm":           {"self p dim keepdim dtype", normOp},
		"frobenius_norm": {"self dim keepdim", normOp},
		"cumsum": {"self dim dtype", func(c *converter, a *args) value {
			x := c.whole(c.typed(a))
			return c.op("CumSum", []any{x, c.scalarTensor(tensor.Int64, int64(a.axis("dim", c.rank(x), 0)))})
		}},
		"count_nonzero": {"self dim", func(c *converter, a *args) value {
			return c.reduce("ReduceSum", c.cast(c.asBool(a.ten("self")), tensor.Int64), a)
		}},
		"mse_loss": {"self target reduction", loss(func(c *converter, d *ten) *ten { return c.op("Mul", []any{d, d}) })},
		"l1_loss":  {"self target reduction", loss(func(c *converter, d *ten) *ten { return c.op("Abs", []any{d}) })},
	}
	return out
}

// typed gives the tensor in the element type that is asked for.
func (c *converter) typed(a *args) *ten {
	x := a.ten("self")
	if v, ok := a.dtype("dtype"); ok {
		return c.cast(x, c.dtypeOf(v))
	}
	return x
}

// whole makes whole numbers as wide as sums of them are.
func (c *converter) whole(x *ten) *ten {
	if category(c.dtype(x)) < 2 {
		return c.cast(x, tensor.Int64)
	}
	return x
}

// reduce works along the given axes, or along all.
func (c *converter) reduce(op string, x *ten, a *args) *ten {
	axes := a.axes("dim", c.rank(x))
	if vs, isList := items(a.get("dim")); isList && len(vs) == 0 {
		axes = nil
	}
	return c.reduceOver(op, x, axes, a.bool("keepdim", false))
}

func (c *converter) reduceOver(op string, x *ten, axes []int64, keep bool) *ten {
	if c.rank(x) == 0 {
		return x
	}
	if len(axes) == 0 {
		axes = c.order(x)
	}
	if op == "ReduceSum" {
		return c.sumOver(x, keep, axes...)
	}
	k := int64(0)
	if keep {
		k = 1
	}
	return c.op(op, []any{x}, onnx.AInts("axes", axes...), onnx.AInt("keepdims", k))
}

func (c *converter) sum(a *args) *ten { return c.reduce("ReduceSum", c.whole(c.typed(a)), a) }

func mean(c *converter, a *args) value {
	x := c.typed(a)
	if category(c.dtype(x)) < 2 {
		c.refuse("the mean of whole numbers is not supported")
	}
	return c.reduce("ReduceMean", x, a)
}

// best is the largest or smallest: of all, along an axis with its place, or of
// two tensors.
func (c *converter) best(a *args, op, arg, pair string) value {
	x := a.ten("self")
	if other, ok := a.get("dim").(*ten); ok && (other.scalar == nil || c.rank(x) != 0) {
		return c.pair(pair, x, other, c.promote(x, other))
	}
	if !a.has("dim") {
		return c.reduceOver(op, x, nil, false)
	}
	return tuple{c.reduce(op, x, a), c.where(a, arg)}
}

// where gives the place of the largest or smallest, the first of several.
func (c *converter) where(a *args, op string) *ten {
	x := a.ten("self")
	if c.dtype(x) == tensor.Bool {
		x = c.cast(x, tensor.Int32)
	}
	keep := int64(0)
	if a.bool("keepdim", false) {
		keep = 1
	}
	if !a.has("dim") {
		x = c.reshape(x, []value{int64(-1)})
		return c.op(op, []any{x}, onnx.AInt("axis", 0), onnx.AInt("keepdims", 0))
	}
	return c.op(op, []any{x}, onnx.AInt("axis", int64(a.axis("dim", c.rank(x), 0))), onnx.AInt("keepdims", keep))
}

func (c *converter) quantified(a *args, op string) *ten {
	x := c.cast(c.asBool(a.ten("self")), tensor.Int32)
	return c.asBool(c.reduce(op, x, a))
}

// variance divides by one less than the count, unless told otherwise.
func (c *converter) variance(a *args) (variance, mean *ten) {
	x := c.asFloat(a.ten("self"))
	less := 1.0
	if b, ok := a.get("dim").(bool); ok { // var(x, unbiased)
		a.vals["unbiased"], a.vals["dim"] = b, nil
	}
	if a.has("unbiased") && !a.bool("unbiased", true) {
		less = 0
	}
	if a.has("correction") {
		less = a.float("correction", 1)
	}
	axes := a.axes("dim", c.rank(x))
	if len(axes) == 0 {
		axes = c.order(x)
	}
	keep := a.bool("keepdim", false)
	m := c.op("ReduceMean", []any{x}, onnx.AInts("axes", axes...))
	d := c.op("Sub", []any{x, m})
	v := c.reduceOver("ReduceMean", c.op("Mul", []any{d, d}), axes, keep)
	if less != 0 {
		n := value(int64(1))
		for _, i := range axes {
			n = c.arithmetic("mul", n, c.shape(x)[i])
		}
		factor := c.arithmetic("div", n, c.arithmetic("sub", n, less))
		v = c.op("Mul", []any{v, c.operand(factor, c.dtype(v))})
	}
	if !keep {
		m = c.op("Squeeze", []any{m, c.ints(axes...)})
	}
	return v, m
}

func normOp(c *converter, a *args) value {
	x := c.typed(a)
	p := 2.0
	switch v := a.get("p").(type) {
	case string:
		if v != "fro" {
			c.refuse("a norm of %.40q is not supported", v)
		}
	case nil:
	default:
		p = a.float("p", 2)
	}
	axes := a.axes("dim", c.rank(x))
	return c.norm(x, p, axes, a.bool("keepdim", false))
}

// norm is (sum |x|^p)^(1/p).
func (c *converter) norm(x *ten, p float64, axes []int64, keep bool) *ten {
	switch {
	case p == 2:
		return c.reduceOver("ReduceL2", x, axes, keep)
	case p == 1:
		return c.reduceOver("ReduceL1", x, axes, keep)
	case math.IsInf(p, 1):
		return c.reduceOver("ReduceMax", c.op("Abs", []any{x}), axes, keep)
	case math.IsInf(p, -1):
		return c.reduceOver("ReduceMin", c.op("Abs", []any{x}), axes, keep)
	case p == 0:
		c.refuse("a norm of 0 is not supported")
	}
	t := c.dtype(x)
	y := c.op("Pow", []any{c.op("Abs", []any{x}), c.number(t, p)})
	return c.op("Pow", []any{c.reduceOver("ReduceSum", y, axes, keep), c.number(t, 1/p)})
}

// loss compares two tensors; reduction is 0 none, 1 mean, 2 sum.
func loss(f func(c *converter, d *ten) *ten) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		y := f(c, c.op("Sub", []any{a.ten("self"), a.ten("target")}))
		switch a.int("reduction", 1) {
		case 1:
			return c.reduceOver("ReduceMean", y, nil, false)
		case 2:
			return c.reduceOver("ReduceSum", y, nil, false)
		}
		return y
	}
}
