package aten

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// joinOps put tensors together and take them apart.
func joinOps() map[string]operator {
	out := map[string]operator{
		"stack": {"tensors dim", stack},
		"hstack": {"tensors", func(c *converter, a *jit.Args) jit.Value {
			ts := a.Tensors("tensors")
			return c.concat(ts, min(1, c.Rank(ts[0])-1))
		}},
		"vstack":       {"tensors", func(c *converter, a *jit.Args) jit.Value { return c.concat(a.Tensors("tensors"), 0) }},
		"split":        {"self split_size dim", split},
		"chunk":        {"self chunks dim", chunk},
		"tensor_split": {"self chunks dim", tensorSplit},
		"unbind": {"self dim", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return &jit.List{Items: c.unbind(x, a.Axis("dim", c.Rank(x), 0))}
		}},
		"select": {"self dim index", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.pick(x, a.Axis("dim", c.Rank(x), 0), a.Get("index"))
		}},
		"slice":             {"self dim start end step", sliceOp},
		"narrow":            {"self dim start length", narrow},
		"broadcast_tensors": {"tensors", broadcastTensors},
		"meshgrid":          {"tensors indexing", meshgrid},
		"copy":              {"self src non_blocking", copyInto},
		"fill":              {"self value", fill},
		"zero":              {"self", fill},
	}
	out["cat"] = operator{"tensors dim", func(c *converter, a *jit.Args) jit.Value {
		ts := a.Tensors("tensors")
		if len(ts) == 0 {
			c.Fail(stoa.Invalid, "no tensors are put together")
		}
		return c.concat(ts, a.Axis("dim", c.Rank(ts[0]), 0))
	}}
	return out
}

// concat puts tensors behind each other.
func (c *converter) concat(ts []*jit.Tensor, axis int) *jit.Tensor {
	if len(ts) == 1 {
		return ts[0]
	}
	t := tensor.Undefined
	for _, x := range ts {
		t = jit.Wider(t, c.Dtype(x))
	}
	var in []any
	shape := slices.Clone(c.Shape(ts[0]))
	for i, x := range ts {
		s := c.Shape(x)
		if len(s) == 1 && s[0] == int64(0) {
			continue // an empty list, to which code adds
		}
		if i > 0 && len(s) == len(shape) {
			for k := range s {
				if k != axis && !c.compareEach(s[k], shape[k]) {
					c.Unify(s[k], shape[k])
					c.Contradict("tensors of %s and %s are put behind each other along axis %d", c.ShapeText(ts[0]), c.ShapeText(x), axis)
				}
			}
			shape[axis] = c.Arithmetic("add", shape[axis], s[axis])
		}
		in = append(in, c.Cast(x, t))
	}
	y := c.Op("Concat", in, onnx.AInt("axis", int64(axis)))
	return y
}

func stack(c *converter, a *jit.Args) jit.Value {
	ts := a.Tensors("tensors")
	if len(ts) == 0 {
		c.Fail(stoa.Invalid, "no tensors are put together")
	}
	axis := a.Axis("dim", c.Rank(ts[0])+1, 0)
	wide := make([]*jit.Tensor, len(ts))
	for i, x := range ts {
		wide[i] = c.unsqueeze(x, int64(axis))
	}
	return c.concat(wide, axis)
}

// cuts takes pieces of the given sizes, one behind the other.
func (c *converter) cuts(x *jit.Tensor, axis int, sizes []jit.Value) jit.Value {
	if len(sizes) == 1 {
		return &jit.List{Items: []jit.Value{x}}
	}
	var ints []int64
	for _, s := range sizes {
		if n, ok := s.(int64); ok {
			ints = append(ints, n)
		}
	}
	total := jit.Value(int64(0))
	for _, s := range sizes {
		total = c.Arithmetic("add", total, s)
	}
	if !c.compareEach(total, c.Shape(x)[axis]) {
		if n, ok := total.(int64); ok {
			c.Require(x, axis, n)
		}
		c.Contradict("axis %d of a tensor of %s is cut into %s", axis, c.ShapeText(x), c.sizesText(sizes))
	}
	out := &jit.List{}
	if len(ints) == len(sizes) {
		for _, t := range c.Node("Split", []any{x, c.Ints(ints...)}, len(sizes), onnx.AInt("axis", int64(axis))) {
			out.Items = append(out.Items, t)
		}
		return out
	}
	from := jit.Value(int64(0))
	for _, s := range sizes {
		upTo := c.Arithmetic("add", from, s)
		out.Items = append(out.Items, c.slice(x, axis, from, upTo, 1))
		from = upTo
	}
	return out
}

func split(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), 0)
	if _, isList := jit.Items(a.Get("split_size")); isList {
		return c.cuts(x, axis, a.Sizes("split_size"))
	}
	return c.equalCuts(x, axis, a.Sizes("split_size")[0])
}

// equalCuts takes pieces of one size; the last may be shorter.
func (c *converter) equalCuts(x *jit.Tensor, axis int, size jit.Value) jit.Value {
	d := c.Shape(x)[axis]
	n, ok := c.Arithmetic("floordiv", c.Arithmetic("sub", c.Arithmetic("add", d, size), int64(1)), size).(int64)
	if !ok || n < 1 || n > 4096 {
		c.Contradict("into how many pieces a tensor is cut depends on the size of an input")
	}
	var sizes []jit.Value
	for i := range n {
		s := size
		if i == n-1 {
			s = c.Arithmetic("sub", d, c.Arithmetic("mul", size, n-1))
		}
		sizes = append(sizes, s)
	}
	return c.cuts(x, axis, sizes)
}

func chunk(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis, n := a.Axis("dim", c.Rank(x), 0), a.Int("chunks", 1)
	if n < 1 {
		c.Contradict("%d chunks make no sense", n)
	}
	d := c.Shape(x)[axis]
	size := c.Arithmetic("floordiv", c.Arithmetic("add", d, n-1), n)
	return c.equalCuts(x, axis, size)
}

// tensorSplit makes n pieces, the first ones longer by one.
func tensorSplit(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if _, isList := jit.Items(a.Get("chunks")); isList {
		c.Refuse("places to cut at are not supported, only a number of pieces")
	}
	axis, n := a.Axis("dim", c.Rank(x), 0), a.Int("chunks", 1)
	d := c.Fixed(x, axis)
	if n < 1 || n > 4096 {
		c.Contradict("%d pieces make no sense", n)
	}
	var sizes []jit.Value
	for i := range n {
		s := d / n
		if i < d%n {
			s++
		}
		sizes = append(sizes, s)
	}
	return c.cuts(x, axis, sizes)
}

func (c *converter) unbind(x *jit.Tensor, axis int) []jit.Value {
	n := c.Fixed(x, axis)
	if n > 4096 {
		c.Refuse("an axis of %d is taken apart", n)
	}
	out := make([]jit.Value, n)
	for i := range out {
		out[i] = c.pick(x, axis, int64(i))
	}
	return out
}

// pick takes one element of an axis, which is gone then.
func (c *converter) pick(x *jit.Tensor, axis int, at jit.Value) *jit.Tensor {
	if t, ok := at.(*jit.Tensor); ok && t.Scalar == nil {
		v, known := c.Content(t)
		if !known {
			return c.Op("Gather", []any{x, c.Cast(t, tensor.Int64)}, onnx.AInt("axis", int64(axis)))
		}
		at = v
	}
	at = c.Settle(c.Lift(at))
	d := c.Shape(x)[axis]
	if n, ok := at.(int64); ok {
		if size, known := d.(int64); known && (n >= size || n < -size) {
			c.Contradict("element %d of axis %d of a tensor of %s is wanted", n, axis, c.ShapeText(x))
		}
	}
	place := at
	if n, ok := at.(int64); ok && n < 0 {
		place = c.Arithmetic("add", d, n)
	}
	return c.tied(x, func() *jit.Tensor {
		return c.Op("Gather", []any{x, c.ScalarTensor(tensor.Int64, at)}, onnx.AInt("axis", int64(axis)))
	}, func(part *jit.Tensor) *jit.Tensor {
		wide := c.Op("Unsqueeze", []any{part, c.Ints(int64(axis))})
		return c.replace(x, wide, axis, place, c.Arithmetic("add", place, int64(1)))
	})
}

// replace gives a tensor with the part from one place up to another changed.
func (c *converter) replace(x, part *jit.Tensor, axis int, from, upTo jit.Value) *jit.Tensor {
	shape, t := c.Shape(x), c.Dtype(x)
	want := slices.Clone(shape)
	want[axis] = c.Arithmetic("sub", upTo, from)
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
	return c.Declare(c.Op("Concat", parts, onnx.AInt("axis", int64(axis))), t, shape)
}

func sliceOp(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), 0)
	from, upTo := jit.Value(int64(0)), jit.Value(int64(math.MaxInt64))
	for name, to := range map[string]*jit.Value{"start": &from, "end": &upTo} {
		if v := a.Get(name); v != nil {
			*to = c.Settle(c.Lift(v))
		}
	}
	return c.slice(x, axis, from, upTo, a.Int("step", 1))
}

// slice takes elements from one place up to another, as Python counts.
func (c *converter) slice(x *jit.Tensor, axis int, from, upTo jit.Value, step int64) *jit.Tensor {
	if step < 1 {
		c.Contradict("a slice by %d makes no sense", step)
	}
	d := c.Shape(x)[axis]
	first, last := c.place(from, d), c.place(upTo, d)
	if first == int64(0) && step == 1 && c.compareEach(last, d) {
		return x
	}
	put := func(part *jit.Tensor) *jit.Tensor { return c.replace(x, part, axis, first, last) }
	if step != 1 {
		put = func(*jit.Tensor) *jit.Tensor {
			c.Refuse("changing every so many elements is not supported")
			return nil
		}
	}
	return c.tied(x, func() *jit.Tensor { return c.cut(x, axis, from, upTo, step) }, put)
}

// place gives where a slice begins or ends, between nought and the size.
func (c *converter) place(at, d jit.Value) jit.Value {
	n, size := c.Lift(at), c.Lift(d)
	out := &jit.Num{}
	clipped, negative := false, false
	for p := range out.N {
		v := n.N[p]
		if v < 0 {
			negative = true
			v += size.N[p]
		}
		out.N[p] = min(max(v, 0), size.N[p])
		clipped = clipped || out.N[p] != v
	}
	switch {
	case out.N == size.N:
		return d
	case !clipped && !negative:
		return at
	case !clipped:
		return c.Arithmetic("add", d, at)
	}
	out.Make = func() string {
		v := at
		if negative {
			v = c.Arithmetic("add", d, at)
		}
		return c.Vec(c.Arithmetic("min", c.Arithmetic("max", v, int64(0)), d))
	}
	return c.Settle(out)
}

func (c *converter) cut(x *jit.Tensor, axis int, from, upTo jit.Value, step int64) *jit.Tensor {
	shape := slices.Clone(c.Shape(x))
	d := shape[axis]
	n := c.Arithmetic("sub", c.place(upTo, d), c.place(from, d))
	n = c.Arithmetic("floordiv", c.Arithmetic("add", n, step-1), step)
	for _, v := range c.Lift(n).N {
		if v <= 0 {
			c.Contradict("a slice of axis %d of a tensor of %s has no elements", axis, c.ShapeText(x))
		}
	}
	shape[axis] = n
	t := c.Dtype(x)
	y := c.Op("Slice", []any{x, c.Vec(from), c.Vec(upTo), c.Ints(int64(axis)), c.Ints(step)})
	return c.Declare(y, t, shape)
}

func narrow(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), 0)
	from := a.Sizes("start")[0]
	return c.slice(x, axis, from, c.Arithmetic("add", from, a.Get("length")), 1)
}

// together gives the shape of several that are broadcast.
func (c *converter) together(ts []*jit.Tensor) []jit.Value {
	var out []jit.Value
	for _, x := range ts {
		s := slices.Clone(c.Shape(x))
		if len(s) < len(out) {
			s, out = out, s
		}
		for i := range out {
			k := len(s) - len(out) + i
			if s[k] == int64(1) {
				s[k] = out[i]
			} else if out[i] != int64(1) && !c.compareEach(s[k], out[i]) {
				c.Unify(s[k], out[i])
				c.Contradict("sizes %s and %s do not fit together", c.Print(s[k]), c.Print(out[i]))
			}
		}
		out = s
	}
	return out
}

func broadcastTensors(c *converter, a *jit.Args) jit.Value {
	ts := a.Tensors("tensors")
	shape := c.together(ts)
	out := &jit.List{}
	for _, x := range ts {
		out.Items = append(out.Items, c.expand(x, shape))
	}
	return out
}

func meshgrid(c *converter, a *jit.Args) jit.Value {
	ts := a.Tensors("tensors")
	n := len(ts)
	place := make([]int, n)
	for i := range place {
		place[i] = i
	}
	if a.Str("indexing", "ij") == "xy" && n > 1 {
		place[0], place[1] = 1, 0
	}
	shape := make([]jit.Value, n)
	for i, x := range ts {
		shape[place[i]] = c.Dim(x, 0)
	}
	out := &jit.List{}
	for i, x := range ts {
		s := slices.Repeat([]jit.Value{int64(1)}, n)
		s[place[i]] = c.Dim(x, 0)
		out.Items = append(out.Items, c.expand(c.reshape(x, s), shape))
	}
	return out
}

// copyInto gives the other's content in the first one's type and shape.
func copyInto(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	y := c.operand(a.Get("src"), c.Dtype(x))
	return &jit.Tensor{Name: c.Use(c.expand(y, c.Shape(x)))}
}

// fill gives a tensor of the same shape with one value everywhere.
func fill(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	v := a.Get("value")
	if v == nil {
		v = int64(0)
	}
	return c.full(c.Shape(x), c.Dtype(x), v)
}
