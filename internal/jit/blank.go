package jit

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/tensor"
)

// askBlank looks what an operator wants of an input whose shape nobody told, and
// what was done to it before does not matter: operators that keep a shape would
// need it too, so that the first one asks.
func (c *Converter) askBlank(op string, in []Value) {
	for i, v := range in {
		t, ok := v.(*Tensor)
		if !ok || t.Blank == 0 {
			continue
		}
		d := Demand{Input: t.Blank - 1}
		rankOf := func(at int) int {
			if at < len(in) {
				if w, ok := in[at].(*Tensor); ok && w.Blank == 0 {
					return c.Rank(w)
				}
			}
			return 0
		}
		switch {
		case op == "embedding" && i == 1:
			d.DType, d.Ranks, d.Names = tensor.Int64, []int{2, 1, 3}, []string{"batch", "length"}
		case strings.HasPrefix(op, "conv") || op == "_convolution":
			if n := rankOf(1); n > 0 {
				d.Ranks = []int{n}
			}
			d.Names = []string{"batch", "channels", "length"}
		case op == "matmul" && rankOf(1-i) == 2 || op == "linear" || op == "addmm":
			d.Ranks, d.Names = []int{2, 3, 4}, []string{"batch", "features"}
		case op == "lstm" || op == "gru" || op == "rnn_tanh" || op == "rnn_relu":
			d.Ranks, d.Names = []int{3}, stepNames(in)
		case op == "_transformer_encoder_layer_fwd" || op == "_native_multi_head_attention":
			d.Ranks = []int{3}
		case op == "layer_norm":
			d.Ranks = []int{3, 2, 4}
		case strings.HasSuffix(op, "_cell"):
			d.Ranks, d.Names = []int{2}, []string{"batch", "features"}
		case strings.HasSuffix(op, "1d"):
			d.Ranks, d.Names = []int{3}, []string{"batch", "channels", "length"}
		case strings.HasSuffix(op, "3d"):
			d.Ranks = []int{5}
		case strings.HasSuffix(op, "2d"), op == "pixel_shuffle":
			d.Ranks = []int{4}
		default:
			d.Ranks = c.ranksByModule()
		}
		c.Demand(d)
	}
}

// stepNames are the axes of sequences, steps first unless the layer wants the
// batch first.
func stepNames(in []Value) []string {
	if len(in) > 8 && in[8] == true {
		return []string{"batch", "length", "features"}
	}
	return []string{"length", "batch", "features"}
}

// ranksByModule guesses by the class of the module that is at work.
func (c *Converter) ranksByModule() []int {
	for _, class := range slices.Backward(c.self) {
		name := class[strings.LastIndexByte(class, '.')+1:]
		switch {
		case name == "LSTM" || name == "GRU" || name == "RNN" || strings.HasPrefix(name, "Transformer") || name == "MultiheadAttention":
			return []int{3, 2}
		case name == "BatchNorm1d":
			return []int{2, 3}
		case strings.HasSuffix(name, "1d"):
			return []int{3}
		case strings.HasSuffix(name, "2d"):
			return []int{4}
		case strings.HasSuffix(name, "3d"):
			return []int{5}
		case name == "Linear":
			return []int{2, 3}
		}
	}
	return nil
}
