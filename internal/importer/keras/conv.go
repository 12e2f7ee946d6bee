package keras

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxKernel bounds windows, whose sizes a file may claim as it likes.
const maxKernel = 1 << 16

// convolution is a convolution's settings, as all versions of Keras have them.
type convolution struct {
	build.Window
	filters int64
	padding string // valid, same, causal
	groups  int64
	bias    bool
	extra   []int64 // output_padding
}

// convolutionOf reads the settings of a convolution over n spatial axes.
func (c *converter) convolutionOf(l *layer, n int) (convolution, error) {
	g := l.Cfg
	v := convolution{
		filters: kerasfile.Whole(g.First("filters", "nb_filter"), 0), padding: g.Text("padding"), groups: g.Int("groups", 1),
		bias: useBias(l),
	}
	if v.padding == "" {
		v.padding = g.Text("border_mode")
	}
	if v.padding == "" {
		v.padding = "valid"
	}
	v.Kernel = kerasfile.Ints(g["kernel_size"], n, 1)
	if g["kernel_size"] == nil { // Keras 1
		switch n {
		case 1:
			v.Kernel = []int64{g.Int("filter_length", 0)}
		case 2:
			v.Kernel = []int64{g.Int("nb_row", 0), g.Int("nb_col", 0)}
		case 3:
			v.Kernel = []int64{g.Int("kernel_dim1", 0), g.Int("kernel_dim2", 0), g.Int("kernel_dim3", 0)}
		}
	}
	v.Stride = kerasfile.Ints(g.First("strides", "subsample", "subsample_length"), n, 1)
	v.Dilation = kerasfile.Ints(g.First("dilation_rate", "atrous_rate"), n, 1)
	if g["output_padding"] != nil {
		v.extra = kerasfile.Ints(g["output_padding"], n, 0)
	}
	for _, list := range [][]int64{v.Kernel, v.Stride, v.Dilation} {
		if len(list) != n || slices.Min(list) < 1 || slices.Max(list) > maxKernel {
			return v, c.invalid(l, "its kernel, strides or dilation make no sense")
		}
	}
	if v.groups < 1 || v.groups > maxKernel {
		return v, c.invalid(l, "its groups make no sense")
	}
	return v, nil
}

func useBias(l *layer) bool { return l.Cfg.Flag("use_bias", l.Cfg.Flag("bias", true)) }

func kernelAndBias(l *layer) []string {
	if useBias(l) {
		return []string{"kernel", "bias"}
	}
	return []string{"kernel"}
}

// spatially runs f on a tensor whose channels stand first, and brings its result
// back into the order of the layer.
func (c *converter) spatially(l *layer, x string, f func(x string) (string, error)) (string, error) {
	if c.channelsFirst(l) {
		return f(x)
	}
	y, err := f(c.toFirst(l, x))
	if err != nil {
		return "", err
	}
	return c.toLast(l, y), nil
}

func (c *converter) toFirst(l *layer, x string) string {
	perm := []int64{0, int64(c.rank(x)) - 1}
	for i := 1; i < c.rank(x)-1; i++ {
		perm = append(perm, int64(i))
	}
	return c.transpose(l, x, perm...)
}

func (c *converter) toLast(l *layer, x string) string {
	perm := []int64{0}
	for i := 2; i < c.rank(x); i++ {
		perm = append(perm, int64(i))
	}
	return c.transpose(l, x, append(perm, 1)...)
}

// wantRank refuses an input of another rank, with n spatial axes.
func (c *converter) wantRank(l *layer, x string, n int) error {
	if r := c.rank(x); r != n+2 {
		return c.invalid(l, "it takes %d axes, and its input has %d", n+2, r)
	}
	return nil
}

// channels gives the number of channels of an input, which must be known.
func (c *converter) channels(l *layer, x string) (int64, error) {
	axis := -1
	if c.channelsFirst(l) {
		axis = 1
	}
	n := c.dim(x, axis)
	if n < 1 {
		return 0, c.sizeNeeded(l, "the number of channels of its input")
	}
	return n, nil
}

// kernel gives the weights of a convolution as ONNX has them: out, in, and the
// spatial axes. Keras has the spatial axes first, Keras 1 under Theano's order
// as ONNX does; kernels of models that Theano trained are turned by 180 degrees.
func (c *converter) kernel(l *layer, v convolution, in, out int64) (tensor.Tensor, error) {
	return c.once(l, "kernel", func() (tensor.Tensor, error) { return c.turnedKernel(l, v, in, out) })
}

func (c *converter) turnedKernel(l *layer, v convolution, in, out int64) (tensor.Tensor, error) {
	n := len(v.Kernel)
	name := "kernel"
	var t tensor.Tensor
	var err error
	switch {
	case l.Cfg.Text("dim_ordering") == "th" && n > 1:
		if t, err = c.weight(l, name, append([]int64{out, in}, v.Kernel...)...); err != nil {
			return t, err
		}
	case n == 1 && c.source.Era() == 1: // a picture of one column
		if t, err = c.weight(l, name, v.Kernel[0], 1, in, out); err != nil {
			return t, err
		}
		t = tensor.Permute(tensor.Tensor{DType: t.DType, Shape: []int64{v.Kernel[0], in, out}, Data: t.Data}, 2, 1, 0)
	default:
		if t, err = c.weight(l, name, append(slices.Clone(v.Kernel), in, out)...); err != nil {
			return t, err
		}
		t = tensor.Permute(t, outFirst(n)...)
	}
	if c.theano {
		t = turned(t)
	}
	return t, nil
}

// outFirst is the order that brings spatial axes, in, out into out, in, spatial.
func outFirst(n int) []int {
	perm := []int{n + 1, n}
	for i := range n {
		perm = append(perm, i)
	}
	return perm
}

// turned turns a kernel by 180 degrees: along all axes but the first two.
func turned(t tensor.Tensor) tensor.Tensor {
	area := int64(1)
	for _, d := range t.Shape[2:] {
		area *= d
	}
	from := tensor.As[float32](t)
	out := make([]float32, len(from))
	for i := int64(0); area > 0 && i < int64(len(from)); i += area {
		for k := range area {
			out[i+k] = from[i+area-1-k]
		}
	}
	return tensor.Of(out, t.Shape...)
}

// padAttr gives the attribute of a padding for an input whose channels stand
// first. Causal padding puts all of it before.
func (c *converter) padAttr(l *layer, v convolution, x string) (onnx.Attribute, error) {
	n := len(v.Kernel)
	switch v.padding {
	case "valid":
		return onnx.AInts("pads", make([]int64, 2*n)...), nil
	case "causal":
		pads := make([]int64, 2*n)
		for i := range n {
			extent, _ := v.At(i)
			pads[i] = extent - 1
		}
		return onnx.AInts("pads", pads...), nil
	case "same":
		if c.theano {
			return c.theanoSame(v), nil
		}
		a, ok := v.Same(c.b.Shape(x)[2:])
		if !ok {
			return a, c.sizeNeeded(l, "the size of its input")
		}
		return a, nil
	}
	return onnx.Attribute{}, c.refuse(l, "padding %.40q is not supported", v.padding)
}

func conv(n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		v, err := c.convolutionOf(l, n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		in, err := c.channels(l, x)
		if err != nil {
			return "", err
		}
		if in%v.groups != 0 {
			return "", c.invalid(l, "its groups do not divide the %d channels of its input", in)
		}
		w, err := c.kernel(l, v, in/v.groups, v.filters)
		if err != nil {
			return "", err
		}
		y, err := c.spatially(l, x, func(x string) (string, error) {
			return c.convolve(l, v, x, w, v.groups)
		})
		return c.activated(l, y, err)
	})
}

// convolve adds the operator for an input whose channels stand first.
func (c *converter) convolve(l *layer, v convolution, x string, w tensor.Tensor, groups int64) (string, error) {
	pads, err := c.padAttr(l, v, x)
	if err != nil {
		return "", err
	}
	inputs := []string{x, c.constant(l, "kernel", w)}
	if v.bias {
		b, err := c.vector(l, "bias", w.Shape[0])
		if err != nil {
			return "", err
		}
		inputs = append(inputs, b)
	}
	attrs := append(v.Attrs(), pads)
	if groups > 1 {
		attrs = append(attrs, onnx.AInt("group", groups))
	}
	return c.b.Op(l.Path, "Conv", inputs, attrs...), nil
}

// theanoSame pads as Keras does on Theano: half the kernel before, whatever the
// stride, and of an even kernel one less behind.
func (c *converter) theanoSame(v convolution) onnx.Attribute {
	n := len(v.Kernel)
	pads := make([]int64, 2*n)
	for i := range n {
		extent, _ := v.At(i)
		pads[i], pads[n+i] = extent/2, (extent-1)/2
	}
	return onnx.AInts("pads", pads...)
}

// depthwiseKernel gives the weights of a depthwise convolution: spatial axes,
// in, multiplier in Keras; in*multiplier, 1, spatial axes in ONNX.
func (c *converter) depthwiseKernel(l *layer, v convolution, name string, in, multiplier int64) (tensor.Tensor, error) {
	return c.once(l, name, func() (tensor.Tensor, error) { return c.deepKernel(l, v, name, in*multiplier) })
}

func (c *converter) deepKernel(l *layer, v convolution, name string, out int64) (tensor.Tensor, error) {
	n := len(v.Kernel)
	t, err := c.weight(l, name, append(slices.Clone(v.Kernel), -1, -1)...)
	if err != nil {
		return t, err
	}
	if t.Shape[n]*t.Shape[n+1] != out {
		return t, c.invalid(l, "its %s is %s, and gives no %d channels", name, tensor.ShapeString(t.Shape), out)
	}
	perm := []int{n, n + 1}
	for i := range n {
		perm = append(perm, i)
	}
	t = tensor.Permute(t, perm...)
	t.Shape = append([]int64{out, 1}, v.Kernel...)
	return t, nil
}

func depthwise(n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		v, err := c.convolutionOf(l, n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		in, err := c.channels(l, x)
		if err != nil {
			return "", err
		}
		w, err := c.depthwiseKernel(l, v, "kernel", in, l.Cfg.Int("depth_multiplier", 1))
		if err != nil {
			return "", err
		}
		y, err := c.spatially(l, x, func(x string) (string, error) { return c.convolve(l, v, x, w, in) })
		return c.activated(l, y, err)
	})
}

func separableSlots(l *layer) []string {
	if useBias(l) {
		return []string{"depthwise_kernel", "pointwise_kernel", "bias"}
	}
	return []string{"depthwise_kernel", "pointwise_kernel"}
}

// separable is a depthwise convolution and one of single elements behind it.
func separable(n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		v, err := c.convolutionOf(l, n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		in, err := c.channels(l, x)
		if err != nil {
			return "", err
		}
		multiplier := l.Cfg.Int("depth_multiplier", 1)
		deep, err := c.depthwiseKernel(l, v, "depthwise_kernel", in, multiplier)
		if err != nil {
			return "", err
		}
		ones := slices.Repeat([]int64{1}, n)
		point, err := c.once(l, "pointwise_kernel", func() (tensor.Tensor, error) {
			t, err := c.weight(l, "pointwise_kernel", append(slices.Clone(ones), in*multiplier, v.filters)...)
			if err != nil {
				return t, err
			}
			return tensor.Permute(t, outFirst(n)...), nil
		})
		if err != nil {
			return "", err
		}
		y, err := c.spatially(l, x, func(x string) (string, error) {
			pads, err := c.padAttr(l, v, x)
			if err != nil {
				return "", err
			}
			d := c.b.Op(l.Path+"/depthwise", "Conv", []string{x, c.constant(l, "depthwise_kernel", deep)}, append(v.Attrs(), pads, onnx.AInt("group", in))...)
			second := convolution{Window: build.Window{Kernel: ones}, padding: "valid", bias: v.bias}
			return c.convolve(l, second, d, point, 1)
		})
		return c.activated(l, y, err)
	})
}

// transposed is a transposed convolution, whose weights are spatial axes, out,
// in; ONNX has in, out, spatial axes.
func transposed(n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		v, err := c.convolutionOf(l, n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		in, err := c.channels(l, x)
		if err != nil {
			return "", err
		}
		w, err := c.once(l, "kernel", func() (tensor.Tensor, error) { return c.transposedKernel(l, v, in) })
		if err != nil {
			return "", err
		}
		inputs := []string{"", c.constant(l, "kernel", w)}
		if v.bias {
			b, err := c.vector(l, "bias", v.filters)
			if err != nil {
				return "", err
			}
			inputs = append(inputs, b)
		}
		pads, err := c.transposedPads(l, v)
		if err != nil {
			return "", err
		}
		y, err := c.spatially(l, x, func(x string) (string, error) {
			inputs[0] = x
			return c.b.Op(l.Path, "ConvTranspose", inputs, append(v.Attrs(), pads...)...), nil
		})
		return c.activated(l, y, err)
	})
}

func (c *converter) transposedKernel(l *layer, v convolution, in int64) (tensor.Tensor, error) {
	n := len(v.Kernel)
	if l.Cfg.Text("dim_ordering") == "th" {
		t, err := c.weight(l, "kernel", append([]int64{v.filters, in}, v.Kernel...)...)
		if err != nil {
			return t, err
		}
		perm := []int{1, 0}
		for i := range n {
			perm = append(perm, i+2)
		}
		if t = tensor.Permute(t, perm...); c.theano {
			t = turned(t)
		}
		return t, nil
	}
	t, err := c.weight(l, "kernel", append(slices.Clone(v.Kernel), v.filters, in)...)
	if err != nil {
		return t, err
	}
	t = tensor.Permute(t, outFirst(n)...)
	if c.theano {
		t = turned(t)
	}
	return t, nil
}

// transposedPads gives the padding. The size of what comes out follows from the
// size of what goes in, the stride and output_padding, none of which depends on
// the size itself.
func (c *converter) transposedPads(l *layer, v convolution) ([]onnx.Attribute, error) {
	var axes []build.Transposed
	for i := range v.Kernel {
		extent, stride := v.At(i)
		const in = 1 << 20 // any size
		var t build.Transposed
		switch {
		case v.extra != nil && i < len(v.extra) && v.padding == "same":
			t = build.TransposedPads(in, (in-1)*stride+extent%2+v.extra[i], extent, stride)
		case v.extra != nil && i < len(v.extra) && v.padding == "valid":
			t = build.TransposedValid(in, (in-1)*stride+extent+v.extra[i], extent, stride)
		case v.padding == "same":
			t = build.TransposedPads(in, in*stride, extent, stride)
		case v.padding == "valid":
			t = build.TransposedValid(in, in*stride+max(extent-stride, 0), extent, stride)
		default:
			return nil, c.refuse(l, "padding %.40q is not supported", v.padding)
		}
		axes = append(axes, t)
	}
	return build.TransposedAttrs(axes), nil
}
