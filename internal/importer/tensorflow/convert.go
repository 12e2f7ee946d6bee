package tensorflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/format/savedmodel"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// converter makes an ONNX graph by walking from the outputs to what they depend
// on, so that nothing else of the file matters: neither training nor saving.
type converter struct {
	model  *savedmodel.Model
	opt    importer.Options
	ops    map[string]operator
	root   *build.Builder
	budget int64 // bytes that arrays which are no views may still take
	steps  int   // nodes evaluated

	layers      map[string]int
	counted     map[*flow.Node]bool
	notes       map[string]bool
	unsupported []string
	known       map[string]bool // what unsupported has
	bound       []string        // inputs, by name
	wanted      map[string]bool // inputs that stay though nothing reads them

	definitions map[string]*graphdef.Function
	scopes      map[string]*flow.Scope
	constants   map[*graphdef.Tensor]string
	transposed  map[string]string // constants whose axes were moved, by name and order
	marks       map[string]mark
	sizeOf      map[string]string // by the name of an input's size, a list of it
	loops       int
}

// operator makes what a node computes.
type operator func(k *call) ([]value, error)

// value is what a node gives: a tensor of the graph, a variable, or a list of
// tensors. One that is bad comes of something that is not supported.
type value struct {
	name  string
	list  *list
	array *arrayInfo
	bad   bool
}

func one(name string) []value { return []value{{name: name}} }

// mark remembers of a tensor what ONNX does not say of it.
type mark uint8

const (
	markRandom mark = 1 << iota // made of random numbers
	markRange                   // 0, 1, 2 and so on up to the size of what it counts
)

// call is a node that is evaluated.
type call struct {
	*converter
	*flow.Node
	env *env
	b   *build.Builder
	in  []value
}

// env is one evaluation of a graph or a function: what its nodes gave so far. A
// loop's body and a branch see what is around them.
type env struct {
	scope  *flow.Scope
	b      *build.Builder
	vals   map[*flow.Node][]value
	parent *env
	depth  int
}

// maxDepth bounds functions that call functions, loops in loops and branches in
// branches, and maxSteps the nodes that are evaluated, each time that they are.
const (
	maxDepth = 64
	maxSteps = 1 << 20
)

func (e *env) lookup(n *flow.Node) ([]value, bool) {
	for ; e != nil; e = e.parent {
		if v, ok := e.vals[n]; ok {
			return v, true
		}
	}
	return nil, false
}

// beside makes an env for a function that is called.
func (c *converter) beside(caller *env, s *flow.Scope, b *build.Builder) (*env, error) {
	e := &env{scope: s, b: b, vals: map[*flow.Node][]value{}, depth: caller.depth + 1}
	if e.depth > maxDepth {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: functions, loops and branches lie over %d deep in each other, at %q", c.model.File, maxDepth, s.Name)
	}
	return e, nil
}

// within makes an env for a body or a branch, which sees what is around it.
func (c *converter) within(parent *env, b *build.Builder) (*env, error) {
	e, err := c.beside(parent, parent.scope, b)
	if err == nil {
		e.parent = parent
	}
	return e, err
}

// get evaluates outputs.
func (c *converter) get(e *env, refs ...flow.Ref) ([]value, error) {
	if err := c.run(e, refs); err != nil {
		return nil, err
	}
	out := make([]value, len(refs))
	for i, r := range refs {
		vs, _ := e.lookup(r.Node)
		switch {
		case r.Out < len(vs):
			out[i] = vs[r.Out]
		case len(vs) == 1 && vs[0].bad:
			out[i] = vs[0]
		default:
			c.refuse(r.Node, "its output %d is used, which is not supported", r.Out)
			out[i] = value{bad: true}
		}
	}
	return out, nil
}

// waiting is a node whose inputs are being evaluated.
type waiting struct {
	node *flow.Node
	deps []flow.Ref
	at   int
}

// run evaluates what refs depend on, each node after its inputs, without
// recursion.
func (c *converter) run(e *env, refs []flow.Ref) error {
	stack := []waiting{{deps: refs}}
	open := map[*flow.Node]bool{}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.at < len(top.deps) {
			n := top.deps[top.at].Node
			top.at++
			if n == nil {
				return stoa.Errorf(stoa.Invalid, "%s: node %q lacks an input", c.model.File, nodeName(top.node))
			}
			if _, done := e.lookup(n); done {
				continue
			}
			if open[n] {
				return stoa.Errorf(stoa.Invalid, "%s: node %q (%s) waits for itself", c.model.File, n.Name, n.Op)
			}
			deps, err := c.deps(n)
			if stoa.KindOf(err) == stoa.Unsupported {
				c.list(n, err)
				e.vals[n] = []value{{bad: true}}
				continue
			}
			if err != nil {
				return err
			}
			open[n] = true
			stack = append(stack, waiting{node: n, deps: deps})
			continue
		}
		n := top.node
		stack = stack[:len(stack)-1]
		if n == nil {
			continue
		}
		delete(open, n)
		if _, done := e.lookup(n); done {
			continue // a loop gives all that leaves it at once
		}
		if c.steps++; c.steps > maxSteps {
			return stoa.Errorf(stoa.TooLarge, "%s: the network has over %d nodes", c.model.File, maxSteps)
		}
		if err := c.evaluate(e, n); err != nil {
			return err
		}
	}
	return nil
}

func nodeName(n *flow.Node) string {
	if n == nil {
		return ""
	}
	return n.Name
}

// deps gives what must be evaluated before a node.
func (c *converter) deps(n *flow.Node) ([]flow.Ref, error) {
	switch n.Op {
	case "Merge", "RefMerge":
		return c.mergeDeps(n)
	case "Exit", "RefExit":
		return c.exitDeps(n)
	case "BatchToSpaceND":
		if d := flow.DilatedOf(n); d != nil {
			return d.Needs(n), nil
		}
	}
	return n.In, nil
}

// count counts a node of the source, once.
func (c *converter) count(n *flow.Node) {
	if n != nil && !c.counted[n] && n.Op != flow.OpArg {
		c.counted[n] = true
		c.layers[n.Op]++
	}
}

// evaluate gives a node its values.
func (c *converter) evaluate(e *env, n *flow.Node) error {
	c.count(n)
	f := c.ops[n.Op]
	if c.definition(n.Op) != nil {
		f = callNamed
	}
	if f == nil {
		c.refuse(n, "the operator is not supported")
		e.vals[n] = []value{{bad: true}}
		return nil
	}
	deps, err := c.deps(n)
	if err != nil {
		return err
	}
	k := &call{converter: c, Node: n, env: e, b: e.b}
	if k.in, err = c.get(e, deps...); err != nil {
		return err
	}
	if slices.ContainsFunc(k.in, func(v value) bool { return v.bad }) {
		e.vals[n] = []value{{bad: true}}
		return nil
	}
	k.evenHalves()
	out := k.computed()
	before := e.b.From(n.Op)
	if out == nil {
		out, err = f(k)
	}
	e.b.From(before)
	if err == nil {
		err = c.root.Err()
	}
	if err == nil {
		err = e.b.Err()
	}
	switch {
	case err == nil:
	case errors.Is(err, errAgain):
		out, err = []value{{bad: true}}, nil
	case stoa.KindOf(err) == stoa.Unsupported:
		c.list(n, err)
		out, err = []value{{bad: true}}, nil
	case !strings.Contains(stoa.AsError(err).Msg, c.model.File):
		err = stoa.Wrap(stoa.KindOf(err), err, "%s: node %q (%s): %s", c.model.File, n.Name, n.Op, stoa.AsError(err).Msg)
	}
	if _, done := e.vals[n]; !done {
		e.vals[n] = out
	}
	return err
}

// evenHalves makes half-precision inputs 32-bit ones where others are such: some
// graphs were given small weights by a tool, and small types with them, and kept
// the large ones of what they are fed.
func (k *call) evenHalves() {
	if k.DType("T", tensor.Undefined) != tensor.Float16 || strings.HasPrefix(k.Op, "FusedBatchNorm") || k.Op == "Cast" {
		return
	}
	if !slices.ContainsFunc(k.in, func(v value) bool { return v.name != "" && k.b.DType(v.name) == tensor.Float32 }) {
		return
	}
	k.in = slices.Clone(k.in)
	for i, v := range k.in {
		if v.name != "" && k.b.DType(v.name) == tensor.Float16 {
			k.in[i].name = k.cast(v.name, tensor.Float32)
		}
	}
}

// refuse lists a node that is not supported, once.
func (c *converter) refuse(n *flow.Node, format string, args ...any) {
	c.list(n, fmt.Errorf(format, args...))
}

func (c *converter) list(n *flow.Node, err error) {
	msg := err.Error()
	if e := stoa.AsError(err); e != nil && e.Msg != "" && stoa.KindOf(err) == stoa.Unsupported {
		msg = e.Msg
	}
	text := fmt.Sprintf("%s: node %q (%s): %s", c.model.File, n.Name, n.Op, msg)
	if hint := refusals[n.Op]; hint != "" {
		text += ": " + hint
	}
	if !c.known[text] {
		c.known[text] = true
		c.unsupported = append(c.unsupported, text)
	}
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

// convert makes the network between the inputs and outputs that were chosen.
func (c *converter) convert(ctx context.Context) error {
	c.definitions = map[string]*graphdef.Function{}
	for _, f := range c.model.Graph.Functions {
		c.definitions[f.Name] = f
	}
	main, err := c.newScope("", c.model.Graph.Nodes, nil)
	if err != nil {
		return err
	}
	if c.model.Vars != nil {
		c.model.Vars.Restore(main, c.function)
	}
	ports, err := c.ports(main)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return stoa.AsError(err)
	}
	e := &env{scope: main, b: c.root, vals: map[*flow.Node][]value{}}
	for name := range main.ByName {
		c.root.Reserve(name)
	}
	if err := c.inputs(e, ports); err != nil {
		return err
	}
	var refs []flow.Ref
	for _, o := range ports.outputs {
		refs = append(refs, o.ref)
	}
	out, err := c.get(e, refs...)
	if err != nil || len(c.unsupported) > 0 {
		return err
	}
	for i, o := range ports.outputs {
		if out[i].name == "" && o.guessed && len(ports.outputs) > 1 {
			continue // such as a list that was read already
		}
		if out[i].name == "" {
			return stoa.Errorf(stoa.Unsupported, "%s: output %q is no tensor", c.model.File, o.name)
		}
		c.root.Output(o.name, out[i].name)
	}
	return nil
}

// dropUnused takes away inputs that nothing reads and nobody asked for, such as
// the probability of a dropout that is gone.
func (c *converter) dropUnused(m *onnx.Model) {
	used := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		n.EachInput(func(name string) { used[name] = true })
	}
	for _, o := range m.Graph.Outputs {
		used[o.Name] = true
	}
	m.Graph.Inputs = slices.DeleteFunc(m.Graph.Inputs, func(v *onnx.ValueInfo) bool {
		return !used[v.Name] && !c.wanted[v.Name]
	})
}

// What operators use of a call.

func (k *call) x(i int) string {
	if i < len(k.in) {
		return k.in[i].name
	}
	return ""
}

// need tells whether the first n inputs are there and are tensors.
func (k *call) need(n int) error {
	for i := range n {
		if k.x(i) == "" {
			return k.invalid("it lacks input %d, or that is no tensor", i)
		}
	}
	return nil
}

func (k *call) invalid(format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: node %q (%s): %s", k.model.File, k.Name, k.Op, fmt.Sprintf(format, args...))
}

func (k *call) unsupportedf(format string, args ...any) error {
	return stoa.Errorf(stoa.Unsupported, format, args...)
}

// op adds a node within the operator; last adds the one that gives the result.
func (k *call) op(op string, inputs []string, attrs ...onnx.Attribute) string {
	return k.b.Op(k.Name+"/"+op, op, inputs, attrs...)
}

func (k *call) last(op string, inputs []string, attrs ...onnx.Attribute) string {
	return k.b.Op(k.Name, op, inputs, attrs...)
}

func (k *call) op2(op, x, y string) string { return k.op(op, []string{x, y}) }

func (k *call) rank(x string) int { return len(k.b.Shape(x)) }

// like gives a number of the type of a tensor.
func (k *call) like(x string, v float64) string { return k.b.Number(k.b.DType(x), v) }

func (k *call) cast(x string, t tensor.DType) string {
	if k.b.DType(x) == t {
		return x
	}
	if c, ok := k.constant(x); ok {
		if out, ok := arith.Cast(c, t); ok {
			return k.root.Constant(x+"/"+t.String(), out)
		}
	}
	return k.op("Cast", []string{x}, onnx.AInt("to", int64(t)))
}

// shapeOf gives a shape whose rank must be known.
func (k *call) shapeOf(x string) ([]onnx.Dim, error) {
	s := k.b.Shape(x)
	if s == nil {
		return nil, k.unsupportedf("the number of dimensions of its input is not known: give the shapes of the network's inputs (model.shapes in stoa.yaml, --shape name=1,224,224,3 on the command line; -1 is a size that is free)")
	}
	return s, nil
}

// axis counts from the end where it is below zero.
func (k *call) axis(a int64, rank int) (int64, error) {
	if a < -int64(rank) || a >= int64(rank) {
		return 0, k.invalid("axis %d is none of its input's %d", a, rank)
	}
	if a < 0 {
		a += int64(rank)
	}
	return a, nil
}
