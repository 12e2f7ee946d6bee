package torch

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// activations are functions of one tensor with settings.
func activations() map[string]operator {
	out := map[string]operator{
		"dropout": {"input p train", dropout},
		"hardtanh": {"self min_val max_val", func(c *converter, a *args) value {
			return c.clip(a.ten("self"), a.float("min_val", -1), a.float("max_val", 1))
		}},
		"relu6":     {"self", func(c *converter, a *args) value { return c.clip(a.ten("self"), 0, 6) }},
		"hardswish": {"self", func(c *converter, a *args) value { return c.op("HardSwish", []any{a.ten("self")}) }},
		"hardsigmoid": {"self", func(c *converter, a *args) value {
			return c.op("HardSigmoid", []any{a.ten("self")}, onnx.AFloat("alpha", 1.0/6), onnx.AFloat("beta", 0.5))
		}},
		"silu": {"self", func(c *converter, a *args) value { return c.gate(a.ten("self"), "Sigmoid") }},
		"mish": {"self", func(c *converter, a *args) value {
			x := a.ten("self")
			return c.op("Mul", []any{x, c.op("Tanh", []any{c.op("Softplus", []any{x})})})
		}},
		"gelu": {"self approximate", gelu},
		"elu":  {"self alpha scale input_scale", elu},
		"selu": {"self", func(c *converter, a *args) value { return c.op("Selu", []any{a.ten("self")}) }},
		"celu": {"self alpha", func(c *converter, a *args) value {
			return c.op("Celu", []any{a.ten("self")}, onnx.AFloat("alpha", float32(a.float("alpha", 1))))
		}},
		"leaky_relu": {"self negative_slope", func(c *converter, a *args) value { return c.leaky(a.ten("self"), a.float("negative_slope", 0.01)) }},
		"rrelu":      {"self lower upper training generator", rrelu},
		"prelu":      {"self weight", prelu},
		"softplus":   {"self beta threshold", softplus},
		"threshold":  {"self threshold value", threshold},
		"softshrink": {"self lambd", func(c *converter, a *args) value {
			l := float32(a.float("lambd", 0.5))
			return c.op("Shrink", []any{a.ten("self")}, onnx.AFloat("lambd", l), onnx.AFloat("bias", l))
		}},
		"hardshrink": {"self lambd", func(c *converter, a *args) value {
			return c.op("Shrink", []any{a.ten("self")}, onnx.AFloat("lambd", float32(a.float("lambd", 0.5))))
		}},
		"glu":          {"self dim", glu},
		"softmax":      {"self dim dtype", softmax("Softmax")},
		"log_softmax":  {"self dim dtype", softmax("LogSoftmax")},
		"_softmax":     {"self dim half_to_float", softmax("Softmax")},
		"_log_softmax": {"self dim half_to_float", softmax("LogSoftmax")},
		"logit":        {"self eps", logit},
	}
	return out
}

func dropout(c *converter, a *args) value {
	if a.bool("train", false) && a.float("p", 0.5) > 0 {
		c.note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	return a.ten("input")
}

func (c *converter) clip(x *ten, lo, hi float64) *ten {
	t := c.dtype(x)
	return c.op("Clip", []any{x, c.number(t, lo), c.number(t, hi)})
}

// gate multiplies a tensor with a function of itself.
func (c *converter) gate(x *ten, op string) *ten { return c.op("Mul", []any{x, c.op(op, []any{x})}) }

func gelu(c *converter, a *args) value {
	x := a.ten("self")
	if a.str("approximate", "none") == "tanh" {
		cube := c.op("Mul", []any{c.op("Mul", []any{x, x}), x})
		inner := c.scale(c.op("Add", []any{x, c.scale(cube, 0.044715)}), math.Sqrt(2/math.Pi))
		return c.op("Mul", []any{c.scale(x, 0.5), c.plus(c.op("Tanh", []any{inner}), 1)})
	}
	return c.gelu(x)
}

func (c *converter) gelu(x *ten) *ten {
	t := c.dtype(x)
	e := c.op("Erf", []any{c.op("Div", []any{x, c.number(t, math.Sqrt2)})})
	return c.scale(c.op("Mul", []any{x, c.plus(e, 1)}), 0.5)
}

// elu is scale*x above zero and scale*alpha*(exp(input_scale*x)-1) below.
func elu(c *converter, a *args) value {
	x := a.ten("self")
	alpha, scale, in := a.float("alpha", 1), a.float("scale", 1), a.float("input_scale", 1)
	if in != 1 {
		below := c.scale(c.plus(c.op("Exp", []any{c.scale(x, in)}), -1), alpha*scale)
		return c.op("Where", []any{c.op("Greater", []any{x, c.number(c.dtype(x), 0)}), c.scale(x, scale), below})
	}
	return c.scale(c.op("Elu", []any{x}, onnx.AFloat("alpha", float32(alpha))), scale)
}

func (c *converter) leaky(x *ten, slope float64) *ten {
	return c.op("LeakyRelu", []any{x}, onnx.AFloat("alpha", float32(slope)))
}

// rrelu outside of training has the mean slope.
func rrelu(c *converter, a *args) value {
	return c.leaky(a.ten("self"), (a.float("lower", 1.0/8)+a.float("upper", 1.0/3))/2)
}

// prelu has a slope for each channel, which is axis 1.
func prelu(c *converter, a *args) value {
	x, w := a.ten("self"), a.ten("weight")
	if n := c.fixed(w, 0); n > 1 {
		c.require(x, min(1, c.rank(x)-1), n)
		dims := []value{n}
		for range c.rank(x) - 2 {
			dims = append(dims, int64(1))
		}
		w = c.reshape(w, dims)
	}
	return c.op("PRelu", []any{x, w})
}

func softplus(c *converter, a *args) value {
	x, beta, limit := a.ten("self"), a.float("beta", 1), a.float("threshold", 20)
	y := c.scale(c.op("Softplus", []any{c.scale(x, beta)}), 1/beta)
	if limit == 20 {
		return y // above 20 the function and x are the same float32
	}
	return c.op("Where", []any{c.op("Greater", []any{c.scale(x, beta), c.number(c.dtype(x), limit)}), x, y})
}

func threshold(c *converter, a *args) value {
	x := a.ten("self")
	t := c.dtype(x)
	above := c.op("Greater", []any{x, c.number(t, a.float("threshold", 0))})
	return c.op("Where", []any{above, x, c.number(t, a.float("value", 0))})
}

func glu(c *converter, a *args) value {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), -1)
	parts := c.halves(x, axis)
	return c.op("Mul", []any{parts[0], c.op("Sigmoid", []any{parts[1]})})
}

// halves splits a tensor into two.
func (c *converter) halves(x *ten, axis int) []*ten {
	n := c.fixed(x, axis)
	if n%2 != 0 {
		c.contradict("an axis of %d has no halves", n)
	}
	return c.node("Split", []any{x, c.ints(n/2, n/2)}, 2, onnx.AInt("axis", int64(axis)))
}

func softmax(op string) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		x := a.ten("self")
		if v, ok := a.dtype("dtype"); ok {
			x = c.cast(x, c.dtypeOf(v))
		}
		return c.op(op, []any{c.asFloat(x)}, onnx.AInt("axis", int64(a.axis("dim", c.rank(x), -1))))
	}
}

func logit(c *converter, a *args) value {
	x := c.asFloat(a.ten("self"))
	if a.has("eps") {
		x = c.clip(x, a.float("eps", 0), 1-a.float("eps", 0))
	}
	rest := c.plus(c.op("Neg", []any{x}), 1)
	return c.op("Log", []any{c.op("Div", []any{x, rest})})
}

// dtypeOf gives an element type by PyTorch's number.
func (c *converter) dtypeOf(v value) tensor.DType {
	n, _ := v.(int64)
	t, ok := dtypes[n]
	if !ok {
		c.refuse("element type %v is not supported", v)
	}
	if t == tensor.BFloat16 {
		return tensor.Float32
	}
	return t
}
