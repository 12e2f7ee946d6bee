// Package fold simplifies a network without changing what it computes, but for
// the last bits of rounding: arithmetic on shapes and other constants is done
// once and for all, operators that do nothing go, and a normalisation or a scale
// behind a convolution or a matrix becomes part of its weights. What it adds is
// bounded; weights that change are the only ones that are copied.
package fold

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

// maxConstant bounds the bytes of one constant that replaces a node: shapes and
// small tables, and not weights that a node makes of nothing.
const maxConstant = 64 << 10

// maxAdded bounds the bytes of all such constants.
const maxAdded = 16 << 20

// Fold simplifies the main graph of a model. Names of inputs and outputs stay.
func Fold(m *onnx.Model) error {
	share(m.Graph, false)
	f := &folder{model: m, graph: m.Graph}
	f.index()
	f.dropIdle()
	shapes, err := onnx.Infer(m, nil)
	if err != nil {
		return err
	}
	f.shapes = shapes
	f.constants()
	f.index()
	f.affine()
	f.index()
	f.windows()
	f.hoist()
	m.Graph.Prune()
	return nil
}

type folder struct {
	model  *onnx.Model
	graph  *onnx.Graph
	shapes *onnx.Shapes

	weights  map[string]*onnx.Tensor
	outputs  map[string]bool // of the graph
	producer map[string]*onnx.Node
	uses     map[string]int // nodes that read a tensor, nested graphs too
	nested   map[string]bool
	added    int
}

// index looks at the graph anew.
func (f *folder) index() {
	f.weights, f.outputs = map[string]*onnx.Tensor{}, map[string]bool{}
	f.producer, f.uses, f.nested = map[string]*onnx.Node{}, map[string]int{}, map[string]bool{}
	for _, t := range f.graph.Initializers {
		f.weights[t.Name] = t
	}
	// From IR 4 on, a caller may feed an input in place of its initializer.
	const overridable = 4
	if f.model.IRVersion >= overridable {
		for _, v := range f.graph.Inputs {
			delete(f.weights, v.Name)
		}
	}
	for _, v := range f.graph.Outputs {
		f.outputs[v.Name] = true
	}
	for _, n := range f.graph.Nodes {
		for _, o := range n.Outputs {
			f.producer[o] = n
		}
		direct := map[string]bool{}
		for _, name := range n.Inputs {
			direct[name] = true
		}
		n.EachInput(func(name string) {
			f.uses[name]++
			f.nested[name] = f.nested[name] || !direct[name]
		})
	}
}

// dropIdle removes operators that give what they take.
func (f *folder) dropIdle() {
	rename := map[string]string{}
	resolve := func(name string) string {
		for {
			to, ok := rename[name]
			if !ok {
				return name
			}
			name = to
		}
	}
	kept := f.graph.Nodes[:0:0]
	for _, n := range f.graph.Nodes {
		for i, name := range n.Inputs {
			n.Inputs[i] = resolve(name)
		}
		if !f.idle(n) {
			kept = append(kept, n)
			continue
		}
		in, out := n.Inputs[0], n.Outputs[0]
		switch p := f.producer[in]; {
		case !f.outputs[out]:
			rename[out] = in
		case p != nil && !f.outputs[in] && !f.nested[in]:
			// The maker of what comes in takes the name of the output.
			p.Outputs[slices.Index(p.Outputs, in)] = out
			f.producer[out] = p
			rename[in] = out
		default:
			kept = append(kept, n)
		}
	}
	for _, k := range kept {
		for i, name := range k.Inputs {
			k.Inputs[i] = resolve(name)
		}
	}
	f.graph.Nodes = kept
}

// idle tells whether a node gives its first input unchanged, and nobody looks
// from within a nested graph.
func (f *folder) idle(n *onnx.Node) bool {
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.Inputs) == 0 || f.nested[n.Outputs[0]] {
		return false
	}
	for _, o := range n.Outputs[1:] {
		if o != "" && (f.uses[o] > 0 || f.outputs[o]) {
			return false
		}
	}
	switch n.Op {
	case "Identity":
		return true
	case "Dropout":
		// Before opset 7 an attribute, and from 12 on an input, may ask for the
		// behaviour of training.
		return f.model.OpsetOf("") >= 7 && n.Input(2) == "" || n.Int("is_test", 0) == 1
	}
	return false
}
