// Package aten makes the operators of PyTorch out of those of ONNX: each by the
// name that code of TorchScript calls it by, with the settings that it has there.
package aten

import (
	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Operators are the operators of tensors, by PyTorch's name without "aten::".
// What works in place has the same name, without the underscore.
func Operators() map[string]jit.Operator {
	out := map[string]jit.Operator{}
	for _, group := range []map[string]operator{
		unaryOps(), activations(), binaryOps(), linearOps(), spatialOps(), resizeOps(), normOps(), shapeOps(), joinOps(), indexOps(), reduceOps(), createOps(),
		recurrentOps(), attentionOps(), furtherOps(),
	} {
		for name, o := range group {
			out[name] = jit.Operator{Params: o.params, F: func(c *jit.Converter, a *jit.Args) jit.Value { return o.f(&converter{c}, a) }}
		}
	}
	return out
}

// converter is the one of package jit, with what operators share.
type converter struct{ *jit.Converter }

// operator is an operator: the names of its parameters, in order, and what makes
// its nodes.
type operator struct {
	params string
	f      func(c *converter, a *jit.Args) jit.Value
}

// direct makes the operators that are one operator of ONNX. Those of floats take
// whole numbers too, as float32.
func unaryOps() map[string]operator {
	out := map[string]operator{}
	for name, op := range map[string]string{"abs": "Abs", "neg": "Neg", "sign": "Sign", "relu": "Relu"} {
		out[name] = operator{"self", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			if op == "Relu" && jit.Category(c.Dtype(x)) == 1 {
				return c.Op("Max", []any{x, c.Number(c.Dtype(x), 0)})
			}
			return c.Op(op, []any{x})
		}}
	}
	for name, op := range map[string]string{
		"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
		"sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "sigmoid": "Sigmoid", "tanh": "Tanh",
		"erf": "Erf", "reciprocal": "Reciprocal",
	} {
		out[name] = operator{"self", func(c *converter, a *jit.Args) jit.Value { return c.Op(op, []any{c.asFloat(a.Tensor("self"))}) }}
	}
	for name, op := range map[string]string{"floor": "Floor", "ceil": "Ceil", "round": "Round"} {
		out[name] = operator{"self decimals", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			if jit.Category(c.Dtype(x)) < 2 {
				return x
			}
			if d := a.Int("decimals", 0); d != 0 {
				c.Refuse("decimals %d are not supported", d)
			}
			return c.Op(op, []any{x})
		}}
	}
	for name, f := range composed() {
		out[name] = operator{"self", func(c *converter, a *jit.Args) jit.Value { return f(c, c.asFloat(a.Tensor("self"))) }}
	}
	for name, f := range tests() {
		out[name] = operator{"self", func(c *converter, a *jit.Args) jit.Value { return f(c, a.Tensor("self")) }}
	}
	return out
}

// composed are functions of one float.
func composed() map[string]func(c *converter, x *jit.Tensor) *jit.Tensor {
	return map[string]func(c *converter, x *jit.Tensor) *jit.Tensor{
		"rsqrt": func(c *converter, x *jit.Tensor) *jit.Tensor {
			return c.Op("Reciprocal", []any{c.Op("Sqrt", []any{x})})
		},
		"square": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("Mul", []any{x, x}) },
		"log2": func(c *converter, x *jit.Tensor) *jit.Tensor {
			return c.scale(c.Op("Log", []any{x}), 1.4426950408889634)
		},
		"log10": func(c *converter, x *jit.Tensor) *jit.Tensor {
			return c.scale(c.Op("Log", []any{x}), 0.4342944819032518)
		},
		"log1p": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("Log", []any{c.plus(x, 1)}) },
		"expm1": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.plus(c.Op("Exp", []any{x}), -1) },
		"exp2": func(c *converter, x *jit.Tensor) *jit.Tensor {
			return c.Op("Exp", []any{c.scale(x, 0.6931471805599453)})
		},
		"trunc":       truncated,
		"frac":        func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("Sub", []any{x, truncated(c, x)}) },
		"log_sigmoid": logSigmoid,
		"erfc": func(c *converter, x *jit.Tensor) *jit.Tensor {
			return c.plus(c.Op("Neg", []any{c.Op("Erf", []any{x})}), 1)
		},
		"deg2rad": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.scale(x, 0.017453292519943295) },
		"rad2deg": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.scale(x, 57.29577951308232) },
	}
}

func truncated(c *converter, x *jit.Tensor) *jit.Tensor {
	return c.Op("Mul", []any{c.Op("Sign", []any{x}), c.Op("Floor", []any{c.Op("Abs", []any{x})})})
}

// logSigmoid is -softplus(-x), which does not overflow.
func logSigmoid(c *converter, x *jit.Tensor) *jit.Tensor {
	return c.Op("Neg", []any{c.Op("Softplus", []any{c.Op("Neg", []any{x})})})
}

// tests are functions that give true or false, and those of bits.
func tests() map[string]func(c *converter, x *jit.Tensor) *jit.Tensor {
	return map[string]func(c *converter, x *jit.Tensor) *jit.Tensor{
		"isnan": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("IsNaN", []any{c.asFloat(x)}) },
		"isinf": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("IsInf", []any{c.asFloat(x)}) },
		"isfinite": func(c *converter, x *jit.Tensor) *jit.Tensor {
			x = c.asFloat(x)
			return c.Op("Not", []any{c.Op("Or", []any{c.Op("IsNaN", []any{x}), c.Op("IsInf", []any{x})})})
		},
		"logical_not": func(c *converter, x *jit.Tensor) *jit.Tensor { return c.Op("Not", []any{c.asBool(x)}) },
		"bitwise_not": func(c *converter, x *jit.Tensor) *jit.Tensor {
			if t := c.Dtype(x); t != tensor.Bool {
				return c.Op("Sub", []any{c.Op("Neg", []any{x}), c.Number(t, 1)})
			}
			return c.Op("Not", []any{x})
		},
	}
}

func (c *converter) asFloat(x *jit.Tensor) *jit.Tensor {
	if jit.Category(c.Dtype(x)) < 2 {
		return c.Cast(x, tensor.Float32)
	}
	return x
}

func (c *converter) asBool(x *jit.Tensor) *jit.Tensor { return c.Cast(x, tensor.Bool) }

// scale and plus compute with one number of the tensor's own type.
func (c *converter) scale(x *jit.Tensor, by float64) *jit.Tensor {
	if by == 1 {
		return x
	}
	return c.Op("Mul", []any{x, c.Number(c.Dtype(x), by)})
}

func (c *converter) plus(x *jit.Tensor, n float64) *jit.Tensor {
	if n == 0 {
		return x
	}
	return c.Op("Add", []any{x, c.Number(c.Dtype(x), n)})
}

// operand gives a value as a tensor of a type.
func (c *converter) operand(v jit.Value, t tensor.DType) *jit.Tensor {
	if x, ok := v.(*jit.Tensor); ok {
		return c.Cast(x, t)
	}
	x := &jit.Tensor{Scalar: v, Dtype: jit.ScalarType(v)}
	if _, isNum := v.(*jit.Num); isNum {
		return c.Cast(x, t)
	}
	x.Dtype = t
	return x
}

// elementwise adds a node of two operands, both of the same type.
func (c *converter) pair(op string, a, b jit.Value, t tensor.DType) *jit.Tensor {
	return c.Op(op, []any{c.operand(a, t), c.operand(b, t)})
}

func binaryOps() map[string]operator {
	out := map[string]operator{
		"add": {"self other alpha", func(c *converter, a *jit.Args) jit.Value {
			return c.addScaled("Add", a.Get("self"), a.Get("other"), a.Get("alpha"))
		}},
		"sub": {"self other alpha", func(c *converter, a *jit.Args) jit.Value {
			return c.addScaled("Sub", a.Get("self"), a.Get("other"), a.Get("alpha"))
		}},
		"rsub": {"self other alpha", func(c *converter, a *jit.Args) jit.Value {
			return c.addScaled("Sub", a.Get("other"), a.Get("self"), a.Get("alpha"))
		}},
		"mul":          {"self other", func(c *converter, a *jit.Args) jit.Value { return c.multiply(a.Get("self"), a.Get("other")) }},
		"div":          {"self other rounding_mode", divide},
		"floor_divide": {"self other", func(c *converter, a *jit.Args) jit.Value { return c.floorDivide(a.Get("self"), a.Get("other")) }},
		"remainder":    {"self other", func(c *converter, a *jit.Args) jit.Value { return c.remainder(a.Get("self"), a.Get("other")) }},
		"fmod": {"self other", func(c *converter, a *jit.Args) jit.Value {
			x, y := a.Get("self"), a.Get("other")
			t := c.Promote(x, y)
			return c.Op("Mod", []any{c.operand(x, t), c.operand(y, t)}, onnx.AInt("fmod", 1))
		}},
		"pow":         {"self exponent", power},
		"maximum":     {"self other", extreme("Max")},
		"minimum":     {"self other", extreme("Min")},
		"clamp":       {"self min max", clamp},
		"clamp_min":   {"self min", clamp},
		"clamp_max":   {"self max", clamp},
		"where":       {"condition self other", where},
		"masked_fill": {"self mask value", maskedFill},
		"lerp": {"self end weight", func(c *converter, a *jit.Args) jit.Value {
			x, w := a.Tensor("self"), a.Get("weight")
			d := c.pair("Sub", a.Get("end"), x, c.Dtype(x))
			return c.Op("Add", []any{x, c.multiply(d, w)})
		}},
		"addcmul": {"self tensor1 tensor2 value", func(c *converter, a *jit.Args) jit.Value {
			m := c.multiply(a.Get("tensor1"), a.Get("tensor2"))
			return c.addScaled("Add", a.Get("self"), m, a.Get("value"))
		}},
		"addcdiv": {"self tensor1 tensor2 value", func(c *converter, a *jit.Args) jit.Value {
			x, y := a.Get("tensor1"), a.Get("tensor2")
			return c.addScaled("Add", a.Get("self"), c.pair("Div", x, y, c.floating(x, y)), a.Get("value"))
		}},
		"atan2":      {"self other", atan2},
		"nan_to_num": {"self nan posinf neginf", nanToNum},
	}
	for name, op := range map[string]string{"eq": "Equal", "lt": "Less", "gt": "Greater", "le": "LessOrEqual", "ge": "GreaterOrEqual", "ne": ""} {
		out[name] = operator{"self other", comparison(op)}
	}
	for name, op := range map[string]string{
		"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor",
		"__and__": "And", "__or__": "Or", "__xor__": "Xor",
	} {
		out[name] = operator{"self other", func(c *converter, a *jit.Args) jit.Value {
			x, y := a.Get("self"), a.Get("other")
			if name[:2] != "lo" && c.Promote(x, y) != tensor.Bool {
				c.Refuse("bits of whole numbers are not supported")
			}
			return c.Op(op, []any{c.asBool(c.tenOf(x)), c.asBool(c.tenOf(y))})
		}}
	}
	return out
}

// tenOf gives a value as a tensor of its own type.
func (c *converter) tenOf(v jit.Value) *jit.Tensor {
	if x, ok := v.(*jit.Tensor); ok {
		return x
	}
	return &jit.Tensor{Scalar: v, Dtype: jit.ScalarType(v)}
}

// floating is promote, for operations that give floats.
func (c *converter) floating(vs ...jit.Value) tensor.DType {
	if t := c.Promote(vs...); jit.Category(t) == 2 {
		return t
	}
	return tensor.Float32
}

func (c *converter) addScaled(op string, x, y, alpha jit.Value) *jit.Tensor {
	t := c.Promote(x, y)
	if t == tensor.Bool {
		if op == "Sub" {
			c.Refuse("booleans cannot be subtracted")
		}
		return c.Op("Or", []any{c.tenOf(x), c.tenOf(y)})
	}
	if alpha != nil && alpha != int64(1) && alpha != 1.0 {
		y = c.pair("Mul", y, alpha, t)
	}
	return c.pair(op, x, y, t)
}

func (c *converter) multiply(x, y jit.Value) *jit.Tensor {
	t := c.Promote(x, y)
	if t == tensor.Bool {
		return c.Op("And", []any{c.tenOf(x), c.tenOf(y)})
	}
	return c.pair("Mul", x, y, t)
}

func divide(c *converter, a *jit.Args) jit.Value {
	x, y := a.Get("self"), a.Get("other")
	switch mode := a.Str("rounding_mode", ""); mode {
	case "floor":
		return c.floorDivide(x, y)
	case "trunc":
		if t := c.Promote(x, y); jit.Category(t) < 2 {
			return c.pair("Div", x, y, t)
		}
		return truncated(c, c.pair("Div", x, y, c.Promote(x, y)))
	case "":
		return c.pair("Div", x, y, c.floating(x, y))
	default:
		c.Refuse("rounding_mode %.40s is not supported", mode)
	}
	return nil
}

// floorDivide rounds down; ONNX's division of whole numbers rounds towards zero.
func (c *converter) floorDivide(x, y jit.Value) *jit.Tensor {
	t := c.Promote(x, y)
	if jit.Category(t) == 2 {
		return c.Op("Floor", []any{c.pair("Div", x, y, t)})
	}
	return c.pair("Div", c.pair("Sub", x, c.pair("Mod", x, y, t), t), y, t)
}

func (c *converter) remainder(x, y jit.Value) *jit.Tensor {
	t := c.Promote(x, y)
	if jit.Category(t) < 2 {
		return c.pair("Mod", x, y, t)
	}
	return c.pair("Sub", x, c.pair("Mul", c.Op("Floor", []any{c.pair("Div", x, y, t)}), y, t), t)
}

func power(c *converter, a *jit.Args) jit.Value {
	x, y := a.Get("self"), a.Get("exponent")
	t := c.Promote(x, y)
	switch y {
	case int64(1), 1.0:
		return c.Op("Identity", []any{c.operand(x, t)})
	case int64(2), 2.0:
		p := c.operand(x, t)
		return c.Op("Mul", []any{p, p})
	case 0.5:
		return c.Op("Sqrt", []any{c.operand(x, t)})
	}
	return c.pair("Pow", x, y, t)
}

func extreme(op string) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		x, y := a.Get("self"), a.Get("other")
		return c.pair(op, x, y, c.Promote(x, y))
	}
}

func clamp(c *converter, a *jit.Args) jit.Value {
	x := a.Get("self")
	t := c.Promote(x)
	for _, name := range []string{"min", "max"} {
		if v := a.Get(name); v != nil {
			t = c.Promote(&jit.Tensor{Scalar: int64(0), Dtype: t}, v)
			if jit.IsTensor(v) {
				t = c.Promote(x, v)
			}
		}
	}
	x = c.operand(x, t)
	if v := a.Get("min"); v != nil {
		x = c.pair("Max", x, v, t)
	}
	if v := a.Get("max"); v != nil {
		x = c.pair("Min", x, v, t)
	}
	return x
}

func comparison(op string) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		x, y := a.Get("self"), a.Get("other")
		t := c.Promote(x, y)
		if t == tensor.Bool && op != "Equal" && op != "" {
			t = tensor.Int32
		}
		if op == "" {
			return c.Op("Not", []any{c.pair("Equal", x, y, t)})
		}
		return c.pair(op, x, y, t)
	}
}

func where(c *converter, a *jit.Args) jit.Value {
	if !a.Has("other") {
		c.Refuse("where without values gives as many numbers as there are, which is not supported")
	}
	x, y := a.Get("self"), a.Get("other")
	t := c.Promote(x, y)
	return c.Op("Where", []any{c.asBool(a.Tensor("condition")), c.operand(x, t), c.operand(y, t)})
}

func maskedFill(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	return c.Op("Where", []any{c.asBool(a.Tensor("mask")), c.operand(a.Get("value"), c.Dtype(x)), x})
}

// atan2 puts the angle into the right quarter.
func atan2(c *converter, a *jit.Args) jit.Value {
	t := c.floating(a.Get("self"), a.Get("other"))
	y, x := c.operand(a.Get("self"), t), c.operand(a.Get("other"), t)
	zero, pi := c.Number(t, 0), c.Number(t, 3.141592653589793)
	angle := c.Op("Atan", []any{c.Op("Div", []any{y, x})})
	turn := c.Op("Where", []any{c.Op("Less", []any{y, zero}), c.Op("Neg", []any{&jit.Tensor{Name: pi}}), pi})
	behind := c.Op("Where", []any{c.Op("Less", []any{x, zero}), turn, zero})
	origin := c.Op("And", []any{c.Op("Equal", []any{y, zero}), c.Op("Equal", []any{x, zero})})
	return c.Op("Where", []any{origin, zero, c.Op("Add", []any{angle, behind})})
}

func nanToNum(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	t := c.Dtype(x)
	if jit.Category(t) < 2 {
		return x
	}
	const most = 3.4028234663852886e38
	out := c.Op("Where", []any{c.Op("IsNaN", []any{x}), c.Number(t, a.Float("nan", 0)), x})
	above := c.Op("IsInf", []any{x}, onnx.AInt("detect_negative", 0))
	below := c.Op("IsInf", []any{x}, onnx.AInt("detect_positive", 0))
	out = c.Op("Where", []any{above, c.Number(t, a.Float("posinf", most)), out})
	return c.Op("Where", []any{below, c.Number(t, a.Float("neginf", -most)), out})
}
