package tensorflow

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// convert makes the loop and gives what its variables are in the end.
func (l *loop) convert() ([]value, error) {
	l.roles()
	n := len(l.init)
	l.shapes, l.held, l.elems = make([][]onnx.Dim, n), make([]bool, n), make([][]onnx.Dim, n)
	for i, v := range l.init {
		if l.role[i] != carried {
			continue
		}
		if v.list != nil {
			l.held[i], l.elems[i] = v.list.base != "" || len(v.list.writes) > 0, v.list.shape
		} else if l.shapes[i] = l.b.Shape(v.name); v.name == "" || l.shapes[i] == nil {
			return nil, l.unsupportedf("its variable %d is no tensor, or one of unknown dimensions", i)
		}
	}
	// A body may change shapes from round to round, and may read a list that it
	// writes, which is known once it was built.
	const tries = 6
	for range tries {
		m, err := l.build()
		if err != nil {
			return nil, err
		}
		if m.bad {
			return slices.Repeat([]value{{bad: true}}, n), nil
		}
		if !m.again {
			return m.finish()
		}
	}
	return nil, l.unsupportedf("the shapes of what the loop carries change with every round")
}

// body is a loop whose body was built.
type body struct {
	*loop
	sub    *build.Builder
	inside []string // by variable, its name in the body
	made   *onnx.Node
	env    *env
	limits []limit // the loop goes on while counters are below them
	exact  bool    // and nothing else ends it
	// What the node gives: variables that are carried, then lists of which each
	// round gives a part.
	carried, scanned []int
	results, scans   []string
	bad, again       bool
}

// limit is a tensor that a variable is compared with.
type limit struct {
	tensor  string
	counter int
}

// build makes the body.
func (l *loop) build() (*body, error) {
	l.loops++
	m := &body{loop: l, sub: l.b.Sub(l.Name), inside: make([]string, len(l.init)), made: &onnx.Node{Name: l.Name, Op: "Loop"}}
	// No name of TensorFlow has such a sign in it.
	prefix := fmt.Sprintf("loop#%d/", l.loops)
	m.sub.Input(prefix+"round", tensor.Int64)
	m.sub.Input(prefix+"go", tensor.Bool)
	before, outside, err := l.cond.eval(l.call, l.b, l.init)
	if err != nil {
		return nil, err
	}
	if before[0].bad {
		m.bad = true
		return m, nil
	}
	m.made.Inputs = []string{"", l.scalarBool(l.b, before[0].name)}
	m.limits, m.exact = l.bounds(outside)
	vars := slices.Clone(l.init)
	for i := range l.init {
		if l.role[i] == carried {
			if vars[i], err = m.enter(i, prefix); err != nil {
				return nil, err
			}
		}
	}
	out, e, err := l.body.eval(l.call, m.sub, vars)
	if err != nil {
		return nil, err
	}
	for i, v := range vars {
		if l.role[i] == carried && v.list != nil && v.list.read() {
			l.held[i], m.again = true, true
		}
	}
	if m.bad = !m.again && slices.ContainsFunc(out, func(v value) bool { return v.bad }); m.bad || m.again {
		return m, nil
	}
	m.env = e
	after := slices.Clone(vars)
	for i := range out {
		if l.role[i] == carried {
			after[i] = out[i]
			if err := m.leave(i, vars[i], out[i], e); err != nil {
				return nil, err
			}
		}
	}
	cond, _, err := l.cond.eval(l.call, m.sub, after)
	if err != nil {
		return nil, err
	}
	m.bad = cond[0].bad
	if m.bad || m.again {
		return m, nil
	}
	return m, m.close(cond[0].name)
}

func (l *loop) scalarBool(b *build.Builder, name string) string {
	if len(b.Shape(name)) > 0 {
		return b.Op(l.Name+"/Squeeze", "Squeeze", []string{name})
	}
	return name
}

// bounds reads the condition: what a counter is compared with, and whether that
// is all of it.
func (l *loop) bounds(outside *env) (limits []limit, exact bool) {
	todo := []flow.Ref{l.cond.outs[0]}
	for len(todo) > 0 {
		n := flow.Through(todo[0]).Node
		todo = todo[1:]
		if n == nil || len(n.In) < 2 {
			return nil, false
		}
		switch n.Op {
		case "LogicalAnd":
			todo = append(todo, n.In...)
		case "Less":
			counter := flow.Through(n.In[0]).Node
			i := slices.IndexFunc(l.cond.vars, func(ns []*flow.Node) bool { return slices.Contains(ns, counter) })
			vs, ok := outside.lookup(n.In[1].Node)
			at := n.In[1].Out
			if i < 0 || !ok || at >= len(vs) {
				return nil, false
			}
			limits = append(limits, limit{vs[at].name, i})
		default:
			return nil, false
		}
	}
	return limits, len(limits) > 0
}

// fills tells whether the loop surely makes as many rounds as a list has places.
func (m *body) fills(l *list) bool {
	if !m.exact || l.size == "" {
		return l.size == "" // one that grows has as many as were written
	}
	for _, limit := range m.limits {
		if !m.counts(m.inside[limit.counter], m.env) {
			return false
		}
		if limit.tensor == l.size {
			continue
		}
		t, ok := m.constant(limit.tensor)
		if v := arith.Ints(t); !ok || len(v) != 1 || l.count < 0 || v[0] < l.count {
			return false
		}
	}
	return true
}

// filled adds zeros behind what a loop wrote, up to the size of the list.
func (m *body) filled(l *list, name string, elem []onnx.Dim) string {
	if m.fills(l) || elem == nil {
		return name
	}
	b := m.b
	op := func(op string, in []string, attrs ...onnx.Attribute) string {
		return b.Op(m.Name+"/"+op, op, in, attrs...)
	}
	size := op("Reshape", []string{op("Cast", []string{l.size}, onnx.AInt("to", int64(tensor.Int64))), b.Ints(1)})
	have := op("Slice", []string{op("Shape", []string{name}), b.Ints(0), b.Ints(1)})
	rest := op("Max", []string{op("Sub", []string{size, have}), b.Ints(0)})
	n := len(elem)
	pads := op("Concat", []string{b.Ints(make([]int64, n+1)...), rest, b.Ints(make([]int64, n)...)}, onnx.AInt("axis", 0))
	if n == 0 {
		pads = op("Concat", []string{b.Ints(0), rest}, onnx.AInt("axis", 0))
	}
	in := []string{name, pads}
	if !arith.IsFloat(l.dtype) {
		in = append(in, b.Number(l.dtype, 0))
	}
	return op("Pad", in)
}

// enter makes an input of the body for a variable.
func (m *body) enter(i int, prefix string) (value, error) {
	v := m.init[i]
	t, shape, start := m.b.DType(v.name), m.shapes[i], v.name
	if v.list != nil {
		if !m.held[i] {
			in := *v.list
			in.opaque, in.seen = true, new(bool)
			return value{list: &in}, nil
		}
		var err error
		if start, err = v.list.tensor(m.call, m.b, m.elems[i]); err != nil {
			return value{}, err
		}
		t, shape = m.b.DType(start), append([]onnx.Dim{{Value: -1}}, m.elems[i]...)
	}
	name := m.sub.Input(fmt.Sprintf("%s%d", prefix, i), t, shape...)
	m.inside[i] = name
	m.carried = append(m.carried, i)
	m.made.Inputs = append(m.made.Inputs, start)
	if v.list == nil {
		return value{name: name}, nil
	}
	return value{list: &list{dtype: t, shape: m.elems[i], size: v.list.size, count: v.list.count, base: name}}, nil
}

// leave takes what the body gives for a variable.
func (m *body) leave(i int, in, out value, e *env) error {
	if in.list == nil {
		if out.name == "" {
			return m.unsupportedf("its variable %d is a tensor at first and then none", i)
		}
		had, has := m.shapes[i], m.sub.Shape(out.name)
		if has == nil {
			has = slices.Repeat([]onnx.Dim{{Value: -1}}, len(had))
		}
		shape := common(had, has)
		if shape == nil {
			return m.unsupportedf("its variable %d changes its number of dimensions", i)
		}
		if !slices.Equal(shape, had) {
			m.shapes[i], m.again = shape, true
		}
		m.results = append(m.results, m.sub.Op(m.Name+"/next", "Identity", []string{out.name}))
		return nil
	}
	if out.list == nil {
		return m.unsupportedf("its variable %d is a list at first and then none", i)
	}
	w := out.list.writes
	if m.held[i] {
		name, err := out.list.tensor(m.call, m.sub, m.elems[i])
		m.results = append(m.results, m.sub.Op(m.Name+"/next", "Identity", []string{name}))
		return err
	}
	if len(w) == 1 && (w[0].index == "" || m.counts(w[0].index, e)) {
		m.scanned = append(m.scanned, i)
		m.scans = append(m.scans, m.sub.Op(m.Name+"/item", "Identity", []string{w[0].item}))
		m.elems[i] = common(orElse(m.elems[i], m.sub.Shape(w[0].item)), m.sub.Shape(w[0].item))
		return nil
	}
	// The list must be there as a tensor, whose elements have the shape of what
	// is written.
	m.held[i], m.again = true, true
	if len(w) > 0 && !known(m.elems[i]) {
		m.elems[i] = m.sub.Shape(w[0].item)
	}
	return nil
}

func orElse(a, b []onnx.Dim) []onnx.Dim {
	if a == nil {
		return b
	}
	return a
}

func known(shape []onnx.Dim) bool {
	return shape != nil && !slices.ContainsFunc(shape, func(d onnx.Dim) bool { return !d.Known() })
}

// counts tells whether a tensor of the body counts the rounds from 0 on.
func (m *body) counts(index string, e *env) bool {
	i := slices.Index(m.inside, index)
	if i < 0 || index == "" {
		return false
	}
	first, ok := m.constant(m.init[i].name)
	if v := arith.Ints(first); !ok || len(v) != 1 || v[0] != 0 {
		return false
	}
	n := flow.Through(m.body.outs[i]).Node
	if n.Op != "Add" && n.Op != "AddV2" {
		return false
	}
	found, one := false, false
	for _, r := range n.In {
		vs, _ := e.lookup(r.Node)
		if r.Out >= len(vs) {
			return false
		}
		found = found || vs[r.Out].name == index
		if t, ok := m.constant(vs[r.Out].name); ok {
			v := arith.Ints(t)
			one = one || len(v) == 1 && v[0] == 1
		}
	}
	return found && one
}

// close finishes the body's graph.
func (m *body) close(cond string) error {
	names := []string{m.sub.Op(m.Name+"/go", "Identity", []string{m.scalarBool(m.sub, cond)})}
	names = append(names, m.results...)
	names = append(names, m.scans...)
	for _, name := range names {
		m.sub.Output(name, name)
	}
	g, err := m.sub.Body()
	if err != nil {
		return err
	}
	m.made.Attrs = []onnx.Attribute{onnx.AGraph("body", g)}
	return nil
}

// finish puts the loop into the graph around it.
func (m *body) finish() ([]value, error) {
	for range len(m.carried) + len(m.scanned) {
		m.made.Outputs = append(m.made.Outputs, m.Name)
	}
	if len(m.made.Outputs) == 0 {
		return slices.Clone(m.init), nil
	}
	names := m.b.Add(m.made)
	out := slices.Clone(m.init)
	for j, i := range m.carried {
		if in := m.init[i].list; in != nil {
			m.b.Declare(names[j], in.dtype, append([]onnx.Dim{{Value: -1}}, m.elems[i]...))
			out[i] = value{list: &list{dtype: in.dtype, shape: m.elems[i], size: in.size, count: in.count, base: names[j]}}
			continue
		}
		m.b.Declare(names[j], m.sub.DType(m.inside[i]), m.shapes[i])
		out[i] = value{name: names[j]}
	}
	for j, i := range m.scanned {
		in := m.init[i].list
		name := names[len(m.carried)+j]
		count := onnx.Dim{Value: -1}
		if in.count > 0 && m.fills(in) {
			count = onnx.Fixed(in.count)
		}
		var shape []onnx.Dim
		if m.elems[i] != nil {
			shape = append([]onnx.Dim{count}, m.elems[i]...)
		}
		m.b.Declare(name, in.dtype, shape)
		if padded := m.filled(in, name, m.elems[i]); padded != name {
			name = padded
			if in.count > 0 {
				shape = append([]onnx.Dim{onnx.Fixed(in.count)}, m.elems[i]...)
			}
			m.b.Declare(name, in.dtype, shape)
		}
		out[i] = value{list: &list{dtype: in.dtype, shape: m.elems[i], size: in.size, count: in.count, base: name}}
	}
	return out, nil
}
