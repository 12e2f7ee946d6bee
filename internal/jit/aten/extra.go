package aten

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/jit"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// furtherOps are rarer operators, most of them made of others.
func furtherOps() map[string]operator {
	return map[string]operator{
		"hypot":     {"self other", hypot},
		"logaddexp": {"self other", logAddExp},
		"xlogy":     {"self other", xlogy},
		"heaviside": {"self values", heaviside},
		"copysign":  {"self other", copySign},
		"sinc":      {"self", sinc},
		"isclose":   {"self other rtol atol equal_nan", isClose},
		"median":    {"self dim keepdim", median},
		"kthvalue":  {"self k dim keepdim", kthValue},
		"aminmax": {"self dim keepdim", func(c *converter, a *jit.Args) jit.Value {
			return jit.Tuple{c.reduce("ReduceMin", a.Tensor("self"), a), c.reduce("ReduceMax", a.Tensor("self"), a)}
		}},
		"trace": {"self", func(c *converter, a *jit.Args) jit.Value {
			return c.reduceOver("ReduceSum", c.squareDiagonal(a.Tensor("self")), nil, 0)
		}},
		"fliplr":                {"self", func(c *converter, a *jit.Args) jit.Value { return c.flip(a.Tensor("self"), 1) }},
		"flipud":                {"self", func(c *converter, a *jit.Args) jit.Value { return c.flip(a.Tensor("self"), 0) }},
		"rot90":                 {"self k dims", rotate},
		"diff":                  {"self n dim", diff},
		"addbmm":                {"self batch1 batch2 beta alpha", addBmm},
		"chain_matmul":          {"matrices", chainMatmul},
		"linalg_multi_dot":      {"matrices", chainMatmul},
		"cdist":                 {"x1 x2 p compute_mode", cdist},
		"index_add":             {"self dim index source alpha", indexAdd},
		"index_copy":            {"self dim index source", indexCopy},
		"index_fill":            {"self dim index value", indexFill},
		"im2col":                {"self kernel_size dilation padding stride", im2col},
		"affine_grid_generator": {"theta size align_corners", affineGrid},
		"_shape_as_tensor": {"self", func(c *converter, a *jit.Args) jit.Value {
			x := a.Tensor("self")
			return c.Declare(c.Op("Shape", []any{x}), tensor.Int64, []jit.Value{int64(c.Rank(x))})
		}},
	}
}

func hypot(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("self"), a.Tensor("other")
	return c.Op("Sqrt", []any{c.Op("Add", []any{c.Op("Mul", []any{x, x}), c.Op("Mul", []any{y, y})})})
}

// logAddExp is max + log(1 + exp(-|x-y|)), which does not overflow.
func logAddExp(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("self"), a.Tensor("other")
	far := c.Op("Neg", []any{c.Op("Abs", []any{c.Op("Sub", []any{x, y})})})
	return c.Op("Add", []any{c.Op("Max", []any{x, y}), c.Op("Softplus", []any{far})})
}

// xlogy is nought where x is, whatever y.
func xlogy(c *converter, a *jit.Args) jit.Value {
	t := c.floating(a.Get("self"), a.Get("other"))
	x, y := c.operand(a.Get("self"), t), c.operand(a.Get("other"), t)
	zero := c.Number(t, 0)
	return c.Op("Where", []any{c.Op("Equal", []any{x, zero}), zero, c.Op("Mul", []any{x, c.Op("Log", []any{y})})})
}

func heaviside(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	t := c.Dtype(x)
	zero := c.Number(t, 0)
	step := c.Cast(c.Op("Greater", []any{x, zero}), t)
	return c.Op("Where", []any{c.Op("Equal", []any{x, zero}), c.operand(a.Get("values"), t), step})
}

func copySign(c *converter, a *jit.Args) jit.Value {
	t := c.floating(a.Get("self"), a.Get("other"))
	size := c.Op("Abs", []any{c.operand(a.Get("self"), t)})
	below := c.Op("Less", []any{c.operand(a.Get("other"), t), c.Number(t, 0)})
	return c.Op("Where", []any{below, c.Op("Neg", []any{size}), size})
}

func sinc(c *converter, a *jit.Args) jit.Value {
	x := c.asFloat(a.Tensor("self"))
	t := c.Dtype(x)
	y := c.scale(x, math.Pi)
	return c.Op("Where", []any{c.Op("Equal", []any{x, c.Number(t, 0)}), c.Number(t, 1), c.Op("Div", []any{c.Op("Sin", []any{y}), y})})
}

func isClose(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("self"), a.Tensor("other")
	if a.Bool("equal_nan", false) {
		c.Refuse("equal_nan is not supported")
	}
	far := c.Op("Abs", []any{c.Op("Sub", []any{x, y})})
	limit := c.plus(c.scale(c.Op("Abs", []any{y}), a.Float("rtol", 1e-5)), a.Float("atol", 1e-8))
	return c.Op("LessOrEqual", []any{far, limit})
}

// median is the lower of the two in the middle.
func median(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	middle := func(n jit.Value) jit.Value {
		return c.Arithmetic("floordiv", c.Arithmetic("add", n, int64(1)), int64(2))
	}
	if !a.Has("dim") {
		x = c.reshape(x, []jit.Value{int64(-1)})
		return c.smallest(x, middle(c.Dim(x, 0)), 0, 0)[0]
	}
	axis := a.Axis("dim", c.Rank(x), 0)
	return c.smallest(x, middle(c.Dim(x, axis)), axis, keeps(a))
}

func kthValue(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	return c.smallest(x, a.Sizes("k")[0], a.Axis("dim", c.Rank(x), -1), keeps(a))
}

// smallest gives the k-th smallest of an axis and its place.
func (c *converter) smallest(x *jit.Tensor, k jit.Value, axis int, keep int64) jit.Tuple {
	var out jit.Tuple
	for _, v := range c.ordered(x, k, axis, 0) {
		t, ok := v.(*jit.Tensor)
		if !ok {
			continue
		}
		last := c.slice(t, axis, int64(-1), int64(math.MaxInt64), 1)
		if keep == 0 {
			last = c.squeeze(last, int64(axis))
		}
		out = append(out, last)
	}
	return out
}

// rotate turns by quarters, from the first axis towards the second.
func rotate(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axes := a.Axes("dims", c.Rank(x))
	if axes == nil {
		axes = []int64{0, 1}
	}
	i, j := int(axes[0]), int(axes[1])
	switch ((a.Int("k", 1) % 4) + 4) % 4 {
	case 1:
		return c.swap(c.flip(x, axes[1]), i, j)
	case 2:
		return c.flip(x, axes...)
	case 3:
		return c.flip(c.swap(x, i, j), axes[1])
	}
	return x
}

func diff(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	axis := a.Axis("dim", c.Rank(x), -1)
	for range min(max(a.Int("n", 1), 0), 16) {
		x = c.Op("Sub", []any{c.slice(x, axis, int64(1), int64(math.MaxInt64), 1), c.slice(x, axis, int64(0), int64(-1), 1)})
	}
	return x
}

func addBmm(c *converter, a *jit.Args) jit.Value {
	y := c.reduceOver("ReduceSum", c.matmul(a.Tensor("batch1"), a.Tensor("batch2")), []int64{0}, 0)
	return c.Op("Add", []any{c.scale(a.Tensor("self"), a.Float("beta", 1)), c.scale(y, a.Float("alpha", 1))})
}

func chainMatmul(c *converter, a *jit.Args) jit.Value {
	ts := a.Tensors("matrices")
	if len(ts) == 0 {
		c.Contradict("no matrices are multiplied")
	}
	y := ts[0]
	for _, t := range ts[1:] {
		y = c.matmul(y, t)
	}
	return y
}

// cdist is the distance of each row to each row.
func cdist(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("x1"), a.Tensor("x2")
	d := c.Op("Sub", []any{c.unsqueeze(x, int64(c.Rank(x)-1)), c.unsqueeze(y, int64(c.Rank(y)-2))})
	return c.norm(d, a.Float("p", 2), []int64{int64(c.Rank(d) - 1)}, 0)
}

// alongAxis gives an index of one axis the shape of what is put there.
func (c *converter) alongAxis(index *jit.Tensor, axis int, shape []jit.Value) *jit.Tensor {
	wide := slices.Repeat([]jit.Value{int64(1)}, len(shape))
	wide[axis] = shape[axis]
	return c.expand(c.reshape(c.Cast(c.asIndex(index), tensor.Int64), wide), shape)
}

func indexAdd(c *converter, a *jit.Args) jit.Value {
	x, src := a.Tensor("self"), a.Tensor("source")
	axis := a.Axis("dim", c.Rank(x), 0)
	src = c.scale(c.Cast(src, c.Dtype(x)), a.Float("alpha", 1))
	index := c.alongAxis(a.Tensor("index"), axis, c.Shape(src))
	y := c.Op("ScatterElements", []any{x, index, src}, onnx.AInt("axis", int64(axis)), onnx.AStr("reduction", "add"))
	return c.Declare(y, c.Dtype(x), c.Shape(x))
}

func indexCopy(c *converter, a *jit.Args) jit.Value {
	x, src := a.Tensor("self"), a.Tensor("source")
	axis := a.Axis("dim", c.Rank(x), 0)
	index := c.alongAxis(a.Tensor("index"), axis, c.Shape(src))
	return c.Declare(c.Op("ScatterElements", []any{x, index, src}, onnx.AInt("axis", int64(axis))), c.Dtype(x), c.Shape(x))
}

func indexFill(c *converter, a *jit.Args) jit.Value {
	x, index := a.Tensor("self"), a.Tensor("index")
	axis := a.Axis("dim", c.Rank(x), 0)
	shape := slices.Clone(c.Shape(x))
	shape[axis] = c.Dim(index, 0)
	src := c.expand(c.reshape(c.operand(a.Get("value"), c.Dtype(x)), slices.Repeat([]jit.Value{int64(1)}, len(shape))), shape)
	y := c.Op("ScatterElements", []any{x, c.alongAxis(index, axis, shape), src}, onnx.AInt("axis", int64(axis)))
	return c.Declare(y, c.Dtype(x), c.Shape(x))
}

// im2col gives the windows of a convolution as columns.
func im2col(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("self")
	if c.Rank(x) != 4 {
		c.Refuse("only batches of pictures are supported")
	}
	w := c.check(window{kernel: a.Ints("kernel_size", 2, 1), stride: a.Ints("stride", 2, 1), pad: a.Ints("padding", 2, 0), dilation: a.Ints("dilation", 2, 1)})
	x = c.padAll(x, w, 2)
	count := make([]jit.Value, 2)
	for i := range 2 {
		extent := (w.kernel[i]-1)*w.dilation[i] + 1
		room := c.Arithmetic("sub", c.Dim(x, 2+2*i), extent)
		count[i] = c.Arithmetic("add", c.Arithmetic("floordiv", room, w.stride[i]), int64(1))
		// Rows of places: kernel by window.
		first := c.unsqueeze(c.rangeOf(int64(0), w.kernel[i]), 1)
		step := c.unsqueeze(c.rangeOf(int64(0), count[i]), 0)
		place := c.Op("Add", []any{c.Op("Mul", []any{first, c.Ints(w.dilation[i])}), c.Op("Mul", []any{step, c.Ints(w.stride[i])})})
		x = c.Op("Gather", []any{x, place}, onnx.AInt("axis", int64(2+2*i)))
	}
	// N, C, kh, oh, kw, ow
	s := c.Shape(x)
	x = c.transpose(x, 0, 1, 2, 4, 3, 5)
	channels := c.Arithmetic("mul", s[1], w.kernel[0]*w.kernel[1])
	return c.reshape(x, []jit.Value{s[0], channels, c.Arithmetic("mul", count[0], count[1])})
}

// affineGrid gives the places that an affine map of a picture takes its points
// from, between -1 and 1.
func affineGrid(c *converter, a *jit.Args) jit.Value {
	theta, size := a.Tensor("theta"), a.Sizes("size")
	if len(size) != 4 {
		c.Refuse("only pictures are supported")
	}
	line := func(n jit.Value) *jit.Tensor {
		i := c.Cast(c.rangeOf(int64(0), n), tensor.Float32)
		if a.Bool("align_corners", false) {
			last := c.Arithmetic("max", c.Arithmetic("sub", n, int64(1)), int64(1))
			return c.plus(c.Op("Mul", []any{i, c.operand(c.Arithmetic("div", 2.0, last), tensor.Float32)}), -1)
		}
		return c.plus(c.Op("Mul", []any{c.plus(i, 0.5), c.operand(c.Arithmetic("div", 2.0, n), tensor.Float32)}), -1)
	}
	h, w := size[2], size[3]
	x := c.expand(c.unsqueeze(line(w), 0), []jit.Value{h, w})
	y := c.expand(c.unsqueeze(line(h), 1), []jit.Value{h, w})
	ones := c.full([]jit.Value{h, w}, tensor.Float32, 1.0)
	base := c.concat([]*jit.Tensor{c.unsqueeze(x, 2), c.unsqueeze(y, 2), c.unsqueeze(ones, 2)}, 2)
	flat := c.reshape(base, []jit.Value{int64(1), c.Arithmetic("mul", h, w), int64(3)})
	grid := c.Op("MatMul", []any{flat, c.swap(theta, 1, 2)})
	return c.reshape(grid, []jit.Value{size[0], h, w, int64(2)})
}
