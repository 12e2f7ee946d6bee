package torch

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// indexOps choose elements by numbers that are tensors.
func indexOps() map[string]operator {
	return map[string]operator{
		"index":        {"self indices", func(c *converter, a *args) value { return c.index(a.ten("self"), a) }},
		"index_put":    {"self indices values accumulate", indexPut},
		"index_select": {"self dim index", indexSelect},
		"gather": {"self dim index sparse_grad", func(c *converter, a *args) value {
			x := a.ten("self")
			return c.op("GatherElements", []any{x, c.asIndex(a.ten("index"))}, onnx.AInt("axis", int64(a.axis("dim", c.rank(x), 0))))
		}},
		"take_along_dim": {"self index dim", takeAlong},
		"scatter":        {"self dim index src reduce", scatter("none")},
		"scatter_add":    {"self dim index src", scatter("add")},
		"topk":           {"self k dim largest sorted", topk},
		"sort":           {"self dim descending", sortOp},
		"argsort":        {"self dim descending", func(c *converter, a *args) value { return sorted(c, a)[1] }},
		"one_hot":        {"self num_classes", oneHot},
		"select_scatter": {"self src dim index", selectScatter},
	}
}

func indexSelect(c *converter, a *args) value {
	x, index := a.ten("self"), a.ten("index")
	if index.name == "" {
		index = c.unsqueeze(index, 0)
	}
	return c.op("Gather", []any{x, c.asIndex(index)}, onnx.AInt("axis", int64(a.axis("dim", c.rank(x), 0))))
}

// indices gives the axes that have an index, and those indices.
func (c *converter) indices(x *ten, a *args) (axes []int64, index []*ten) {
	vs, _ := items(a.get("indices"))
	for i, v := range vs {
		if v == nil {
			continue
		}
		t, ok := v.(*ten)
		if !ok || i >= c.rank(x) {
			c.contradict("index %d is a %s", i, kindOf(v))
		}
		axes, index = append(axes, int64(i)), append(index, t)
	}
	return axes, index
}

func (c *converter) isMask(t *ten) bool {
	d := c.dtype(t)
	return d == tensor.Bool || d == tensor.Uint8
}

func (c *converter) index(x *ten, a *args) value {
	axes, index := c.indices(x, a)
	if len(axes) == 0 {
		return x
	}
	if slices.ContainsFunc(index, c.isMask) {
		c.refuse("a mask as an index gives as many elements as it has, which is not supported")
	}
	if len(axes) == 1 {
		return c.op("Gather", []any{x, c.asIndex(index[0])}, onnx.AInt("axis", axes[0]))
	}
	together, wide := c.broadcastIndex(index)
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return slices.Contains(axes, k) })
	shape := c.shape(x)
	out := slices.Clone(together)
	for _, k := range rest {
		out = append(out, shape[k])
	}
	front := c.transpose(x, slices.Concat(axes, rest)...)
	t := c.dtype(x)
	y := c.declare(c.op("GatherND", []any{front, wide}), t, out)
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
func (c *converter) broadcastIndex(index []*ten) (shape []value, wide *ten) {
	for i, t := range index {
		index[i] = c.cast(c.asIndex(t), tensor.Int64)
	}
	shape = c.together(index)
	parts := make([]*ten, len(index))
	for i, t := range index {
		parts[i] = c.unsqueeze(c.expand(t, shape), int64(len(shape)))
	}
	return shape, c.concat(parts, len(shape))
}

// indexPut changes elements: those of a mask to one value, or those at indices.
func indexPut(c *converter, a *args) value {
	x := a.ten("self")
	axes, index := c.indices(x, a)
	t := c.dtype(x)
	v := c.operand(a.get("values"), t)
	if a.bool("accumulate", false) {
		c.refuse("accumulate is not supported")
	}
	if len(index) == 1 && c.isMask(index[0]) && axes[0] == 0 {
		if n := c.rank(v); n > 0 && !(n == 1 && c.dim(v, 0) == int64(1)) {
			c.refuse("a mask together with more than one value is not supported")
		}
		mask := c.asBool(index[0])
		var more []int64
		for k := c.rank(mask); k < c.rank(x); k++ {
			more = append(more, int64(k))
		}
		if len(more) > 0 {
			mask = c.unsqueeze(mask, more...)
		}
		return c.op("Where", []any{mask, v, x})
	}
	if slices.ContainsFunc(index, c.isMask) || len(axes) == 0 {
		c.refuse("this mixture of masks and indices is not supported")
	}
	together, wide := c.broadcastIndex(index)
	rest := slices.DeleteFunc(c.order(x), func(k int64) bool { return slices.Contains(axes, k) })
	perm := slices.Concat(axes, rest)
	front := c.transpose(x, perm...)
	shape := slices.Clone(together)
	for _, k := range rest {
		shape = append(shape, c.shape(x)[k])
	}
	y := c.declare(c.op("ScatterND", []any{front, wide, c.expand(v, shape)}), t, c.shape(front))
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return c.transpose(y, back...)
}

func takeAlong(c *converter, a *args) value {
	x, index := a.ten("self"), a.ten("index")
	if !a.has("dim") {
		x, index = c.reshape(x, []value{int64(-1)}), c.reshape(index, []value{int64(-1)})
	}
	axis := a.axis("dim", c.rank(x), 0)
	want := slices.Clone(c.shape(x))
	want[axis] = c.shape(index)[axis]
	return c.op("GatherElements", []any{x, c.asIndex(c.expand(index, want))}, onnx.AInt("axis", int64(axis)))
}

func scatter(reduction string) func(c *converter, a *args) value {
	return func(c *converter, a *args) value {
		x, index := a.ten("self"), c.asIndex(a.ten("index"))
		t := c.dtype(x)
		how := reduction
		if r := a.str("reduce", ""); r != "" {
			how = map[string]string{"add": "add", "multiply": "mul"}[r]
			if how == "" {
				c.refuse("reduce %.40s is not supported", r)
			}
		}
		src := c.operand(a.get("src"), t)
		if v, ok := a.vals["value"]; ok {
			src = c.operand(v, t)
		}
		if c.rank(src) == 0 {
			src = c.expand(c.reshape(src, slices.Repeat([]value{int64(1)}, c.rank(x))), c.shape(index))
		} else if !c.sameSizes(c.shape(src), c.shape(index)) {
			for i, d := range c.shape(index) {
				src = c.slice(src, i, int64(0), d, 1)
			}
		}
		attrs := []onnx.Attribute{onnx.AInt("axis", int64(a.axis("dim", c.rank(x), 0)))}
		if how != "none" {
			attrs = append(attrs, onnx.AStr("reduction", how))
		}
		return c.declare(c.op("ScatterElements", []any{x, index, src}, attrs...), t, c.shape(x))
	}
}

func topk(c *converter, a *args) value {
	x := a.ten("self")
	k := a.sizes("k")[0]
	axis := a.axis("dim", c.rank(x), -1)
	return c.largest(x, k, axis, a.bool("largest", true))
}

func (c *converter) largest(x *ten, k value, axis int, largest bool) tuple {
	way := int64(0)
	if largest {
		way = 1
	}
	shape := slices.Clone(c.shape(x))
	shape[axis] = k
	out := c.node("TopK", []any{x, c.vec(k)}, 2, onnx.AInt("axis", int64(axis)), onnx.AInt("largest", way), onnx.AInt("sorted", 1))
	t := c.dtype(x)
	return tuple{c.declare(out[0], t, shape), c.declare(out[1], tensor.Int64, shape)}
}

func sortOp(c *converter, a *args) value { return sorted(c, a) }

func sorted(c *converter, a *args) tuple {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), -1)
	return c.largest(x, c.shape(x)[axis], axis, a.bool("descending", false))
}

func oneHot(c *converter, a *args) value {
	x, n := a.ten("self"), a.int("num_classes", -1)
	if n < 0 {
		c.refuse("without a number of classes the result is as wide as its largest element, which is not supported")
	}
	y := c.op("OneHot", []any{c.asIndex(x), c.ints(n), c.ints(0, 1)}, onnx.AInt("axis", -1))
	return c.declare(y, tensor.Int64, append(slices.Clone(c.shape(x)), n))
}

func selectScatter(c *converter, a *args) value {
	x := a.ten("self")
	axis := a.axis("dim", c.rank(x), 0)
	at := c.place(c.settle(c.lift(a.get("index"))), c.shape(x)[axis])
	return c.replace(x, c.unsqueeze(a.ten("src"), int64(axis)), axis, at, c.arithmetic("add", at, int64(1)))
}
