package torch

import (
	"maps"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// allOperators are the operators of tensors, by PyTorch's name without "aten::".
// What works in place has the same name, without the underscore.
func allOperators() map[string]operator {
	out := map[string]operator{}
	for _, group := range []map[string]operator{
		unaryOps(), activations(), binaryOps(), linearOps(), spatialOps(), resizeOps(), normOps(), shapeOps(), joinOps(), indexOps(), reduceOps(), createOps(),
		recurrentOps(), attentionOps(),
	} {
		maps.Copy(out, group)
	}
	return out
}

// direct makes the operators that are one operator of ONNX. Those of floats take
// whole numbers too, as float32.
func unaryOps() map[string]operator {
	out := map[string]operator{}
	for name, op := range map[string]string{"abs": "Abs", "neg": "Neg", "sign": "Sign", "relu": "Relu"} {
		out[name] = operator{"self", func(c *converter, a *args) value {
			x := a.ten("self")
			if op == "Relu" && category(c.dtype(x)) == 1 {
				return c.op("Max", []any{x, c.number(c.dtype(x), 0)})
			}
			return c.op(op, []any{x})
		}}
	}
	for name, op := range map[string]string{
		"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
		"sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "sigmoid": "Sigmoid", "tanh": "Tanh",
		"erf": "Erf", "reciprocal": "Reciprocal",
	} {
		out[name] = operator{"self", func(c *converter, a *args) value { return c.op(op, []any{c.asFloat(a.ten("self"))}) }}
	}
	for name, op := range map[string]string{"floor": "Floor", "ceil": "Ceil", "round": "Round"} {
		out[name] = operator{"self decimals", func(c *converter, a *args) value {
			x := a.ten("self")
			if category(c.dtype(x)) < 2 {
				return x
			}
			if d := a.int("decimals", 0); d != 0 {
				c.refuse("decimals %d are not supported", d)
			}
			return c.op(op, []any{x})
		}}
	}
	for name, f := range composed() {
		out[name] = operator{"self", func(c *converter, a *args) value { return f(c, c.asFloat(a.ten("self"))) }}
	}
	for name, f := range tests() {
		out[name] = operator{"self", func(c *converter, a *args) value { return f(c, a.ten("self")) }}
	}
	return out
}

// composed are functions of one float.
func composed() map[string]func(c *converter, x *ten) *ten {
	return map[string]func(c *converter, x *ten) *ten{
		"rsqrt":       func(c *converter, x *ten) *ten { return c.op("Reciprocal", []any{c.op("Sqrt", []any{x})}) },
		"square":      func(c *converter, x *ten) *ten { return c.op("Mul", []any{x, x}) },
		"log2":        func(c *converter, x *ten) *ten { return c.scale(c.op("Log", []any{x}), 1.4426950408889634) },
		"log10":       func(c *converter, x *ten) *ten { return c.scale(c.op("Log", []any{x}), 0.4342944819032518) },
		"log1p":       func(c *converter, x *ten) *ten { return c.op("Log", []any{c.plus(x, 1)}) },
		"expm1":       func(c *converter, x *ten) *ten { return c.plus(c.op("Exp", []any{x}), -1) },
		"exp2":        func(c *converter, x *ten) *ten { return c.op("Exp", []any{c.scale(x, 0.6931471805599453)}) },
		"trunc":       truncated,
		"frac":        func(c *converter, x *ten) *ten { return c.op("Sub", []any{x, truncated(c, x)}) },
		"log_sigmoid": logSigmoid,
		"erfc":        func(c *converter, x *ten) *ten { return c.plus(c.op("Neg", []any{c.op("Erf", []any{x})}), 1) },
		"deg2rad":     func(c *converter, x *ten) *ten { return c.scale(x, 0.017453292519943295) },
		"rad2deg":     func(c *converter, x *ten) *ten { return c.scale(x, 57.29577951308232) },
	}
}

func truncated(c *converter, x *ten) *ten {
	return c.op("Mul", []any{c.op("Sign", []any{x}), c.op("Floor", []any{c.op("Abs", []any{x})})})
}

// logSigmoid is -softplus(-x), which does not overflow.
func logSigmoid(c *converter, x *ten) *ten {
	return c.op("Neg", []any{c.op("Softplus", []any{c.op("Neg", []any{x})})})
}

// tests are functions that give true or false, and those of bits.
func tests() map[string]func(c *converter, x *ten) *ten {
	return map[string]func(c *converter, x *ten) *ten{
		"isnan": func(c *converter, x *ten) *ten { return c.op("IsNaN", []any{c.asFloat(x)}) },
		"isinf": func(c *converter, x *ten) *ten { return c.op("IsInf", []any{c.asFloat(x)}) },
		"isfinite": func(c *converter, x *ten) *ten {
			x = c.asFloat(x)
			return c.op("Not", []any{c.op("Or", []any{c.op("IsNaN", []any{x}), c.op("IsInf", []any{x})})})
		},
		"logical_not": func(c *converter, x *ten) *ten { return c.op("Not", []any{c.asBool(x)}) },
		"bitwise_not": func(c *converter, x *ten) *ten {
			if t := c.dtype(x); t != tensor.Bool {
				return c.op("Sub", []any{c.op("Neg", []any{x}), c.number(t, 1)})
			}
			return c.op("Not", []any{x})
		},
	}
}

func (c *converter) asFloat(x *ten) *ten {
	if category(c.dtype(x)) < 2 {
		return c.cast(x, tensor.Float32)
	}
	return x
}

func (c *converter) asBool(x *ten) *ten { return c.cast(x, tensor.Bool) }

// scale and plus compute with one number of the tensor's own type.
func (c *converter) scale(x *ten, by float64) *ten {
	if by == 1 {
		return x
	}
	return c.op("Mul", []any{x, c.number(c.dtype(x), by)})
}

func (c *converter) plus(x *ten, n float64) *ten {
	if n == 0 {
		return x
	}
	return c.op("Add", []any{x, c.number(c.dtype(x), n)})
}

// operand gives a value as a tensor of a type.
func (c *converter) operand(v value, t tensor.DType) *ten {
	if x, ok := v.(*ten); ok {
		return c.cast(x, t)
	}
	x := &ten{scalar: v, dtype: scalarType(v)}
	if _, isNum := v.(*num); isNum {
		return c.cast(x, t)
	}
	x.dtype = t
	return x
}

// elementwise adds a node of two operands, both of the same type.
func (c *converter) pair(op string, a, b value, t tensor.DType) *ten {
	return c.op(op, []any{c.operand(a, t), c.operand(b, t)})
}

func binaryOps() map[string]operator {
	out := map[string]operator{
		"add": {"self other alpha", func(c *converter, a *args) value {
			return c.addScaled("Add", a.get("self"), a.get("other"), a.get("alpha"))
		}},
		"sub": {"self other alpha", func(c *converter, a *args) value {
			return c.addScaled("Sub", a.get("self"), a.get("other"), a.get("alpha"))
		}},
		"rsub": {"self other alpha", func(c *converter, a *args) value {
			return c.addScaled("Sub", a.get("other"), a.get("self"), a.get("alpha"))
		}},
		"mul":          {"self other", func(c *converter, a *args) value { return c.multiply(a.get("self"), a.get("other")) }},
		"div":          {"self other rounding_mode", divide},
		"floor_divide": {"self other", func(c *converter, a *args) value { return c.floorDivide(a.get("self"), a.get("other")) }},
		"remainder":    {"self other", func(c *converter, a *args) value { return c.remainder(a.get("self"), a.get("other")) }},
		"fmod": {"self other", func(c *converter, a *args) value {
			x, y := a.get("self"), a.get("other")
			t := c.promote(x, y)
			return c.op("Mod", []any{c.operand(x, t), c.operand(y, t)}, onnx.AInt("fmod", 1))
		}},
		"pow":         {"self exponent", power},
		"maximum":     {"self other", extreme("Max")},
		"minimum":     {"self other", extreme("Min")},
		"clamp":       {"self min max", clamp},
		"clamp_min":   {"self min", clamp},
		"clamp_max":   {"self max", clamp},
		"where":       {"condition self other", where},
		"masked_fill": {"self mask value", maskedFill},
		"lerp": {"self end weight", func(c *converter, a *args) value {
			x, w := a.ten("self"), a.get("weight")
			d := c.pair("Sub", a.get("end"), x, c.dtype(x))
			return c.op("Add", []any{x, c.multiply(d, w)})
		}},
		"addcmul": {"self tensor1 tensor2 value", func(c *converter, a *args) value {
			m := c.multiply(a.get("tensor1"), a.get("tensor2"))
			return c.addScaled("Add", a.get("self"), m, a.get("value"))
		}},
		"addcdiv": {"self tensor1 tensor2 value", func(c *converter, a *args) value {
			x, y := a.get("tensor1"), a.get("tensor2")
			return c.addScaled("Add", a.get("self"), c.pair("Div", x, y, c.floating(x, y)), a.get("value"))
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
		out[name] = operator{"self other", func(c *converter, a *args) value {
			x, y := a.get("self"), a.get("other")
			if name[:2] != "lo" && c.promote(x, y) != tensor.Bool {
				c.refuse("bits of whole numbers are not supported")
			}
			return c.op(op, []any{c.asBool(c.tenOf(x)), c.asBool(c.tenOf(y))})
		}}
	}
	return out
}

// tenOf gives a value as a tensor of its own type.
func (c *converter) tenOf(v value) *ten {
	if x, ok := v.(*ten); ok {
		return x
	}
	return &ten{scalar: v, dtype: scalarType(v)}
}

// floating is promote, for operations that give floats.
func (c *converter) floating(vs ...value) tensor.DType {
	if t := c.promote(vs...); category(t) == 2 {
		return t
	}
	return tensor.Float32
}

func (c *converter) addScaled(op string, x, y, alpha value) *ten {
	t := c.promote(x, y)
	if t == tensor.Bool {
		if op == "Sub" {
			c.refuse("booleans cannot be subtracted")
		}
		return c.op("Or", []any{c.tenOf(x), c.tenOf(y)})
	}
	if alpha != nil && alpha != int64(1) && alpha != 1.0 {
		y = c.pair("Mul", y, alpha, t)
	}
	return c.pair(op, x, y, t)
}

func (c *converter) multiply(x, y value) *ten {
	t := c.promote(x, y)
	if t == tensor.Bool {
		return c.op("And", []any{c.tenOf(x), c.tenOf(y)})
	}
	return c.pair("Mul", x, y, t)
}

func divide(c *converter, a *args) value {
	x, y := a.get("self"), a.get("other")
	switch mode := a.str("rounding_mode", ""); mode {
	case "floor":
		return c.floorDivide(x, y)
	case "trunc":
		if t := c.promote(x, y); category(t) < 2 {
			return c.pair("Div", x, y, t)
		}
		return truncated(c, c.pair("Div", x, y, c.promote(x, y)))
	case "":
		return c.pair("Div", x, y, c.floating(x, y))
	default:
		c.refuse("rounding_mode %.40s is not supported", mode)
	}
	return nil
}

// floorDivide rounds down; ONNX's division of whole numbers rounds towards zero.
func (c *converter) floorDivide(x, y value) *ten {
	t := c.promote(x, y)
	if category(t) == 2 {
		return c.op("Floor", []any{c.pair("Div", x, y, t)})
	}
	return c.pair("Div", c.pair("Sub", x, c.pair("Mod", x, y, t), t), y, t)
}

func (c *converter) remainder(x, y value) *ten {
	t := c.promote(x, y)
	if category(t) < 2 {
		return c.pair("Mod", x, y, t)
	}
	return c.pair("Sub", x, c.pair("Mul", c.op("Floor", []any{c.pair("Div", x, y, t)}), y, t), t)
}

func power(c *converter, a *args) value {
	x, y := a.get("self"), a.get("exponent")
	t := c.promote(x, y)
	switch y {
	case int64(1), 1.0:
		return c.op("Identity", []any{c.operand(x, t)})
	case int64(2), 2.0:
		p := c.operand(x, t)
		return c.op("Mul", []any{p, p})
	case 0.5:
		return c.op("Sqrt", []any{c.operand(x, t)})
	}
	return c.pair("Pow", x, y, t)
}

func extreme(op string) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		x, y := a.get("self"), a.get("other")
		return c.pair(op, x, y, c.promote(x, y))
	}
}

func clamp(c *converter, a *args) value {
	x := a.get("self")
	t := c.promote(x)
	for _, name := range []string{"min", "max"} {
		if v := a.get(name); v != nil {
			t = c.promote(&ten{scalar: int64(0), dtype: t}, v)
			if isTen(v) {
				t = c.promote(x, v)
			}
		}
	}
	x = c.operand(x, t)
	if v := a.get("min"); v != nil {
		x = c.pair("Max", x, v, t)
	}
	if v := a.get("max"); v != nil {
		x = c.pair("Min", x, v, t)
	}
	return x
}

func comparison(op string) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		x, y := a.get("self"), a.get("other")
		t := c.promote(x, y)
		if t == tensor.Bool && op != "Equal" && op != "" {
			t = tensor.Int32
		}
		if op == "" {
			return c.op("Not", []any{c.pair("Equal", x, y, t)})
		}
		return c.pair(op, x, y, t)
	}
}

func where(c *converter, a *args) value {
	if !a.has("other") {
		c.refuse("where without values gives as many numbers as there are, which is not supported")
	}
	x, y := a.get("self"), a.get("other")
	t := c.promote(x, y)
	return c.op("Where", []any{c.asBool(a.ten("condition")), c.operand(x, t), c.operand(y, t)})
}

func maskedFill(c *converter, a *args) value {
	x := a.ten("self")
	return c.op("Where", []any{c.asBool(a.ten("mask")), c.operand(a.get("value"), c.dtype(x)), x})
}

// atan2 puts the angle into the right quarter.
func atan2(c *converter, a *args) value {
	t := c.floating(a.get("self"), a.get("other"))
	y, x := c.operand(a.get("self"), t), c.operand(a.get("other"), t)
	zero, pi := c.number(t, 0), c.number(t, 3.141592653589793)
	angle := c.op("Atan", []any{c.op("Div", []any{y, x})})
	turn := c.op("Where", []any{c.op("Less", []any{y, zero}), c.op("Neg", []any{&ten{name: pi}}), pi})
	behind := c.op("Where", []any{c.op("Less", []any{x, zero}), turn, zero})
	origin := c.op("And", []any{c.op("Equal", []any{y, zero}), c.op("Equal", []any{x, zero})})
	return c.op("Where", []any{origin, zero, c.op("Add", []any{angle, behind})})
}

func nanToNum(c *converter, a *args) value {
	x := a.ten("self")
	t := c.dtype(x)
	if category(t) < 2 {
		return x
	}
	const most = 3.4028234663852886e38
	out := c.op("Where", []any{c.op("IsNaN", []any{x}), c.number(t, a.float("nan", 0)), x})
	above := c.op("IsInf", []any{x}, onnx.AInt("detect_negative", 0))
	below := c.op("IsInf", []any{x}, onnx.AInt("detect_positive", 0))
	out = c.op("Where", []any{above, c.number(t, a.float("posinf", most)), out})
	return c.op("Where", []any{below, c.number(t, a.float("neginf", -most)), out})
}
