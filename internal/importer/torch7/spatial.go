package torch7

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxKernel bounds windows, whose sizes a file may claim as it likes.
const maxKernel = 1 << 16

// picture makes a module that takes pictures work on one without a batch too.
func (c *converter) picture(m module, x string, f func(x string) (string, error)) (string, error) {
	switch c.rank(x) {
	case 4:
		return f(x)
	case 3:
		y, err := f(c.op2(m, "Unsqueeze", x, c.b.Ints(0)))
		if err != nil {
			return "", err
		}
		return c.op2(m, "Squeeze", y, c.b.Ints(0)), nil
	}
	return "", c.invalid(m, "its input of %s is no picture", onnx.DimString(c.b.Shape(x)))
}

// window reads kernel, stride and padding, rows before columns. Old files lack
// the stride and the padding, or have one padding for both.
func (c *converter) window(m module) (build.Pool, error) {
	pad := m.int("padding", 0)
	p := build.Pool{
		Window: build.Window{
			Kernel:   []int64{m.int("kH", 0), m.int("kW", 0)},
			Stride:   []int64{m.int("dH", 1), m.int("dW", 1)},
			Dilation: []int64{m.int("dilationH", 1), m.int("dilationW", 1)},
		},
		Pad:  []int64{m.int("padH", m.int("padW", pad)), m.int("padW", pad)},
		Ceil: m.flag("ceil_mode"),
	}
	for i := range 2 {
		if p.Kernel[i] < 1 || p.Kernel[i] > maxKernel || p.Stride[i] < 1 || p.Dilation[i] < 1 || p.Pad[i] < 0 || p.Pad[i] > maxKernel ||
			p.Stride[i] > maxKernel || p.Dilation[i] > maxKernel {
			return p, c.invalid(m, "its kernel %v, stride %v or padding %v makes no sense", p.Kernel, p.Stride, p.Pad)
		}
	}
	return p, nil
}

func padsOf(p build.Pool) onnx.Attribute {
	return onnx.AInts("pads", p.Pad[0], p.Pad[1], p.Pad[0], p.Pad[1])
}

// withBias adds the bias, where there is one, to a convolution's inputs.
func (c *converter) withBias(m module, inputs []string, out int64) ([]string, error) {
	t, ok, err := c.weight(m, "bias")
	if err != nil || !ok {
		return inputs, err
	}
	name, err := c.constant(m, "bias", t, out)
	return append(inputs, name), err
}

func (c *converter) convolution(m module, x string) (string, error) {
	p, err := c.window(m)
	if err != nil {
		return "", err
	}
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	// Weights are a matrix in some versions; those of cuDNN have groups.
	out, groups := m.int("nOutputPlane", w.Shape[0]), max(m.int("groups", 1), 1)
	in := m.int("nInputPlane", 0)
	if in == 0 && len(w.Shape) == 4 {
		in = w.Shape[1] * groups
	}
	weight, err := c.constant(m, "weight", w, out, in/groups, p.Kernel[0], p.Kernel[1])
	if err != nil {
		return "", err
	}
	inputs, err := c.withBias(m, []string{x, weight}, out)
	if err != nil {
		return "", err
	}
	return c.picture(m, x, func(x string) (string, error) {
		inputs[0] = x
		return c.b.Op(m.name(), "Conv", inputs, append(p.Attrs(), padsOf(p), onnx.AInt("group", groups))...), nil
	})
}

// convolutionMap has a kernel for each pair of a table, and none for others.
func (c *converter) convolutionMap(m module, x string) (string, error) {
	p, err := c.window(m)
	if err != nil {
		return "", err
	}
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	t, ok, err := c.weight(m, "connTable")
	if err != nil || !ok {
		return "", c.orMissing(m, "connTable", err)
	}
	pairs, from := tensor.As[float32](t), tensor.As[float32](w)
	area, in, out := p.Kernel[0]*p.Kernel[1], m.int("nInputPlane", 0), m.int("nOutputPlane", 0)
	n, err := tensor.Elements([]int64{out, in, area})
	if err != nil || n*4 > c.budget || int64(len(from))*2 != int64(len(pairs))*area {
		return "", c.invalid(m, "its table of connections does not fit its weights")
	}
	c.budget -= 4 * n
	dense := make([]float32, n)
	for i := range len(pairs) / 2 {
		a, b := int64(pairs[2*i])-1, int64(pairs[2*i+1])-1
		if a < 0 || a >= in || b < 0 || b >= out {
			return "", c.invalid(m, "its table of connections names a plane that is not there")
		}
		copy(dense[(b*in+a)*area:], from[int64(i)*area:int64(i+1)*area])
	}
	weight := c.b.Constant(m.name()+".weight", tensor.Of(dense, out, in, p.Kernel[0], p.Kernel[1]))
	inputs, err := c.withBias(m, []string{x, weight}, out)
	if err != nil {
		return "", err
	}
	return c.picture(m, x, func(x string) (string, error) {
		inputs[0] = x
		return c.b.Op(m.name(), "Conv", inputs, append(p.Attrs(), padsOf(p))...), nil
	})
}

func (c *converter) fullConvolution(m module, x string) (string, error) {
	p, err := c.window(m)
	if err != nil {
		return "", err
	}
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	groups := max(m.int("groups", 1), 1)
	in, out := m.int("nInputPlane", w.Shape[0]), m.int("nOutputPlane", 0)
	weight, err := c.constant(m, "weight", w, in, out/groups, p.Kernel[0], p.Kernel[1])
	if err != nil {
		return "", err
	}
	inputs, err := c.withBias(m, []string{x, weight}, out)
	if err != nil {
		return "", err
	}
	adj := onnx.AInts("output_padding", m.int("adjH", 0), m.int("adjW", 0))
	return c.picture(m, x, func(x string) (string, error) {
		inputs[0] = x
		return c.b.Op(m.name(), "ConvTranspose", inputs, append(p.Attrs(), padsOf(p), adj, onnx.AInt("group", groups))...), nil
	})
}

// temporalConvolution takes steps before channels, and so are its weights.
func (c *converter) temporalConvolution(m module, x string) (string, error) {
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	k, in, out := m.int("kW", 1), m.int("inputFrameSize", 0), m.int("outputFrameSize", 0)
	weight, err := c.constant(m, "weight", w, out, k, in)
	if err != nil {
		return "", err
	}
	if c.rank(x) != 3 {
		return "", c.invalid(m, "its input of %s is no batch of sequences", onnx.DimString(c.b.Shape(x)))
	}
	inputs, err := c.withBias(m, []string{"", c.op(m, "Transpose", weight, onnx.AInts("perm", 0, 2, 1))}, out)
	if err != nil {
		return "", err
	}
	inputs[0] = c.op(m, "Transpose", x, onnx.AInts("perm", 0, 2, 1))
	y := c.b.Op(m.name(), "Conv", inputs, onnx.AInts("kernel_shape", k), onnx.AInts("strides", max(m.int("dW", 1), 1)))
	return c.op(m, "Transpose", y, onnx.AInts("perm", 0, 2, 1)), nil
}

func (c *converter) maxPooling(m module, x string) (string, error) {
	p, err := c.window(m)
	if err != nil {
		return "", err
	}
	return c.picture(m, x, func(x string) (string, error) { return c.b.MaxPool(m.name(), x, p), nil })
}

func (c *converter) averagePooling(m module, x string) (string, error) {
	p, err := c.window(m)
	if err != nil {
		return "", err
	}
	p.ExcludePad = m.fields.get("count_include_pad") != nil && !m.flag("count_include_pad")
	sum := m.fields.get("divide") != nil && !m.flag("divide")
	return c.picture(m, x, func(x string) (string, error) {
		y := c.b.AveragePool(m.name(), x, p)
		if sum {
			if p.ExcludePad || p.Ceil {
				return "", c.refuse(m, "sums instead of means with these borders are not supported")
			}
			y = c.op2(m, "Mul", y, c.b.Float(float64(p.Kernel[0]*p.Kernel[1])))
		}
		return y, nil
	})
}

// adaptive pools to one element, whatever the size.
func (c *converter) adaptive(m module, x string) (string, error) {
	if m.int("W", 0) != 1 || m.int("H", 0) != 1 {
		return "", c.refuse(m, "only a pooling to 1x1 is supported, not to %dx%d", m.int("H", 0), m.int("W", 0))
	}
	op := "GlobalAveragePool"
	if m.kind() == "SpatialAdaptiveMaxPooling" {
		op = "GlobalMaxPool"
	}
	return c.picture(m, x, func(x string) (string, error) { return c.op(m, op, x), nil })
}

func (c *converter) lrn(m module, x string) (string, error) {
	return c.picture(m, x, func(x string) (string, error) {
		return c.op(m, "LRN", x, onnx.AInt("size", m.int("size", 5)), onnx.AFloat("alpha", float32(m.num("alpha", 1e-4))),
			onnx.AFloat("beta", float32(m.num("beta", 0.75))), onnx.AFloat("bias", float32(m.num("k", 1)))), nil
	})
}

// zeroPadding pads rows and columns, or cuts them where a number is below zero.
func (c *converter) zeroPadding(m module, x string) (string, error) {
	rank := c.rank(x)
	if rank < 2 {
		return "", c.invalid(m, "its input of %s is no picture", onnx.DimString(c.b.Shape(x)))
	}
	pads := make([]int64, 2*rank)
	pads[rank-2], pads[rank-1] = m.int("pad_t", 0), m.int("pad_l", 0)
	pads[2*rank-2], pads[2*rank-1] = m.int("pad_b", 0), m.int("pad_r", 0)
	mode := map[string]string{"SpatialReflectionPadding": "reflect", "SpatialReplicationPadding": "edge"}[m.kind()]
	if mode == "" {
		mode = "constant"
	}
	return c.op2(m, "Pad", x, c.b.Ints(pads...), onnx.AStr("mode", mode)), nil
}

// padding pads one dimension with a value: before it where the number is below
// zero, behind it otherwise.
func (c *converter) padding(m module, x string) (string, error) {
	dim := m.int("dim", 1)
	if n := m.int("nInputDim", 0); n > 0 && int64(c.rank(x)) != n {
		dim++
	}
	axis, err := c.axis(module{object: &object{class: m.class, fields: &table{}}, path: m.path}, dim, x)
	if err != nil {
		return "", err
	}
	if m.int("index", 1) != 1 {
		return "", c.refuse(m, "padding in the middle (index %d) is not supported", m.int("index", 1))
	}
	rank := c.rank(x)
	pads := make([]int64, 2*rank)
	if n := m.int("pad", 0); n < 0 {
		pads[axis] = -n
	} else {
		pads[rank+axis] = n
	}
	return c.b.Op(m.name(), "Pad", []string{x, c.b.Ints(pads...), c.b.Float(m.num("value", 0))}), nil
}

func (c *converter) upsampling(m module, x string) (string, error) {
	attrs := []onnx.Attribute{onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "asymmetric"), onnx.AStr("nearest_mode", "floor")}
	if m.kind() == "SpatialUpSamplingBilinear" {
		// The corners of both pictures lie on each other.
		attrs = []onnx.Attribute{onnx.AStr("mode", "linear"), onnx.AStr("coordinate_transformation_mode", "align_corners")}
	}
	f := m.num("scale_factor", 0)
	if !(f >= 1 && f <= maxKernel) {
		return "", c.refuse(m, "only a whole scale_factor is supported")
	}
	return c.picture(m, x, func(x string) (string, error) {
		return c.b.Op(m.name(), "Resize", []string{x, "", c.b.Floats(1, 1, float32(f), float32(f))}, attrs...), nil
	})
}

func (c *converter) pixelShuffle(m module, x string) (string, error) {
	return c.picture(m, x, func(x string) (string, error) {
		return c.op(m, "DepthToSpace", x, onnx.AInt("blocksize", m.int("upscaleFactor", 1)), onnx.AStr("mode", "CRD")), nil
	})
}
