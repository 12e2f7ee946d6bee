package cntk

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/recurrent"
	"github.com/stoa-project/stoa/internal/tensor"
)

// emit adds the operator. It takes steps x batch x features.
func (c *converter) emit(l *loop, found *cell) (bool, error) {
	var p recurrent.Packed
	var err error
	if found.op == "RNN" {
		w := found.weights
		w.Input, w.Recurrent = tensor.Permute(w.Input, 1, 0), tensor.Permute(w.Recurrent, 1, 0)
		p = packWithoutGates([]recurrent.Cell{w})
	} else if p, err = recurrent.Pack(found.weights); err != nil {
		return false, c.wrap(found.delay, err)
	}
	if c.budget -= int64(len(p.W.Data) + len(p.R.Data)); c.budget < 0 {
		return false, nil // the Scan takes the weights as they are
	}
	f := found.h.f
	x, err := c.get(found.x)
	if err != nil {
		return false, err
	}
	batched := l.batch && c.batch
	steps := c.unsqueeze(x.name, 1, 1)
	if batched {
		steps = c.op(f, "Transpose", []string{x.name}, onnx.AInts("perm", 1, 0, 2))
	}
	name := c.nodeName(f)
	inputs := []string{steps, c.b.Constant(name+".W", p.W), c.b.Constant(name+".R", p.R), c.b.Constant(name+".B", p.B)}
	states := []*function{found.delay}
	if found.cDelay != nil {
		states = append(states, found.cDelay)
	}
	inputs, ok, err := c.firstStates(l, inputs, states, p.Hidden, steps)
	if err != nil || !ok {
		return false, err
	}
	if inputs, ok, err = c.withPeepholes(inputs, found, p.Hidden, name); err != nil || !ok {
		return false, err
	}
	attrs := []onnx.Attribute{onnx.AInt("hidden_size", p.Hidden)}
	if !l.back {
		attrs = append(attrs, onnx.AStr("direction", "reverse"))
	}
	if found.activations != nil {
		attrs = append(attrs, onnx.AStrs("activations", found.activations...))
	}
	y := c.op(f, "Squeeze", []string{c.op(f, found.op, inputs, attrs...), c.b.Ints(1)})
	if batched {
		y = c.op(f, "Transpose", []string{y}, onnx.AInts("perm", 1, 0, 2))
	} else {
		y = c.op(f, "Squeeze", []string{y, c.b.Ints(1)})
	}
	c.values[found.h] = value{name: y, rank: 1, batch: l.batch, seq: l.seq}
	return true, c.b.Err()
}

// firstStates adds the initial states to an operator's inputs, unless all are 0.
func (c *converter) firstStates(l *loop, inputs []string, delays []*function, hidden int64, steps string) ([]string, bool, error) {
	m := &matcher{c: c, l: l}
	zero := true
	var firsts []value
	for _, d := range delays {
		r := m.needs(d)[1]
		n, known := m.number(r, 0)
		zero = zero && known && n == 0
		v, err := c.get(r)
		if err != nil {
			return nil, false, err
		}
		if v.rank > 1 || v.seq != "" {
			return nil, false, nil
		}
		firsts = append(firsts, v)
	}
	if zero {
		return inputs, true, nil
	}
	inputs = append(inputs, "")
	for _, v := range firsts {
		name := v.name
		if c.lead(v) > 0 { // batch x hidden
			name = c.unsqueeze(name, 1, 1-v.rank)
		}
		shape := c.concat(c.b.Ints(1), c.size(steps, 1), c.b.Ints(hidden))
		inputs = append(inputs, c.b.Op(v.name+"/initial", "Expand", []string{name, shape}))
	}
	return inputs, true, nil
}

// withPeepholes adds the weights of the cell on the gates, zeros where one has
// none, to an operator's inputs.
func (c *converter) withPeepholes(inputs []string, found *cell, hidden int64, name string) ([]string, bool, error) {
	if found.peepholes == [3]*variable{} {
		return inputs, true, nil
	}
	var data []byte
	for _, v := range found.peepholes {
		part := make([]byte, 4*hidden)
		if v != nil {
			t, err := c.floats(v)
			if err != nil || len(t.Data) != len(part) {
				return nil, false, err
			}
			part = t.Data
		}
		data = append(data, part...)
	}
	for len(inputs) < 7 { // no lengths, no first states
		inputs = append(inputs, "")
	}
	return append(inputs, c.b.Constant(name+".P", tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, 3 * hidden}, Data: data})), true, nil
}
