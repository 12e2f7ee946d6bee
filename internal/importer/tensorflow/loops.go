package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
)

// Loops come in two forms. In TensorFlow 1 a loop is a frame within the graph:
// Enter leads in, Merge joins what enters with what the round before left, Switch
// parts going on from leaving, Exit leads out. While takes two functions. Both
// become the same here: variables, a condition and a body.

func (c *converter) exitDeps(n *flow.Node) ([]flow.Ref, error) {
	f := n.Scope.Frame(n)
	if f == nil || f.Cond == nil {
		return nil, stoa.Errorf(stoa.Unsupported, "it leads out of a loop that cannot be made out")
	}
	var out []flow.Ref
	for _, v := range f.Vars {
		out = append(out, v.Enter.Input(0))
	}
	for _, e := range f.Consts {
		out = append(out, e.Input(0))
	}
	return out, nil
}

// leave makes the loop that a node leads out of, for all that lead out of it.
func leave(k *call) ([]value, error) {
	f := k.Scope.Frame(k.Node)
	l := loop{call: k, init: k.in[:len(f.Vars)], used: make([]bool, len(f.Vars))}
	part := loopPart{scope: k.env.scope, fixed: map[*flow.Node]value{}}
	k.count(f.Cond)
	for i, v := range f.Vars {
		for _, n := range []*flow.Node{v.Enter, v.Merge, v.Switch, v.Next} {
			k.count(n)
		}
		bound := []*flow.Node{v.Merge}
		if v.Switch != nil {
			bound = append(bound, v.Switch)
		}
		part.vars = append(part.vars, bound)
		l.used[i] = v.Exit != nil && k.env.scope.Reach[v.Exit]
		part.outs = append(part.outs, v.Next.Input(0))
	}
	for i, e := range f.Consts {
		part.fixed[e] = k.in[len(f.Vars)+i]
	}
	l.body, l.cond = part, part
	l.cond.outs = []flow.Ref{f.Cond.Input(0)}
	out, err := l.convert()
	if err != nil {
		return nil, err
	}
	for i, v := range f.Vars {
		if v.Exit != nil {
			k.env.vals[v.Exit] = []value{out[i]}
		}
	}
	return k.env.vals[k.Node], nil
}

// while is a loop of the second form.
func while(k *call) ([]value, error) {
	l := loop{call: k, init: k.in, used: make([]bool, len(k.in))}
	for i := range l.used {
		l.used[i] = true
	}
	for _, p := range []struct {
		attr string
		part *loopPart
	}{{"cond", &l.cond}, {"body", &l.body}} {
		name := k.FuncName(p.attr)
		s := k.function(name)
		if s == nil {
			return nil, k.missing(name)
		}
		if len(s.Args) != len(k.in) {
			return nil, k.invalid("function %q takes %d arguments, and the loop has %d variables", name, len(s.Args), len(k.in))
		}
		p.part.scope, p.part.outs = s, s.Returns
		for _, a := range s.Args {
			p.part.vars = append(p.part.vars, []*flow.Node{a})
		}
	}
	if len(l.body.outs) != len(k.in) || len(l.cond.outs) != 1 {
		return nil, k.invalid("its functions do not give what a loop of %d variables needs", len(k.in))
	}
	return l.convert()
}

// loopPart is a loop's condition or its body.
type loopPart struct {
	scope *flow.Scope
	vars  [][]*flow.Node // for each variable, the nodes that stand for it
	outs  []flow.Ref
	fixed map[*flow.Node]value
}

// eval evaluates the part with values for the variables.
func (p *loopPart) eval(k *call, b *build.Builder, vars []value) ([]value, *env, error) {
	e, err := k.beside(k.env, p.scope, b)
	if p.fixed != nil { // a frame, in the midst of the graph
		e, err = k.within(k.env, b)
	}
	if err != nil {
		return nil, nil, err
	}
	p.bind(e, vars)
	return p.get(k, e)
}

func (p *loopPart) bind(e *env, vars []value) {
	for i, v := range vars {
		for _, n := range p.vars[i] {
			e.vals[n] = []value{v, v}
		}
	}
	for n, v := range p.fixed {
		e.vals[n] = []value{v}
	}
}

func (p *loopPart) get(k *call, e *env) ([]value, *env, error) {
	// Only those outputs whose variables count.
	var refs []flow.Ref
	for _, r := range p.outs {
		if r.Node != nil {
			refs = append(refs, r)
		}
	}
	got, err := k.get(e, refs...)
	if err != nil {
		return nil, nil, err
	}
	out := make([]value, len(p.outs))
	for i, r := range p.outs {
		if r.Node != nil {
			out[i], got = got[0], got[1:]
		}
	}
	return out, e, nil
}

// reads tells which variables an output of the part depends on.
func (p *loopPart) reads(r flow.Ref) []bool {
	out := make([]bool, len(p.vars))
	at := map[*flow.Node]int{}
	for i, ns := range p.vars {
		for _, n := range ns {
			at[n] = i
		}
	}
	seen := map[*flow.Node]bool{}
	todo := []flow.Ref{r}
	for len(todo) > 0 {
		n := todo[len(todo)-1].Node
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		if i, ok := at[n]; ok {
			out[i] = true
			continue
		}
		todo = append(todo, n.In...)
	}
	return out
}

// keeps tells whether the part gives a variable on as it is.
func (p *loopPart) keeps(i int) bool {
	r := flow.Through(p.outs[i])
	return slices.Contains(p.vars[i], r.Node)
}

// loop is a loop in either form.
type loop struct {
	*call
	init       []value
	used       []bool // whose value after the last round counts
	cond, body loopPart

	role   []role
	shapes [][]onnx.Dim // of what is carried, as far as all rounds share it
	held   []bool       // lists that are carried as one tensor
	elems  [][]onnx.Dim // of such lists, the shape of an element
}

// role is what becomes of a variable.
type role uint8

const (
	unread  role = iota // nothing depends on it
	fixed               // every round gives it on as it is
	carried             // it changes
)

// roles finds what becomes of each variable.
func (l *loop) roles() {
	l.role = make([]role, len(l.init))
	needed := slices.Clone(l.used)
	add := func(more []bool) (grew bool) {
		for i, v := range more {
			grew = grew || v && !needed[i]
			needed[i] = needed[i] || v
		}
		return grew
	}
	add(l.cond.reads(l.cond.outs[0]))
	for grew := true; grew; {
		grew = false
		for i := range needed {
			if needed[i] && !l.body.keeps(i) {
				grew = add(l.body.reads(l.body.outs[i])) || grew
			}
		}
	}
	for i := range l.role {
		switch {
		case !needed[i]:
			l.body.outs[i] = flow.Ref{}
		case l.body.keeps(i):
			l.role[i] = fixed
			l.body.outs[i] = flow.Ref{}
		default:
			l.role[i] = carried
		}
	}
}
