package onnx

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Cut keeps what lies between inputs and outputs, both names of tensors. No
// inputs, or no outputs, means those that there are.
func Cut(m *Model, inputs, outputs []string) error {
	g := m.Graph
	shapes, err := Infer(m, nil)
	if err != nil {
		return err
	}
	producer := map[string]*Node{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			producer[o] = n
		}
	}
	exists := func(name string) bool {
		return producer[name] != nil || slices.ContainsFunc(g.Inputs, func(v *ValueInfo) bool { return v.Name == name })
	}
	end := func(name string, old []*ValueInfo) *ValueInfo {
		for _, v := range old {
			if v.Name == name {
				return v
			}
		}
		t, shape := shapes.Of(name)
		if t == tensor.Undefined {
			t = tensor.Float32
		}
		return &ValueInfo{Name: name, DType: t, Shape: shape}
	}
	for _, name := range slices.Concat(inputs, outputs) {
		if !exists(name) {
			return stoa.Errorf(stoa.Invalid, "the network has no tensor %s to be cut at", quote(name))
		}
	}
	if len(outputs) > 0 {
		kept := make([]*ValueInfo, 0, len(outputs))
		for _, name := range outputs {
			kept = append(kept, end(name, g.Outputs))
		}
		g.Outputs = kept
	}
	var added []*ValueInfo
	for _, name := range inputs {
		v := end(name, g.Inputs)
		if v.Shape == nil {
			return stoa.Errorf(stoa.Unsupported, "the network cannot be cut at %s: its size is not known", quote(name))
		}
		added = append(added, v)
	}
	if len(inputs) > 0 {
		g.Inputs = added
	}
	return g.prune(inputs)
}

// prune drops nodes, inputs and initializers that no output needs. Names in
// given need no node that makes them.
func (g *Graph) prune(given []string) error {
	needed := map[string]bool{}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	cut := map[string]bool{}
	for _, name := range given {
		cut[name] = true
	}
	kept := make([]*Node, 0, len(g.Nodes))
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] && !cut[o] }) {
			continue
		}
		n.EachInput(func(name string) { needed[name] = true })
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	g.Nodes = kept
	g.Initializers = slices.DeleteFunc(slices.Clone(g.Initializers), func(t *Tensor) bool { return !needed[t.Name] })
	if len(given) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, v := range g.Inputs {
		known[v.Name] = true
	}
	for _, t := range g.Initializers {
		known[t.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			known[o] = true
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.Inputs {
			if name != "" && !known[name] {
				return stoa.Errorf(stoa.Invalid, "cut at these inputs, the network lacks %s, which %s takes", quote(name), n.Describe())
			}
		}
	}
	return nil
}

// Prune drops the nodes and initializers that no output needs.
func (g *Graph) Prune() { _ = g.prune(nil) }

// EachInput calls f for every tensor that a node reads, graphs within it too.
func (n *Node) EachInput(f func(string)) {
	for _, name := range n.Inputs {
		if name != "" {
			f(name)
		}
	}
	for i := range n.Attrs {
		for _, g := range n.Attrs[i].Subgraphs() {
			for _, inner := range g.Nodes {
				inner.EachInput(f)
			}
			for _, o := range g.Outputs {
				f(o.Name)
			}
		}
	}
}
