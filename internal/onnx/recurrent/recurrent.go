// Package recurrent brings the weights of LSTM and GRU layers into the order of
// ONNX: gates i, o, f, c of an LSTM and z, r, h of a GRU, as rows, one direction
// after the other. Frameworks differ in the order of the gates, in whether they
// are rows or columns, and in whether there are one or two biases; what they
// compute is the same.
package recurrent

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The orders of gates, by the letters of ONNX: i input, o output, f forget, c
// cell (g or j elsewhere); z update, r reset, h hidden (n or c elsewhere).
const (
	LSTM       = "iofc" // ONNX
	KerasLSTM  = "ifco" // Keras; PyTorch, which writes ifgo
	TorchLSTM  = "ifco"
	BasicLSTM  = "icfo" // TensorFlow 1: BasicLSTMCell and LSTMCell, which write i, j, f, o
	BlockLSTM1 = "icfo" // TensorFlow: LSTMBlockCell, BlockLSTM
	BlockLSTM2 = "ifco" // TensorFlow: BlockLSTMV2
	CNTKLSTM   = "icfo" // CNTK's Layers library: bit, bit-proj, ft, ot
	GRU        = "zrh"  // ONNX, Keras
	TorchGRU   = "rzh"  // PyTorch, which writes r, z, n; TensorFlow's GRUCell gates
)

// Layout says where the gates of a matrix lie.
type Layout uint8

// The layouts.
const (
	Columns Layout = iota // input x gates: TensorFlow, Keras, Theano
	Rows                  // gates x input: PyTorch, ONNX
)

// Cell holds the weights of one direction of a layer. A bias without a shape is
// zeros.
type Cell struct {
	Order  string // of the gates, such as KerasLSTM
	Layout Layout

	Input, Recurrent         tensor.Tensor
	InputBias, RecurrentBias tensor.Tensor
}

// Packed is what the operators LSTM and GRU of ONNX take as W, R and B.
type Packed struct {
	W, R, B tensor.Tensor
	Hidden  int64
}

// Pack brings one or two directions into ONNX's order, which is LSTM or GRU by
// the number of gates.
func Pack(cells ...Cell) (Packed, error) {
	var p Packed
	for i, c := range cells {
		one, err := c.pack()
		if err != nil {
			return p, err
		}
		if i == 0 {
			p = one
			continue
		}
		for _, pair := range []struct{ to, from *tensor.Tensor }{{&p.W, &one.W}, {&p.R, &one.R}, {&p.B, &one.B}} {
			if len(pair.to.Data) != i*len(pair.from.Data) || pair.to.DType != pair.from.DType {
				return p, stoa.Errorf(stoa.Invalid, "the directions of the layer have weights of different sizes")
			}
			pair.to.Data = slices.Concat(pair.to.Data, pair.from.Data) // the first may be a view of a file
			pair.to.Shape[0]++
		}
	}
	if len(cells) == 0 {
		return p, stoa.Errorf(stoa.Internal, "a recurrent layer has no direction")
	}
	return p, nil
}

func (c Cell) pack() (Packed, error) {
	target := LSTM
	if len(c.Order) == len(GRU) {
		target = GRU
	}
	w, err := c.matrix(c.Input, target)
	if err != nil {
		return Packed{}, err
	}
	r, err := c.matrix(c.Recurrent, target)
	if err != nil {
		return Packed{}, err
	}
	gates := int64(len(c.Order))
	hidden := r.Shape[1] / gates
	if r.Shape[2] != hidden || w.Shape[1] != r.Shape[1] || w.DType != r.DType {
		return Packed{}, stoa.Errorf(stoa.Invalid, "weights %s and %s are not of one recurrent layer of %d gates",
			tensor.ShapeString(c.Input.Shape), tensor.ShapeString(c.Recurrent.Shape), gates)
	}
	b := tensor.Tensor{DType: w.DType, Shape: []int64{1, 2 * gates * hidden}}
	for _, bias := range []tensor.Tensor{c.InputBias, c.RecurrentBias} {
		one, err := biasOf(bias, w.DType, gates*hidden)
		if err != nil {
			return Packed{}, err
		}
		if one, err = Reorder(one, 0, c.Order, target); err != nil {
			return Packed{}, err
		}
		b.Data = append(b.Data, one.Data...)
	}
	return Packed{W: w, R: r, B: b, Hidden: hidden}, nil
}

// biasOf gives a bias of n numbers, zeros where there is none.
func biasOf(t tensor.Tensor, d tensor.DType, n int64) (tensor.Tensor, error) {
	if t.Shape == nil {
		return tensor.Tensor{DType: d, Shape: []int64{n}, Data: make([]byte, n*d.Size())}, nil
	}
	if have, err := tensor.Elements(t.Shape); err != nil || have != n || t.DType != d {
		return t, stoa.Errorf(stoa.Invalid, "the bias of a recurrent layer is %s %s, not %d numbers of %s", tensor.ShapeString(t.Shape), t.DType, n, d)
	}
	return tensor.Tensor{DType: d, Shape: []int64{n}, Data: t.Data}, nil
}

// matrix gives a matrix as 1 x gates*hidden x input.
func (c Cell) matrix(t tensor.Tensor, target string) (tensor.Tensor, error) {
	if len(t.Shape) != 2 || len(c.Order) == 0 {
		return t, stoa.Errorf(stoa.Invalid, "a weight of a recurrent layer is %s, not a matrix", tensor.ShapeString(t.Shape))
	}
	if err := t.Check(); err != nil {
		return t, err
	}
	if c.Layout == Columns {
		t = tensor.Permute(t, 1, 0)
	}
	t, err := Reorder(t, 0, c.Order, target)
	t.Shape = append([]int64{1}, t.Shape...)
	return t, err
}

// Reorder moves equal blocks along an axis, one for each letter, from one order
// into another. Orders of the same letters only.
func Reorder(t tensor.Tensor, axis int, from, to string) (tensor.Tensor, error) {
	if axis < 0 || axis >= len(t.Shape) || len(from) != len(to) || t.Shape[axis]%int64(len(from)) != 0 {
		return t, stoa.Errorf(stoa.Invalid, "a weight of a recurrent layer is %s, which is no multiple of %d gates along axis %d",
			tensor.ShapeString(t.Shape), len(from), axis)
	}
	if err := t.Check(); err != nil {
		return t, err
	}
	if from == to {
		return t, nil
	}
	before, err := tensor.Elements(t.Shape[:axis])
	if err != nil {
		return t, err
	}
	out := tensor.Tensor{DType: t.DType, Shape: append([]int64{}, t.Shape...), Data: make([]byte, 0, len(t.Data))}
	if before == 0 || len(t.Data) == 0 {
		return out, nil
	}
	block := len(t.Data) / int(before) / len(from)
	for b := range int(before) {
		for _, gate := range to {
			at := strings.IndexRune(from, gate)
			if at < 0 {
				return t, stoa.Errorf(stoa.Internal, "gates %q and %q are not the same", from, to)
			}
			at = (b*len(from) + at) * block
			out.Data = append(out.Data, t.Data[at:at+block]...)
		}
	}
	return out, nil
}
