package tensorflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

const shapeAdvice = "give its shape (model.shapes in stoa.yaml, --shape %s=SIZES on the command line, as in 1,224,224,3; -1 is a size that is free)"

// inputs makes the inputs that were chosen, and those placeholders that the
// outputs depend on besides.
func (c *converter) inputs(e *env, p ports) error {
	for _, in := range p.inputs {
		if err := c.bind(e, in); err != nil {
			return err
		}
	}
	for _, n := range e.scope.Nodes {
		if _, done := e.vals[n]; done || !e.scope.Reach[n] || !flow.IsInput(n) {
			continue
		}
		if n.Op == "PlaceholderWithDefault" && !c.fedAnyway(n) {
			c.note("input %q has a value of its own, which is taken; to give it, name it among the inputs", n.Name)
			continue
		}
		if n.Op != "IteratorGetNext" {
			if c.trainingFlag(e, n) {
				continue
			}
			if err := c.bind(e, port{name: n.Name, ref: flow.Ref{Node: n, Out: 0}}); err != nil {
				return err
			}
			continue
		}
		for i := range len(typesOf(n)) {
			name := n.Name
			if i > 0 {
				name = fmt.Sprintf("%s:%d", n.Name, i)
			}
			if err := c.bind(e, port{name: name, ref: flow.Ref{Node: n, Out: i}}); err != nil {
				return err
			}
		}
	}
	return c.unusedShapes()
}

// unusedShapes refuses shapes of inputs that there are not.
func (c *converter) unusedShapes() error {
	if len(c.opt.Shapes) < 2 && len(c.bound) < 2 {
		return nil // the one input there is, whatever its name
	}
	for _, name := range slices.Sorted(maps.Keys(c.opt.Shapes)) {
		if plain := strings.TrimSuffix(name, ":0"); !slices.Contains(c.bound, plain) && !slices.Contains(c.bound, name) {
			return stoa.Errorf(stoa.Invalid, "%s: the shape of %q is given, and the network has no such input; it has: %s", c.model.File, name, strings.Join(c.bound, ", "))
		}
	}
	return nil
}

// fedAnyway tells whether a placeholder's default is no setting but stands for
// data: it has dimensions.
func (c *converter) fedAnyway(n *flow.Node) bool {
	return c.opt.Shapes[n.Name] != nil || len(n.ShapeOf("shape")) > 0 && n.DType("dtype", tensor.Float32) == tensor.Float32
}

// trainingFlag makes a placeholder that is one truth value false: it tells
// whether the network is in training.
func (c *converter) trainingFlag(e *env, n *flow.Node) bool {
	if n.DType("dtype", tensor.Undefined) != tensor.Bool || len(n.ShapeOf("shape")) > 0 || c.opt.Shapes[n.Name] != nil {
		return false
	}
	no := c.root.Constant(n.Name+"/false", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{0}})
	e.vals[n] = []value{{name: no}}
	c.note("input %q, which tells training from use, is taken to be false", n.Name)
	return true
}

func typesOf(n *flow.Node) []tensor.DType {
	a := n.Attrs["output_types"]
	if a == nil {
		return nil
	}
	var out []tensor.DType
	for _, t := range a.Types[:min(len(a.Types), 64)] {
		out = append(out, t.DType())
	}
	return out
}

// bind makes an input of the network and gives it to a node in place of what the
// node would compute.
func (c *converter) bind(e *env, in port) error {
	n := in.ref.Node
	if in.dtype == tensor.Undefined {
		in.dtype = c.typeOf(in.ref)
	}
	vs := e.vals[n]
	for len(vs) <= in.ref.Out {
		vs = append(vs, value{bad: true})
	}
	e.vals[n] = vs
	if in.dtype == tensor.String || in.dtype == tensor.Undefined {
		c.refuse(n, "input %q takes text or something that is no array of numbers; cut the network behind the nodes that read it (model.In in stoa.yaml, --input NAME on the command line)", in.name)
		return nil
	}
	shape, err := c.shapeFor(e.scope, in)
	if err != nil {
		return err
	}
	dims := make([]onnx.Dim, len(shape))
	for i, v := range shape {
		switch {
		case v >= 0:
			dims[i] = onnx.Fixed(v)
		case i == 0:
			dims[i] = onnx.Named("batch")
		default:
			dims[i] = onnx.Named(fmt.Sprintf("%s_%d", in.name, i))
		}
	}
	name := c.root.Input(in.name, in.dtype, dims...)
	c.bound = append(c.bound, in.name)
	vs[in.ref.Out] = value{name: name}
	for i, d := range dims {
		if d.Param != "" && c.sizeOf[d.Param] == "" {
			sizes := c.root.Op(name+"/sizes", "Shape", []string{name})
			c.sizeOf[d.Param] = c.root.Op(name+"/size", "Slice", []string{sizes, c.root.Ints(int64(i)), c.root.Ints(int64(i) + 1)})
		}
	}
	c.counted[n] = true
	c.layers[n.Op]++
	return c.root.Err()
}

func (c *converter) typeOf(r flow.Ref) tensor.DType {
	if ts := typesOf(r.Node); r.Out < len(ts) {
		return ts[r.Out]
	}
	for _, name := range []string{"dtype", "DstT", "out_type", "T"} {
		if a := r.Node.Attrs[name]; a != nil && a.Type != 0 {
			return a.Type.DType()
		}
	}
	return tensor.Float32
}

// shapeFor gives the shape of an input: as it was given, as the file says, or as
// those ask for it that read it.
func (c *converter) shapeFor(s *flow.Scope, in port) ([]int64, error) {
	if given, ok := c.opt.Shapes[in.name]; ok {
		return given, nil
	}
	if given, ok := c.opt.Shapes[in.name+":0"]; ok {
		return given, nil
	}
	if given := c.opt.Shapes; len(given) == 1 && len(c.wanted) <= 1 {
		for name, shape := range given { // the one input there is, whatever its name
			if s.ByName[name] == nil && flow.IsInput(in.ref.Node) {
				return shape, nil
			}
		}
	}
	if len(in.shape) > 0 {
		return in.shape, nil
	}
	for _, name := range []string{"shape", "_output_shapes", "output_shapes"} {
		a := in.ref.Node.Attrs[name]
		if a == nil {
			continue
		}
		sh := a.Shape
		if in.ref.Out < len(a.Shapes) {
			sh = a.Shapes[in.ref.Out]
		}
		if sh != nil && !sh.Unknown && len(sh.Dims) > 0 {
			return slices.Clone(sh.Dims), nil
		}
	}
	if guess := s.Guess(in.ref); guess != nil {
		return guess, nil
	}
	// A scalar is also what old graphs say where they know nothing.
	if sh := in.ref.Node.ShapeOf("shape"); sh != nil || in.shape != nil {
		return []int64{}, nil
	}
	return nil, stoa.Errorf(stoa.Invalid, "%s: nothing in the graph tells the shape of its input %q: "+shapeAdvice, c.model.File, in.name, in.name)
}
