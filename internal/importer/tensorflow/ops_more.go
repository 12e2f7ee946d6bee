package tensorflow

import (
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// moreOperators are seen in few networks.
func moreOperators() map[string]operator {
	return map[string]operator{
		"Bucketize": bucketize, "UnsortedSegmentSum": segmentSum, "CropAndResize": cropAndResize, "ExtractImagePatches": extractPatches,
		"NonMaxSuppressionV4": nonMaxSuppressionPadded, "NonMaxSuppressionV5": nonMaxSuppressionScored, "SparseMatMul": matMul,
		"FakeQuantWithMinMaxVarsPerChannel": fakeQuantChannels, "MaxPoolWithArgmax": pool("MaxPool", 2),
	}
}

// bucketize gives between which two of some numbers each element lies.
func bucketize(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		a := k.Attrs["boundaries"]
		if a == nil || len(a.Floats) == 0 {
			return "", k.invalid("it has no boundaries")
		}
		x := k.op2("Unsqueeze", k.cast(k.x(0), tensor.Float32), k.b.Ints(-1))
		reached := k.cast(k.op2("GreaterOrEqual", x, k.b.Floats(a.Floats...)), tensor.Int32)
		return k.last("ReduceSum", []string{reached, k.b.Ints(-1)}, onnx.AInt("keepdims", 0)), nil
	})(k)
}

// segmentSum adds rows by the numbers of their segments; those below zero are
// left out.
func segmentSum(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		data, ids, count := k.x(0), k.cast(k.x(1), tensor.Int64), k.cast(k.x(2), tensor.Int64)
		rank := k.rank(ids)
		if k.b.Shape(ids) == nil || k.b.Shape(data) == nil {
			return "", k.unsupportedf("the dimensions of its inputs are not known")
		}
		// One place more, before all others, takes what is left out.
		ids = k.op2("Add", k.op2("Max", ids, k.b.Int(-1)), k.b.Int(1))
		rows := k.op2("Add", k.op2("Reshape", count, k.b.Ints(1)), k.b.Ints(1))
		rest := k.op("Slice", []string{k.op("Shape", []string{data}), k.b.Ints(int64(rank)), k.b.Ints(farEnd), k.b.Ints(0)})
		shape := k.op("Concat", []string{rows, rest}, onnx.AInt("axis", 0))
		zero := tensor.Tensor{DType: k.b.DType(data), Shape: []int64{1}, Data: make([]byte, k.b.DType(data).Size())}
		base := k.op("ConstantOfShape", []string{shape}, onnx.ATensor("value", zero))
		sum := k.op("ScatterND", []string{base, k.op2("Unsqueeze", ids, k.b.Ints(-1)), data}, onnx.AStr("reduction", "add"))
		return k.last("Slice", []string{sum, k.b.Ints(1), k.b.Ints(farEnd), k.b.Ints(0)}), nil
	})(k)
}

// cropAndResize cuts boxes out of pictures and makes them all one size. The
// corners of a box lie on the centres of elements.
func cropAndResize(k *call) ([]value, error) {
	return tensorOp(4, func(k *call) (string, error) {
		size, err := k.intsAt(3, "sizes")
		if err != nil {
			return "", err
		}
		if len(size) != 2 || size[0] < 1 || size[1] < 1 || size[0] > maxParts || size[1] > maxParts {
			return "", k.invalid("its sizes are %v", size)
		}
		picture := k.op("Transpose", []string{k.cast(k.x(0), tensor.Float32)}, onnx.AInts("perm", toFirst(4)...))
		each := k.op2("Gather", picture, k.x(2))
		// A place along an axis, from 0 to 1 of the picture, for each row or column.
		along := func(axis int) string {
			from := k.op("Slice", []string{k.x(1), k.b.Ints(int64(axis)), k.b.Ints(int64(axis) + 1), k.b.Ints(1)})
			to := k.op("Slice", []string{k.x(1), k.b.Ints(int64(axis) + 2), k.b.Ints(int64(axis) + 3), k.b.Ints(1)})
			if size[axis] == 1 {
				return k.op2("Mul", k.op2("Add", from, to), k.b.Float(0.5))
			}
			steps := make([]float32, size[axis])
			for i := range steps {
				steps[i] = float32(i) / float32(size[axis]-1)
			}
			return k.op2("Add", from, k.op2("Mul", k.op2("Sub", to, from), k.b.Floats(steps...)))
		}
		y := k.op2("Unsqueeze", along(0), k.b.Ints(2, 3))
		x := k.op2("Unsqueeze", along(1), k.b.Ints(1, 3))
		none := k.b.Float(0)
		y, x = k.op2("Add", y, k.op2("Mul", x, none)), k.op2("Add", x, k.op2("Mul", y, none))
		grid := k.op("Concat", []string{x, y}, onnx.AInt("axis", 3))
		scaled := k.op2("Sub", k.op2("Mul", grid, k.b.Float(2)), k.b.Float(1))
		mode := k.Text("method", "bilinear")
		if mode != "bilinear" {
			mode = "nearest"
		}
		crops := k.op("GridSample", []string{each, scaled}, onnx.AInt("align_corners", 1), onnx.AStr("mode", mode), onnx.AStr("padding_mode", "border"))
		shape := []onnx.Dim{{Value: -1}, {Value: -1}, onnx.Fixed(size[0]), onnx.Fixed(size[1])}
		if s := k.b.Shape(each); len(s) == 4 {
			shape[0], shape[1] = s[0], s[1]
		}
		k.b.Declare(crops, tensor.Float32, shape)
		crops = k.op("Transpose", []string{crops}, onnx.AInts("perm", toLast(4)...))
		// Outside the picture there is a number of its own.
		low := k.op("ReduceMin", []string{grid}, onnx.AInts("axes", 3))
		high := k.op("ReduceMax", []string{grid}, onnx.AInts("axes", 3))
		outside := k.op2("Or", k.op2("Less", low, none), k.op2("Greater", high, k.b.Float(1)))
		return k.last("Where", []string{outside, k.b.Float(float64(k.Float("extrapolation_value", 0))), crops}), nil
	})(k)
}

// extractPatches gives what lies under a window as channels, by a convolution
// whose weights pick one element each.
func extractPatches(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		shape := k.b.Shape(k.x(0))
		if len(shape) != 4 || !shape[3].Known() {
			return "", k.unsupportedf("the number of its input's channels is not known")
		}
		sizes := k.IntList("ksizes")
		if len(sizes) != 4 || sizes[1] < 1 || sizes[2] < 1 {
			return "", k.invalid("its ksizes are %v", sizes)
		}
		n := *k.Node
		n.Node = n.With(map[string][]int64{"dilations": k.IntList("rates")})
		conv := *k
		conv.Node = &n
		w, err := conv.windowOf(sizes[1:3], 2)
		if err != nil {
			return "", err
		}
		channels := shape[3].Value
		out := sizes[1] * sizes[2] * channels
		const most = 1 << 12
		if out > most || channels > most {
			return "", k.unsupportedf("patches of %d numbers are not supported", out)
		}
		weights := make([]float32, out*out)
		for i := range out { // rows, columns, channels in; and the same as one number out
			weights[i*out+i] = 1
		}
		conv.in = append([]value{k.in[0]}, value{name: k.root.Constant(k.Name+"/pick", tensor.Of(weights, sizes[1], sizes[2], channels, out))})
		return conv.convolve(w, []int64{sizes[1], sizes[2], channels, out}, onnx.Attribute{})
	})(k)
}

// nonMaxSuppressionPadded also says how many places count.
func nonMaxSuppressionPadded(k *call) ([]value, error) {
	if k.Flag("pad_to_max_output_size", false) {
		return nil, k.unsupportedf("pad_to_max_output_size is not supported")
	}
	out, err := nonMaxSuppression(k)
	if err != nil {
		return nil, err
	}
	return append(out, value{name: k.cast(k.op("Size", []string{out[0].name}), tensor.Int32)}), nil
}

// nonMaxSuppressionScored gives the scores too.
func nonMaxSuppressionScored(k *call) ([]value, error) {
	sigma, ok := k.constant(k.x(5))
	if v := arith.Floats(sigma); k.x(5) != "" && (!ok || len(v) != 1 || v[0] != 0) {
		return nil, k.unsupportedf("scores that sink with the overlap (soft_nms_sigma) are not supported")
	}
	all := k.in
	k.in = k.in[:min(5, len(k.in))]
	out, err := nonMaxSuppressionPadded(k)
	k.in = all
	if err != nil {
		return nil, err
	}
	return []value{out[0], {name: k.op2("Gather", k.x(1), out[0].name)}, out[1]}, nil
}

// fakeQuantChannels has a range for each channel.
func fakeQuantChannels(k *call) ([]value, error) {
	lo, okLo := k.constant(k.x(1))
	hi, okHi := k.constant(k.x(2))
	a, b := arith.Floats(lo), arith.Floats(hi)
	if !okLo || !okHi || len(a) != len(b) || len(a) == 0 {
		return nil, k.unsupportedf("its ranges are not known before the network runs")
	}
	low, high, scale := make([]float32, len(a)), make([]float32, len(a)), make([]float32, len(a))
	for i := range a {
		r, err := k.steps(a[i], b[i])
		if err != nil {
			return nil, err
		}
		low[i], high[i], scale[i] = float32(r[0]), float32(r[1]), float32(r[2])
	}
	return tensorOp(1, func(k *call) (string, error) {
		from, step := k.b.Floats(low...), k.b.Floats(scale...)
		x := k.op2("Min", k.op2("Max", k.x(0), from), k.b.Floats(high...))
		n := k.op("Floor", []string{k.op2("Add", k.op2("Div", k.op2("Sub", x, from), step), k.b.Float(0.5))})
		return k.last("Add", []string{k.op2("Mul", n, step), from}), nil
	})(k)
}
