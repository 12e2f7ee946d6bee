package fold

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// line is y = a*x + b for every channel.
type line struct{ a, b []float64 }

// then gives what follows of first l and then m.
func (l line) then(m line) line {
	out := line{slices.Clone(l.a), slices.Clone(l.b)}
	for i := range out.a {
		out.a[i] = m.a[i] * l.a[i]
		out.b[i] = m.a[i]*l.b[i] + m.b[i]
	}
	return out
}

// affine folds chains of normalisations, products and sums behind a convolution
// or a matrix into it, and those behind a normalisation into that.
func (f *folder) affine() {
	reader := map[string]*onnx.Node{}
	for _, n := range f.graph.Nodes {
		for _, name := range n.Inputs {
			reader[name] = n
		}
	}
	gone := map[*onnx.Node]bool{}
	for _, n := range f.graph.Nodes {
		if gone[n] || !f.absorbs(n) {
			continue
		}
		channels, rank := f.channels(n)
		if channels == 0 {
			continue
		}
		sum := line{slices.Repeat([]float64{1}, channels), make([]float64, channels)}
		var chain []*onnx.Node
		for out := n.Outputs[0]; f.uses[out] == 1 && !f.outputs[out] && !f.nested[out]; {
			next := reader[out]
			l, ok := f.lineOf(next, out, channels, rank)
			if !ok {
				break
			}
			sum = sum.then(l)
			chain = append(chain, next)
			out = next.Outputs[0]
		}
		if len(chain) == 0 || !f.absorb(n, sum) {
			continue
		}
		for _, c := range chain {
			gone[c] = true
		}
		n.Outputs[0] = chain[len(chain)-1].Outputs[0]
	}
	f.graph.Nodes = slices.DeleteFunc(f.graph.Nodes, func(n *onnx.Node) bool { return gone[n] })
}

// absorbs tells whether a node has weights for each channel that it makes.
func (f *folder) absorbs(n *onnx.Node) bool {
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.Outputs) != 1 {
		return false
	}
	switch n.Op {
	case "Conv", "ConvTranspose":
		return true
	case "Gemm":
		return n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1
	case "BatchNormalization":
		return f.plainNorm(n)
	}
	return false
}

// plainNorm tells whether a BatchNormalization uses the statistics that it was
// given, one for each channel.
func (f *folder) plainNorm(n *onnx.Node) bool {
	return f.model.OpsetOf("") >= 7 && len(n.Inputs) == 5 && len(n.Outputs) == 1 &&
		n.Int("training_mode", 0) == 0 && n.Int("spatial", 1) == 1
}

// channels gives the channels that a node makes and the rank of its output; 0
// where they are not known or its weights are no constants.
func (f *folder) channels(n *onnx.Node) (channels, rank int) {
	_, shape := f.shapes.Of(n.Outputs[0])
	if len(shape) < 2 || !shape[1].Known() || shape[1].Value > math.MaxInt32 {
		return 0, 0
	}
	for _, name := range n.Inputs[1:] {
		if name != "" && (f.weights[name] == nil || f.weights[name].DType != tensor.Float32 || f.weights[name].External != nil) {
			return 0, 0
		}
	}
	return int(shape[1].Value), len(shape)
}

// lineOf reads a node that multiplies and adds numbers for every channel to x.
func (f *folder) lineOf(n *onnx.Node, x string, channels, rank int) (line, bool) {
	if n == nil || n.Domain != "" && n.Domain != "ai.onnx" || len(n.Outputs) != 1 {
		return line{}, false
	}
	if n.Op == "BatchNormalization" {
		return f.norm(n, x, channels)
	}
	if len(n.Inputs) != 2 || f.model.OpsetOf("") < 7 {
		return line{}, false
	}
	other := n.Inputs[0]
	swapped := true
	if other == x {
		other, swapped = n.Inputs[1], false
	}
	v, ok := f.perChannel(other, channels, rank)
	if !ok || other == x {
		return line{}, false
	}
	l := line{slices.Repeat([]float64{1}, channels), make([]float64, channels)}
	for i := range channels {
		switch {
		case n.Op == "Mul":
			l.a[i] = v[i]
		case n.Op == "Add":
			l.b[i] = v[i]
		case n.Op == "Sub" && !swapped:
			l.b[i] = -v[i]
		case n.Op == "Sub":
			l.a[i], l.b[i] = -1, v[i]
		case n.Op == "Div" && !swapped && v[i] != 0:
			l.a[i] = 1 / v[i]
		default:
			return line{}, false
		}
	}
	return l, true
}

// perChannel reads a constant that is one number, or one for each channel, when
// it is laid over an output of the given rank whose second axis is the channel.
func (f *folder) perChannel(name string, channels, rank int) ([]float64, bool) {
	t := f.weights[name]
	if t == nil || t.DType != tensor.Float32 || t.External != nil || len(t.Shape) > rank {
		return nil, false
	}
	v := t.Floats()
	if len(v) == 1 {
		return slices.Repeat([]float64{float64(v[0])}, channels), true
	}
	// The channel is axis 1 of rank, which is rank-1 from the end.
	at := len(t.Shape) - (rank - 1)
	if at < 0 || len(v) != channels || t.Shape[at] != int64(channels) {
		return nil, false
	}
	out := make([]float64, channels)
	for i := range v {
		out[i] = float64(v[i])
	}
	return out, true
}

func (f *folder) norm(n *onnx.Node, x string, channels int) (line, bool) {
	if !f.plainNorm(n) || n.Inputs[0] != x {
		return line{}, false
	}
	var v [4][]float32
	for i := range v {
		t := f.weights[n.Inputs[1+i]]
		if t == nil || t.External != nil || t.DType != tensor.Float32 || len(t.Data) != 4*channels {
			return line{}, false
		}
		v[i] = t.Floats()
	}
	eps := float64(n.Float("epsilon", 1e-5))
	l := line{make([]float64, channels), make([]float64, channels)}
	for i := range channels {
		l.a[i] = float64(v[0][i]) / math.Sqrt(float64(v[3][i])+eps)
		l.b[i] = float64(v[1][i]) - float64(v[2][i])*l.a[i]
		if math.IsNaN(l.a[i]) || math.IsInf(l.a[i], 0) {
			return line{}, false
		}
	}
	return l, true
}

// absorb changes the weights of a node so that it also computes l.
func (f *folder) absorb(n *onnx.Node, l line) bool {
	w := f.weights[n.Inputs[1]]
	channels := len(l.a)
	if n.Op == "BatchNormalization" {
		shift := f.weights[n.Inputs[2]]
		if len(w.Data) != 4*channels || len(shift.Data) != 4*channels {
			return false
		}
		n.Inputs[1] = f.add(n, "scale", scaled(w, func(i int) float64 { return l.a[i] }))
		n.Inputs[2] = f.add(n, "shift", shifted(shift.Floats(), l))
		return true
	}
	channelOf, ok := weightChannels(n, w, channels)
	if !ok {
		return false
	}
	bias := make([]float32, channels)
	if name := n.Input(2); name != "" {
		v := f.weights[name].Floats()
		if len(v) != channels {
			return false
		}
		bias = v
	}
	n.Inputs[1] = f.add(n, "weight", scaled(w, func(i int) float64 { return l.a[channelOf(i)] }))
	shift := f.add(n, "bias", shifted(bias, l))
	if len(n.Inputs) > 2 {
		n.Inputs[2] = shift
	} else {
		n.Inputs = append(n.Inputs, shift)
	}
	return true
}

// weightChannels says to which channel of the output each element of a weight
// belongs.
func weightChannels(n *onnx.Node, w *onnx.Tensor, channels int) (func(i int) int, bool) {
	total := len(w.Data) / 4
	if channels == 0 || total%channels != 0 || total == 0 {
		return nil, false
	}
	switch {
	case n.Op == "Conv" && len(w.Shape) > 2 && w.Shape[0] == int64(channels),
		n.Op == "Gemm" && n.Int("transB", 0) != 0 && len(w.Shape) == 2 && w.Shape[0] == int64(channels):
		each := total / channels
		return func(i int) int { return i / each }, true
	case n.Op == "Gemm" && n.Int("transB", 0) == 0 && len(w.Shape) == 2 && w.Shape[1] == int64(channels):
		return func(i int) int { return i % channels }, true
	case n.Op == "ConvTranspose" && len(w.Shape) > 2:
		// Weights are (in, out/group, …); inputs of one group make its outputs.
		group, in, out := int(n.Int("group", 1)), int(w.Shape[0]), int(w.Shape[1])
		if group < 1 || in%group != 0 || out*group != channels || total%(in*out) != 0 {
			return nil, false
		}
		places := total / (in * out)
		return func(i int) int {
			return i/(places*out)/(in/group)*out + i/places%out
		}, true
	}
	return nil, false
}

func scaled(t *onnx.Tensor, factor func(i int) float64) tensor.Tensor {
	in := t.Floats()
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = float32(float64(v) * factor(i))
	}
	return tensor.Of(out, t.Shape...)
}

func shifted(v []float32, l line) tensor.Tensor {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(float64(v[i])*l.a[i] + l.b[i])
	}
	return tensor.Of(out, int64(len(out)))
}

// add adds a weight under a name that is free.
func (f *folder) add(n *onnx.Node, what string, t tensor.Tensor) string {
	name := f.free(n.Outputs[0] + "." + what + ".folded")
	w := onnx.NewTensor(name, t)
	f.weights[name] = w
	f.graph.Initializers = append(f.graph.Initializers, w)
	return name
}
