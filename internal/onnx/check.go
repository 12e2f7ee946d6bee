package onnx

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa"
)

// Check tells whether a model is well-formed: names are unique, every node has
// its inputs before it and as many as its operator takes, every output is made,
// and the weights are there. The error names the node. Operators that are not
// known are not its affair; see Unsupported.
func Check(m *Model) error {
	if m.Graph == nil {
		return stoa.Errorf(stoa.Invalid, "onnx: the model has no graph")
	}
	if m.IRVersion >= 3 && m.OpsetOf("") == 0 && len(m.Opsets) == 0 {
		return stoa.Errorf(stoa.Invalid, "onnx: the model does not say which version of the operators it uses")
	}
	c := &checker{opset: max(m.OpsetOf(""), 1)}
	return c.graph(m.Graph, nil)
}

type checker struct{ opset int64 }

// scope is the tensors known in a graph, and in those around it.
type scope struct {
	names  map[string]bool
	around *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.around {
		if s.names[name] {
			return true
		}
	}
	return false
}

func (c *checker) graph(g *Graph, around *scope) error {
	s := &scope{names: make(map[string]bool, len(g.Nodes)), around: around}
	for _, v := range g.Inputs {
		if v.Name == "" || s.names[v.Name] {
			return stoa.Errorf(stoa.Invalid, "onnx: two inputs of the graph are called %s", quote(v.Name))
		}
		s.names[v.Name] = true
	}
	seen := make(map[string]bool, len(g.Initializers))
	for _, t := range g.Initializers {
		if t.Name == "" || seen[t.Name] {
			return stoa.Errorf(stoa.Invalid, "onnx: two weights of the graph are called %s", quote(t.Name))
		}
		seen[t.Name], s.names[t.Name] = true, true
		if t.External != nil {
			return stoa.Errorf(stoa.Invalid, "onnx: the data of tensor %s is not there: it lies in %s", quote(t.Name), quote(t.External.Location))
		}
	}
	for _, n := range g.Nodes {
		if err := c.node(n, s); err != nil {
			return err
		}
	}
	for _, v := range g.Outputs {
		if !s.has(v.Name) {
			return stoa.Errorf(stoa.Invalid, "onnx: nothing makes the output %s of the graph", quote(v.Name))
		}
	}
	if around == nil && len(g.Outputs) == 0 {
		return stoa.Errorf(stoa.Invalid, "onnx: the graph has no output")
	}
	return nil
}

func (c *checker) node(n *Node, s *scope) error {
	if n.Op == "" {
		return stoa.Errorf(stoa.Invalid, "onnx: %s has no operator", n.Describe())
	}
	for _, name := range n.Inputs {
		if name != "" && !s.has(name) {
			return stoa.Errorf(stoa.Invalid, "onnx: %s takes %s, which nothing before it makes", n.Describe(), quote(name))
		}
	}
	if err := c.arity(n); err != nil {
		return err
	}
	attrs := map[string]bool{}
	for i := range n.Attrs {
		a := &n.Attrs[i]
		if attrs[a.Name] {
			return stoa.Errorf(stoa.Invalid, "onnx: %s has the attribute %s twice", n.Describe(), quote(a.Name))
		}
		attrs[a.Name] = true
		for _, g := range a.Subgraphs() {
			if err := c.graph(g, s); err != nil {
				e := stoa.AsError(err)
				return stoa.Wrap(e.Kind, err, "%s, within %s", e.Msg, n.Describe())
			}
		}
	}
	for _, name := range n.Outputs {
		if name == "" {
			continue
		}
		if s.names[name] {
			return stoa.Errorf(stoa.Invalid, "onnx: %s makes %s, which is there already", n.Describe(), quote(name))
		}
		s.names[name] = true
	}
	return nil
}

func (c *checker) arity(n *Node) error {
	if plainDomain(n.Domain) != "" {
		return nil
	}
	sig, ok := signatureOf(n.Op, c.opset)
	if !ok {
		return nil
	}
	if len(n.Inputs) < sig.minIn || sig.maxIn >= 0 && len(n.Inputs) > sig.maxIn {
		return stoa.Errorf(stoa.Invalid, "onnx: %s has %d inputs; it takes %s", n.Describe(), len(n.Inputs), between(sig.minIn, sig.maxIn))
	}
	for i := range sig.minIn {
		if n.Inputs[i] == "" && sig.maxIn >= 0 {
			return stoa.Errorf(stoa.Invalid, "onnx: %s lacks its input %d", n.Describe(), i)
		}
	}
	if len(n.Outputs) < sig.minOut || sig.maxOut >= 0 && len(n.Outputs) > sig.maxOut {
		return stoa.Errorf(stoa.Invalid, "onnx: %s has %d outputs; it makes %s", n.Describe(), len(n.Outputs), between(sig.minOut, sig.maxOut))
	}
	return nil
}

func between(least, most int) string {
	switch {
	case most < 0:
		return fmt.Sprintf("%d or more", least)
	case least == most:
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// Unsupported lists the operators that no runtime of Stoa has: those that ONNX
// does not define in the version that the model names, and those of domains
// that only some other program knows.
func Unsupported(m *Model) []string {
	var out []string
	if v := m.OpsetOf(""); v > maxOpset {
		out = append(out, fmt.Sprintf("version %d of the operators; the newest known is %d", v, maxOpset))
	}
	count := map[string]int{}
	first := map[string]string{}
	var walk func(g *Graph)
	walk = func(g *Graph) {
		for _, n := range g.Nodes {
			if !m.supported(n) {
				name := n.Op
				if d := plainDomain(n.Domain); d != "" {
					name = d + "." + name
				}
				if count[name]++; count[name] == 1 {
					first[name] = n.Describe()
				}
			}
			for i := range n.Attrs {
				for _, sub := range n.Attrs[i].Subgraphs() {
					walk(sub)
				}
			}
		}
	}
	walk(m.Graph)
	for name, n := range count {
		out = append(out, fmt.Sprintf("operator %s, %d times, first as %s", quote(name), n, first[name]))
	}
	slices.Sort(out)
	return out
}

func (m *Model) supported(n *Node) bool {
	switch plainDomain(n.Domain) {
	case "ai.onnx.ml", "com.microsoft":
		return true // ONNX Runtime's own
	case "":
		_, ok := signatureOf(n.Op, max(m.OpsetOf(""), 1))
		return ok || len(m.unknown) > 0 && operators[n.Op] == nil // may be a function of the model
	}
	return len(m.unknown) > 0 // functions are kept, not read
}

// Sort puts the nodes of the main graph into an order in which they can run,
// and changes nothing where they are in one. It tells whether it did. Nodes
// that wait for each other are an error that names one.
func Sort(g *Graph) (bool, error) {
	maker := map[string]int{}
	for i, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				maker[o] = i
			}
		}
	}
	waits := make([]int, len(g.Nodes))
	then := make([][]int, len(g.Nodes))
	inOrder := true
	for i, n := range g.Nodes {
		n.EachInput(func(name string) {
			if k, ok := maker[name]; ok {
				waits[i]++
				then[k] = append(then[k], i)
				inOrder = inOrder && k < i
			}
		})
	}
	if inOrder {
		return false, nil
	}
	var order []*Node
	var ready []int
	for i := range g.Nodes {
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		order = append(order, g.Nodes[i])
		for _, k := range then[i] {
			if waits[k]--; waits[k] == 0 {
				ready = append(ready, k)
			}
		}
	}
	if len(order) < len(g.Nodes) {
		for i, n := range g.Nodes {
			if waits[i] > 0 {
				return false, stoa.Errorf(stoa.Invalid, "onnx: %s and others wait for each other's outputs", n.Describe())
			}
		}
	}
	g.Nodes = order
	return true, nil
}
