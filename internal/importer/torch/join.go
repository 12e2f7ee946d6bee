package torch

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// joinOps put tensors together and take them apart.
func joinOps() map[string]operator {
	out := map[string]operator{
		"stack": {"tensors dim", stack},
		"hstack": {"tensors", func(c *converter, a *args) value {
			ts := a.tens("tensors")
			return c.concat(ts, min(1, c.rank(ts[0])-1))
		}},
		"vstack":       {"tensors", func(c *converter, a *args) value { return c.concat(a.tens("tensors"), 0) }},
		"split":        {"self split_size dim", split},
		"chunk":        {"self chunks dim", chunk},
		"tensor_split": {"self chunks dim", tensorSplit},
		"unbind": {"self dim", func(c *converter, a *args) value {
			x := a.ten("self")
			return &list{c.unbind(x, a.axis("dim", c.rank(x), 0))}
		}},
		"select": {"self dim index", func(c *converter, a *args) value {
			x := a.ten("self")
			return c.pick(x, a.axis("dim", c.rank(x), 0), a.get("index"))
		}},
		"slice":             {"self dim start end step", sliceOp},
		"narrow":            {"self dim start length", narrow},
		"broadcast_tensors": {"tensors", broadcastTensors},
		"meshgrid":          {"tensors indexing", meshgrid},
		"copy":              {"self src non_blocking", copyInto},
		"fill":              {"self value", fill},
		"zero":              {"self", fill},
	}
	out["cat"] = operator{"tensors dim", func(c *converter, a *args) value {
		ts := a.tens("tensors")
		if len(ts) == 0 {
			c.fail(stoa.Invalid, "no tensors are put together")
		}
		return c.concat(ts, a.axis("dim", c.rank(ts[0]), 0))
	}}
	return out
}

// concat puts tensors behind each other.
func (c *converter) concat(ts []*ten, axis int) *ten {
	if len(ts) == 1 {
		return ts[0]
	}
	t := tensor.Undefined
	for _, x := range ts {
		t = wider(t, c.dtype(x))
	}
	var in []any
	shape := slices.Clone(c.shape(ts[0]))
	for i, x := range ts {
		s := c.shape(x)
		if len(s) == 1 && s[0] == int64(0) {
			continue // an empty list, to which code adds
		}
		if i > 0 && len(s) == len(shape) {
			for k := range s {
				if k != axis && !c.compareEach(s[k], shape[k]) {
					c.unify(s[k], shape[k])
					c.contradict("tensors of %s and %s are put behind each other along axis %d", c.shapeText(ts[0]), c.shapeText(x), axis)
				}
			}
			shape[axis] = c.arithmetic("add", shape[axis], s[axis])
		}
		in = append(in, c.cast(x, t))
	}
	y := c.op("Concat", in, onnx.AInt("axis", int64(axis)))
	return y
}

func stack(c *converter, a *args) value {
	ts := a.tens("tensors")
	if len(ts) == 0 {
		c.fail(stoa.Invalid, "no tensors are put together")
	}
	axis := a.axis("dim", c.rank(ts[0])+1, 0)
	wide := make([]*ten, len(ts))
	for i, x := range ts {
		wide[i] = c.unsqueeze(x, int64(axis))
	}
	return c.concat(wide, axis)
}

// cuts takes pieces of the given sizes, one behind the other.
func (c *converter) cuts(x *ten, axis int, sizes []value) value {
	if len(sizes) == 1 {
		return &list{[]value{x}}
	}
	var ints []int64
	for _, s := range sizes {
		if n, ok := s.(int64); ok {
			ints = append(ints, n)
		}
	}
	total := value(int64(0))
	for _, s := range sizes {
		total = c.arithmetic("add", total, s)
	}
	if !c.compareEach(total, c.shape(x)[axis]) {
		if n, ok := total.(int64); ok {
			c.require(x, axis, n)
		}
		c.contradict("axis %d of a tensor of %s is cut into %s", axis, c.shapeText(x), c.sizesText(sizes))
	}
	out := &list{}
	if len(ints) == len(sizes) {
		for _, t := range c.node("Split", []any{x, c.ints(ints...)}, len(sizes), onnx.AInt("axis", int64(axis))) {
			out.items = append(out.items, t)
		}
		return out
	}
	from := value(int64(0))
	for _, s := range sizes {
		upTo := c.arithmetic("add", from, s)
		out.items = append(out.items, c.slice(x, axis, from, upTo, 1))
		from = upTo
	}
	return out
}

func split(c *converter, a *args) value {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), 0)
	if _, isList := items(a.get("split_size")); isList {
		return c.cuts(x, axis, a.sizes("split_size"))
	}
	return c.equalCuts(x, axis, a.sizes("split_size")[0])
}

// equalCuts takes pieces of one size; the last may be shorter.
func (c *converter) equalCuts(x *ten, axis int, size value) value {
	d := c.shape(x)[axis]
	n, ok := c.arithmetic("floordiv", c.arithmetic("sub", c.arithmetic("add", d, size), int64(1)), size).(int64)
	if !ok || n < 1 || n > 4096 {
		c.contradict("into how many pieces a tensor is cut depends on the size of an input")
	}
	var sizes []value
	for i := range n {
		s := size
		if i == n-1 {
			s = c.arithmetic("sub", d, c.arithmetic("mul", size, n-1))
		}
		sizes = append(sizes, s)
	}
	return c.cuts(x, axis, sizes)
}

func chunk(c *converter, a *args) value {
	x := a.ten("self")
	axis, n := a.axis("dim", c.rank(x), 0), a.int("chunks", 1)
	if n < 1 {
		c.contradict("%d chunks make no sense", n)
	}
	d := c.shape(x)[axis]
	size := c.arithmetic("floordiv", c.arithmetic("add", d, n-1), n)
	return c.equalCuts(x, axis, size)
}

// tensorSplit makes n pieces, the first ones longer by one.
func tensorSplit(c *converter, a *args) value {
	x := a.ten("self")
	if _, isList := items(a.get("chunks")); isList {
		c.refuse("places to cut at are not supported, only a number of pieces")
	}
	axis, n := a.axis("dim", c.rank(x), 0), a.int("chunks", 1)
	d := c.fixed(x, axis)
	if n < 1 || n > 4096 {
		c.contradict("%d pieces make no sense", n)
	}
	var sizes []value
	for i := range n {
		s := d / n
		if i < d%n {
			s++
		}
		sizes = append(sizes, s)
	}
	return c.cuts(x, axis, sizes)
}

func (c *converter) unbind(x *ten, axis int) []value {
	n := c.fixed(x, axis)
	if n > 4096 {
		c.refuse("an axis of %d is taken apart", n)
	}
	out := make([]value, n)
	for i := range out {
		out[i] = c.pick(x, axis, int64(i))
	}
	return out
}

// pick takes one element of an axis, which is gone then.
func (c *converter) pick(x *ten, axis int, at value) *ten {
	if t, ok := at.(*ten); ok && t.scalar == nil {
		if v, known := c.content(t); known {
			at = v
		} else {
			return c.op("Gather", []any{x, c.cast(t, tensor.Int64)}, onnx.AInt("axis", int64(axis)))
		}
	}
	at = c.settle(c.lift(at))
	d := c.shape(x)[axis]
	if n, ok := at.(int64); ok {
		if size, known := d.(int64); known && (n >= size || n < -size) {
			c.contradict("element %d of axis %d of a tensor of %s is wanted", n, axis, c.shapeText(x))
		}
	}
	place := at
	if n, ok := at.(int64); ok && n < 0 {
		place = c.arithmetic("add", d, n)
	}
	return c.tied(x, func() *ten {
		return c.op("Gather", []any{x, c.scalarTensor(tensor.Int64, at)}, onnx.AInt("axis", int64(axis)))
	}, func(part *ten) *ten {
		wide := c.op("Unsqueeze", []any{part, c.ints(int64(axis))})
		return c.replace(x, wide, axis, place, c.arithmetic("add", place, int64(1)))
	})
}

// replace gives a tensor with the part from one place up to another changed.
func (c *converter) replace(x, part *ten, axis int, from, upTo value) *ten {
	shape, t := c.shape(x), c.dtype(x)
	want := slices.Clone(shape)
	want[axis] = c.arithmetic("sub", upTo, from)
	part = c.expand(part, want)
	var parts []any
	if from != int64(0) {
		parts = append(parts, c.cut(x, axis, int64(0), from, 1))
	}
	parts = append(parts, part)
	if !c.compareEach(upTo, shape[axis]) {
		parts = append(parts, c.cut(x, axis, upTo, int64(math.MaxInt64), 1))
	}
	if len(parts) == 1 {
		return part
	}
	return c.declare(c.op("Concat", parts, onnx.AInt("axis", int64(axis))), t, shape)
}

func sliceOp(c *converter, a *args) value {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), 0)
	from, upTo := value(int64(0)), value(int64(math.MaxInt64))
	for name, to := range map[string]*value{"start": &from, "end": &upTo} {
		if v := a.get(name); v != nil {
			*to = c.settle(c.lift(v))
		}
	}
	return c.slice(x, axis, from, upTo, a.int("step", 1))
}

// slice takes elements from one place up to another, as Python counts.
func (c *converter) slice(x *ten, axis int, from, upTo value, step int64) *ten {
	if step < 1 {
		c.contradict("a slice by %d makes no sense", step)
	}
	d := c.shape(x)[axis]
	first, last := c.place(from, d), c.place(upTo, d)
	if first == int64(0) && step == 1 && c.compareEach(last, d) {
		return x
	}
	put := func(part *ten) *ten { return c.replace(x, part, axis, first, last) }
	if step != 1 {
		put = func(*ten) *ten { c.refuse("changing every so many elements is not supported"); return nil }
	}
	return c.tied(x, func() *ten { return c.cut(x, axis, from, upTo, step) }, put)
}

// place gives where a slice begins or ends, between nought and the size.
func (c *converter) place(at, d value) value {
	n, size := c.lift(at), c.lift(d)
	out := &num{}
	clipped, negative := false, false
	for p := range out.n {
		v := n.n[p]
		if v < 0 {
			negative = true
			v += size.n[p]
		}
		out.n[p] = min(max(v, 0), size.n[p])
		clipped = clipped || out.n[p] != v
	}
	switch {
	case out.n == size.n:
		return d
	case !clipped && !negative:
		return at
	case !clipped:
		return c.arithmetic("add", d, at)
	}
	out.make = func() string {
		v := at
		if negative {
			v = c.arithmetic("add", d, at)
		}
		return c.vec(c.arithmetic("min", c.arithmetic("max", v, int64(0)), d))
	}
	return c.settle(out)
}

func (c *converter) cut(x *ten, axis int, from, upTo value, step int64) *ten {
	shape := slices.Clone(c.shape(x))
	d := shape[axis]
	n := c.arithmetic("sub", c.place(upTo, d), c.place(from, d))
	n = c.arithmetic("floordiv", c.arithmetic("add", n, step-1), step)
	for _, v := range c.lift(n).n {
		if v <= 0 {
			c.contradict("a slice of axis %d of a tensor of %s has no elements", axis, c.shapeText(x))
		}
	}
	shape[axis] = n
	t := c.dtype(x)
	y := c.op("Slice", []any{x, c.vec(from), c.vec(upTo), c.ints(int64(axis)), c.ints(step)})
	return c.declare(y, t, shape)
}

func narrow(c *converter, a *args) value {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), 0)
	from := a.sizes("start")[0]
	return c.slice(x, axis, from, c.arithmetic("add", from, a.get("length")), 1)
}

// together gives the shape of several that are broadcast.
func (c *converter) together(ts []*ten) []value {
	var out []value
	for _, x := range ts {
		s := slices.Clone(c.shape(x))
		if len(s) < len(out) {
			s, out = out, s
		}
		for i := range out {
			k := len(s) - len(out) + i
			if s[k] == int64(1) {
				s[k] = out[i]
			} else if out[i] != int64(1) && !c.compareEach(s[k], out[i]) {
				c.unify(s[k], out[i])
				c.contradict("sizes %s and %s do not fit together", c.print(s[k]), c.print(out[i]))
			}
		}
		out = s
	}
	return out
}

func broadcastTensors(c *converter, a *args) value {
	ts := a.tens("tensors")
	shape := c.together(ts)
	out := &list{}
	for _, x := range ts {
		out.items = append(out.items, c.expand(x, shape))
	}
	return out
}

func meshgrid(c *converter, a *args) value {
	ts := a.tens("tensors")
	n := len(ts)
	place := make([]int, n)
	for i := range place {
		place[i] = i
	}
	if a.str("indexing", "ij") == "xy" && n > 1 {
		place[0], place[1] = 1, 0
	}
	shape := make([]value, n)
	for i, x := range ts {
		shape[place[i]] = c.dim(x, 0)
	}
	out := &list{}
	for i, x := range ts {
		s := slices.Repeat([]value{int64(1)}, n)
		s[place[i]] = c.dim(x, 0)
		out.items = append(out.items, c.expand(c.reshape(x, s), shape))
	}
	return out
}

// copyInto gives the other's content in the first one's type and shape.
func copyInto(c *converter, a *args) value {
	x := a.ten("self")
	y := c.operand(a.get("src"), c.dtype(x))
	return &ten{name: c.use(c.expand(y, c.shape(x)))}
}

// fill gives a tensor of the same shape with one value everywhere.
func fill(c *converter, a *args) value {
	x := a.ten("self")
	v := a.get("value")
	if v == nil {
		v = int64(0)
	}
	return c.full(c.shape(x), c.dtype(x), v)
}
