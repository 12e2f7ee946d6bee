package caffe

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// window is how a kernel walks over the places of its input.
type window struct {
	kernel, stride, pad, dilation []int64
}

// readWindow reads the settings of a convolution: one number for all axes, one
// for each, or those of height and width by name.
func (c *converter) readWindow(l *layer, p *message, spatial int) (window, error) {
	var w window
	var err error
	if w.kernel, err = c.perAxis(l, p, axisSetting{"kernel_size", "kernel_h", "kernel_w", 0}, spatial); err != nil {
		return w, err
	}
	if w.stride, err = c.perAxis(l, p, axisSetting{"stride", "stride_h", "stride_w", 1}, spatial); err != nil {
		return w, err
	}
	if w.pad, err = c.perAxis(l, p, axisSetting{"pad", "pad_h", "pad_w", 0}, spatial); err != nil {
		return w, err
	}
	if w.dilation, err = c.perAxis(l, p, axisSetting{"dilation", "", "", 1}, spatial); err != nil {
		return w, err
	}
	for i := range spatial {
		if w.kernel[i] < 1 || w.stride[i] < 1 || w.pad[i] < 0 || w.dilation[i] < 1 {
			return w, c.invalid(l, "its kernel, stride, pad or dilation makes no sense: %d, %d, %d, %d",
				w.kernel[i], w.stride[i], w.pad[i], w.dilation[i])
		}
	}
	return w, nil
}

// axisSetting names a setting and its default.
type axisSetting struct {
	name, h, w string
	otherwise  int64
}

func (c *converter) perAxis(l *layer, p *message, s axisSetting, spatial int) ([]int64, error) {
	out := make([]int64, spatial)
	given := p.ints(s.name)
	switch {
	case s.h != "" && (p.has(s.h) || p.has(s.w)):
		if spatial != 2 {
			return nil, c.invalid(l, "%s is for pictures, and its input has %d such axes", s.h, spatial)
		}
		out[0], out[1] = p.int(s.h, s.otherwise), p.int(s.w, s.otherwise)
	case len(given) == 0:
		for i := range out {
			out[i] = s.otherwise
		}
	case len(given) == 1:
		for i := range out {
			out[i] = given[0]
		}
	case len(given) == spatial:
		copy(out, given)
	default:
		return nil, c.invalid(l, "%s has %d numbers for %d axes", s.name, len(given), spatial)
	}
	return out, nil
}

func (w window) attrs() []onnx.Attribute {
	return []onnx.Attribute{
		onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...),
		onnx.AInts("pads", append(append([]int64{}, w.pad...), w.pad...)...), onnx.AInts("dilations", w.dilation...),
	}
}

// picture checks that a layer's input has a batch, channels and places.
func (c *converter) picture(l *layer, x value) error {
	if x.rank() < 3 {
		return c.invalid(l, "its input of %s has no places to walk over", tensor.ShapeString(x.sizes()))
	}
	return nil
}

func (c *converter) convolution(l *layer) error {
	return c.convolve(l, l.msg.sub("convolution_param").int("group", 1))
}

// depthwise is a fork's layer: a convolution with a group for each channel.
func (c *converter) depthwise(l *layer) error {
	p := l.msg.sub("convolution_param")
	return c.convolve(l, p.int("group", p.int("num_output", 1)))
}

func (c *converter) convolve(l *layer, group int64) error {
	p := l.msg.sub("convolution_param")
	x := c.in(l, 0)
	if err := c.picture(l, x); err != nil {
		return err
	}
	if axis := p.int("axis", 1); axis != 1 && axis != 1-int64(x.rank()) {
		return c.refuse(l, "an axis of %d is not supported", axis)
	}
	w, err := c.readWindow(l, p, x.rank()-2)
	if err != nil {
		return err
	}
	out, channels := p.int("num_output", 0), c.pin(x.shape[1])
	if out < 1 || group < 1 || channels%group != 0 || out%group != 0 {
		return c.invalid(l, "%d channels in, %d out and %d groups do not fit", channels, out, group)
	}
	shape := []dim{x.shape[0], {n: out}}
	for i, d := range x.shape[2:] {
		d.n = (d.n+2*w.pad[i]-(w.dilation[i]*(w.kernel[i]-1)+1))/w.stride[i] + 1
		if d.n < 1 || x.shape[2+i].n+2*w.pad[i] < w.dilation[i]*(w.kernel[i]-1)+1 {
			return c.invalid(l, "its input of %s is smaller than its kernel", tensor.ShapeString(x.sizes()))
		}
		shape = append(shape, d)
	}
	inputs, err := c.kernel(l, x, append([]int64{out, channels / group}, w.kernel...), out)
	if err != nil {
		return err
	}
	attrs := append(w.attrs(), onnx.AInt("group", group))
	c.set(l, 0, c.op(l, "Conv", inputs, attrs...), shape)
	return nil
}

// kernel gives the inputs of a convolution: what comes in, weights and bias.
func (c *converter) kernel(l *layer, x value, shape []int64, out int64) ([]string, error) {
	p := l.msg.sub("convolution_param")
	var (
		weight tensor.Tensor
		err    error
	)
	ok := true
	if f := p.sub("weight_filler"); len(l.blobs) == 0 && f.str("type", "") == "bilinear" && len(shape) == 4 {
		if _, err := c.allot(l, shape); err != nil {
			return nil, err
		}
		weight = bilinear(shape)
	} else if weight, ok, err = c.need(l, 0, "weight", shape...); err != nil {
		return nil, err
	}
	if !ok { // noted as missing; what follows is made all the same, to find all
		weight = tensor.Tensor{DType: tensor.Float32, Shape: []int64{0}}
	}
	inputs := []string{x.name, c.constant(l, "weight", weight)}
	if !p.flag("bias_term", on) {
		return inputs, nil
	}
	bias, _, err := c.needOr(l, 1, p.sub("bias_filler"), 0, out)
	if err != nil {
		return nil, err
	}
	return append(inputs, c.constant(l, "bias", bias)), nil
}

func (c *converter) deconvolution(l *layer) error {
	p := l.msg.sub("convolution_param")
	x := c.in(l, 0)
	if err := c.picture(l, x); err != nil {
		return err
	}
	w, err := c.readWindow(l, p, x.rank()-2)
	if err != nil {
		return err
	}
	out, channels, group := p.int("num_output", 0), c.pin(x.shape[1]), p.int("group", 1)
	if out < 1 || group < 1 || channels%group != 0 || out%group != 0 {
		return c.invalid(l, "%d channels in, %d out and %d groups do not fit", channels, out, group)
	}
	inputs, err := c.kernel(l, x, append([]int64{channels, out / group}, w.kernel...), out)
	if err != nil {
		return err
	}
	shape := []dim{x.shape[0], {n: out}}
	for i, d := range x.shape[2:] {
		d.n = w.stride[i]*(d.n-1) + w.dilation[i]*(w.kernel[i]-1) + 1 - 2*w.pad[i]
		if d.n < 1 || d.n > maxPlaces {
			return c.invalid(l, "its output would have %d places along an axis", d.n)
		}
		shape = append(shape, d)
	}
	attrs := append(w.attrs(), onnx.AInt("group", group))
	c.set(l, 0, c.op(l, "ConvTranspose", inputs, attrs...), shape)
	return nil
}

// maxPlaces bounds a dimension that grows, so that no product of a few runs over.
const maxPlaces = 1 << 31

// innerProduct multiplies everything from an axis on by one matrix.
func (c *converter) innerProduct(l *layer) error {
	p := l.msg.sub("inner_product_param")
	x := c.in(l, 0)
	axis, err := c.axis(l, p.int("axis", 1), x.rank())
	if err != nil {
		return err
	}
	out, in := p.int("num_output", 0), c.pin(product(x.shape[axis:]))
	if out < 1 {
		return c.invalid(l, "num_output must be above 0")
	}
	shape, transB := []int64{out, in}, int64(1)
	if p.flag("transpose", off) {
		shape, transB = []int64{in, out}, 0
	}
	weight, ok, err := c.need(l, 0, "weight", shape...)
	if err != nil {
		return err
	}
	if !ok {
		weight = tensor.Tensor{DType: tensor.Float32, Shape: []int64{0}}
	}
	inputs := []string{x.name, c.constant(l, "weight", weight)}
	if p.flag("bias_term", on) {
		bias, _, err := c.needOr(l, 1, p.sub("bias_filler"), 0, out)
		if err != nil {
			return err
		}
		inputs = append(inputs, c.constant(l, "bias", bias))
	}
	if x.rank() != 2 || axis != 1 {
		inputs[0] = c.op(l, "Flatten", []string{x.name}, onnx.AInt("axis", int64(axis)))
	}
	y := c.op(l, "Gemm", inputs, onnx.AInt("transB", transB))
	if axis != 1 {
		to := append([]int64{-1}, c.pinAll(x.shape[min(1, axis):axis])...)
		if axis == 0 {
			to = nil
		}
		y = c.op(l, "Reshape", []string{y, c.list(l, "shape", append(to, out)...)})
	}
	c.set(l, 0, y, append(append([]dim{}, x.shape[:axis]...), dim{n: out}))
	return nil
}

// embed looks up a row of a table for every whole number of its input.
func (c *converter) embed(l *layer) error {
	p := l.msg.sub("embed_param")
	x := c.in(l, 0)
	rows, out := p.int("input_dim", 0), p.int("num_output", 0)
	table, ok, err := c.need(l, 0, "table", rows, out)
	if err != nil || !ok {
		return err
	}
	const toInt64 = 7
	index := c.op(l, "Cast", []string{x.name}, onnx.AInt("to", toInt64))
	y := c.op(l, "Gather", []string{c.constant(l, "table", table), index}, onnx.AInt("axis", 0))
	if p.flag("bias_term", on) {
		bias, _, err := c.needOr(l, 1, p.sub("bias_filler"), 0, out)
		if err != nil {
			return err
		}
		y = c.op(l, "Add", []string{y, c.constant(l, "bias", bias)})
	}
	c.set(l, 0, y, append(append([]dim{}, x.shape...), dim{n: out}))
	return nil
}
