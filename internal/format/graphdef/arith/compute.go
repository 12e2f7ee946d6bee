package arith

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Knows tells whether an operator is computed here.
func Knows(op string) bool { return computers[op] != nil }

// Compute gives what a node makes of constants; false where they are too large
// or of a form that is left to the network.
func Compute(n *graphdef.Node, in []tensor.Tensor) (tensor.Tensor, bool) {
	f := computers[n.Op]
	if f == nil || len(in) == 0 {
		return tensor.Tensor{}, false
	}
	arrs := make([]arr, len(in))
	for i, t := range in {
		var ok bool
		if arrs[i], ok = arrOf(t); !ok {
			return tensor.Tensor{}, false
		}
	}
	out, ok := f(n, arrs)
	if !ok || elements(out.shape) != out.len() {
		return tensor.Tensor{}, false
	}
	return out.tensor(), true
}

type computer func(n *graphdef.Node, in []arr) (arr, bool)

var computers = makeComputers()

func makeComputers() map[string]computer {
	out := map[string]computer{
		"Add": arith(func(x, y int64) (int64, bool) { return x + y, true }, func(x, y float64) float64 { return x + y }),
		"Sub": arith(func(x, y int64) (int64, bool) { return x - y, true }, func(x, y float64) float64 { return x - y }),
		"Mul": arith(func(x, y int64) (int64, bool) { return x * y, true }, func(x, y float64) float64 { return x * y }),
		"Div": arith(func(x, y int64) (int64, bool) { return x / nonZero(y), y != 0 }, func(x, y float64) float64 { return x / y }),
		"FloorDiv": arith(func(x, y int64) (int64, bool) { return floorDiv(x, nonZero(y)), y != 0 },
			func(x, y float64) float64 { return math.Floor(x / y) }),
		"FloorMod": arith(func(x, y int64) (int64, bool) { return x - floorDiv(x, nonZero(y))*y, y != 0 },
			func(x, y float64) float64 { return x - math.Floor(x/y)*y }),
		"Maximum":    arith(func(x, y int64) (int64, bool) { return max(x, y), true }, math.Max),
		"Minimum":    arith(func(x, y int64) (int64, bool) { return min(x, y), true }, math.Min),
		"LogicalAnd": arith(func(x, y int64) (int64, bool) { return x & y, true }, nil),
		"LogicalOr":  arith(func(x, y int64) (int64, bool) { return x | y, true }, nil),

		"Equal":        compare(func(c int) bool { return c == 0 }),
		"NotEqual":     compare(func(c int) bool { return c != 0 }),
		"Less":         compare(func(c int) bool { return c < 0 }),
		"LessEqual":    compare(func(c int) bool { return c <= 0 }),
		"Greater":      compare(func(c int) bool { return c > 0 }),
		"GreaterEqual": compare(func(c int) bool { return c >= 0 }),

		"Neg":        each(func(x float64) float64 { return -x }, func(x int64) int64 { return -x }),
		"Abs":        each(math.Abs, func(x int64) int64 { return max(x, -x) }),
		"Square":     each(func(x float64) float64 { return x * x }, func(x int64) int64 { return x * x }),
		"Sqrt":       each(math.Sqrt, nil),
		"Rsqrt":      each(func(x float64) float64 { return 1 / math.Sqrt(x) }, nil),
		"Exp":        each(math.Exp, nil),
		"Log":        each(math.Log, nil),
		"Floor":      each(math.Floor, nil),
		"Ceil":       each(math.Ceil, nil),
		"LogicalNot": each(nil, func(x int64) int64 { return 1 - x&1 }),

		"Reshape": computeReshape, "ExpandDims": computeExpandDims, "Pack": computePack, "ConcatV2": computeConcat, "Range": computeRange,
		"Fill": computeFill, "GatherV2": computeGather, "Gather": computeGather, "Prod": computeReduce, "Sum": computeReduce,
		"Max": computeReduce, "Min": computeReduce, "All": computeReduce, "Any": computeReduce, "Cast": computeCast,
		"InvertPermutation": computeInvert, "Transpose": computeTranspose, "StridedSlice": computeStridedSlice, "Slice": computeSlice,
		"Select": computeSelect, "SelectV2": computeSelect,
	}
	out["AddV2"], out["RealDiv"] = out["Add"], out["Div"]
	return out
}

func nonZero(y int64) int64 {
	if y == 0 {
		return 1
	}
	return y
}

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y != 0 && (x < 0) != (y < 0) {
		q--
	}
	return q
}

func arith(ints func(x, y int64) (int64, bool), floats func(x, y float64) float64) computer {
	return func(_ *graphdef.Node, in []arr) (arr, bool) {
		if len(in) != 2 {
			return arr{}, false
		}
		return zip(in[0], in[1], ints, floats)
	}
}

func compare(holds func(c int) bool) computer {
	return func(_ *graphdef.Node, in []arr) (arr, bool) {
		if len(in) != 2 {
			return arr{}, false
		}
		shape, ok := broadcastShape(in[0].shape, in[1].shape)
		if !ok || in[0].dtype != in[1].dtype {
			return arr{}, false
		}
		a, b := in[0].spread(shape), in[1].spread(shape)
		out := arr{dtype: tensor.Bool, shape: shape, ints: make([]int64, a.len())}
		for i := range out.ints {
			if a.floats != nil {
				out.ints[i] = bit(holds(sign(a.floats[i] - b.floats[i])))
			} else {
				out.ints[i] = bit(holds(sign(float64(a.ints[i]) - float64(b.ints[i]))))
			}
		}
		return out, true
	}
}

func sign(d float64) int {
	switch {
	case d < 0:
		return -1
	case d > 0:
		return 1
	}
	return 0
}

func each(floats func(float64) float64, ints func(int64) int64) computer {
	return func(_ *graphdef.Node, in []arr) (arr, bool) {
		out := arr{dtype: in[0].dtype, shape: in[0].shape}
		if in[0].floats != nil && floats == nil || in[0].ints != nil && ints == nil {
			return out, false
		}
		for _, v := range in[0].floats {
			out.floats = append(out.floats, floats(v))
		}
		for _, v := range in[0].ints {
			out.ints = append(out.ints, ints(v))
		}
		return out, true
	}
}

// shaped gives an array another shape of as many elements.
func (a arr) shaped(shape []int64) (arr, bool) {
	a.shape = shape
	return a, elements(shape) == a.len()
}

func computeReshape(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 2 {
		return arr{}, false
	}
	shape := slices.Clone(in[1].ints)
	if at := slices.Index(shape, -1); at >= 0 {
		shape[at] = 1
		if n := elements(shape); n > 0 {
			shape[at] = int64(in[0].len() / n)
		}
	}
	return in[0].shaped(shape)
}

func computeExpandDims(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 2 || len(in[1].ints) != 1 {
		return arr{}, false
	}
	at := in[1].ints[0]
	if at < 0 {
		at += int64(len(in[0].shape)) + 1
	}
	if at < 0 || at > int64(len(in[0].shape)) {
		return arr{}, false
	}
	return in[0].shaped(slices.Insert(slices.Clone(in[0].shape), int(at), 1))
}

func computePack(n *graphdef.Node, in []arr) (arr, bool) {
	if len(in[0].shape) > 0 && n.Int("axis", 0) != 0 {
		return arr{}, false
	}
	out := arr{dtype: in[0].dtype, shape: append([]int64{int64(len(in))}, in[0].shape...)}
	for _, a := range in {
		if !slices.Equal(a.shape, in[0].shape) {
			return arr{}, false
		}
		out.ints, out.floats = append(out.ints, a.ints...), append(out.floats, a.floats...)
	}
	return out, true
}

// computeConcat joins along the first axis.
func computeConcat(_ *graphdef.Node, in []arr) (arr, bool) {
	last := len(in) - 1
	if last < 1 || len(in[last].ints) != 1 || len(in[0].shape) == 0 {
		return arr{}, false
	}
	axis := in[last].ints[0]
	if axis != 0 && axis != -int64(len(in[0].shape)) {
		return arr{}, false
	}
	out := arr{dtype: in[0].dtype, shape: slices.Clone(in[0].shape)}
	out.shape[0] = 0
	for _, a := range in[:last] {
		if len(a.shape) != len(out.shape) {
			return arr{}, false
		}
		out.shape[0] += a.shape[0]
		out.ints, out.floats = append(out.ints, a.ints...), append(out.floats, a.floats...)
	}
	return out, true
}

func computeRange(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 3 || len(in[0].ints) != 1 || len(in[1].ints) != 1 || len(in[2].ints) != 1 || in[2].ints[0] == 0 {
		return arr{}, false
	}
	out := arr{dtype: in[0].dtype}
	step, to := in[2].ints[0], in[1].ints[0]
	for v := in[0].ints[0]; (step > 0 && v < to || step < 0 && v > to) && len(out.ints) <= maxElements; v += step {
		out.ints = append(out.ints, v)
	}
	out.shape = []int64{int64(len(out.ints))}
	return out, true
}

// computeFill leaves what is more than a few elements to the network.
func computeFill(_ *graphdef.Node, in []arr) (arr, bool) {
	const few = 64
	if len(in) != 2 || in[1].len() != 1 {
		return arr{}, false
	}
	n := elements(in[0].ints)
	if n < 1 || n > few {
		return arr{}, false
	}
	return in[1].pick(slices.Clone(in[0].ints), make([]int, n)), true
}

// computeGather takes elements along the first axis.
func computeGather(n *graphdef.Node, in []arr) (arr, bool) {
	if len(in) == 3 && (len(in[2].ints) != 1 || in[2].ints[0] != 0) || len(in) < 2 || len(in[0].shape) == 0 || n.Int("batch_dims", 0) != 0 {
		return arr{}, false
	}
	row := elements(in[0].shape[1:])
	var at []int
	for _, i := range in[1].ints {
		if i < 0 || i >= in[0].shape[0] || len(at)+row > maxElements {
			return arr{}, false
		}
		for j := range row {
			at = append(at, int(i)*row+j)
		}
	}
	return in[0].pick(slices.Concat(in[1].shape, in[0].shape[1:]), at), true
}

// computeReduce is of lists, or of everything.
func computeReduce(n *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 2 || len(in[0].shape) > 1 || in[0].ints == nil || len(in[0].shape) == 1 && len(in[1].ints) != 1 {
		return arr{}, false
	}
	v := bit(n.Op == "Prod" || n.Op == "All") // of nothing
	if in[0].len() == 0 && (n.Op == "Max" || n.Op == "Min") {
		return arr{}, false
	}
	for i, w := range in[0].ints {
		switch {
		case i == 0:
			v = w
		case n.Op == "Prod" || n.Op == "All":
			v *= w
		case n.Op == "Sum":
			v += w
		case n.Op == "Max" || n.Op == "Any":
			v = max(v, w)
		default:
			v = min(v, w)
		}
	}
	out := arr{dtype: in[0].dtype, shape: []int64{}, ints: []int64{v}}
	if n.Flag("keep_dims", false) && len(in[0].shape) == 1 {
		out.shape = []int64{1}
	}
	return out, true
}

func computeCast(n *graphdef.Node, in []arr) (arr, bool) {
	d := n.DType("DstT", tensor.Undefined)
	return in[0].as(d), d.Size() > 0
}

func computeInvert(_ *graphdef.Node, in []arr) (arr, bool) {
	out := arr{dtype: in[0].dtype, shape: in[0].shape, ints: make([]int64, len(in[0].ints))}
	for i, v := range in[0].ints {
		if v < 0 || v >= int64(len(out.ints)) {
			return arr{}, false
		}
		out.ints[v] = int64(i)
	}
	return out, len(out.ints) > 0
}

func computeTranspose(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 2 {
		return arr{}, false
	}
	perm, ok := Perm(in[1].ints, len(in[0].shape))
	if !ok {
		return arr{}, false
	}
	return arrOf(tensor.Permute(in[0].tensor(), perm...))
}

// Perm checks an order of axes.
func Perm(vs []int64, rank int) ([]int, bool) {
	seen := make([]bool, rank)
	var out []int
	for _, v := range vs {
		if v < 0 {
			v += int64(rank)
		}
		if v < 0 || v >= int64(rank) || seen[v] {
			return nil, false
		}
		seen[v] = true
		out = append(out, int(v))
	}
	return out, len(out) == rank
}

func computeSelect(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 3 || in[0].len() != 1 || !slices.Equal(in[1].shape, in[2].shape) {
		return arr{}, false
	}
	if in[0].ints[0] != 0 {
		return in[1], true
	}
	return in[2], true
}

func computeSlice(_ *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 3 || len(in[0].shape) != 1 || len(in[1].ints) != 1 || len(in[2].ints) != 1 {
		return arr{}, false
	}
	from, size := in[1].ints[0], in[2].ints[0]
	if size == -1 {
		size = int64(in[0].len()) - from
	}
	if from < 0 || size < 0 || from+size > int64(in[0].len()) {
		return arr{}, false
	}
	at := make([]int, size)
	for i := range at {
		at[i] = int(from) + i
	}
	return in[0].pick([]int64{size}, at), true
}

// computeStridedSlice takes elements of the first axes; new axes and ellipses are
// left to the network.
func computeStridedSlice(n *graphdef.Node, in []arr) (arr, bool) {
	if len(in) != 4 || len(in[1].ints) > len(in[0].shape) || len(in[2].ints) != len(in[1].ints) || len(in[3].ints) != len(in[1].ints) ||
		n.Int("ellipsis_mask", 0) != 0 || n.Int("new_axis_mask", 0) != 0 {
		return arr{}, false
	}
	shape, at := []int64{}, []int{0}
	for axis, size := range in[0].shape {
		places, gone := []int64{}, false
		if axis < len(in[1].ints) {
			var ok bool
			mask := func(name string) bool { return n.Int(name, 0)>>axis&1 != 0 }
			gone = mask("shrink_axis_mask")
			s := span{from: in[1].ints[axis], to: in[2].ints[axis], step: in[3].ints[axis], begin: mask("begin_mask"), end: mask("end_mask"), one: gone}
			if places, ok = s.places(size); !ok {
				return arr{}, false
			}
		} else {
			for i := range size {
				places = append(places, i)
			}
		}
		if !gone {
			shape = append(shape, int64(len(places)))
		}
		next := make([]int, 0, len(at)*len(places))
		for _, before := range at {
			for _, i := range places {
				next = append(next, before*int(size)+int(i))
			}
		}
		at = next
	}
	return in[0].pick(shape, at), true
}

// span is what is taken along an axis.
type span struct {
	from, to, step int64
	begin, end     bool // whether the beginning and the end are the axis's own
	one            bool // only the first
}

func (s span) places(size int64) ([]int64, bool) {
	if s.step == 0 {
		return nil, false
	}
	if s.one {
		if s.from < 0 {
			s.from += size
		}
		return []int64{s.from}, s.from >= 0 && s.from < size
	}
	clip := func(v int64) int64 {
		if v < 0 {
			v += size
		}
		if s.step > 0 {
			return max(0, min(v, size))
		}
		return max(-1, min(v, size-1))
	}
	from, to := clip(s.from), clip(s.to)
	if s.begin {
		if from = 0; s.step < 0 {
			from = size - 1
		}
	}
	if s.end {
		if to = size; s.step < 0 {
			to = -1
		}
	}
	out := []int64{}
	for i := from; s.step > 0 && i < to || s.step < 0 && i > to; i += s.step {
		out = append(out, i)
	}
	return out, true
}
