package aten

import (
	"math"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// shapeOps give the same elements another shape or order.
func shapeOps() map[string]operator {
	out := map[string]operator{
		"flatten":   {"self start_dim end_dim", flatten},
		"unflatten": {"self dim sizes", unflatten},
		"permute": {"self dims", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.transpose(x, a.Axes("dims", c.Rank(x))...)
		}},
		"t": {"self", reversed},
		"mT": {"self", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.swap(x, c.Rank(x)-2, c.Rank(x)-1)
		}},
		"movedim": {"self source destination", moveDim},
		"squeeze": {"self dim", squeeze},
		"unsqueeze": {"self dim", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.unsqueeze(x, int64(a.Axis("dim", c.Rank(x)+1, 0)))
		}},
		"expand": {"self size implicit", func(c *converter, a *jit.Args) jit.Value {
			return c.expand(a.Tensor("self"), a.Sizes("size"))
		}},
		"expand_as": {"self other", func(c *converter, a *jit.Args) jit.Value {
			return c.expand(a.Tensor("self"), c.Shape(a.Tensor("other")))
		}},
		"repeat":            {"self repeats", repeat},
		"tile":              {"self dims", repeat},
		"repeat_interleave": {"self repeats dim output_size", repeatInterleave},
		"pixel_shuffle":     {"self upscale_factor", pixelShuffle},
		"pixel_unshuffle":   {"self downscale_factor", pixelUnshuffle},
		"channel_shuffle":   {"self groups", channelShuffle},
		"detach":            {"self", same0},
		"clone":             {"self memory_format", copied},
		"to":                {"self a b c d e", to},
		"type_as":           {"self other", func(c *converter, a *jit.Args) jit.Value { return c.Cast(a.Tensor("self"), c.Dtype(a.Tensor("other"))) }},
		"tril":              {"self diagonal", triangle(0)},
		"triu":              {"self diagonal", triangle(1)},
		"flip":              {"self dims", flip},
		"roll":              {"self shifts dims", roll},
		"diagonal":          {"self offset dim1 dim2", diagonal},
		"unfold":            {"self dimension size step", unfold},
	}
	for _, name := range []string{"view", "reshape"} {
		out[name] = operator{"self size stride", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			if n, ok := a.Get("size").(int64); ok && name == "view" && a.Get("stride") == nil {
				c.Refuse("a view as another element type (%d) is not supported", n)
			}
			return c.reshape(x, a.Sizes("size"))
		}}
	}
	out["view_as"] = operator{"self other", func(c *converter, a *jit.Args) jit.Value {
		return c.reshape(a.Tensor("self"), c.Shape(a.Tensor("other")))
	}}
	out["transpose"] = operator{"self dim0 dim1", func(c *converter, a *jit.Args) jit.Value {
		x := a.Tensor("self")
		return c.swap(x, a.Axis("dim0", c.Rank(x), 0), a.Axis("dim1", c.Rank(x), 1))
	}}
	return out
}

func same0(_ *converter, a *jit.Args) jit.Value { return a.Tensor("self") }

// copied is a tensor of its own: what happens to it in place happens to it alone.
func copied(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if x.Name == "" && x.Blank == 0 {
		return &jit.Tensor{Scalar: x.Scalar, Dtype: x.Dtype}
	}
	return &jit.Tensor{Name: c.Use(x)}
}

// to converts to a type, to that of another tensor, or to a device, which is
// nothing.
func to(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if v := a.Get("dtype"); v != nil {
		return c.Cast(x, c.dtypeOf(v))
	}
	for _, name := range []string{"a", "b"} {
		switch v := a.Get(name).(type) {
		case int64:
			return c.Cast(x, c.dtypeOf(v))
		case *jit.Tensor:
			return c.Cast(x, c.Dtype(v))
		}
	}
	return x
}

// view0 makes a tensor of the same elements that stays tied to the other.
func (c *converter) tied(x *jit.Tensor, take func() *jit.Tensor, back func(part *jit.Tensor) *jit.Tensor) *jit.Tensor {
	return c.ViewOf(x, take, func(part string) *jit.Tensor { return back(&jit.Tensor{Name: part}) })
}

// reshape gives a tensor other sizes, one of which may be -1. Sizes that depend on
// inputs become 0, which keeps that of the same axis, or -1, where that says the
// same; else they are computed.
func (c *converter) reshape(x *jit.Tensor, sizes []jit.Value) *jit.Tensor {
	if x.Name == "" && x.Blank == 0 {
		if len(sizes) == 0 {
			return x
		}
		return c.Op("Expand", []any{x, c.Vector(sizes)})
	}
	in := c.Shape(x)
	out := c.inferSize(x, in, sizes)
	if len(in) == len(out) && c.sameSizes(in, out) {
		return x
	}
	return c.tied(x, func() *jit.Tensor { return c.reshapeTo(x, in, out) }, func(part *jit.Tensor) *jit.Tensor { return c.reshapeTo(part, out, in) })
}

func (c *converter) sameSizes(a, b []jit.Value) bool {
	for i := range a {
		if !c.compareEach(a[i], b[i]) {
			return false
		}
	}
	return true
}

// inferSize puts the size in for -1.
func (c *converter) inferSize(x *jit.Tensor, in, sizes []jit.Value) []jit.Value {
	out := slices.Clone(sizes)
	open := -1
	have, want := jit.Value(int64(1)), jit.Value(int64(1))
	for _, d := range in {
		have = c.Arithmetic("mul", have, d)
	}
	for i, d := range out {
		if d == int64(-1) && open < 0 {
			open = i
			continue
		}
		want = c.Arithmetic("mul", want, d)
	}
	if open < 0 {
		if !c.compareEach(have, want) {
			c.Contradict("a tensor of %s cannot take the shape %s", c.ShapeText(x), c.sizesText(sizes))
		}
		return out
	}
	h, w := c.Lift(have), c.Lift(want)
	for p := range h.N {
		if w.N[p] <= 0 || h.N[p]%w.N[p] != 0 {
			c.Contradict("a tensor of %s cannot take the shape %s", c.ShapeText(x), c.sizesText(sizes))
		}
	}
	out[open] = c.Arithmetic("floordiv", have, want)
	return out
}

func (c *converter) sizesText(sizes []jit.Value) string {
	var out []string
	for _, v := range sizes {
		out = append(out, c.Print(v))
	}
	return strings.Join(out, "x")
}

func (c *converter) reshapeTo(x *jit.Tensor, in, out []jit.Value) *jit.Tensor {
	want := make([]jit.Value, len(out))
	var open []int
	for i, d := range out {
		want[i] = d
		if d == int64(0) {
			c.Refuse("a tensor without elements is not supported")
		}
		if _, isNum := d.(*jit.Num); !isNum {
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
	t := c.Dtype(x)
	y := c.Op("Reshape", []any{x, c.Vector(want)})
	return c.Declare(y, t, out)
}

func flatten(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	rank := c.Rank(x)
	if rank == 0 {
		return c.reshape(x, []jit.Value{int64(1)})
	}
	from, upTo := a.Axis("start_dim", rank, 0), a.Axis("end_dim", rank, -1)
	if from >= upTo {
		return x
	}
	shape := c.Shape(x)
	size := jit.Value(int64(1))
	for _, d := range shape[from : upTo+1] {
		size = c.Arithmetic("mul", size, d)
	}
	return c.reshape(x, slices.Concat(shape[:from], []jit.Value{size}, shape[upTo+1:]))
}

func unflatten(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	at := a.Axis("dim", c.Rank(x), 0)
	shape, sizes := c.Shape(x), a.Sizes("sizes")
	for i, v := range sizes {
		if v == int64(-1) {
			rest := jit.Value(int64(1))
			for k, o := range sizes {
				if k != i {
					rest = c.Arithmetic("mul", rest, o)
				}
			}
			sizes[i] = c.Arithmetic("floordiv", shape[at], rest)
		}
	}
	return c.reshape(x, slices.Concat(shape[:at], sizes, shape[at+1:]))
}

// transpose puts the axes into an order.
func (c *converter) transpose(x *jit.Tensor, perm ...int64) *jit.Tensor {
	if len(perm) != c.Rank(x) {
		c.Contradict("%d axes are named of a tensor of %s", len(perm), c.ShapeText(x))
	}
	if slices.IsSorted(perm) {
		return x
	}
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return c.tied(x, func() *jit.Tensor { return c.Op("Transpose", []any{x}, onnx.AInts("perm", perm...)) },
		func(part *jit.Tensor) *jit.Tensor { return c.Op("Transpose", []any{part}, onnx.AInts("perm", back...)) })
}

func (c *converter) swap(x *jit.Tensor, i, j int) *jit.Tensor {
	perm := c.order(x)
	if i == j || len(perm) < 2 {
		return x
	}
	perm[i], perm[j] = perm[j], perm[i]
	return c.transpose(x, perm...)
}

func (c *converter) order(x *jit.Tensor) []int64 {
	out := make([]int64, c.Rank(x))
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

func reversed(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if c.Rank(x) < 2 {
		return x
	}
	perm := c.order(x)
	slices.Reverse(perm)
	return c.transpose(x, perm...)
}

func moveDim(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	rank := c.Rank(x)
	from, dest := a.Axes("source", rank), a.Axes("destination", rank)
	if len(from) != len(dest) {
		c.Contradict("%d axes are moved to %d places", len(from), len(dest))
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

func (c *converter) unsqueeze(x *jit.Tensor, axes ...int64) *jit.Tensor {
	if x.Name == "" && x.Blank == 0 {
		return c.Op("Unsqueeze", []any{x, c.Ints(axes...)})
	}
	return c.tied(x, func() *jit.Tensor { return c.Op("Unsqueeze", []any{x, c.Ints(axes...)}) },
		func(part *jit.Tensor) *jit.Tensor { return c.Op("Squeeze", []any{part, c.Ints(axes...)}) })
}

func (c *converter) squeeze(x *jit.Tensor, axes ...int64) *jit.Tensor {
	if len(axes) == 0 {
		return x
	}
	return c.tied(x, func() *jit.Tensor { return c.Op("Squeeze", []any{x, c.Ints(axes...)}) },
		func(part *jit.Tensor) *jit.Tensor { return c.Op("Unsqueeze", []any{part, c.Ints(axes...)}) })
}

// squeeze drops axes of one element. An axis that is free has more than one.
func squeeze(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	var axes []int64
	named := a.Axes("dim", c.Rank(x))
	for i, d := range c.Shape(x) {
		_, free := d.(*jit.Num)
		if a.Has("dim") && !slices.Contains(named, int64(i)) {
			continue
		}
		if d == int64(1) {
			axes = append(axes, int64(i))
		} else if free && !a.Has("dim") {
			c.Note("squeeze() without an axis keeps free dimensions, of one element too")
		}
	}
	return c.squeeze(x, axes...)
}

// expand repeats axes of one element; -1 keeps an axis.
func (c *converter) expand(x *jit.Tensor, sizes []jit.Value) *jit.Tensor {
	in := c.Shape(x)
	if len(sizes) < len(in) {
		c.Contradict("a tensor of %s is expanded to %d axes", c.ShapeText(x), len(sizes))
	}
	out, want := make([]jit.Value, len(sizes)), make([]jit.Value, len(sizes))
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
				c.Require(x, i-more, n)
			}
			c.Unify(d, v)
			c.Contradict("axis %d of a tensor of %s is expanded to %s", i-more, c.ShapeText(x), c.Print(v))
		}
		same = false
	}
	if same {
		return x
	}
	return c.Declare(c.Op("Expand", []any{x, c.Vector(want)}), c.Dtype(x), out)
}

func repeat(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	var by []jit.Value
	if a.Has("repeats") {
		by = a.Sizes("repeats")
	} else {
		by = a.Sizes("dims")
		for len(by) < c.Rank(x) {
			by = append([]jit.Value{int64(1)}, by...)
		}
	}
	if more := len(by) - c.Rank(x); more > 0 {
		x = c.reshape(x, append(slices.Repeat([]jit.Value{int64(1)}, more), c.Shape(x)...))
	}
	shape := c.Shape(x)
	if len(by) != len(shape) {
		c.Contradict("%d repeats are given for a tensor of %s", len(by), c.ShapeText(x))
	}
	for i := range shape {
		shape[i] = c.Arithmetic("mul", shape[i], by[i])
	}
	return c.Declare(c.Op("Tile", []any{x, c.Vector(by)}), c.Dtype(x), shape)
}

// repeatInterleave repeats each element along an axis, as many times for all.
func repeatInterleave(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if !a.Has("dim") {
		x = c.reshape(x, []jit.Value{int64(-1)})
	}
	if t, ok := a.Get("repeats").(*jit.Tensor); ok && t.Scalar == nil {
		c.Refuse("a number of repeats for each element is not supported")
	}
	at := a.Axis("dim", c.Rank(x), 0)
	n := c.Settle(c.Lift(a.Get("repeats")))
	shape := c.Shape(x)
	wide := slices.Insert(slices.Clone(shape), at+1, n)
	y := c.expand(c.unsqueeze(x, int64(at+1)), wide)
	shape[at] = c.Arithmetic("mul", shape[at], n)
	return c.reshape(y, shape)
}

func pixelShuffle(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	y := c.Op("DepthToSpace", []any{x}, onnx.AInt("blocksize", a.Int("upscale_factor", 1)), onnx.AStr("mode", "CRD"))
	return y
}

// pixelUnshuffle is the other way round; ONNX's operator for it orders channels
// otherwise.
func pixelUnshuffle(c *converter, a *jit.Args) jit.Value {
	x, r := a.Tensor("self"), a.Int("downscale_factor", 1)
	s := c.Shape(x)
	if len(s) != 4 {
		c.Contradict("a tensor of %s is no batch of pictures", c.ShapeText(x))
	}
	h, w := c.Arithmetic("floordiv", s[2], r), c.Arithmetic("floordiv", s[3], r)
	y := c.reshape(x, []jit.Value{s[0], s[1], h, r, w, r})
	y = c.transpose(y, 0, 1, 3, 5, 2, 4)
	return c.reshape(y, []jit.Value{s[0], c.Arithmetic("mul", s[1], r*r), h, w})
}

func channelShuffle(c *converter, a *jit.Args) jit.Value {
	x, g := a.Tensor("self"), a.Int("groups", 1)
	s := c.Shape(x)
	y := c.reshape(x, append([]jit.Value{s[0], g, c.Arithmetic("floordiv", s[1], g)}, s[2:]...))
	return c.reshape(c.swap(y, 1, 2), s)
}

func triangle(upper int64) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		x := a.Tensor("self")
		t := c.Dtype(x)
		in := x
		if t == tensor.Bool {
			in = c.Cast(x, tensor.Int32)
		}
		y := c.Op("Trilu", []any{in, c.ScalarTensor(tensor.Int64, a.Int("diagonal", 0))}, onnx.AInt("upper", upper))
		return c.Cast(c.Declare(y, c.Dtype(in), c.Shape(x)), t)
	}
}

func flip(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	return c.flip(x, a.Axes("dims", c.Rank(x))...)
}

// flip turns axes round.
func (c *converter) flip(x *jit.Tensor, axes ...int64) *jit.Tensor {
	n := len(axes)
	if n == 0 {
		return x
	}
	back := slices.Repeat([]int64{-1}, n)
	y := c.Op("Slice", []any{x, c.Ints(back...), c.Ints(slices.Repeat([]int64{math.MinInt64 + 1}, n)...), c.Ints(axes...), c.Ints(back...)})
	return c.Declare(y, c.Dtype(x), c.Shape(x))
}

// roll moves elements along axes; those that fall off come in at the other end.
func roll(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axes := a.Axes("dims", c.Rank(x))
	shifts := a.Sizes("shifts")
	if len(axes) != len(shifts) {
		c.Refuse("a roll over all axes at once is not supported")
	}
	t, shape := c.Dtype(x), c.Shape(x)
	for i, axis := range axes {
		if shifts[i] == int64(0) {
			continue
		}
		cut := c.Arithmetic("remainder", c.Neg(shifts[i]), shape[axis])
		if cut == int64(0) {
			continue
		}
		front := c.slice(x, int(axis), int64(0), cut, 1)
		back := c.slice(x, int(axis), cut, int64(math.MaxInt64), 1)
		x = c.Declare(c.Op("Concat", []any{back, front}, onnx.AInt("axis", axis)), t, shape)
	}
	return x
}

// diagonal takes the elements whose places along two axes are the same.
func diagonal(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if a.Int("offset", 0) != 0 || c.Rank(x) < 2 {
		c.Refuse("only the main diagonal is supported")
	}
	i, j := a.Axis("dim1", c.Rank(x), 0), a.Axis("dim2", c.Rank(x), 1)
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return int(k) == i || int(k) == j })
	return c.squareDiagonal(c.transpose(x, append(rest, int64(i), int64(j))...))
}

// squareDiagonal is that of the last two axes, which must be of one size.
func (c *converter) squareDiagonal(x *jit.Tensor) *jit.Tensor {
	last := c.Rank(x) - 1
	n := c.Fixed(x, last)
	if m := c.Fixed(x, last-1); m != n {
		c.Refuse("the diagonal of %dx%d is not supported, only of a square", m, n)
	}
	flat := c.reshape(x, append(slices.Clone(c.Shape(x)[:last-1]), n*n))
	return c.slice(flat, last-1, int64(0), int64(math.MaxInt64), n+1)
}

// unfold gives all windows along an axis, as a further axis at the end.
func unfold(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	at, size, step := a.Axis("dimension", c.Rank(x), 0), a.Int("size", 1), a.Int("step", 1)
	if size < 1 || step < 1 || size > maxKernel {
		c.Contradict("windows of %d, each %d further, make no sense", size, step)
	}
	d := c.Shape(x)[at]
	n := c.Arithmetic("add", c.Arithmetic("floordiv", c.Arithmetic("sub", d, size), step), int64(1))
	first := c.Op("Mul", []any{c.unsqueeze(c.rangeOf(int64(0), n), 1), c.Ints(step)})
	index := c.Op("Add", []any{first, c.unsqueeze(c.rangeOf(int64(0), size), 0)})
	y := c.Op("Gather", []any{x, index}, onnx.AInt("axis", int64(at)))
	perm := c.order(y)
	perm = append(slices.Delete(perm, at+1, at+2), int64(at+1))
	return c.transpose(y, perm...)
}
