package aten

import (
	"fmt"
	"strings"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// linearOps are products of matrices, and tables of vectors.
func linearOps() map[string]operator {
	out := map[string]operator{
		"linear": {"input weight bias", func(c *converter, a *jit.Args) jit.Value {
			return c.linear(a.Tensor("input"), a.Tensor("weight"), a.Opt("bias"))
		}},
		"addmm":     {"self mat1 mat2 beta alpha", addmm},
		"einsum":    {"equation tensors path", einsum},
		"embedding": {"weight indices padding_idx scale_grad_by_freq sparse", embedding},
		"outer": {"self vec2", func(c *converter, a *jit.Args) jit.Value {
			return c.Op("Mul", []any{c.unsqueeze(a.Tensor("self"), 1), c.unsqueeze(a.Tensor("vec2"), 0)})
		}},
		"bilinear":          {"input1 input2 weight bias", bilinear},
		"cosine_similarity": {"x1 x2 dim eps", cosineSimilarity},
		"pairwise_distance": {"x1 x2 p eps keepdim", pairwiseDistance},
		"_weight_norm":      {"v g dim", weightNorm},
	}
	out["matmul"] = operator{"self other", func(c *converter, a *jit.Args) jit.Value { return c.matmul(a.Tensor("self"), a.Tensor("other")) }}
	return out
}

func (c *converter) matmul(x, y *jit.Tensor) *jit.Tensor {
	t := c.Promote(x, y)
	if n, ok := c.Dim(x, -1).(int64); !ok && c.Rank(y) >= 2 {
		if m, ok := c.Dim(y, -2).(int64); ok {
			c.Require(x, c.Rank(x)-1, m)
		}
	} else if ok && c.Rank(y) >= 2 {
		if _, known := c.Dim(y, -2).(int64); !known {
			c.Require(y, c.Rank(y)-2, n)
		}
	}
	return c.Op("MatMul", []any{c.Cast(x, t), c.Cast(y, t)})
}

// linear is x times the weight's transpose, plus a bias.
func (c *converter) linear(x, w, bias *jit.Tensor) *jit.Tensor {
	c.Suit(x, w)
	n := c.Fixed(w, c.Rank(w)-1)
	c.Require(x, c.Rank(x)-1, n)
	if c.Rank(x) == 2 && c.Rank(w) == 2 && c.Dtype(x) == c.Dtype(w) {
		in := []any{x, w}
		if bias != nil {
			in = append(in, bias)
		}
		return c.Op("Gemm", in, onnx.AInt("transB", 1))
	}
	if c.Rank(w) == 1 {
		y := c.Op("MatMul", []any{x, w})
		if bias != nil {
			y = c.Op("Add", []any{y, bias})
		}
		return y
	}
	y := c.Op("MatMul", []any{x, c.transpose(w, 1, 0)})
	if bias != nil {
		y = c.Op("Add", []any{y, bias})
	}
	return y
}

// addmm is beta*self + alpha*(a@b).
func addmm(c *converter, a *jit.Args) jit.Value {
	y := c.scale(c.matmul(a.Tensor("mat1"), a.Tensor("mat2")), a.Float("alpha", 1))
	beta := a.Float("beta", 1)
	if beta == 0 {
		return y
	}
	return c.Op("Add", []any{c.scale(a.Tensor("self"), beta), y})
}

// einsum passes the equation on. ONNX knows the same notation, of small letters;
// dots, which stand for any number of axes, become letters too.
func einsum(c *converter, a *jit.Args) jit.Value {
	eq := strings.ReplaceAll(a.Str("equation", ""), " ", "")
	ts := a.Tensors("tensors")
	t := tensor.Undefined
	for _, x := range ts {
		t = jit.Wider(t, c.Dtype(x))
	}
	left, right, explicit := strings.Cut(eq, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ts) {
		c.Contradict("equation %.60q is not for %d tensors", eq, len(ts))
	}
	if !explicit {
		right = implicit(left)
	}
	l := &letters{of: map[string]byte{}}
	size := map[byte]jit.Value{}
	var in []any
	for i, x := range ts {
		names := l.term(terms[i], c.Rank(x))
		if len(names) != c.Rank(x) {
			c.Contradict("equation %.60q does not fit a tensor of %d axes", eq, c.Rank(x))
		}
		for k, d := range c.Shape(x) {
			if old, ok := size[names[k]]; !ok || old == int64(1) {
				size[names[k]] = d
			}
		}
		terms[i] = string(names)
		in = append(in, c.Cast(x, t))
	}
	out := l.term(right, l.most+len(strings.ReplaceAll(right, "...", "")))
	if l.next > 26 {
		c.Refuse("equation %.60q has too many letters", eq)
	}
	y := c.Op("Einsum", in, onnx.AStr("equation", strings.Join(terms, ",")+"->"+string(out)))
	var shape []jit.Value
	for _, letter := range out {
		shape = append(shape, size[letter])
	}
	return c.Declare(y, t, shape)
}

// implicit gives what stands behind the arrow where it is left out: dots, and the
// letters that are there once, in order, large ones first.
func implicit(left string) string {
	out := ""
	if strings.Contains(left, "...") {
		out = "..."
	}
	for letter := 'A'; letter <= 'z'; letter++ {
		if strings.Count(left, string(letter)) == 1 {
			out += string(letter)
		}
	}
	return out
}

// letters gives small letters for those of an equation and for the axes of dots,
// which are counted from the last.
type letters struct {
	of   map[string]byte
	next int
	most int // axes that dots stand for
}

func (l *letters) letter(name string) byte {
	if _, ok := l.of[name]; !ok {
		l.of[name] = byte('a' + l.next%26)
		l.next++
	}
	return l.of[name]
}

func (l *letters) term(s string, rank int) []byte {
	before, after, dots := strings.Cut(s, "...")
	var out []byte
	for _, r := range before {
		out = append(out, l.letter(string(r)))
	}
	if dots {
		n := max(rank-len(before)-len(after), 0)
		l.most = max(l.most, n)
		for i := range n {
			out = append(out, l.letter(fmt.Sprint("axis ", n-i)))
		}
	}
	for _, r := range after {
		out = append(out, l.letter(string(r)))
	}
	return out
}

// embedding takes rows of a table.
func embedding(c *converter, a *jit.Args) jit.Value {
	return c.Op("Gather", []any{a.Tensor("weight"), c.asIndex(a.Tensor("indices"))}, onnx.AInt("axis", 0))
}

// asIndex gives whole numbers that count elements.
func (c *converter) asIndex(x *jit.Tensor) *jit.Tensor {
	if t := c.Dtype(x); jit.Category(t) == 2 {
		for i, in := range c.Inputs {
			if in.Name == x.Name {
				c.Demand(jit.Demand{Input: i, DType: tensor.Int64, Ranks: []int{2, 1, 3}, Names: []string{"batch", "length"}})
			}
		}
		c.Contradict("elements are counted by floats")
	} else if t == tensor.Int64 || t == tensor.Int32 {
		return x
	}
	return c.Cast(x, tensor.Int64)
}

// bilinear is x1ᵀ W x2 for each row of the output.
func bilinear(c *converter, a *jit.Args) jit.Value {
	x1, x2, w := a.Tensor("input1"), a.Tensor("input2"), a.Tensor("weight")
	n, i, j := c.Fixed(w, 0), c.Fixed(w, 1), c.Fixed(w, 2)
	// x1 @ W as i x (n*j), then the product with x2 summed over j.
	flat := c.reshape(c.transpose(w, 1, 0, 2), []jit.Value{i, n * j})
	y := c.Op("MatMul", []any{x1, flat})
	lead := c.Shape(x1)[:c.Rank(x1)-1]
	y = c.reshape(y, append(append([]jit.Value{}, lead...), n, j))
	y = c.Op("MatMul", []any{y, c.unsqueeze(x2, int64(c.Rank(x2)))})
	y = c.squeeze(y, int64(c.Rank(y)-1))
	if b := a.Opt("bias"); b != nil {
		y = c.Op("Add", []any{y, b})
	}
	return y
}

// sumOver adds up along axes.
func (c *converter) sumOver(x *jit.Tensor, keep int64, axes ...int64) *jit.Tensor {
	return c.Op("ReduceSum", []any{x, c.Ints(axes...)}, onnx.AInt("keepdims", keep))
}

// cosineSimilarity divides by the lengths, none less than eps.
func cosineSimilarity(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("x1"), a.Tensor("x2")
	axis := int64(a.Axis("dim", max(c.Rank(x), c.Rank(y)), 1))
	eps := c.Number(c.Dtype(x), a.Float("eps", 1e-8))
	length := func(t *jit.Tensor) *jit.Tensor {
		return c.Op("Max", []any{c.Op("Sqrt", []any{c.sumOver(c.Op("Mul", []any{t, t}), 0, axis)}), eps})
	}
	dot := c.sumOver(c.Op("Mul", []any{x, y}), 0, axis)
	return c.Op("Div", []any{dot, c.Op("Mul", []any{length(x), length(y)})})
}

func pairwiseDistance(c *converter, a *jit.Args) jit.Value {
	x, y := a.Tensor("x1"), a.Tensor("x2")
	d := c.plus(c.Op("Sub", []any{x, y}), a.Float("eps", 1e-6))
	return c.norm(d, a.Float("p", 2), []int64{int64(c.Rank(d) - 1)}, keeps(a))
}

// weightNorm is g*v/|v|, with the length over all axes but one.
func weightNorm(c *converter, a *jit.Args) jit.Value {
	v, g := a.Tensor("v"), a.Tensor("g")
	var axes []int64
	dim := a.Int("dim", 0)
	for i := range c.Rank(v) {
		if int64(i) != dim {
			axes = append(axes, int64(i))
		}
	}
	return c.Op("Mul", []any{v, c.Op("Div", []any{g, c.norm(v, 2, axes, 1)})})
}
