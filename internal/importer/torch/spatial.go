package torch

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxKernel bounds windows, whose sizes code may claim as it likes.
const maxKernel = 1 << 16

// spatialOps are convolutions and poolings.
func spatialOps() map[string]operator {
	out := map[string]operator{
		"_convolution": {"input weight bias stride padding dilation transposed output_padding groups benchmark deterministic cudnn_enabled allow_tf32",
			func(c *converter, a *args) value { return c.convolution(a, c.rank(a.ten("weight"))-2) }},
	}
	for n, d := range map[int]string{1: "1d", 2: "2d", 3: "3d"} {
		out["conv"+d] = operator{"input weight bias stride padding dilation groups", func(c *converter, a *args) value { return c.convolution(a, n) }}
		out["conv_transpose"+d] = operator{"input weight bias stride padding output_padding groups dilation", func(c *converter, a *args) value {
			a.vals["transposed"] = true
			return c.convolution(a, n)
		}}
		out["max_pool"+d] = operator{"self kernel_size stride padding dilation ceil_mode", func(c *converter, a *args) value { return c.maxPool(a, n)[0] }}
		out["max_pool"+d+"_with_indices"] = operator{"self kernel_size stride padding dilation ceil_mode", func(c *converter, a *args) value {
			t := c.maxPool(a, n)
			return tuple{t[0], c.planeIndex(a.ten("self"), t[1], n)}
		}}
		out["avg_pool"+d] = operator{"self kernel_size stride padding ceil_mode count_include_pad divisor_override", func(c *converter, a *args) value { return c.averagePool(a, n) }}
		out["adaptive_avg_pool"+d] = operator{"self output_size", func(c *converter, a *args) value { return c.adaptive(a, n, "AveragePool") }}
		out["adaptive_max_pool"+d] = operator{"self output_size", func(c *converter, a *args) value {
			return tuple{c.adaptive(a, n, "MaxPool"), unknown{}}
		}}
	}
	return out
}

// batched makes an operator of pictures work on one without a batch too.
func (c *converter) batched(x *ten, n int, f func(x *ten) *ten) *ten {
	switch c.rank(x) {
	case n + 2:
		return f(x)
	case n + 1:
		return c.squeeze(f(c.unsqueeze(x, 0)), 0)
	}
	c.contradict("a tensor of %s is no input of %d spatial axes", c.shapeText(x), n)
	return nil
}

// window are the settings of a convolution or a pooling.
type window struct {
	kernel, stride, pad, dilation []int64
}

func (c *converter) check(w window) window {
	for _, vs := range [][]int64{w.kernel, w.stride, w.dilation} {
		for _, v := range vs {
			if v < 1 || v > maxKernel {
				c.contradict("a kernel, stride or dilation of %d makes no sense", v)
			}
		}
	}
	for _, v := range w.pad {
		if v < 0 || v > maxKernel {
			c.contradict("a padding of %d makes no sense", v)
		}
	}
	return w
}

func (w window) attrs() []onnx.Attribute {
	return []onnx.Attribute{onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...), onnx.AInts("dilations", w.dilation...)}
}

func twice(vs []int64) []int64 { return append(append([]int64{}, vs...), vs...) }

func (c *converter) convolution(a *args, n int) value {
	x, w := a.ten("input"), a.ten("weight")
	if c.rank(w) != n+2 || n < 1 {
		c.contradict("a weight of %s is none of %d spatial axes", c.shapeText(w), n)
	}
	groups, transposed := a.int("groups", 1), a.bool("transposed", false)
	win := window{stride: a.ints("stride", n, 1), dilation: a.ints("dilation", n, 1)}
	for i := range n {
		win.kernel = append(win.kernel, c.fixed(w, i+2))
	}
	pads := c.convPads(a, n, &win)
	win = c.check(win)
	if c.rank(x) == n+2 {
		channels := c.fixed(w, 1) * groups
		if transposed {
			channels = c.fixed(w, 0)
		}
		c.require(x, 1, channels)
	}
	return c.batched(x, n, func(x *ten) *ten {
		in := []any{x, w}
		if b := a.opt("bias"); b != nil {
			in = append(in, b)
		}
		attrs := append(win.attrs(), pads, onnx.AInt("group", groups))
		if !transposed {
			return c.op("Conv", in, attrs...)
		}
		extra := a.ints("output_padding", n, 0)
		return c.op("ConvTranspose", in, append(attrs, onnx.AInts("output_padding", extra...))...)
	})
}

// convPads gives the padding: numbers, or the words same and valid. Of an uneven
// padding the larger half is at the end.
func (c *converter) convPads(a *args, n int, w *window) onnx.Attribute {
	word, ok := a.get("padding").(string)
	if !ok {
		w.pad = a.ints("padding", n, 0)
		return onnx.AInts("pads", twice(w.pad)...)
	}
	pads := make([]int64, 2*n)
	if word == "same" {
		for i := range n {
			total := (w.kernel[i] - 1) * w.dilation[i]
			pads[i], pads[n+i] = total/2, total-total/2
		}
	}
	return onnx.AInts("pads", pads...)
}

// poolWindow reads a pooling's settings; without a stride it is the kernel.
func (c *converter) poolWindow(a *args, n int) window {
	w := window{kernel: a.ints("kernel_size", n, 1), pad: a.ints("padding", n, 0), dilation: a.ints("dilation", n, 1)}
	w.stride = w.kernel
	if vs, ok := items(a.get("stride")); a.has("stride") && (!ok || len(vs) > 0) {
		w.stride = a.ints("stride", n, 1)
	}
	return c.check(w)
}

// ends says how far the last window of each axis reaches beyond the input, where
// sizes are rounded up: a window that would begin in the padding behind is
// dropped. It is nil where a size is free.
func (c *converter) ends(x *ten, w window, n int) []int64 {
	out := make([]int64, n)
	shape := c.shape(x)
	for i := range out {
		size, ok := shape[len(shape)-n+i].(int64)
		extent := (w.kernel[i]-1)*w.dilation[i] + 1
		room := size + 2*w.pad[i] - extent
		if !ok || room < 0 {
			return nil
		}
		windows := (room+w.stride[i]-1)/w.stride[i] + 1
		if (windows-1)*w.stride[i] >= size+w.pad[i] {
			windows--
		}
		out[i] = (windows-1)*w.stride[i] + extent - size - w.pad[i]
	}
	return out
}

func (c *converter) maxPool(a *args, n int) []*ten {
	x, w := a.ten("self"), c.poolWindow(a, n)
	attrs := w.attrs()
	pads := twice(w.pad)
	if a.bool("ceil_mode", false) {
		if ends := c.ends(x, w, n); ends == nil {
			attrs = append(attrs, onnx.AInt("ceil_mode", 1))
		} else {
			for i, e := range ends {
				pads[n+i] = max(e, 0)
			}
		}
	}
	attrs = append(attrs, onnx.AInts("pads", pads...))
	var index *ten
	y := c.batched(x, n, func(x *ten) *ten {
		out := c.node("MaxPool", []any{x}, 2, attrs...)
		index = out[1]
		c.declare(index, tensor.Int64, c.shape(out[0]))
		return out[0]
	})
	return []*ten{y, index}
}

// planeIndex turns places in the whole tensor into places in each plane.
func (c *converter) planeIndex(x, index *ten, n int) *ten {
	size := value(int64(1))
	shape := c.shape(x)
	for _, d := range shape[len(shape)-n:] {
		size = c.arithmetic("mul", size, d)
	}
	return c.op("Mod", []any{index, c.vec(size)})
}

// averagePool is the mean of each window. ONNX cannot count the padding and leave
// out what a window covers beyond it, so that the padding then becomes part of
// the input.
func (c *converter) averagePool(a *args, n int) value {
	x, w := a.ten("self"), c.poolWindow(a, n)
	include, ceil := a.bool("count_include_pad", true), a.bool("ceil_mode", false)
	divisor := a.int("divisor_override", 0)
	area, padded := int64(1), false
	for i, k := range w.kernel {
		area *= k
		padded = padded || w.pad[i] > 0
	}
	return c.batched(x, n, func(x *ten) *ten {
		pads, count := twice(w.pad), int64(0)
		attrs := []onnx.Attribute{onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...)}
		ends := c.ends(x, w, n)
		switch {
		case divisor > 0 && ceil:
			c.refuse("divisor_override together with ceil_mode is not supported")
		case divisor > 0:
			count = 1
		case ceil && include && padded:
			x = c.padAll(x, w, n)
			w = window{kernel: w.kernel, stride: w.stride, dilation: w.dilation, pad: make([]int64, n)}
			pads = twice(w.pad)
			attrs = append(attrs, onnx.AInt("ceil_mode", 1))
		case ceil && ends == nil:
			attrs = append(attrs, onnx.AInt("ceil_mode", 1))
		case ceil:
			for i, e := range ends {
				pads[n+i] = max(e, 0)
			}
		case include && padded:
			count = 1
		}
		y := c.op("AveragePool", []any{x}, append(attrs, onnx.AInts("pads", pads...), onnx.AInt("count_include_pad", count))...)
		if divisor > 0 {
			y = c.scale(y, float64(area)/float64(divisor))
		}
		return y
	})
}

// padAll makes the padding part of the input.
func (c *converter) padAll(x *ten, w window, n int) *ten {
	rank := c.rank(x)
	pads := make([]int64, 2*rank)
	for i, v := range w.pad {
		pads[rank-n+i], pads[2*rank-n+i] = v, v
	}
	return c.op("Pad", []any{x, c.ints(pads...)})
}

// adaptive pools to a size, whatever the input's: by windows of one size where
// the input is a multiple of it, else by weights that are computed of the sizes.
func (c *converter) adaptive(a *args, n int, op string) value {
	x := a.ten("self")
	vs := a.sizesOrNone("output_size", n)
	return c.batched(x, n, func(x *ten) *ten {
		shape := c.shape(x)[2:]
		all := true
		kernel := make([]int64, n)
		for i, v := range vs {
			if v == nil {
				vs[i] = shape[i]
			}
			all = all && vs[i] == int64(1)
			in, ok := shape[i].(int64)
			out, ok2 := vs[i].(int64)
			if ok && ok2 && out > 0 && in%out == 0 {
				kernel[i] = in / out
			} else if c.compareEach(shape[i], vs[i]) {
				kernel[i] = 1
			}
		}
		if all {
			return c.op("Global"+op, []any{x})
		}
		ones, fits := true, true
		for _, k := range kernel {
			ones, fits = ones && k == 1, fits && k > 0
		}
		switch {
		case ones:
			return x
		case fits:
			return c.op(op, []any{x}, onnx.AInts("kernel_shape", kernel...), onnx.AInts("strides", kernel...))
		case op == "MaxPool":
			return c.adaptiveMax(x, shape, vs)
		}
		return c.adaptiveMean(x, shape, vs)
	})
}

// compareEach tells whether two sizes are the same for all that are tried.
func (c *converter) compareEach(a, b value) bool { return c.lift(a).n == c.lift(b).n }

// adaptiveMean multiplies each axis with a matrix of weights: output i is the
// mean of the inputs from floor(i*in/out) up to, not with, ceil((i+1)*in/out).
func (c *converter) adaptiveMean(x *ten, in, out []value) *ten {
	rank := c.rank(x)
	for i := range in {
		if c.compareEach(in[i], out[i]) {
			continue
		}
		perm := make([]int64, rank)
		for k := range perm {
			perm[k] = int64(k)
		}
		perm[2+i], perm[rank-1] = perm[rank-1], perm[2+i]
		x = c.transpose(x, perm...)
		x = c.op("MatMul", []any{x, c.cast(c.meanWeights(in[i], out[i]), c.dtype(x))})
		x = c.transpose(x, perm...)
	}
	return x
}

// meanWeights makes a matrix of in rows and out columns.
func (c *converter) meanWeights(in, out value) *ten {
	row := c.unsqueeze(c.rangeOf(int64(0), in), 1)
	column := c.unsqueeze(c.rangeOf(int64(0), out), 0)
	n, m := c.vec(in), c.vec(out)
	from := c.op("Div", []any{c.op("Mul", []any{column, n}), m})
	upTo := c.op("Mul", []any{c.op("Add", []any{column, c.ints(1)}), n})
	upTo = c.op("Div", []any{c.op("Sub", []any{c.op("Add", []any{upTo, m}), c.ints(1)}), m})
	inside := c.op("And", []any{c.op("GreaterOrEqual", []any{row, from}), c.op("Less", []any{row, upTo})})
	weights := c.cast(inside, tensor.Float32)
	return c.op("Div", []any{weights, c.sumOver(weights, true, 0)})
}

// adaptiveMax takes the largest of each window, which must be known.
func (c *converter) adaptiveMax(x *ten, in, out []value) *ten {
	const most = 64
	for i := range in {
		n, ok := in[i].(int64)
		m, ok2 := out[i].(int64)
		if !ok || !ok2 {
			c.contradict("an adaptive maximum needs an input of a known size")
		}
		if m < 1 || m > most {
			c.refuse("an adaptive maximum of %d windows is not supported", m)
		}
		var parts []any
		for k := range m {
			part := c.slice(x, 2+i, k*n/m, ((k+1)*n+m-1)/m, 1)
			parts = append(parts, c.op("ReduceMax", []any{part}, onnx.AInts("axes", int64(2+i)), onnx.AInt("keepdims", 1)))
		}
		x = c.op("Concat", parts, onnx.AInt("axis", int64(2+i)))
	}
	return x
}

// rangeOf counts from a number up to another, by one.
func (c *converter) rangeOf(from, to value) *ten {
	y := c.op("Range", []any{c.scalarTensor(tensor.Int64, from), c.scalarTensor(tensor.Int64, to), c.scalarTensor(tensor.Int64, int64(1))})
	return c.declare(y, tensor.Int64, []value{c.arithmetic("sub", to, from)})
}

// resizeOps change the size of pictures.
func resizeOps() map[string]operator {
	out := map[string]operator{
		"grid_sampler":    {"input grid interpolation_mode padding_mode align_corners", gridSample},
		"constant_pad_nd": {"self pad value", func(c *converter, a *args) value { return c.pad(a, "constant") }},
		"pad":             {"self pad mode value", func(c *converter, a *args) value { return c.pad(a, a.str("mode", "constant")) }},
	}
	for n, d := range map[int]string{1: "1d", 2: "2d", 3: "3d"} {
		out["reflection_pad"+d] = operator{"self pad", func(c *converter, a *args) value { return c.pad(a, "reflect") }}
		out["replication_pad"+d] = operator{"self pad", func(c *converter, a *args) value { return c.pad(a, "replicate") }}
		out["upsample_nearest"+d] = operator{"input output_size scales scales_w scales_d", func(c *converter, a *args) value {
			return c.resize(a, n, onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "asymmetric"), onnx.AStr("nearest_mode", "floor"))
		}}
		out["_upsample_nearest_exact"+d] = operator{"input output_size scales scales_w scales_d", func(c *converter, a *args) value {
			return c.resize(a, n, onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "half_pixel"), onnx.AStr("nearest_mode", "round_prefer_ceil"))
		}}
	}
	for name, n := range map[string]int{"upsample_linear1d": 1, "upsample_bilinear2d": 2, "upsample_trilinear3d": 3} {
		out[name] = operator{"input output_size align_corners scales scales_w scales_d", func(c *converter, a *args) value {
			return c.resize(a, n, onnx.AStr("mode", "linear"), corners(a, "pytorch_half_pixel"))
		}}
	}
	out["upsample_bicubic2d"] = operator{"input output_size align_corners scales scales_w", func(c *converter, a *args) value {
		return c.resize(a, 2, onnx.AStr("mode", "cubic"), onnx.AFloat("cubic_coeff_a", -0.75), corners(a, "half_pixel"))
	}}
	return out
}

func corners(a *args, otherwise string) onnx.Attribute {
	if a.bool("align_corners", false) {
		otherwise = "align_corners"
	}
	return onnx.AStr("coordinate_transformation_mode", otherwise)
}

// resize takes sizes or factors. A size that is a whole multiple of the input's
// for all that are tried is given as a factor, for then it follows the input.
func (c *converter) resize(a *args, n int, attrs ...onnx.Attribute) value {
	x := a.ten("input")
	if c.rank(x) != n+2 {
		c.contradict("a tensor of %s is no input of %d spatial axes", c.shapeText(x), n)
	}
	shape := c.shape(x)
	if _, isList := items(a.get("scales")); isList && !a.has("output_size") {
		return c.resizeBy(x, shape, a, n, attrs)
	}
	sizes := a.sizesOrNone("output_size", n)
	factors, whole, same := []float32{1, 1}, true, true
	for i, s := range sizes {
		in, to := c.lift(shape[2+i]), c.lift(s)
		k := to.n[0] / max(in.n[0], 1)
		for p := range in.n {
			whole = whole && k >= 1 && in.n[p]*k == to.n[p]
		}
		same = same && whole && k == 1
		factors = append(factors, float32(k))
	}
	if same {
		return x
	}
	want := append(append([]value{}, shape[:2]...), sizes...)
	if whole {
		return c.declare(c.op("Resize", []any{x, nil, c.floats(factors...)}, attrs...), c.dtype(x), want)
	}
	return c.declare(c.op("Resize", []any{x, nil, nil, c.vector(want)}, attrs...), c.dtype(x), want)
}

func (c *converter) resizeBy(x *ten, shape []value, a *args, n int, attrs []onnx.Attribute) value {
	vs, _ := items(a.get("scales"))
	factors := []float32{1, 1}
	want := append([]value{}, shape[:2]...)
	for i := range n {
		f, ok := c.settle(c.lift(vs[min(i, len(vs)-1)])).(float64)
		if !ok {
			c.contradict("a factor depends on the size of an input")
		}
		factors = append(factors, float32(f))
		want = append(want, c.single(c.arithmetic("mul", shape[2+i], f), true, floorOf, "Floor"))
	}
	return c.declare(c.op("Resize", []any{x, nil, c.floats(factors...)}, attrs...), c.dtype(x), want)
}

// pad reads pairs, those of the last axis first.
func (c *converter) pad(a *args, mode string) value {
	x := a.ten("self")
	vs := a.sizes("pad")
	rank := c.rank(x)
	if len(vs)%2 != 0 || len(vs) > 2*rank {
		c.contradict("%d paddings are given for a tensor of %d axes", len(vs), rank)
	}
	pads := make([]value, 2*rank)
	shape := c.shape(x)
	zero := true
	for i := range pads {
		pads[i] = int64(0)
	}
	for i := 0; i < len(vs); i += 2 {
		at := rank - 1 - i/2
		pads[at], pads[rank+at] = vs[i], vs[i+1]
		zero = zero && vs[i] == int64(0) && vs[i+1] == int64(0)
		shape[at] = c.arithmetic("add", shape[at], c.arithmetic("add", vs[i], vs[i+1]))
	}
	if zero {
		return c.op("Identity", []any{x})
	}
	word := map[string]string{"constant": "constant", "reflect": "reflect", "replicate": "edge"}[mode]
	if word == "" {
		c.refuse("padding of mode %.40s is not supported", mode)
	}
	in := []any{x, c.vector(pads)}
	if word == "constant" && a.has("value") && a.float("value", 0) != 0 {
		in = append(in, c.number(c.dtype(x), a.float("value", 0)))
	}
	return c.declare(c.op("Pad", in, onnx.AStr("mode", word)), c.dtype(x), shape)
}

func gridSample(c *converter, a *args) value {
	x, grid := a.ten("input"), a.ten("grid")
	if c.rank(x) != 4 {
		c.refuse("only pictures are supported, not tensors of %d axes", c.rank(x))
	}
	mode := []string{"bilinear", "nearest", "bicubic"}[min(max(a.int("interpolation_mode", 0), 0), 2)]
	border := []string{"zeros", "border", "reflection"}[min(max(a.int("padding_mode", 0), 0), 2)]
	corner := int64(0)
	if a.bool("align_corners", false) {
		corner = 1
	}
	y := c.op("GridSample", []any{x, grid}, onnx.AStr("mode", mode), onnx.AStr("padding_mode", border), onnx.AInt("align_corners", corner))
	return c.declare(y, c.dtype(x), append(append([]value{}, c.shape(x)[:2]...), c.shape(grid)[1:3]...))
}
