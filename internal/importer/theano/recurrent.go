package theano

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Lasagne has a matrix of inputs x units for each gate. What is learned besides
// (the first state) is a parameter too, whether it was learned or not.

// gate is one gate's parameters.
type gate struct{ in, hidden, bias tensor.Tensor }

// sequenceOf checks the input of a recurrent layer, which is batch x steps x
// features, and gives it as steps x batch x features.
func (c *converter) sequenceOf(l *layer) (x string, features int64, err error) {
	if x, err = c.in(l); err != nil {
		return "", 0, err
	}
	if rank := len(c.dims(x)); rank > 3 {
		x = c.op(l, "Reshape", []string{x, c.b.Ints(0, 0, -1)})
	}
	if err := c.rank(l, x, 3); err != nil {
		return "", 0, err
	}
	if features, err = c.size(l, x, 2); err != nil {
		return "", 0, err
	}
	return c.op(l, "Transpose", []string{x}, onnx.AInts("perm", 1, 0, 2)), features, nil
}

func (c *converter) gate(l *layer, name string, features, units int64) (g gate, err error) {
	if g.in, err = c.param(l, "W_in_to_"+name, features, units); err != nil {
		return g, err
	}
	if g.hidden, err = c.param(l, "W_hid_to_"+name, units, units); err != nil {
		return g, err
	}
	g.bias, err = c.param(l, "b_"+name, units)
	return g, err
}

// negated is a gate whose opposite is wanted: 1 - sigmoid(a) is sigmoid(-a).
func (g gate) negated() gate {
	minus := func(t tensor.Tensor) tensor.Tensor {
		out := slices.Clone(tensor.As[float32](t))
		for i := range out {
			out[i] = -out[i]
		}
		return tensor.Of(out, t.Shape...)
	}
	return gate{minus(g.in), minus(g.hidden), minus(g.bias)}
}

// pack joins gates in the order in which they are given, which is ONNX's.
func (c *converter) pack(l *layer, units int64, gates ...gate) ([]string, error) {
	var w, r, b []byte
	features := gates[0].in.Shape[0]
	for _, g := range gates {
		if err := c.spend(2 * int64(len(g.in.Data)+len(g.hidden.Data))); err != nil {
			return nil, err
		}
		w = append(w, tensor.Permute(g.in, 1, 0).Data...)
		r = append(r, tensor.Permute(g.hidden, 1, 0).Data...)
		b = append(b, g.bias.Data...)
	}
	n := int64(len(gates)) * units
	b = append(b, make([]byte, 4*n)...)
	return []string{
		c.b.Constant(l.name+".W", tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, n, features}, Data: w}),
		c.b.Constant(l.name+".R", tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, n, units}, Data: r}),
		c.b.Constant(l.name+".B", tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, 2 * n}, Data: b}),
	}, nil
}

// first gives a first state for each item of the batch.
func (c *converter) first(l *layer, x string, t tensor.Tensor, units int64) string {
	shape := c.op(l, "Shape", []string{x})
	batch := c.op(l, "Slice", []string{shape, c.b.Ints(1), c.b.Ints(2)})
	to := c.op(l, "Concat", []string{c.b.Ints(1), batch, c.b.Ints(units)}, onnx.AInt("axis", 0))
	return c.op(l, "Expand", []string{c.constant(l, "first", t), to})
}

// layerOf adds the operator and brings its result back to batch x steps x units,
// or to the last state alone.
func (c *converter) layerOf(s *settings, op string, inputs []string, units int64, attrs ...onnx.Attribute) (string, error) {
	l := s.l
	attrs = append(attrs, onnx.AInt("hidden_size", units))
	if s.flag("backwards", false) {
		attrs = append(attrs, onnx.AStr("direction", "reverse"))
	}
	outs := []string{l.name, l.name + "_last"}
	out := c.b.Add(&onnx.Node{Name: l.name, Op: op, Inputs: inputs, Outputs: outs, Attrs: attrs})
	if s.flag("only_return_final", false) {
		return c.op(l, "Squeeze", []string{out[1], c.b.Ints(0)}), nil
	}
	y := c.op(l, "Squeeze", []string{out[0], c.b.Ints(1)})
	return c.op(l, "Transpose", []string{y}, onnx.AInts("perm", 1, 0, 2)), nil
}

// onnxActivations are nonlinearities that the recurrent operators of ONNX have.
var onnxActivations = map[string]string{"sigmoid": "Sigmoid", "tanh": "Tanh", "rectify": "Relu", "softplus": "Softplus", "elu": "Elu"}

func (c *converter) activation(l *layer, s *settings, key, otherwise string) (string, error) {
	a := c.activationOf(l, s, key, otherwise)
	if name, ok := onnxActivations[a.name]; ok {
		return name, nil
	}
	return "", c.net.errorf(l, "%s %q is not supported in a recurrent layer", key, a.name)
}

// recurrent is h = f(x W + h' H + b).
func (c *converter) recurrent(l *layer, s *settings) (string, error) {
	x, features, err := c.sequenceOf(l)
	if err != nil {
		return "", err
	}
	units := s.need("num_units")
	first, err := c.param(l, "hid_init", 1, units)
	if err != nil {
		return "", err
	}
	var g gate
	if g.in, err = c.param(l, "W_in_to_hid", features, units); err != nil {
		return "", err
	}
	if s.flag("b", true) {
		if g.bias, err = c.param(l, "b", units); err != nil {
			return "", err
		}
	}
	if g.hidden, err = c.param(l, "W_hid_to_hid", units, units); err != nil {
		return "", err
	}
	if g.bias.Shape == nil {
		g.bias = tensor.Of(make([]float32, units), units)
	}
	f, err := c.activation(l, s, "nonlinearity", "rectify")
	if err != nil {
		return "", err
	}
	packed, err := c.pack(l, units, g)
	if err != nil {
		return "", err
	}
	inputs := append(append([]string{x}, packed...), "", c.first(l, x, first, units))
	return c.layerOf(s, "RNN", inputs, units, onnx.AStrs("activations", f))
}

func (c *converter) lstm(l *layer, s *settings) (string, error) {
	x, features, err := c.sequenceOf(l)
	if err != nil {
		return "", err
	}
	units := s.need("num_units")
	gates := map[string]gate{}
	for _, name := range []string{"ingate", "forgetgate", "cell", "outgate"} {
		if gates[name], err = c.gate(l, name, features, units); err != nil {
			return "", err
		}
	}
	peephole := ""
	if s.flag("peepholes", true) {
		if peephole, err = c.peepholes(l, units); err != nil {
			return "", err
		}
	}
	cell, err := c.param(l, "cell_init", 1, units)
	if err != nil {
		return "", err
	}
	hidden, err := c.param(l, "hid_init", 1, units)
	if err != nil {
		return "", err
	}
	in, err := c.activation(l, s, "nonlinearity_ingate", "sigmoid")
	for _, key := range []string{"nonlinearity_forgetgate", "nonlinearity_outgate"} {
		other, e := c.activation(l, s, key, "sigmoid")
		if err == nil {
			err = e
		}
		if err == nil && other != in {
			err = c.net.errorf(l, "gates of different nonlinearities are not supported")
		}
	}
	if err != nil {
		return "", err
	}
	g, err := c.activation(l, s, "nonlinearity_cell", "tanh")
	if err != nil {
		return "", err
	}
	h, err := c.activation(l, s, "nonlinearity", "tanh")
	if err != nil {
		return "", err
	}
	packed, err := c.pack(l, units, gates["ingate"], gates["outgate"], gates["forgetgate"], gates["cell"])
	if err != nil {
		return "", err
	}
	inputs := append(append([]string{x}, packed...), "", c.first(l, x, hidden, units), c.first(l, x, cell, units))
	if peephole != "" {
		inputs = append(inputs, peephole)
	}
	return c.layerOf(s, "LSTM", inputs, units, onnx.AStrs("activations", in, g, h))
}

// peepholes are the weights of the cell on the gates, in ONNX's order of these.
func (c *converter) peepholes(l *layer, units int64) (string, error) {
	var parts [3][]byte
	for i, name := range []string{"ingate", "forgetgate", "outgate"} {
		t, err := c.param(l, "W_cell_to_"+name, units)
		if err != nil {
			return "", err
		}
		parts[i] = t.Data
	}
	data := slices.Concat(parts[0], parts[2], parts[1])
	return c.b.Constant(l.name+".P", tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, 3 * units}, Data: data}), nil
}

// gru lets the update gate say how much of the new state is taken; that of ONNX
// says how much of the old one is kept.
func (c *converter) gru(l *layer, s *settings) (string, error) {
	x, features, err := c.sequenceOf(l)
	if err != nil {
		return "", err
	}
	units := s.need("num_units")
	var gates [3]gate
	for i, name := range []string{"updategate", "resetgate", "hidden_update"} {
		if gates[i], err = c.gate(l, name, features, units); err != nil {
			return "", err
		}
	}
	first, err := c.param(l, "hid_init", 1, units)
	if err != nil {
		return "", err
	}
	update, err := c.activation(l, s, "nonlinearity_updategate", "sigmoid")
	if err != nil {
		return "", err
	}
	reset, err := c.activation(l, s, "nonlinearity_resetgate", "sigmoid")
	if err != nil {
		return "", err
	}
	if update != "Sigmoid" || reset != "Sigmoid" {
		return "", c.net.errorf(l, "gates of other nonlinearities than sigmoid are not supported")
	}
	g, err := c.activation(l, s, "nonlinearity_hidden_update", "tanh")
	if err != nil {
		return "", err
	}
	packed, err := c.pack(l, units, gates[0].negated(), gates[1], gates[2])
	if err != nil {
		return "", err
	}
	inputs := append(append([]string{x}, packed...), "", c.first(l, x, first, units))
	return c.layerOf(s, "GRU", inputs, units, onnx.AInt("linear_before_reset", 1), onnx.AStrs("activations", update, g))
}
