package aten

import (
	"math"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// attentionOps are attention, and the layers that PyTorch computes in one go when
// no gradients are wanted.
func attentionOps() map[string]operator {
	return map[string]operator{
		"scaled_dot_product_attention": {"query key value attn_mask dropout_p is_causal scale enable_gqa", func(c *converter, a *jit.Args) jit.Value {
			y, _ := c.attend(a, "attn_mask")
			return y
		}},
		"_scaled_dot_product_attention": {"query key value attn_mask dropout_p need_attn_weights is_causal", func(c *converter, a *jit.Args) jit.Value {
			y, w := c.attend(a, "attn_mask")
			return jit.Tuple{y, w}
		}},
		"_native_multi_head_attention": {"query key value embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias mask need_weights average_attn_weights mask_type", nativeAttention},
		"_transformer_encoder_layer_fwd": {"src embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias use_gelu norm_first eps " +
			"norm_weight_1 norm_bias_1 norm_weight_2 norm_bias_2 ffn_weight_1 ffn_bias_1 ffn_weight_2 ffn_bias_2 mask mask_type", encoderLayer},
	}
}

// attend is softmax(q kᵀ / sqrt(d) + mask) v.
func (c *converter) attend(a *jit.Args, maskName string) (y, weights *jit.Tensor) {
	q, k, v := a.Tensor("query"), a.Tensor("key"), a.Tensor("value")
	if a.Float("dropout_p", 0) > 0 {
		c.Note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	if a.Bool("enable_gqa", false) {
		c.Refuse("enable_gqa is not supported")
	}
	factor := a.Float("scale", 0)
	if !a.Has("scale") {
		factor = 1 / math.Sqrt(float64(c.Fixed(q, c.Rank(q)-1)))
	}
	mask := a.Opt(maskName)
	if a.Bool("is_causal", false) {
		s, t := c.Dim(q, -2), c.Dim(k, -2)
		row, column := c.unsqueeze(c.rangeOf(int64(0), s), 1), c.unsqueeze(c.rangeOf(int64(0), t), 0)
		mask = c.Op("GreaterOrEqual", []any{row, column})
	}
	return c.attention(q, k, v, mask, factor)
}

// attention takes a mask that is true where one may look, or is added.
func (c *converter) attention(q, k, v, mask *jit.Tensor, factor float64) (y, weights *jit.Tensor) {
	scores := c.Op("MatMul", []any{c.scale(q, factor), c.swap(k, c.Rank(k)-2, c.Rank(k)-1)})
	if mask != nil {
		if c.Dtype(mask) == tensor.Bool {
			scores = c.Op("Where", []any{mask, scores, c.Number(c.Dtype(scores), math.Inf(-1))})
		} else {
			scores = c.Op("Add", []any{scores, c.Cast(mask, c.Dtype(scores))})
		}
	}
	weights = c.softmaxLast(scores)
	return c.Op("MatMul", []any{weights, v}), weights
}

func (c *converter) softmaxLast(x *jit.Tensor) *jit.Tensor {
	return c.Op("Softmax", []any{x}, onnx.AInt("axis", -1))
}

// selfAttention is attention of several heads of a batch of sequences to itself.
func (c *converter) selfAttention(x *jit.Tensor, a *jit.Args) (y, weights *jit.Tensor) {
	heads := a.Int("num_heads", 1)
	embed := a.Int("embed_dim", 1)
	if heads < 1 || embed%heads != 0 {
		c.Contradict("%d features are no multiple of %d heads", embed, heads)
	}
	s := c.Shape(x)
	if len(s) != 3 {
		c.Contradict("a tensor of %s is no batch of sequences", c.ShapeText(x))
	}
	qkv := c.linear(x, a.Tensor("qkv_weight"), a.Opt("qkv_bias"))
	qkv = c.transpose(c.reshape(qkv, []jit.Value{s[0], s[1], int64(3), heads, embed / heads}), 2, 0, 3, 1, 4)
	q, k, v := c.pick(qkv, 0, int64(0)), c.pick(qkv, 0, int64(1)), c.pick(qkv, 0, int64(2))
	mask := a.Opt("mask")
	if mask != nil {
		mask = c.maskOf(mask, a)
	}
	y, weights = c.attention(q, k, v, mask, 1/math.Sqrt(float64(embed/heads)))
	y = c.reshape(c.transpose(y, 0, 2, 1, 3), []jit.Value{s[0], s[1], embed})
	return c.linear(y, a.Tensor("proj_weight"), a.Opt("proj_bias")), weights
}

// maskOf gives a mask that is true where one may look: here it is true where one
// may not. Type 1 is for each item, which of its steps are padding.
func (c *converter) maskOf(mask *jit.Tensor, a *jit.Args) *jit.Tensor {
	if c.Dtype(mask) != tensor.Bool {
		return mask
	}
	may := c.Op("Not", []any{mask})
	kind := a.Int("mask_type", -1)
	if kind == 1 || kind < 0 && c.Rank(mask) == 2 && !c.compareEach(c.Dim(mask, 0), c.Dim(mask, 1)) {
		return c.unsqueeze(may, 1, 2)
	}
	if c.Rank(mask) == 3 {
		return c.unsqueeze(may, 1)
	}
	return may
}

func nativeAttention(c *converter, a *jit.Args) jit.Value {
	q, k, v := a.Tensor("query"), a.Tensor("key"), a.Tensor("value")
	if q != k || k != v {
		c.Refuse("only attention of a sequence to itself is supported in this form: export without torch.no_grad()")
	}
	y, w := c.selfAttention(q, a)
	if a.Bool("average_attn_weights", true) {
		w = c.reduceOver("ReduceMean", w, []int64{1}, 0)
	}
	return jit.Tuple{y, w}
}

// encoderLayer is a layer of a transformer's encoder: attention and two linear
// layers, each added to its input and normalized, after it or before.
func encoderLayer(c *converter, a *jit.Args) jit.Value {
	x := a.Tensor("src")
	embed, eps := a.Int("embed_dim", 1), a.Float("eps", 1e-5)
	c.Require(x, 2, embed)
	norm := func(x *jit.Tensor, n string) *jit.Tensor {
		return c.layerNorm(x, a.Tensor("norm_weight_"+n), a.Opt("norm_bias_"+n), eps, []jit.Value{embed})
	}
	feed := func(x *jit.Tensor) *jit.Tensor {
		h := c.linear(x, a.Tensor("ffn_weight_1"), a.Opt("ffn_bias_1"))
		if a.Bool("use_gelu", false) {
			h = c.gelu(h)
		} else {
			h = c.Op("Relu", []any{h})
		}
		return c.linear(h, a.Tensor("ffn_weight_2"), a.Opt("ffn_bias_2"))
	}
	if a.Bool("norm_first", false) {
		y, _ := c.selfAttention(norm(x, "1"), a)
		x = c.Op("Add", []any{x, y})
		return c.Op("Add", []any{x, feed(norm(x, "2"))})
	}
	y, _ := c.selfAttention(x, a)
	x = norm(c.Op("Add", []any{x, y}), "1")
	return norm(c.Op("Add", []any{x, feed(x)}), "2")
}
