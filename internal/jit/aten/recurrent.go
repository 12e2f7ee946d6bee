package aten

import (
	"slices"

	"github.com/stoa-project/stoa/internal/jit"

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
		"lstm": {layer, func(c *converter, a *jit.Args) jit.Value { return c.recurrentLayers(a, "LSTM", recurrent.TorchLSTM) }},
		"gru":  {layer, func(c *converter, a *jit.Args) jit.Value { return c.recurrentLayers(a, "GRU", recurrent.TorchGRU) }},
		"rnn_tanh": {layer, func(c *converter, a *jit.Args) jit.Value {
			return c.recurrentLayers(a, "RNN", "h", onnx.AStrs("activations", "Tanh"))
		}},
		"rnn_relu": {layer, func(c *converter, a *jit.Args) jit.Value {
			return c.recurrentLayers(a, "RNN", "h", onnx.AStrs("activations", "Relu"))
		}},
		"lstm_cell":     {cell, lstmCell},
		"gru_cell":      {cell, gruCell},
		"rnn_tanh_cell": {cell, func(c *converter, a *jit.Args) jit.Value { return c.Op("Tanh", []any{c.gates(a)}) }},
		"rnn_relu_cell": {cell, func(c *converter, a *jit.Args) jit.Value { return c.Op("Relu", []any{c.gates(a)}) }},
	}
}

// recurrentLayers makes a stack of recurrent layers. Their input becomes steps x batch x
// features, as ONNX has it.
func (c *converter) recurrentLayers(a *jit.Args, op, order string, attrs ...onnx.Attribute) jit.Value {
	if _, isList := jit.Items(a.Get("params")); !isList || !jit.IsTensor(a.Get("input")) {
		c.Refuse("packed sequences are not supported: give the network a padded batch")
	}
	x, params := a.Tensor("input"), a.Tensors("params")
	directions := 1
	if a.Bool("bidirectional", false) {
		directions = 2
	}
	n, each := int(a.Int("num_layers", 1)), 2
	if a.Bool("has_biases", true) {
		each = 4
	}
	if n < 1 || n > 1000 || len(params) != n*directions*each {
		c.Refuse("%d layers of %d weights each do not have %d weights; a projection (proj_size) is not supported", n*directions, each, len(params))
	}
	if a.Bool("train", false) && a.Float("dropout", 0) > 0 {
		c.Note("dropout was on when the network was saved; it is left out, as after eval()")
	}
	kind := recurrence{op, order, directions, attrs}
	first := a.Bool("batch_first", false)
	c.Suit(x, params[0])
	c.Require(x, 2, c.Fixed(params[0], 1))
	if c.Rank(x) != 3 {
		c.Contradict("a tensor of %s is no batch of sequences", c.ShapeText(x))
	}
	if first {
		x = c.transpose(x, 1, 0, 2)
	}
	states := [][]*jit.Tensor{c.initial(a, 0, n*directions)}
	if op == "LSTM" {
		states = append(states, c.initial(a, 1, n*directions))
	}
	last := make([][]*jit.Tensor, len(states))
	for l := range n {
		var s []*jit.Tensor
		for _, st := range states {
			var state *jit.Tensor
			if st != nil {
				state = c.stateOf(st[0], l*directions, directions)
			}
			s = append(s, state)
		}
		y, ends := c.layer(x, kind, params[l*directions*each:(l+1)*directions*each], s)
		x = y
		for k, e := range ends {
			last[k] = append(last[k], e)
		}
	}
	if first {
		x = c.transpose(x, 1, 0, 2)
	}
	out := jit.Tuple{x}
	for _, ends := range last {
		out = append(out, c.concat(ends, 0))
	}
	return out
}

// initial gives a state to begin with; nil where it is noughts.
func (c *converter) initial(a *jit.Args, i, n int) []*jit.Tensor {
	v := a.Get("hx")
	if vs, ok := jit.Items(v); ok {
		if i >= len(vs) {
			c.Fail(stoa.Invalid, "it has no state %d", i)
		}
		v = vs[i]
	}
	t, ok := v.(*jit.Tensor)
	if !ok {
		c.Fail(stoa.Invalid, "its state is a %s", jit.KindOf(v))
	}
	x := a.Tensor("input")
	batch := c.Shape(x)[1]
	if a.Bool("batch_first", false) {
		batch = c.Shape(x)[0]
	}
	s := c.Shape(t)
	if len(s) == 3 {
		c.Require(t, 0, int64(n))
		c.Unify(s[1], batch)
	}
	if len(s) != 3 || s[0] != int64(n) || !c.compareEach(s[1], batch) {
		c.Contradict("a state of %s does not fit %d layers and an input of %s", c.ShapeText(t), n, c.ShapeText(x))
	}
	if t.Zero {
		return nil
	}
	return []*jit.Tensor{t}
}

// stateOf gives the states of one layer.
func (c *converter) stateOf(t *jit.Tensor, from, n int) *jit.Tensor {
	return c.slice(t, 0, int64(from), int64(from+n), 1)
}

// recurrence is a kind of layer: its operator in ONNX, the order of its gates and
// in how many directions it goes.
type recurrence struct {
	op, order  string
	directions int
	attrs      []onnx.Attribute
}

// layer makes one layer, of one or two directions.
func (c *converter) layer(x *jit.Tensor, kind recurrence, params, states []*jit.Tensor) (y *jit.Tensor, ends []*jit.Tensor) {
	op, directions, attrs := kind.op, kind.directions, kind.attrs
	var cells []recurrent.Cell
	each := len(params) / directions
	for d := range directions {
		p := params[d*each : (d+1)*each]
		cell := recurrent.Cell{Order: kind.order, Layout: recurrent.Rows, Input: c.numbers(p[0]), Recurrent: c.numbers(p[1])}
		if each == 4 {
			cell.InputBias, cell.RecurrentBias = c.numbers(p[2]), c.numbers(p[3])
		}
		cells = append(cells, cell)
	}
	packed, err := pack(op, cells)
	if err != nil {
		c.Fail(stoa.KindOf(err), "%s", stoa.AsError(err).Msg)
	}
	hidden := packed.Hidden
	in := []any{x, c.Constant(c.Label("W"), packed.W), c.Constant(c.Label("R"), packed.R), c.Constant(c.Label("B"), packed.B), nil}
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
	out := c.Node(op, in, 1+len(states), attrs...)
	s := c.Shape(x)
	t := c.Dtype(x)
	c.Declare(out[0], t, []jit.Value{s[0], int64(directions), s[1], hidden})
	for _, e := range out[1:] {
		c.Declare(e, t, []jit.Value{int64(directions), s[1], hidden})
	}
	if directions == 1 {
		return c.Op("Squeeze", []any{out[0], c.Ints(1)}), out[1:]
	}
	y = c.Op("Transpose", []any{out[0]}, onnx.AInts("perm", 0, 2, 1, 3))
	return c.reshape(y, []jit.Value{s[0], s[1], int64(directions) * hidden}), out[1:]
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
func (c *converter) numbers(t *jit.Tensor) tensor.Tensor {
	w := c.B.Initializer(c.Use(t))
	if w == nil {
		c.Refuse("its weights are computed, which is not supported")
	}
	return w.Tensor
}

// gates is W_ih x + b_ih + W_hh h + b_hh.
func (c *converter) gates(a *jit.Args) *jit.Tensor {
	x, h := c.linear(a.Tensor("input"), a.Tensor("w_ih"), a.Opt("b_ih")), c.linear(a.Tensor("hx"), a.Tensor("w_hh"), a.Opt("b_hh"))
	return c.Op("Add", []any{x, h})
}

func lstmCell(c *converter, a *jit.Args) jit.Value {
	hx := a.Tensors("hx")
	if len(hx) != 2 {
		c.Fail(stoa.Invalid, "its state has %d parts", len(hx))
	}
	a.Vals["hx"] = hx[0]
	g := c.gates(a)
	n := c.Fixed(g, 1) / 4
	part := c.Node("Split", []any{g, c.Ints(n, n, n, n)}, 4, onnx.AInt("axis", 1))
	i, f, o := c.Op("Sigmoid", []any{part[0]}), c.Op("Sigmoid", []any{part[1]}), c.Op("Sigmoid", []any{part[3]})
	cell := c.Op("Add", []any{c.Op("Mul", []any{f, hx[1]}), c.Op("Mul", []any{i, c.Op("Tanh", []any{part[2]})})})
	return jit.Tuple{c.Op("Mul", []any{o, c.Op("Tanh", []any{cell})}), cell}
}

func gruCell(c *converter, a *jit.Args) jit.Value {
	h := a.Tensor("hx")
	x := c.linear(a.Tensor("input"), a.Tensor("w_ih"), a.Opt("b_ih"))
	y := c.linear(h, a.Tensor("w_hh"), a.Opt("b_hh"))
	n := c.Fixed(x, 1) / 3
	p := c.Node("Split", []any{x, c.Ints(n, n, n)}, 3, onnx.AInt("axis", 1))
	q := c.Node("Split", []any{y, c.Ints(n, n, n)}, 3, onnx.AInt("axis", 1))
	r := c.Op("Sigmoid", []any{c.Op("Add", []any{p[0], q[0]})})
	z := c.Op("Sigmoid", []any{c.Op("Add", []any{p[1], q[1]})})
	fresh := c.Op("Tanh", []any{c.Op("Add", []any{p[2], c.Op("Mul", []any{r, q[2]})})})
	// (1-z)*fresh + z*h
	return c.Op("Add", []any{fresh, c.Op("Mul", []any{z, c.Op("Sub", []any{h, fresh})})})
}
