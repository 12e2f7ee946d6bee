package onnx

import (
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

// inferrers finds the shapes of an operator's outputs.
var inferrers = makeInferrers()

func makeInferrers() map[string]func(*inference) error {
	t := map[string]func(*inference) error{
		"Conv": inferConv, "ConvInteger": inferConv, "ConvTranspose": inferConvTranspose,
		"MaxPool": inferPool, "AveragePool": inferPool, "LpPool": inferPool,
		"GlobalAveragePool": inferGlobalPool, "GlobalMaxPool": inferGlobalPool, "GlobalLpPool": inferGlobalPool,
		"Gemm": inferGemm, "MatMul": inferMatMul, "RNN": inferRecurrent, "GRU": inferRecurrent, "LSTM": inferRecurrent,
		"Resize": inferResize, "Upsample": inferUpsample, "Shape": inferShape, "Size": inferSize, "Reshape": inferReshape,
		"Flatten": inferFlatten, "Transpose": inferTranspose, "Concat": inferConcat, "Split": inferSplit,
		"Slice": inferSlice, "Squeeze": inferSqueeze, "Unsqueeze": inferUnsqueeze, "Gather": inferGather,
		"GatherElements": inferLikeIndex, "Cast": inferCast, "Constant": inferConstant, "ConstantOfShape": inferConstantOfShape,
		"Expand": inferExpand, "Tile": inferTile, "Pad": inferPad, "Where": inferWhere, "Range": inferRange,
		"ArgMax": inferArg, "ArgMin": inferArg, "TopK": inferTopK, "DepthToSpace": inferDepth, "SpaceToDepth": inferDepth,
		"RandomUniform": inferRandom, "RandomNormal": inferRandom, "Dropout": inferDropout, "NonMaxSuppression": inferNMS,
		"OneHot": inferOneHot, "MaxUnpool": inferMaxUnpool, "EyeLike": inferEyeLike, "NonZero": inferNonZero,
		"GatherND": inferGatherND, "Einsum": inferEinsum,
		"Sum": inferVariadic, "Max": inferVariadic, "Min": inferVariadic, "Mean": inferVariadic,
	}
	for _, op := range []string{
		"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Ceil", "Celu", "Clip", "Cos", "Cosh",
		"CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization",
		"LRN", "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "Mish", "Neg",
		"Not", "PRelu", "RandomNormalLike", "RandomUniformLike", "Reciprocal", "Relu", "Round", "ScatterElements", "ScatterND",
		"Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh",
		"ThresholdedRelu", "Trilu", "ReverseSequence", "GroupNormalization", "Scatter", "ImageScaler", "Affine", "ParametricSoftplus", "ScaledTanh",
	} {
		t[op] = inferUnary
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Mod", "Pow", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor"} {
		t[op] = inferBinary
	}
	for _, op := range []string{"And", "Or", "Xor", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"} {
		t[op] = inferCompare
	}
	for _, op := range []string{"L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"} {
		t["Reduce"+op] = inferReduce
	}
	for _, op := range []string{"IsNaN", "IsInf"} {
		t[op] = func(x *inference) error { x.set(0, tensor.Bool, x.input(0).shape); return nil }
	}
	return t
}

func inferUnary(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, in.shape)
	if x.node.Op == "Identity" {
		x.out[0].value = in.value
	}
	return nil
}

func inferDropout(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, in.shape)
	x.set(1, tensor.Bool, in.shape)
	return nil
}

func inferBinary(x *inference) error {
	a, b := x.input(0), x.input(1)
	shape, err := broadcast(a.shape, b.shape)
	if err != nil && x.opset < 7 {
		// Before opset 7 the attribute axis said where the second input lies.
		shape, err = a.shape, nil
	}
	x.set(0, a.dtype, shape)
	if err == nil && a.value != nil && b.value != nil && len(shape) <= 1 {
		x.out[0].value = calculate(x.node.Op, a.value, b.value)
	}
	return err
}

// calculate follows small integers, of which shapes are made.
func calculate(op string, a, b []elem) []elem {
	n := max(len(a), len(b))
	if len(a) != n && len(a) != 1 || len(b) != n && len(b) != 1 {
		return nil
	}
	out := make([]elem, n)
	for i := range out {
		p, q := a[i%len(a)], b[i%len(b)]
		switch {
		case !p.fixed || !q.fixed || max(p.n, -p.n, q.n, -q.n) > maxDim>>24:
			if op == "Mul" && p.fixed && p.n == 1 {
				out[i] = q
			} else if (op == "Mul" || op == "Div") && q.fixed && q.n == 1 || (op == "Add" || op == "Sub") && q.fixed && q.n == 0 {
				out[i] = p
			}
		case op == "Add":
			out[i] = elem{n: p.n + q.n, fixed: true}
		case op == "Sub":
			out[i] = elem{n: p.n - q.n, fixed: true}
		case op == "Mul":
			out[i] = elem{n: p.n * q.n, fixed: true}
		case op == "Div" && q.n != 0:
			out[i] = elem{n: p.n / q.n, fixed: true}
		}
	}
	return out
}

func inferCompare(x *inference) error {
	shape, err := broadcast(x.input(0).shape, x.input(1).shape)
	if x.opset < 7 {
		shape, err = x.input(0).shape, nil
	}
	x.set(0, tensor.Bool, shape)
	return err
}

func inferVariadic(x *inference) error {
	shape := x.input(0).shape
	for _, o := range x.in[min(1, len(x.in)):] {
		var err error
		if shape, err = broadcast(shape, o.shape); err != nil {
			return err
		}
	}
	x.set(0, x.input(0).dtype, shape)
	return nil
}

func inferWhere(x *inference) error {
	shape, err := broadcast(x.input(1).shape, x.input(2).shape)
	if err == nil {
		shape, err = broadcast(x.input(0).shape, shape)
	}
	x.set(0, x.input(1).dtype, shape)
	return err
}

func inferReduce(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	axes, ok := x.ints(1, "axes")
	if in.shape == nil || !ok {
		return nil
	}
	if axes == nil && x.node.Int("noop_with_empty_axes", 0) == 1 {
		x.set(0, in.dtype, in.shape)
		return nil
	}
	return x.reduced(in, axes)
}

// reduced gives the shape less some axes; none means all.
func (x *inference) reduced(in info, axes []int64) error {
	gone := make([]bool, len(in.shape))
	for i := range gone {
		gone[i] = len(axes) == 0
	}
	for _, a := range axes {
		at := axis(a, len(in.shape))
		if at < 0 {
			return mismatch("axis %d lies outside an input of %s", a, DimString(in.shape))
		}
		gone[at] = true
	}
	out := []Dim{}
	for i, d := range in.shape {
		switch {
		case !gone[i]:
			out = append(out, d)
		case x.node.Int("keepdims", 1) == 1:
			out = append(out, Fixed(1))
		}
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferArg(x *inference) error {
	in := x.input(0)
	x.set(0, tensor.Int64, nil)
	if in.shape == nil {
		return nil
	}
	err := x.reduced(in, []int64{x.node.Int("axis", 0)})
	x.out[0].dtype = tensor.Int64
	return err
}

func inferTopK(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	x.set(1, tensor.Int64, nil)
	at := axis(x.node.Int("axis", -1), len(in.shape))
	if at < 0 {
		return nil
	}
	out := slices.Clone(in.shape)
	out[at] = unknownDim()
	if k := x.node.Int("k", -1); k >= 0 {
		out[at] = Fixed(k)
	} else if v := x.input(1).value; len(v) == 1 {
		out[at] = v[0].dim()
	}
	x.set(0, in.dtype, out)
	x.set(1, tensor.Int64, out)
	return nil
}

func inferCast(x *inference) error {
	in := x.input(0)
	to := tensor.DType(min(max(x.node.Int("to", 0), 0), 255))
	x.set(0, to, in.shape)
	if to == tensor.Int64 || to == tensor.Int32 {
		x.out[0].value = in.value
	}
	return nil
}

func inferConstant(x *inference) error {
	for i := range x.node.Attrs {
		a := &x.node.Attrs[i]
		switch {
		case a.T != nil:
			x.out[0] = constInfo(a.T)
		case a.Name == "value_int":
			x.out[0] = info{dtype: tensor.Int64, shape: []Dim{}, value: []elem{{n: a.I, fixed: true}}}
		case a.Name == "value_ints":
			x.out[0] = constInfo(NewTensor("", tensor.Of(a.Ints, int64(len(a.Ints)))))
		case a.Name == "value_float":
			x.set(0, tensor.Float32, []Dim{})
		case a.Name == "value_floats":
			x.set(0, tensor.Float32, []Dim{Fixed(int64(len(a.Floats)))})
		}
	}
	return nil
}

// dims gives a known array as dimensions.
func dims(v []elem) []Dim {
	if v == nil {
		return nil
	}
	out := make([]Dim, len(v))
	for i, e := range v {
		out[i] = e.dim()
	}
	return out
}

func inferConstantOfShape(x *inference) error {
	t := tensor.Float32
	if a := x.node.Attr("value"); a != nil && a.T != nil {
		t = a.T.DType
	}
	x.set(0, t, dims(x.input(0).value))
	return nil
}

func inferExpand(x *inference) error {
	in := x.input(0)
	shape, err := broadcast(in.shape, dims(x.input(1).value))
	x.set(0, in.dtype, shape)
	return err
}

func inferTile(x *inference) error {
	in, by := x.input(0), x.input(1).value
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	out := unknownShape(len(in.shape))
	if len(by) == len(out) {
		for i := range out {
			out[i] = mul(in.shape[i], by[i].dim())
		}
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferPad(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	pads, ok := x.ints(1, "pads")
	if a := x.node.Ints("paddings"); a != nil { // opset 1
		pads, ok = a, true
	}
	if in.shape == nil {
		return nil
	}
	out := unknownShape(len(in.shape))
	if n := len(out); ok && len(pads) == 2*n {
		for i := range out {
			out[i] = affine(in.shape[i], func(v int64) int64 { return v + pads[i] + pads[n+i] })
			if pads[i] == 0 && pads[n+i] == 0 {
				out[i] = in.shape[i]
			}
		}
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferRange(x *inference) error {
	a, b, c := x.input(0).value, x.input(1).value, x.input(2).value
	d := unknownDim()
	if len(a) == 1 && len(b) == 1 && len(c) == 1 && a[0].fixed && b[0].fixed && c[0].fixed && c[0].n != 0 {
		_, d = sliceRange(Fixed(maxDim), max(a[0].n, 0), max(b[0].n, 0), c[0].n)
	}
	x.set(0, x.input(0).dtype, []Dim{d})
	return nil
}

func inferDepth(x *inference) error {
	in, b := x.input(0), x.node.Int("blocksize", 1)
	x.set(0, in.dtype, nil)
	if len(in.shape) != 4 || b < 1 || b > 1<<16 {
		return nil
	}
	size := func(v int64) int64 { return v * b }
	channels := func(v int64) int64 { return v / (b * b) }
	if x.node.Op == "SpaceToDepth" {
		size = func(v int64) int64 { return v / b }
		channels = func(v int64) int64 { return v * b * b }
	}
	x.set(0, in.dtype, []Dim{in.shape[0], affine(in.shape[1], channels), affine(in.shape[2], size), affine(in.shape[3], size)})
	return nil
}

func inferRandom(x *inference) error {
	var out []Dim
	for _, d := range x.node.Ints("shape") {
		out = append(out, Fixed(max(d, 0)))
	}
	x.set(0, tensor.DType(min(max(x.node.Int("dtype", 1), 0), 255)), out)
	return nil
}

func inferUpsample(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	out := unknownShape(len(in.shape))
	if a := x.node.Attr("scales"); a != nil && len(a.Floats) == len(out) {
		for i, f := range a.Floats {
			out[i] = affine(in.shape[i], func(v int64) int64 { return int64(float32(v) * f) })
		}
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferSize(x *inference) error {
	x.set(0, tensor.Int64, []Dim{})
	if s := x.input(0).shape; s != nil {
		x.out[0].value = []elem{dimElem(mul(s...))}
	}
	return nil
}

func inferLikeIndex(x *inference) error {
	x.set(0, x.input(0).dtype, x.input(1).shape)
	return nil
}

func inferNMS(x *inference) error {
	x.set(0, tensor.Int64, []Dim{unknownDim(), Fixed(3)})
	return nil
}
