package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// definition finds a function of the library.
func (c *converter) definition(name string) *graphdef.Function { return c.definitions[name] }

// function gives a function as a scope; nil where there is none, or it is
// damaged, which whoever calls it finds out.
func (c *converter) function(name string) *flow.Scope {
	if s, ok := c.scopes[name]; ok {
		return s
	}
	fn := c.definition(name)
	if fn == nil {
		return nil
	}
	s, err := c.newScope(name, fn.Nodes, fn)
	if err != nil {
		c.root.Fail(err)
		s = nil
	}
	c.scopes[name] = s
	return s
}

// callNamed is a node whose operator is a function of the library.
func callNamed(k *call) ([]value, error) { return k.invoke(k.Op, k.in, k.b) }

func callPartitioned(k *call) ([]value, error) { return k.invoke(k.FuncName("f"), k.in, k.b) }

// invoke evaluates a function's body in place.
func (k *call) invoke(name string, args []value, b *build.Builder) ([]value, error) {
	s := k.function(name)
	if s == nil {
		return nil, k.missing(name)
	}
	if len(args) < len(s.Args) {
		return nil, k.invalid("function %q takes %d arguments and is given %d", name, len(s.Args), len(args))
	}
	e, err := k.beside(k.env, s, b)
	if err != nil {
		return nil, err
	}
	for i, a := range s.Args {
		e.vals[a] = []value{args[i]}
	}
	return k.get(e, s.Returns...)
}

func (k *call) missing(name string) error {
	if err := k.root.Err(); err != nil {
		return err
	}
	return k.invalid("function %q is not in the graph's library", name)
}

// branchIf is an If: what is known is decided here.
func branchIf(k *call) ([]value, error) {
	if err := k.need(1); err != nil {
		return nil, err
	}
	yes, no := k.FuncName("then_branch"), k.FuncName("else_branch")
	args := k.in[1:]
	if t, ok := k.constant(k.x(0)); ok {
		if arith.Truth(t) {
			return k.invoke(yes, args, k.b)
		}
		return k.invoke(no, args, k.b)
	}
	return k.either(k.x(0), func(b *build.Builder, side bool) ([]value, error) {
		if side {
			return k.invoke(yes, args, b)
		}
		return k.invoke(no, args, b)
	})
}

// branchCase chooses among functions by a number.
func branchCase(k *call) ([]value, error) {
	a := k.Attrs["branches"]
	if err := k.need(1); err != nil || a == nil || len(a.Funcs) == 0 {
		return nil, k.invalid("it has no branches, or nothing that chooses one")
	}
	return k.choices(k.x(0), len(a.Funcs), func(b *build.Builder, i int) ([]value, error) {
		return k.invoke(a.Funcs[i].Name, k.in[1:], b)
	})
}

// choices takes one of n bodies by a number; one that is none of theirs takes the
// last.
func (k *call) choices(index string, n int, body func(b *build.Builder, i int) ([]value, error)) ([]value, error) {
	if t, ok := k.constant(index); ok {
		at := n - 1
		if v := arith.Ints(t); len(v) == 1 && v[0] >= 0 && v[0] < int64(n) {
			at = int(v[0])
		}
		return body(k.b, at)
	}
	const most = 32 // bodies lie in each other
	if n > most {
		return nil, k.unsupportedf("it has %d branches, and %d are supported", n, most)
	}
	var from func(b *build.Builder, i int) ([]value, error)
	from = func(b *build.Builder, i int) ([]value, error) {
		if i == n-1 {
			return body(b, i)
		}
		inner := *k
		inner.b = b
		is := b.Op(k.Name+"/is", "Equal", []string{index, b.Number(b.DType(index), float64(i))})
		return inner.either(is, func(b *build.Builder, side bool) ([]value, error) {
			if side {
				return body(b, i)
			}
			return from(b, i+1)
		})
	}
	return from(k.b, 0)
}

// either makes an If of two bodies.
func (k *call) either(cond string, body func(b *build.Builder, side bool) ([]value, error)) ([]value, error) {
	if s := k.b.Shape(cond); len(s) > 0 {
		cond = k.op("Squeeze", []string{cond})
	}
	if k.b.DType(cond) != tensor.Bool {
		cond = k.op("Cast", []string{cond}, onnx.AInt("to", int64(tensor.Bool)))
	}
	var graphs [2]*onnx.Graph
	var results [2][]string
	var shapes [][]onnx.Dim
	var types []tensor.DType
	for i, side := range []bool{true, false} {
		b := k.b.Sub(k.Name)
		vs, err := body(b, side)
		if err != nil {
			return nil, err
		}
		if i == 1 && len(vs) != len(results[0]) {
			return nil, k.invalid("its branches give %d and %d values", len(results[0]), len(vs))
		}
		for j, v := range vs {
			if v.bad {
				return []value{{bad: true}}, nil
			}
			if v.name == "" {
				return nil, k.unsupportedf("a branch gives something that is no tensor")
			}
			out := b.Op(k.Name+"/result", "Identity", []string{v.name})
			b.Output(out, out)
			results[i] = append(results[i], out)
			if i == 0 {
				types, shapes = append(types, b.DType(v.name)), append(shapes, b.Shape(v.name))
			} else {
				shapes[j] = common(shapes[j], b.Shape(v.name))
			}
		}
		if graphs[i], err = b.Body(); err != nil {
			return nil, err
		}
	}
	n := &onnx.Node{Name: k.Name, Op: "If", Inputs: []string{cond}, Attrs: []onnx.Attribute{onnx.AGraph("then_branch", graphs[0]), onnx.AGraph("else_branch", graphs[1])}}
	for range shapes {
		n.Outputs = append(n.Outputs, k.Name)
	}
	names := k.b.Add(n)
	var out []value
	for i, name := range names {
		k.b.Declare(name, types[i], shapes[i])
		out = append(out, value{name: name})
	}
	return out, nil
}

// common gives the dimensions that two shapes share; nil where not even their
// number is the same.
func common(a, b []onnx.Dim) []onnx.Dim {
	if a == nil || b == nil || len(a) != len(b) {
		return nil
	}
	out := make([]onnx.Dim, len(a))
	for i := range a {
		if out[i] = a[i]; a[i] != b[i] {
			out[i] = onnx.Dim{Value: -1}
		}
	}
	return out
}

// Conditions of TensorFlow 1: Switch passes a tensor on to one of two branches,
// Merge takes what comes out of the one that was taken. A branch is evaluated
// where its Merge is, so that one that is known never to be taken leaves nothing.

// passSwitch gives the tensor on both sides: a Merge takes the right one.
func passSwitch(k *call) ([]value, error) {
	if len(k.in) < 1 {
		return nil, k.invalid("it has no input")
	}
	return slices.Repeat(k.in[:1], int(max(2, min(k.Int("num_outs", 2), maxParts)))), nil
}

func (c *converter) mergeDeps(n *flow.Node) ([]flow.Ref, error) {
	cond, err := flow.ConditionalOf(n)
	if err != nil {
		return nil, err
	}
	return append([]flow.Ref{cond.Pred}, cond.Data...), nil
}

// merge takes a branch, or makes an If of both.
func merge(k *call) ([]value, error) {
	cond, err := flow.ConditionalOf(k.Node)
	if err != nil {
		return nil, err
	}
	side := func(b *build.Builder, i int) ([]value, error) {
		e, err := k.within(k.env, b)
		if err != nil {
			return nil, err
		}
		return k.get(e, cond.Sides[i])
	}
	if cond.Many {
		return k.choices(k.x(0), len(cond.Sides), side)
	}
	if len(cond.Sides) != 2 {
		return nil, k.invalid("it joins %d branches of a condition", len(cond.Sides))
	}
	if t, ok := k.constant(k.x(0)); ok {
		return side(k.b, int(oneIf(arith.Truth(t))))
	}
	return k.either(k.x(0), func(b *build.Builder, yes bool) ([]value, error) { return side(b, int(oneIf(yes))) })
}

// newScope ties the nodes of a graph or a function.
func (c *converter) newScope(name string, nodes []*graphdef.Node, fn *graphdef.Function) (*flow.Scope, error) {
	s, err := flow.New(name, nodes, fn, c.definitions)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", c.model.File, stoa.AsError(err).Msg)
	}
	return s, nil
}
