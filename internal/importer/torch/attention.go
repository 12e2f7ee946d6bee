package torch

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// attentionOps are attention, and the layers that PyTorch computes in one go when
// no gradients are wanted.
func attentionOps() map[string]operator {
	return map[string]operator{
		"scaled_dot_product_attention": {"query key value attn_mask dropout_p is_causal scale enable_gqa", func(c *converter, a *args) value {
			y, _ := c.attend(a, "attn_mask")
			return y
		}},
		"_scaled_dot_product_attention": {"query key value attn_mask dropout_p need_attn_weights is_causal", func(c *converter, a *args) value {
			y, w := c.attend(a, "attn_mask")
			return tuple{y, w}
		}},
		"_native_multi_head_attention": {"query key value embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias mask need_weights average_attn_weights mask_type", nativeAttention},
		"_transformer_encoder_layer_fwd": {"src embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias use_gelu norm_first eps " +
			"norm_weight_1 norm_bias_1 norm_weight_2 norm_bias_2 ffn_weight_1 ffn_bias_1 ffn_weight_2 ffn_bias_2 mask mask_type", encoderLayer},
	}
}

// attend is softmax(q kᵀ / sqrt(d) + mask) v.
func (c *converter) attend(a *args, maskName string) (y, weights *ten) {
	q, k, v := a.ten("query"), a.ten("key"), a.ten("value")
	if a.float("dropout_p", 0) > 0 {
		c.note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	if a.bool("enable_gqa", false) {
		c.refuse("enable_gqa is not supported")
	}
	factor := a.float("scale", 0)
	if !a.has("scale") {
		factor = 1 / math.Sqrt(float64(c.fixed(q, c.rank(q)-1)))
	}
	mask := a.opt(maskName)
	if a.bool("is_causal", false) {
		s, t := c.dim(q, -2), c.dim(k, -2)
		row, column := c.unsqueeze(c.rangeOf(int64(0), s), 1), c.unsqueeze(c.rangeOf(int64(0), t), 0)
		mask = c.op("GreaterOrEqual", []any{row, column})
	}
	return c.attention(q, k, v, mask, factor)
}

// attention takes a mask that is true where one may look, or is added.
func (c *converter) attention(q, k, v, mask *ten, factor float64) (y, weights *ten) {
	scores := c.op("MatMul", []any{c.scale(q, factor), c.swap(k, c.rank(k)-2, c.rank(k)-1)})
	if mask != nil {
		if c.dtype(mask) == tensor.Bool {
			scores = c.op("Where", []any{mask, scores, c.number(c.dtype(scores), math.Inf(-1))})
		} else {
			scores = c.op("Add", []any{scores, c.cast(mask, c.dtype(scores))})
		}
	}
	weights = c.softmaxLast(scores)
	return c.op("MatMul", []any{weights, v}), weights
}

func (c *converter) softmaxLast(x *ten) *ten {
	return c.op("Softmax", []any{x}, onnx.AInt("axis", -1))
}

// selfAttention is attention of several heads of a batch of sequences to itself.
func (c *converter) selfAttention(x *ten, a *args) (y, weights *ten) {
	heads := a.int("num_heads", 1)
	embed := a.int("embed_dim", 1)
	if heads < 1 || embed%heads != 0 {
		c.contradict("%d features are no multiple of %d heads", embed, heads)
	}
	s := c.shape(x)
	if len(s) != 3 {
		c.contradict("a tensor of %s is no batch of sequences", c.shapeText(x))
	}
	qkv := c.linear(x, a.ten("qkv_weight"), a.opt("qkv_bias"))
	qkv = c.transpose(c.reshape(qkv, []value{s[0], s[1], int64(3), heads, embed / heads}), 2, 0, 3, 1, 4)
	q, k, v := c.pick(qkv, 0, int64(0)), c.pick(qkv, 0, int64(1)), c.pick(qkv, 0, int64(2))
	mask := a.opt("mask")
	if mask != nil {
		mask = c.maskOf(mask, a)
	}
	y, weights = c.attention(q, k, v, mask, 1/math.Sqrt(float64(embed/heads)))
	y = c.reshape(c.transpose(y, 0, 2, 1, 3), []value{s[0], s[1], embed})
	return c.linear(y, a.ten("proj_weight"), a.opt("proj_bias")), weights
}

// maskOf gives a mask that is true where one may look: here it is true where one
// may not. Type 1 is for each item, which of its steps are padding.
func (c *converter) maskOf(mask *ten, a *args) *ten {
	if c.dtype(mask) != tensor.Bool {
		return mask
	}
	may := c.op("Not", []any{mask})
	kind := a.int("mask_type", -1)
	if kind == 1 || kind < 0 && c.rank(mask) == 2 && !c.compareEach(c.dim(mask, 0), c.dim(mask, 1)) {
		return c.unsqueeze(may, 1, 2)
	}
	if c.rank(mask) == 3 {
		return c.unsqueeze(may, 1)
	}
	return may
}

func nativeAttention(c *converter, a *args) value {
	q, k, v := a.ten("query"), a.ten("key"), a.ten("value")
	if q != k || k != v {
		c.refuse("only attention of a sequence to itself is supported in this form: export without torch.no_grad()")
	}
	y, w := c.selfAttention(q, a)
	if a.bool("average_attn_weights", true) {
		w = c.reduceOver("ReduceMean", w, []int64{1}, false)
	}
	return tuple{y, w}
}

// encoderLayer is a layer of a transformer's encoder: attention and two linear
// layers, each added to its input and normalized, after it or before.
func encoderLayer(c *converter, a *args) value {
	x := a.ten("src")
	embed, eps := a.int("embed_dim", 1), a.float("eps", 1e-5)
	c.require(x, 2, embed)
	norm := func(x *ten, n string) *ten {
		return c.layerNorm(x, a.ten("norm_weight_"+n), a.opt("norm_bias_"+n), eps, 2, []value{embed})
	}
	feed := func(x *ten) *ten {
		h := c.linear(x, a.ten("ffn_weight_1"), a.opt("ffn_bias_1"))
		if a.bool("use_gelu", false) {
			h = c.gelu(h)
		} else {
			h = c.op("Relu", []any{h})
		}
		return c.linear(h, a.ten("ffn_weight_2"), a.opt("ffn_bias_2"))
	}
	if a.bool("norm_first", false) {
		y, _ := c.selfAttention(norm(x, "1"), a)
		x = c.op("Add", []any{x, y})
		return c.op("Add", []any{x, feed(norm(x, "2"))})
	}
	y, _ := c.selfAttention(x, a)
	x = norm(c.op("Add", []any{x, y}), "1")
	return norm(c.op("Add", []any{x, feed(x)}), "2")
}
