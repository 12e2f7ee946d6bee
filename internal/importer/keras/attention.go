package keras

import (
	"math"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func attentionSlots(l *layer) []string {
	var out []string
	if l.Cfg.Flag("use_scale", l.Kind == "AdditiveAttention") {
		out = append(out, "scale")
	}
	if l.Cfg.Text("score_mode") == "concat" {
		out = append(out, "concat_score_weight")
	}
	return out
}

// attention weighs values by how a query fits their keys: as products, or as a
// sum that goes through tanh.
func attention(c *converter, l *layer, in call) (value, error) {
	ts := in.tensors()
	if len(in.args) > 0 {
		ts = in.args[0].flat()
	}
	if len(ts) != 2 && len(ts) != 3 {
		return value{}, c.invalid(l, "it takes two or three tensors, and is given %d", len(ts))
	}
	q, v := c.float(l, ts[0].name), c.float(l, ts[1].name)
	k := v
	if len(ts) == 3 {
		k = c.float(l, ts[2].name)
	}
	if c.rank(q) != 3 || c.rank(v) != 3 || c.rank(k) != 3 {
		return value{}, c.refuse(l, "only tensors of batch, steps and numbers are supported")
	}
	qMask, vMask := ts[0].mask, ts[1].mask
	if m := in.kwargs["mask"].flat(); len(m) > 1 {
		qMask, vMask = c.cast(l, m[0].name, tensor.Bool), c.cast(l, m[1].name, tensor.Bool)
	}
	scores, err := c.attentionScores(l, q, k)
	if err != nil {
		return value{}, err
	}
	allowed := ""
	if vMask != "" {
		allowed = c.op2(l, "Unsqueeze", vMask, c.b.Ints(1))
	}
	if in.kwargs["use_causal_mask"].konst == true || l.Cfg.Flag("causal", false) {
		allowed = c.both(l, allowed, c.causal(l, scores))
	}
	if allowed != "" {
		scores = c.masked(l, scores, allowed)
	}
	weights := c.op(l, "Softmax", scores, onnx.AInt("axis", -1))
	out := value{name: c.op2(l, "MatMul", weights, v), mask: qMask}
	if qMask != "" {
		out.name = c.op3(l, "Where", c.op2(l, "Unsqueeze", qMask, c.b.Ints(2)), out.name, c.b.Float(0))
	}
	if in.kwargs["return_attention_scores"].konst == true {
		return value{list: []value{out, one(weights)}}, nil
	}
	return out, nil
}

func (c *converter) attentionScores(l *layer, q, k string) (string, error) {
	scale, hasScale := l.Weights["scale"]
	if l.Kind == "Attention" && l.Cfg.Text("score_mode") != "concat" {
		scores := c.op2(l, "MatMul", q, c.transpose(l, k, 0, 2, 1))
		if hasScale {
			scores = c.op2(l, "Mul", scores, c.constant(l, "scale", scale))
		}
		return scores, nil
	}
	sum := c.op2(l, "Add", c.op2(l, "Unsqueeze", q, c.b.Ints(2)), c.op2(l, "Unsqueeze", k, c.b.Ints(1)))
	none := onnx.AInt("keepdims", 0)
	if l.Kind == "AdditiveAttention" {
		y := c.op(l, "Tanh", sum)
		if hasScale {
			y = c.op2(l, "Mul", y, c.constant(l, "scale", scale))
		}
		return c.op2(l, "ReduceSum", y, c.b.Ints(-1), none), nil
	}
	if hasScale {
		sum = c.op2(l, "Mul", sum, c.constant(l, "scale", scale))
	}
	scores := c.op2(l, "ReduceSum", c.op(l, "Tanh", sum), c.b.Ints(-1), none)
	w, err := c.weight(l, "concat_score_weight")
	if err != nil {
		return "", err
	}
	return c.op2(l, "Mul", scores, c.constant(l, "concat_score_weight", w)), nil
}

// both is where two masks allow, of which the first may be none.
func (c *converter) both(l *layer, a, b string) string {
	if a == "" {
		return b
	}
	return c.op2(l, "And", a, b)
}

// causal allows each step to see itself and those before it. Scores have queries
// and keys as their last axes.
func (c *converter) causal(l *layer, scores string) string {
	shape := c.op(l, "Shape", scores)
	count := func(axis int64) string {
		n := c.op2(l, "Gather", shape, c.b.Int(axis))
		return c.op3(l, "Range", c.b.Int(0), n, c.b.Int(1))
	}
	rows := c.op2(l, "Unsqueeze", count(-2), c.b.Ints(1))
	return c.op2(l, "GreaterOrEqual", rows, count(-1))
}

func multiHeadSlots(l *layer) []string {
	parts := []string{"query_dense", "key_dense", "value_dense", "output_dense"}
	var out []string
	for _, p := range parts {
		out = append(out, p+"/kernel")
		if useBias(l) {
			out = append(out, p+"/bias")
		}
	}
	return out
}

// heads is what a multi-head layer is called with.
type heads struct {
	q, k, v                string
	qMask, kMask, vMask    string
	attentionMask          string
	causal, wantScores, kv bool // kv: keys are values
}

func (c *converter) headsOf(l *layer, in call) (heads, error) {
	get := func(at int, name string) value {
		if ts := in.tensors(); at < len(ts) {
			return ts[at]
		}
		return in.kwargs[name]
	}
	q, v, k := get(0, "query"), get(1, "value"), get(2, "key")
	var h heads
	if !q.isTensor() || !v.isTensor() {
		return h, c.invalid(l, "it takes a query and a value")
	}
	if !k.isTensor() {
		k, h.kv = v, true
	}
	h.q, h.k, h.v = c.float(l, q.name), c.float(l, k.name), c.float(l, v.name)
	h.qMask, h.vMask = q.mask, v.mask
	if !h.kv {
		h.kMask = k.mask
	}
	h.causal, h.wantScores = in.kwargs["use_causal_mask"].konst == true, in.kwargs["return_attention_scores"].konst == true
	for name, to := range map[string]*string{"attention_mask": &h.attentionMask, "query_mask": &h.qMask, "value_mask": &h.vMask, "key_mask": &h.kMask} {
		if m := in.kwargs[name]; m.isTensor() {
			*to = c.cast(l, m.name, tensor.Bool)
		}
	}
	for _, x := range []string{h.q, h.k, h.v} {
		if c.rank(x) != 3 {
			return h, c.refuse(l, "only tensors of batch, steps and numbers are supported")
		}
	}
	return h, nil
}

// multiHead is attention with several heads, each with matrices of its own.
func multiHead(c *converter, l *layer, in call) (value, error) {
	h, err := c.headsOf(l, in)
	if err != nil {
		return value{}, err
	}
	if axes := kerasfile.AsList(l.Cfg["attention_axes"]); len(axes) > 1 || len(axes) == 1 && kerasfile.Whole(axes[0], 1) != 1 {
		return value{}, c.refuse(l, "attention_axes other than the steps are not supported")
	}
	number := kerasfile.Whole(l.Cfg.First("num_heads", "num_query_heads"), 0)
	if number < 1 || number > 1<<16 {
		return value{}, c.invalid(l, "its number of heads makes no sense")
	}
	kvNumber := l.Cfg.Int("num_key_value_heads", number)
	q, size, err := c.projected(l, "query_dense", h.q, number)
	if err != nil {
		return value{}, err
	}
	k, _, err := c.projected(l, "key_dense", h.k, kvNumber)
	if err != nil {
		return value{}, err
	}
	v, vSize, err := c.projected(l, "value_dense", h.v, kvNumber)
	if err != nil {
		return value{}, err
	}
	if kvNumber != number {
		if kvNumber < 1 || number%kvNumber != 0 {
			return value{}, c.invalid(l, "its numbers of heads do not divide each other")
		}
		k, v = c.repeated(l, k, kvNumber, number, size), c.repeated(l, v, kvNumber, number, vSize)
	}
	// Batch, heads, steps and numbers; of keys, numbers before steps.
	q, k, v = c.transpose(l, q, 0, 2, 1, 3), c.transpose(l, k, 0, 2, 3, 1), c.transpose(l, v, 0, 2, 1, 3)
	scores := c.op2(l, "MatMul", c.linear(l, q, 1/math.Sqrt(float64(size)), 0), k)
	if allowed := c.allowed(l, h, scores); allowed != "" {
		scores = c.masked(l, scores, allowed)
	}
	weights := c.op(l, "Softmax", scores, onnx.AInt("axis", -1))
	y := c.transpose(l, c.op2(l, "MatMul", weights, v), 0, 2, 1, 3)
	y = c.op2(l, "Reshape", y, c.b.Ints(0, 0, number*vSize))
	w, err := c.weight(l, "output_dense/kernel", number, vSize, -1)
	if err != nil {
		return value{}, err
	}
	out := w.Shape[2]
	w = tensor.Tensor{DType: w.DType, Shape: []int64{number * vSize, out}, Data: w.Data}
	y = c.op2(l, "MatMul", y, c.constant(l, "output_dense/kernel", w))
	if useBias(l) {
		b, err := c.vector(l, "output_dense/bias", out)
		if err != nil {
			return value{}, err
		}
		y = c.op2(l, "Add", y, b)
	}
	result := value{name: y, mask: h.qMask}
	if h.wantScores {
		return value{list: []value{result, one(weights)}}, nil
	}
	return result, nil
}

// projected multiplies by the matrices of all heads, and gives batch, steps,
// heads and numbers.
func (c *converter) projected(l *layer, part, x string, number int64) (string, int64, error) {
	w, err := c.weight(l, part+"/kernel", c.dim(x, -1), number, -1)
	if err != nil {
		return "", 0, err
	}
	size := w.Shape[2]
	flat := tensor.Tensor{DType: w.DType, Shape: []int64{w.Shape[0], number * size}, Data: w.Data}
	y := c.op2(l, "MatMul", x, c.constant(l, part+"/kernel", flat))
	if useBias(l) {
		b, err := c.weight(l, part+"/bias", number, size)
		if err != nil {
			return "", 0, err
		}
		y = c.op2(l, "Add", y, c.constant(l, part+"/bias", tensor.Tensor{DType: b.DType, Shape: []int64{number * size}, Data: b.Data}))
	}
	return c.op2(l, "Reshape", y, c.b.Ints(0, 0, number, size)), size, nil
}

// repeated gives each head of keys or values to as many heads of queries.
func (c *converter) repeated(l *layer, x string, from, to, size int64) string {
	x = c.op2(l, "Unsqueeze", x, c.b.Ints(3))
	x = c.op2(l, "Tile", x, c.b.Ints(1, 1, 1, to/from, 1))
	return c.op2(l, "Reshape", x, c.b.Ints(0, 0, to, size))
}

// allowed is where all masks allow; "" where there is none.
func (c *converter) allowed(l *layer, h heads, scores string) string {
	out := ""
	if h.qMask != "" {
		out = c.both(l, out, c.op2(l, "Unsqueeze", h.qMask, c.b.Ints(1, 3)))
	}
	for _, m := range []string{h.vMask, h.kMask} {
		if m != "" {
			out = c.both(l, out, c.op2(l, "Unsqueeze", m, c.b.Ints(1, 2)))
		}
	}
	if h.causal {
		out = c.both(l, out, c.causal(l, scores))
	}
	if m := h.attentionMask; m != "" {
		if c.rank(m) == 3 {
			m = c.op2(l, "Unsqueeze", m, c.b.Ints(1))
		}
		out = c.both(l, out, m)
	}
	return out
}
