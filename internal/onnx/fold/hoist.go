package fold

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

// hoist takes a matrix out of loops over time: where each round multiplies one
// slice of a tensor from outside by a constant matrix, all slices are multiplied
// at once before the loop, and a round takes its slice of the product.
func (f *folder) hoist() {
	kept := f.graph.Nodes[:0:0]
	for _, n := range f.graph.Nodes {
		if n.Op == "Loop" && (n.Domain == "" || n.Domain == "ai.onnx") {
			if a := n.Attr("body"); a != nil && a.G != nil {
				kept = append(kept, f.hoisted(a.G)...)
			}
		}
		kept = append(kept, n)
	}
	f.graph.Nodes = kept
}

// hoisted changes a loop's body and gives the products that it now takes slices
// of.
func (f *folder) hoisted(body *onnx.Graph) []*onnx.Node {
	makers, uses, local := map[string]*onnx.Node{}, map[string]int{}, map[string]bool{}
	for _, v := range body.Inputs {
		local[v.Name] = true
	}
	for _, n := range body.Nodes {
		for _, o := range n.Outputs {
			makers[o], local[o] = n, true
		}
		n.EachInput(func(name string) { uses[name]++ })
	}
	for _, o := range body.Outputs {
		uses[o.Name]++
	}
	var out []*onnx.Node
	gone := map[*onnx.Node]bool{}
	for _, n := range body.Nodes {
		if n.Op != "MatMul" || n.Domain != "" && n.Domain != "ai.onnx" {
			continue
		}
		slice := makers[n.Inputs[0]]
		if slice == nil || slice.Op != "Gather" || slice.Int("axis", 0) != 0 || local[slice.Inputs[0]] || local[n.Inputs[1]] || !f.manyRows(slice.Inputs[0], n.Inputs[1]) {
			continue
		}
		product := f.free(n.Outputs[0] + ".all")
		made := &onnx.Node{Name: product, Op: "MatMul", Inputs: []string{slice.Inputs[0], n.Inputs[1]}, Outputs: []string{product}}
		f.producer[product] = made
		out = append(out, made)
		n.Op, n.Inputs, n.Attrs = "Gather", []string{product, slice.Inputs[1]}, []onnx.Attribute{onnx.AInt("axis", 0)}
		if uses[slice.Outputs[0]]--; uses[slice.Outputs[0]] == 0 {
			gone[slice] = true
		}
	}
	body.Nodes = slices.DeleteFunc(body.Nodes, func(n *onnx.Node) bool { return gone[n] })
	return out
}

// manyRows tells whether a tensor has an axis before those of a product with a
// constant matrix, so that slices along it and the product may come in any order.
func (f *folder) manyRows(x, matrix string) bool {
	const least = 3
	_, shape := f.shapes.Of(x)
	w := f.weights[matrix]
	return len(shape) >= least && w != nil && len(w.Shape) == 2
}
