package cntk

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxWindow bounds windows, strides and paddings, which a file may claim as it
// likes.
const maxWindow = 1 << 20

// window is a kernel over the static axes, the channels among them, in C order.
type window struct {
	build.Window
	lower, upper []int64
	auto         []bool
	ceil         bool
}

// perAxis gives numbers for each axis in C order: CNTK lists them fastest first,
// and one number is for all axes, and missing ones are otherwise.
func perAxis(from []int64, rank int, otherwise int64) []int64 {
	out := make([]int64, rank)
	for i := range out {
		switch k := rank - 1 - i; {
		case len(from) == 1:
			out[i] = from[0]
		case k < len(from):
			out[i] = from[k]
		default:
			out[i] = otherwise
		}
	}
	return out
}

// window reads the attributes that a convolution and a pooling have in common.
func (c *converter) window(f *function, kernel []int64) (window, error) {
	rank := len(kernel)
	w := window{Window: build.Window{
		Kernel: kernel, Stride: perAxis(f.attrs.sizes("strides"), rank, 1), Dilation: perAxis(f.attrs.sizes("dilation"), rank, 1),
	}, ceil: f.attrs.flag("ceilOutDim")}
	w.lower, w.upper = perAxis(f.attrs.sizes("lowerPad"), rank, 0), perAxis(f.attrs.sizes("upperPad"), rank, 0)
	var auto []int64
	for _, b := range f.attrs.flags("autoPadding") {
		auto = append(auto, map[bool]int64{true: 1}[b])
	}
	for _, n := range perAxis(auto, rank, 0) {
		w.auto = append(w.auto, n != 0)
	}
	for i := range rank {
		if w.Dilation[i] == 0 {
			w.Dilation[i] = 1
		}
		for _, n := range []int64{kernel[i] - 1, w.Stride[i] - 1, w.Dilation[i] - 1, w.lower[i], w.upper[i]} {
			if n < 0 || n > maxWindow {
				return w, c.invalid(f, "its window %v, strides %v, dilation %v or padding %v and %v make no sense", kernel, w.Stride, w.Dilation, w.lower, w.upper)
			}
		}
	}
	return w, nil
}

// pads gives what is added before and after an axis of n elements. CNTK centres
// the windows: where they do not fill the axis evenly, the first begins later.
func (w window) pads(axis int, n int64) (before, after int64) {
	extent, stride := w.At(axis)
	if w.auto[axis] {
		windows := (n + stride - 1) / stride
		extra := n - (windows-1)*stride - 1
		before = (extent-1)/2 - extra/2
		return before, (windows-1)*stride + extent - n - before
	}
	before, after = w.lower[axis], w.upper[axis]
	if room := n + before + after - extent; w.ceil && room%stride != 0 && room >= 0 {
		after += stride - room%stride
	}
	return before, after
}

// spatialPads gives the pads of axes from a place on, and cuts off the beginning
// of those where a window begins within the picture.
func (c *converter) spatialPads(f *function, x string, w window, from, rank int) (string, []int64, error) {
	shape := c.b.Shape(x)
	n := rank - from
	if len(shape) < n {
		return x, nil, c.refuse(f, "the shape of its input is not known")
	}
	pads := make([]int64, 2*n)
	for i := range n {
		d := shape[len(shape)-n+i]
		extent, stride := w.At(from + i)
		switch {
		case d.Known():
			pads[i], pads[n+i] = w.pads(from+i, d.Value)
			// CNTK makes one more window then, of whatever lies behind its input in memory.
			if w.ceil && (w.auto[from+i] && (d.Value-1)%stride != 0 || pads[n+i] >= extent) {
				return x, nil, c.refuse(f, "its last window would lie outside of its input (ceilOutDim), where CNTK computes nothing that is defined")
			}
		case w.auto[from+i] && stride == 1:
			pads[i], pads[n+i] = w.pads(from+i, extent)
		case w.auto[from+i] || w.ceil:
			return x, nil, c.refuse(f, "its padding depends on the size of its input, which is free: give the input a shape")
		default:
			pads[i], pads[n+i] = w.lower[from+i], w.upper[from+i]
		}
		if pads[i] < 0 {
			axis := int64(len(shape) - n + i)
			x = c.op(f, "Slice", []string{x, c.b.Ints(-pads[i]), c.b.Ints(math.MaxInt32), c.b.Ints(axis)})
			pads[i] = 0
		}
		pads[n+i] = max(pads[n+i], 0)
	}
	return x, pads, nil
}

// tail gives a window without its first axes.
func (w window) tail(n int) build.Window {
	return build.Window{Kernel: w.Kernel[n:], Stride: w.Stride[n:], Dilation: w.Dilation[n:]}
}

// convolution has weights of out x in x kernel in C order, and for a transposed
// one in x out x kernel.
func (c *converter) convolution(f *function, in []value) (value, error) {
	wt, x := in[0], in[1]
	wDims, ok := c.known(wt)
	if !ok || c.lead(wt) > 0 {
		return x, c.refuse(f, "a kernel that is no parameter is not supported")
	}
	for _, shared := range f.attrs.flags("sharing") {
		if !shared {
			return x, c.refuse(f, "kernels that are not shared between places are not supported")
		}
	}
	if f.attrs.flag("sequential") {
		return x, c.refuse(f, "a convolution along the sequence is supported within its block only")
	}
	if wt.rank != x.rank+1 {
		return c.convolutionFew(f, wt, x, wDims)
	}
	if x.rank < 2 {
		return x, c.refuse(f, "an input of %d axes is not supported", x.rank)
	}
	// The first axis of C order is that of the feature maps made.
	w, err := c.window(f, wDims[1:])
	if err != nil {
		return x, err
	}
	if f.attrs.flag("transpose") {
		return c.transposed(f, wt, x, w, wDims)
	}
	channels := c.dims(x)[0]
	groups := max(f.attrs.int("groups", 1), 1)
	if channels.Known() && channels.Value != wDims[1]*groups {
		return c.convolutionFew(f, wt, x, wDims)
	}
	y, err := c.flat(x, func(name string) (string, error) {
		name, pads, err := c.spatialPads(f, name, w, 1, x.rank)
		if err != nil {
			return "", err
		}
		attrs := append(w.tail(1).Attrs(), onnx.AInts("pads", pads...))
		if groups > 1 {
			attrs = append(attrs, onnx.AInt("group", groups))
		}
		return c.op(f, "Conv", []string{name, wt.name}, attrs...), nil
	})
	return x.like(y), err
}

// convolutionFew is a convolution whose kernel slides along the channels too, or
// has no axis for feature maps: with an axis of one channel put before all it is
// an ordinary one of one more axis.
func (c *converter) convolutionFew(f *function, wt, x value, wDims []int64) (value, error) {
	if f.attrs.flag("transpose") || f.attrs.int("groups", 1) > 1 || wt.rank < x.rank || wt.rank > x.rank+1 || wt.rank < 1 {
		return x, c.refuse(f, "a kernel of %s for an input of %s is not supported", tensor.ShapeString(wDims), onnx.DimString(c.dims(x)))
	}
	maps := int64(1)
	kernel := wDims
	if wt.rank == x.rank+1 {
		maps, kernel = wDims[0], wDims[1:]
	}
	if x.rank > 3 {
		// The runtime convolves up to three axes: one over which nothing slides
		// joins the batch, which Loop-free networks need for LRN only.
		return c.convolutionThin(f, wt, x, kernel, maps)
	}
	w, err := c.window(f, kernel)
	if err != nil {
		return x, err
	}
	weight := c.reshaped(f, wt.name, append([]int64{maps, 1}, kernel...)...)
	y, err := c.flat(x, func(name string) (string, error) {
		name, pads, err := c.spatialPads(f, name, w, 0, x.rank)
		if err != nil {
			return "", err
		}
		name = c.unsqueeze(name, 1, 1)
		y := c.op(f, "Conv", []string{name, weight}, append(w.tail(0).Attrs(), onnx.AInts("pads", pads...))...)
		return c.joinMaps(f, y, maps), nil
	})
	return x.like(y), err
}

// joinMaps makes feature maps and the first axis behind them one axis.
func (c *converter) joinMaps(f *function, y string, maps int64) string {
	if maps == 1 {
		return c.op(f, "Squeeze", []string{y, c.b.Ints(1)})
	}
	parts := []string{c.b.Ints(0, -1)}
	for i := 3; i < len(c.b.Shape(y)); i++ {
		parts = append(parts, c.size(y, i))
	}
	return c.op(f, "Reshape", []string{y, c.concat(parts...)})
}

// convolutionThin is convolutionFew for an input of four axes, of which the last
// ones of C order are not slid over: they become one.
func (c *converter) convolutionThin(f *function, wt, x value, kernel []int64, maps int64) (value, error) {
	dims, ok := c.known(x)
	n := len(kernel)
	w, err := c.window(f, kernel)
	if err != nil {
		return x, err
	}
	if !ok || x.rank != 4 || kernel[n-1] != 1 || kernel[n-2] != 1 || w.Stride[n-1] != 1 || w.Stride[n-2] != 1 || maps != 1 {
		return x, c.refuse(f, "a kernel of %s for an input of %s is not supported", tensor.ShapeString(kernel), onnx.DimString(c.dims(x)))
	}
	flat := build.Window{Kernel: []int64{kernel[0], kernel[1], 1}, Stride: []int64{w.Stride[0], w.Stride[1], 1}, Dilation: []int64{w.Dilation[0], w.Dilation[1], 1}}
	weight := c.reshaped(f, wt.name, 1, 1, kernel[0], kernel[1], 1)
	y, err := c.flat(x, func(name string) (string, error) {
		var pads [6]int64
		for i := range 2 {
			pads[i], pads[3+i] = w.pads(i, dims[i])
			if pads[i] < 0 || pads[3+i] < 0 {
				return "", c.refuse(f, "its window begins within its input")
			}
		}
		name = c.op(f, "Reshape", []string{name, c.b.Ints(-1, 1, dims[0], dims[1], dims[2]*dims[3])})
		y := c.op(f, "Conv", []string{name, weight}, append(flat.Attrs(), onnx.AInts("pads", pads[:]...))...)
		s := c.b.Shape(y)
		if len(s) != 5 || !s[2].Known() || !s[3].Known() {
			return "", c.refuse(f, "its size is not known")
		}
		return c.op(f, "Reshape", []string{y, c.b.Ints(-1, s[2].Value, s[3].Value, dims[2], dims[3])}), nil
	})
	return x.like(y), err
}

// transposed is the gradient of a convolution.
func (c *converter) transposed(f *function, wt, x value, w window, wDims []int64) (value, error) {
	size := f.attrs.sizes("outputShape").cOrder()
	dims := c.dims(x)
	if channels := dims[0]; channels.Known() && channels.Value != wDims[0] {
		return x, c.refuse(f, "a kernel of %s for an input of %s is not supported", tensor.ShapeString(wDims), onnx.DimString(dims))
	}
	axes := make([]build.Transposed, x.rank-1)
	for i := range axes {
		at := i + 1
		extent, stride := w.At(at)
		given := len(size) == x.rank && size[at] > 0
		switch {
		case given && dims[at].Known():
			// The convolution from that size says what it pads.
			before, _ := w.pads(at, size[at])
			full := (dims[at].Value-1)*stride + extent
			after := full - size[at] - before
			axes[i] = build.Transposed{Before: before, After: max(after, 0), Extra: max(-after, 0)}
		case given:
			return x, c.refuse(f, "its size is given, and that of its input is free: give the input a shape")
		case w.auto[at]:
			// One element more than lie between the first and the last.
			axes[i] = build.Transposed{Before: (extent - 1) / 2, After: extent - 1 - (extent-1)/2}
		default:
			axes[i] = build.Transposed{Before: w.lower[at], After: w.upper[at]}
		}
	}
	win := w.tail(1)
	attrs := append(win.Attrs(), build.TransposedAttrs(axes)...)
	y, err := c.flat(x, func(name string) (string, error) {
		return c.op(f, "ConvTranspose", []string{name, wt.name}, attrs...), nil
	})
	return x.like(y), err
}

func (c *converter) pooling(f *function, in []value) (value, error) {
	x := in[0]
	shape := f.attrs.sizes("poolingWindowShape")
	if len(shape) > x.rank {
		return x, c.invalid(f, "its window has %d axes and its input %d", len(shape), x.rank)
	}
	dims := c.dims(x)
	kernel := make([]int64, x.rank)
	for i := range kernel {
		kernel[i] = 1
		if k := x.rank - 1 - i; k < len(shape) {
			kernel[i] = shape[k]
			if shape[k] <= 0 && dims[i].Known() {
				kernel[i] = dims[i].Value
			}
		}
	}
	w, err := c.window(f, kernel)
	if err != nil {
		return x, err
	}
	// Axes that no window slides over are taken as channels.
	from := x.rank - len(shape)
	for from < x.rank-1 && kernel[from] == 1 && w.Stride[from] == 1 && w.lower[from] == 0 && w.upper[from] == 0 {
		from++
	}
	average := f.attrs.int("poolingType", 0) == 1
	y, err := c.flat(x, func(name string) (string, error) {
		joined, back := c.asPicture(f, name, from, x.rank)
		joined, pads, err := c.spatialPads(f, joined, w, from, x.rank)
		if err != nil {
			return "", err
		}
		attrs := append(build.Window{Kernel: kernel[from:], Stride: w.Stride[from:]}.Attrs(), onnx.AInts("pads", pads...))
		op := "MaxPool"
		if average {
			op = "AveragePool"
			include := f.attrs.flag("includePad")
			attrs = append(attrs, onnx.AInt("count_include_pad", map[bool]int64{true: 1}[include]))
		}
		return back(c.op(f, op, []string{joined}, attrs...)), nil
	})
	return x.like(y), err
}

// asPicture makes the static axes before a place one axis of channels, and tells
// how to undo it. A tensor has one batch axis.
func (c *converter) asPicture(f *function, name string, from, rank int) (string, func(string) string) {
	switch from {
	case 0:
		return c.unsqueeze(name, 1, 1), func(y string) string { return c.op(f, "Squeeze", []string{y, c.b.Ints(1)}) }
	case 1:
		return name, func(y string) string { return y }
	}
	rest := func(y string, at int) []string {
		var parts []string
		for i := range rank - from {
			parts = append(parts, c.size(y, at+i))
		}
		return parts
	}
	var kept []string
	for i := range from {
		kept = append(kept, c.size(name, 1+i))
	}
	joined := c.op(f, "Reshape", []string{name, c.concat(append([]string{c.b.Ints(0, -1)}, rest(name, 1+from)...)...)})
	return joined, func(y string) string {
		return c.op(f, "Reshape", []string{y, c.concat(slices.Concat([]string{c.b.Ints(0)}, kept, rest(y, 2))...)})
	}
}

// unpooling puts each number where the largest one of a window lay.
func (c *converter) unpooling(f *function, in []value) (value, error) {
	x, like := in[0], in[1]
	shape := f.attrs.sizes("unpoolingWindowShape")
	if x.rank != 3 || like.rank != 3 || len(shape) > 3 || len(shape) < 2 {
		return x, c.refuse(f, "it is supported for pictures only")
	}
	kernel := perAxis(append(slices.Clone(shape), make([]int64, 3-len(shape))...), 3, 1)
	kernel[0] = 1
	w, err := c.window(f, kernel)
	if err != nil {
		return x, err
	}
	dims, ok := c.known(like)
	if !ok {
		return x, c.refuse(f, "the size of the picture that was pooled is not known")
	}
	if c.lead(x) != c.lead(like) {
		return x, c.refuse(f, "its inputs have not the same dynamic axes")
	}
	y, err := c.flat(like, func(name string) (string, error) {
		cut, pads, err := c.spatialPads(f, name, w, 1, 3)
		if err != nil || cut != name {
			return "", c.refuse(f, "its windows are not supported")
		}
		node := c.nodeName(f)
		win := build.Window{Kernel: kernel[1:], Stride: w.Stride[1:]}
		pooled := c.b.Add(&onnx.Node{
			Name: node + "_places", Op: "MaxPool", Inputs: []string{name}, Outputs: []string{node + "_largest", node + "_places"},
			Attrs: append(win.Attrs(), onnx.AInts("pads", pads...)),
		})
		return c.flat(x, func(x string) (string, error) {
			size := c.concat(c.size(name, 0), c.b.Ints(dims...))
			y := c.op(f, "MaxUnpool", []string{x, pooled[1], size}, win.Attrs()...)
			c.b.Declare(y, tensor.Float32, append([]onnx.Dim{c.b.Shape(name)[0]}, c.dims(like)...))
			return y, nil
		})
	})
	if err == nil && c.lead(x) == 1 {
		c.b.Declare(y, tensor.Float32, c.shape(like))
	}
	return x.like(y), err
}

// batchNormalization is over the channels, or over each number of a sample.
func (c *converter) batchNormalization(f *function, in []value) (value, error) {
	x := in[0]
	eps := f.attrs.num("epsilon", 1e-5)
	for _, p := range in[1:5] {
		if c.lead(p) > 0 {
			return x, c.refuse(f, "scale, bias, mean and variance must be parameters")
		}
	}
	var params []string
	count := int64(0)
	for _, p := range in[1:5] {
		d, ok := c.known(p)
		n, err := tensor.Elements(d)
		if !ok || err != nil || count != 0 && n != count {
			return x, c.invalid(f, "its scale, bias, mean and variance are of different sizes")
		}
		count = n
		name := p.name
		if p.rank != 1 {
			name = c.reshaped(f, name, n)
		}
		params = append(params, name)
	}
	if x.rank == 0 {
		return x, c.refuse(f, "its input is no vector or picture")
	}
	spatial := f.attrs.flag("spatial") && x.rank > 1
	y, err := c.flat(x, func(name string) (string, error) {
		shape := c.op(f, "Shape", []string{name})
		flat := name
		if !spatial && x.rank > 1 {
			flat = c.op(f, "Reshape", []string{name, c.b.Ints(0, -1)})
		}
		y := c.op(f, "BatchNormalization", append([]string{flat}, params...), onnx.AFloat("epsilon", float32(eps)))
		if flat != name {
			y = c.op(f, "Reshape", []string{y, shape})
		}
		return y, nil
	})
	return x.like(y), err
}
