// Package layout moves the transposes that an importer put around operators of
// channels-first form out of a network, so that only those at its borders stay.
//
// A source whose arrays have their channels last is written down by its importer
// in the source's own order, with a Transpose before and after each operator that
// ONNX has for channels first only. Propagate walks the network once, from the
// inputs to the outputs. A Transpose it does not keep: it remembers that one
// tensor is another one with its axes in another order, a view. Operators that do
// their work in any order take what the view is of, and give a view again; two
// views that undo each other vanish. Where an operator needs the axes as they
// were, or an output is due, the Transpose is made, once.
package layout

import (
	"slices"
	"strconv"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Propagate moves transposes through the main graph of a model and removes those
// that cancel. Names of inputs and outputs stay; what the network computes stays
// to the bit, but for matrices whose rows are put in another order.
func Propagate(m *onnx.Model) error {
	if !slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "Transpose" }) {
		return nil
	}
	shapes, err := onnx.Infer(m, nil)
	if err != nil {
		return err
	}
	p := &pass{
		graph: m.Graph, shapes: shapes, opset: m.OpsetOf(""), views: map[string]view{}, made: map[string]string{},
		constants: map[string]*onnx.Tensor{}, taken: map[string]bool{}, kept: map[string]bool{}, readers: map[string][]*onnx.Node{},
	}
	p.index()
	for _, n := range m.Graph.Nodes {
		p.node(n)
	}
	m.Graph.Nodes = p.out
	m.Graph.Prune()
	return nil
}

// view says that a tensor is another one with its axes in another order: axis i
// is axis perm[i] of the other.
type view struct {
	of   string
	perm []int
}

type pass struct {
	graph  *onnx.Graph
	shapes *onnx.Shapes // of the tensors of the source
	opset  int64
	out    []*onnx.Node

	views     map[string]view
	made      map[string]string // transposes that are there already: spell gives the key
	constants map[string]*onnx.Tensor
	taken     map[string]bool // names
	kept      map[string]bool // tensors that outputs and graphs within read by name
	readers   map[string][]*onnx.Node
}

func (p *pass) index() {
	for _, v := range p.graph.Inputs {
		p.taken[v.Name] = true
	}
	for _, t := range p.graph.Initializers {
		p.taken[t.Name] = true
		if t.External == nil && t.Check() == nil {
			p.constants[t.Name] = t
		}
	}
	for _, v := range p.graph.TrueInputs() {
		delete(p.constants, v.Name)
	}
	for _, o := range p.graph.Outputs {
		p.kept[o.Name] = true
	}
	for _, n := range p.graph.Nodes {
		p.taken[n.Name] = true
		for _, o := range n.Outputs {
			p.taken[o] = true
		}
		for i := range n.Attrs {
			p.take(n.Attrs[i].G)
			for _, g := range n.Attrs[i].Graphs {
				p.take(g)
			}
		}
		direct := map[string]bool{}
		for _, name := range n.Inputs {
			direct[name] = true
			p.readers[name] = append(p.readers[name], n)
		}
		n.EachInput(func(name string) {
			if !direct[name] {
				p.kept[name] = true
			}
		})
	}
}

// take takes the names of a graph within, where one of the graph around it would
// be hidden.
func (p *pass) take(g *onnx.Graph) {
	if g == nil {
		return
	}
	for _, v := range g.Inputs {
		p.taken[v.Name] = true
	}
	for _, t := range g.Initializers {
		p.taken[t.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			p.taken[o] = true
		}
		for i := range n.Attrs {
			p.take(n.Attrs[i].G)
		}
	}
}

// node takes the next node of the source.
func (p *pass) node(n *onnx.Node) {
	outputs := slices.Clone(n.Outputs) // a mover may rename them
	plain := n.Domain == "" || n.Domain == "ai.onnx"
	switch {
	case plain && n.Op == "Transpose" && p.transpose(n):
	case plain && p.viewed(n) && p.moved(n):
	default:
		p.asItIs(n)
	}
	for _, o := range outputs {
		if p.kept[o] {
			p.publish(o)
		}
	}
}

// publish sees to it that a view whose name is read from elsewhere exists under
// that name. It stays a view for the nodes behind it.
func (p *pass) publish(name string) {
	v, ok := p.views[name]
	if !ok {
		return
	}
	if got := p.ordered(v.of, v.perm, name); got != name {
		p.out = append(p.out, &onnx.Node{Name: p.free(name + ".copy"), Op: "Identity", Inputs: []string{got}, Outputs: []string{name}})
	}
}

// viewed tells whether one of a node's inputs is a view.
func (p *pass) viewed(n *onnx.Node) bool {
	return slices.ContainsFunc(n.Inputs, func(name string) bool { _, ok := p.views[name]; return ok })
}

// transpose remembers a Transpose as a view.
func (p *pass) transpose(n *onnx.Node) bool {
	_, shape := p.shapes.Of(n.Inputs[0])
	perm := make([]int, 0, len(shape))
	for _, a := range n.Ints("perm") {
		perm = append(perm, int(a))
	}
	if n.Attr("perm") == nil {
		if shape == nil {
			return false
		}
		for i := range shape {
			perm = append(perm, len(shape)-1-i)
		}
	}
	if !isPermutation(perm) || p.constants[n.Inputs[0]] != nil {
		return false
	}
	of := n.Inputs[0]
	if v, ok := p.views[of]; ok {
		if len(v.perm) != len(perm) {
			return false
		}
		of, perm = v.of, through(v.perm, perm)
	}
	p.views[n.Outputs[0]] = view{of, perm}
	return true
}

// asItIs keeps a node and gives it its inputs in the order that it had.
func (p *pass) asItIs(n *onnx.Node) {
	for i, name := range n.Inputs {
		if v, ok := p.views[name]; ok {
			n.Inputs[i] = p.ordered(v.of, v.perm, name)
		}
	}
	p.out = append(p.out, n)
}

// ordered gives the name of a tensor with its axes in another order. Where it is
// not there yet it is made, and called wish unless that is empty.
func (p *pass) ordered(of string, perm []int, wish string) string {
	if identity(perm) {
		return of
	}
	key := spell(of, perm)
	if got := p.made[key]; got != "" {
		return got
	}
	if c := p.constants[of]; c != nil {
		t := onnx.NewTensor(p.free(of+".moved"), tensor.Permute(c.Tensor, perm...))
		p.graph.Initializers = append(p.graph.Initializers, t)
		p.constants[t.Name], p.made[key] = t, t.Name
		p.shapes.Constant(t)
		return t.Name
	}
	if wish == "" {
		wish = p.free(of + ".moved")
		t, shape := p.shapes.Of(of)
		p.shapes.Value(wish, t, permuted(shape, perm))
	}
	p.made[key] = wish
	n := &onnx.Node{Name: p.free(wish + ".transpose"), Op: "Transpose", Inputs: []string{of}, Outputs: []string{wish}, Attrs: []onnx.Attribute{permAttr(perm)}}
	if size := p.sameOrder(of, perm); size != nil {
		n.Op, n.Attrs = "Reshape", nil
		n.Inputs = append(n.Inputs, p.ints(size))
	}
	p.out = append(p.out, n)
	return wish
}

// sameOrder gives the sizes for a Reshape that does what a Transpose would, where
// only axes of one element move; else nil.
func (p *pass) sameOrder(of string, perm []int) []int64 {
	_, shape := p.shapes.Of(of)
	if len(shape) != len(perm) || !keepsOrder(shape, perm) {
		return nil
	}
	size := make([]int64, len(perm))
	open := 0
	for i, a := range perm {
		switch {
		case shape[a].Known():
			size[i] = shape[a].Value
		case a == i:
			size[i] = 0 // as it was
		default:
			size[i] = -1
			open++
		}
	}
	if open > 1 || slices.Contains(size, 0) && slices.ContainsFunc(shape, func(d onnx.Dim) bool { return d.Known() && d.Value == 0 }) {
		return nil
	}
	return size
}

// ints adds a constant.
func (p *pass) ints(vs []int64) string {
	t := onnx.NewTensor(p.free("ints"), tensor.Of(slices.Clone(vs), int64(len(vs))))
	p.graph.Initializers = append(p.graph.Initializers, t)
	p.constants[t.Name] = t
	p.shapes.Constant(t)
	return t.Name
}

// free gives a name that no tensor has.
func (p *pass) free(wish string) string {
	name := wish
	for i := 1; p.taken[name]; i++ {
		name = wish + "_" + strconv.Itoa(i)
	}
	p.taken[name] = true
	return name
}

func permAttr(perm []int) onnx.Attribute {
	ints := make([]int64, len(perm))
	for i, a := range perm {
		ints[i] = int64(a)
	}
	return onnx.AInts("perm", ints...)
}
