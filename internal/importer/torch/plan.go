package torch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// plan finds the types and sizes of inputs for which a network's code runs. Files
// of TorchScript do not say them. It begins with nothing known and all sizes
// free, learns from what the code asks for, and fixes sizes where the code does
// not run for several.
type plan struct {
	job
	tries int
}

// input is an input of the network.
type input struct {
	name  string
	dtype tensor.DType
	dims  []onnx.Dim // nil: nobody told
	free  []*num     // by axis: the sizes that are tried; nil where it is fixed
}

func (in input) rank() int { return len(in.dims) }

// spec is what is assumed of an input.
type spec struct {
	path  string // the parameter, and where in it
	dtype tensor.DType
	dims  []int64 // -1: free; nil: not known
	names []string
	told  bool
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

// convert makes the graph of a network.
func convert(j job) (result, error) {
	p := &plan{job: j}
	c, err := p.find()
	if err != nil {
		return result{}, err
	}
	r := result{
		layers: c.layers, unsupported: c.unsupported, parameters: p.parameters(c), bind: p.bind(c), notes: slices.Sorted(maps.Keys(c.notes)),
	}
	if len(c.unsupported) > 0 {
		return r, nil
	}
	r.mapped = c.b.Mapped()
	r.model, err = c.b.Model()
	return r, err
}

// find runs the code until it fits.
func (p *plan) find() (*converter, error) {
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

func (t trial) explain(c *converter) {
	for _, name := range slices.Sorted(maps.Keys(t.fix)) {
		c.note("%s is fixed at %d: the code does not run, or does not mean the same, for other sizes", name, t.fix[name])
	}
	if t.even && t.fix == nil {
		c.note("sizes of pictures or sequences must be multiples of what the network divides them by, such as 32")
	}
}

// attempt is a run, and what it assumed in the end.
type attempt struct {
	converter *converter
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
		a := attempt{converter: c, specs: specs, size: f.size, decided: f.decided}
		if f.err == nil {
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
func learn(specs []spec, d demand) bool {
	s := &specs[d.input]
	if d.whole && s.dtype != tensor.Int64 && !s.told {
		s.dtype = tensor.Int64
		if s.dims == nil && len(d.ranks) > 0 {
			s.assume(d.ranks, d.names)
		}
		return true
	}
	if s.dims == nil {
		s.assume(d.ranks, d.names)
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
			s.dims[axis], changed = n, true
		}
	}
	return changed
}

// assume gives an input the likeliest rank.
func (s *spec) assume(ranks []int, names []string) {
	if len(ranks) == 0 {
		ranks = []int{4, 3, 2, 5, 1}
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

// another goes to the next rank that an input may have.
func another(specs []spec) bool {
	for i := range specs {
		if s := &specs[i]; len(s.ranks) > 0 && !s.told {
			s.next(nil)
			return true
		}
	}
	return false
}

// run runs the code once.
func (p *plan) run(specs []spec, t trial) (c *converter, f failure) {
	c = &converter{
		file: p.file, source: p.source, b: build.New("torch"), ops: p.ops, weights: map[*weight]*ten{}, sizes: map[string]string{},
		layers: map[string]int{}, notes: map[string]bool{}, training: p.training, done: p.done,
	}
	for i := range c.probe {
		c.probe[i] = onnx.NewShapes()
	}
	if err := p.done(); err != nil {
		return c, failure{err: err}
	}
	defer func() {
		if bad, ok := caught(c.file, recover()); ok {
			f = bad
		}
	}()
	l := newLoader(c.file)
	v, err := l.value(p.root, "", 0)
	if err == nil {
		c.constants, err = constantsOf(l, p.constants)
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
	args := append([]value{root}, c.makeInputs(def, specs, t)...)
	out := c.call(def, args, nil)
	if len(c.unsupported) > 0 {
		return c, failure{}
	}
	c.outputs("output", out, 0)
	if err := c.b.Err(); err != nil {
		return c, failure{err: err}
	}
	return c, failure{}
}

func constantsOf(l *loader, v any) ([]value, error) {
	out, err := l.value(v, "constant", 0)
	if err != nil || out == nil {
		return nil, err
	}
	vs, ok := items(out)
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
	for _, in := range c.inputs {
		s := spec{path: in.name, dtype: tensor.Float32}
		given, ok := p.shapes[in.name]
		if !ok && len(p.shapes) == 1 && len(c.inputs) == 1 {
			for _, given = range p.shapes { // the one input there is, whatever its name
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
	for name := range p.shapes {
		known := slices.ContainsFunc(specs, func(s spec) bool { return s.path == name })
		if !known && (len(p.shapes) > 1 || len(specs) != 1) {
			return nil, stoa.Errorf(stoa.Invalid, "%s: a shape is given for %q, but the inputs are %s", p.file, name, inputNames(specs))
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

// makeInputs makes the values that forward takes.
func (c *converter) makeInputs(def *torchscript.Func, specs []spec, t trial) []value {
	c.at.file, c.at.line = def.File, def.Line
	var out []value
	for _, a := range def.Params[min(1, len(def.Params)):] {
		v, ok := c.inputOf(a.Name, a.Type, specs, t)
		switch {
		case ok:
			out = append(out, v)
		case a.Default != nil:
			out = append(out, c.eval(&frame{}, a.Default))
		case isOptional(a.Type):
			out = append(out, nil)
		default:
			c.fail(stoa.Unsupported, "forward takes %s of a type that is no tensor: wrap the module in one whose forward takes tensors only", a.Name)
		}
	}
	return out
}

func isOptional(t torchscript.Expr) bool {
	i, ok := t.(*torchscript.Index)
	return ok && torchscript.Dotted(i.X) == "Optional"
}

// inputOf makes the input, or the tuple of inputs, of a parameter.
func (c *converter) inputOf(name string, t torchscript.Expr, specs []spec, tr trial) (value, bool) {
	if torchscript.Dotted(t) == "Tensor" || t == nil {
		return c.makeInput(name, specs, tr), true
	}
	i, ok := t.(*torchscript.Index)
	if !ok || torchscript.Dotted(i.X) != "Tuple" {
		return nil, false
	}
	parts := []torchscript.Expr{i.At}
	if p, ok := i.At.(*torchscript.Tuple); ok {
		parts = p.Items
	}
	var out tuple
	for k, part := range parts {
		v, ok := c.inputOf(fmt.Sprintf("%s_%d", name, k), part, specs, tr)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// The sizes that are tried: of the batch, and of others by what they are. They
// lie far apart, so that they differ after many halvings too; some are odd, some
// even, unless all are to be multiples of 32; and one is what pictures usually
// have.
var (
	batchSizes = [probes]int64{2, 3, 5, 9, 4, 7}
	// Pictures: small ones too, or large ones only; both also as multiples of 32.
	oddSizes  = [][probes]int64{{65, 224, 331, 510, 1013, 150}, {71, 224, 509, 302, 1103, 191}, {82, 224, 733, 411, 1250, 167}}
	bigSizes  = [][probes]int64{{224, 299, 331, 510, 1013, 640}, {224, 299, 509, 302, 1103, 720}, {224, 299, 733, 411, 1250, 600}}
	evenSizes = [][probes]int64{{64, 224, 512, 320, 1088, 192}, {96, 224, 384, 640, 1216, 256}, {128, 224, 448, 960, 1312, 160}}
	highSizes = [][probes]int64{{224, 256, 512, 320, 1088, 448}, {224, 288, 384, 640, 1216, 480}, {224, 320, 448, 960, 1312, 544}}
	// Frames of films, words of texts, and numbers of channels.
	deepSizes  = [][probes]int64{{16, 33, 65, 24, 97, 40}}
	textSizes  = [][probes]int64{{7, 19, 41, 12, 30, 16}, {9, 22, 47, 13, 34, 28}, {10, 17, 43, 31, 24, 36}}
	shortSizes = [][probes]int64{{3, 5, 7, 8, 4, 10}, {4, 6, 9, 5, 8, 3}, {5, 3, 8, 6, 10, 7}}
	manySizes  = [][probes]int64{{37, 141, 343, 59, 64, 96}, {47, 153, 359, 61, 72, 128}, {61, 167, 371, 83, 80, 160}}
)

func (c *converter) makeInput(name string, specs []spec, t trial) value {
	at := len(c.inputs)
	c.inputs = append(c.inputs, input{name: name})
	if at >= len(specs) || specs[at].dims == nil {
		return &ten{blank: at + 1}
	}
	s := specs[at]
	dims, free := make([]onnx.Dim, len(s.dims)), make([]*num, len(s.dims))
	for i, d := range s.dims {
		if n, ok := t.fix[s.names[i]]; ok && d < 0 {
			d = n
		}
		if d >= 0 {
			dims[i] = onnx.Fixed(d)
			continue
		}
		free[i], dims[i] = c.freeDim(at, i, s, t)
	}
	c.inputs[at] = input{name: name, dtype: s.dtype, dims: dims, free: free}
	if c.b.Input(name, s.dtype, dims...); c.b.Err() != nil {
		c.fail(stoa.Invalid, "%s", stoa.AsError(c.b.Err()).Msg)
	}
	for p := range c.probe {
		shape := slices.Clone(dims)
		for i, f := range free {
			if f != nil {
				shape[i] = onnx.Fixed(f.n[p])
			}
		}
		c.probe[p].Value(name, s.dtype, shape)
	}
	return &ten{name: name}
}

// freeDim names a free dimension and gives the sizes that are tried for it.
func (c *converter) freeDim(at, axis int, s spec, t trial) (*num, onnx.Dim) {
	name := s.names[axis]
	if same, ok := s.same[axis]; ok {
		for _, in := range c.inputs[:at] {
			for i, d := range in.dims {
				if d.Param == same {
					return in.free[i], d
				}
			}
		}
	}
	if name == "batch" {
		return &num{n: batchSizes}, onnx.Named(name)
	}
	table := t.table(name, axis, s)
	n := axis
	if !t.shared && at > 0 {
		n += at
		name = c.inputs[at].name + "_" + name
	}
	return &num{n: table[n%len(table)]}, onnx.Named(name)
}

// outputs makes tensors outputs of the graph: the first is "output", further
// ones are numbered, and those of a dictionary have its keys.
func (c *converter) outputs(name string, v value, n int) int {
	switch x := v.(type) {
	case *ten:
		if n > 0 && name == "output" {
			name = fmt.Sprintf("output_%d", n)
		}
		c.b.Output(name, c.use(x))
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
	case unknown:
		c.fail(stoa.Unsupported, "output %d of the network is the second result of an operator that is supported for its first only", n)
	case int64, float64, bool, *num:
		return c.outputs(name, &ten{scalar: x, dtype: scalarType(x)}, n)
	}
	vs, _ := items(v)
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
		if !s.told && p.shapes[s.path] == nil {
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
func (p *plan) bind(c *converter) map[string]int64 {
	out := map[string]int64{}
	for _, in := range c.inputs {
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
func (p *plan) parameters(c *converter) int64 {
	total := int64(0)
	seen := map[string]bool{}
	for w := range c.weights {
		n, err := tensor.Elements(w.size)
		if err == nil && len(w.size) > 0 && !seen[w.id] {
			total += n
		}
		seen[w.id] = true
	}
	return total
}

// table gives the sizes that are tried for a dimension, by what it is.
func (t trial) table(name string, axis int, s spec) [][probes]int64 {
	switch {
	case s.dtype == tensor.Int64, name == "length" && axis < 2:
		if t.even || t.small {
			return shortSizes
		}
		return textSizes
	case name == "channels" || name == "features" || len(s.dims) < 3:
		return manySizes
	case name == "depth":
		return deepSizes
	case t.even && t.large:
		return highSizes
	case t.even:
		return evenSizes
	case t.large:
		return bigSizes
	}
	return oddSizes
}
