package fold

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/onnx"
)

// share has a graph, and the graphs within it, compute each thing once: nodes
// that do the same to the same become one. Bodies of loops, which run many times,
// also lose the nodes that only give a tensor another name.
func share(g *onnx.Graph, body bool) { //nolint:revive // not control coupling: a main graph's names are the caller's
	s := sharer{graph: g, rename: map[string]string{}, seen: map[string]*onnx.Node{}, makers: map[string]*onnx.Node{}, outputs: map[string]bool{}}
	for _, o := range g.Outputs {
		s.outputs[o.Name] = true
	}
	kept := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		s.resolve(n)
		for i := range n.Attrs {
			for _, inner := range n.Attrs[i].Subgraphs() {
				share(inner, true)
			}
		}
		if s.same(n) || body && s.idle(n) {
			continue
		}
		for _, o := range n.Outputs {
			s.makers[o] = n
		}
		kept = append(kept, n)
	}
	for _, n := range kept {
		s.resolve(n) // a maker may have been given the name of an output later
	}
	g.Nodes = kept
}

type sharer struct {
	graph   *onnx.Graph
	rename  map[string]string
	seen    map[string]*onnx.Node // by what they do
	makers  map[string]*onnx.Node
	outputs map[string]bool
}

func (s *sharer) name(name string) string {
	for {
		to, ok := s.rename[name]
		if !ok {
			return name
		}
		name = to
	}
}

// resolve renames what a node reads, graphs within it too.
func (s *sharer) resolve(n *onnx.Node) {
	if len(s.rename) == 0 {
		return
	}
	for i, name := range n.Inputs {
		n.Inputs[i] = s.name(name)
	}
	for i := range n.Attrs {
		for _, inner := range n.Attrs[i].Subgraphs() {
			for _, m := range inner.Nodes {
				s.resolve(m)
			}
			for _, o := range inner.Outputs {
				o.Name = s.name(o.Name)
			}
		}
	}
}

// same drops a node that does what an earlier one does.
func (s *sharer) same(n *onnx.Node) bool {
	key, ok := spell(n)
	if !ok {
		return false
	}
	first := s.seen[key]
	if first == nil {
		s.seen[key] = n
		return false
	}
	if slices.ContainsFunc(n.Outputs, func(o string) bool { return s.outputs[o] }) {
		return false
	}
	for i, o := range n.Outputs {
		if o != "" {
			s.rename[o] = first.Outputs[i]
		}
	}
	return true
}

// spell writes down what a node does to what. It is false for those that may do
// something else each time, and for those whose attributes are large.
func spell(n *onnx.Node) (string, bool) {
	if n.Domain != "" && n.Domain != "ai.onnx" || strings.HasPrefix(n.Op, "Random") || n.Op == "Dropout" || n.Op == "Multinomial" || n.Op == "Bernoulli" {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %q", n.Op, len(n.Outputs), n.Inputs)
	for _, o := range n.Outputs {
		fmt.Fprint(&b, o == "")
	}
	for _, a := range n.Attrs {
		switch a.Type {
		case onnx.AttrFloat, onnx.AttrInt, onnx.AttrString, onnx.AttrFloats, onnx.AttrInts, onnx.AttrStrings:
			fmt.Fprintf(&b, " %q=%d %g %d %q %g %d %q", a.Name, a.Type, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings)
		default:
			return "", false
		}
	}
	return b.String(), true
}

// idle drops an Identity. Where it makes an output of the body, the node that
// makes its input is given the output's name instead; the same tensor as another
// output, and what the body only passes on, stays.
func (s *sharer) idle(n *onnx.Node) bool {
	if n.Op != "Identity" || n.Domain != "" && n.Domain != "ai.onnx" {
		return false
	}
	in, out := n.Inputs[0], n.Outputs[0]
	if !s.outputs[out] {
		s.rename[out] = in
		return true
	}
	maker := s.makers[in]
	if maker == nil || s.outputs[in] {
		return false
	}
	maker.Outputs[slices.Index(maker.Outputs, in)] = out
	s.rename[in] = out
	s.makers[out] = maker
	return true
}
