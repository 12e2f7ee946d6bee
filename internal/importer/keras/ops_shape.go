package keras

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// reshapeOp names all sizes, the batch too.
func reshapeOp(c *converter, l *layer, x string) (string, error) {
	target := kerasfile.Ints(l.Cfg["newshape"], 1, 0)
	have := c.b.Shape(x)
	// A free size in front is the batch where the others take all of an item.
	n, all := int64(1), int64(1)
	for _, d := range target[min(1, len(target)):] {
		n *= max(d, 0)
	}
	for i := 1; i < len(have); i++ {
		if d := c.dim(x, i); d < 0 {
			all = -1
			break
		}
		all *= c.dim(x, i)
	}
	if all < 0 && c.open {
		c.needsSize = true
	}
	if len(target) > 0 && target[0] == -1 && n == all {
		target = slices.Clone(target)
		target[0] = 0
	}
	return c.op2(l, "Reshape", x, c.b.Ints(target...)), nil
}

func transposeOp(c *converter, l *layer, x string) (string, error) {
	perm := kerasfile.Ints(l.Cfg["axes"], 1, 0)
	if l.Cfg["axes"] == nil {
		perm = nil
		for i := range c.rank(x) {
			perm = append([]int64{int64(i)}, perm...)
		}
	}
	seen := map[int]bool{}
	for i, p := range perm {
		at, err := c.axis(l, p, x)
		if err != nil {
			return "", err
		}
		perm[i], seen[at] = int64(at), true
	}
	if len(perm) != c.rank(x) || len(seen) != len(perm) {
		return "", c.invalid(l, "its axes are no order of those of its input")
	}
	return c.transpose(l, x, perm...), nil
}

func swapAxes(c *converter, l *layer, x string) (string, error) {
	a, err := c.axis(l, l.Cfg.Int("axis1", 0), x)
	if err != nil {
		return "", err
	}
	b, err := c.axis(l, l.Cfg.Int("axis2", 0), x)
	if err != nil {
		return "", err
	}
	var perm []int64
	for i := range c.rank(x) {
		perm = append(perm, int64(i))
	}
	perm[a], perm[b] = perm[b], perm[a]
	return c.transpose(l, x, perm...), nil
}

func expandDims(c *converter, l *layer, x string) (string, error) {
	axes := kerasfile.Ints(l.Cfg["axis"], 1, 0)
	return c.op2(l, "Unsqueeze", x, c.b.Ints(axes...)), nil
}

func squeeze(c *converter, l *layer, x string) (string, error) {
	if l.Cfg["axis"] == nil {
		return "", c.refuse(l, "without an axis it is not supported")
	}
	axes, err := c.axes(l, l.Cfg["axis"], x)
	return c.op2(l, "Squeeze", x, c.b.Ints(axes...)), err
}

func stack(c *converter, l *layer, in call) (value, error) {
	axis := l.Cfg.Int("axis", 0)
	var xs []string
	for _, t := range in.tensors() {
		if axis < 0 {
			axis += int64(c.rank(t.name)) + 1
		}
		xs = append(xs, c.op2(l, "Unsqueeze", t.name, c.b.Ints(axis)))
	}
	if len(xs) == 0 {
		return value{}, c.invalid(l, "it is given no tensors")
	}
	return one(c.b.Op(l.Path, "Concat", xs, onnx.AInt("axis", axis))), nil
}

// split cuts an axis into equal parts, or at places.
func split(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, in)
	if err != nil {
		return value{}, err
	}
	axis, err := c.axis(l, l.Cfg.Int("axis", 0), v.name)
	if err != nil {
		return value{}, err
	}
	n := c.dim(v.name, axis)
	if n < 0 {
		return value{}, c.sizeNeeded(l, "the size of the axis that it splits")
	}
	var sizes []int64
	at := int64(0)
	if list := kerasfile.AsList(l.Cfg["indices_or_sections"]); list != nil {
		for _, e := range append(slices.Clone(list), float64(n)) {
			to := kerasfile.Whole(e, -1)
			if to < at || to > n {
				return value{}, c.invalid(l, "it splits at %d of %d", to, n)
			}
			sizes, at = append(sizes, to-at), to
		}
	} else {
		parts := l.Cfg.Int("indices_or_sections", 0)
		if parts < 1 || n%parts != 0 || parts > 1<<16 {
			return value{}, c.invalid(l, "it splits %d into %d parts", n, parts)
		}
		sizes = slices.Repeat([]int64{n / parts}, int(parts))
	}
	outs := slices.Repeat([]string{l.Path}, len(sizes))
	outs = c.b.Add(&onnx.Node{Name: l.Path, Op: "Split", Inputs: []string{v.name, c.b.Ints(sizes...)}, Outputs: outs, Attrs: []onnx.Attribute{onnx.AInt("axis", int64(axis))}})
	var out value
	for _, o := range outs {
		out.list = append(out.list, one(o))
	}
	return out, nil
}

func whereOp(c *converter, l *layer, in call) (value, error) {
	if len(in.args) == 0 || !in.args[0].isTensor() {
		return value{}, c.refuse(l, "a constant condition is not supported")
	}
	condition := c.cast(l, in.args[0].name, tensor.Bool)
	xs, err := c.operands(l, call{args: in.args[1:], kwargs: in.kwargs}, "x1", "x2")
	if err != nil {
		return value{}, err
	}
	if len(xs) != 2 {
		return value{}, c.refuse(l, "it is supported with a condition and two tensors")
	}
	return one(c.op3(l, "Where", condition, xs[0], xs[1])), nil
}

// getItem takes slices and single places of axes, as Python's brackets do.
func getItem(c *converter, l *layer, in call) (value, error) {
	if len(in.args) == 0 || !in.args[0].isTensor() {
		return value{}, c.refuse(l, "it works on constants only")
	}
	key := in.kwargs["key"]
	if len(in.args) > 1 {
		key = in.args[1]
	}
	if key.isTensor() || key.list != nil {
		return value{}, c.refuse(l, "places that are computed are not supported")
	}
	list := kerasfile.AsList(key.konst)
	if list == nil {
		list = []any{key.konst}
	}
	y, err := c.index(l, in.args[0].name, list)
	return one(y), err
}

// index applies the parts of a key, of which an ellipsis stands for all axes
// that the others do not name.
func (c *converter) index(l *layer, x string, key []any) (string, error) {
	named := 0
	for _, k := range key {
		if k != nil && classOf(k) != "__ellipsis__" {
			named++
		}
	}
	rank := c.rank(x)
	if named > rank {
		return "", c.invalid(l, "it names %d axes of %d", named, rank)
	}
	var starts, ends, axes, steps, gone, added []int64
	axis, place := 0, int64(0) // of the input, and of the result
	for _, k := range key {
		switch n, isNumber := k.(float64); {
		case k == nil:
			added = append(added, place)
			place++
		case classOf(k) == "__ellipsis__":
			place += int64(rank - named)
			axis += rank - named
		case isNumber:
			end := int64(n) + 1
			if n == -1 {
				end = 1 << 62
			}
			starts, ends, axes, steps = append(starts, int64(n)), append(ends, end), append(axes, int64(axis)), append(steps, 1)
			gone = append(gone, int64(axis))
			axis++
		case classOf(k) == "__slice__" || isSlice(k):
			s := kerasfile.AsMap(kerasfile.AsMap(k)["config"])
			if s == nil {
				s = kerasfile.AsMap(k)
			}
			step := s.Int("step", 1)
			if step == 0 {
				return "", c.invalid(l, "a step of 0")
			}
			start, end := s.Int("start", 0), s.Int("stop", 1<<62)
			if step < 0 {
				start, end = s.Int("start", 1<<62), s.Int("stop", -1<<62)
			}
			if s["start"] != nil || s["stop"] != nil || step != 1 {
				starts, ends, axes, steps = append(starts, start), append(ends, end), append(axes, int64(axis)), append(steps, step)
			}
			axis++
			place++
		default:
			return "", c.refuse(l, "a key of %.60v is not supported", k)
		}
	}
	if len(axes) > 0 {
		x = c.op3(l, "Slice", x, c.b.Ints(starts...), c.b.Ints(ends...), c.b.Ints(axes...), c.b.Ints(steps...))
	}
	if len(gone) > 0 {
		x = c.op2(l, "Squeeze", x, c.b.Ints(gone...))
	}
	if len(added) > 0 {
		x = c.op2(l, "Unsqueeze", x, c.b.Ints(added...))
	}
	return x, nil
}

// isSlice tells a slice as Keras 2 writes it.
func isSlice(v any) bool {
	m := kerasfile.AsMap(v)
	_, a := m["start"]
	_, b := m["stop"]
	return a && b
}

func classOf(v any) string { return kerasfile.AsMap(v).Text("class_name") }

func take(c *converter, l *layer, in call) (value, error) {
	args := slices.Clone(in.args)
	if v, ok := in.kwargs["indices"]; ok {
		args = append(args, v)
	}
	if len(args) != 2 || !args[0].isTensor() || l.Cfg["axis"] == nil {
		return value{}, c.refuse(l, "it is supported with a tensor, places and an axis")
	}
	axis, err := c.axis(l, l.Cfg.Int("axis", 0), args[0].name)
	if err != nil {
		return value{}, err
	}
	index := args[1].name
	if index == "" {
		t, ok := kerasfile.Array(args[1].konst)
		if !ok {
			return value{}, c.refuse(l, "its places are not supported")
		}
		index = c.constant(l, "indices", t)
	}
	return one(c.op2(l, "Gather", args[0].name, c.cast(l, index, tensor.Int64), onnx.AInt("axis", int64(axis)))), nil
}

func tile(c *converter, l *layer, x string) (string, error) {
	repeats := kerasfile.Ints(l.Cfg["repeats"], 1, 0)
	for len(repeats) < c.rank(x) {
		repeats = append([]int64{1}, repeats...)
	}
	if len(repeats) != c.rank(x) || slices.Min(repeats) < 1 || slices.Max(repeats) > 1<<20 {
		return "", c.refuse(l, "its repeats are not supported")
	}
	return c.op2(l, "Tile", x, c.b.Ints(repeats...)), nil
}

// repeatOp repeats each place of an axis.
func repeatOp(c *converter, l *layer, x string) (string, error) {
	n := l.Cfg.Int("repeats", 0)
	if l.Cfg["axis"] == nil || n < 1 || n > 1<<20 || kerasfile.AsList(l.Cfg["repeats"]) != nil {
		return "", c.refuse(l, "it is supported with one number and an axis")
	}
	axis, err := c.axis(l, l.Cfg.Int("axis", 0), x)
	if err != nil {
		return "", err
	}
	size := c.dim(x, axis)
	if size < 0 {
		return "", c.sizeNeeded(l, "the size of the axis that it repeats")
	}
	repeats := slices.Repeat([]int64{1}, c.rank(x)+1)
	repeats[axis+1] = n
	wide := c.op2(l, "Tile", c.op2(l, "Unsqueeze", x, c.b.Ints(int64(axis)+1)), c.b.Ints(repeats...))
	shape := make([]int64, c.rank(x))
	for i := axis + 1; i < len(shape); i++ {
		if shape[i] = c.dim(x, i); shape[i] < 0 {
			return "", c.sizeNeeded(l, "the sizes of its input")
		}
	}
	shape[axis] = size * n
	return c.op2(l, "Reshape", wide, c.b.Ints(shape...)), nil
}

func flip(c *converter, l *layer, x string) (string, error) {
	axes, _, err := c.reductionAxes(l, x)
	if err != nil {
		return "", err
	}
	n := len(axes)
	back := slices.Repeat([]int64{-1}, n)
	return c.op3(l, "Slice", x, c.b.Ints(back...), c.b.Ints(slices.Repeat([]int64{-1 << 62}, n)...), c.b.Ints(axes...), c.b.Ints(back...)), nil
}

func padOp(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, call{args: in.args[:min(1, len(in.args))]})
	if err != nil {
		return value{}, err
	}
	rank := c.rank(v.name)
	widths := kerasfile.AsList(l.Cfg["pad_width"])
	pads := make([]int64, 2*rank)
	for i := range rank {
		pair := kerasfile.Ints(l.Cfg["pad_width"], 2, 0)
		if len(widths) == rank {
			pair = kerasfile.Ints(widths[i], 2, 0)
		}
		if len(pair) != 2 || pair[0] < 0 || pair[1] < 0 {
			return value{}, c.refuse(l, "its pad_width is not supported")
		}
		pads[i], pads[rank+i] = pair[0], pair[1]
	}
	mode, ok := map[string]string{"constant": "constant", "reflect": "reflect", "edge": "edge", "": "constant"}[l.Cfg.Text("mode")]
	if !ok {
		return value{}, c.refuse(l, "mode %.40q is not supported", l.Cfg.Text("mode"))
	}
	inputs := []string{v.name, c.b.Ints(pads...)}
	if k := in.kwargs["constant_values"].konst; k != nil {
		f, ok := kerasfile.Number(k)
		if !ok {
			return value{}, c.refuse(l, "its constant_values are not supported")
		}
		inputs = append(inputs, c.b.Number(c.b.DType(v.name), f))
	}
	return one(c.b.Op(l.Path, "Pad", inputs, onnx.AStr("mode", mode))), nil
}

func einsum(c *converter, l *layer, in call) (value, error) {
	var xs []string
	for _, t := range in.tensors() {
		xs = append(xs, c.float(l, t.name))
	}
	y := c.b.Op(l.Path, "Einsum", xs, onnx.AStr("equation", l.Cfg.Text("subscripts")))
	c.b.Declare(y, tensor.Float32, c.einsumShape(l.Cfg.Text("subscripts"), xs))
	return one(y), nil
}

// einsumShape gives each letter of the result the size that it has in the inputs.
func (c *converter) einsumShape(equation string, xs []string) []onnx.Dim {
	left, right, ok := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	if !ok || strings.Contains(equation, ".") {
		return nil
	}
	size := map[rune]onnx.Dim{}
	for i, term := range strings.Split(left, ",") {
		for k, letter := range term {
			if shape := c.b.Shape(xs[min(i, len(xs)-1)]); k < len(shape) {
				size[letter] = shape[k]
			}
		}
	}
	out := []onnx.Dim{}
	for _, letter := range right {
		out = append(out, size[letter])
	}
	return out
}
