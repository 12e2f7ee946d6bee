package tensorflow

import (
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
)

// Loops come in two forms. In TensorFlow 1 a loop is a frame within the graph:
// Enter leads in, Merge joins what enters with what the round before left, Switch
// parts going on from leaving, Exit leads out. While takes two functions. Both
// become the same here: variables, a condition and a body.

// frame is a loop of the first form.
type frame struct {
	name   string
	vars   []frameVar
	consts []*node // Enters of what no round changes
	cond   *node   // LoopCond
}

// frameVar is what a loop carries from round to round.
type frameVar struct{ enter, merge, sw, next, exit *node }

func frameOf(n *node) string { return n.text("frame_name", "") }

// findFrames finds the loops of the first form.
func (s *scope) findFrames() {
	get := func(name string) *frame {
		if s.frames[name] == nil {
			s.frames[name] = &frame{name: name}
		}
		return s.frames[name]
	}
	byMerge := map[*node]*frameVar{}
	frames := map[*node]*frame{}
	var merges []*node
	for _, n := range s.nodes {
		switch {
		case strings.HasSuffix(n.Op, "Enter") && n.flag("is_constant", false):
			f := get(frameOf(n))
			f.consts = append(f.consts, n)
		case strings.HasSuffix(n.Op, "Merge") && len(n.inputs) == 2:
			v := frameVar{merge: n}
			for _, in := range n.inputs {
				switch {
				case strings.HasSuffix(in.node.Op, "Enter"):
					v.enter = in.node
				case strings.HasSuffix(in.node.Op, "NextIteration"):
					v.next = in.node
				}
			}
			if v.enter != nil && v.next != nil {
				byMerge[n], frames[n] = &v, get(frameOf(v.enter))
				merges = append(merges, n)
			}
		}
	}
	for _, n := range s.nodes {
		if !isSwitch(n) || len(n.inputs) != 2 || byMerge[n.inputs[0].node] == nil {
			continue
		}
		if cond := through(n.inputs[1]).node; cond.Op == "LoopCond" {
			byMerge[n.inputs[0].node].sw = n
			frames[n.inputs[0].node].cond = cond
		}
	}
	for _, n := range s.nodes {
		if strings.HasSuffix(n.Op, "Exit") && len(n.inputs) == 1 && isSwitch(n.inputs[0].node) {
			if v := byMerge[n.inputs[0].node.input(0).node]; v != nil {
				v.exit = n
			}
		}
	}
	for _, m := range merges {
		frames[m].vars = append(frames[m].vars, *byMerge[m])
	}
}

// frame finds the loop that a node leads out of.
func (s *scope) frame(exit *node) *frame {
	for _, name := range slices.Sorted(maps.Keys(s.frames)) {
		for _, v := range s.frames[name].vars {
			if v.exit == exit {
				return s.frames[name]
			}
		}
	}
	return nil
}

func (c *converter) exitDeps(n *node) ([]ref, error) {
	f := n.scope.frame(n)
	if f == nil || f.cond == nil {
		return nil, stoa.Errorf(stoa.Unsupported, "%s: node %q (%s) leads out of a loop that cannot be made out", c.model.file, n.Name, n.Op)
	}
	var out []ref
	for _, v := range f.vars {
		out = append(out, v.enter.input(0))
	}
	for _, e := range f.consts {
		out = append(out, e.input(0))
	}
	return out, nil
}

// leave makes the loop that a node leads out of, for all that lead out of it.
func leave(k *call) ([]value, error) {
	f := k.scope.frame(k.node)
	l := loop{call: k, init: k.in[:len(f.vars)], used: make([]bool, len(f.vars))}
	part := loopPart{scope: k.env.scope, sees: true, fixed: map[*node]value{}}
	for i, v := range f.vars {
		bound := []*node{v.merge}
		if v.sw != nil {
			bound = append(bound, v.sw)
		}
		part.vars = append(part.vars, bound)
		l.used[i] = v.exit != nil && k.env.scope.reach[v.exit]
		part.outs = append(part.outs, v.next.input(0))
	}
	for i, e := range f.consts {
		part.fixed[e] = k.in[len(f.vars)+i]
	}
	l.body, l.cond = part, part
	l.cond.outs = []ref{f.cond.input(0)}
	out, err := l.convert()
	if err != nil {
		return nil, err
	}
	for i, v := range f.vars {
		if v.exit != nil {
			k.env.vals[v.exit] = []value{out[i]}
		}
	}
	return k.env.vals[k.node], nil
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
		name := k.funcName(p.attr)
		s := k.function(name)
		if s == nil {
			return nil, k.missing(name)
		}
		if len(s.args) != len(k.in) {
			return nil, k.invalid("function %q takes %d arguments, and the loop has %d variables", name, len(s.args), len(k.in))
		}
		p.part.scope, p.part.outs = s, s.returns
		for _, a := range s.args {
			p.part.vars = append(p.part.vars, []*node{a})
		}
	}
	if len(l.body.outs) != len(k.in) || len(l.cond.outs) != 1 {
		return nil, k.invalid("its functions do not give what a loop of %d variables needs", len(k.in))
	}
	return l.convert()
}

// loopPart is a loop's condition or its body.
type loopPart struct {
	scope *scope
	sees  bool      // what is around the loop
	vars  [][]*node // for each variable, the nodes that stand for it
	outs  []ref
	fixed map[*node]value
}

// eval evaluates the part with values for the variables.
func (p *loopPart) eval(k *call, b *build.Builder, vars []value) ([]value, *env, error) {
	e, err := k.within(k.env, p.scope, b, p.sees)
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
	var refs []ref
	for _, r := range p.outs {
		if r.node != nil {
			refs = append(refs, r)
		}
	}
	got, err := k.converter.get(e, refs...)
	if err != nil {
		return nil, nil, err
	}
	out := make([]value, len(p.outs))
	for i, r := range p.outs {
		if r.node != nil {
			out[i], got = got[0], got[1:]
		}
	}
	return out, e, nil
}

// reads tells which variables an output of the part depends on.
func (p *loopPart) reads(r ref) []bool {
	out := make([]bool, len(p.vars))
	at := map[*node]int{}
	for i, ns := range p.vars {
		for _, n := range ns {
			at[n] = i
		}
	}
	seen := map[*node]bool{}
	todo := []ref{r}
	for len(todo) > 0 {
		n := todo[len(todo)-1].node
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		if i, ok := at[n]; ok {
			out[i] = true
			continue
		}
		todo = append(todo, n.inputs...)
	}
	return out
}

// keeps tells whether the part gives a variable on as it is.
func (p *loopPart) keeps(i int) bool {
	r := through(p.outs[i])
	return slices.Contains(p.vars[i], r.node)
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
			l.body.outs[i] = ref{}
		case l.body.keeps(i):
			l.role[i] = fixed
			l.body.outs[i] = ref{}
		default:
			l.role[i] = carried
		}
	}
}
