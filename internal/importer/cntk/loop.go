package cntk

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxDelay bounds the steps that a loop remembers.
const maxDelay = 64

// isLoop tells whether functions that stand together need each other.
func (c *converter) isLoop(group []*function) (bool, error) {
	if len(group) > 1 {
		return true, nil
	}
	needs, err := c.net.needs(group[0])
	return slices.ContainsFunc(needs, func(r ref) bool { return r.f == group[0] }), err
}

// loop is functions that need each other across the steps of a sequence. It
// becomes a Scan: a state for each step that a delay remembers, a slice of each
// sequence that comes in, and a sequence of what others need of it.
type loop struct {
	fns     []*function
	in      map[*function]bool
	delays  []*function
	back    bool
	seq     string
	batch   bool
	outside []ref   // sequences that come in
	inputs  []value // the same
	given   []ref   // what goes out
	example value   // of a tensor that has all dynamic axes
}

func (c *converter) loop(group []*function, out []result) error {
	l := &loop{fns: group, in: map[*function]bool{}}
	for _, f := range group {
		l.in[f] = true
	}
	if err := c.lookAround(l); err != nil {
		return err
	}
	if err := c.used(l, out); err != nil {
		return err
	}
	for _, f := range l.fns {
		c.b.From(opName(f)) // what is not made by itself becomes part of the one operator
	}
	before := c.b.From(opName(l.delays[0]))
	defer c.b.From(before)
	if done, err := c.recognise(l); done || err != nil {
		return err
	}
	return c.scan(l)
}

// lookAround finds the delays and what comes into a loop.
func (c *converter) lookAround(l *loop) error {
	for _, f := range l.fns {
		if err := c.delayOf(l, f); err != nil {
			return err
		}
		needs, err := c.net.needs(f)
		if err != nil {
			return err
		}
		for _, r := range needs {
			if r.f != nil && l.in[r.f] || slices.Contains(l.outside, r) {
				continue
			}
			v, err := c.get(r)
			if err != nil {
				return err
			}
			l.batch = l.batch || v.batch
			if v.seq == "" {
				continue
			}
			if l.seq != "" && !c.sameLength(l.seq, v.seq) {
				return c.refuse(f, "a loop along two sequences is not supported")
			}
			l.seq = v.seq
			l.outside, l.inputs = append(l.outside, r), append(l.inputs, v)
		}
	}
	return c.checkLoop(l)
}

// delayOf notes a function of a loop that is a delay.
func (c *converter) delayOf(l *loop, f *function) error {
	if f.op != opPastValue && f.op != opFutureValue {
		return nil
	}
	_, back, err := c.shiftOf(f)
	if err != nil {
		return err
	}
	if len(l.delays) > 0 && back != l.back {
		return c.refuse(f, "a loop that looks both back and ahead is not supported")
	}
	l.delays, l.back = append(l.delays, f), back
	return nil
}

func (c *converter) checkLoop(l *loop) error {
	if len(l.delays) == 0 {
		return c.invalid(l.fns[0], "it needs its own result")
	}
	if l.seq == "" {
		return c.refuse(l.delays[0], "a loop into which no sequence comes is not supported")
	}
	for i, v := range l.inputs {
		if i == 0 || c.lead(v) > c.lead(l.example) {
			l.example = v
		}
	}
	if l.batch && c.batch && !l.example.batch {
		return c.refuse(l.delays[0], "a loop whose sequence is the same for the whole batch is not supported")
	}
	return nil
}

// used finds what of a loop others need.
func (c *converter) used(l *loop, out []result) error {
	give := func(r ref) {
		if r.f != nil && l.in[r.f] && !slices.Contains(l.given, r) {
			l.given = append(l.given, r)
		}
	}
	for _, r := range out {
		give(r.ref)
	}
	if c.takers == nil {
		c.takers = map[*function][]ref{}
		for _, f := range c.reached {
			needs, err := c.net.needs(f)
			if err != nil {
				return err
			}
			c.takers[f] = needs
		}
	}
	for _, f := range c.reached {
		if l.in[f] {
			continue
		}
		for _, r := range c.takers[f] {
			give(r)
		}
	}
	return nil
}

// state is what a loop carries from step to step for a delay: the last values,
// the latest first.
type state struct {
	f       *function
	n       int
	initial string
	dims    []onnx.Dim // of one value, dynamic axes and all
	names   []string   // within the body
	source  ref
}

func (c *converter) scan(l *loop) error {
	states, err := c.states(l)
	if err != nil {
		return err
	}
	outer, values := c.b, c.values
	body := outer.Sub("step of " + l.delays[0].uid)
	c.b, c.values, c.inLoop = body, maps.Clone(values), true
	restore := func() { c.b, c.values, c.inLoop = outer, values, false }
	defer restore()
	for _, s := range states {
		for k := range s.n {
			name := fmt.Sprintf("%s_state%d", s.f.uid, k)
			s.names = append(s.names, body.Input(name, tensor.Float32, s.dims...))
		}
		v := value{name: s.names[s.n-1], rank: len(s.dims), batch: l.batch, seq: l.seq}
		v.rank -= c.lead(v)
		c.values[ref{f: s.f}] = v
	}
	for i, v := range l.inputs {
		shape := outer.Shape(v.name)
		c.inLoop = false
		at := c.seqAxis(v)
		c.inLoop = true
		if at >= len(shape) {
			return c.invalid(l.delays[0], "the shape of %s is not known", v.name)
		}
		c.values[l.outside[i]] = v.like(body.Input(v.name+"_step", outer.DType(v.name), slices.Delete(slices.Clone(shape), at, at+1)...))
	}
	if err := c.body(l); err != nil {
		return err
	}
	g, given, err := c.finish(l, states, body)
	if err != nil {
		return err
	}
	restore()
	return c.addScan(l, states, g, given)
}

// body makes the functions of a loop, in an order in which they can be made once
// the delays are there.
func (c *converter) body(l *loop) error {
	done := map[*function]bool{}
	for _, f := range l.delays {
		done[f] = true
	}
	for range l.fns {
		progress := false
		for _, f := range l.fns {
			if done[f] {
				continue
			}
			needs, err := c.net.needs(f)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(needs, func(r ref) bool { return r.f != nil && l.in[r.f] && !done[r.f] }) {
				continue
			}
			if err := c.convert(f); err != nil {
				return err
			}
			done[f], progress = true, true
		}
		if !progress {
			break
		}
	}
	for _, f := range l.fns {
		if !done[f] {
			return c.invalid(f, "it needs its own result within one step")
		}
	}
	return nil
}

// finish names what the body gives: the next states, then what goes out.
func (c *converter) finish(l *loop, states []*state, body *build.Builder) (*onnx.Graph, []value, error) {
	for _, s := range states {
		next, err := c.get(s.source)
		if err != nil {
			return nil, nil, err
		}
		name := next.name
		want := value{rank: len(s.dims), batch: l.batch, seq: l.seq}
		want.rank -= c.lead(want)
		if next.rank < want.rank {
			name = c.unsqueeze(name, c.lead(next), want.rank-next.rank)
		}
		if shape := body.Shape(name); len(shape) != len(s.dims) {
			return nil, nil, c.refuse(s.f, "its state of %s became %s within a step", onnx.DimString(s.dims), onnx.DimString(shape))
		}
		for k := range s.n {
			body.Output(fmt.Sprintf("%s_next%d", s.f.uid, k), name)
			name = s.names[k]
		}
	}
	var given []value
	for i, r := range l.given {
		v, err := c.get(r)
		if err != nil {
			return nil, nil, err
		}
		body.Output(fmt.Sprintf("%s_out%d", l.delays[0].uid, i), v.name)
		given = append(given, v)
	}
	g, err := body.Body()
	return g, given, err
}

// addScan adds the node that runs a body for each step.
func (c *converter) addScan(l *loop, states []*state, g *onnx.Graph, given []value) error {
	n := &onnx.Node{Name: "scan of " + l.delays[0].uid, Op: "Scan", Attrs: []onnx.Attribute{onnx.AGraph("body", g), onnx.AInt("num_scan_inputs", int64(len(l.inputs)))}}
	for _, s := range states {
		for k := range s.n {
			n.Inputs = append(n.Inputs, s.initial)
			n.Outputs = append(n.Outputs, fmt.Sprintf("%s_last%d", s.f.uid, k))
		}
	}
	var inAxes, outAxes, inDirs, outDirs []int64
	for _, v := range l.inputs {
		n.Inputs = append(n.Inputs, v.name)
		inAxes, inDirs = append(inAxes, int64(c.seqAxis(v))), append(inDirs, map[bool]int64{false: 1}[l.back])
	}
	bodyOut := g.Outputs[len(g.Outputs)-len(given):]
	for i, v := range given {
		v.seq = l.seq
		n.Outputs = append(n.Outputs, c.nodeName(l.given[i].f))
		outAxes, outDirs = append(outAxes, int64(c.seqAxis(v))), append(outDirs, map[bool]int64{false: 1}[l.back])
	}
	n.Attrs = append(n.Attrs, onnx.AInts("scan_input_axes", inAxes...), onnx.AInts("scan_output_axes", outAxes...),
		onnx.AInts("scan_input_directions", inDirs...), onnx.AInts("scan_output_directions", outDirs...))
	length := c.b.Shape(l.example.name)[c.seqAxis(l.example)]
	names := c.b.Add(n)
	for i, v := range given {
		v.seq, v.name = l.seq, names[len(names)-len(given)+i]
		shape := slices.Insert(slices.Clone(bodyOut[i].Shape), c.seqAxis(v), length)
		c.b.Declare(v.name, tensor.Float32, shape)
		c.values[l.given[i]] = v
	}
	return c.b.Err()
}

// states finds what a loop remembers.
func (c *converter) states(l *loop) ([]*state, error) {
	var out []*state
	for _, f := range l.delays {
		n, _, err := c.shiftOf(f)
		if err != nil {
			return nil, err
		}
		if n > maxDelay {
			return nil, c.refuse(f, "a loop that looks %d steps back is not supported, only up to %d", n, maxDelay)
		}
		needs, err := c.net.needs(f)
		if err != nil {
			return nil, err
		}
		if len(needs) < 2 || needs[1].f != nil && l.in[needs[1].f] {
			return nil, c.refuse(f, "its initial state is made within the loop")
		}
		first, err := c.get(needs[1])
		if err != nil {
			return nil, err
		}
		if first.seq != "" {
			return nil, c.refuse(f, "an initial state that is a sequence is not supported")
		}
		static := c.guess(l, needs[0], map[*function]bool{}, 0)
		if static == nil {
			return nil, c.refuse(f, "nothing tells the shape of its state")
		}
		if first.rank > len(static) {
			static = append(slices.Repeat([]int64{1}, first.rank-len(static)), static...)
		}
		s := &state{f: f, n: int(n), source: needs[0]}
		var parts []string
		if l.batch && c.batch {
			s.dims = append(s.dims, c.b.Shape(l.example.name)[0])
			parts = append(parts, c.size(l.example.name, 0))
		}
		for _, n := range static {
			s.dims = append(s.dims, onnx.Fixed(n))
		}
		if len(static) > 0 {
			parts = append(parts, c.b.Ints(static...))
		}
		s.initial = c.initial(first, len(static), parts)
		out = append(out, s)
	}
	return out, nil
}

// initial gives an initial state the shape of the state.
func (c *converter) initial(first value, rank int, parts []string) string {
	name := first.name
	if c.lead(first) > 0 {
		name = c.unsqueeze(name, c.lead(first), rank-first.rank)
	}
	if len(parts) == 0 {
		return name
	}
	return c.b.Op(first.name+"/initial", "Expand", []string{name, c.concat(parts...)})
}

// guess finds the static shape of a tensor of a loop before the loop is made, by
// what does not depend on the loop; nil where nothing tells.
func (c *converter) guess(l *loop, r ref, seen map[*function]bool, depth int) []int64 {
	if r.f == nil || !l.in[r.f] {
		if v, err := c.get(r); err == nil {
			if dims, ok := c.known(v); ok {
				return dims
			}
		}
		return nil
	}
	const deepest = 10_000
	if seen[r.f] || depth > deepest {
		return nil
	}
	seen[r.f] = true
	needs, err := c.net.needs(r.f)
	if err != nil || len(needs) == 0 {
		return nil
	}
	at := func(i int) []int64 {
		if i >= len(needs) {
			return nil
		}
		return c.guess(l, needs[i], seen, depth+1)
	}
	switch r.f.op {
	case 19, 20, 21, 22, 23, 24, 25, 26, 27, 41, 42, 52, 69:
		var out []int64
		for i := range needs {
			if s := at(i); s != nil {
				out = broadcast(out, s)
			}
		}
		return out
	case opTimes, opTransposeTimes:
		if needs[0].f != nil && l.in[needs[0].f] {
			return nil
		}
		return c.guessTimes(r.f, needs[0])
	case opPastValue, opFutureValue:
		return broadcast(at(0), at(1))
	case 14:
		return c.guessSlice(r.f, at(0))
	case 43:
		return c.guessSplice(r.f, needs, at)
	case 16:
		if to := r.f.attrs.sizes("newShape").cOrder(); !r.f.attrs.has("beginAxis") && !slices.ContainsFunc(to, func(n int64) bool { return n < 0 }) {
			return to
		}
		return nil
	case opReduce, 12, 17, 33, 68, 74:
		return nil
	}
	return at(0)
}

// guessTimes gives the shape of a product by its first input alone.
func (c *converter) guessTimes(f *function, of ref) []int64 {
	w, err := c.get(of)
	if err != nil {
		return nil
	}
	dims, ok := c.known(w)
	made := int(f.attrs.int("outputRank", 1))
	switch {
	case !ok || made < 0 || made > len(dims) || len(dims) == 0:
		return nil
	case f.op == opTransposeTimes:
		return dims[:1]
	}
	return dims[len(dims)-made:]
}

func (c *converter) guessSlice(f *function, of []int64) []int64 {
	out := slices.Clone(of)
	a, ok := f.attrs["axis"].(axis)
	if !ok || of == nil {
		return nil
	}
	i, err := c.axisOf(f, a, len(of))
	if err != nil {
		return nil
	}
	begin, end := f.attrs.int("beginIndex", 0), f.attrs.int("endIndex", 0)
	if begin < 0 {
		begin += of[i]
	}
	if end <= 0 {
		end += of[i]
	}
	out[i] = max(end-begin, 0)
	return out
}

func (c *converter) guessSplice(f *function, needs []ref, at func(int) []int64) []int64 {
	a, _ := f.attrs["axis"].(axis)
	var out []int64
	total := int64(0)
	for i := range needs {
		s := slices.Clone(at(i))
		j := len(s) - 1 - int(a.index)
		if s == nil || j < 0 || j >= len(s) {
			return nil
		}
		total += s[j]
		s[j] = 1
		out = broadcast(out, s)
		out[len(out)-1-int(a.index)] = 1
	}
	if out != nil {
		out[len(out)-1-int(a.index)] = total
	}
	return out
}

// broadcast gives the shape that two make together; nil is one that is not known.
func broadcast(a, b []int64) []int64 {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, n := range b {
		at := len(a) - len(b) + i
		if out[at] == 1 {
			out[at] = n
		}
	}
	return out
}
