package torch

import (
	"math"

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
		"native_layer_norm": {"input normalized_shape weight bias eps", func(c *converter, a *args) value {
			return tuple{layerNorm(c, a), unknown{}, unknown{}}
		}},
		"group_norm": {"input num_groups weight bias eps cudnn_enabled", groupNorm},
		"native_batch_norm": {"input weight bias running_mean running_var training momentum eps", func(c *converter, a *args) value {
			return tuple{batchNorm(c, a), unknown{}, unknown{}}
		}},
		"rms_norm": {"input normalized_shape weight eps", rmsNorm},
	}
}

// filled gives a weight, or n times the same where there is none.
func (c *converter) filled(w *ten, t tensor.DType, n int64, v float32) *ten {
	if w != nil {
		return w
	}
	if n > 1<<24 {
		c.refuse("it has %d channels", n)
	}
	vs := make([]float32, n)
	for i := range vs {
		vs[i] = v
	}
	return c.cast(&ten{name: c.constant("filled", tensor.Of(vs, n))}, t)
}

func batchNorm(c *converter, a *args) value {
	x, mean, variance := a.ten("input"), a.opt("running_mean"), a.opt("running_var")
	eps := a.float("eps", 1e-5)
	n := int64(0)
	for _, w := range []*ten{mean, a.opt("weight")} {
		if w != nil {
			n = c.fixed(w, 0)
			c.require(x, 1, n)
		}
	}
	training := a.bool("training", false)
	if training && mean != nil && !c.training {
		c.note("the network was saved in training mode; it is used as after eval(), with the means and variances that training found")
	}
	if mean == nil || variance == nil || training && c.training {
		return c.statistics(x, a.opt("weight"), a.opt("bias"), eps, true)
	}
	t := c.dtype(x)
	in := []any{x, c.filled(a.opt("weight"), t, n, 1), c.filled(a.opt("bias"), t, n, 0), mean, variance}
	return c.op("BatchNormalization", in, onnx.AFloat("epsilon", float32(eps)))
}

// statistics normalizes by mean and variance of the input itself, for each
// channel: over the batch too, or not.
func (c *converter) statistics(x, weight, bias *ten, eps float64, batch bool) *ten {
	var axes []int64
	if batch {
		axes = append(axes, 0)
	}
	for i := 2; i < c.rank(x); i++ {
		axes = append(axes, int64(i))
	}
	y := c.normalized(x, eps, axes)
	shape := []value{int64(-1)}
	for range c.rank(x) - 2 {
		shape = append(shape, int64(1))
	}
	if weight != nil {
		y = c.op("Mul", []any{y, c.reshape(weight, shape)})
	}
	if bias != nil {
		y = c.op("Add", []any{y, c.reshape(bias, shape)})
	}
	return y
}

// normalized is (x-mean)/sqrt(variance+eps) over some axes.
func (c *converter) normalized(x *ten, eps float64, axes []int64) *ten {
	mean := c.op("ReduceMean", []any{x}, onnx.AInts("axes", axes...))
	d := c.op("Sub", []any{x, mean})
	v := c.op("ReduceMean", []any{c.op("Mul", []any{d, d})}, onnx.AInts("axes", axes...))
	return c.op("Div", []any{d, c.op("Sqrt", []any{c.plus(v, eps)})})
}

func instanceNorm(c *converter, a *args) value {
	x := a.ten("input")
	eps := a.float("eps", 1e-5)
	if !a.bool("use_input_stats", true) {
		return batchNorm(c, a)
	}
	weight, bias := a.opt("weight"), a.opt("bias")
	n, ok := c.dim(x, 1).(int64)
	if weight != nil {
		n, ok = c.fixed(weight, 0), true
		c.require(x, 1, n)
	}
	if !ok {
		return c.statistics(x, weight, bias, eps, false)
	}
	t := c.dtype(x)
	return c.op("InstanceNormalization", []any{x, c.filled(weight, t, n, 1), c.filled(bias, t, n, 0)}, onnx.AFloat("epsilon", float32(eps)))
}

func layerNorm(c *converter, a *args) value {
	x := a.ten("input")
	shape := a.sizes("normalized_shape")
	axis := c.rank(x) - len(shape)
	if axis < 0 {
		c.contradict("the last %d axes of a tensor of %s are to be normalized", len(shape), c.shapeText(x))
	}
	for i, v := range shape {
		if n, ok := v.(int64); ok {
			c.require(x, axis+i, n)
		}
	}
	return c.layerNorm(x, a.opt("weight"), a.opt("bias"), a.float("eps", 1e-5), axis, shape)
}

func (c *converter) layerNorm(x, weight, bias *ten, eps float64, axis int, shape []value) *ten {
	if weight == nil {
		size := int64(1)
		dims := make([]int64, len(shape))
		for i, v := range shape {
			n, ok := v.(int64)
			if !ok || n < 1 || n > 1<<24/size {
				c.contradict("a layer of %v is to be normalized", v)
			}
			dims[i] = n
			size *= n
		}
		weight = c.reshape(c.filled(nil, c.dtype(x), size, 1), shape)
	}
	y := c.op("LayerNormalization", []any{x, weight, bias}, onnx.AInt("axis", int64(axis)), onnx.AFloat("epsilon", float32(eps)))
	return y
}

// groupNorm normalizes each group of channels of each item: as an instance norm
// of a tensor whose channels are the groups.
func groupNorm(c *converter, a *args) value {
	x, groups := a.ten("input"), a.int("num_groups", 1)
	for _, name := range []string{"weight", "bias"} {
		if w := a.opt(name); w != nil {
			c.require(x, 1, c.fixed(w, 0))
		}
	}
	t := c.dtype(x)
	shape := c.shape(x)
	flat := c.reshape(x, []value{shape[0], groups, int64(-1)})
	y := c.op("InstanceNormalization", []any{flat, c.filled(nil, t, groups, 1), c.filled(nil, t, groups, 0)}, onnx.AFloat("epsilon", float32(a.float("eps", 1e-5))))
	y = c.reshapeLike(y, x)
	tail := []value{int64(-1)}
	for range c.rank(x) - 2 {
		tail = append(tail, int64(1))
	}
	if w := a.opt("weight"); w != nil {
		y = c.op("Mul", []any{y, c.reshape(w, tail)})
	}
	if b := a.opt("bias"); b != nil {
		y = c.op("Add", []any{y, c.reshape(b, tail)})
	}
	return y
}

// reshapeLike gives a tensor the shape of another.
func (c *converter) reshapeLike(x, like *ten) *ten {
	shape := c.shape(like)
	for _, v := range shape {
		if _, ok := v.(*num); ok {
			return c.declare(c.op("Reshape", []any{x, c.op("Shape", []any{like})}), c.dtype(x), shape)
		}
	}
	return c.reshape(x, shape)
}

func rmsNorm(c *converter, a *args) value {
	x := a.ten("input")
	n := len(a.sizes("normalized_shape"))
	var axes []int64
	for i := c.rank(x) - n; i < c.rank(x); i++ {
		axes = append(axes, int64(i))
	}
	v := c.op("ReduceMean", []any{c.op("Mul", []any{x, x})}, onnx.AInts("axes", axes...))
	y := c.op("Div", []any{x, c.op("Sqrt", []any{c.plus(v, a.float("eps", 1.1920928955078125e-07))})})
	if w := a.opt("weight"); w != nil {
		y = c.op("Mul", []any{y, w})
	}
	return y
}
