package onnx

import (
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

// spatial is the window of a convolution or a pool.
type spatial struct {
	kernel, strides, pads, dilations []int64
	auto                             string
	ceil                             bool
}

// window reads the settings of a node over n axes; ok is false where they do
// not fit.
func (x *inference) window(n int, kernel []int64) (spatial, bool) {
	w := spatial{
		kernel: x.node.Ints("kernel_shape"), strides: x.node.Ints("strides"), pads: x.node.Ints("pads"),
		dilations: x.node.Ints("dilations"), auto: x.node.Str("auto_pad"), ceil: x.node.Int("ceil_mode", 0) == 1,
	}
	if w.kernel == nil {
		w.kernel = kernel
	}
	if w.strides == nil {
		w.strides = slices.Repeat([]int64{1}, n)
	}
	if w.dilations == nil {
		w.dilations = slices.Repeat([]int64{1}, n)
	}
	if w.pads == nil {
		w.pads = make([]int64, 2*n)
	}
	if len(w.kernel) != n || len(w.strides) != n || len(w.dilations) != n || len(w.pads) != 2*n {
		return w, false
	}
	for i := range n {
		const most = 1 << 31
		if min(w.kernel[i], w.strides[i], w.dilations[i]) < 1 || max(w.kernel[i], w.strides[i], w.dilations[i]) > most ||
			max(w.pads[i], w.pads[n+i]) > most || min(w.pads[i], w.pads[n+i]) < -most {
			return w, false
		}
	}
	return w, true
}

// places gives how many windows axis i has.
func (w spatial) places(i int, d Dim) Dim {
	n := len(w.kernel)
	return affine(d, func(v int64) int64 {
		if w.auto == "SAME_UPPER" || w.auto == "SAME_LOWER" {
			return (v + w.strides[i] - 1) / w.strides[i]
		}
		room := v - (w.dilations[i]*(w.kernel[i]-1) + 1)
		begin := int64(0)
		if w.auto != "VALID" {
			begin = w.pads[i]
			room += w.pads[i] + w.pads[n+i]
		}
		if room < 0 {
			return -1
		}
		out := room/w.strides[i] + 1
		if w.ceil {
			out = (room+w.strides[i]-1)/w.strides[i] + 1
			if (out-1)*w.strides[i] >= v+begin {
				out--
			}
		}
		return out
	})
}

func inferConv(x *inference) error {
	in, w := x.input(0), x.input(1)
	if in.shape == nil || len(w.shape) < 3 || len(in.shape) != len(w.shape) {
		x.set(0, in.dtype, nil)
		if in.shape != nil && w.shape != nil {
			return mismatch("an input of %s and a kernel of %s do not fit together", DimString(in.shape), DimString(w.shape))
		}
		return nil
	}
	if want := mul(w.shape[1], Fixed(x.node.Int("group", 1))); want.Known() && in.shape[1].Known() && want.Value != in.shape[1].Value {
		return mismatch("an input of %s has not the %d channels that the kernel is for", DimString(in.shape), want.Value)
	}
	out, err := x.walk(in.shape, kernelOf(w.shape))
	if out != nil {
		out[1] = w.shape[0]
	}
	x.set(0, in.dtype, out)
	return err
}

func kernelOf(shape []Dim) []int64 {
	out := make([]int64, 0, len(shape))
	for _, d := range shape[2:] {
		out = append(out, d.Value)
	}
	return out
}

// walk gives the shape after a window walked over the places of in.
func (x *inference) walk(in []Dim, kernel []int64) ([]Dim, error) {
	if len(in) < 3 {
		return nil, mismatch("an input of %s has no places to walk over", DimString(in))
	}
	w, ok := x.window(len(in)-2, kernel)
	if !ok {
		return nil, mismatch("its kernel_shape, strides, pads and dilations do not fit an input of %s", DimString(in))
	}
	out := slices.Clone(in)
	for i := range w.kernel {
		out[2+i] = w.places(i, in[2+i])
		if in[2+i].Known() && !out[2+i].Known() {
			return nil, mismatch("an input of %s is smaller than the kernel", DimString(in))
		}
	}
	return out, nil
}

func inferPool(x *inference) error {
	in := x.input(0)
	if in.shape == nil {
		x.set(0, in.dtype, nil)
		return nil
	}
	out, err := x.walk(in.shape, nil)
	x.set(0, in.dtype, out)
	x.set(1, tensor.Int64, out)
	return err
}

func inferGlobalPool(x *inference) error {
	in := x.input(0)
	out := slices.Clone(in.shape)
	for i := 2; i < len(out); i++ {
		out[i] = Fixed(1)
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferConvTranspose(x *inference) error {
	in, w := x.input(0), x.input(1)
	if in.shape == nil || len(w.shape) < 3 || len(in.shape) != len(w.shape) {
		x.set(0, in.dtype, nil)
		return nil
	}
	n := len(in.shape) - 2
	win, ok := x.window(n, kernelOf(w.shape))
	if !ok {
		return mismatch("its kernel_shape, strides, pads and dilations do not fit an input of %s", DimString(in.shape))
	}
	extra := x.node.Ints("output_padding")
	size := x.node.Ints("output_shape")
	out := slices.Clone(in.shape)
	out[1] = mul(w.shape[1], Fixed(x.node.Int("group", 1)))
	for i := range n {
		if len(size) == n {
			out[2+i] = Fixed(max(size[i], 0))
			continue
		}
		out[2+i] = affine(in.shape[2+i], func(v int64) int64 {
			if win.auto == "SAME_UPPER" || win.auto == "SAME_LOWER" {
				return v * win.strides[i]
			}
			v = win.strides[i]*(v-1) + win.dilations[i]*(win.kernel[i]-1) + 1 - win.pads[i] - win.pads[n+i]
			if len(extra) == n {
				v += extra[i]
			}
			return v
		})
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferGemm(x *inference) error {
	a, b := x.input(0), x.input(1)
	if len(a.shape) != 2 || len(b.shape) != 2 {
		x.set(0, a.dtype, nil)
		return nil
	}
	m, k := a.shape[0], a.shape[1]
	if x.node.Int("transA", 0) != 0 {
		m, k = k, m
	}
	k2, n := b.shape[0], b.shape[1]
	if x.node.Int("transB", 0) != 0 {
		k2, n = n, k2
	}
	if k.Known() && k2.Known() && k.Value != k2.Value {
		return mismatch("matrices of %s and %s do not fit together", DimString(a.shape), DimString(b.shape))
	}
	x.set(0, a.dtype, []Dim{m, n})
	return nil
}

func inferMatMul(x *inference) error {
	a, b := x.input(0), x.input(1)
	if len(a.shape) == 0 || len(b.shape) == 0 {
		x.set(0, a.dtype, nil)
		return nil
	}
	p, q := a.shape, b.shape
	if len(p) == 1 {
		p = []Dim{Fixed(1), p[0]}
	}
	if len(q) == 1 {
		q = []Dim{q[0], Fixed(1)}
	}
	if k, k2 := p[len(p)-1], q[len(q)-2]; k.Known() && k2.Known() && k.Value != k2.Value {
		return mismatch("matrices of %s and %s do not fit together", DimString(a.shape), DimString(b.shape))
	}
	out, err := broadcast(p[:len(p)-2], q[:len(q)-2])
	if err != nil {
		return err
	}
	out = slices.Clone(out)
	if len(a.shape) > 1 {
		out = append(out, p[len(p)-2])
	}
	if len(b.shape) > 1 {
		out = append(out, q[len(q)-1])
	}
	x.set(0, a.dtype, append([]Dim{}, out...))
	return nil
}

// inferRecurrent is for RNN, GRU and LSTM: outputs Y, Y_h and Y_c.
func inferRecurrent(x *inference) error {
	in := x.input(0)
	dirs := int64(1)
	if x.node.Str("direction") == "bidirectional" {
		dirs = 2
	}
	hidden := Fixed(max(x.node.Int("hidden_size", 0), 0))
	if len(in.shape) != 3 {
		x.set(0, in.dtype, nil)
		return nil
	}
	seq, batch := in.shape[0], in.shape[1]
	state := []Dim{Fixed(dirs), batch, hidden}
	y := []Dim{seq, Fixed(dirs), batch, hidden}
	if x.node.Int("layout", 0) == 1 {
		batch, seq = seq, batch
		state = []Dim{batch, Fixed(dirs), hidden}
		y = []Dim{batch, seq, Fixed(dirs), hidden}
	}
	x.set(0, in.dtype, y)
	x.set(1, in.dtype, state)
	x.set(2, in.dtype, state)
	return nil
}

// inferResize takes sizes or scales; Upsample only scales.
func inferResize(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	out := unknownShape(len(in.shape))
	if v := x.input(3).value; len(v) == len(out) && x.node.Attr("axes") == nil {
		for i, e := range v {
			out[i] = e.dim()
		}
	}
	if f := x.input(2).scales; len(f) == len(out) && x.node.Attr("axes") == nil {
		for i, d := range in.shape {
			if out[i] = d; f[i] != 1 {
				out[i] = affine(d, func(v int64) int64 { return int64(float32(v) * f[i]) })
			}
		}
	}
	x.set(0, in.dtype, out)
	return nil
}
