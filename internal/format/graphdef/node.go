package graphdef

import (
	"maps"

	"github.com/stoa-project/stoa/internal/tensor"
)

// Int gives a whole number among the attributes, or otherwise where there is
// none: old graphs leave out what newer versions added.
func (n *Node) Int(name string, otherwise int64) int64 {
	if a := n.Attrs[name]; a != nil {
		return a.I
	}
	return otherwise
}

// Float gives a number.
func (n *Node) Float(name string, otherwise float32) float32 {
	if a := n.Attrs[name]; a != nil {
		return a.F
	}
	return otherwise
}

// Flag gives a truth value.
func (n *Node) Flag(name string, otherwise bool) bool {
	if a := n.Attrs[name]; a != nil {
		return a.B
	}
	return otherwise
}

// Text gives a text that is not empty.
func (n *Node) Text(name, otherwise string) string {
	if a := n.Attrs[name]; a != nil && len(a.S) > 0 {
		return string(a.S)
	}
	return otherwise
}

// IntList gives a list of whole numbers; nil where there is none.
func (n *Node) IntList(name string) []int64 {
	if a := n.Attrs[name]; a != nil {
		return a.Ints
	}
	return nil
}

// DType gives an element type.
func (n *Node) DType(name string, otherwise tensor.DType) tensor.DType {
	if a := n.Attrs[name]; a != nil && a.Type != 0 {
		return a.Type.DType()
	}
	return otherwise
}

// FuncName gives the name of a function; "" where there is none.
func (n *Node) FuncName(name string) string {
	if a := n.Attrs[name]; a != nil && a.Func != nil {
		return a.Func.Name
	}
	return ""
}

// ShapeOf gives an attribute that is a shape; nil where not even the number of
// dimensions is known.
func (n *Node) ShapeOf(name string) []int64 {
	a := n.Attrs[name]
	if a == nil || a.Shape == nil || a.Shape.Unknown {
		return nil
	}
	return append([]int64{}, a.Shape.Dims...)
}

// With gives the node with lists of whole numbers in place of what it had.
func (n *Node) With(lists map[string][]int64) *Node {
	out := *n
	out.Attrs = maps.Clone(n.Attrs)
	for name, vs := range lists {
		out.Attrs[name] = &Attr{Ints: vs}
	}
	return &out
}

// ChannelsFirst tells whether channels come before rows and columns.
func (n *Node) ChannelsFirst() bool {
	f := n.Text("data_format", "NHWC")
	return f == "NCHW" || f == "NCDHW"
}
