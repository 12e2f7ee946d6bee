package torch

import (
	"strings"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// linearOps are products of matrices, and tables of vectors.
func linearOps() map[string]operator {
	out := map[string]operator{
		"linear": {"input weight bias", func(c *converter, a *args) value {
			return c.linear(a.ten("input"), a.ten("weight"), a.opt("bias"))
		}},
		"addmm":     {"self mat1 mat2 beta alpha", addmm},
		"einsum":    {"equation tensors path", einsum},
		"embedding": {"weight indices padding_idx scale_grad_by_freq sparse", embedding},
		"outer": {"self vec2", func(c *converter, a *args) value {
			return c.op("Mul", []any{c.unsqueeze(a.ten("self"), 1), c.unsqueeze(a.ten("vec2"), 0)})
		}},
		"bilinear":          {"input1 input2 weight bias", bilinear},
		"cosine_similarity": {"x1 x2 dim eps", cosineSimilarity},
		"pairwise_distance": {"x1 x2 p eps keepdim", pairwiseDistance},
		"_weight_norm":      {"v g dim", weightNorm},
	}
	out["matmul"] = operator{"self other", func(c *converter, a *args) value { return c.matmul(a.ten("self"), a.ten("other")) }}
	return out
}

func (c *converter) matmul(x, y *ten) *ten {
	t := c.promote(x, y)
	if n, ok := c.dim(x, -1).(int64); !ok && c.rank(y) >= 2 {
		if m, ok := c.dim(y, -2).(int64); ok {
			c.require(x, c.rank(x)-1, m)
		}
	} else if ok && c.rank(y) >= 2 {
		if _, known := c.dim(y, -2).(int64); !known {
			c.require(y, c.rank(y)-2, n)
		}
	}
	return c.op("MatMul", []any{c.cast(x, t), c.cast(y, t)})
}

// linear is x times the weight's transpose, plus a bias.
func (c *converter) linear(x, w, bias *ten) *ten {
	n := c.fixed(w, c.rank(w)-1)
	c.require(x, c.rank(x)-1, n)
	if c.rank(x) == 2 && c.rank(w) == 2 && c.dtype(x) == c.dtype(w) {
		in := []any{x, w}
		if bias != nil {
			in = append(in, bias)
		}
		return c.op("Gemm", in, onnx.AInt("transB", 1))
	}
	if c.rank(w) == 1 {
		y := c.op("MatMul", []any{x, w})
		if bias != nil {
			y = c.op("Add", []any{y, bias})
		}
		return y
	}
	y := c.op("MatMul", []any{x, c.transpose(w, 1, 0)})
	if bias != nil {
		y = c.op("Add", []any{y, bias})
	}
	return y
}

// addmm is beta*self + alpha*(a@b).
func addmm(c *converter, a *args) value {
	y := c.scale(c.matmul(a.ten("mat1"), a.ten("mat2")), a.float("alpha", 1))
	beta := a.float("beta", 1)
	if beta == 0 {
		return y
	}
	return c.op("Add", []any{c.scale(a.ten("self"), beta), y})
}

// einsum passes the equation on; ONNX knows the same notation, of small letters.
func einsum(c *converter, a *args) value {
	eq := strings.ReplaceAll(a.str("equation", ""), " ", "")
	ts := a.tens("tensors")
	t := tensor.Undefined
	for _, x := range ts {
		t = wider(t, c.dtype(x))
	}
	left, right, explicit := strings.Cut(eq, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ts) {
		c.contradict("equation %.60q is not for %d tensors", eq, len(ts))
	}
	if strings.Contains(eq, "...") || strings.ToLower(eq) != eq {
		c.refuse("equation %.60q is not supported: only small letters are", eq)
	}
	size := map[rune]value{}
	var in []any
	for i, x := range ts {
		if len(terms[i]) != c.rank(x) {
			c.contradict("equation %.60q does not fit a tensor of %d axes", eq, c.rank(x))
		}
		for k, letter := range terms[i] {
			size[letter] = c.shape(x)[k]
		}
		in = append(in, c.cast(x, t))
	}
	if !explicit {
		for letter := 'a'; letter <= 'z'; letter++ {
			if strings.Count(left, string(letter)) == 1 {
				right += string(letter)
			}
		}
		eq = left + "->" + right
	}
	y := c.op("Einsum", in, onnx.AStr("equation", eq))
	var shape []value
	for _, letter := range right {
		shape = append(shape, size[letter])
	}
	return c.declare(y, t, shape)
}

// embedding takes rows of a table.
func embedding(c *converter, a *args) value {
	return c.op("Gather", []any{a.ten("weight"), c.asIndex(a.ten("indices"))}, onnx.AInt("axis", 0))
}

// asIndex gives whole numbers that count elements.
func (c *converter) asIndex(x *ten) *ten {
	if t := c.dtype(x); category(t) == 2 {
		for i, in := range c.inputs {
			if in.name == x.name {
				c.demand(demand{input: i, whole: true})
			}
		}
		c.contradict("elements are counted by floats")
	} else if t == tensor.Int64 || t == tensor.Int32 {
		return x
	}
	return c.cast(x, tensor.Int64)
}

// bilinear is x1ᵀ W x2 for each row of the output.
func bilinear(c *converter, a *args) value {
	x1, x2, w := a.ten("input1"), a.ten("input2"), a.ten("weight")
	n, i, j := c.fixed(w, 0), c.fixed(w, 1), c.fixed(w, 2)
	// x1 @ W as i x (n*j), then the product with x2 summed over j.
	flat := c.reshape(c.transpose(w, 1, 0, 2), []value{i, n * j})
	y := c.op("MatMul", []any{x1, flat})
	lead := c.shape(x1)[:c.rank(x1)-1]
	y = c.reshape(y, append(append([]value{}, lead...), n, j))
	y = c.op("MatMul", []any{y, c.unsqueeze(x2, int64(c.rank(x2)))})
	y = c.squeeze(y, int64(c.rank(y)-1))
	if b := a.opt("bias"); b != nil {
		y = c.op("Add", []any{y, b})
	}
	return y
}

// sumOver adds up along axes.
func (c *converter) sumOver(x *ten, keep bool, axes ...int64) *ten {
	k := int64(0)
	if keep {
		k = 1
	}
	return c.op("ReduceSum", []any{x, c.ints(axes...)}, onnx.AInt("keepdims", k))
}

// cosineSimilarity divides by the lengths, none less than eps.
func cosineSimilarity(c *converter, a *args) value {
	x, y := a.ten("x1"), a.ten("x2")
	axis := int64(a.axis("dim", max(c.rank(x), c.rank(y)), 1))
	eps := c.number(c.dtype(x), a.float("eps", 1e-8))
	length := func(t *ten) *ten {
		return c.op("Max", []any{c.op("Sqrt", []any{c.sumOver(c.op("Mul", []any{t, t}), false, axis)}), eps})
	}
	dot := c.sumOver(c.op("Mul", []any{x, y}), false, axis)
	return c.op("Div", []any{dot, c.op("Mul", []any{length(x), length(y)})})
}

func pairwiseDistance(c *converter, a *args) value {
	x, y := a.ten("x1"), a.ten("x2")
	d := c.plus(c.op("Sub", []any{x, y}), a.float("eps", 1e-6))
	return c.norm(d, a.float("p", 2), []int64{int64(c.rank(d) - 1)}, a.bool("keepdim", false))
}

// weightNorm is g*v/|v|, with the length over all axes but one.
func weightNorm(c *converter, a *args) value {
	v, g := a.ten("v"), a.ten("g")
	var axes []int64
	dim := a.int("dim", 0)
	for i := range c.rank(v) {
		if int64(i) != dim {
			axes = append(axes, int64(i))
		}
	}
	return c.op("Mul", []any{v, c.op("Div", []any{g, c.norm(v, 2, axes, true)})})
}
