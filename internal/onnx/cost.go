package onnx

import (
	"math"

	"github.com/stoa-project/stoa/internal/tensor"
)

// Cost says what a network takes.
type Cost struct {
	Parameters  int64 // numbers in weights; shapes and axes are not counted
	WeightBytes int64
	MACs        int64 // multiply-accumulates of convolutions, matrices and recurrences; -1 unknown
	Activations int64 // bytes of the largest set of tensors that live at once; -1 unknown
}

// CostOf counts what the main graph takes at the shapes that Infer found.
func CostOf(m *Model, s *Shapes) Cost {
	var c Cost
	_ = m.Graph.EachTensor(func(t *Tensor) error {
		size := int64(len(t.Data))
		if t.External != nil {
			size, _ = tensor.Bytes(t.DType, t.Shape)
		}
		c.WeightBytes = add(c.WeightBytes, size)
		if n, err := tensor.Elements(t.Shape); err == nil && t.DType != tensor.Int64 {
			c.Parameters = add(c.Parameters, n)
		}
		return nil
	})
	for _, n := range m.Graph.Nodes {
		macs := nodeMACs(n, s)
		if macs < 0 {
			c.MACs = -1
			break
		}
		c.MACs = add(c.MACs, macs)
	}
	c.Activations = peak(m.Graph, s)
	return c
}

// add adds what is not negative, and stops at the largest number.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// count gives the elements of a shape; -1 where it is not known.
func count(shape []Dim) int64 {
	if shape == nil {
		return -1
	}
	d := mul(shape...)
	if !d.Known() {
		return -1
	}
	return d.Value
}

// times multiplies numbers of which a negative one is not known.
func times(ns ...int64) int64 {
	out := int64(1)
	for _, n := range ns {
		if n < 0 || out < 0 {
			return -1
		}
		if n > 0 && out > math.MaxInt64/n {
			return math.MaxInt64
		}
		out *= n
	}
	return out
}

// nodeMACs counts one node: each output element of a convolution takes a kernel
// over the channels of its group; of a product, one row times one column.
func nodeMACs(n *Node, s *Shapes) int64 {
	shape := func(name string) []Dim { _, d := s.Of(name); return d }
	dimOf := func(d []Dim, i int) int64 {
		if i < 0 {
			i += len(d)
		}
		if i < 0 || i >= len(d) || !d[i].Known() {
			return -1
		}
		return d[i].Value
	}
	if len(n.Outputs) == 0 {
		return 0
	}
	a, b, out := shape(n.Input(0)), shape(n.Input(1)), shape(n.Outputs[0])
	switch n.Op {
	case "Conv", "ConvInteger", "QLinearConv":
		if n.Op == "QLinearConv" {
			b = shape(n.Input(3))
		}
		if len(b) < 2 {
			return -1
		}
		return times(count(out), count(b[1:]))
	case "ConvTranspose":
		if len(b) < 2 {
			return -1
		}
		return times(count(a), count(b[1:]))
	case "Gemm":
		k := dimOf(a, 1)
		if n.Int("transA", 0) != 0 {
			k = dimOf(a, 0)
		}
		return times(count(out), k)
	case "MatMul", "MatMulInteger":
		return times(count(out), dimOf(a, -1))
	case "LSTM", "GRU", "RNN":
		// Each step of each direction multiplies by W and R.
		r := shape(n.Input(2))
		if len(a) != 3 {
			return -1
		}
		return times(dimOf(a, 0), dimOf(a, 1), add(max(count(b), 0), max(count(r), 0)))
	}
	return 0
}

// peak finds the largest set of tensors that live at once, when nodes run in
// their order and each tensor is freed after the last node that reads it.
func peak(g *Graph, s *Shapes) int64 {
	last := map[string]int{}
	for i, n := range g.Nodes {
		for _, name := range n.Inputs {
			last[name] = i
		}
		for k := range n.Attrs {
			for _, sub := range n.Attrs[k].subgraphs() {
				for _, inner := range sub.Nodes {
					for _, name := range inner.Inputs {
						last[name] = i
					}
				}
			}
		}
	}
	for _, v := range g.Outputs {
		last[v.Name] = len(g.Nodes)
	}
	size := func(name string) int64 {
		t, shape := s.Of(name)
		if t == tensor.Undefined {
			t = tensor.Float32
		}
		return times(count(shape), max(t.Size(), 1))
	}
	live := int64(0)
	for _, v := range g.TrueInputs() {
		if n := size(v.Name); n >= 0 {
			live = add(live, n)
		} else {
			return -1
		}
	}
	most := live
	weights := map[string]bool{}
	for _, t := range g.Initializers {
		weights[t.Name] = true
	}
	freed := map[string]bool{}
	for i, n := range g.Nodes {
		for _, name := range n.Outputs {
			bytes := size(name)
			if name == "" {
				continue
			}
			if bytes < 0 {
				return -1
			}
			live = add(live, bytes)
		}
		most = max(most, live)
		for _, name := range n.Inputs {
			if name != "" && last[name] == i && !freed[name] && !weights[name] {
				freed[name] = true
				live -= max(size(name), 0)
			}
		}
		for _, name := range n.Outputs {
			if _, used := last[name]; name != "" && !used && !freed[name] {
				freed[name] = true
				live -= max(size(name), 0)
			}
		}
	}
	return most
}
