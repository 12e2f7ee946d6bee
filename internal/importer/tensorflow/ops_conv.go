package tensorflow

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

func convOperators() map[string]operator {
	return map[string]operator{
		"Conv2D": convolution, "Conv3D": convolution, "DepthwiseConv2dNative": convolution,
		"Conv2DBackpropInput": transposed, "Conv3DBackpropInputV2": transposed,
		"SpaceToBatchND": spaceToBatch, "BatchToSpaceND": batchToSpace,
	}
}

// spatial makes a node work on channels first. ONNX's operators on pictures take
// nothing else; what is turned before and after cancels out later.
func (k *call) spatial(x string, rank int, f func(x string) (string, error)) (string, error) {
	if k.ChannelsFirst() {
		return f(x)
	}
	y, err := f(k.op("Transpose", []string{x}, onnx.AInts("perm", toFirst(rank)...)))
	if err != nil {
		return "", err
	}
	return k.last("Transpose", []string{y}, onnx.AInts("perm", toLast(rank)...)), nil
}

// toFirst is the order of axes that brings the last, the channels, behind the
// batch, and toLast the one that brings them back.
func toFirst(rank int) []int64 {
	out := []int64{0, int64(rank) - 1}
	for i := 1; i < rank-1; i++ {
		out = append(out, int64(i))
	}
	return out
}

func toLast(rank int) []int64 {
	out := []int64{0}
	for i := 2; i < rank; i++ {
		out = append(out, int64(i))
	}
	return append(out, 1)
}

// inner gives what a list has for rows and columns (and depth).
func (k *call) inner(name string, n int) ([]int64, error) {
	vs := k.IntList(name)
	if vs == nil {
		return slices.Repeat([]int64{1}, n), nil
	}
	at, rest := 1, []int{0, n + 1}
	if k.ChannelsFirst() {
		at, rest = 2, []int{0, 1}
	}
	if len(vs) != n+2 {
		return nil, k.invalid("its %s are %v, and its input has %d dimensions", name, vs, n+2)
	}
	for _, r := range rest {
		if vs[r] != 1 {
			return nil, k.unsupportedf("its %s are %v: those of the batch and the channels must be 1", name, vs)
		}
	}
	const most = 1 << 16
	for _, v := range vs[at : at+n] {
		if v < 1 || v > most {
			return nil, k.invalid("its %s are %v", name, vs)
		}
	}
	return vs[at : at+n], nil
}

// permuted gives a tensor with its axes in another order: a constant is turned
// here.
func (k *call) permuted(x string, perm ...int) (string, error) {
	t, ok := k.constant(x)
	if !ok || len(t.Shape) != len(perm) {
		order := make([]int64, len(perm))
		for i, p := range perm {
			order[i] = int64(p)
		}
		return k.op("Transpose", []string{x}, onnx.AInts("perm", order...)), nil
	}
	key := fmt.Sprint(x, perm)
	if name, ok := k.transposed[key]; ok {
		return name, nil
	}
	if err := t.Check(); err != nil {
		return "", err
	}
	if k.budget -= int64(len(t.Data)); k.budget < 0 {
		return "", k.invalid("the weights take much more memory than their file")
	}
	name := k.root.Constant(x+"/turned", tensor.Permute(t, perm...))
	k.transposed[key] = name
	return name, nil
}

// pads gives the padding of a window over an input of channels first.
func (k *call) pads(x string, w build.Window) (onnx.Attribute, error) {
	n := len(w.Kernel)
	switch p := k.Text("padding", "VALID"); p {
	case "VALID":
		return onnx.AInts("pads", make([]int64, 2*n)...), nil
	case "SAME":
		shape := k.b.Shape(x)
		if len(shape) != n+2 {
			return onnx.Attribute{}, k.invalid("its input is %s", onnx.DimString(shape))
		}
		a, ok := w.Same(shape[2:])
		if !ok {
			return a, k.unsupportedf("SAME with a dilated kernel in steps needs a picture of known size: " + sizeAdvice)
		}
		return a, nil
	case "EXPLICIT":
		vs := k.IntList("explicit_paddings")
		if len(vs) != 2*(n+2) {
			return onnx.Attribute{}, k.invalid("its explicit_paddings are %v", vs)
		}
		from := 2
		if k.ChannelsFirst() {
			from = 4
		}
		out := make([]int64, 2*n)
		for i := range n {
			out[i], out[n+i] = vs[from+2*i], vs[from+2*i+1]
		}
		return onnx.AInts("pads", out...), nil
	default:
		return onnx.Attribute{}, k.unsupportedf("its padding %q is not known", p)
	}
}

const sizeAdvice = "give the size of the input (model.shapes in stoa.yaml, --shape NAME=1,224,224,3 on the command line)"

// kernel gives the sizes of a convolution's weights: rows, columns, in, out.
func (k *call) kernel(i, n int) ([]int64, error) {
	dims := k.b.Shape(k.x(i))
	out := make([]int64, len(dims))
	for j, d := range dims {
		if !d.Known() {
			return nil, k.unsupportedf("the size of its weights is not known")
		}
		out[j] = d.Value
	}
	if len(out) != n+2 {
		return nil, k.invalid("its weights are %s", onnx.DimString(dims))
	}
	return out, nil
}

// windowOf reads how a kernel moves.
func (k *call) windowOf(kernel []int64, n int) (build.Window, error) {
	w := build.Window{Kernel: kernel}
	var err error
	if w.Stride, err = k.inner("strides", n); err != nil {
		return w, err
	}
	w.Dilation, err = k.inner("dilations", n)
	return w, err
}

func convolution(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		n := 2
		if k.Op == "Conv3D" {
			n = 3
		}
		size, err := k.kernel(1, n)
		if err != nil {
			return "", err
		}
		w, err := k.windowOf(size[:n], n)
		if err != nil {
			return "", err
		}
		return k.convolve(w, size, onnx.Attribute{})
	})(k)
}

// convolve makes a convolution of the first input by the second. pads are those
// that the node itself asks for, unless they are given.
func (k *call) convolve(w build.Window, size []int64, pads onnx.Attribute) (string, error) {
	n := len(w.Kernel)
	order := []int{n + 1, n}
	depthwise := k.Op == "DepthwiseConv2dNative"
	if depthwise {
		order = []int{n, n + 1}
	}
	for i := range n {
		order = append(order, i)
	}
	weights, err := k.permuted(k.x(1), order...)
	if err != nil {
		return "", err
	}
	groups := int64(1)
	if depthwise {
		groups = size[n]
		shape := append([]int64{size[n] * size[n+1], 1}, w.Kernel...)
		if t, ok := k.constant(weights); ok {
			t.Shape = shape
			weights = k.root.Constant(weights, t)
		} else {
			weights = k.op("Reshape", []string{weights, k.b.Ints(shape...)})
		}
	}
	return k.spatial(k.x(0), n+2, func(x string) (string, error) {
		if shape := k.b.Shape(x); !depthwise && len(shape) == n+2 && shape[1].Known() && size[n] > 0 {
			groups = max(shape[1].Value/size[n], 1)
		}
		if pads.Name == "" {
			if pads, err = k.pads(x, w); err != nil {
				return "", err
			}
		}
		attrs := append(w.Attrs(), pads)
		if groups > 1 {
			attrs = append(attrs, onnx.AInt("group", groups))
		}
		return k.op("Conv", []string{x, weights}, attrs...), nil
	})
}

// transposed is the gradient of a convolution by its input, which is used as a
// layer that enlarges.
func transposed(k *call) ([]value, error) {
	if len(k.in) < 3 || k.x(1) == "" || k.x(2) == "" {
		return nil, k.invalid("it lacks inputs")
	}
	n := 2
	if k.Op == "Conv3DBackpropInputV2" {
		n = 3
	}
	size, err := k.kernel(1, n)
	if err != nil {
		return nil, err
	}
	w, err := k.windowOf(size[:n], n)
	if err != nil {
		return nil, err
	}
	order := []int{n + 1, n}
	for i := range n {
		order = append(order, i)
	}
	weights, err := k.permuted(k.x(1), order...)
	if err != nil {
		return nil, err
	}
	y, err := k.spatial(k.x(2), n+2, func(x string) (string, error) {
		axes, err := k.enlarge(x, w)
		if err != nil {
			return "", err
		}
		return k.op("ConvTranspose", []string{x, weights}, append(w.Attrs(), build.TransposedAttrs(axes)...)...), nil
	})
	return one(y), err
}

// enlarge gives the padding by which a transposed convolution makes the size
// that the node asks for. Sizes that are not known follow from the stride.
func (k *call) enlarge(x string, w build.Window) ([]build.Transposed, error) {
	n := len(w.Kernel)
	asked, _ := k.b.Dims(k.x(0))
	if t, ok := k.constant(k.x(0)); ok {
		asked = nil
		for _, v := range arith.Ints(t) {
			asked = append(asked, onnx.Fixed(v))
		}
	}
	first := 1
	if k.ChannelsFirst() {
		first = 2
	}
	out := make([]build.Transposed, n)
	for i := range n {
		extent, stride := w.At(i)
		have, want := int64(-1), int64(-1)
		if s := k.b.Shape(x); len(s) == n+2 && s[2+i].Known() {
			have = s[2+i].Value
		}
		if len(asked) == n+2 && asked[first+i].Known() {
			want = asked[first+i].Value
		} else if len(asked) == n { // newer graphs give rows and columns only
			want = asked[i].Value
		}
		same := k.Text("padding", "VALID") == "SAME"
		if have < 0 || want < 0 {
			// The size that a layer asks for where it says nothing else.
			have = 64
			if want = have * stride; !same {
				want += max(extent-stride, 0)
			}
		}
		switch p := k.Text("padding", "VALID"); p {
		case "SAME":
			out[i] = build.TransposedPads(have, want, extent, stride)
		case "VALID":
			out[i] = build.TransposedValid(have, want, extent, stride)
		default:
			return nil, k.unsupportedf("its padding %q is not supported", p)
		}
	}
	return out, nil
}
