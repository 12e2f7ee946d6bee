package theano

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

// all gives what a layer of several inputs takes.
func (c *converter) all(l *layer) ([]string, error) {
	var out []string
	for _, f := range l.from {
		out = append(out, c.values[f])
	}
	if _, ok := l.fields.get("of"); !ok || len(out) == 0 {
		return nil, c.net.errorf(l, "it wants a list of the layers that it takes, such as of: [a, b]")
	}
	return out, nil
}

// axisOf gives an axis that may count from the end.
func (c *converter) axisOf(l *layer, axis int64, rank int) (int64, error) {
	at := axis
	if at < 0 {
		at += int64(rank)
	}
	if at < 0 || at >= int64(rank) {
		return 0, c.net.errorf(l, "axis %d is none of its input's %d", axis, rank)
	}
	return at, nil
}

func (c *converter) concat(l *layer, s *settings) (string, error) {
	in, err := c.all(l)
	if err != nil {
		return "", err
	}
	axis, err := c.axisOf(l, s.int("axis", 1), len(c.dims(in[0])))
	if err != nil {
		return "", err
	}
	return c.op(l, "Concat", in, onnx.AInt("axis", axis)), nil
}

func (c *converter) elemwiseSum(l *layer, s *settings) (string, error) {
	in, err := c.all(l)
	if err != nil {
		return "", err
	}
	coeffs, ok := l.fields.get("coeffs")
	numbers := coeffs.list
	if coeffs.kind == isScalar {
		numbers = slices.Repeat([]node{coeffs}, len(in))
	}
	if ok && len(numbers) != len(in) {
		s.fail(coeffs, "coeffs", "a number for each layer that it takes")
		return in[0], nil
	}
	for i, n := range numbers {
		v, ok := n.float()
		if !ok {
			s.fail(n, "coeffs", "numbers")
		}
		if v != 1 {
			in[i] = c.op(l, "Mul", []string{in[i], c.b.Float(v)})
		}
	}
	return c.joined(l, "Add", in), nil
}

func (c *converter) joined(l *layer, op string, in []string) string {
	y := in[0]
	for _, x := range in[1:] {
		y = c.op(l, op, []string{y, x})
	}
	return y
}

func (c *converter) elemwiseMerge(l *layer, s *settings) (string, error) {
	in, err := c.all(l)
	if err != nil {
		return "", err
	}
	ops := map[string]string{"add": "Add", "mul": "Mul", "sub": "Sub", "maximum": "Max", "minimum": "Min", "true_div": "Div"}
	return c.joined(l, ops[s.word("merge_function", "add", "add", "mul", "sub", "maximum", "minimum", "true_div")], in), nil
}

func (c *converter) flatten(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	n := int(s.int("outdim", 2))
	rank := len(c.dims(x))
	if n < 1 || n > rank {
		return "", c.net.errorf(l, "its outdim %d does not fit an input of %s", n, onnx.DimString(c.dims(x)))
	}
	return c.op(l, "Reshape", []string{x, c.b.Ints(append(make([]int64, n-1), -1)...)}), nil
}

// reshape takes numbers, -1 for what is left, and [i] for the size of the
// input's dimension i.
func (c *converter) reshape(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	to, _ := l.fields.get("shape")
	dims := c.dims(x)
	var parts []string
	for _, e := range to.list {
		n, ok := e.int()
		from := int64(-1)
		if e.kind == isList && len(e.list) == 1 {
			from, ok = e.list[0].int()
		}
		switch {
		case !ok || e.kind == isScalar && (n < -1 || n == 0) || e.kind == isList && (from < 0 || from >= int64(len(dims))):
			s.fail(e, "shape", "numbers above 0, -1 for what is left, or [i] for the size of the input's dimension i")
			return x, nil
		case e.kind == isScalar:
			parts = append(parts, c.b.Ints(n))
		case dims[from].Known():
			parts = append(parts, c.b.Ints(dims[from].Value))
		default:
			shape := c.op(l, "Shape", []string{x})
			parts = append(parts, c.op(l, "Slice", []string{shape, c.b.Ints(from), c.b.Ints(from + 1)}))
		}
	}
	if len(parts) == 0 {
		s.fail(l.fields, "shape", "a list")
		return x, nil
	}
	return c.op(l, "Reshape", []string{x, c.op(l, "Concat", parts, onnx.AInt("axis", 0))}), nil
}

// dimshuffle orders the dimensions anew; "x" is a new one of one element, and one
// that is not named, which has one element, goes.
func (c *converter) dimshuffle(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	rank := len(c.dims(x))
	pattern, _ := l.fields.get("pattern")
	var perm, added []int64
	for i, e := range pattern.list {
		n, ok := e.int()
		switch {
		case e.text == "x":
			added = append(added, int64(i))
		case !ok || n < 0 || n >= int64(rank) || slices.Contains(perm, n):
			s.fail(e, "pattern", `each dimension of its input once, or "x" for a new one`)
			return x, nil
		default:
			perm = append(perm, n)
		}
	}
	if len(pattern.list) == 0 || len(pattern.list) > 16 {
		s.fail(l.fields, "pattern", "a list of dimensions")
		return x, nil
	}
	var gone []int64
	for i := range int64(rank) {
		if !slices.Contains(perm, i) {
			gone = append(gone, i)
		}
	}
	if len(gone) > 0 {
		x = c.op(l, "Squeeze", []string{x, c.b.Ints(gone...)})
		for i, p := range perm { // those behind what is gone move up
			for _, g := range gone {
				if g < p {
					perm[i]--
				}
			}
		}
	}
	if !slices.IsSorted(perm) {
		x = c.op(l, "Transpose", []string{x}, onnx.AInts("perm", perm...))
	}
	if len(added) > 0 {
		x = c.op(l, "Unsqueeze", []string{x, c.b.Ints(added...)})
	}
	return x, nil
}

// pad adds to both ends of all dimensions behind the first batch_ndim.
func (c *converter) pad(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	rank, from := len(c.dims(x)), int(s.int("batch_ndim", 2))
	width, ok := l.fields.get("width")
	if !ok || from < 0 || from >= rank {
		s.fail(l.fields, "width", "a number, or a list of one for each dimension that is padded")
		return x, nil
	}
	each := width.list
	if width.kind == isScalar {
		each = slices.Repeat([]node{width}, rank-from)
	}
	if len(each) != rank-from {
		s.fail(width, "width", "a number for each dimension that is padded")
		return x, nil
	}
	pads := make([]int64, 2*rank)
	for i, e := range each {
		sides := []node{e, e}
		if e.kind == isList && len(e.list) == 2 {
			sides = e.list
		}
		for k, side := range sides {
			const most = 1 << 20
			n, ok := side.int()
			if !ok || n < 0 || n > most {
				s.fail(e, "width", "a number, or two for before and after")
				return x, nil
			}
			pads[k*rank+from+i] = n
		}
	}
	return c.op(l, "Pad", []string{x, c.b.Ints(pads...), c.b.Float(s.float("val", 0))}), nil
}

// slice takes one place along an axis, which goes, or a range.
func (c *converter) slice(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	axis, err := c.axisOf(l, s.int("axis", -1), len(c.dims(x)))
	if err != nil {
		return "", err
	}
	if s.has("indices") {
		return c.op(l, "Gather", []string{x, c.b.Int(s.int("indices", 0))}, onnx.AInt("axis", axis)), nil
	}
	step := s.int("step", 1)
	begin, end := int64(0), int64(math.MaxInt32)
	if step < 0 {
		begin, end = math.MaxInt32, math.MinInt32
	}
	if step == 0 {
		s.fail(l.fields, "step", "a number that is not 0")
	}
	return c.op(l, "Slice", []string{x, c.b.Ints(s.int("start", begin)), c.b.Ints(s.int("stop", end)), c.b.Ints(axis), c.b.Ints(step)}), nil
}
