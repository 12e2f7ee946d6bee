package jit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// plan finds the types and sizes of inputs for which a network's code runs. Files
// of TorchScript do not say them. It begins with nothing known and all sizes
// free, learns from what the code asks for, and fixes sizes where the code does
// not run for several.
type plan struct {
	Job
	tries int
	steps int // of all runs
}

// input is an input of the network.
type input struct {
	Name  string
	dtype tensor.DType
	dims  []onnx.Dim // nil: nobody told
	free  []*Num     // by axis: the sizes that are tried; nil where it is fixed
}

func (in input) rank() int { return len(in.dims) }

// spec is what is assumed of an input.
type spec struct {
	path  string // the parameter, and where in it
	dtype tensor.DType
	dims  []int64 // -1: free; nil: not known
	names []string
	guess bool           // its rank is the likeliest, and nothing says it
	ranks []int          // those that may still be tried
	same  map[int]string // axes that are the same as another input's, by its name
}

// trial says which sizes are tried for what is free.
type trial struct {
	even   bool // multiples of 32, for networks that halve and join again
	large  bool // none is small
	small  bool // texts are short
	shared bool // free sizes of the same meaning are the same for all inputs
	fix    map[string]int64
}

// maxTries bounds how often the code is run: each time with other inputs.
const maxTries = 400

// Convert makes the graph of a network.
func Convert(j Job) (Result, error) {
	p := &plan{Job: j}
	c, err := p.find()
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Layers: c.layers, Unsupported: c.unsupported, Parameters: p.parameters(c), Bind: p.bind(c), Notes: slices.Sorted(maps.Keys(c.notes)),
	}
	if len(c.unsupported) > 0 {
		return r, nil
	}
	r.Mapped = c.B.Mapped()
	r.Model, err = c.B.Model()
	return r, err
}

// find runs the code until it fits.
func (p *plan) find() (*Converter, error) {
	specs, err := p.specs()
	if err != nil {
		return nil, err
	}
	c, firstErr := p.settle(specs, trial{})
	if firstErr == nil || !c.size {
		return c.converter, firstErr
	}
	for _, t := range trials(c.specs) {
		if c.decided && t.fix == nil {
			continue
		}
		again, err := p.settle(specs, t)
		if err == nil {
			t.explain(again.converter)
			return again.converter, nil
		}
		if !again.size || p.tries > maxTries {
			break
		}
		c.decided = c.decided || again.decided
	}
	return nil, p.advise(firstErr, c.specs)
}

// trials are what is tried after all sizes were free, in this order: other sizes,
// pictures of one size, a fixed batch, both. Where the code decides by a size,
// it would be wrong to find sizes for which it decides alike.
func trials(specs []spec) []trial {
	out := []trial{{shared: true}, {even: true, shared: true}, {large: true, shared: true}, {large: true, even: true, shared: true}}
	spatial := map[string]bool{}
	batch := false
	for _, s := range specs {
		for i, d := range s.dims {
			if d < 0 && i < len(s.names) {
				batch = batch || s.names[i] == "batch"
				if s.names[i] != "batch" {
					spatial[s.names[i]] = true
				}
			}
		}
	}
	var sizes []map[string]int64
	if spatial["height"] && spatial["width"] { // a line of text may be as long as it likes
		for _, n := range likelySizes(spatial) {
			sizes = append(sizes, map[string]int64{"height": n})
		}
	}
	if len(spatial) > 0 {
		for _, n := range likelySizes(spatial) {
			m := map[string]int64{}
			for name := range spatial {
				m[name] = n
			}
			sizes = append(sizes, m)
		}
	}
	for _, m := range sizes {
		out = append(out, trial{shared: true, fix: m})
	}
	if !batch {
		return out
	}
	for _, n := range []int64{1, 2, 4, 8, 16} {
		out = append(out, trial{shared: true, fix: map[string]int64{"batch": n}}, trial{even: true, shared: true, fix: map[string]int64{"batch": n}})
	}
	for _, m := range sizes {
		m = maps.Clone(m)
		m["batch"] = 1
		out = append(out, trial{shared: true, fix: m})
	}
	return out
}

// likelySizes are those that pictures or texts have, the commonest first.
func likelySizes(names map[string]bool) []int64 {
	out := []int64{224, 32, 28, 64, 128, 256, 299, 227, 96, 512, 48, 160, 192, 384, 112, 84, 320, 40, 56, 100, 150, 200, 300, 416, 448, 480, 640, 24, 16}
	if !names["height"] {
		out = []int64{16, 32, 64, 128, 256, 512, 10, 12, 20, 50, 100, 1000, 8, 24, 48, 96, 187, 200, 300, 400, 500, 1024, 2048, 4096, 8000, 16000}
	}
	return out
}

func (t trial) explain(c *Converter) {
	for _, name := range slices.Sorted(maps.Keys(t.fix)) {
		c.Note("%s is fixed at %d: the code does not run, or does not mean the same, for other sizes", name, t.fix[name])
	}
	if t.even && t.fix == nil {
		c.Note("sizes of pictures or sequences must be multiples of what the network divides them by, such as 32")
	}
}

// attempt is a run, and what it assumed in the end.
type attempt struct {
	converter *Converter
	specs     []spec
	size      bool // it failed, and with other sizes it may not
	decided   bool // since the code decides by a size
}

// settle runs the code, learning about its inputs, until it fits or fails.
func (p *plan) settle(start []spec, t trial) (attempt, error) {
	specs := slices.Clone(start)
	for i := range specs {
		specs[i].dims = slices.Clone(specs[i].dims)
	}
	var first *attempt
	var firstErr error
	for {
		p.tries++
		c, f := p.run(specs, t)
		p.steps = c.steps
		a := attempt{converter: c, specs: specs, size: f.size, decided: f.decided}
		if f.err == nil {
			for _, s := range specs {
				if s.guess {
					c.Note("nothing tells the shape of input %s: it is taken to have %d axes; give its shape if that is wrong", s.path, len(s.dims))
				}
			}
			return a, nil
		}
		if p.tries > maxTries {
			a.size = false
		}
		if f.want != nil && a.size && learn(specs, *f.want) {
			continue
		}
		if !a.size {
			return a, f.err
		}
		if first == nil {
			first, firstErr = &attempt{converter: c, specs: snapshot(specs), size: true, decided: f.decided}, f.err
		}
		if !another(specs) {
			return *first, firstErr
		}
	}
}

func snapshot(specs []spec) []spec {
	out := slices.Clone(specs)
	for i := range out {
		out[i].dims = slices.Clone(out[i].dims)
	}
	return out
}

// learn takes in what the code asks of an input; false: it knew that already.
func learn(specs []spec, d Demand) bool {
	s := &specs[d.Input]
	if d.DType != tensor.Undefined && s.dtype != d.DType {
		s.dtype = d.DType
		if len(d.Ranks) > 0 && (s.dims == nil || s.guess) {
			s.guess = false
			s.assume(d.Ranks, d.Names)
		}
		return true
	}
	if s.dims == nil {
		s.assume(d.Ranks, d.Names)
		return true
	}
	changed := false
	for axis, name := range d.same {
		if s.same[axis] != name {
			s.same = maps.Clone(s.same)
			if s.same == nil {
				s.same = map[int]string{}
			}
			s.same[axis], changed = name, true
		}
	}
	for axis, n := range d.dims {
		if axis < len(s.dims) && s.dims[axis] < 0 {
			s.dims[axis], changed, s.guess = n, true, false
		}
	}
	return changed
}

// assume gives an input the likeliest rank.
func (s *spec) assume(ranks []int, names []string) {
	if len(ranks) == 0 {
		ranks, s.guess = []int{4, 3, 2, 5, 1}, true
	}
	s.ranks = slices.Clone(ranks)
	s.next(names)
}

func (s *spec) next(names []string) {
	rank := s.ranks[0]
	s.ranks = s.ranks[1:]
	s.dims = slices.Repeat([]int64{-1}, rank)
	s.names = names
	if len(names) != rank {
		s.names = dimNames(rank)
	}
}

// dimNames are what the axes of an input usually are.
func dimNames(rank int) []string {
	switch rank {
	case 2:
		return []string{"batch", "length"}
	case 3:
		return []string{"batch", "length", "features"}
	case 4:
		return []string{"batch", "channels", "height", "width"}
	case 5:
		return []string{"batch", "channels", "depth", "height", "width"}
	}
	out := []string{"batch"}
	for i := 1; i < rank; i++ {
		out = append(out, fmt.Sprintf("size_%d", i))
	}
	return out[:rank]
}

// another goes to the next rank that an input may have: of those that were guessed
// first.
func another(specs []spec) bool {
	for _, guessed := range []bool{true, false} {
		for i := range specs {
			if s := &specs[i]; len(s.ranks) > 0 && s.guess == guessed {
				s.next(nil)
				return true
			}
		}
	}
	return false
}

// run runs the code once.
func (p *plan) run(specs []spec, t trial) (c *Converter, f failure) {
	c = &Converter{
		file: p.File, source: p.Source, B: build.New("torch"), ops: p.Ops, weights: map[*Weight]*Tensor{}, sizes: map[string]string{},
		layers: map[string]int{}, notes: map[string]bool{}, Training: p.Training, done: p.Done, steps: p.steps,
	}
	for i := range c.probe {
		c.probe[i] = onnx.NewShapes()
	}
	if err := p.Done(); err != nil {
		return c, failure{err: err}
	}
	defer func() {
		if bad, ok := caught(c.file, recover()); ok {
			f = bad
		}
	}()
	l := newLoader(c.file)
	v, err := l.value(p.Root, "", 0)
	if err == nil {
		c.constants, err = constantsOf(l, p.Constants)
	}
	if err != nil {
		return c, failure{err: err}
	}
	c.names = l.names
	root, ok := v.(*obj)
	if !ok {
		return c, failure{err: stoa.Errorf(stoa.Invalid, "%s: its data.pkl holds no module", c.file)}
	}
	def := c.method(root, "forward")
	args := append([]Value{root}, c.makeInputs(def, specs, t)...)
	out := c.call(def, args, nil)
	if len(c.unsupported) > 0 {
		return c, failure{}
	}
	c.outputs("output", out, 0)
	if err := c.B.Err(); err != nil {
		return c, failure{err: err}
	}
	return c, failure{}
}

func constantsOf(l *loader, v any) ([]Value, error) {
	out, err := l.value(v, "constant", 0)
	if err != nil || out == nil {
		return nil, err
	}
	vs, ok := Items(out)
	if !ok {
		return nil, stoa.Errorf(stoa.Invalid, "%s: its constants.pkl holds no constants", l.file)
	}
	return vs, nil
}

// specs finds the tensors that forward takes.
func (p *plan) specs() (specs []spec, err error) {
	c, f := p.run(nil, trial{})
	if f.err != nil && !f.size {
		return nil, f.err
	}
	for _, in := range c.Inputs {
		s := spec{path: in.Name, dtype: tensor.Float32}
		given, ok := p.Shapes[in.Name]
		if !ok && len(p.Shapes) == 1 && len(c.Inputs) == 1 {
			for _, given = range p.Shapes { // the one input there is, whatever its name
				ok = true
			}
		}
		if ok {
			s.dims, s.names = slices.Clone(given), dimNames(len(given))
			if s.dims == nil {
				s.dims = []int64{}
			}
		}
		specs = append(specs, s)
	}
	for name := range p.Shapes {
		known := slices.ContainsFunc(specs, func(s spec) bool { return s.path == name })
		if !known && (len(p.Shapes) > 1 || len(specs) != 1) {
			return nil, stoa.Errorf(stoa.Invalid, "%s: a shape is given for %q, but the inputs are %s", p.File, name, inputNames(specs))
		}
	}
	return specs, nil
}

func inputNames(specs []spec) string {
	var out []string
	for _, s := range specs {
		out = append(out, s.path)
	}
	return strings.Join(out, ", ")
}

// outputs makes tensors outputs of the graph: the first is "output", further
// ones are numbered, and those of a dictionary have its keys.
func (c *Converter) outputs(name string, v Value, n int) int {
	switch x := v.(type) {
	case *Tensor:
		if n > 0 && name == "output" {
			name = fmt.Sprintf("output_%d", n)
		}
		c.B.Output(name, c.Use(x))
		return n + 1
	case *dict:
		for i, k := range x.keys {
			key, ok := k.(string)
			if !ok {
				key = fmt.Sprint(k)
			}
			n = c.outputs(key, x.values[i], n)
		}
		return n
	case *record:
		for i, e := range x.items {
			n = c.outputs(x.class.Fields[min(i, len(x.class.Fields)-1)], e, n)
		}
		return n
	case Unknown:
		c.Fail(stoa.Unsupported, "output %d of the network is the second result of an operator that is supported for its first only", n)
	case int64, float64, bool, *Num:
		return c.outputs(name, &Tensor{Scalar: x, Dtype: ScalarType(x)}, n)
	}
	vs, _ := Items(v)
	for _, e := range vs {
		if name == "output" {
			n = c.outputs(name, e, n)
			continue
		}
		c.outputs(fmt.Sprintf("%s_%d", name, n), e, 0)
		n++
	}
	return n
}

// advise tells what a person can do where no sizes were found.
func (p *plan) advise(err error, specs []spec) error {
	var open []string
	for _, s := range specs {
		if p.Shapes[s.path] == nil {
			open = append(open, s.path)
		}
	}
	if len(open) == 0 {
		return err
	}
	return stoa.Errorf(stoa.KindOf(err), "%s. Files of TorchScript do not say what shape their inputs have, and it could not be found out: give it, with -1 for what is free, as in model.shapes in stoa.yaml or --shape %s=1,3,224,224",
		stoa.AsError(err).Msg, open[0])
}

// bind says which sizes stand for the free ones, where one must be named.
func (p *plan) bind(c *Converter) map[string]int64 {
	out := map[string]int64{}
	for _, in := range c.Inputs {
		for i, f := range in.free {
			if f == nil {
				continue
			}
			switch {
			case in.rank() >= 4:
				out[in.dims[i].Param] = 224
			default:
				out[in.dims[i].Param] = 16
			}
		}
	}
	return out
}

// parameters counts the numbers of the weights that the network uses.
func (p *plan) parameters(c *Converter) int64 {
	total := int64(0)
	seen := map[string]bool{}
	for w := range c.weights {
		n, err := tensor.Elements(w.Size)
		if err == nil && len(w.Size) > 0 && !seen[w.ID] {
			total += n
		}
		seen[w.ID] = true
	}
	return total
}
