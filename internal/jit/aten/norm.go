package aten

import (
	"math"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func floorOf(f float64) float64 { return math.Floor(f) }

// normOps make means nought and variances one.
func normOps() map[string]operator {
	return map[string]operator{
		"batch_norm":    {"input weight bias running_mean running_var training momentum eps cudnn_enabled", batchNorm},
		"instance_norm": {"input weight bias running_mean running_var use_input_stats momentum eps cudnn_enabled", instanceNorm},
		"layer_norm":    {"input normalized_shape weight bias eps cudnn_enable", layerNorm},
		"native_layer_norm": {"input normalized_shape weight bias eps", func(c *converter, a *jit.Args) jit.Value {
			return jit.Tuple{layerNorm(c, a), jit.Unknown{}, jit.Unknown{}}
		}},
		"group_norm": {"input num_groups weight bias eps cudnn_enabled", groupNorm},
		"native_batch_norm": {"input weight bias running_mean running_var training momentum eps", func(c *converter, a *jit.Args) jit.Value {
			return jit.Tuple{batchNorm(c, a), jit.Unknown{}, jit.Unknown{}}
		}},
		"rms_norm": {"input normalized_shape weight eps", rmsNorm},
	}
}

// filled gives a weight, or n times the same where there is none.
func (c *converter) filled(w *jit.Tensor, t tensor.DType, n int64, v float32) *jit.Tensor {
	if w != nil {
		return w
	}
	if n > 1<<24 {
		c.Refuse("it has %d channels", n)
	}
	vs := make([]float32, n)
	for i := range vs {
		vs[i] = v
	}
	return c.Cast(&jit.Tensor{Name: c.Constant("filled", tensor.Of(vs, n))}, t)
}

func batchNorm(c *converter, a *jit.Args) jit.Value {
	x, mean, variance := a.Tensor("input"), a.Opt("running_mean"), a.Opt("running_var")
	eps := a.Float("eps", 1e-5)
	n := int64(0)
	for _, w := range []*jit.Tensor{mean, a.Opt("weight")} {
		if w != nil {
			n = c.Fixed(w, 0)
			c.Require(x, 1, n)
		}
	}
	training := a.Bool("training", false)
	if training && mean != nil && !c.Training {
		c.Note("the network was saved in training mode; it is used as after eval(), with the means and variances that training found")
	}
	if mean == nil || variance == nil || training && c.Training {
		return c.statistics(x, a.Opt("weight"), a.Opt("bias"), eps, 0)
	}
	t := c.Dtype(x)
	in := []any{x, c.filled(a.Opt("weight"), t, n, 1), c.filled(a.Opt("bias"), t, n, 0), mean, variance}
	return c.Op("BatchNormalization", in, onnx.AFloat("epsilon", float32(eps)))
}

// statistics normalizes by mean and variance of the input itself, for each
// channel: over the spatial axes and those that are given.
func (c *converter) statistics(x, weight, bias *jit.Tensor, eps float64, axes ...int64) *jit.Tensor {
	for i := 2; i < c.Rank(x); i++ {
		axes = append(axes, int64(i))
	}
	y := c.normalized(x, eps, axes)
	shape := []jit.Value{int64(-1)}
	for range c.Rank(x) - 2 {
		shape = append(shape, int64(1))
	}
	if weight != nil {
		y = c.Op("Mul", []any{y, c.reshape(weight, shape)})
	}
	if bias != nil {
		y = c.Op("Add", []any{y, c.reshape(bias, shape)})
	}
	return y
}

// normalized is (x-mean)/sqrt(variance+eps) over some axes.
func (c *converter) normalized(x *jit.Tensor, eps float64, axes []int64) *jit.Tensor {
	mean := c.Op("ReduceMean", []any{x}, onnx.AInts("axes", axes...))
	d := c.Op("Sub", []any{x, mean})
	v := c.Op("ReduceMean", []any{c.Op("Mul", []any{d, d})}, onnx.AInts("axes", axes...))
	return c.Op("Div", []any{d, c.Op("Sqrt", []any{c.plus(v, eps)})})
}

func instanceNorm(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("input")
	eps := a.Float("eps", 1e-5)
	if !a.Bool("use_input_stats", true) {
		return batchNorm(c, a)
	}
	weight, bias := a.Opt("weight"), a.Opt("bias")
	n, ok := c.Dim(x, 1).(int64)
	if weight != nil {
		n, ok = c.Fixed(weight, 0), true
		c.Require(x, 1, n)
	}
	if !ok {
		return c.statistics(x, weight, bias, eps)
	}
	t := c.Dtype(x)
	return c.Op("InstanceNormalization", []any{x, c.filled(weight, t, n, 1), c.filled(bias, t, n, 0)}, onnx.AFloat("epsilon", float32(eps)))
}

func layerNorm(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("input")
	shape := a.Sizes("normalized_shape")
	axis := c.Rank(x) - len(shape)
	if axis < 0 {
		c.Contradict("the last %d axes of a tensor of %s are to be normalized", len(shape), c.ShapeText(x))
	}
	for i, v := range shape {
		if n, ok := v.(int64); ok {
			c.Require(x, axis+i, n)
		}
	}
	return c.layerNorm(x, a.Opt("weight"), a.Opt("bias"), a.Float("eps", 1e-5), shape)
}

// layerNorm normalizes the last axes, which have the given sizes.
func (c *converter) layerNorm(x, weight, bias *jit.Tensor, eps float64, shape []jit.Value) *jit.Tensor {
	if weight == nil {
		size := int64(1)
		dims := make([]int64, len(shape))
		for i, v := range shape {
			n, ok := v.(int64)
			if !ok || n < 1 || n > 1<<24/size {
				c.Contradict("a layer of %v is to be normalized", v)
			}
			dims[i] = n
			size *= n
		}
		weight = c.reshape(c.filled(nil, c.Dtype(x), size, 1), shape)
	}
	y := c.Op("LayerNormalization", []any{x, weight, bias}, onnx.AInt("axis", int64(c.Rank(x)-len(shape))), onnx.AFloat("epsilon", float32(eps)))
	return y
}

// groupNorm normalizes each group of channels of each item: as an instance norm
// of a tensor whose channels are the groups.
func groupNorm(c *converter, a *jit.Args) jit.Value {
	x, groups := a.Tensor("input"), a.Int("num_groups", 1)
	for _, name := range []string{"weight", "bias"} {
		if w := a.Opt(name); w != nil {
			c.Require(x, 1, c.Fixed(w, 0))
		}
	}
	t := c.Dtype(x)
	shape := c.Shape(x)
	flat := c.reshape(x, []jit.Value{shape[0], groups, int64(-1)})
	y := c.Op("InstanceNormalization", []any{flat, c.filled(nil, t, groups, 1), c.filled(nil, t, groups, 0)}, onnx.AFloat("epsilon", float32(a.Float("eps", 1e-5))))
	y = c.reshapeLike(y, x)
	tail := []jit.Value{int64(-1)}
	for range c.Rank(x) - 2 {
		tail = append(tail, int64(1))
	}
	if w := a.Opt("weight"); w != nil {
		y = c.Op("Mul", []any{y, c.reshape(w, tail)})
	}
	if b := a.Opt("bias"); b != nil {
		y = c.Op("Add", []any{y, c.reshape(b, tail)})
	}
	return y
}

// reshapeLike gives a tensor the shape of another.
func (c *converter) reshapeLike(x, like *jit.Tensor) *jit.Tensor {
	shape := c.Shape(like)
	for _, v := range shape {
		if _, ok := v.(*jit.Num); ok {
			return c.Declare(c.Op("Reshape", []any{x, c.Op("Shape", []any{like})}), c.Dtype(x), shape)
		}
	}
	return c.reshape(x, shape)
}

func rmsNorm(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("input")
	n := len(a.Sizes("normalized_shape"))
	var axes []int64
	for i := c.Rank(x) - n; i < c.Rank(x); i++ {
		axes = append(axes, int64(i))
	}
	v := c.Op("ReduceMean", []any{c.Op("Mul", []any{x, x})}, onnx.AInts("axes", axes...))
	y := c.Op("Div", []any{x, c.Op("Sqrt", []any{c.plus(v, a.Float("eps", 1.1920928955078125e-07))})})
	if w := a.Opt("weight"); w != nil {
		y = c.Op("Mul", []any{y, w})
	}
	return y
}
