package jit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Converter runs the code of a module and makes a graph of what it does with
// tensors. It follows several sizes of the free dimensions at once.
type Converter struct {
	file   string
	source Source
	B      *build.Builder
	probe  [probes]*onnx.Shapes
	Inputs []input
	ops    map[string]Operator

	constants []Value // CONSTANTS.cN
	weights   map[*Weight]*Tensor
	names     map[*Weight]string
	sizes     map[string]string // tensors that hold a size, by tensor and axis
	Training  bool

	at struct {
		file string
		line int
	}
	path    string // of the module whose method runs
	opName  string // of the operator in hand
	self    []string
	steps   int
	depth   int
	unequal [2]Value     // the last two numbers that were compared and differed
	done    func() error // whether the caller has given up

	layers      map[string]int
	unsupported []string
	notes       map[string]bool
}

// Note notes what a person should know.
func (c *Converter) Note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

// Label makes a node's name of the module's path and the operation.
func (c *Converter) Label(op string) string {
	if c.path == "" {
		return op
	}
	return c.path + "/" + op
}

// Op adds a node of one output. Inputs are tensors, names of tensors, or nil for
// one that is left out.
func (c *Converter) Op(op string, in []any, attrs ...onnx.Attribute) *Tensor {
	return c.Node(op, in, 1, attrs...)[0]
}

// Node adds a node of n outputs.
func (c *Converter) Node(op string, in []any, n int, attrs ...onnx.Attribute) []*Tensor {
	node := &onnx.Node{Name: c.Label(op), Op: op, Attrs: attrs}
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
		c.Fail(stoa.TooLarge, "the network has too many operations")
	}
	names := c.B.Add(node)
	if err := c.B.Err(); err != nil {
		c.Contradict("%s", stoa.AsError(err).Msg)
	}
	for p := range c.probe {
		if err := c.probe[p].Node(node, onnx.Opset); err != nil {
			c.misfit(node, p, err)
		}
	}
	out := make([]*Tensor, n)
	for i, name := range names {
		out[i] = &Tensor{Name: name}
	}
	return out
}

// misfit turns a contradiction of shapes into a demand, where an input's free
// dimension must be what a constant's is.
func (c *Converter) misfit(node *onnx.Node, p int, err error) {
	if len(node.Inputs) == 2 && elementwise[node.Op] {
		a, b := c.probeShape(p, node.Inputs[0]), c.probeShape(p, node.Inputs[1])
		for i := 1; i <= min(len(a), len(b)); i++ {
			x, y := a[len(a)-i], b[len(b)-i]
			if x == y || x == 1 || y == 1 {
				continue
			}
			c.Unify(c.Dim(&Tensor{Name: node.Inputs[0]}, -i), c.Dim(&Tensor{Name: node.Inputs[1]}, -i))
			if c.B.Initializer(node.Inputs[1]) != nil {
				c.Require(&Tensor{Name: node.Inputs[0]}, len(a)-i, y)
			}
			if c.B.Initializer(node.Inputs[0]) != nil {
				c.Require(&Tensor{Name: node.Inputs[1]}, len(b)-i, x)
			}
		}
	}
	c.Contradict("%s", strings.TrimPrefix(stoa.AsError(err).Msg, "onnx: "))
}

var elementwise = map[string]bool{
	"Add": true, "Sub": true, "Mul": true, "Div": true, "Max": true, "Min": true, "Pow": true, "Equal": true, "Greater": true, "Less": true,
	"PRelu": true,
}

// Require wants axis i of a tensor to be n: of an input whose size is free, it is
// a demand.
func (c *Converter) Require(x *Tensor, i int, n int64) {
	d := c.Dim(x, i)
	if v, ok := d.(int64); ok && v == n {
		return
	}
	if v, ok := d.(*Num); ok {
		if at, axis, ok := c.inputDim(v); ok {
			c.Demand(Demand{Input: at, dims: map[int]int64{axis: n}})
		}
	}
	c.Contradict("a tensor of %s should have %d at axis %d", c.ShapeText(x), n, i)
}

// Suit wants a tensor to be of the floats that a weight is of: where it is not,
// the inputs are taken to be.
func (c *Converter) Suit(x, w *Tensor) {
	t := c.Dtype(w)
	if c.Dtype(x) == t || Category(c.Dtype(x)) != 2 || Category(t) != 2 {
		return
	}
	for i, in := range c.Inputs {
		if Category(in.dtype) == 2 && in.dtype != t {
			c.Demand(Demand{Input: i, DType: t})
		}
	}
}

// Unify asks that two free dimensions of inputs be the same, where two sizes are
// that and differ.
func (c *Converter) Unify(a, b Value) {
	x, ok := a.(*Num)
	y, ok2 := b.(*Num)
	if !ok || !ok2 || x.N == y.N {
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
	c.Demand(Demand{Input: j, same: map[int]string{other: c.Inputs[i].dims[axis].Param}})
}

// inputDim finds the free dimension of an input that a number is.
func (c *Converter) inputDim(v *Num) (input, axis int, ok bool) {
	if v.Float {
		return 0, 0, false
	}
	for i, in := range c.Inputs {
		for a := range in.rank() {
			if f := in.free[a]; f != nil && f.N == v.N {
				return i, a, true
			}
		}
	}
	return 0, 0, false
}

// nameOf gives the tensor of the graph that a value is.
func (c *Converter) nameOf(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case *Tensor:
		if x == nil {
			return ""
		}
		return c.Use(x)
	}
	c.Fail(stoa.Invalid, "a %s stands where a tensor should", KindOf(v))
	return ""
}

// Use gives a tensor's name, after what happened to those that it is a part of.
func (c *Converter) Use(t *Tensor) string {
	if t.Blank > 0 {
		c.Demand(Demand{Input: t.Blank - 1, Ranks: c.ranksByModule()})
	}
	if t.Name == "" {
		t.Name = c.ScalarTensor(t.Dtype, t.Scalar)
	}
	if v := t.view; v != nil {
		c.Use(v.base)
		if v.base.version != v.version {
			t.Name, v.version = v.take(), v.base.version
			t.version++
		}
	}
	return t.Name
}

// Constant adds an array to the graph.
func (c *Converter) Constant(name string, t tensor.Tensor) string {
	name = c.B.Constant(name, t)
	if err := c.B.Err(); err != nil {
		c.Fail(stoa.KindOf(err), "%s", stoa.AsError(err).Msg)
	}
	for p := range c.probe {
		if d, _ := c.probe[p].Of(name); d == tensor.Undefined {
			c.probe[p].Constant(c.B.Initializer(name))
		}
	}
	return name
}

// Ints adds a list of whole numbers.
func (c *Converter) Ints(vs ...int64) string {
	return c.Constant("ints", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// Floats adds a list of floats.
func (c *Converter) Floats(vs ...float32) string {
	return c.Constant("floats", tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// Number adds a scalar of a type.
func (c *Converter) Number(t tensor.DType, v float64) string {
	name := c.B.Number(t, v)
	for p := range c.probe {
		if d, _ := c.probe[p].Of(name); d == tensor.Undefined {
			c.probe[p].Constant(c.B.Initializer(name))
		}
	}
	return name
}

// ScalarTensor makes a tensor without dimensions of a number.
func (c *Converter) ScalarTensor(t tensor.DType, v Value) string {
	switch x := v.(type) {
	case bool:
		n := 0.0
		if x {
			n = 1
		}
		return c.Number(t, n)
	case int64:
		if t == tensor.Int64 {
			return c.Constant("int", tensor.Of([]int64{x}, []int64{}...))
		}
		return c.Number(t, float64(x))
	case float64:
		if t == tensor.Float64 {
			return c.Constant("number", tensor.Of([]float64{x}, []int64{}...))
		}
		return c.Number(t, x)
	case *Num:
		flat := c.Op("Squeeze", []any{c.Vec(x), c.Ints(0)})
		return c.Use(c.Cast(flat, t))
	}
	c.Fail(stoa.Invalid, "a %s stands where a number should", KindOf(v))
	return ""
}

// Cast converts to a type, where it is another.
func (c *Converter) Cast(x *Tensor, t tensor.DType) *Tensor {
	if c.Dtype(x) == t {
		return x
	}
	if t == tensor.BFloat16 {
		t = tensor.Float32 // which is what weights of bfloat16 become
		if c.Dtype(x) == t {
			return x
		}
	}
	if x.Scalar != nil && x.Name == "" && (Category(t) >= Category(x.Dtype)) {
		if n, ok := x.Scalar.(int64); ok && Category(t) == 2 {
			return &Tensor{Scalar: float64(n), Dtype: t}
		}
		if _, isNum := x.Scalar.(*Num); !isNum && Category(t) == Category(x.Dtype) {
			return &Tensor{Scalar: x.Scalar, Dtype: t}
		}
	}
	return c.Op("Cast", []any{x}, onnx.AInt("to", int64(t)))
}

// Dtype gives a tensor's element type.
func (c *Converter) Dtype(x *Tensor) tensor.DType {
	if x.Name == "" && x.Blank == 0 {
		return x.Dtype
	}
	c.Use(x)
	d, _ := c.probe[0].Of(x.Name)
	return d
}

// probeShape gives a tensor's shape for one of the sizes; nil where it is not
// known.
func (c *Converter) probeShape(p int, name string) []int64 {
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

// Shape gives a tensor's sizes.
func (c *Converter) Shape(x *Tensor) []Value {
	if x.Name == "" && x.Blank == 0 {
		return nil
	}
	c.Use(x)
	var at [probes][]int64
	for p := range at {
		if at[p] = c.probeShape(p, x.Name); at[p] == nil || len(at[p]) != len(at[0]) {
			c.Fail(stoa.Unsupported, "the shape of a tensor follows from its content, which is not supported")
		}
	}
	out := make([]Value, len(at[0]))
	for i := range out {
		n := &Num{}
		for p := range at {
			n.N[p] = at[p][i]
		}
		name := x.Name
		n.Make = func() string {
			key := fmt.Sprint(name, " ", i)
			if c.sizes[key] == "" {
				c.sizes[key] = c.Use(c.Op("Shape", []any{name}, onnx.AInt("start", int64(i)), onnx.AInt("end", int64(i)+1)))
			}
			return c.sizes[key]
		}
		out[i] = c.Settle(n)
	}
	return out
}

// Rank gives how many axes a tensor has.
func (c *Converter) Rank(x *Tensor) int { return len(c.Shape(x)) }

// Dim gives the size of an axis, counted from the end where it is below zero.
func (c *Converter) Dim(x *Tensor, i int) Value {
	s := c.Shape(x)
	if i < 0 {
		i += len(s)
	}
	if i < 0 || i >= len(s) {
		c.Contradict("axis %d lies outside a tensor of %s", i, c.ShapeText(x))
	}
	return s[i]
}

// Fixed gives a size that must not depend on the inputs' sizes.
func (c *Converter) Fixed(x *Tensor, i int) int64 {
	n, ok := c.Dim(x, i).(int64)
	if !ok {
		c.Contradict("axis %d of a tensor of %s must be a fixed size", i, c.ShapeText(x))
	}
	return n
}

// Declare sets the type and shape of what the inference does not follow.
func (c *Converter) Declare(x *Tensor, t tensor.DType, shape []Value) *Tensor {
	for p := range c.probe {
		dims := make([]onnx.Dim, len(shape))
		for i, v := range shape {
			n := c.Lift(v).N[p]
			if n < 0 {
				c.Contradict("a size of %d comes out", n)
			}
			dims[i] = onnx.Fixed(n)
		}
		c.probe[p].Value(x.Name, t, dims)
	}
	if c.B.Shape(x.Name) == nil || c.B.DType(x.Name) == tensor.Undefined {
		dims := make([]onnx.Dim, len(shape))
		for i, v := range shape {
			dims[i] = onnx.Dim{Value: -1}
			if n, ok := v.(int64); ok {
				dims[i] = onnx.Fixed(n)
			} else if at, axis, ok := c.inputDim(c.Lift(v)); ok {
				dims[i] = c.Inputs[at].dims[axis]
			}
		}
		c.B.Declare(x.Name, t, dims)
	}
	return x
}

// ShapeText writes a shape for messages.
func (c *Converter) ShapeText(x *Tensor) string {
	if x.Name != "" {
		if _, s := c.probe[0].Of(x.Name); s == nil {
			return "unknown shape"
		}
	}
	var out []string
	for _, v := range c.Shape(x) {
		switch n := v.(type) {
		case int64:
			out = append(out, fmt.Sprint(n))
		case *Num:
			text := "?"
			if at, axis, ok := c.inputDim(n); ok {
				text = c.Inputs[at].dims[axis].Param
			}
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "no dimensions"
	}
	return strings.Join(out, "x")
}

// Promote gives the type in which values are computed with each other.
func (c *Converter) Promote(vs ...Value) tensor.DType {
	var dim, zero, plain tensor.DType
	for _, v := range vs {
		t, ok := v.(*Tensor)
		switch {
		case !ok:
			plain = Wider(plain, ScalarType(v))
		case t.Name == "" && t.Blank == 0 || c.Rank(t) == 0:
			zero = Wider(zero, c.Dtype(t))
		default:
			dim = Wider(dim, c.Dtype(t))
		}
	}
	return combine(dim, combine(zero, plain))
}
