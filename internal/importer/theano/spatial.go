package theano

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

type maker = func(c *converter, l *layer, s *settings) (string, error)

// kernelOf reads filter_size and stride.
func (s *settings) kernelOf(axes int, stride string) build.Window {
	w := build.Window{Kernel: s.ints("filter_size", axes, nil), Stride: slices.Repeat([]int64{1}, axes)}
	if stride != "" {
		w.Stride = s.ints(stride, axes, w.Stride)
	}
	if w.Kernel == nil {
		s.fail(s.l.fields, "filter_size", "a number, or a list of them")
		w.Kernel = slices.Repeat([]int64{1}, axes)
	}
	for i := range axes {
		if w.Kernel[i] < 1 || w.Stride[i] < 1 {
			s.fail(s.l.fields, "filter_size and stride", "numbers above 0")
			w.Kernel[i], w.Stride[i] = 1, 1
		}
	}
	return w
}

// padOf reads the padding of a convolution, the same before and after each axis:
// numbers, or the words valid, full and same.
func (s *settings) padOf(key string, kernel []int64) []int64 {
	out := make([]int64, len(kernel))
	n, ok := s.l.fields.get(key)
	if !ok {
		return out
	}
	switch n.text {
	case "valid":
	case "full":
		for i, k := range kernel {
			out[i] = k - 1
		}
	case "same", "half":
		for i, k := range kernel {
			out[i] = k / 2
			if k%2 == 0 && n.text == "same" {
				s.fail(n, key, "a filter of odd size for same")
			}
		}
	default:
		out = s.ints(key, len(kernel), out)
	}
	for _, p := range out {
		if p < 0 {
			s.fail(n, key, "no number below 0")
			return make([]int64, len(kernel))
		}
	}
	return out
}

func padsAttr(pad []int64) onnx.Attribute { return onnx.AInts("pads", slices.Concat(pad, pad)...) }

// convolution of Theano turns its filters over, unless it is told not to.
func convolution(axes int) maker {
	return func(c *converter, l *layer, s *settings) (string, error) {
		x, err := c.in(l)
		if err != nil {
			return "", err
		}
		if err := c.rank(l, x, axes+2); err != nil {
			return "", err
		}
		channels, err := c.size(l, x, 1)
		if err != nil {
			return "", err
		}
		win := s.kernelOf(axes, "stride")
		filters, groups := s.need("num_filters"), max(s.int("num_groups", 1), 1)
		w, err := c.param(l, "W", append([]int64{filters, channels / groups}, win.Kernel...)...)
		if err != nil {
			return "", err
		}
		if s.flag("flip_filters", true) {
			if w, err = c.flip(w); err != nil {
				return "", err
			}
		}
		attrs := append(win.Attrs(), padsAttr(s.padOf("pad", win.Kernel)))
		if groups > 1 {
			attrs = append(attrs, onnx.AInt("group", groups))
		}
		return c.convolved(s, "Conv", []string{x, c.constant(l, "W", w)}, filters, attrs)
	}
}

// convolved adds a convolution, its bias, and what comes after it.
func (c *converter) convolved(s *settings, op string, inputs []string, filters int64, attrs []onnx.Attribute) (string, error) {
	l := s.l
	if !s.hasBias() || s.flag("untie_biases", false) {
		y := c.op(l, op, inputs, attrs...)
		if s.hasBias() {
			shape := []int64{filters}
			for i := 2; i < len(c.dims(y)); i++ {
				n, err := c.size(l, y, i)
				if err != nil {
					return "", err
				}
				shape = append(shape, n)
			}
			b, err := c.param(l, "b", shape...)
			if err != nil {
				return "", err
			}
			y = c.op(l, "Add", []string{y, c.constant(l, "b", b)})
		}
		return c.after(l, s, y)
	}
	b, err := c.param(l, "b", filters)
	if err != nil {
		return "", err
	}
	return c.after(l, s, c.op(l, op, append(inputs, c.constant(l, "b", b)), attrs...))
}

// nin multiplies the channels at each place.
func (c *converter) nin(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	channels, err := c.size(l, x, 1)
	if err != nil {
		return "", err
	}
	axes := len(c.dims(x)) - 2
	if axes < 1 {
		return "", c.net.errorf(l, "its input is %s, and it takes pictures", onnx.DimString(c.dims(x)))
	}
	units := s.need("num_units")
	w, err := c.param(l, "W", channels, units)
	if err != nil {
		return "", err
	}
	if w, err = c.permute(w, 1, 0); err != nil {
		return "", err
	}
	ones := slices.Repeat([]int64{1}, axes)
	weight := c.constant(l, "W", w, append([]int64{units, channels}, ones...)...)
	return c.convolved(s, "Conv", []string{x, weight}, units, []onnx.Attribute{onnx.AInts("kernel_shape", ones...)})
}

// transposed has filters of inputs x outputs, which it turns over unless it is
// told to: the flag is the other way round than that of a convolution.
func transposed(axes int) maker {
	return func(c *converter, l *layer, s *settings) (string, error) {
		x, err := c.in(l)
		if err != nil {
			return "", err
		}
		if err := c.rank(l, x, axes+2); err != nil {
			return "", err
		}
		channels, err := c.size(l, x, 1)
		if err != nil {
			return "", err
		}
		win, filters := s.kernelOf(axes, "stride"), s.need("num_filters")
		w, err := c.param(l, "W", append([]int64{channels, filters}, win.Kernel...)...)
		if err != nil {
			return "", err
		}
		if !s.flag("flip_filters", false) {
			if w, err = c.flip(w); err != nil {
				return "", err
			}
		}
		crop := s.padOf("crop", win.Kernel)
		parts := make([]build.Transposed, axes)
		want := s.ints("output_size", axes, nil)
		for i := range parts {
			parts[i] = build.Transposed{Before: crop[i], After: crop[i]}
			if want == nil {
				continue
			}
			n, err := c.size(l, x, i+2)
			if err != nil {
				return "", err
			}
			parts[i].Extra = want[i] - ((n-1)*win.Stride[i] + win.Kernel[i] - 2*crop[i])
			if parts[i].Extra < 0 || parts[i].Extra >= win.Stride[i] {
				return "", c.net.errorf(l, "its output_size %d cannot come of an input of %d", want[i], n)
			}
		}
		attrs := append(win.Attrs(), build.TransposedAttrs(parts)...)
		return c.convolved(s, "ConvTranspose", []string{x, c.constant(l, "W", w)}, filters, attrs)
	}
}

// dilated has filters of inputs x outputs, and does not turn them over.
func (c *converter) dilated(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	if err := c.rank(l, x, 4); err != nil {
		return "", err
	}
	channels, err := c.size(l, x, 1)
	if err != nil {
		return "", err
	}
	win, filters := s.kernelOf(2, ""), s.need("num_filters")
	win.Dilation = s.ints("dilation", 2, []int64{1, 1})
	w, err := c.param(l, "W", append([]int64{channels, filters}, win.Kernel...)...)
	if err != nil {
		return "", err
	}
	if s.flag("flip_filters", false) {
		if w, err = c.flip(w); err != nil {
			return "", err
		}
	}
	if w, err = c.permute(w, 1, 0, 2, 3); err != nil {
		return "", err
	}
	return c.convolved(s, "Conv", []string{x, c.constant(l, "W", w)}, filters, win.Attrs())
}

func pooling(axes int) maker {
	return func(c *converter, l *layer, s *settings) (string, error) {
		x, err := c.in(l)
		if err != nil {
			return "", err
		}
		if err := c.rank(l, x, axes+2); err != nil {
			return "", err
		}
		size := s.ints("pool_size", axes, nil)
		if size == nil {
			s.fail(l.fields, "pool_size", "a number, or a list of them")
			return x, nil
		}
		p := build.Pool{Window: build.Window{Kernel: size, Stride: s.ints("stride", axes, size)}, Pad: s.ints("pad", axes, make([]int64, axes)), Ceil: !s.flag("ignore_border", true)}
		for i := range axes {
			if size[i] < 1 || p.Stride[i] < 1 || p.Pad[i] < 0 || p.Pad[i] > 0 && p.Pad[i] >= size[i] {
				return "", c.net.errorf(l, "its pool_size, stride or pad make no sense")
			}
			if p.Ceil && p.Pad[i] > 0 {
				return "", c.net.errorf(l, "Theano has no padding where ignore_border is false")
			}
		}
		switch s.word("mode", "max", "max", "average_exc_pad", "average_inc_pad") {
		case "average_exc_pad":
			p.ExcludePad = true
			return c.b.AveragePool(l.name, x, p), nil
		case "average_inc_pad":
			return c.b.AveragePool(l.name, x, p), nil
		}
		return c.b.MaxPool(l.name, x, p), nil
	}
}

// poolFunction reduces one axis by a function of Theano.
func (c *converter) poolFunction(l *layer, s *settings, otherwise, x string, axis int64) string {
	op := s.word("pool_function", otherwise, "mean", "max", "min", "sum", "prod")
	if op == "sum" {
		return c.op(l, "ReduceSum", []string{x, c.b.Ints(axis)}, onnx.AInt("keepdims", 0))
	}
	name := map[string]string{"mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}[op]
	return c.op(l, name, []string{x}, onnx.AInts("axes", axis), onnx.AInt("keepdims", 0))
}

// globalPool pools all dimensions behind the second to nothing.
func (c *converter) globalPool(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	flat := c.op(l, "Reshape", []string{x, c.b.Ints(0, 0, -1)})
	return c.poolFunction(l, s, "mean", flat, 2), nil
}

// regions splits an axis into parts of pool_size.
func (c *converter) regions(l *layer, s *settings) (x, split string, axis int, err error) {
	if x, err = c.in(l); err != nil {
		return "", "", 0, err
	}
	dims, size := c.dims(x), s.need("pool_size")
	axis = int(s.int("axis", 1))
	if axis < 0 {
		axis += len(dims)
	}
	if axis < 0 || axis >= len(dims) {
		return "", "", 0, c.net.errorf(l, "its axis is none of an input of %s", onnx.DimString(dims))
	}
	n, err := c.size(l, x, axis)
	if err != nil {
		return "", "", 0, err
	}
	if n%size != 0 {
		return "", "", 0, c.net.errorf(l, "its input has %d numbers along its axis, which is no multiple of %d", n, size)
	}
	parts := []string{}
	for i, d := range dims {
		switch {
		case i == axis:
			parts = append(parts, c.b.Ints(n/size, size))
		case d.Known():
			parts = append(parts, c.b.Ints(d.Value))
		default:
			shape := c.op(l, "Shape", []string{x})
			parts = append(parts, c.op(l, "Slice", []string{shape, c.b.Ints(int64(i)), c.b.Ints(int64(i) + 1)}))
		}
	}
	shape := c.op(l, "Concat", parts, onnx.AInt("axis", 0))
	return x, c.op(l, "Reshape", []string{x, shape}), axis, nil
}

func (c *converter) featurePool(l *layer, s *settings) (string, error) {
	_, split, axis, err := c.regions(l, s)
	if err != nil {
		return "", err
	}
	return c.poolFunction(l, s, "max", split, int64(axis)+1), nil
}

// featureWTA keeps the largest of each region, and makes the others 0.
func (c *converter) featureWTA(l *layer, s *settings) (string, error) {
	x, split, axis, err := c.regions(l, s)
	if err != nil {
		return "", err
	}
	keep := c.op(l, "Hardmax", []string{split}, onnx.AInt("axis", int64(axis)+1))
	shape := c.op(l, "Shape", []string{x})
	return c.op(l, "Reshape", []string{c.op(l, "Mul", []string{split, keep}), shape}), nil
}

// upscale repeats each number, or puts zeros behind it.
func upscale(axes int) maker {
	return func(c *converter, l *layer, s *settings) (string, error) {
		x, err := c.in(l)
		if err != nil {
			return "", err
		}
		if err := c.rank(l, x, axes+2); err != nil {
			return "", err
		}
		factor := s.ints("scale_factor", axes, nil)
		if len(factor) != axes || slices.Min(factor) < 1 {
			s.fail(l.fields, "scale_factor", "a number above 0, or a list of them")
			return x, nil
		}
		if s.word("mode", "repeat", "repeat", "dilate") == "repeat" {
			scales := []float32{1, 1}
			for _, f := range factor {
				scales = append(scales, float32(f))
			}
			return c.op(l, "Resize", []string{x, "", c.b.Floats(scales...)}, onnx.AStr("mode", "nearest"),
				onnx.AStr("coordinate_transformation_mode", "asymmetric"), onnx.AStr("nearest_mode", "floor")), nil
		}
		return c.dilate(l, x, factor)
	}
}

// dilate is a convolution of each channel, transposed, with a filter that has 1
// in its first place.
func (c *converter) dilate(l *layer, x string, factor []int64) (string, error) {
	channels, err := c.size(l, x, 1)
	if err != nil {
		return "", err
	}
	shape := append([]int64{channels, 1}, factor...)
	n, err := tensor.Elements(shape)
	if err != nil {
		return "", err
	}
	if err := c.spend(4 * n); err != nil {
		return "", err
	}
	w := make([]float32, n)
	for i := int64(0); i < n; i += n / channels {
		w[i] = 1
	}
	return c.op(l, "ConvTranspose", []string{x, c.constant(l, "places", tensor.Of(w, shape...))},
		onnx.AInts("kernel_shape", factor...), onnx.AInts("strides", factor...), onnx.AInt("group", channels)), nil
}
