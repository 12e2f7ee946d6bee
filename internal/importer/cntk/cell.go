package cntk

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx/recurrent"
	"github.com/stoa-project/stoa/internal/tensor"
)

// A loop that computes what an LSTM, a GRU or a plain recurrent layer does
// becomes that operator of ONNX. Loops are told by what they compute, not by
// what their blocks are called: a cell of the Layers library with other
// activations, a projection or a stabilised state may be none of these, and then
// it is a Scan.

// cell is a loop that was recognised.
type cell struct {
	op          string // LSTM, GRU or RNN
	activations []string
	weights     recurrent.Cell
	x           ref
	h           ref // the output
	delay       *function
	cDelay      *function    // of an LSTM
	peepholes   [3]*variable // of an LSTM: of the cell on its gates i, o and f; nil: none
}

// sum is a matrix product or several, and biases, that are added.
type sum struct {
	w, r  *variable // of x and of the state
	x     ref
	scale float64 // the state is multiplied by it first
	bias  []*variable
}

// matcher looks at one loop.
type matcher struct {
	c   *converter
	l   *loop
	err error
}

func (m *matcher) needs(f *function) []ref {
	out, err := m.c.net.needs(f)
	if err != nil && m.err == nil {
		m.err = err
	}
	return out
}

// is gives what a function of a kind takes; false where r is none.
func (m *matcher) is(r ref, inputs int, ops ...int64) ([]ref, bool) {
	if r.f == nil || r.out != 0 || !slices.Contains(ops, r.f.op) {
		return nil, false
	}
	in := m.needs(r.f)
	return in, len(in) == inputs
}

// either gives the two inputs of a function, the one that fits first.
func (m *matcher) either(in []ref, fits func(ref) bool) (first, second ref, ok bool) {
	switch {
	case len(in) != 2:
		return ref{}, ref{}, false
	case fits(in[0]):
		return in[0], in[1], true
	case fits(in[1]):
		return in[1], in[0], true
	}
	return ref{}, ref{}, false
}

const (
	opTanh           = 2
	opReLU           = 3
	opSlice          = 14
	opPlus           = 19
	opMinus          = 20
	opElementTimes   = 21
	opTimes          = 31
	opTransposeTimes = 32
)

var sigmoids = []int64{1, 75}

// recognise makes a loop one operator, where it is one.
func (c *converter) recognise(l *loop) (bool, error) {
	m := &matcher{c: c, l: l}
	for _, d := range l.delays {
		if n, _, err := c.shiftOf(d); err != nil || n != 1 {
			return false, err
		}
	}
	var found *cell
	switch len(l.delays) {
	case 1:
		if found = m.gru(); found == nil {
			found = m.plain()
		}
	case 2:
		if found = m.lstm(l.delays[0], l.delays[1]); found == nil {
			found = m.lstm(l.delays[1], l.delays[0])
		}
	}
	if m.err != nil || found == nil || len(l.given) != 1 || l.given[0] != found.h {
		return false, m.err
	}
	if v, err := c.get(found.x); err != nil || v.rank != 1 || v.seq == "" || v.batch != l.batch {
		return false, err
	}
	return c.emit(l, found)
}

// sumOf reads a sum of at most one product with something outside, one with the
// state, and biases.
func (m *matcher) sumOf(r ref, state ref, out *sum) bool {
	todo := []ref{r}
	for n := 0; len(todo) > 0 && n < 20; n++ {
		t := todo[0]
		todo = todo[1:]
		if in, ok := m.is(t, 2, opPlus); ok {
			todo = append(todo, in...)
			continue
		}
		if t.v != nil && t.v.value != nil && t.v.kind != kindInput {
			out.bias = append(out.bias, t.v)
			continue
		}
		in, ok := m.is(t, 2, opTimes)
		if !ok || in[0].v == nil || in[0].v.value == nil || len(in[0].v.shape) != 2 {
			return false
		}
		scale, isState := m.scaled(in[1], state)
		switch {
		case isState && out.r == nil:
			out.r, out.scale = in[0].v, scale
		case !isState && out.w == nil && (in[1].f == nil || !m.l.in[in[1].f]):
			out.w, out.x = in[0].v, in[1]
		default:
			return false
		}
	}
	return len(todo) == 0 && out.w != nil
}

// scaled tells whether a tensor is the state, or the state times a constant.
func (m *matcher) scaled(r, state ref) (float64, bool) {
	if r == state {
		return 1, true
	}
	in, ok := m.is(r, 2, opElementTimes)
	if !ok {
		return 0, false
	}
	_, factor, ok := m.either(in, func(r ref) bool { return r == state })
	if !ok {
		return 0, false
	}
	return m.number(factor, 0)
}

// number computes a tensor that is one constant number, as a stabiliser's is.
func (m *matcher) number(r ref, depth int) (float64, bool) {
	const deepest = 20
	if r.v != nil {
		if r.v.value == nil || r.v.kind == kindInput {
			return 0, false
		}
		t, err := r.v.value.floats()
		if err != nil || len(t.Data) != 4 {
			return 0, false
		}
		return float64(tensor.As[float32](t)[0]), true
	}
	if depth > deepest {
		return 0, false
	}
	var args []float64
	for _, in := range m.needs(r.f) {
		n, ok := m.number(in, depth+1)
		if !ok {
			return 0, false
		}
		args = append(args, n)
	}
	switch {
	case len(args) == 1 && r.f.op == 9:
		return 1 / args[0], true
	case len(args) == 1 && r.f.op == 4:
		return math.Exp(args[0]), true
	case len(args) == 1 && r.f.op == 5:
		return math.Log(args[0]), true
	case len(args) == 2 && r.f.op == opPlus:
		return args[0] + args[1], true
	case len(args) == 2 && r.f.op == opMinus:
		return args[0] - args[1], true
	case len(args) == 2 && r.f.op == opElementTimes:
		return args[0] * args[1], true
	case len(args) == 2 && r.f.op == 52:
		return max(args[0], args[1]) + math.Log1p(math.Exp(-math.Abs(args[0]-args[1]))), true
	}
	return 0, false
}

// part tells which of equal parts of a vector a slice takes.
func (m *matcher) part(r ref, parts, size int64) (of ref, k int64, ok bool) {
	in, ok := m.is(r, 1, opSlice)
	if !ok || r.f.attrs.int("sliceStrides", 1) != 1 {
		return ref{}, 0, false
	}
	a, isAxis := r.f.attrs["axis"].(axis)
	begin, end := r.f.attrs.int("beginIndex", 0), r.f.attrs.int("endIndex", 0)
	if !isAxis || a.index != 0 && a.index != -1 || size <= 0 || begin%size != 0 {
		return ref{}, 0, false
	}
	if end == 0 && begin == (parts-1)*size {
		end = parts * size
	}
	return in[0], begin / size, end-begin == size && begin >= 0 && begin < parts*size
}

// activated gives what a sigmoid or a tanh is of.
func (m *matcher) activated(r ref, ops ...int64) (ref, bool) {
	in, ok := m.is(r, 1, ops...)
	if !ok {
		return ref{}, false
	}
	return in[0], true
}

// lstm is h = o * tanh(c), c = f * c' + i * tanh(g), where the four are parts of
// one sum. The order of the parts is whatever the file has.
func (m *matcher) lstm(hDelay, cDelay *function) *cell {
	hNew, cNew := m.needs(hDelay), m.needs(cDelay)
	if len(hNew) != 2 || len(cNew) != 2 {
		return nil
	}
	isSigmoid := func(r ref) bool { _, ok := m.activated(r, sigmoids...); return ok }
	in, ok := m.is(hNew[0], 2, opElementTimes)
	o, th, ok2 := m.either(in, isSigmoid)
	cOf, ok3 := m.activated(th, opTanh)
	if !ok || !ok2 || !ok3 || cOf != cNew[0] {
		return nil
	}
	terms, ok := m.is(cNew[0], 2, opPlus)
	if !ok {
		return nil
	}
	kept := ref{f: cDelay}
	keeps := func(r ref) bool {
		in, ok := m.is(r, 2, opElementTimes)
		return ok && slices.Contains(in, kept)
	}
	forget, fresh, ok := m.either(terms, keeps)
	if !ok {
		return nil
	}
	in, _ = m.is(forget, 2, opElementTimes)
	f, _, ok := m.either(in, isSigmoid)
	in, ok2 = m.is(fresh, 2, opElementTimes)
	i, g, ok3 := m.either(in, isSigmoid)
	if !ok || !ok2 || !ok3 {
		return nil
	}
	return m.gates(hDelay, cDelay, hNew[0], []ref{i, o, f, g})
}

// gates reads the sum that the gates of an LSTM, as ONNX orders them, are parts of.
func (m *matcher) gates(hDelay, cDelay *function, h ref, gates []ref) *cell {
	var of ref
	order := []byte("....")
	var size int64
	out := &cell{op: "LSTM", h: h, delay: hDelay, cDelay: cDelay}
	// The gates i and f see the cell as it was, o as it is.
	old, now := ref{f: cDelay}, m.needs(cDelay)[0]
	for k, letter := range []byte(recurrent.LSTM) {
		ops := sigmoids
		if letter == 'c' {
			ops = []int64{opTanh}
		}
		pre, ok := m.activated(gates[k], ops...)
		if !ok {
			return nil
		}
		if k == 0 {
			size = m.c.stateSize(m.l, h)
		}
		if k < len(out.peepholes) {
			pre, out.peepholes[k] = m.peephole(pre, map[byte]ref{'i': old, 'f': old, 'o': now}[letter])
		}
		whole, part, ok := m.part(pre, 4, size)
		if !ok || k > 0 && whole != of || order[part] != '.' {
			return nil
		}
		of, order[part] = whole, letter
	}
	s := &sum{}
	if !m.sumOf(of, ref{f: hDelay}, s) || s.r == nil {
		return nil
	}
	weights, ok := m.pack(s, 4*size, size, string(order))
	if !ok {
		return nil
	}
	out.weights, out.x = weights, s.x
	return out
}

// peephole takes the product of the cell and a vector off a gate, where there is
// one.
func (m *matcher) peephole(gate, cell ref) (ref, *variable) {
	in, ok := m.is(gate, 2, opPlus)
	var vector *variable
	product := func(r ref) bool {
		in, ok := m.is(r, 2, opElementTimes)
		_, v, ok2 := m.either(in, func(r ref) bool { return r == cell })
		if ok && ok2 && v.v != nil && v.v.value != nil && v.v.kind != kindInput && len(v.v.shape) == 1 {
			vector = v.v
		}
		return vector != nil
	}
	_, rest, ok2 := m.either(in, product)
	if !ok || !ok2 {
		return gate, nil
	}
	return rest, vector
}

// pack brings the weights of a sum into the form of package recurrent.
func (m *matcher) pack(s *sum, rows, size int64, order string) (recurrent.Cell, bool) {
	out := recurrent.Cell{Order: order, Layout: recurrent.Columns}
	var err error
	if out.Input, err = m.c.floats(s.w); err == nil {
		out.Recurrent, err = m.c.floats(s.r)
	}
	if err != nil || out.Input.Shape[1] != rows || out.Recurrent.Shape[0] != size || out.Recurrent.Shape[1] != rows {
		return out, false
	}
	if s.scale != 1 {
		out.Recurrent = scaledBy(out.Recurrent, s.scale)
	}
	out.InputBias, err = m.bias(s.bias, rows)
	return out, err == nil
}

func scaledBy(t tensor.Tensor, by float64) tensor.Tensor {
	from := tensor.As[float32](t)
	out := make([]float32, len(from))
	for i, v := range from {
		out[i] = float32(float64(v) * by)
	}
	return tensor.Of(out, t.Shape...)
}

// bias adds biases, each of one number or of as many as there are rows.
func (m *matcher) bias(vs []*variable, rows int64) (tensor.Tensor, error) {
	const most = 1 << 24
	if rows > most {
		return tensor.Tensor{}, m.c.invalid(m.l.delays[0], "its bias is too large")
	}
	out := make([]float32, rows)
	for _, v := range vs {
		t, err := m.c.floats(v)
		if err != nil {
			return t, err
		}
		b := tensor.As[float32](t)
		if len(b) != 1 && int64(len(b)) != rows {
			return t, m.c.invalid(m.l.delays[0], "its bias has %d numbers", len(b))
		}
		for i := range out {
			out[i] += b[i%len(b)]
		}
	}
	return tensor.Of(out, rows), nil
}

// stateSize gives the length of a state that is a vector.
func (c *converter) stateSize(l *loop, h ref) int64 {
	if s := c.guess(l, h, map[*function]bool{}, 0); len(s) == 1 {
		return s[0]
	}
	return 0
}

// plain is h = f(W x + R h' + b).
func (m *matcher) plain() *cell {
	d := m.l.delays[0]
	in := m.needs(d)
	if len(in) != 2 || in[0].f == nil {
		return nil
	}
	name := map[int64]string{1: "Sigmoid", 75: "Sigmoid", opTanh: "Tanh", opReLU: "Relu"}[in[0].f.op]
	pre, ok := m.activated(in[0], in[0].f.op)
	s := &sum{}
	if name == "" || !ok || !m.sumOf(pre, ref{f: d}, s) || s.r == nil {
		return nil
	}
	size := m.c.stateSize(m.l, in[0])
	weights, ok := m.pack(s, size, size, "h")
	if !ok {
		return nil
	}
	return &cell{op: "RNN", activations: []string{name}, weights: weights, x: s.x, h: in[0], delay: d}
}

// gru is h = (1-z) * tanh(c) + z * h', where c has r * h' in its product.
func (m *matcher) gru() *cell {
	d := m.l.delays[0]
	old := ref{f: d}
	in := m.needs(d)
	if len(in) != 2 {
		return nil
	}
	h := in[0]
	terms, ok := m.is(h, 2, opPlus)
	if !ok {
		return nil
	}
	withOld := func(r ref) bool {
		in, ok := m.is(r, 2, opElementTimes)
		return ok && slices.Contains(in, old)
	}
	isTanh := func(r ref) bool { _, ok := m.activated(r, opTanh); return ok }
	kept, fresh, ok := m.either(terms, withOld)
	a, _ := m.is(kept, 2, opElementTimes)
	_, z, ok2 := m.either(a, func(r ref) bool { return r == old })
	b, ok3 := m.is(fresh, 2, opElementTimes)
	cand, rest, ok4 := m.either(b, isTanh)
	minus, ok5 := m.is(rest, 2, opMinus)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || minus[1] != z {
		return nil
	}
	if one, ok := m.number(minus[0], 0); !ok || one != 1 {
		return nil
	}
	return m.gruGates(d, h, z, cand)
}

func (m *matcher) gruGates(d *function, h, z, cand ref) *cell {
	old := ref{f: d}
	size := m.c.stateSize(m.l, h)
	zPre, ok := m.activated(z, sigmoids...)
	zx, zh, ok2 := m.twoParts(zPre, size)
	cPre, _ := m.activated(cand, opTanh)
	terms, ok3 := m.is(cPre, 2, opPlus)
	product := func(r ref) bool { return r.f != nil && r.f.op == opTimes && m.l.in[r.f] }
	hc, xc, ok4 := m.either(terms, product)
	if !ok || !ok2 || !ok3 || !ok4 {
		return nil
	}
	times, ok := m.is(hc, 2, opTimes)
	if !ok || times[0].v == nil {
		return nil
	}
	reset, ok := m.is(times[1], 2, opElementTimes)
	_, r, ok2 := m.either(reset, func(r ref) bool { return r == old })
	rPre, ok3 := m.activated(r, sigmoids...)
	rx, rh, ok4 := m.twoParts(rPre, size)
	cx, at, ok5 := m.part(xc, 3, size)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || rx.of != zx.of || rh.of != zh.of || cx != zx.of || at != 2 || zx.k+rx.k != 1 || zh.k != zx.k || rh.k != rx.k {
		return nil
	}
	order := "zrh"
	if zx.k == 1 {
		order = "rzh"
	}
	state, ok := m.is(zh.of, 2, opTimes)
	s := &sum{scale: 1}
	if !ok || state[0].v == nil || state[1] != old || !m.sumOf(zx.of, old, s) || s.r != nil {
		return nil
	}
	weights, ok := m.gruWeights(s, [2]*variable{state[0].v, times[0].v}, size, order)
	if !ok {
		return nil
	}
	return &cell{op: "GRU", weights: weights, x: s.x, h: h, delay: d}
}

type slicePart struct {
	of ref
	k  int64
}

// twoParts reads the sum of a part of what comes in, which has three, and one of
// a product with the state, which has two.
func (m *matcher) twoParts(r ref, size int64) (x, h slicePart, ok bool) {
	in, ok := m.is(r, 2, opPlus)
	if !ok {
		return x, h, false
	}
	for i := range 2 {
		xOf, xk, okx := m.part(in[i], 3, size)
		hOf, hk, okh := m.part(in[1-i], 2, size)
		if okx && okh && hOf.f != nil && m.l.in[hOf.f] && (xOf.f == nil || !m.l.in[xOf.f]) {
			return slicePart{xOf, xk}, slicePart{hOf, hk}, true
		}
	}
	return x, h, false
}

// gruWeights joins the two matrices of the state: two gates, and the candidate.
func (m *matcher) gruWeights(s *sum, state [2]*variable, size int64, order string) (recurrent.Cell, bool) {
	out := recurrent.Cell{Order: order, Layout: recurrent.Columns}
	var err error
	if out.Input, err = m.c.floats(s.w); err != nil {
		return out, false
	}
	two, err := m.c.floats(state[0])
	if err != nil {
		return out, false
	}
	one, err := m.c.floats(state[1])
	if err != nil || !slices.Equal(two.Shape, []int64{size, 2 * size}) || !slices.Equal(one.Shape, []int64{size, size}) || out.Input.Shape[1] != 3*size {
		return out, false
	}
	a, b := tensor.As[float32](two), tensor.As[float32](one)
	joined := make([]float32, 0, len(a)+len(b))
	for i := range size {
		joined = append(append(joined, a[2*i*size:2*(i+1)*size]...), b[i*size:(i+1)*size]...)
	}
	out.Recurrent = tensor.Of(joined, size, 3*size)
	out.InputBias, err = m.bias(s.bias, 3*size)
	return out, err == nil
}
