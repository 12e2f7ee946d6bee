package caffe

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// same checks that two values have one shape, and gives it.
func (c *converter) same(l *layer, a, b value) error {
	if a.rank() != b.rank() {
		return c.invalid(l, "its bottoms have the shapes %s and %s", tensor.ShapeString(a.sizes()), tensor.ShapeString(b.sizes()))
	}
	for i := range a.shape {
		if a.shape[i].n != b.shape[i].n {
			return c.invalid(l, "its bottoms have the shapes %s and %s", tensor.ShapeString(a.sizes()), tensor.ShapeString(b.sizes()))
		}
		if a.shape[i].dyn != b.shape[i].dyn {
			c.pin(a.shape[i])
			c.pin(b.shape[i])
		}
	}
	return nil
}

func (c *converter) eltwise(l *layer) error {
	p := l.msg.sub("eltwise_param")
	x := c.in(l, 0)
	names := []string{x.name}
	for i := 1; i < len(l.bottoms); i++ {
		if err := c.same(l, x, c.in(l, i)); err != nil {
			return err
		}
		names = append(names, c.in(l, i).name)
	}
	operation := p.str("operation", "SUM")
	op := map[string]string{"PROD": "Mul", "SUM": "Add", "MAX": "Max", "MIN": "Min"}[operation]
	if op == "" {
		return c.refuse(l, "operation: %s is not supported", cut(operation))
	}
	coeff := p.floats("coeff")
	if len(coeff) > 0 && (len(coeff) != len(names) || operation != "SUM") {
		return c.invalid(l, "it has %d coefficients for %d bottoms and the operation %s", len(coeff), len(names), operation)
	}
	for i, f := range coeff {
		if f != 1 {
			names[i] = c.op(l, "Mul", []string{names[i], c.scalar(l, "coeff", f)})
		}
	}
	y := names[0]
	for _, n := range names[1:] {
		y = c.op(l, op, []string{y, n})
	}
	c.set(l, 0, y, x.shape)
	return nil
}

func (c *converter) relu(l *layer) error {
	x := c.in(l, 0)
	if slope := l.msg.sub("relu_param").float("negative_slope", 0); slope != 0 {
		c.set(l, 0, c.op(l, "LeakyRelu", []string{x.name}, onnx.AFloat("alpha", float32(slope))), x.shape)
		return nil
	}
	c.set(l, 0, c.op(l, "Relu", []string{x.name}), x.shape)
	return nil
}

func (c *converter) relu6(l *layer) error {
	x := c.in(l, 0)
	c.set(l, 0, c.op(l, "Clip", []string{x.name, c.scalar(l, "min", 0), c.scalar(l, "max", 6)}), x.shape)
	return nil
}

func (c *converter) clip(l *layer) error {
	p := l.msg.sub("clip_param")
	x := c.in(l, 0)
	y := c.op(l, "Clip", []string{x.name, c.scalar(l, "min", p.float("min", 0)), c.scalar(l, "max", p.float("max", 0))})
	c.set(l, 0, y, x.shape)
	return nil
}

// prelu has a slope below zero for every channel, or one for all.
func (c *converter) prelu(l *layer) error {
	p := l.msg.sub("prelu_param")
	x := c.in(l, 0)
	shape := []int64{1}
	if !p.flag("channel_shared", off) {
		if x.rank() < 2 {
			return c.invalid(l, "its input of %s has no channels", tensor.ShapeString(x.sizes()))
		}
		shape[0] = c.pin(x.shape[1])
		for range x.rank() - 2 {
			shape = append(shape, 1)
		}
	}
	slope, ok, err := c.needOr(l, 0, p.sub("filler"), 0.25, shape...)
	if err != nil || !ok {
		c.set(l, 0, x.name, x.shape)
		return err
	}
	c.set(l, 0, c.op(l, "PRelu", []string{x.name, c.constant(l, "slope", slope)}), x.shape)
	return nil
}

func (c *converter) elu(l *layer) error {
	x := c.in(l, 0)
	alpha := l.msg.sub("elu_param").float("alpha", 1)
	c.set(l, 0, c.op(l, "Elu", []string{x.name}, onnx.AFloat("alpha", float32(alpha))), x.shape)
	return nil
}

func (c *converter) swish(l *layer) error {
	x := c.in(l, 0)
	gate := c.op(l, "Sigmoid", []string{c.linear(l, x.name, l.msg.sub("swish_param").float("beta", 1), 0)})
	c.set(l, 0, c.op(l, "Mul", []string{x.name, gate}), x.shape)
	return nil
}

// linear gives scale*x + shift, with as few operators as that takes.
func (c *converter) linear(l *layer, x string, scale, shift float64) string {
	if scale != 1 {
		x = c.op(l, "Mul", []string{x, c.scalar(l, "scale", scale)})
	}
	if shift != 0 {
		x = c.op(l, "Add", []string{x, c.scalar(l, "shift", shift)})
	}
	return x
}

// power is (shift + scale*x) ^ power.
func (c *converter) power(l *layer) error {
	p := l.msg.sub("power_param")
	x := c.in(l, 0)
	y := c.linear(l, x.name, p.float("scale", 1), p.float("shift", 0))
	if power := p.float("power", 1); power != 1 {
		y = c.op(l, "Pow", []string{y, c.scalar(l, "power", power)})
	}
	c.set(l, 0, y, x.shape)
	return nil
}

// exp is base ^ (shift + scale*x); a base of -1 means e.
func (c *converter) exp(l *layer) error {
	p := l.msg.sub("exp_param")
	x := c.in(l, 0)
	factor := 1.0
	if base := p.float("base", -1); base != -1 {
		if base <= 0 {
			return c.invalid(l, "base must be above 0, or -1 for e")
		}
		factor = math.Log(base)
	}
	y := c.linear(l, x.name, factor*p.float("scale", 1), factor*p.float("shift", 0))
	c.set(l, 0, c.op(l, "Exp", []string{y}), x.shape)
	return nil
}

// log is the logarithm of shift + scale*x to a base; -1 means e.
func (c *converter) log(l *layer) error {
	p := l.msg.sub("log_param")
	x := c.in(l, 0)
	factor := 1.0
	if base := p.float("base", -1); base != -1 {
		if base <= 0 || base == 1 {
			return c.invalid(l, "base must be above 0 and not 1, or -1 for e")
		}
		factor = 1 / math.Log(base)
	}
	y := c.op(l, "Log", []string{c.linear(l, x.name, p.float("scale", 1), p.float("shift", 0))})
	c.set(l, 0, c.linear(l, y, factor, 0), x.shape)
	return nil
}

func (c *converter) threshold(l *layer) error {
	x := c.in(l, 0)
	above := c.op(l, "Greater", []string{x.name, c.scalar(l, "threshold", l.msg.sub("threshold_param").float("threshold", 0))})
	c.set(l, 0, c.op(l, "Cast", []string{above}, onnx.AInt("to", int64(tensor.Float32))), x.shape)
	return nil
}

func (c *converter) softmax(l *layer) error {
	x := c.in(l, 0)
	axis, err := c.axis(l, l.msg.sub("softmax_param").int("axis", 1), x.rank())
	if err != nil {
		return err
	}
	c.set(l, 0, c.op(l, "Softmax", []string{x.name}, onnx.AInt("axis", int64(axis))), x.shape)
	return nil
}

// dropout does nothing when a network is run, but for the old form that scales
// then and not while training.
func (c *converter) dropout(l *layer) error {
	p := l.msg.sub("dropout_param")
	x := c.in(l, 0)
	if p.flag("scale_train", on) {
		c.set(l, 0, x.name, x.shape)
		return nil
	}
	keep := 1 - p.float("dropout_ratio", 0.5)
	c.set(l, 0, c.op(l, "Mul", []string{x.name, c.scalar(l, "keep", keep)}), x.shape)
	return nil
}

// argMax gives the places of the largest values along an axis, or of all but
// the first; with out_max_val the values, and without an axis both.
func (c *converter) argMax(l *layer) error {
	p := l.msg.sub("argmax_param")
	x := c.in(l, 0)
	top, values := p.int("top_k", 1), p.flag("out_max_val", off)
	in, axis := x.name, 1
	shape := append([]dim{}, x.shape...)
	whole := !p.has("axis")
	if whole {
		in = c.op(l, "Flatten", []string{in}, onnx.AInt("axis", 1))
		shape = []dim{x.shape[0], product(x.shape[1:])}
	} else {
		var err error
		if axis, err = c.axis(l, p.int("axis", 1), x.rank()); err != nil {
			return err
		}
	}
	if top < 1 || top > shape[axis].n {
		return c.invalid(l, "top_k must be from 1 to %d", shape[axis].n)
	}
	shape[axis] = dim{n: top}
	best, where := c.topK(l, in, top, int64(axis))
	y := where
	switch {
	case whole:
		one := c.list(l, "one", 1)
		y = c.op(l, "Unsqueeze", []string{where, one})
		shape = []dim{x.shape[0], {n: 1}, {n: top}}
		if values {
			y = c.op(l, "Concat", []string{y, c.op(l, "Unsqueeze", []string{best, one})}, onnx.AInt("axis", 1))
			shape[1].n = 2
		}
	case values:
		y = c.op(l, "Identity", []string{best})
	}
	c.set(l, 0, y, shape)
	return nil
}

func (c *converter) topK(l *layer, in string, k, axis int64) (best, where string) {
	best, index := c.unique(l.name+"/TopK"), c.unique(l.name+"/TopK")
	n := c.emit("TopK", best, []string{in, c.list(l, "k", k)}, onnx.AInt("axis", axis))
	n.Outputs = append(n.Outputs, index)
	return best, c.op(l, "Cast", []string{index}, onnx.AInt("to", int64(tensor.Float32)))
}

// reduction folds everything from an axis on into one number.
func (c *converter) reduction(l *layer) error {
	p := l.msg.sub("reduction_param")
	x := c.in(l, 0)
	axis, err := c.axis(l, p.int("axis", 0), x.rank())
	if err != nil {
		return err
	}
	var axes []int64
	for i := axis; i < x.rank(); i++ {
		axes = append(axes, int64(i))
	}
	keep := onnx.AInt("keepdims", 0)
	var y string
	switch operation := p.str("operation", "SUM"); operation {
	case "SUM": // the only one that takes its axes as an input in this opset
		y = c.op(l, "ReduceSum", []string{x.name, c.list(l, "axes", axes...)}, keep)
	case "ASUM":
		y = c.op(l, "ReduceL1", []string{x.name}, onnx.AInts("axes", axes...), keep)
	case "SUMSQ":
		y = c.op(l, "ReduceSumSquare", []string{x.name}, onnx.AInts("axes", axes...), keep)
	case "MEAN":
		y = c.op(l, "ReduceMean", []string{x.name}, onnx.AInts("axes", axes...), keep)
	default:
		return c.refuse(l, "operation: %s is not supported", cut(operation))
	}
	c.set(l, 0, c.linear(l, y, p.float("coeff", 1), 0), x.shape[:axis])
	return nil
}
