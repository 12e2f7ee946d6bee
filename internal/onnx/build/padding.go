package build

import "github.com/stoa-project/stoa/internal/onnx"

// Window is a kernel that slides over the spatial axes of a picture. Nil strides
// and dilations are ones.
type Window struct {
	Kernel, Stride, Dilation []int64
}

// At gives the kernel's extent, dilated, and its stride along an axis.
func (w Window) At(axis int) (extent, stride int64) {
	stride, dilation := int64(1), int64(1)
	if axis < len(w.Stride) {
		stride = max(w.Stride[axis], 1)
	}
	if axis < len(w.Dilation) {
		dilation = max(w.Dilation[axis], 1)
	}
	return (w.Kernel[axis]-1)*dilation + 1, stride
}

// SamePads gives the padding that TensorFlow's SAME puts before and after an axis
// of n elements: as many windows as n/stride rounded up, the odd one at the end.
func SamePads(n, extent, stride int64) (before, after int64) {
	windows := (n + stride - 1) / stride
	total := max((windows-1)*stride+extent-n, 0)
	return total / 2, total - total/2
}

// Same gives the attribute by which a convolution or a pooling pads as
// TensorFlow's SAME does, for spatial axes of the given sizes: numbers where they
// are known or do not depend on the size, else SAME_UPPER, which is the same rule
// at run time. It is false where neither does: the runtime refuses SAME_UPPER
// for a dilated kernel.
func (w Window) Same(sizes []onnx.Dim) (onnx.Attribute, bool) {
	n := len(w.Kernel)
	pads := make([]int64, 2*n)
	known, dilated := true, false
	for i := range n {
		extent, stride := w.At(i)
		dilated = dilated || extent != w.Kernel[i]
		switch {
		case i < len(sizes) && sizes[i].Known():
			pads[i], pads[n+i] = SamePads(sizes[i].Value, extent, stride)
		case stride == 1:
			pads[i], pads[n+i] = SamePads(extent, extent, 1)
		default:
			known = false
		}
	}
	if known {
		return onnx.AInts("pads", pads...), true
	}
	return onnx.AStr("auto_pad", "SAME_UPPER"), !dilated
}

// Attrs gives the attributes of a kernel, without those that are ones.
func (w Window) Attrs() []onnx.Attribute {
	out := []onnx.Attribute{onnx.AInts("kernel_shape", w.Kernel...)}
	if !ones(w.Stride) {
		out = append(out, onnx.AInts("strides", w.Stride...))
	}
	if !ones(w.Dilation) {
		out = append(out, onnx.AInts("dilations", w.Dilation...))
	}
	return out
}

func ones(vs []int64) bool {
	for _, v := range vs {
		if v != 1 {
			return false
		}
	}
	return true
}

// Transposed is the padding of a transposed convolution along an axis, as ONNX
// states it: what is cut off at both ends, and what is added at the end.
type Transposed struct{ Before, After, Extra int64 }

// TransposedPads gives the padding of a transposed convolution that makes out
// elements of in, where it is the gradient of one that pads as SAME. Only
// out-in*stride matters, so that a caller who does not know the sizes may give
// any in and in*stride.
func TransposedPads(in, out, extent, stride int64) Transposed {
	full := (in-1)*stride + extent
	total := max(full-out, 0)
	return Transposed{total / 2, total - total/2, max(out-full, 0)}
}

// TransposedValid is TransposedPads where the convolution pads nothing.
func TransposedValid(in, out, extent, stride int64) Transposed {
	full := (in-1)*stride + extent
	return Transposed{0, max(full-out, 0), max(out-full, 0)}
}

// TransposedAttrs gives the attributes of all axes.
func TransposedAttrs(axes []Transposed) []onnx.Attribute {
	pads, extra := make([]int64, 2*len(axes)), make([]int64, len(axes))
	some := false
	for i, a := range axes {
		pads[i], pads[len(axes)+i], extra[i] = a.Before, a.After, a.Extra
		some = some || a.Extra > 0
	}
	out := []onnx.Attribute{onnx.AInts("pads", pads...)}
	if some {
		out = append(out, onnx.AInts("output_padding", extra...))
	}
	return out
}
