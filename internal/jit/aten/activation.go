package aten

import (
	"math"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// activations are functions of one tensor with settings.
func activations() map[string]operator {
	out := map[string]operator{
		"dropout": {"input p train", dropout},
		"hardtanh": {"self min_val max_val", func(c *converter, a *jit.Args) jit.Value {
			return c.clip(a.Tensor("self"), a.Float("min_val", -1), a.Float("max_val", 1))
		}},
		"relu6":     {"self", func(c *converter, a *jit.Args) jit.Value { return c.clip(a.Tensor("self"), 0, 6) }},
		"hardswish": {"self", func(c *converter, a *jit.Args) jit.Value { return c.Op("HardSwish", []any{a.Tensor("self")}) }},
		"hardsigmoid": {"self", func(c *converter, a *jit.Args) jit.Value {
			return c.Op("HardSigmoid", []any{a.Tensor("self")}, onnx.AFloat("alpha", 1.0/6), onnx.AFloat("beta", 0.5))
		}},
		"silu": {"self", func(c *converter, a *jit.Args) jit.Value { return c.gate(a.Tensor("self"), "Sigmoid") }},
		"mish": {"self", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.Op("Mul", []any{x, c.Op("Tanh", []any{c.Op("Softplus", []any{x})})})
		}},
		"gelu": {"self approximate", gelu},
		"elu":  {"self alpha scale input_scale", elu},
		"selu": {"self", func(c *converter, a *jit.Args) jit.Value { return c.Op("Selu", []any{a.Tensor("self")}) }},
		"celu": {"self alpha", func(c *converter, a *jit.Args) jit.Value {
			return c.Op("Celu", []any{a.Tensor("self")}, onnx.AFloat("alpha", float32(a.Float("alpha", 1))))
		}},
		"leaky_relu": {"self negative_slope", func(c *converter, a *jit.Args) jit.Value {
			return c.leaky(a.Tensor("self"), a.Float("negative_slope", 0.01))
		}},
		"rrelu":     {"self lower upper training generator", rrelu},
		"prelu":     {"self weight", prelu},
		"softplus":  {"self beta threshold", softplus},
		"threshold": {"self threshold value", threshold},
		"softshrink": {"self lambd", func(c *converter, a *jit.Args) jit.Value {
			l := float32(a.Float("lambd", 0.5))
			return c.Op("Shrink", []any{a.Tensor("self")}, onnx.AFloat("lambd", l), onnx.AFloat("bias", l))
		}},
		"hardshrink": {"self lambd", func(c *converter, a *jit.Args) jit.Value {
			return c.Op("Shrink", []any{a.Tensor("self")}, onnx.AFloat("lambd", float32(a.Float("lambd", 0.5))))
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

func dropout(c *converter, a *jit.Args) jit.Value {
	if a.Bool("train", false) && a.Float("p", 0.5) > 0 {
		c.Note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	return a.Tensor("input")
}

func (c *converter) clip(x *jit.Tensor, lo, hi float64) *jit.Tensor {
	t := c.Dtype(x)
	return c.Op("Clip", []any{x, c.Number(t, lo), c.Number(t, hi)})
}

// gate multiplies a tensor with a function of itself.
func (c *converter) gate(x *jit.Tensor, op string) *jit.Tensor {
	return c.Op("Mul", []any{x, c.Op(op, []any{x})})
}

func gelu(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if a.Str("approximate", "none") == "tanh" {
		cube := c.Op("Mul", []any{c.Op("Mul", []any{x, x}), x})
		inner := c.scale(c.Op("Add", []any{x, c.scale(cube, 0.044715)}), math.Sqrt(2/math.Pi))
		return c.Op("Mul", []any{c.scale(x, 0.5), c.plus(c.Op("Tanh", []any{inner}), 1)})
	}
	return c.gelu(x)
}

func (c *converter) gelu(x *jit.Tensor) *jit.Tensor {
	t := c.Dtype(x)
	e := c.Op("Erf", []any{c.Op("Div", []any{x, c.Number(t, math.Sqrt2)})})
	return c.scale(c.Op("Mul", []any{x, c.plus(e, 1)}), 0.5)
}

// elu is scale*x above zero and scale*alpha*(exp(input_scale*x)-1) below.
func elu(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	alpha, scale, in := a.Float("alpha", 1), a.Float("scale", 1), a.Float("input_scale", 1)
	if in != 1 {
		below := c.scale(c.plus(c.Op("Exp", []any{c.scale(x, in)}), -1), alpha*scale)
		return c.Op("Where", []any{c.Op("Greater", []any{x, c.Number(c.Dtype(x), 0)}), c.scale(x, scale), below})
	}
	return c.scale(c.Op("Elu", []any{x}, onnx.AFloat("alpha", float32(alpha))), scale)
}

func (c *converter) leaky(x *jit.Tensor, slope float64) *jit.Tensor {
	return c.Op("LeakyRelu", []any{x}, onnx.AFloat("alpha", float32(slope)))
}

// rrelu outside of training has the mean slope.
func rrelu(c *converter, a *jit.Args) jit.Value {
	return c.leaky(a.Tensor("self"), (a.Float("lower", 1.0/8)+a.Float("upper", 1.0/3))/2)
}

// prelu has a slope for each channel, which is axis 1.
func prelu(c *converter, a *jit.Args) jit.Value {
	x, w := a.Tensor("self"), a.Tensor("weight")
	if n := c.Fixed(w, 0); n > 1 {
		c.Require(x, min(1, c.Rank(x)-1), n)
		dims := []jit.Value{n}
		for range c.Rank(x) - 2 {
			dims = append(dims, int64(1))
		}
		w = c.reshape(w, dims)
	}
	return c.Op("PRelu", []any{x, w})
}

func softplus(c *converter, a *jit.Args) jit.Value {
	x, beta, limit := a.Tensor("self"), a.Float("beta", 1), a.Float("threshold", 20)
	y := c.scale(c.Op("Softplus", []any{c.scale(x, beta)}), 1/beta)
	if limit == 20 {
		return y // above 20 the function and x are the same float32
	}
	return c.Op("Where", []any{c.Op("Greater", []any{c.scale(x, beta), c.Number(c.Dtype(x), limit)}), x, y})
}

func threshold(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	t := c.Dtype(x)
	above := c.Op("Greater", []any{x, c.Number(t, a.Float("threshold", 0))})
	return c.Op("Where", []any{above, x, c.Number(t, a.Float("value", 0))})
}

func glu(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), -1)
	parts := c.halves(x, axis)
	return c.Op("Mul", []any{parts[0], c.Op("Sigmoid", []any{parts[1]})})
}

// halves splits a tensor into two.
func (c *converter) halves(x *jit.Tensor, axis int) []*jit.Tensor {
	n := c.Fixed(x, axis)
	if n%2 != 0 {
		c.Contradict("an axis of %d has no halves", n)
	}
	return c.Node("Split", []any{x, c.Ints(n/2, n/2)}, 2, onnx.AInt("axis", int64(axis)))
}

func softmax(op string) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		x := a.Tensor("self")
		if v, ok := a.Dtype("dtype"); ok {
			x = c.Cast(x, c.dtypeOf(v))
		}
		return c.Op(op, []any{c.asFloat(x)}, onnx.AInt("axis", int64(a.Axis("dim", c.Rank(x), -1))))
	}
}

func logit(c *converter, a *jit.Args) jit.Value {
	x := c.asFloat(a.Tensor("self"))
	if a.Has("eps") {
		x = c.clip(x, a.Float("eps", 0), 1-a.Float("eps", 0))
	}
	rest := c.plus(c.Op("Neg", []any{x}), 1)
	return c.Op("Log", []any{c.Op("Div", []any{x, rest})})
}

// dtypeOf gives an element type by PyTorch's number.
func (c *converter) dtypeOf(v jit.Value) tensor.DType {
	n, _ := v.(int64)
	t, ok := jit.Dtypes[n]
	if !ok {
		c.Refuse("element type %v is not supported", v)
	}
	if t == tensor.BFloat16 {
		return tensor.Float32
	}
	return t
}
