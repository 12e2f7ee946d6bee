package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func shapeOperators() map[string]operator {
	return map[string]operator{
		"Shape": shapeOperator, "ShapeN": shapeN, "Size": sizeOperator, "Rank": rankOperator,
		"Reshape": reshape, "Squeeze": squeeze, "ExpandDims": expandDims, "Transpose": transpose,
		"Concat": concat, "ConcatV2": concat, "Pack": pack, "Unpack": unpack, "Split": split, "SplitV": splitV,
		"Tile": tile, "Fill": fill, "ZerosLike": filledLike(0), "OnesLike": filledLike(1), "Range": rangeOperator, "LinSpace": linSpace,
		"BroadcastTo": broadcastTo, "RandomUniform": random("RandomUniformLike"), "RandomStandardNormal": random("RandomNormalLike"),
		"TruncatedNormal": random("RandomNormalLike"), "StatelessRandomUniformV2": random("RandomUniformLike"), "StatelessRandomNormalV2": random("RandomNormalLike"),
		"StatelessRandomUniform": random("RandomUniformLike"), "StatelessRandomNormal": random("RandomNormalLike"),
		"StatelessRandomGetKeyCounter": nothing(2), "StatelessRandomGetAlg": nothing(1), "StatelessRandomGetKeyCounterAlg": nothing(3),
		"OneHot": oneHot, "Roll": roll, "InvertPermutation": invertPermutation,
	}
}

// shapeOperator gives sizes; those that are known become numbers here.
func shapeOperator(k *call) ([]value, error) {
	if err := k.need(1); err != nil {
		return nil, err
	}
	return one(k.shapeTensor(k.x(0))), nil
}

func (k *call) shapeTensor(x string) string {
	d := k.DType("out_type", tensor.Int32)
	var sizes []int64
	shape := k.b.Shape(x)
	for _, s := range shape {
		if s.Known() {
			sizes = append(sizes, s.Value)
		}
	}
	if shape != nil && len(sizes) == len(shape) {
		return k.root.Constant(k.Name, arith.Whole(d, []int64{int64(len(sizes))}, sizes...))
	}
	y := k.op("Shape", []string{x})
	if d != tensor.Int64 {
		y = k.last("Cast", []string{y}, onnx.AInt("to", int64(d)))
	}
	return y
}

func shapeN(k *call) ([]value, error) {
	if err := k.need(len(k.in)); err != nil {
		return nil, err
	}
	var out []value
	for i := range k.in {
		out = append(out, value{name: k.shapeTensor(k.x(i))})
	}
	return out, nil
}

func sizeOperator(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		return k.cast(k.op("Size", []string{k.x(0)}), k.DType("out_type", tensor.Int32)), nil
	})(k)
}

func rankOperator(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		shape, err := k.shapeOf(k.x(0))
		return k.root.Constant(k.Name, tensor.Of([]int32{int32(len(shape))}, []int64{}...)), err
	})(k)
}

// reshape keeps sizes that are not known where they are the input's own, so that
// what follows knows as much.
func reshape(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		x := k.x(0)
		if t, ok := k.constant(k.x(1)); ok {
			sizes := slices.Clone(arith.Ints(t))
			if name, ok := k.viewOf(x, sizes); ok {
				return name, nil
			}
			return k.last("Reshape", []string{x, k.b.Ints(sizes...)}, zeroSizes(sizes)...), nil
		}
		if sizes, ok := k.ownSizes(x); ok {
			return k.last("Reshape", []string{x, k.b.Ints(sizes...)}), nil
		}
		return k.last("Reshape", []string{x, k.cast(k.x(1), tensor.Int64)}, onnx.AInt("allowzero", 1)), nil
	})(k)
}

// viewOf gives a constant another shape of as many elements, one of whose sizes
// may be -1.
func (k *call) viewOf(x string, sizes []int64) (string, bool) {
	w, ok := k.constant(x)
	if !ok || w.Check() != nil {
		return "", false
	}
	shape := slices.Clone(sizes)
	n, err := tensor.Elements(w.Shape)
	if err != nil {
		return "", false
	}
	if at := slices.Index(shape, -1); at >= 0 {
		shape[at] = 1
		if m, err := tensor.Elements(shape); err == nil && m > 0 {
			shape[at] = n / m
		}
	}
	if m, err := tensor.Elements(shape); err != nil || m != n {
		return "", false
	}
	return k.root.Constant(k.Name, tensor.Tensor{DType: w.DType, Shape: shape, Data: w.Data}), true
}

// zeroSizes says that a size of 0 means none, where there is one: without that,
// ONNX takes it for the input's.
func zeroSizes(sizes []int64) []onnx.Attribute {
	if slices.Contains(sizes, 0) && !slices.Contains(sizes, -1) {
		return []onnx.Attribute{onnx.AInt("allowzero", 1)}
	}
	return nil
}

// ownSizes gives a shape in numbers, where all sizes are known or the input's at
// the same place, but for one at most.
func (k *call) ownSizes(x string) ([]int64, bool) {
	dims, ok := k.b.Dims(k.x(1))
	if !ok {
		return nil, false
	}
	in := k.b.Shape(x)
	out := make([]int64, len(dims))
	open := 0
	for i, d := range dims {
		switch {
		case d.Known() && d.Value != 0:
			out[i] = d.Value
		case d.Param != "" && i < len(in) && in[i].Param == d.Param:
			out[i] = 0
		default:
			out[i] = -1
			open++
		}
	}
	// The elements of a known shape may be -1 too, which Dims gives as unknown.
	return out, open <= 1
}

// onesOf gives the axes of one element.
func onesOf(shape []onnx.Dim) []int64 {
	var out []int64
	for i, d := range shape {
		if d.Known() && d.Value == 1 {
			out = append(out, int64(i))
		}
	}
	return out
}

func squeeze(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		axes := k.IntList("squeeze_dims")
		if len(axes) == 0 {
			axes = k.IntList("axis")
		}
		if len(axes) == 0 {
			shape, err := k.shapeOf(k.x(0))
			if err != nil {
				return "", err
			}
			axes = onesOf(shape)
			if len(axes) == 0 {
				return k.x(0), nil
			}
		}
		if w, ok := k.constant(k.x(0)); ok {
			var left []int64
			for i, n := range w.Shape {
				if !slices.Contains(axes, int64(i)) && !slices.Contains(axes, int64(i-len(w.Shape))) {
					left = append(left, n)
				}
			}
			if name, ok := k.viewOf(k.x(0), left); ok {
				return name, nil
			}
		}
		return k.last("Squeeze", []string{k.x(0), k.b.Ints(axes...)}), nil
	})(k)
}

func expandDims(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		axes, err := k.intsAt(1, "axes")
		if err != nil {
			return "", err
		}
		if w, ok := k.constant(k.x(0)); ok && len(axes) == 1 {
			at, err := k.axis(axes[0], len(w.Shape)+1)
			if err != nil {
				return "", err
			}
			if name, ok := k.viewOf(k.x(0), slices.Insert(slices.Clone(w.Shape), int(at), 1)); ok {
				return name, nil
			}
		}
		return k.last("Unsqueeze", []string{k.x(0), k.b.Ints(axes...)}), nil
	})(k)
}

func transpose(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		vs, err := k.intsAt(1, "axes")
		if err != nil {
			return "", err
		}
		perm, ok := arith.Perm(vs, len(vs))
		if rank := k.rank(k.x(0)); !ok || rank > 0 && rank != len(vs) {
			return "", k.invalid("its order of axes %v does not fit its input of %s", vs, onnx.DimString(k.b.Shape(k.x(0))))
		}
		return k.permuted(k.x(0), perm...)
	})(k)
}

func concat(k *call) ([]value, error) {
	if len(k.in) < 2 {
		return nil, k.invalid("it has %d inputs", len(k.in))
	}
	if err := k.need(len(k.in)); err != nil {
		return nil, err
	}
	at, parts := len(k.in)-1, k.in[:len(k.in)-1]
	if k.Op == "Concat" {
		at, parts = 0, k.in[1:]
	}
	axis, err := k.intsAt(at, "axis")
	if err != nil || len(axis) != 1 {
		return nil, k.unsupportedf("its axis is not known")
	}
	if len(parts) == 1 {
		return parts, nil
	}
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return one(k.last("Concat", names, onnx.AInt("axis", axis[0]))), nil
}

func pack(k *call) ([]value, error) {
	return tensorOp(max(1, len(k.in)), func(k *call) (string, error) {
		axis := k.Int("axis", 0)
		var parts []string
		for i := range k.in {
			parts = append(parts, k.op2("Unsqueeze", k.x(i), k.b.Ints(axis)))
		}
		if len(parts) == 1 {
			return parts[0], nil
		}
		return k.last("Concat", parts, onnx.AInt("axis", axis)), nil
	})(k)
}

// maxParts bounds what a file may ask a tensor to be cut into.
const maxParts = 1 << 14

func (k *call) parts(n int64) error {
	if n < 1 || n > maxParts {
		return k.invalid("it makes %d parts", n)
	}
	return nil
}

func unpack(k *call) ([]value, error) {
	if err := k.need(1); err != nil {
		return nil, err
	}
	n := k.Int("num", 0)
	if err := k.parts(n); err != nil {
		return nil, err
	}
	axis := k.Int("axis", 0)
	var out []value
	for i := range n {
		out = append(out, value{name: k.last("Gather", []string{k.x(0), k.b.Int(i)}, onnx.AInt("axis", axis))})
	}
	return out, nil
}

func split(k *call) ([]value, error) {
	if err := k.need(2); err != nil {
		return nil, err
	}
	axis, err := k.intsAt(0, "axis")
	if err != nil || len(axis) != 1 {
		return nil, k.unsupportedf("its axis is not known")
	}
	return k.cut(k.x(1), axis[0], k.Int("num_split", 0), "")
}

func splitV(k *call) ([]value, error) {
	if err := k.need(3); err != nil {
		return nil, err
	}
	axis, err := k.intsAt(2, "axis")
	if err != nil || len(axis) != 1 {
		return nil, k.unsupportedf("its axis is not known")
	}
	sizes, err := k.intsAt(1, "sizes")
	if err != nil {
		return nil, err
	}
	if at := slices.Index(sizes, -1); at >= 0 {
		shape, err := k.shapeOf(k.x(0))
		if err != nil {
			return nil, err
		}
		a, err := k.axis(axis[0], len(shape))
		if err != nil {
			return nil, err
		}
		if !shape[a].Known() {
			return nil, k.unsupportedf("it cuts along a size that is not known")
		}
		sizes = slices.Clone(sizes)
		rest := shape[a].Value
		for i, s := range sizes {
			if i != at {
				rest -= s
			}
		}
		sizes[at] = rest
	}
	if slices.ContainsFunc(sizes, func(v int64) bool { return v < 0 }) {
		return nil, k.invalid("its sizes are %v", sizes)
	}
	return k.cut(k.x(0), axis[0], int64(len(sizes)), k.b.Ints(sizes...))
}

// cut makes parts, equal where there are no sizes.
func (k *call) cut(x string, axis, n int64, sizes string) ([]value, error) {
	if err := k.parts(n); err != nil {
		return nil, err
	}
	if n == 1 {
		return one(x), nil
	}
	node := &onnx.Node{Name: k.Name, Op: "Split", Inputs: []string{x}, Attrs: []onnx.Attribute{onnx.AInt("axis", axis)}}
	if sizes != "" {
		node.Inputs = append(node.Inputs, sizes)
	}
	for range n {
		node.Outputs = append(node.Outputs, k.Name)
	}
	var out []value
	for _, name := range k.b.Add(node) {
		out = append(out, value{name: name})
	}
	return out, nil
}

func tile(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		return k.last("Tile", []string{k.x(0), k.cast(k.x(1), tensor.Int64)}), nil
	})(k)
}

func fill(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		shape := k.cast(k.x(0), tensor.Int64)
		if t, ok := k.constant(k.x(1)); ok && onlyOne(t) {
			t.Shape = []int64{1}
			return k.last("ConstantOfShape", []string{shape}, onnx.ATensor("value", t)), nil
		}
		return k.last("Expand", []string{k.x(1), shape}), nil
	})(k)
}

// sizes gives the shape of a tensor, of the network's inputs where their sizes are
// in it, so that nobody has to make the tensor for its shape alone.
func (k *call) sizes(x string) string {
	var parts []string
	for _, d := range k.b.Shape(x) {
		switch size, ok := k.sizeOf[d.Param]; {
		case d.Known():
			parts = append(parts, k.b.Ints(d.Value))
		case ok && d.Param != "":
			parts = append(parts, size)
		default:
			return k.op("Shape", []string{x})
		}
	}
	if len(parts) == 0 {
		return k.op("Shape", []string{x})
	}
	return k.op("Concat", parts, onnx.AInt("axis", 0))
}

func filledLike(v int64) operator {
	return tensorOp(1, func(k *call) (string, error) {
		d := k.b.DType(k.x(0))
		if d.Size() == 0 {
			return "", k.unsupportedf("the type of its input is not known")
		}
		return k.last("ConstantOfShape", []string{k.sizes(k.x(0))}, onnx.ATensor("value", arith.Whole(d, []int64{1}, v))), nil
	})
}

func rangeOperator(k *call) ([]value, error) {
	if err := k.need(3); err != nil {
		return nil, err
	}
	y := k.last("Range", []string{k.x(0), k.x(1), k.x(2)})
	first, ok1 := k.constant(k.x(0))
	step, ok2 := k.constant(k.x(2))
	if a, b := arith.Ints(first), arith.Ints(step); ok1 && ok2 && len(a) == 1 && len(b) == 1 && a[0] == 0 && b[0] == 1 {
		k.marks[y] |= markRange
	}
	return one(y), nil
}

func linSpace(k *call) ([]value, error) {
	n, err := k.intsAt(2, "number of steps")
	if err != nil {
		return nil, err
	}
	if len(n) != 1 || n[0] < 1 || n[0] > maxParts {
		return nil, k.invalid("it has %v steps", n)
	}
	return tensorOp(2, func(k *call) (string, error) {
		steps := make([]float32, n[0])
		for i := range steps {
			steps[i] = float32(i) / float32(max(n[0]-1, 1))
		}
		d := k.op2("Sub", k.x(1), k.x(0))
		return k.last("Add", []string{k.op2("Mul", d, k.cast(k.b.Floats(steps...), k.b.DType(d))), k.x(0)}), nil
	})(k)
}

func broadcastTo(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		return k.last("Expand", []string{k.x(0), k.cast(k.x(1), tensor.Int64)}), nil
	})(k)
}

// random makes numbers of a shape that is an input.
func random(op string) operator {
	return tensorOp(1, func(k *call) (string, error) {
		zero := onnx.ATensor("value", tensor.Of([]float32{0}, 1))
		like := k.op("ConstantOfShape", []string{k.cast(k.x(0), tensor.Int64)}, zero)
		y := k.last(op, []string{like}, onnx.AInt("dtype", int64(k.DType("dtype", tensor.Float32))))
		k.marks[y] |= markRandom
		return y, nil
	})
}

func oneHot(k *call) ([]value, error) {
	return tensorOp(4, func(k *call) (string, error) {
		values := k.op("Concat", []string{k.op2("Unsqueeze", k.x(3), k.b.Ints(0)), k.op2("Unsqueeze", k.x(2), k.b.Ints(0))}, onnx.AInt("axis", 0))
		// ONNX counts places below zero from the end, and TensorFlow has none there:
		// the last of one more place takes them, and is cut off.
		idx, depth := k.cast(k.x(0), tensor.Int64), k.cast(k.x(1), tensor.Int64)
		outside := k.op2("Less", idx, k.b.Int(0))
		idx = k.op("Where", []string{outside, depth, idx})
		more := k.op2("Add", depth, k.b.Int(1))
		rank, err := k.shapeOf(k.x(0))
		if err != nil {
			return "", err
		}
		axis, err := k.axis(k.Int("axis", -1), len(rank)+1)
		if err != nil {
			return "", err
		}
		y := k.op("OneHot", []string{idx, more, values}, onnx.AInt("axis", axis))
		return k.last("Slice", []string{y, k.b.Ints(0), k.op2("Reshape", depth, k.b.Ints(1)), k.b.Ints(axis)}), nil
	})(k)
}

// roll moves elements along axes; what leaves at one end comes in at the other.
func roll(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		shifts, err := k.intsAt(1, "shifts")
		if err != nil {
			return "", err
		}
		axes, err := k.intsAt(2, "axes")
		if err != nil {
			return "", err
		}
		if len(shifts) != len(axes) {
			return "", k.invalid("it has %d shifts for %d axes", len(shifts), len(axes))
		}
		x := k.x(0)
		for i, s := range shifts {
			if s == 0 {
				continue
			}
			axis := k.b.Ints(axes[i])
			// The last s elements come first; of fewer than none, the first go last.
			head := k.op("Slice", []string{x, k.b.Ints(-s), k.b.Ints(1 << 40), axis})
			tail := k.op("Slice", []string{x, k.b.Ints(0), k.b.Ints(-s), axis})
			x = k.op("Concat", []string{head, tail}, onnx.AInt("axis", axes[i]))
		}
		return x, nil
	})(k)
}

// nothing stands for what only sources of random numbers read.
func nothing(outputs int) operator {
	return func(*call) ([]value, error) { return make([]value, outputs), nil }
}

// invertPermutation is arithmetic on constants, and done before it comes here.
func invertPermutation(k *call) ([]value, error) {
	return nil, k.unsupportedf("the order of axes that it takes is not known before the network runs")
}
