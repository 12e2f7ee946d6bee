package aten

import (
	"slices"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// indexOps choose elements by numbers that are tensors.
func indexOps() map[string]operator {
	return map[string]operator{
		"index":        {"self indices", func(c *converter, a *jit.Args) jit.Value { return c.index(a.Tensor("self"), a) }},
		"index_put":    {"self indices values accumulate", indexPut},
		"index_select": {"self dim index", indexSelect},
		"gather": {"self dim index sparse_grad", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.Op("GatherElements", []any{x, c.asIndex(a.Tensor("index"))}, onnx.AInt("axis", int64(a.Axis("dim", c.Rank(x), 0))))
		}},
		"take_along_dim": {"self index dim", takeAlong},
		"scatter":        {"self dim index src reduce", scatter("none")},
		"scatter_add":    {"self dim index src", scatter("add")},
		"topk":           {"self k dim largest sorted", topk},
		"sort":           {"self dim descending", sortOp},
		"argsort":        {"self dim descending", func(c *converter, a *jit.Args) jit.Value { return sorted(c, a)[1] }},
		"one_hot":        {"self num_classes", oneHot},
		"select_scatter": {"self src dim index", selectScatter},
	}
}

func indexSelect(c *converter, a *jit.Args) jit.Value {
	x, index := a.Tensor("self"), a.Tensor("index")
	if index.Name == "" {
		index = c.unsqueeze(index, 0)
	}
	return c.Op("Gather", []any{x, c.asIndex(index)}, onnx.AInt("axis", int64(a.Axis("dim", c.Rank(x), 0))))
}

// indices gives the axes that have an index, and those indices.
func (c *converter) indices(x *jit.Tensor, a *jit.Args) (axes []int64, index []*jit.Tensor) {
	vs, _ := jit.Items(a.Get("indices"))
	for i, v := range vs {
		if v == nil {
			continue
		}
		t, ok := v.(*jit.Tensor)
		if !ok || i >= c.Rank(x) {
			c.Contradict("index %d is a %s", i, jit.KindOf(v))
		}
		axes, index = append(axes, int64(i)), append(index, t)
	}
	return axes, index
}

func (c *converter) isMask(t *jit.Tensor) bool {
	d := c.Dtype(t)
	return d == tensor.Bool || d == tensor.Uint8
}

func (c *converter) index(x *jit.Tensor, a *jit.Args) jit.Value {
	axes, index := c.indices(x, a)
	if len(axes) == 0 {
		return x
	}
	if slices.ContainsFunc(index, c.isMask) {
		c.Refuse("a mask as an index gives as many elements as it has, which is not supported")
	}
	if len(axes) == 1 {
		return c.Op("Gather", []any{x, c.asIndex(index[0])}, onnx.AInt("axis", axes[0]))
	}
	together, wide := c.broadcastIndex(index)
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return slices.Contains(axes, k) })
	shape := c.Shape(x)
	out := slices.Clone(together)
	for _, k := range rest {
		out = append(out, shape[k])
	}
	front := c.transpose(x, slices.Concat(axes, rest)...)
	t := c.Dtype(x)
	y := c.Declare(c.Op("GatherND", []any{front, wide}), t, out)
	if axes[len(axes)-1]-axes[0] != int64(len(axes)-1) || axes[0] == 0 {
		return y
	}
	// Indices side by side: their axes stand where they stood.
	n, before := int64(len(together)), axes[0]
	var perm []int64
	for k := range before {
		perm = append(perm, n+k)
	}
	for k := range n {
		perm = append(perm, k)
	}
	for k := n + before; k < int64(len(out)); k++ {
		perm = append(perm, k)
	}
	return c.transpose(y, perm...)
}

// broadcastIndex puts indices side by side along a new last axis.
func (c *converter) broadcastIndex(index []*jit.Tensor) (shape []jit.Value, wide *jit.Tensor) {
	for i, t := range index {
		index[i] = c.Cast(c.asIndex(t), tensor.Int64)
	}
	shape = c.together(index)
	parts := make([]*jit.Tensor, len(index))
	for i, t := range index {
		parts[i] = c.unsqueeze(c.expand(t, shape), int64(len(shape)))
	}
	return shape, c.concat(parts, len(shape))
}

// indexPut changes elements: those of a mask to one value, or those at indices.
func indexPut(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axes, index := c.indices(x, a)
	t := c.Dtype(x)
	v := c.operand(a.Get("values"), t)
	if len(index) == 1 && !a.Bool("accumulate", false) && c.isMask(index[0]) && axes[0] == 0 {
		if n := c.Rank(v); n > 1 || n == 1 && c.Dim(v, 0) != int64(1) {
			c.Refuse("a mask together with more than one value is not supported")
		}
		mask := c.asBool(index[0])
		var more []int64
		for k := c.Rank(mask); k < c.Rank(x); k++ {
			more = append(more, int64(k))
		}
		if len(more) > 0 {
			mask = c.unsqueeze(mask, more...)
		}
		return c.Op("Where", []any{mask, v, x})
	}
	if slices.ContainsFunc(index, c.isMask) || len(axes) == 0 {
		c.Refuse("this mixture of masks and indices is not supported")
	}
	together, wide := c.broadcastIndex(index)
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return slices.Contains(axes, k) })
	perm := slices.Concat(axes, rest)
	front := c.transpose(x, perm...)
	shape := slices.Clone(together)
	for _, k := range rest {
		shape = append(shape, c.Shape(x)[k])
	}
	var attrs []onnx.Attribute
	if a.Bool("accumulate", false) {
		attrs = append(attrs, onnx.AStr("reduction", "add"))
	}
	y := c.Declare(c.Op("ScatterND", []any{front, wide, c.expand(v, shape)}, attrs...), t, c.Shape(front))
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return c.transpose(y, back...)
}

func takeAlong(c *converter, a *jit.Args) jit.Value {
	x, index := a.Tensor("self"), a.Tensor("index")
	if !a.Has("dim") {
		x, index = c.reshape(x, []jit.Value{int64(-1)}), c.reshape(index, []jit.Value{int64(-1)})
	}
	axis := a.Axis("dim", c.Rank(x), 0)
	want := slices.Clone(c.Shape(x))
	want[axis] = c.Shape(index)[axis]
	return c.Op("GatherElements", []any{x, c.asIndex(c.expand(index, want))}, onnx.AInt("axis", int64(axis)))
}

func scatter(reduction string) func(c *converter, a *jit.Args) jit.Value {
	return func(c *converter, a *jit.Args) jit.Value {
		x, index := a.Tensor("self"), c.asIndex(a.Tensor("index"))
		t := c.Dtype(x)
		how := reduction
		if r := a.Str("reduce", ""); r != "" {
			how = map[string]string{"add": "add", "multiply": "mul"}[r]
			if how == "" {
				c.Refuse("reduce %.40s is not supported", r)
			}
		}
		src := c.operand(a.Get("src"), t)
		if v, ok := a.Vals["value"]; ok {
			src = c.operand(v, t)
		}
		if c.Rank(src) == 0 {
			src = c.expand(c.reshape(src, slices.Repeat([]jit.Value{int64(1)}, c.Rank(x))), c.Shape(index))
		} else if !c.sameSizes(c.Shape(src), c.Shape(index)) {
			for i, d := range c.Shape(index) {
				src = c.slice(src, i, int64(0), d, 1)
			}
		}
		attrs := []onnx.Attribute{onnx.AInt("axis", int64(a.Axis("dim", c.Rank(x), 0)))}
		if how != "none" {
			attrs = append(attrs, onnx.AStr("reduction", how))
		}
		return c.Declare(c.Op("ScatterElements", []any{x, index, src}, attrs...), t, c.Shape(x))
	}
}

func topk(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	k := a.Sizes("k")[0]
	axis := a.Axis("dim", c.Rank(x), -1)
	return c.ordered(x, k, axis, way(a.Bool("largest", true)))
}

// way is 1 for the largest first, else 0.
func way(largest bool) int64 {
	return map[bool]int64{true: 1}[largest]
}

// ordered gives the k first of an axis and their places.
func (c *converter) ordered(x *jit.Tensor, k jit.Value, axis int, way int64) jit.Tuple {
	shape := slices.Clone(c.Shape(x))
	shape[axis] = k
	out := c.Node("TopK", []any{x, c.Vec(k)}, 2, onnx.AInt("axis", int64(axis)), onnx.AInt("largest", way), onnx.AInt("sorted", 1))
	t := c.Dtype(x)
	return jit.Tuple{c.Declare(out[0], t, shape), c.Declare(out[1], tensor.Int64, shape)}
}

func sortOp(c *converter, a *jit.Args) jit.Value { return sorted(c, a) }

func sorted(c *converter, a *jit.Args) jit.Tuple {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), -1)
	return c.ordered(x, c.Shape(x)[axis], axis, way(a.Bool("descending", false)))
}

func oneHot(c *converter, a *jit.Args) jit.Value {
	x, n := a.Tensor("self"), a.Int("num_classes", -1)
	if n < 0 {
		c.Refuse("without a number of classes the result is as wide as its largest element, which is not supported")
	}
	y := c.Op("OneHot", []any{c.asIndex(x), c.Ints(n), c.Ints(0, 1)}, onnx.AInt("axis", -1))
	return c.Declare(y, tensor.Int64, append(slices.Clone(c.Shape(x)), n))
}

func selectScatter(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), 0)
	at := c.place(c.Settle(c.Lift(a.Get("index"))), c.Shape(x)[axis])
	return c.replace(x, c.unsqueeze(a.Tensor("src"), int64(axis)), axis, at, c.Arithmetic("add", at, int64(1)))
}
