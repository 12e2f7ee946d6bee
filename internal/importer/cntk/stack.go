package cntk

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/recurrent"
	"github.com/stoa-project/stoa/internal/tensor"
)

// stackKind is a recurrent layer as cuDNN has it: the order of its gates, which
// is PyTorch's, and the operator of ONNX.
type stackKind struct {
	op, order, activation string
}

var stackKinds = map[string]stackKind{
	"lstm":    {"LSTM", recurrent.TorchLSTM, ""},
	"gru":     {"GRU", recurrent.TorchGRU, ""},
	"rnnReLU": {"RNN", "h", "Relu"},
	"rnnTanh": {"RNN", "h", "Tanh"},
}

// stack is an OptimizedRNNStack.
type stack struct {
	stackKind
	layers, hidden, ways int64
	numbers              []float32 // what is left of the parameter
}

// take gives the next matrix or vector.
func (s *stack) take(shape ...int64) (tensor.Tensor, bool) {
	n, err := tensor.Elements(shape)
	if err != nil || n > int64(len(s.numbers)) {
		return tensor.Tensor{}, false
	}
	t := tensor.Of(s.numbers[:n:n], shape...)
	s.numbers = s.numbers[n:]
	return t, true
}

// optimizedRNNStack is layers of a recurrent network, whose weights are one
// parameter in the order of cuDNN: of each layer and direction the matrices of
// the input and of the state, and after all of them two biases of each.
func (c *converter) optimizedRNNStack(f *function, in []value) (value, error) {
	x := in[0]
	needs, err := c.net.needs(f)
	if err != nil {
		return x, err
	}
	if needs[1].v == nil || x.seq == "" || x.rank != 1 || c.inLoop {
		return x, c.refuse(f, "it takes a sequence of vectors, and its weights must be a parameter")
	}
	w, err := c.floats(needs[1].v)
	if err != nil {
		return x, err
	}
	s := &stack{layers: f.attrs.int("numLayers", 1), hidden: f.attrs.int("hiddenSize", 0), ways: 1, numbers: tensor.As[float32](w)}
	if f.attrs.flag("bidirectional") {
		s.ways = 2
	}
	kind, ok := stackKinds[f.attrs.str("recurrentOp")]
	dims, known := c.known(x)
	if !ok || !known {
		return x, c.refuse(f, "its kind %q or its input of %s is not supported", f.attrs.str("recurrentOp"), onnx.DimString(c.dims(x)))
	}
	s.stackKind = kind
	const mostLayers = 1000
	if s.layers < 1 || s.layers > mostLayers || s.hidden < 1 || s.hidden > maxWindow {
		return x, c.invalid(f, "its %d layers of %d make no sense", s.layers, s.hidden)
	}
	cells, ok := s.cells(dims[0])
	if !ok || len(s.numbers) > 0 {
		return x, c.invalid(f, "its parameter has %d numbers, which do not fit %d layers of %d", len(w.Data)/4, s.layers, s.hidden)
	}
	batched := x.batch && c.batch
	y := c.unsqueeze(x.name, 1, 1)
	if batched {
		y = c.op(f, "Transpose", []string{x.name}, onnx.AInts("perm", 1, 0, 2))
	}
	for _, layer := range cells {
		if y, err = c.stackLayer(f, s, y, layer); err != nil {
			return x, err
		}
	}
	if batched {
		return x.like(c.op(f, "Transpose", []string{y}, onnx.AInts("perm", 1, 0, 2))), nil
	}
	return x.like(c.op(f, "Squeeze", []string{y, c.b.Ints(1)})), nil
}

// cells cuts the parameter into the weights of each layer's directions.
func (s *stack) cells(in int64) ([][]recurrent.Cell, bool) {
	rows := int64(len(s.order)) * s.hidden
	out := make([][]recurrent.Cell, s.layers)
	for i := range out {
		for range s.ways {
			w, ok := s.take(rows, in)
			r, ok2 := s.take(rows, s.hidden)
			if !ok || !ok2 {
				return nil, false
			}
			out[i] = append(out[i], recurrent.Cell{Order: s.order, Layout: recurrent.Rows, Input: w, Recurrent: r})
		}
		in = s.hidden * s.ways
	}
	for i := range out {
		for k := range out[i] {
			var ok, ok2 bool
			out[i][k].InputBias, ok = s.take(rows)
			out[i][k].RecurrentBias, ok2 = s.take(rows)
			if !ok || !ok2 {
				return nil, false
			}
		}
	}
	return out, true
}

// stackLayer adds one layer; y is steps x batch x features.
func (c *converter) stackLayer(f *function, s *stack, y string, cells []recurrent.Cell) (string, error) {
	var p recurrent.Packed
	var err error
	if s.op == "RNN" {
		p = packWithoutGates(cells)
	} else if p, err = recurrent.Pack(cells...); err != nil {
		return "", err
	}
	name := c.nodeName(f)
	attrs := []onnx.Attribute{onnx.AInt("hidden_size", s.hidden)}
	if s.ways == 2 {
		attrs = append(attrs, onnx.AStr("direction", "bidirectional"))
	}
	if s.activation != "" {
		attrs = append(attrs, onnx.AStrs("activations", slices.Repeat([]string{s.activation}, int(s.ways))...))
	}
	if s.op == "GRU" { // cuDNN resets after the product
		attrs = append(attrs, onnx.AInt("linear_before_reset", 1))
	}
	y = c.op(f, s.op, []string{y, c.b.Constant(name+".W", p.W), c.b.Constant(name+".R", p.R), c.b.Constant(name+".B", p.B)}, attrs...)
	if s.ways == 1 {
		return c.op(f, "Squeeze", []string{y, c.b.Ints(1)}), nil
	}
	y = c.op(f, "Transpose", []string{y}, onnx.AInts("perm", 0, 2, 1, 3))
	return c.op(f, "Reshape", []string{y, c.b.Ints(0, 0, -1)}), nil
}

// packWithoutGates is recurrent.Pack for a plain recurrent layer.
func packWithoutGates(cells []recurrent.Cell) recurrent.Packed {
	var p recurrent.Packed
	join := func(to *tensor.Tensor, data ...[]byte) {
		to.Data = slices.Concat(append([][]byte{to.Data}, data...)...)
	}
	for _, one := range cells {
		hidden := one.Recurrent.Shape[0]
		if p.W.Shape == nil {
			p.Hidden = hidden
			p.W = tensor.Tensor{DType: tensor.Float32, Shape: []int64{0, hidden, one.Input.Shape[1]}}
			p.R = tensor.Tensor{DType: tensor.Float32, Shape: []int64{0, hidden, hidden}}
			p.B = tensor.Tensor{DType: tensor.Float32, Shape: []int64{0, 2 * hidden}}
		}
		second := one.RecurrentBias.Data
		if second == nil {
			second = make([]byte, 4*hidden)
		}
		join(&p.W, one.Input.Data)
		join(&p.R, one.Recurrent.Data)
		join(&p.B, one.InputBias.Data, second)
		for _, t := range []*tensor.Tensor{&p.W, &p.R, &p.B} {
			t.Shape[0]++
		}
	}
	return p
}
