package build

import "github.com/stoa-project/stoa/internal/onnx"

// Pool is a pooling that pads both ends alike and may round its size up, as
// Torch7 and PyTorch do: a last window that would begin beyond the input and the
// padding before it is dropped.
type Pool struct {
	Window
	Pad  []int64
	Ceil bool
	// ExcludePad: a mean is over what lies in the input, not over the padding.
	ExcludePad bool
}

// ends says how far the last window of each axis reaches beyond the input, where
// all sizes are known.
func (p Pool) ends(sizes []onnx.Dim) ([]int64, bool) {
	out := make([]int64, len(p.Kernel))
	for i := range out {
		if i >= len(sizes) || !sizes[i].Known() {
			return nil, false
		}
		extent, stride := p.At(i)
		n := sizes[i].Value
		room := n + 2*p.Pad[i] - extent
		if room < 0 {
			return nil, false
		}
		windows := (room+stride-1)/stride + 1
		if (windows-1)*stride >= n+p.Pad[i] {
			windows--
		}
		out[i] = (windows-1)*stride + extent - n - p.Pad[i]
	}
	return out, true
}

func (p Pool) pads(end []int64) onnx.Attribute {
	pads := append([]int64{}, p.Pad...)
	return onnx.AInts("pads", append(pads, end...)...)
}

// MaxPool adds a pooling by the largest value over the last axes.
func (b *Builder) MaxPool(name, x string, p Pool) string {
	attrs := p.Attrs()
	if !p.Ceil {
		return b.Op(name, "MaxPool", []string{x}, append(attrs, p.pads(p.Pad))...)
	}
	end, known := p.ends(b.spatial(x, len(p.Kernel)))
	if !known {
		return b.Op(name, "MaxPool", []string{x}, append(attrs, p.pads(p.Pad), onnx.AInt("ceil_mode", 1))...)
	}
	for i, e := range end {
		end[i] = max(e, 0)
	}
	return b.Op(name, "MaxPool", []string{x}, append(attrs, p.pads(end))...)
}

// AveragePool adds a pooling by the mean over the last axes. ONNX cannot count
// the padding and leave out what a window covers beyond it, so that in such a
// case the padding becomes part of the input.
func (b *Builder) AveragePool(name, x string, p Pool) string {
	attrs := p.Attrs()
	include := int64(1)
	padded := false
	for _, v := range p.Pad {
		padded = padded || v > 0
	}
	if p.ExcludePad || !padded {
		include = 0
	}
	if !p.Ceil {
		return b.Op(name, "AveragePool", []string{x}, append(attrs, p.pads(p.Pad), onnx.AInt("count_include_pad", include))...)
	}
	end, known := p.ends(b.spatial(x, len(p.Kernel)))
	if include == 1 {
		x, end = b.padFirst(x, p, end)
		p.Pad = make([]int64, len(p.Pad))
	}
	if !known {
		attrs = append(attrs, p.pads(p.Pad), onnx.AInt("ceil_mode", 1))
	} else {
		for i, e := range end {
			end[i] = max(e, 0)
		}
		attrs = append(attrs, p.pads(end))
	}
	return b.Op(name, "AveragePool", []string{x}, append(attrs, onnx.AInt("count_include_pad", 0))...)
}

// padFirst makes the padding part of the input, and gives what of the ends is
// left.
func (b *Builder) padFirst(x string, p Pool, end []int64) (string, []int64) {
	rank := len(b.Shape(x))
	pads := make([]int64, 2*rank)
	left := append([]int64{}, end...)
	for i, v := range p.Pad {
		at := rank - len(p.Pad) + i
		pads[at], pads[rank+at] = v, v
		if end != nil {
			pads[rank+at] = max(0, min(v, end[i]))
			left[i] = max(0, end[i]-v)
		}
	}
	return b.Op("pad", "Pad", []string{x, b.Ints(pads...)}), left
}

// spatial gives the last n dimensions of a tensor; nil where they are not known.
func (b *Builder) spatial(x string, n int) []onnx.Dim {
	shape := b.Shape(x)
	if len(shape) < n {
		return nil
	}
	return shape[len(shape)-n:]
}
