package tensorflow

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

// computed gives what a node makes of constants; nil where it takes others, or
// is none that is computed here.
func (k *call) computed() []value {
	f := computers()[k.Op]
	if f == nil || len(k.in) == 0 {
		return nil
	}
	in := make([]arr, len(k.in))
	for i := range k.in {
		t, ok := k.constant(k.x(i))
		if !ok {
			return nil
		}
		if in[i], ok = arrOf(t); !ok {
			return nil
		}
	}
	out, ok := f(k.node, in)
	if !ok || elements(out.shape) != out.len() {
		return nil
	}
	return one(k.root.Constant(k.Name, out.tensor()))
}

type computer func(n *node, in []arr) (arr, bool)

func computers() map[string]computer { return computerTable }

var computerTable = map[string]computer{
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

func init() {
	for to, from := range map[string]string{"AddV2": "Add", "RealDiv": "Div"} {
		computerTable[to] = computerTable[from]
	}
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
	return func(_ *node, in []arr) (arr, bool) {
		if len(in) != 2 {
			return arr{}, false
		}
		return zip(in[0], in[1], ints, floats)
	}
}

func compare(holds func(c int) bool) computer {
	return func(_ *node, in []arr) (arr, bool) {
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
	return func(_ *node, in []arr) (arr, bool) {
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

func computeReshape(_ *node, in []arr) (arr, bool) {
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

func computeExpandDims(_ *node, in []arr) (arr, bool) {
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

func computePack(n *node, in []arr) (arr, bool) {
	if len(in[0].shape) > 0 && n.int("axis", 0) != 0 {
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
func computeConcat(_ *node, in []arr) (arr, bool) {
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

func computeRange(_ *node, in []arr) (arr, bool) {
	if len(in) != 3 || len(in[0].ints) != 1 || len(in[1].ints) != 1 || len(in[2].ints) != 1 || in[2].ints[0] == 0 {
		return arr{}, false
	}
	out := arr{dtype: in[0].dtype}
	step, to := in[2].ints[0], in[1].ints[0]
	for v := in[0].ints[0]; (step > 0 && v < to || step < 0 && v > to) && len(out.ints) <= maxComputed; v += step {
		out.ints = append(out.ints, v)
	}
	out.shape = []int64{int64(len(out.ints))}
	return out, len(out.ints) > 0
}

// computeFill leaves what is more than a few elements to the network.
func computeFill(_ *node, in []arr) (arr, bool) {
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
func computeGather(n *node, in []arr) (arr, bool) {
	if len(in) == 3 && (len(in[2].ints) != 1 || in[2].ints[0] != 0) || len(in) < 2 || len(in[0].shape) == 0 || n.int("batch_dims", 0) != 0 {
		return arr{}, false
	}
	row := elements(in[0].shape[1:])
	var at []int
	for _, i := range in[1].ints {
		if i < 0 || i >= in[0].shape[0] || len(at)+row > maxComputed {
			return arr{}, false
		}
		for j := range row {
			at = append(at, int(i)*row+j)
		}
	}
	return in[0].pick(slices.Concat(in[1].shape, in[0].shape[1:]), at), true
}

// computeReduce is of lists, or of everything.
func computeReduce(n *node, in []arr) (arr, bool) {
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
	if n.flag("keep_dims", false) && len(in[0].shape) == 1 {
		out.shape = []int64{1}
	}
	return out, true
}

func computeCast(n *node, in []arr) (arr, bool) {
	d := n.dtype("DstT", tensor.Undefined)
	return in[0].as(d), d.Size() > 0
}

func computeInvert(_ *node, in []arr) (arr, bool) {
	out := arr{dtype: in[0].dtype, shape: in[0].shape, ints: make([]int64, len(in[0].ints))}
	for i, v := range in[0].ints {
		if v < 0 || v >= int64(len(out.ints)) {
			return arr{}, false
		}
		out.ints[v] = int64(i)
	}
	return out, len(out.ints) > 0
}

func computeTranspose(_ *node, in []arr) (arr, bool) {
	if len(in) != 2 {
		return arr{}, false
	}
	perm, ok := permOf(in[1].ints, len(in[0].shape))
	if !ok {
		return arr{}, false
	}
	return arrOf(tensor.Permute(in[0].tensor(), perm...))
}

// permOf checks an order of axes.
func permOf(vs []int64, rank int) ([]int, bool) {
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

func computeSelect(_ *node, in []arr) (arr, bool) {
	if len(in) != 3 || in[0].len() != 1 || !slices.Equal(in[1].shape, in[2].shape) {
		return arr{}, false
	}
	if in[0].ints[0] != 0 {
		return in[1], true
	}
	return in[2], true
}

func computeSlice(_ *node, in []arr) (arr, bool) {
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

// computeStridedSlice is of lists.
func computeStridedSlice(n *node, in []arr) (arr, bool) {
	if len(in) != 4 || len(in[0].shape) != 1 || len(in[1].ints) != 1 || len(in[2].ints) != 1 || len(in[3].ints) != 1 || in[3].ints[0] == 0 ||
		n.int("ellipsis_mask", 0) != 0 || n.int("new_axis_mask", 0) != 0 {
		return arr{}, false
	}
	size := int64(in[0].len())
	from, to, step := in[1].ints[0], in[2].ints[0], in[3].ints[0]
	clip := func(v int64) int64 {
		if v < 0 {
			v += size
		}
		if step > 0 {
			return max(0, min(v, size))
		}
		return max(-1, min(v, size-1))
	}
	if n.int("shrink_axis_mask", 0)&1 != 0 {
		if from < 0 {
			from += size
		}
		if from < 0 || from >= size {
			return arr{}, false
		}
		return in[0].pick([]int64{}, []int{int(from)}), true
	}
	from, to = clip(from), clip(to)
	if n.int("begin_mask", 0)&1 != 0 {
		if from = 0; step < 0 {
			from = size - 1
		}
	}
	if n.int("end_mask", 0)&1 != 0 {
		if to = size; step < 0 {
			to = -1
		}
	}
	var at []int
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		at = append(at, int(i))
	}
	return in[0].pick([]int64{int64(len(at))}, at), true
}
