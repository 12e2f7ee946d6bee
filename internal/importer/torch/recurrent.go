package torch

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/recurrent"
	"github.com/stoa-project/stoa/internal/tensor"
)

// recurrentOps are recurrent layers and single steps of them.
func recurrentOps() map[string]operator {
	const layer = "input hx params has_biases num_layers dropout train bidirectional batch_first"
	const cell = "input hx w_ih w_hh b_ih b_hh"
	return map[string]operator{
		"lstm": {layer, func(c *converter, a *args) value { return c.recurrentLayers(a, "LSTM", recurrent.TorchLSTM) }},
		"gru":  {layer, func(c *converter, a *args) value { return c.recurrentLayers(a, "GRU", recurrent.TorchGRU) }},
		"rnn_tanh": {layer, func(c *converter, a *args) value {
			return c.recurrentLayers(a, "RNN", "h", onnx.AStrs("activations", "Tanh"))
		}},
		"rnn_relu": {layer, func(c *converter, a *args) value {
			return c.recurrentLayers(a, "RNN", "h", onnx.AStrs("activations", "Relu"))
		}},
		"lstm_cell":     {cell, lstmCell},
		"gru_cell":      {cell, gruCell},
		"rnn_tanh_cell": {cell, func(c *converter, a *args) value { return c.op("Tanh", []any{c.gates(a)}) }},
		"rnn_relu_cell": {cell, func(c *converter, a *args) value { return c.op("Relu", []any{c.gates(a)}) }},
	}
}

// recurrentLayers makes a stack of recurrent layers. Their input becomes steps x batch x
// features, as ONNX has it.
func (c *converter) recurrentLayers(a *args, op, order string, attrs ...onnx.Attribute) value {
	if _, isList := items(a.get("params")); !isList || !isTen(a.get("input")) {
		c.refuse("packed sequences are not supported: give the network a padded batch")
	}
	x, params := a.ten("input"), a.tens("params")
	directions := 1
	if a.bool("bidirectional", false) {
		directions = 2
	}
	n, each := int(a.int("num_layers", 1)), 2
	if a.bool("has_biases", true) {
		each = 4
	}
	if n < 1 || n > 1000 || len(params) != n*directions*each {
		c.refuse("%d layers of %d weights each do not have %d weights; a projection (proj_size) is not supported", n*directions, each, len(params))
	}
	if a.bool("train", false) && a.float("dropout", 0) > 0 {
		c.note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	first := a.bool("batch_first", false)
	c.require(x, 2, c.fixed(params[0], 1))
	if c.rank(x) != 3 {
		c.contradict("a tensor of %s is no batch of sequences", c.shapeText(x))
	}
	if first {
		x = c.transpose(x, 1, 0, 2)
	}
	states := [][]*ten{c.initial(a, 0, n*directions)}
	if op == "LSTM" {
		states = append(states, c.initial(a, 1, n*directions))
	}
	last := make([][]*ten, len(states))
	for l := range n {
		var s []*ten
		for k, st := range states {
			var state *ten
			if st != nil {
				state = c.stateOf(st[0], l*directions, directions)
			}
			s = append(s, state)
			_ = k
		}
		y, ends := c.layer(x, op, order, params[l*directions*each:(l+1)*directions*each], directions, s, attrs)
		x = y
		for k, e := range ends {
			last[k] = append(last[k], e)
		}
	}
	if first {
		x = c.transpose(x, 1, 0, 2)
	}
	out := tuple{x}
	for _, ends := range last {
		out = append(out, c.concat(ends, 0))
	}
	return out
}

// initial gives a state to begin with; nil where it is noughts.
func (c *converter) initial(a *args, i, n int) []*ten {
	v := a.get("hx")
	if vs, ok := items(v); ok {
		if i >= len(vs) {
			c.fail(stoa.Invalid, "it has no state %d", i)
		}
		v = vs[i]
	}
	t, ok := v.(*ten)
	if !ok {
		c.fail(stoa.Invalid, "its state is a %s", kindOf(v))
	}
	x := a.ten("input")
	batch := c.shape(x)[1]
	if a.bool("batch_first", false) {
		batch = c.shape(x)[0]
	}
	s := c.shape(t)
	if len(s) == 3 {
		c.require(t, 0, int64(n))
		c.unify(s[1], batch)
	}
	if len(s) != 3 || s[0] != int64(n) || !c.compareEach(s[1], batch) {
		c.contradict("a state of %s does not fit %d layers and an input of %s", c.shapeText(t), n, c.shapeText(x))
	}
	if t.zero {
		return nil
	}
	return []*ten{t}
}

// stateOf gives the states of one layer.
func (c *converter) stateOf(t *ten, from, n int) *ten {
	return c.slice(t, 0, int64(from), int64(from+n), 1)
}

// layer makes one layer, of one or two directions.
func (c *converter) layer(x *ten, op, order string, params []*ten, directions int, states []*ten, attrs []onnx.Attribute) (y *ten, ends []*ten) {
	var cells []recurrent.Cell
	each := len(params) / directions
	for d := range directions {
		p := params[d*each : (d+1)*each]
		cell := recurrent.Cell{Order: order, Layout: recurrent.Rows, Input: c.numbers(p[0]), Recurrent: c.numbers(p[1])}
		if each == 4 {
			cell.InputBias, cell.RecurrentBias = c.numbers(p[2]), c.numbers(p[3])
		}
		cells = append(cells, cell)
	}
	packed, err := pack(op, cells)
	if err != nil {
		c.fail(stoa.KindOf(err), "%s", stoa.AsError(err).Msg)
	}
	hidden := packed.Hidden
	in := []any{x, c.constant(c.label("W"), packed.W), c.constant(c.label("R"), packed.R), c.constant(c.label("B"), packed.B), nil}
	for _, s := range states {
		if s == nil {
			in = append(in, nil)
			continue
		}
		in = append(in, s)
	}
	way := "forward"
	if directions == 2 {
		way = "bidirectional"
		if op == "RNN" {
			attrs = []onnx.Attribute{onnx.AStrs("activations", string(attrs[0].Strings[0]), string(attrs[0].Strings[0]))}
		}
	}
	attrs = append(slices.Clip(attrs), onnx.AInt("hidden_size", hidden), onnx.AStr("direction", way))
	if op == "GRU" {
		attrs = append(attrs, onnx.AInt("linear_before_reset", 1))
	}
	out := c.node(op, in, 1+len(states), attrs...)
	s := c.shape(x)
	t := c.dtype(x)
	c.declare(out[0], t, []value{s[0], int64(directions), s[1], hidden})
	for _, e := range out[1:] {
		c.declare(e, t, []value{int64(directions), s[1], hidden})
	}
	if directions == 1 {
		return c.op("Squeeze", []any{out[0], c.ints(1)}), out[1:]
	}
	y = c.op("Transpose", []any{out[0]}, onnx.AInts("perm", 0, 2, 1, 3))
	return c.reshape(y, []value{s[0], s[1], int64(directions) * hidden}), out[1:]
}

// pack brings the weights into ONNX's order. A plain RNN has one gate.
func pack(op string, cells []recurrent.Cell) (recurrent.Packed, error) {
	if op != "RNN" {
		return recurrent.Pack(cells...)
	}
	var p recurrent.Packed
	for i, c := range cells {
		in, rec := c.Input, c.Recurrent
		if len(in.Shape) != 2 || len(rec.Shape) != 2 || rec.Shape[0] != rec.Shape[1] || in.Shape[0] != rec.Shape[0] {
			return p, stoa.Errorf(stoa.Invalid, "weights %s and %s are not of one recurrent layer", tensor.ShapeString(in.Shape), tensor.ShapeString(rec.Shape))
		}
		h := rec.Shape[0]
		bias := make([]byte, 0, 8*h)
		for _, b := range []tensor.Tensor{c.InputBias, c.RecurrentBias} {
			if b.Shape == nil {
				b = tensor.Tensor{Data: make([]byte, h*in.DType.Size())}
			}
			bias = append(bias, b.Data...)
		}
		if int64(len(bias)) != 2*h*in.DType.Size() || i > 0 && (h != p.Hidden || in.Shape[1] != p.W.Shape[2]) {
			return p, stoa.Errorf(stoa.Invalid, "the biases or directions of a recurrent layer have different sizes")
		}
		n := int64(len(cells))
		p.Hidden = h
		p.W = tensor.Tensor{DType: in.DType, Shape: []int64{n, h, in.Shape[1]}, Data: append(p.W.Data, in.Data...)}
		p.R = tensor.Tensor{DType: in.DType, Shape: []int64{n, h, h}, Data: append(p.R.Data, rec.Data...)}
		p.B = tensor.Tensor{DType: in.DType, Shape: []int64{n, 2 * h}, Data: append(p.B.Data, bias...)}
	}
	return p, nil
}

// numbers gives the content of a weight, which must be known.
func (c *converter) numbers(t *ten) tensor.Tensor {
	w := c.b.Initializer(c.use(t))
	if w == nil {
		c.refuse("its weights are computed, which is not supported")
	}
	return w.Tensor
}

// gates is W_ih x + b_ih + W_hh h + b_hh.
func (c *converter) gates(a *args) *ten {
	x, h := c.linear(a.ten("input"), a.ten("w_ih"), a.opt("b_ih")), c.linear(a.ten("hx"), a.ten("w_hh"), a.opt("b_hh"))
	return c.op("Add", []any{x, h})
}

func lstmCell(c *converter, a *args) value {
	hx := a.tens("hx")
	if len(hx) != 2 {
		c.fail(stoa.Invalid, "its state has %d parts", len(hx))
	}
	a.vals["hx"] = hx[0]
	g := c.gates(a)
	n := c.fixed(g, 1) / 4
	part := c.node("Split", []any{g, c.ints(n, n, n, n)}, 4, onnx.AInt("axis", 1))
	i, f, o := c.op("Sigmoid", []any{part[0]}), c.op("Sigmoid", []any{part[1]}), c.op("Sigmoid", []any{part[3]})
	cell := c.op("Add", []any{c.op("Mul", []any{f, hx[1]}), c.op("Mul", []any{i, c.op("Tanh", []any{part[2]})})})
	return tuple{c.op("Mul", []any{o, c.op("Tanh", []any{cell})}), cell}
}

func gruCell(c *converter, a *args) value {
	h := a.ten("hx")
	x := c.linear(a.ten("input"), a.ten("w_ih"), a.opt("b_ih"))
	y := c.linear(h, a.ten("w_hh"), a.opt("b_hh"))
	n := c.fixed(x, 1) / 3
	p := c.node("Split", []any{x, c.ints(n, n, n)}, 3, onnx.AInt("axis", 1))
	q := c.node("Split", []any{y, c.ints(n, n, n)}, 3, onnx.AInt("axis", 1))
	r := c.op("Sigmoid", []any{c.op("Add", []any{p[0], q[0]})})
	z := c.op("Sigmoid", []any{c.op("Add", []any{p[1], q[1]})})
	fresh := c.op("Tanh", []any{c.op("Add", []any{p[2], c.op("Mul", []any{r, q[2]})})})
	// (1-z)*fresh + z*h
	return c.op("Add", []any{fresh, c.op("Mul", []any{z, c.op("Sub", []any{h, fresh})})})
}
