package aten

import (
	"github.com/stoa-project/stoa/internal/jit"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxKernel bounds windows, whose sizes code may claim as it likes.
const maxKernel = 1 << 16

// spatialOps are convolutions and poolings.
func spatialOps() map[string]operator {
	out := map[string]operator{
		"_convolution": {
			"input weight bias stride padding dilation transposed output_padding groups benchmark deterministic cudnn_enabled allow_tf32",
			func(c *converter, a *jit.Args) jit.Value { return c.convolution(a, c.Rank(a.Tensor("weight"))-2) },
		},
	}
	for n, d := range map[int]string{1: "1d", 2: "2d", 3: "3d"} {
		out["conv"+d] = operator{"input weight bias stride padding dilation groups", func(c *converter, a *jit.Args) jit.Value { return c.convolution(a, n) }}
		out["conv_transpose"+d] = operator{"input weight bias stride padding output_padding groups dilation", func(c *converter, a *jit.Args) jit.Value {
			a.Vals["transposed"] = true
			return c.convolution(a, n)
		}}
		out["max_pool"+d] = operator{"self kernel_size stride padding dilation ceil_mode", func(c *converter, a *jit.Args) jit.Value { return c.maxPool(a, n)[0] }}
		out["max_pool"+d+"_with_indices"] = operator{"self kernel_size stride padding dilation ceil_mode", func(c *converter, a *jit.Args) jit.Value {
			t := c.maxPool(a, n)
			return jit.Tuple{t[0], c.planeIndex(a.Tensor("self"), t[1], n)}
		}}
		out["avg_pool"+d] = operator{"self kernel_size stride padding ceil_mode count_include_pad divisor_override", func(c *converter, a *jit.Args) jit.Value { return c.averagePool(a, n) }}
		out["adaptive_avg_pool"+d] = operator{"self output_size", func(c *converter, a *jit.Args) jit.Value { return c.adaptive(a, n, "AveragePool") }}
		out["adaptive_max_pool"+d] = operator{"self output_size", func(c *converter, a *jit.Args) jit.Value {
			return jit.Tuple{c.adaptive(a, n, "MaxPool"), jit.Unknown{}}
		}}
	}
	return out
}

// batched makes an operator of pictures work on one without a batch too.
func (c *converter) batched(x *jit.Tensor, n int, f func(x *jit.Tensor) *jit.Tensor) *jit.Tensor {
	switch c.Rank(x) {
	case n + 2:
		return f(x)
	case n + 1:
		return c.squeeze(f(c.unsqueeze(x, 0)), 0)
	}
	c.Contradict("a tensor of %s is no input of %d spatial axes", c.ShapeText(x), n)
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
				c.Contradict("a kernel, stride or dilation of %d makes no sense", v)
			}
		}
	}
	for _, v := range w.pad {
		if v < 0 || v > maxKernel {
			c.Contradict("a padding of %d makes no sense", v)
		}
	}
	return w
}

func (w window) attrs() []onnx.Attribute {
	return []onnx.Attribute{onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...), onnx.AInts("dilations", w.dilation...)}
}

func twice(vs []int64) []int64 { return append(append([]int64{}, vs...), vs...) }

func (c *converter) convolution(a *jit.Args, n int) jit.Value {
	x, w := a.Tensor("input"), a.Tensor("weight")
	if c.Rank(w) != n+2 || n < 1 {
		c.Contradict("a weight of %s is none of %d spatial axes", c.ShapeText(w), n)
	}
	c.Suit(x, w)
	groups, transposed := a.Int("groups", 1), a.Bool("transposed", false)
	win := window{stride: a.Ints("stride", n, 1), dilation: a.Ints("dilation", n, 1)}
	for i := range n {
		win.kernel = append(win.kernel, c.Fixed(w, i+2))
	}
	pads := c.convPads(a, n, &win)
	win = c.check(win)
	if c.Rank(x) == n+2 {
		channels := c.Fixed(w, 1) * groups
		if transposed {
			channels = c.Fixed(w, 0)
		}
		c.Require(x, 1, channels)
	}
	return c.batched(x, n, func(x *jit.Tensor) *jit.Tensor {
		in := []any{x, w}
		if b := a.Opt("bias"); b != nil {
			in = append(in, b)
		}
		attrs := append(win.attrs(), pads, onnx.AInt("group", groups))
		if !transposed {
			return c.Op("Conv", in, attrs...)
		}
		extra := a.Ints("output_padding", n, 0)
		return c.Op("ConvTranspose", in, append(attrs, onnx.AInts("output_padding", extra...))...)
	})
}

// convPads gives the padding: numbers, or the words same and valid. Of an uneven
// padding the larger half is at the end.
func (c *converter) convPads(a *jit.Args, n int, w *window) onnx.Attribute {
	word, ok := a.Get("padding").(string)
	if !ok {
		w.pad = a.Ints("padding", n, 0)
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
func (c *converter) poolWindow(a *jit.Args, n int) window {
	w := window{kernel: a.Ints("kernel_size", n, 1), pad: a.Ints("padding", n, 0), dilation: a.Ints("dilation", n, 1)}
	w.stride = w.kernel
	if vs, ok := jit.Items(a.Get("stride")); a.Has("stride") && (!ok || len(vs) > 0) {
		w.stride = a.Ints("stride", n, 1)
	}
	return c.check(w)
}

// ends says how far the last window of each axis reaches beyond the input, where
// sizes are rounded up: a window that would begin in the padding behind is
// dropped. It is nil where a size is free.
func (c *converter) ends(x *jit.Tensor, w window, n int) []int64 {
	out := make([]int64, n)
	shape := c.Shape(x)
	if len(shape) < n {
		return nil
	}
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

func (c *converter) maxPool(a *jit.Args, n int) []*jit.Tensor {
	x, w := a.Tensor("self"), c.poolWindow(a, n)
	attrs := w.attrs()
	pads := twice(w.pad)
	if a.Bool("ceil_mode", false) {
		if ends := c.ends(x, w, n); ends == nil {
			attrs = append(attrs, onnx.AInt("ceil_mode", 1))
		} else {
			for i, e := range ends {
				pads[n+i] = max(e, 0)
			}
		}
	}
	attrs = append(attrs, onnx.AInts("pads", pads...))
	var index *jit.Tensor
	y := c.batched(x, n, func(x *jit.Tensor) *jit.Tensor {
		out := c.Node("MaxPool", []any{x}, 2, attrs...)
		index = out[1]
		c.Declare(index, tensor.Int64, c.Shape(out[0]))
		return out[0]
	})
	return []*jit.Tensor{y, index}
}

// planeIndex turns places in the whole tensor into places in each plane.
func (c *converter) planeIndex(x, index *jit.Tensor, n int) *jit.Tensor {
	size := jit.Value(int64(1))
	shape := c.Shape(x)
	for _, d := range shape[len(shape)-n:] {
		size = c.Arithmetic("mul", size, d)
	}
	return c.Op("Mod", []any{index, c.Vec(size)})
}

// averagePool is the mean of each window. ONNX cannot count the padding and leave
// out what a window covers beyond it, so that the padding then becomes part of
// the input.
func (c *converter) averagePool(a *jit.Args, n int) jit.Value {
	x, w := a.Tensor("self"), c.poolWindow(a, n)
	include, ceil := a.Bool("count_include_pad", true), a.Bool("ceil_mode", false)
	divisor := a.Int("divisor_override", 0)
	area, padded := int64(1), false
	for i, k := range w.kernel {
		area *= k
		padded = padded || w.pad[i] > 0
	}
	return c.batched(x, n, func(x *jit.Tensor) *jit.Tensor {
		pads, count := twice(w.pad), int64(0)
		attrs := []onnx.Attribute{onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...)}
		ends := c.ends(x, w, n)
		switch {
		case divisor > 0 && ceil:
			c.Refuse("divisor_override together with ceil_mode is not supported")
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
		y := c.Op("AveragePool", []any{x}, append(attrs, onnx.AInts("pads", pads...), onnx.AInt("count_include_pad", count))...)
		if divisor > 0 {
			y = c.scale(y, float64(area)/float64(divisor))
		}
		return y
	})
}

// padAll makes the padding part of the input.
func (c *converter) padAll(x *jit.Tensor, w window, n int) *jit.Tensor {
	rank := c.Rank(x)
	pads := make([]int64, 2*rank)
	for i, v := range w.pad {
		pads[rank-n+i], pads[2*rank-n+i] = v, v
	}
	return c.Op("Pad", []any{x, c.Ints(pads...)})
}

// adaptive pools to a size, whatever the input's: by windows of one size where
// the input is a multiple of it, else by weights that are computed of the sizes.
func (c *converter) adaptive(a *jit.Args, n int, op string) jit.Value {
	x := a.Tensor("self")
	vs := a.SizesOrNone("output_size", n)
	return c.batched(x, n, func(x *jit.Tensor) *jit.Tensor {
		shape := c.Shape(x)[2:]
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
			return c.Op("Global"+op, []any{x})
		}
		ones, fits := true, true
		for _, k := range kernel {
			ones, fits = ones && k == 1, fits && k > 0
		}
		switch {
		case ones:
			return x
		case fits:
			return c.Op(op, []any{x}, onnx.AInts("kernel_shape", kernel...), onnx.AInts("strides", kernel...))
		case op == "MaxPool":
			return c.adaptiveMax(x, shape, vs)
		}
		return c.adaptiveMean(x, shape, vs)
	})
}

// compareEach tells whether two sizes are the same for all that are tried.
func (c *converter) compareEach(a, b jit.Value) bool { return c.Lift(a).N == c.Lift(b).N }

// adaptiveMean multiplies each axis with a matrix of weights: output i is the
// mean of the inputs from floor(i*in/out) up to, not with, ceil((i+1)*in/out).
func (c *converter) adaptiveMean(x *jit.Tensor, in, out []jit.Value) *jit.Tensor {
	rank := c.Rank(x)
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
		x = c.Op("MatMul", []any{x, c.Cast(c.meanWeights(in[i], out[i]), c.Dtype(x))})
		x = c.transpose(x, perm...)
	}
	return x
}

// meanWeights makes a matrix of in rows and out columns.
func (c *converter) meanWeights(in, out jit.Value) *jit.Tensor {
	row := c.unsqueeze(c.rangeOf(int64(0), in), 1)
	column := c.unsqueeze(c.rangeOf(int64(0), out), 0)
	n, m := c.Vec(in), c.Vec(out)
	from := c.Op("Div", []any{c.Op("Mul", []any{column, n}), m})
	upTo := c.Op("Mul", []any{c.Op("Add", []any{column, c.Ints(1)}), n})
	upTo = c.Op("Div", []any{c.Op("Sub", []any{c.Op("Add", []any{upTo, m}), c.Ints(1)}), m})
	inside := c.Op("And", []any{c.Op("GreaterOrEqual", []any{row, from}), c.Op("Less", []any{row, upTo})})
	weights := c.Cast(inside, tensor.Float32)
	return c.Op("Div", []any{weights, c.sumOver(weights, 1, 0)})
}

// adaptiveMax takes the largest of each window, which must be known.
func (c *converter) adaptiveMax(x *jit.Tensor, in, out []jit.Value) *jit.Tensor {
	const most = 64
	for i := range in {
		n, ok := in[i].(int64)
		m, ok2 := out[i].(int64)
		if !ok || !ok2 {
			c.Contradict("an adaptive maximum needs an input of a known size")
		}
		if m < 1 || m > most {
			c.Refuse("an adaptive maximum of %d windows is not supported", m)
		}
		var parts []any
		for k := range m {
			part := c.slice(x, 2+i, k*n/m, ((k+1)*n+m-1)/m, 1)
			parts = append(parts, c.Op("ReduceMax", []any{part}, onnx.AInts("axes", int64(2+i)), onnx.AInt("keepdims", 1)))
		}
		x = c.Op("Concat", parts, onnx.AInt("axis", int64(2+i)))
	}
	return x
}

// rangeOf counts from a number up to another, by one.
func (c *converter) rangeOf(from, to jit.Value) *jit.Tensor {
	y := c.Op("Range", []any{c.ScalarTensor(tensor.Int64, from), c.ScalarTensor(tensor.Int64, to), c.ScalarTensor(tensor.Int64, int64(1))})
	return c.Declare(y, tensor.Int64, []jit.Value{c.Arithmetic("sub", to, from)})
}

// resizeOps change the size of pictures.
func resizeOps() map[string]operator {
	out := map[string]operator{
		"grid_sampler":    {"input grid interpolation_mode padding_mode align_corners", gridSample},
		"constant_pad_nd": {"self pad value", func(c *converter, a *jit.Args) jit.Value { return c.pad(a, "constant") }},
		"pad":             {"self pad mode value", func(c *converter, a *jit.Args) jit.Value { return c.pad(a, a.Str("mode", "constant")) }},
	}
	for n, d := range map[int]string{1: "1d", 2: "2d", 3: "3d"} {
		out["reflection_pad"+d] = operator{"self pad", func(c *converter, a *jit.Args) jit.Value { return c.pad(a, "reflect") }}
		out["replication_pad"+d] = operator{"self pad", func(c *converter, a *jit.Args) jit.Value { return c.pad(a, "replicate") }}
		out["upsample_nearest"+d] = operator{"input output_size scales scales_w scales_d", func(c *converter, a *jit.Args) jit.Value {
			return c.resize(a, n, onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "asymmetric"), onnx.AStr("nearest_mode", "floor"))
		}}
		out["_upsample_nearest_exact"+d] = operator{"input output_size scales scales_w scales_d", func(c *converter, a *jit.Args) jit.Value {
			return c.resize(a, n, onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "half_pixel"), onnx.AStr("nearest_mode", "round_prefer_ceil"))
		}}
	}
	for name, n := range map[string]int{"upsample_linear1d": 1, "upsample_bilinear2d": 2, "upsample_trilinear3d": 3} {
		out[name] = operator{"input output_size align_corners scales scales_w scales_d", func(c *converter, a *jit.Args) jit.Value {
			return c.resize(a, n, onnx.AStr("mode", "linear"), corners(a, "pytorch_half_pixel"))
		}}
	}
	out["upsample_bicubic2d"] = operator{"input output_size align_corners scales scales_w", func(c *converter, a *jit.Args) jit.Value {
		return c.resize(a, 2, onnx.AStr("mode", "cubic"), onnx.AFloat("cubic_coeff_a", -0.75), corners(a, "half_pixel"))
	}}
	return out
}

func corners(a *jit.Args, otherwise string) onnx.Attribute {
	if a.Bool("align_corners", false) {
		otherwise = "align_corners"
	}
	return onnx.AStr("coordinate_transformation_mode", otherwise)
}

// resize takes sizes or factors. A size that is a whole multiple of the input's
// for all that are tried is given as a factor, for then it follows the input.
func (c *converter) resize(a *jit.Args, n int, attrs ...onnx.Attribute) jit.Value {
	x := a.Tensor("input")
	if c.Rank(x) != n+2 {
		c.Contradict("a tensor of %s is no input of %d spatial axes", c.ShapeText(x), n)
	}
	shape := c.Shape(x)
	if _, isList := jit.Items(a.Get("scales")); isList && !a.Has("output_size") {
		return c.resizeBy(x, shape, a, n, attrs)
	}
	sizes := a.SizesOrNone("output_size", n)
	factors, whole, same := []float32{1, 1}, true, true
	for i, s := range sizes {
		in, to := c.Lift(shape[2+i]), c.Lift(s)
		k := to.N[0] / max(in.N[0], 1)
		for p := range in.N {
			whole = whole && k >= 1 && in.N[p]*k == to.N[p]
		}
		same = same && whole && k == 1
		factors = append(factors, float32(k))
	}
	if same {
		return x
	}
	want := append(append([]jit.Value{}, shape[:2]...), sizes...)
	if whole {
		return c.Declare(c.Op("Resize", []any{x, nil, c.Floats(factors...)}, attrs...), c.Dtype(x), want)
	}
	return c.Declare(c.Op("Resize", []any{x, nil, nil, c.Vector(want)}, attrs...), c.Dtype(x), want)
}

func (c *converter) resizeBy(x *jit.Tensor, shape []jit.Value, a *jit.Args, n int, attrs []onnx.Attribute) jit.Value {
	vs, _ := jit.Items(a.Get("scales"))
	factors := []float32{1, 1}
	want := append([]jit.Value{}, shape[:2]...)
	for i := range n {
		f, ok := c.Settle(c.Lift(vs[min(i, len(vs)-1)])).(float64)
		if !ok {
			c.Contradict("a factor depends on the size of an input")
		}
		factors = append(factors, float32(f))
		want = append(want, c.Whole(c.Arithmetic("mul", shape[2+i], f), floorOf, "Floor"))
	}
	return c.Declare(c.Op("Resize", []any{x, nil, c.Floats(factors...)}, attrs...), c.Dtype(x), want)
}

// pad reads pairs, those of the last axis first.
func (c *converter) pad(a *jit.Args, mode string) jit.Value {
	x := a.Tensor("self")
	vs := a.Sizes("pad")
	rank := c.Rank(x)
	if len(vs)%2 != 0 || len(vs) > 2*rank {
		c.Contradict("%d paddings are given for a tensor of %d axes", len(vs), rank)
	}
	pads := make([]jit.Value, 2*rank)
	shape := c.Shape(x)
	zero := true
	for i := range pads {
		pads[i] = int64(0)
	}
	for i := 0; i < len(vs); i += 2 {
		at := rank - 1 - i/2
		pads[at], pads[rank+at] = vs[i], vs[i+1]
		zero = zero && vs[i] == int64(0) && vs[i+1] == int64(0)
		shape[at] = c.Arithmetic("add", shape[at], c.Arithmetic("add", vs[i], vs[i+1]))
	}
	if zero {
		return c.Op("Identity", []any{x})
	}
	word := map[string]string{"constant": "constant", "reflect": "reflect", "replicate": "edge"}[mode]
	if word == "" {
		c.Refuse("padding of mode %.40s is not supported", mode)
	}
	in := []any{x, c.Vector(pads)}
	if word == "constant" && a.Has("value") && a.Float("value", 0) != 0 {
		in = append(in, c.Number(c.Dtype(x), a.Float("value", 0)))
	}
	return c.Declare(c.Op("Pad", in, onnx.AStr("mode", word)), c.Dtype(x), shape)
}

func gridSample(c *converter, a *jit.Args) jit.Value {
	x, grid := a.Tensor("input"), a.Tensor("grid")
	if c.Rank(x) != 4 {
		c.Refuse("only pictures are supported, not tensors of %d axes", c.Rank(x))
	}
	mode := []string{"bilinear", "nearest", "bicubic"}[min(max(a.Int("interpolation_mode", 0), 0), 2)]
	border := []string{"zeros", "border", "reflection"}[min(max(a.Int("padding_mode", 0), 0), 2)]
	corner := int64(0)
	if a.Bool("align_corners", false) {
		corner = 1
	}
	y := c.Op("GridSample", []any{x, grid}, onnx.AStr("mode", mode), onnx.AStr("padding_mode", border), onnx.AInt("align_corners", corner))
	return c.Declare(y, c.Dtype(x), append(append([]jit.Value{}, c.Shape(x)[:2]...), c.Shape(grid)[1:3]...))
}
