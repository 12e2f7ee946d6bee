package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// converter runs the code of a module and makes a graph of what it does with
// tensors. It follows several sizes of the free dimensions at once.
type converter struct {
	file   string
	source source
	b      *build.Builder
	probe  [probes]*onnx.Shapes
	inputs []input
	ops    map[string]operator

	constants []value // CONSTANTS.cN
	weights   map[*weight]*ten
	names     map[*weight]string
	sizes     map[string]string // tensors that hold a size, by tensor and axis
	training  bool

	at struct {
		file string
		line int
	}
	path    string // of the module whose method runs
	opName  string // of the operator in hand
	self    []string
	steps   int
	depth   int
	unequal [2]value     // the last two numbers that were compared and differed
	done    func() error // whether the caller has given up

	layers      map[string]int
	unsupported []string
	notes       map[string]bool
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

// label makes a node's name of the module's path and the operation.
func (c *converter) label(op string) string {
	if c.path == "" {
		return op
	}
	return c.path + "/" + op
}

// op adds a node of one output. Inputs are tensors, names of tensors, or nil for
// one that is left out.
func (c *converter) op(op string, in []any, attrs ...onnx.Attribute) *ten {
	return c.node(op, in, 1, attrs...)[0]
}

// node adds a node of n outputs.
func (c *converter) node(op string, in []any, n int, attrs ...onnx.Attribute) []*ten {
	node := &onnx.Node{Name: c.label(op), Op: op, Attrs: attrs}
	for _, v := range in {
		node.Inputs = append(node.Inputs, c.nameOf(v))
	}
	for len(node.Inputs) > 0 && node.Inputs[len(node.Inputs)-1] == "" {
		node.Inputs = node.Inputs[:len(node.Inputs)-1]
	}
	for range n {
		node.Outputs = append(node.Outputs, node.Name)
	}
	if c.steps += 20; c.steps > maxSteps {
		c.fail(stoa.TooLarge, "the network has too many operations")
	}
	names := c.b.Add(node)
	if err := c.b.Err(); err != nil {
		c.contradict("%s", stoa.AsError(err).Msg)
	}
	for p := range c.probe {
		if err := c.probe[p].Node(node, onnx.Opset); err != nil {
			c.misfit(node, p, err)
		}
	}
	out := make([]*ten, n)
	for i, name := range names {
		out[i] = &ten{name: name}
	}
	return out
}

// misfit turns a contradiction of shapes into a demand, where an input's free
// dimension must be what a constant's is.
func (c *converter) misfit(node *onnx.Node, p int, err error) {
	if len(node.Inputs) == 2 && elementwise[node.Op] {
		a, b := c.probeShape(p, node.Inputs[0]), c.probeShape(p, node.Inputs[1])
		for i := 1; i <= min(len(a), len(b)); i++ {
			x, y := a[len(a)-i], b[len(b)-i]
			if x == y || x == 1 || y == 1 {
				continue
			}
			c.unify(c.dim(&ten{name: node.Inputs[0]}, -i), c.dim(&ten{name: node.Inputs[1]}, -i))
			if c.b.Initializer(node.Inputs[1]) != nil {
				c.require(&ten{name: node.Inputs[0]}, len(a)-i, y)
			}
			if c.b.Initializer(node.Inputs[0]) != nil {
				c.require(&ten{name: node.Inputs[1]}, len(b)-i, x)
			}
		}
	}
	c.contradict("%s", strings.TrimPrefix(stoa.AsError(err).Msg, "onnx: "))
}

var elementwise = map[string]bool{
	"Add": true, "Sub": true, "Mul": true, "Div": true, "Max": true, "Min": true, "Pow": true, "Equal": true, "Greater": true, "Less": true,
	"PRelu": true,
}

// require wants axis i of a tensor to be n: of an input whose size is free, it is
// a demand.
func (c *converter) require(x *ten, i int, n int64) {
	d := c.dim(x, i)
	if v, ok := d.(int64); ok && v == n {
		return
	}
	if v, ok := d.(*num); ok {
		if at, axis, ok := c.inputDim(v); ok {
			c.demand(demand{input: at, dims: map[int]int64{axis: n}})
		}
	}
	c.contradict("a tensor of %s should have %d at axis %d", c.shapeText(x), n, i)
}

// unify asks that two free dimensions of inputs be the same, where two sizes are
// that and differ.
func (c *converter) unify(a, b value) {
	x, ok := a.(*num)
	y, ok2 := b.(*num)
	if !ok || !ok2 || x.n == y.n {
		return
	}
	i, axis, ok := c.inputDim(x)
	j, other, ok2 := c.inputDim(y)
	if !ok || !ok2 {
		return
	}
	if i > j {
		i, axis, j, other = j, other, i, axis
	}
	c.demand(demand{input: j, same: map[int]string{other: c.inputs[i].dims[axis].Param}})
}

// inputDim finds the free dimension of an input that a number is.
func (c *converter) inputDim(v *num) (input, axis int, ok bool) {
	if v.float {
		return 0, 0, false
	}
	for i, in := range c.inputs {
		for a := range in.rank() {
			if f := in.free[a]; f != nil && f.n == v.n {
				return i, a, true
			}
		}
	}
	return 0, 0, false
}

// nameOf gives the tensor of the graph that a value is.
func (c *converter) nameOf(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case *ten:
		if x == nil {
			return ""
		}
		return c.use(x)
	}
	c.fail(stoa.Invalid, "a %s stands where a tensor should", kindOf(v))
	return ""
}

// use gives a tensor's name, after what happened to those that it is a part of.
func (c *converter) use(t *ten) string {
	if t.blank > 0 {
		c.demand(demand{input: t.blank - 1, ranks: c.ranksByModule()})
	}
	if t.name == "" {
		t.name = c.scalarTensor(t.dtype, t.scalar)
	}
	if v := t.view; v != nil {
		c.use(v.base)
		if v.base.version != v.version {
			t.name, v.version = v.take(), v.base.version
			t.version++
		}
	}
	return t.name
}

// constant adds an array to the graph.
func (c *converter) constant(name string, t tensor.Tensor) string {
	name = c.b.Constant(name, t)
	if err := c.b.Err(); err != nil {
		c.fail(stoa.KindOf(err), "%s", stoa.AsError(err).Msg)
	}
	for p := range c.probe {
		if d, _ := c.probe[p].Of(name); d == tensor.Undefined {
			c.probe[p].Constant(c.b.Initializer(name))
		}
	}
	return name
}

func (c *converter) ints(vs ...int64) string {
	return c.constant("ints", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

func (c *converter) floats(vs ...float32) string {
	return c.constant("floats", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// number adds a scalar of a type.
func (c *converter) number(t tensor.DType, v float64) string {
	name := c.b.Number(t, v)
	for p := range c.probe {
		if d, _ := c.probe[p].Of(name); d == tensor.Undefined {
			c.probe[p].Constant(c.b.Initializer(name))
		}
	}
	return name
}

// scalarTensor makes a tensor without dimensions of a number.
func (c *converter) scalarTensor(t tensor.DType, v value) string {
	switch x := v.(type) {
	case bool:
		n := 0.0
		if x {
			n = 1
		}
		return c.number(t, n)
	case int64:
		if t == tensor.Int64 {
			return c.constant("int", tensor.Of([]int64{x}, []int64{}...))
		}
		return c.number(t, float64(x))
	case float64:
		if t == tensor.Float64 {
			return c.constant("number", tensor.Of([]float64{x}, []int64{}...))
		}
		return c.number(t, x)
	case *num:
		flat := c.op("Squeeze", []any{c.vec(x), c.ints(0)})
		return c.use(c.cast(flat, t))
	}
	c.fail(stoa.Invalid, "a %s stands where a number should", kindOf(v))
	return ""
}

// cast converts to a type, where it is another.
func (c *converter) cast(x *ten, t tensor.DType) *ten {
	if c.dtype(x) == t {
		return x
	}
	if t == tensor.BFloat16 {
		t = tensor.Float32 // which is what weights of bfloat16 become
		if c.dtype(x) == t {
			return x
		}
	}
	if x.scalar != nil && x.name == "" && (category(t) >= category(x.dtype)) {
		if n, ok := x.scalar.(int64); ok && category(t) == 2 {
			return &ten{scalar: float64(n), dtype: t}
		}
		if _, isNum := x.scalar.(*num); !isNum && category(t) == category(x.dtype) {
			return &ten{scalar: x.scalar, dtype: t}
		}
	}
	return c.op("Cast", []any{x}, onnx.AInt("to", int64(t)))
}

// dtype gives a tensor's element type.
func (c *converter) dtype(x *ten) tensor.DType {
	if x.name == "" && x.blank == 0 {
		return x.dtype
	}
	c.use(x)
	d, _ := c.probe[0].Of(x.name)
	return d
}

// probeShape gives a tensor's shape for one of the sizes; nil where it is not
// known.
func (c *converter) probeShape(p int, name string) []int64 {
	_, shape := c.probe[p].Of(name)
	if shape == nil {
		return nil
	}
	out := make([]int64, len(shape))
	for i, d := range shape {
		if !d.Known() {
			return nil
		}
		out[i] = d.Value
	}
	return out
}

// shape gives a tensor's sizes.
func (c *converter) shape(x *ten) []value {
	if x.name == "" && x.blank == 0 {
		return nil
	}
	c.use(x)
	var at [probes][]int64
	for p := range at {
		if at[p] = c.probeShape(p, x.name); at[p] == nil || len(at[p]) != len(at[0]) {
			c.fail(stoa.Unsupported, "the shape of a tensor follows from its content, which is not supported")
		}
	}
	out := make([]value, len(at[0]))
	for i := range out {
		n := &num{}
		for p := range at {
			n.n[p] = at[p][i]
		}
		name := x.name
		n.make = func() string {
			key := fmt.Sprint(name, " ", i)
			if c.sizes[key] == "" {
				c.sizes[key] = c.use(c.op("Shape", []any{name}, onnx.AInt("start", int64(i)), onnx.AInt("end", int64(i)+1)))
			}
			return c.sizes[key]
		}
		out[i] = c.settle(n)
	}
	return out
}

func (c *converter) rank(x *ten) int { return len(c.shape(x)) }

func (c *converter) dim(x *ten, i int) value {
	s := c.shape(x)
	if i < 0 {
		i += len(s)
	}
	if i < 0 || i >= len(s) {
		c.contradict("axis %d lies outside a tensor of %s", i, c.shapeText(x))
	}
	return s[i]
}

// fixed gives a size that must not depend on the inputs' sizes.
func (c *converter) fixed(x *ten, i int) int64 {
	n, ok := c.dim(x, i).(int64)
	if !ok {
		c.contradict("axis %d of a tensor of %s must be a fixed size", i, c.shapeText(x))
	}
	return n
}

// declare sets the type and shape of what the inference does not follow.
func (c *converter) declare(x *ten, t tensor.DType, shape []value) *ten {
	for p := range c.probe {
		dims := make([]onnx.Dim, len(shape))
		for i, v := range shape {
			n := c.lift(v).n[p]
			if n < 0 {
				c.contradict("a size of %d comes out", n)
			}
			dims[i] = onnx.Fixed(n)
		}
		c.probe[p].Value(x.name, t, dims)
	}
	if c.b.Shape(x.name) == nil || c.b.DType(x.name) == tensor.Undefined {
		dims := make([]onnx.Dim, len(shape))
		for i, v := range shape {
			dims[i] = onnx.Dim{Value: -1}
			if n, ok := v.(int64); ok {
				dims[i] = onnx.Fixed(n)
			} else if at, axis, ok := c.inputDim(c.lift(v)); ok {
				dims[i] = c.inputs[at].dims[axis]
			}
		}
		c.b.Declare(x.name, t, dims)
	}
	return x
}

// shapeText writes a shape for messages.
func (c *converter) shapeText(x *ten) string {
	if x.name != "" {
		if _, s := c.probe[0].Of(x.name); s == nil {
			return "unknown shape"
		}
	}
	var out []string
	for _, v := range c.shape(x) {
		switch n := v.(type) {
		case int64:
			out = append(out, fmt.Sprint(n))
		case *num:
			text := "?"
			if at, axis, ok := c.inputDim(n); ok {
				text = c.inputs[at].dims[axis].Param
			}
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "no dimensions"
	}
	return strings.Join(out, "x")
}

// promote gives the type in which values are computed with each other.
func (c *converter) promote(vs ...value) tensor.DType {
	var dim, zero, plain tensor.DType
	for _, v := range vs {
		t, ok := v.(*ten)
		switch {
		case !ok:
			plain = wider(plain, scalarType(v))
		case t.name == "" && t.blank == 0 || c.rank(t) == 0:
			zero = wider(zero, c.dtype(t))
		default:
			dim = wider(dim, c.dtype(t))
		}
	}
	return combine(dim, combine(zero, plain))
}
