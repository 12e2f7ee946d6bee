package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func sliceOperators() map[string]operator {
	return map[string]operator{
		"Slice": sliceOperator, "StridedSlice": stridedSlice, "Gather": gather, "GatherV2": gather, "GatherNd": gatherND,
		"ReverseV2": reverse, "ReverseSequence": reverseSequence, "ScatterNd": scatterND, "TensorScatterUpdate": tensorScatter(""), "TensorScatterAdd": tensorScatter("add"),
		"TopK": topK, "TopKV2": topK, "ArgMax": arg("ArgMax"), "ArgMin": arg("ArgMin"), "Where": where,
		"MatrixBandPart": bandPart,
	}
}

// farEnd is beyond the end of any axis.
const farEnd = arith.FarEnd

func sliceOperator(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		begin, okB := k.constant(k.x(1))
		size, okS := k.constant(k.x(2))
		if okB && okS {
			from, n := arith.Ints(begin), arith.Ints(size)
			if len(from) != len(n) {
				return "", k.invalid("it has %d beginnings and %d sizes", len(from), len(n))
			}
			var starts, ends, axes []int64
			for i := range from {
				if from[i] == 0 && n[i] == -1 {
					continue
				}
				end := from[i] + n[i]
				if n[i] == -1 {
					end = farEnd
				}
				starts, ends, axes = append(starts, from[i]), append(ends, end), append(axes, int64(i))
			}
			if len(axes) == 0 {
				return k.x(0), nil
			}
			return k.last("Slice", []string{k.x(0), k.b.Ints(starts...), k.b.Ints(ends...), k.b.Ints(axes...)}), nil
		}
		from, n := k.cast(k.x(1), tensor.Int64), k.cast(k.x(2), tensor.Int64)
		end := k.op2("Add", from, n)
		if !okS || slices.Contains(arith.Ints(size), -1) {
			end = k.op("Where", []string{k.op2("Equal", n, k.b.Ints(-1)), k.b.Ints(farEnd), end})
		}
		return k.last("Slice", []string{k.x(0), from, end}), nil
	})(k)
}

func stridedSlice(k *call) ([]value, error) {
	return tensorOp(4, func(k *call) (string, error) {
		shape, err := k.shapeOf(k.x(0))
		if err != nil {
			return "", err
		}
		entries := 0
		if s := k.b.Shape(k.x(1)); len(s) == 1 && s[0].Known() && s[0].Value <= 64 {
			entries = int(s[0].Value)
		} else {
			return "", k.unsupportedf("the number of axes that it slices is not known")
		}
		axes, added, ok := arith.Strides(k.Node.Node, entries, len(shape))
		if !ok {
			return "", k.invalid("it slices more axes than its input of %s has", onnx.DimString(shape))
		}
		x, err := k.sliceAxes(axes)
		if err != nil {
			return "", err
		}
		var gone []int64
		for i, a := range axes {
			if a.Gone {
				gone = append(gone, int64(i))
			}
		}
		if len(gone) > 0 {
			x = k.last("Squeeze", []string{x, k.b.Ints(gone...)})
		}
		if len(added) > 0 {
			x = k.last("Unsqueeze", []string{x, k.b.Ints(added...)})
		}
		return x, nil
	})(k)
}

// sliceAxes slices the axes that are not taken whole. Numbers that are not known
// are picked out of the lists when the network runs.
func (k *call) sliceAxes(axes []arith.Stride) (string, error) {
	steps, err := k.intsAt(3, "steps")
	if err != nil {
		return "", err
	}
	begins, knowBegins := k.constant(k.x(1))
	ends, knowEnds := k.constant(k.x(2))
	b, e := arith.Ints(begins), arith.Ints(ends)
	var starts, stops, list, strides []int64
	var dynamic []int
	for i, a := range axes {
		if a.All {
			continue
		}
		if a.At >= len(steps) || knowBegins && a.At >= len(b) || knowEnds && a.At >= len(e) {
			return "", k.invalid("its lists differ in length")
		}
		step := steps[a.At]
		if step == 0 {
			return "", k.invalid("a step is 0")
		}
		from, to, step := a.Ends(b, e, step)
		if !a.Gone && from == 0 && to >= farEnd && step == 1 && (knowBegins || a.Begin) && (knowEnds || a.End) {
			continue
		}
		starts, stops, strides, list = append(starts, from), append(stops, to), append(strides, step), append(list, int64(i))
		dynamic = append(dynamic, i)
	}
	if len(list) == 0 {
		return k.x(0), nil
	}
	in := []string{k.x(0), k.b.Ints(starts...), k.b.Ints(stops...), k.b.Ints(list...), k.b.Ints(strides...)}
	if !knowBegins {
		in[1] = k.dynamicEnds(k.x(1), axes, dynamic, starts, func(a arith.Stride) bool { return a.Begin && !a.Gone })
	}
	if !knowEnds || !knowBegins {
		in[2] = k.dynamicStops(axes, dynamic, stops, in[1], knowEnds)
	}
	return k.last("Slice", in), nil
}

// dynamicEnds picks the elements of a list for some axes, but for those that are
// masked, whose numbers are given.
func (k *call) dynamicEnds(from string, axes []arith.Stride, which []int, masked []int64, isMasked func(arith.Stride) bool) string {
	from = k.cast(from, tensor.Int64)
	var parts []string
	for j, i := range which {
		if isMasked(axes[i]) {
			parts = append(parts, k.b.Ints(masked[j]))
		} else {
			parts = append(parts, k.op("Gather", []string{from, k.b.Ints(int64(axes[i].At))}))
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return k.op("Concat", parts, onnx.AInt("axis", 0))
}

func (k *call) dynamicStops(axes []arith.Stride, which []int, stops []int64, starts string, knowEnds bool) string {
	list := k.cast(k.x(2), tensor.Int64)
	var parts []string
	for j, i := range which {
		switch a := axes[i]; {
		case a.Gone:
			// One element from where it begins; behind the last is the end.
			next := k.op2("Add", k.op("Gather", []string{starts, k.b.Ints(int64(j))}), k.b.Ints(1))
			parts = append(parts, k.op("Where", []string{k.op2("Equal", next, k.b.Ints(0)), k.b.Ints(farEnd), next}))
		case a.End || knowEnds:
			parts = append(parts, k.b.Ints(stops[j]))
		default:
			parts = append(parts, k.op("Gather", []string{list, k.b.Ints(int64(a.At))}))
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return k.op("Concat", parts, onnx.AInt("axis", 0))
}

func gather(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		axis := int64(0)
		if k.x(2) != "" {
			vs, err := k.intsAt(2, "axis")
			if err != nil || len(vs) != 1 {
				return "", k.unsupportedf("its axis is not known")
			}
			axis = vs[0]
		}
		batch := k.Int("batch_dims", 0)
		if batch == 0 {
			return k.last("Gather", []string{k.x(0), k.x(1)}, onnx.AInt("axis", axis)), nil
		}
		shape, err := k.shapeOf(k.x(0))
		if err != nil {
			return "", err
		}
		if axis, err = k.axis(axis, len(shape)); err != nil {
			return "", err
		}
		if batch < 0 {
			batch += int64(k.rank(k.x(1)))
		}
		if axis != batch || batch < 1 {
			return "", k.unsupportedf("an axis of %d behind %d batch dimensions is not supported", axis, batch)
		}
		idx := k.op2("Unsqueeze", k.cast(k.x(1), tensor.Int64), k.b.Ints(-1))
		return k.last("GatherND", []string{k.x(0), idx}, onnx.AInt("batch_dims", batch)), nil
	})(k)
}

func gatherND(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		return k.last("GatherND", []string{k.x(0), k.cast(k.x(1), tensor.Int64)}), nil
	})(k)
}

func reverse(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		axes, err := k.intsAt(1, "axes")
		if err != nil || len(axes) == 0 {
			return k.x(0), err
		}
		n := len(axes)
		return k.last("Slice", []string{
			k.x(0), k.b.Ints(slices.Repeat([]int64{-1}, n)...), k.b.Ints(slices.Repeat([]int64{-farEnd}, n)...), k.b.Ints(axes...),
			k.b.Ints(slices.Repeat([]int64{-1}, n)...),
		}), nil
	})(k)
}

func reverseSequence(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		seq, batch := k.Int("seq_dim", 0), k.Int("batch_dim", 0)
		if seq+batch != 1 || seq < 0 || batch < 0 {
			return "", k.unsupportedf("sequences along axis %d with the batch along %d are not supported", seq, batch)
		}
		return k.last("ReverseSequence", []string{k.x(0), k.cast(k.x(1), tensor.Int64)}, onnx.AInt("time_axis", seq), onnx.AInt("batch_axis", batch)), nil
	})(k)
}

// scatterND adds what goes to one place.
func scatterND(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		zero := tensor.Tensor{DType: k.b.DType(k.x(1)), Shape: []int64{1}, Data: make([]byte, k.b.DType(k.x(1)).Size())}
		base := k.op("ConstantOfShape", []string{k.cast(k.x(2), tensor.Int64)}, onnx.ATensor("value", zero))
		return k.last("ScatterND", []string{base, k.cast(k.x(0), tensor.Int64), k.x(1)}, onnx.AStr("reduction", "add")), nil
	})(k)
}

func tensorScatter(reduction string) operator {
	return tensorOp(3, func(k *call) (string, error) {
		var attrs []onnx.Attribute
		if reduction != "" {
			attrs = append(attrs, onnx.AStr("reduction", reduction))
		}
		return k.last("ScatterND", []string{k.x(0), k.cast(k.x(1), tensor.Int64), k.x(2)}, attrs...), nil
	})
}

func topK(k *call) ([]value, error) {
	if err := k.need(1); err != nil {
		return nil, err
	}
	n := k.b.Ints(k.Int("k", 1))
	if k.Op == "TopKV2" {
		n = k.op2("Reshape", k.cast(k.x(1), tensor.Int64), k.b.Ints(1))
	}
	names := k.b.Add(&onnx.Node{
		Name: k.Name, Op: "TopK", Inputs: []string{k.x(0), n}, Outputs: []string{k.Name, k.Name + "/places"},
		Attrs: []onnx.Attribute{onnx.AInt("axis", -1)},
	})
	return []value{{name: names[0]}, {name: k.cast(names[1], tensor.Int32)}}, nil
}

func arg(op string) operator {
	return tensorOp(1, func(k *call) (string, error) {
		axis := []int64{0}
		if k.x(1) != "" {
			var err error
			if axis, err = k.intsAt(1, "axis"); err != nil || len(axis) != 1 {
				return "", k.unsupportedf("its axis is not known")
			}
		}
		y := k.op(op, []string{k.x(0)}, onnx.AInt("axis", axis[0]), onnx.AInt("keepdims", 0))
		return k.cast(y, k.DType("output_type", tensor.Int64)), nil
	})
}

// where gives the places of what is true, one a row.
func where(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		x := k.cast(k.x(0), tensor.Bool)
		shape, err := k.shapeOf(x)
		if err != nil {
			return "", err
		}
		places := k.op("NonZero", []string{x})
		k.b.Declare(places, tensor.Int64, []onnx.Dim{onnx.Fixed(int64(len(shape))), {Value: -1}})
		return k.last("Transpose", []string{places}, onnx.AInts("perm", 1, 0)), nil
	})(k)
}

// bandPart keeps what lies near the diagonals of matrices.
func bandPart(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		lower, err := k.intsAt(1, "bounds")
		if err != nil {
			return "", err
		}
		upper, err := k.intsAt(2, "bounds")
		if err != nil {
			return "", err
		}
		if len(lower) != 1 || len(upper) != 1 {
			return "", k.invalid("its bounds are %v and %v", lower, upper)
		}
		x := k.x(0)
		isBool := k.b.DType(x) == tensor.Bool
		if isBool {
			x = k.cast(x, tensor.Int64)
		}
		if lower[0] >= 0 {
			x = k.op("Trilu", []string{x, k.b.Int(-lower[0])}, onnx.AInt("upper", 1))
		}
		if upper[0] >= 0 {
			x = k.op("Trilu", []string{x, k.b.Int(upper[0])}, onnx.AInt("upper", 0))
		}
		if isBool {
			x = k.cast(x, tensor.Bool)
		}
		return x, nil
	})(k)
}
