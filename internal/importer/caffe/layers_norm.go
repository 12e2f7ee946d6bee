package caffe

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func (c *converter) lrn(l *layer) error {
	p := l.msg.sub("lrn_param")
	x := c.in(l, 0)
	size, alpha, beta, k := p.int("local_size", 5), p.float("alpha", 1), p.float("beta", 0.75), p.float("k", 1)
	if size < 1 || size%2 == 0 {
		return c.invalid(l, "local_size must be odd, not %d", size)
	}
	switch region := p.str("norm_region", "ACROSS_CHANNELS"); region {
	case "ACROSS_CHANNELS":
		y := c.op(l, "LRN", []string{x.name}, onnx.AInt("size", size), onnx.AFloat("alpha", float32(alpha)),
			onnx.AFloat("beta", float32(beta)), onnx.AFloat("bias", float32(k)))
		c.set(l, 0, y, x.shape)
	case "WITHIN_CHANNEL":
		// There is no such operator: x * (1 + alpha * mean of x² around)^-beta,
		// where padding counts as zeros. k is not used.
		if x.rank() != 4 {
			return c.invalid(l, "its input of %s is no picture", tensor.ShapeString(x.sizes()))
		}
		pad := (size - 1) / 2
		mean := c.op(l, "AveragePool", []string{c.op(l, "Mul", []string{x.name, x.name})}, onnx.AInts("kernel_shape", size, size),
			onnx.AInts("pads", pad, pad, pad, pad), onnx.AInt("count_include_pad", 1))
		sum := c.op(l, "Add", []string{c.op(l, "Mul", []string{mean, c.scalar(l, "alpha", alpha)}), c.scalar(l, "one", 1)})
		factor := c.op(l, "Pow", []string{sum, c.scalar(l, "beta", -beta)})
		c.set(l, 0, c.op(l, "Mul", []string{x.name, factor}), x.shape)
	default:
		return c.refuse(l, "norm_region: %s is not supported", cut(region))
	}
	return nil
}

// batchNorm has the sums of the mean and the variance, and the factor by which
// both are to be divided; scale and shift are a layer of their own.
func (c *converter) batchNorm(l *layer) error {
	p := l.msg.sub("batch_norm_param")
	x := c.in(l, 0)
	if x.rank() < 2 {
		return c.invalid(l, "its input of %s has no channels", tensor.ShapeString(x.sizes()))
	}
	eps := p.float("eps", 1e-5)
	if !p.flag("use_global_stats", on) {
		return c.batchStatistics(l, x, eps)
	}
	channels := c.pin(x.shape[1])
	mean, ok, err := c.need(l, 0, "mean", channels)
	if err != nil || !ok {
		c.set(l, 0, x.name, x.shape)
		return err
	}
	variance, _, err := c.need(l, 1, "variance", channels)
	if err != nil {
		return err
	}
	factor := 1.0
	if len(l.blobs) > 2 && l.blobs[2].elements() == 1 {
		if f := float64(l.blobs[2].floats()[0]); f != 0 {
			factor = 1 / f
		} else {
			factor = 0
		}
	}
	scale, shift := filled(channels, 1), filled(channels, 0)
	if len(l.blobs) == 5 { // NVIDIA's fork keeps scale and shift here too
		if scale, _, err = c.need(l, 3, "scale", channels); err != nil {
			return err
		}
		if shift, _, err = c.need(l, 4, "shift", channels); err != nil {
			return err
		}
	}
	y := c.op(l, "BatchNormalization", []string{
		x.name, c.constant(l, "scale", scale), c.constant(l, "shift", shift),
		c.constant(l, "mean", times(mean, factor)), c.constant(l, "variance", times(variance, factor)),
	},
		onnx.AFloat("epsilon", float32(eps)))
	c.set(l, 0, y, x.shape)
	return nil
}

// batchStatistics normalises by the mean and variance of the very batch, as
// use_global_stats: false asks for even when the network is only run.
func (c *converter) batchStatistics(l *layer, x value, eps float64) error {
	c.notes = append(c.notes, l.at()+" has use_global_stats: false: its answers depend on all items that are run together")
	c.pinned |= batch // and so items of different callers must not be put together
	axes := []int64{0}
	for i := 2; i < x.rank(); i++ {
		axes = append(axes, int64(i))
	}
	centred, variance := c.moments(l, x.name, axes)
	y := c.op(l, "Div", []string{centred, c.op(l, "Sqrt", []string{c.op(l, "Add", []string{variance, c.scalar(l, "eps", eps)})})})
	c.set(l, 0, y, x.shape)
	return nil
}

// moments gives a tensor less its mean over some axes, and its variance.
func (c *converter) moments(l *layer, x string, axes []int64) (centred, variance string) {
	over := onnx.AInts("axes", axes...)
	centred = c.op(l, "Sub", []string{x, c.op(l, "ReduceMean", []string{x}, over)})
	squares := c.op(l, "Mul", []string{centred, centred})
	return centred, c.op(l, "ReduceMean", []string{squares}, over)
}

func filled(n int64, v float32) tensor.Tensor {
	out := make([]float32, n)
	for i := range out {
		out[i] = v
	}
	return tensor.Of(out, n)
}

func times(t tensor.Tensor, factor float64) tensor.Tensor {
	if factor == 1 {
		return t
	}
	in := tensor.As[float32](t)
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = float32(float64(v) * factor)
	}
	return tensor.Of(out, t.Shape...)
}

// bn is the layer of SegNet and PSPNet: scale and shift, and in the latter also
// mean and variance.
func (c *converter) bn(l *layer) error {
	x := c.in(l, 0)
	if x.rank() < 2 {
		return c.invalid(l, "its input of %s has no channels", tensor.ShapeString(x.sizes()))
	}
	p := l.msg.sub("bn_param")
	channels := c.pin(x.shape[1])
	var ts [4]tensor.Tensor
	count := 4
	if len(l.blobs) == 2 {
		count = 2
		ts[2], ts[3] = filled(channels, 0), filled(channels, 1)
	}
	for i, what := range []string{"scale", "shift", "mean", "variance"}[:count] {
		t, ok, err := c.need(l, i, what, channels)
		if err != nil || !ok {
			c.set(l, 0, x.name, x.shape)
			return err
		}
		ts[i] = t
	}
	eps := 0.0
	if count == 4 {
		eps = p.float("eps", 1e-5)
	}
	y := c.op(l, "BatchNormalization", []string{
		x.name, c.constant(l, "scale", ts[0]), c.constant(l, "shift", ts[1]),
		c.constant(l, "mean", ts[2]), c.constant(l, "variance", ts[3]),
	}, onnx.AFloat("epsilon", float32(eps)))
	c.set(l, 0, y, x.shape)
	return nil
}

// mvn takes the mean off each channel or item, and divides by the deviation.
func (c *converter) mvn(l *layer) error {
	p := l.msg.sub("mvn_param")
	x := c.in(l, 0)
	from := 2
	if p.flag("across_channels", off) {
		from = 1
	}
	if x.rank() <= from {
		return c.invalid(l, "its input of %s has no places", tensor.ShapeString(x.sizes()))
	}
	var axes []int64
	for i := from; i < x.rank(); i++ {
		axes = append(axes, int64(i))
	}
	y, variance := c.moments(l, x.name, axes)
	if p.flag("normalize_variance", on) {
		deviation := c.op(l, "Sqrt", []string{variance})
		y = c.op(l, "Div", []string{y, c.op(l, "Add", []string{deviation, c.scalar(l, "eps", p.float("eps", 1e-9))})})
	}
	c.set(l, 0, y, x.shape)
	return nil
}

// normalize is SSD's layer: every place, or every item, divided by its length
// and multiplied by a learned scale.
func (c *converter) normalize(l *layer) error {
	p := l.msg.sub("norm_param")
	x := c.in(l, 0)
	if x.rank() != 4 {
		return c.invalid(l, "its input of %s is no picture", tensor.ShapeString(x.sizes()))
	}
	axes := onnx.AInts("axes", 1)
	if p.flag("across_spatial", on) {
		axes = onnx.AInts("axes", 1, 2, 3)
	}
	shape := []int64{1, 1, 1, 1}
	if !p.flag("channel_shared", on) {
		shape[1] = c.pin(x.shape[1])
	}
	scale, ok, err := c.needOr(l, 0, p.sub("scale_filler"), 1, shape...)
	if err != nil || !ok {
		c.set(l, 0, x.name, x.shape)
		return err
	}
	sum := c.op(l, "ReduceSumSquare", []string{x.name}, axes)
	length := c.op(l, "Sqrt", []string{c.op(l, "Add", []string{sum, c.scalar(l, "eps", p.float("eps", 1e-10))})})
	y := c.op(l, "Mul", []string{c.op(l, "Div", []string{x.name, length}), c.constant(l, "scale", scale)})
	c.set(l, 0, y, x.shape)
	return nil
}

// covered gives the shape that lets an array cover axes of x from axis on, and
// the number of axes it covers.
func (c *converter) covered(l *layer, x value, axis, count int64) ([]int64, error) {
	from, err := c.axis(l, axis, max(x.rank(), 1))
	if err != nil {
		return nil, err
	}
	to := x.rank()
	if count >= 0 {
		to = from + int(min(count, math.MaxInt16))
	}
	if to > x.rank() {
		return nil, c.invalid(l, "its axis and num_axes lie outside its input of %d dimensions", x.rank())
	}
	shape := c.pinAll(x.shape[from:to])
	for range x.rank() - to {
		shape = append(shape, 1)
	}
	return shape, nil
}

// scale multiplies by a learned array or by another bottom, and may add one.
func (c *converter) scale(l *layer) error {
	p := l.msg.sub("scale_param")
	x := c.in(l, 0)
	y := ""
	biasAt := 1
	if len(l.bottoms) > 1 {
		factor, err := c.spread(l, x, c.in(l, 1), p.int("axis", 1))
		if err != nil {
			return err
		}
		y, biasAt = c.op(l, "Mul", []string{x.name, factor}), 0
	} else {
		shape, err := c.covered(l, x, p.int("axis", 1), p.int("num_axes", 1))
		if err != nil {
			return err
		}
		gamma, ok, err := c.needOr(l, 0, p.sub("filler"), 1, shape...)
		if err != nil || !ok {
			c.set(l, 0, x.name, x.shape)
			return err
		}
		y = c.op(l, "Mul", []string{x.name, c.constant(l, "scale", gamma)})
	}
	if p.flag("bias_term", off) {
		shape, err := c.covered(l, x, p.int("axis", 1), c.biasAxes(l, p))
		if err != nil {
			return err
		}
		beta, _, err := c.needOr(l, biasAt, p.sub("bias_filler"), 0, shape...)
		if err != nil {
			return err
		}
		y = c.op(l, "Add", []string{y, c.constant(l, "shift", beta)})
	}
	c.set(l, 0, y, x.shape)
	return nil
}

// biasAxes says how many axes the bias of a Scale covers: those of its factor.
func (c *converter) biasAxes(l *layer, p *message) int64 {
	if len(l.bottoms) > 1 {
		return int64(c.in(l, 1).rank())
	}
	return p.int("num_axes", 1)
}

// spread gives the second bottom with dimensions of 1 behind, so that it covers
// the axes of x from axis on.
func (c *converter) spread(l *layer, x, by value, axis int64) (string, error) {
	from, err := c.axis(l, axis, x.rank())
	if err != nil {
		return "", err
	}
	behind := x.rank() - from - by.rank()
	if behind < 0 {
		return "", c.invalid(l, "its second bottom of %s does not fit into its first of %s from axis %d on",
			tensor.ShapeString(by.sizes()), tensor.ShapeString(x.sizes()), from)
	}
	for i, d := range by.shape {
		// A one is spread by the operator, which is what Caffe refuses.
		if d.n != x.shape[from+i].n {
			return "", c.invalid(l, "its second bottom of %s does not fit into its first of %s from axis %d on",
				tensor.ShapeString(by.sizes()), tensor.ShapeString(x.sizes()), from)
		}
	}
	if behind == 0 {
		return by.name, nil
	}
	var axes []int64
	for i := range behind {
		axes = append(axes, int64(by.rank()+i))
	}
	return c.op(l, "Unsqueeze", []string{by.name, c.list(l, "axes", axes...)}), nil
}

func (c *converter) bias(l *layer) error {
	p := l.msg.sub("bias_param")
	x := c.in(l, 0)
	add := ""
	if len(l.bottoms) > 1 {
		var err error
		if add, err = c.spread(l, x, c.in(l, 1), p.int("axis", 1)); err != nil {
			return err
		}
	} else {
		shape, err := c.covered(l, x, p.int("axis", 1), p.int("num_axes", 1))
		if err != nil {
			return err
		}
		beta, _, err := c.needOr(l, 0, p.sub("filler"), 0, shape...)
		if err != nil {
			return err
		}
		add = c.constant(l, "bias", beta)
	}
	c.set(l, 0, c.op(l, "Add", []string{x.name, add}), x.shape)
	return nil
}

// axpy is the layer of squeeze-and-excitation networks: a*x + y, a for every
// channel.
func (c *converter) axpy(l *layer) error {
	a, x, y := c.in(l, 0), c.in(l, 1), c.in(l, 2)
	if x.rank() != y.rank() || a.rank() > x.rank() {
		return c.invalid(l, "its bottoms do not fit")
	}
	by := a.name
	if a.rank() < x.rank() {
		var axes []int64
		for i := a.rank(); i < x.rank(); i++ {
			axes = append(axes, int64(i))
		}
		by = c.op(l, "Unsqueeze", []string{by, c.list(l, "axes", axes...)})
	}
	c.set(l, 0, c.op(l, "Add", []string{c.op(l, "Mul", []string{x.name, by}), y.name}), x.shape)
	return nil
}
