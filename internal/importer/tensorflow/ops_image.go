package tensorflow

import (
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func imageOperators() map[string]operator {
	return map[string]operator{
		"ResizeBilinear": resize, "ResizeNearestNeighbor": resize, "ResizeBicubic": resize,
		"DepthToSpace": depthToSpace, "SpaceToDepth": spaceToDepth,
		"Pad": pad, "PadV2": pad, "MirrorPad": mirrorPad, "NonMaxSuppressionV3": nonMaxSuppression, "NonMaxSuppressionV2": nonMaxSuppression, "NonMaxSuppression": nonMaxSuppression,
	}
}

// resizeAttrs says how places of the larger picture are found in the smaller.
func resizeAttrs(n *flow.Node) []onnx.Attribute {
	corners, centers := n.Flag("align_corners", false), n.Flag("half_pixel_centers", false)
	mode := "asymmetric"
	switch {
	case corners:
		mode = "align_corners"
	case centers:
		mode = "half_pixel"
	}
	coordinates := onnx.AStr("coordinate_transformation_mode", mode)
	switch n.Op {
	case "ResizeBilinear":
		return []onnx.Attribute{onnx.AStr("mode", "linear"), coordinates}
	case "ResizeBicubic":
		if centers { // Keys's own number, and neighbours outside do not count
			return []onnx.Attribute{onnx.AStr("mode", "cubic"), coordinates, onnx.AFloat("cubic_coeff_a", -0.5), onnx.AInt("exclude_outside", 1)}
		}
		return []onnx.Attribute{onnx.AStr("mode", "cubic"), coordinates, onnx.AFloat("cubic_coeff_a", -0.75)}
	}
	nearest := "floor"
	if corners || centers {
		nearest = "round_prefer_ceil"
	}
	return []onnx.Attribute{onnx.AStr("mode", "nearest"), coordinates, onnx.AStr("nearest_mode", nearest)}
}

func resize(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		x := k.x(0)
		d := k.b.DType(x)
		if k.Op != "ResizeNearestNeighbor" {
			x = k.cast(x, tensor.Float32) // what it makes is always such
		}
		in, want := k.b.Shape(x), k.sizesWanted()
		if len(in) != 4 {
			return "", k.invalid("its input of %s is no batch of pictures", onnx.DimString(in))
		}
		perm := onnx.AInts("perm", toFirst(4)...)
		x = k.op("Transpose", []string{x}, perm)
		y := ""
		if f, ok := wholeFactors(in[1:3], want); ok {
			y = k.op("Resize", []string{x, "", k.b.Floats(1, 1, f[0], f[1])}, resizeAttrs(k.Node)...)
		} else {
			y = k.resizeTo(x, k.cast(k.x(1), tensor.Int64))
		}
		if k.Op == "ResizeNearestNeighbor" && d == tensor.Undefined {
			return "", k.invalid("the type of its input is not known")
		}
		return k.last("Transpose", []string{y}, onnx.AInts("perm", toLast(4)...)), nil
	})(k)
}

// resizeTo makes pictures of a size, channels first.
func (k *call) resizeTo(x, size string) string {
	join := func(parts ...string) string { return k.op("Concat", parts, onnx.AInt("axis", 0)) }
	part := func(s string, from, to int64) string {
		return k.op("Slice", []string{s, k.b.Ints(from), k.b.Ints(to), k.b.Ints(0)})
	}
	shape := k.op("Shape", []string{x})
	sizes := join(part(shape, 0, 2), size)
	if k.Op != "ResizeBicubic" {
		return k.op("Resize", []string{x, "", "", sizes}, resizeAttrs(k.Node)...)
	}
	// The runtime moves what turns the axes behind a Resize, and then cannot
	// make a picture smaller by cubic curves. So each channel is a picture here.
	single := k.op2("Reshape", x, join(k.b.Ints(-1, 1), part(shape, 2, 4)))
	y := k.op("Resize", []string{single, "", "", join(part(k.op("Shape", []string{single}), 0, 2), size)}, resizeAttrs(k.Node)...)
	return k.op2("Reshape", y, sizes)
}

func (k *call) sizesWanted() []onnx.Dim {
	dims, _ := k.b.Dims(k.x(1))
	if t, ok := k.constant(k.x(1)); ok {
		dims = nil
		for _, v := range arith.Ints(t) {
			dims = append(dims, onnx.Fixed(v))
		}
	}
	return dims
}

// wholeFactors gives by how much a picture grows, where those are whole numbers.
func wholeFactors(in, out []onnx.Dim) ([2]float32, bool) {
	var f [2]float32
	if len(in) != 2 || len(out) != 2 {
		return f, false
	}
	for i := range f {
		if !in[i].Known() || !out[i].Known() || in[i].Value == 0 || out[i].Value%in[i].Value != 0 {
			return f, false
		}
		f[i] = float32(out[i].Value / in[i].Value)
	}
	return f, true
}

func (k *call) blockSize() (int64, error) {
	const most = 1 << 10
	n := k.Int("block_size", 0)
	if n < 1 || n > most {
		return 0, k.invalid("its block_size is %d", n)
	}
	if k.Text("data_format", "NHWC") == "NCHW_VECT_C" {
		return 0, k.unsupportedf("the data format NCHW_VECT_C is not supported")
	}
	return n, nil
}

func depthToSpace(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		n, err := k.blockSize()
		if err != nil {
			return "", err
		}
		return k.spatial(k.x(0), 4, func(x string) (string, error) {
			return k.op("DepthToSpace", []string{x}, onnx.AInt("blocksize", n), onnx.AStr("mode", "DCR")), nil
		})
	})(k)
}

func spaceToDepth(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		n, err := k.blockSize()
		if err != nil {
			return "", err
		}
		return k.spatial(k.x(0), 4, func(x string) (string, error) {
			return k.op("SpaceToDepth", []string{x}, onnx.AInt("blocksize", n)), nil
		})
	})(k)
}

// onnxPads turns pairs, one for each axis, into all beginnings and then all ends.
func (k *call) onnxPads() string {
	if t, ok := k.constant(k.x(1)); ok {
		vs := arith.Ints(t)
		n := len(vs) / 2
		out := make([]int64, 2*n)
		for i := range n {
			out[i], out[n+i] = vs[2*i], vs[2*i+1]
		}
		return k.b.Ints(out...)
	}
	turned := k.op("Transpose", []string{k.cast(k.x(1), tensor.Int64)}, onnx.AInts("perm", 1, 0))
	return k.op("Reshape", []string{turned, k.b.Ints(-1)})
}

func pad(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		in := []string{k.x(0), k.onnxPads()}
		switch {
		case k.x(2) != "":
			in = append(in, k.x(2))
		case !arith.IsFloat(k.b.DType(k.x(0))):
			in = append(in, k.like(k.x(0), 0))
		}
		return k.last("Pad", in), nil
	})(k)
}

// mirrorPad repeats what lies at the border: with it (SYMMETRIC) or without.
func mirrorPad(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		if k.Text("mode", "REFLECT") == "REFLECT" {
			return k.last("Pad", []string{k.x(0), k.onnxPads()}, onnx.AStr("mode", "reflect")), nil
		}
		return k.symmetric()
	})(k)
}

// symmetric is put together of slices that are turned round, since ONNX has no
// such padding.
func (k *call) symmetric() (string, error) {
	pairs, err := k.intsAt(1, "paddings")
	if err != nil {
		return "", err
	}
	x := k.x(0)
	if len(pairs) != 2*k.rank(x) {
		return "", k.invalid("its paddings %v do not fit its input of %s", pairs, onnx.DimString(k.b.Shape(x)))
	}
	for axis := range len(pairs) / 2 {
		before, after := pairs[2*axis], pairs[2*axis+1]
		parts := []string{x}
		back := func(from, to int64) string {
			return k.op("Slice", []string{x, k.b.Ints(from), k.b.Ints(to), k.b.Ints(int64(axis)), k.b.Ints(-1)})
		}
		if before > 0 {
			parts = []string{back(before-1, -(1 << 40)), x}
		}
		if after > 0 {
			parts = append(parts, back(-1, -after-1))
		}
		if len(parts) > 1 {
			x = k.op("Concat", parts, onnx.AInt("axis", int64(axis)))
		}
	}
	return x, nil
}

// nonMaxSuppression gives the places of boxes that do not overlap better ones.
func nonMaxSuppression(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		in := []string{k.op2("Unsqueeze", k.x(0), k.b.Ints(0)), k.op2("Unsqueeze", k.x(1), k.b.Ints(0, 1)), k.cast(k.x(2), tensor.Int64)}
		const usual = 0.5
		overlap := k.x(3)
		if overlap == "" {
			overlap = k.b.Float(float64(k.Float("iou_threshold", usual)))
		}
		in = append(in, overlap)
		if k.x(4) != "" {
			in = append(in, k.x(4))
		}
		found := k.op("NonMaxSuppression", in) // batch, class, box
		boxes := k.op("Gather", []string{found, k.b.Int(2)}, onnx.AInt("axis", 1))
		return k.last("Cast", []string{boxes}, onnx.AInt("to", int64(tensor.Int32))), nil
	})(k)
}
