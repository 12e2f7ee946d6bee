package torch

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// shapeOps give the same elements another shape or order.
func shapeOps() map[string]operator {
	out := map[string]operator{
		"flatten":   {"self start_dim end_dim", flatten},
		"unflatten": {"self dim sizes", unflatten},
		"permute": {"self dims", func(c *converter, a *args) value {
			x := a.ten("self")
			return c.transpose(x, a.axes("dims", c.rank(x))...)
		}},
		"t":       {"self", reversed},
		"mT":      {"self", func(c *converter, a *args) value { x := a.ten("self"); return c.swap(x, c.rank(x)-2, c.rank(x)-1) }},
		"movedim": {"self source destination", moveDim},
		"squeeze": {"self dim", squeeze},
		"unsqueeze": {"self dim", func(c *converter, a *args) value {
			x := a.ten("self")
			return c.unsqueeze(x, int64(a.axis("dim", c.rank(x)+1, 0)))
		}},
		"expand": {"self size implicit", func(c *converter, a *args) value {
			return c.expand(a.ten("self"), a.sizes("size"))
		}},
		"expand_as":         {"self other", func(c *converter, a *args) value { return c.expand(a.ten("self"), c.shape(a.ten("other"))) }},
		"repeat":            {"self repeats", repeat},
		"tile":              {"self dims", repeat},
		"repeat_interleave": {"self repeats dim output_size", repeatInterleave},
		"pixel_shuffle":     {"self upscale_factor", pixelShuffle},
		"pixel_unshuffle":   {"self downscale_factor", pixelUnshuffle},
		"channel_shuffle":   {"self groups", channelShuffle},
		"detach":            {"self", same0},
		"clone":             {"self memory_format", copied},
		"to":                {"self a b c d e", to},
		"type_as":           {"self other", func(c *converter, a *args) value { return c.cast(a.ten("self"), c.dtype(a.ten("other"))) }},
		"tril":              {"self diagonal", triangle(0)},
		"triu":              {"self diagonal", triangle(1)},
		"flip":              {"self dims", flip},
		"roll":              {"self shifts dims", roll},
		"diagonal":          {"self offset dim1 dim2", diagonal},
		"unfold":            {"self dimension size step", unfold},
	}
	for _, name := range []string{"view", "reshape"} {
		out[name] = operator{"self size stride", func(c *converter, a *args) value {
			x := a.ten("self")
			if n, ok := a.get("size").(int64); ok && name == "view" && a.get("stride") == nil {
				c.refuse("a view as another element type (%d) is not supported", n)
			}
			return c.reshape(x, a.sizes("size"))
		}}
	}
	out["view_as"] = operator{"self other", func(c *converter, a *args) value { return c.reshape(a.ten("self"), c.shape(a.ten("other"))) }}
	out["transpose"] = operator{"self dim0 dim1", func(c *converter, a *args) value {
		x := a.ten("self")
		return c.swap(x, a.axis("dim0", c.rank(x), 0), a.axis("dim1", c.rank(x), 1))
	}}
	return out
}

func same0(_ *converter, a *args) value { return a.ten("self") }

// copied is a tensor of its own: what happens to it in place happens to it alone.
func copied(c *converter, a *args) value {
	x := a.ten("self")
	if x.name == "" && x.blank == 0 {
		return &ten{scalar: x.scalar, dtype: x.dtype}
	}
	return &ten{name: c.use(x)}
}

// to converts to a type, to that of another tensor, or to a device, which is
// nothing.
func to(c *converter, a *args) value {
	x := a.ten("self")
	if v := a.get("dtype"); v != nil {
		return c.cast(x, c.dtypeOf(v))
	}
	for _, name := range []string{"a", "b"} {
		switch v := a.get(name).(type) {
		case int64:
			return c.cast(x, c.dtypeOf(v))
		case *ten:
			return c.cast(x, c.dtype(v))
		}
	}
	return x
}

// view0 makes a tensor of the same elements that stays tied to the other.
func (c *converter) tied(x *ten, take func() *ten, back func(part *ten) *ten) *ten {
	return c.viewOf(x, take, func(part string) *ten { return back(&ten{name: part}) })
}

// reshape gives a tensor other sizes, one of which may be -1. Sizes that depend on
// inputs become 0, which keeps that of the same axis, or -1, where that says the
// same; else they are computed.
func (c *converter) reshape(x *ten, sizes []value) *ten {
	if x.name == "" && x.blank == 0 {
		if len(sizes) == 0 {
			return x
		}
		return c.op("Expand", []any{x, c.vector(sizes)})
	}
	in := c.shape(x)
	out := c.inferSize(x, in, sizes)
	if len(in) == len(out) && c.sameSizes(in, out) {
		return x
	}
	return c.tied(x, func() *ten { return c.reshapeTo(x, in, out) }, func(part *ten) *ten { return c.reshapeTo(part, out, in) })
}

func (c *converter) sameSizes(a, b []value) bool {
	for i := range a {
		if !c.compareEach(a[i], b[i]) {
			return false
		}
	}
	return true
}

// inferSize puts the size in for -1.
func (c *converter) inferSize(x *ten, in, sizes []value) []value {
	out := slices.Clone(sizes)
	open := -1
	have, want := value(int64(1)), value(int64(1))
	for _, d := range in {
		have = c.arithmetic("mul", have, d)
	}
	for i, d := range out {
		if d == int64(-1) && open < 0 {
			open = i
			continue
		}
		want = c.arithmetic("mul", want, d)
	}
	if open < 0 {
		if !c.compareEach(have, want) {
			c.contradict("a tensor of %s cannot take the shape %s", c.shapeText(x), c.sizesText(sizes))
		}
		return out
	}
	h, w := c.lift(have), c.lift(want)
	for p := range h.n {
		if w.n[p] <= 0 || h.n[p]%w.n[p] != 0 {
			c.contradict("a tensor of %s cannot take the shape %s", c.shapeText(x), c.sizesText(sizes))
		}
	}
	out[open] = c.arithmetic("floordiv", have, want)
	return out
}

func (c *converter) sizesText(sizes []value) string {
	out := ""
	for i, v := range sizes {
		if i > 0 {
			out += "x"
		}
		out += c.print(v)
	}
	return out
}

func (c *converter) reshapeTo(x *ten, in, out []value) *ten {
	want := make([]value, len(out))
	var open []int
	for i, d := range out {
		want[i] = d
		if d == int64(0) {
			c.refuse("a tensor without elements is not supported")
		}
		if _, isNum := d.(*num); !isNum {
			continue
		}
		if i < len(in) && c.compareEach(d, in[i]) {
			want[i] = int64(0)
			continue
		}
		open = append(open, i)
	}
	if len(open) == 1 {
		want[open[0]] = int64(-1)
	}
	t := c.dtype(x)
	y := c.op("Reshape", []any{x, c.vector(want)})
	return c.declare(y, t, out)
}

func flatten(c *converter, a *args) value {
	x := a.ten("self")
	rank := c.rank(x)
	if rank == 0 {
		return c.reshape(x, []value{int64(1)})
	}
	from, upTo := a.axis("start_dim", rank, 0), a.axis("end_dim", rank, -1)
	if from >= upTo {
		return x
	}
	shape := c.shape(x)
	size := value(int64(1))
	for _, d := range shape[from : upTo+1] {
		size = c.arithmetic("mul", size, d)
	}
	return c.reshape(x, slices.Concat(shape[:from], []value{size}, shape[upTo+1:]))
}

func unflatten(c *converter, a *args) value {
	x := a.ten("self")
	at := a.axis("dim", c.rank(x), 0)
	shape, sizes := c.shape(x), a.sizes("sizes")
	for i, v := range sizes {
		if v == int64(-1) {
			rest := value(int64(1))
			for k, o := range sizes {
				if k != i {
					rest = c.arithmetic("mul", rest, o)
				}
			}
			sizes[i] = c.arithmetic("floordiv", shape[at], rest)
		}
	}
	return c.reshape(x, slices.Concat(shape[:at], sizes, shape[at+1:]))
}

// transpose puts the axes into an order.
func (c *converter) transpose(x *ten, perm ...int64) *ten {
	if len(perm) != c.rank(x) {
		c.contradict("%d axes are named of a tensor of %s", len(perm), c.shapeText(x))
	}
	if slices.IsSorted(perm) {
		return x
	}
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return c.tied(x, func() *ten { return c.op("Transpose", []any{x}, onnx.AInts("perm", perm...)) },
		func(part *ten) *ten { return c.op("Transpose", []any{part}, onnx.AInts("perm", back...)) })
}

func (c *converter) swap(x *ten, i, j int) *ten {
	perm := c.order(x)
	if i == j || len(perm) < 2 {
		return x
	}
	perm[i], perm[j] = perm[j], perm[i]
	return c.transpose(x, perm...)
}

func (c *converter) order(x *ten) []int64 {
	out := make([]int64, c.rank(x))
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

func reversed(c *converter, a *args) value {
	x := a.ten("self")
	if c.rank(x) < 2 {
		return x
	}
	perm := c.order(x)
	slices.Reverse(perm)
	return c.transpose(x, perm...)
}

func moveDim(c *converter, a *args) value {
	x := a.ten("self")
	rank := c.rank(x)
	from, dest := a.axes("source", rank), a.axes("destination", rank)
	if len(from) != len(dest) {
		c.contradict("%d axes are moved to %d places", len(from), len(dest))
	}
	perm := slices.Repeat([]int64{-1}, rank)
	for i, d := range dest {
		perm[d] = from[i]
	}
	next := int64(0)
	for i := range perm {
		if perm[i] >= 0 {
			continue
		}
		for slices.Contains(from, next) {
			next++
		}
		perm[i] = next
		next++
	}
	return c.transpose(x, perm...)
}

func (c *converter) unsqueeze(x *ten, axes ...int64) *ten {
	if x.name == "" && x.blank == 0 {
		return c.op("Unsqueeze", []any{x, c.ints(axes...)})
	}
	return c.tied(x, func() *ten { return c.op("Unsqueeze", []any{x, c.ints(axes...)}) },
		func(part *ten) *ten { return c.op("Squeeze", []any{part, c.ints(axes...)}) })
}

func (c *converter) squeeze(x *ten, axes ...int64) *ten {
	if len(axes) == 0 {
		return x
	}
	return c.tied(x, func() *ten { return c.op("Squeeze", []any{x, c.ints(axes...)}) },
		func(part *ten) *ten { return c.op("Unsqueeze", []any{part, c.ints(axes...)}) })
}

// squeeze drops axes of one element. An axis that is free has more than one.
func squeeze(c *converter, a *args) value {
	x := a.ten("self")
	var axes []int64
	named := a.axes("dim", c.rank(x))
	for i, d := range c.shape(x) {
		_, free := d.(*num)
		if a.has("dim") && !slices.Contains(named, int64(i)) {
			continue
		}
		if d == int64(1) {
			axes = append(axes, int64(i))
		} else if free && !a.has("dim") {
			c.note("squeeze() without an axis keeps free dimensions, of one element too")
		}
	}
	return c.squeeze(x, axes...)
}

// expand repeats axes of one element; -1 keeps an axis.
func (c *converter) expand(x *ten, sizes []value) *ten {
	in := c.shape(x)
	if len(sizes) < len(in) {
		c.contradict("a tensor of %s is expanded to %d axes", c.shapeText(x), len(sizes))
	}
	out, want := make([]value, len(sizes)), make([]value, len(sizes))
	more := len(sizes) - len(in)
	same := more == 0
	for i, v := range sizes {
		out[i], want[i] = v, v
		if i < more {
			continue
		}
		d := in[i-more]
		if v == int64(-1) || c.compareEach(v, d) {
			out[i], want[i] = d, int64(1)
			continue
		}
		if d != int64(1) {
			if n, ok := v.(int64); ok {
				c.require(x, i-more, n)
			}
			c.unify(d, v)
			c.contradict("axis %d of a tensor of %s is expanded to %s", i-more, c.shapeText(x), c.print(v))
		}
		same = false
	}
	if same {
		return x
	}
	return c.declare(c.op("Expand", []any{x, c.vector(want)}), c.dtype(x), out)
}

func repeat(c *converter, a *args) value {
	x := a.ten("self")
	var by []value
	if a.has("repeats") {
		by = a.sizes("repeats")
	} else {
		by = a.sizes("dims")
		for len(by) < c.rank(x) {
			by = append([]value{int64(1)}, by...)
		}
	}
	if more := len(by) - c.rank(x); more > 0 {
		x = c.reshape(x, append(slices.Repeat([]value{int64(1)}, more), c.shape(x)...))
	}
	shape := c.shape(x)
	if len(by) != len(shape) {
		c.contradict("%d repeats are given for a tensor of %s", len(by), c.shapeText(x))
	}
	for i := range shape {
		shape[i] = c.arithmetic("mul", shape[i], by[i])
	}
	return c.declare(c.op("Tile", []any{x, c.vector(by)}), c.dtype(x), shape)
}

// repeatInterleave repeats each element along an axis, as many times for all.
func repeatInterleave(c *converter, a *args) value {
	x := a.ten("self")
	if !a.has("dim") {
		x = c.reshape(x, []value{int64(-1)})
	}
	if t, ok := a.get("repeats").(*ten); ok && t.scalar == nil {
		c.refuse("a number of repeats for each element is not supported")
	}
	at := a.axis("dim", c.rank(x), 0)
	n := c.settle(c.lift(a.get("repeats")))
	shape := c.shape(x)
	wide := slices.Insert(slices.Clone(shape), at+1, n)
	y := c.expand(c.unsqueeze(x, int64(at+1)), wide)
	shape[at] = c.arithmetic("mul", shape[at], n)
	return c.reshape(y, shape)
}

func pixelShuffle(c *converter, a *args) value {
	x := a.ten("self")
	y := c.op("DepthToSpace", []any{x}, onnx.AInt("blocksize", a.int("upscale_factor", 1)), onnx.AStr("mode", "CRD"))
	return y
}

// pixelUnshuffle is the other way round; ONNX's operator for it orders channels
// otherwise.
func pixelUnshuffle(c *converter, a *args) value {
	x, r := a.ten("self"), a.int("downscale_factor", 1)
	s := c.shape(x)
	if len(s) != 4 {
		c.contradict("a tensor of %s is no batch of pictures", c.shapeText(x))
	}
	h, w := c.arithmetic("floordiv", s[2], r), c.arithmetic("floordiv", s[3], r)
	y := c.reshape(x, []value{s[0], s[1], h, r, w, r})
	y = c.transpose(y, 0, 1, 3, 5, 2, 4)
	return c.reshape(y, []value{s[0], c.arithmetic("mul", s[1], r*r), h, w})
}

func channelShuffle(c *converter, a *args) value {
	x, g := a.ten("self"), a.int("groups", 1)
	s := c.shape(x)
	y := c.reshape(x, append([]value{s[0], g, c.arithmetic("floordiv", s[1], g)}, s[2:]...))
	return c.reshape(c.swap(y, 1, 2), s)
}

func triangle(upper int64) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		x := a.ten("self")
		t := c.dtype(x)
		in := x
		if t == tensor.Bool {
			in = c.cast(x, tensor.Int32)
		}
		y := c.op("Trilu", []any{in, c.scalarTensor(tensor.Int64, a.int("diagonal", 0))}, onnx.AInt("upper", upper))
		return c.cast(c.declare(y, c.dtype(in), c.shape(x)), t)
	}
}

func flip(c *converter, a *args) value {
	x := a.ten("self")
	axes := a.axes("dims", c.rank(x))
	n := len(axes)
	if n == 0 {
		return x
	}
	y := c.op("Slice", []any{x, c.ints(slices.Repeat([]int64{-1}, n)...), c.ints(slices.Repeat([]int64{math.MinInt64 + 1}, n)...), c.ints(axes...), c.ints(slices.Repeat([]int64{-1}, n)...)})
	return c.declare(y, c.dtype(x), c.shape(x))
}

// roll moves elements along axes; those that fall off come in at the other end.
func roll(c *converter, a *args) value {
	x := a.ten("self")
	axes := a.axes("dims", c.rank(x))
	shifts := a.sizes("shifts")
	if len(axes) != len(shifts) {
		c.refuse("a roll over all axes at once is not supported")
	}
	t, shape := c.dtype(x), c.shape(x)
	for i, axis := range axes {
		if shifts[i] == int64(0) {
			continue
		}
		cut := c.arithmetic("remainder", c.neg(shifts[i]), shape[axis])
		if cut == int64(0) {
			continue
		}
		front := c.slice(x, int(axis), int64(0), cut, 1)
		back := c.slice(x, int(axis), cut, int64(math.MaxInt64), 1)
		x = c.declare(c.op("Concat", []any{back, front}, onnx.AInt("axis", axis)), t, shape)
	}
	return x
}

// diagonal takes the elements whose places along two axes differ by an offset.
func diagonal(c *converter, a *args) value {
	x := a.ten("self")
	if a.int("offset", 0) != 0 || c.rank(x) < 2 {
		c.refuse("only the main diagonal is supported")
	}
	i, j := a.axis("dim1", c.rank(x), 0), a.axis("dim2", c.rank(x), 1)
	n := c.fixed(x, i)
	if m := c.fixed(x, j); m != n {
		c.refuse("the diagonal of %dx%d is not supported, only of a square", n, m)
	}
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return int(k) == i || int(k) == j })
	y := c.transpose(x, append(rest, int64(i), int64(j))...)
	lead := c.shape(y)[:len(rest)]
	flat := c.reshape(y, append(slices.Clone(lead), n*n))
	return c.slice(flat, len(rest), int64(0), int64(math.MaxInt64), n+1)
}

// unfold gives all windows along an axis, as a further axis at the end.
func unfold(c *converter, a *args) value {
	x := a.ten("self")
	at, size, step := a.axis("dimension", c.rank(x), 0), a.int("size", 1), a.int("step", 1)
	if size < 1 || step < 1 || size > maxKernel {
		c.contradict("windows of %d, each %d further, make no sense", size, step)
	}
	d := c.shape(x)[at]
	n := c.arithmetic("add", c.arithmetic("floordiv", c.arithmetic("sub", d, size), step), int64(1))
	first := c.op("Mul", []any{c.unsqueeze(c.rangeOf(int64(0), n), 1), c.ints(step)})
	index := c.op("Add", []any{first, c.unsqueeze(c.rangeOf(int64(0), size), 0)})
	y := c.op("Gather", []any{x, index}, onnx.AInt("axis", int64(at)))
	perm := c.order(y)
	perm = append(slices.Delete(perm, at+1, at+2), int64(at+1))
	return c.transpose(y, perm...)
}
