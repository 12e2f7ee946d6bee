package jit

import (
	"math"

	"github.com/stoa-project/stoa"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Lift gives a number as one that may depend on sizes.
func (c *Converter) Lift(v Value) *Num {
	out := &Num{}
	switch x := v.(type) {
	case *Num:
		return x
	case bool:
		if x {
			out.set(1)
		}
	case int64:
		out.set(x)
	case float64:
		out.Float = true
		for p := range out.f {
			out.f[p] = x
		}
	case *Tensor:
		if x.Scalar != nil {
			return c.Lift(x.Scalar)
		}
		c.Refuse("a number is needed that depends on the content of a tensor")
	default:
		c.Contradict("a %s stands where a number should", KindOf(v))
	}
	return out
}

func (n *Num) set(v int64) {
	for p := range n.N {
		n.N[p] = v
	}
}

// Floats gives the number as floats.
func (n *Num) Floats() [probes]float64 {
	if n.Float {
		return n.f
	}
	var out [probes]float64
	for p, v := range n.N {
		out[p] = float64(v)
	}
	return out
}

// Settle gives a plain number where all sizes lead to the same.
func (c *Converter) Settle(n *Num) Value {
	if n.loose {
		return n
	}
	for p := 1; p < probes; p++ {
		if n.Float && n.f[p] != n.f[0] || !n.Float && n.N[p] != n.N[0] {
			return n
		}
	}
	if n.Float {
		return n.f[0]
	}
	return n.N[0]
}

// Vec gives a tensor of shape [1] that holds a whole number, or, of a float, a
// float.
func (c *Converter) Vec(v Value) string {
	switch x := v.(type) {
	case int64:
		return c.Ints(x)
	case float64:
		return c.Floats(float32(x))
	case bool:
		return c.Ints(c.Lift(x).N[0])
	case *Num:
		if x.name != "" {
			return x.name
		}
		// Whatever equals the size of an input for all that are tried is it.
		if i, axis, ok := c.inputDim(x); ok {
			f := c.Inputs[i].free[axis]
			if f.name == "" {
				f.name = c.Use(c.Op("Shape", []any{c.Inputs[i].Name}, onnx.AInt("start", int64(axis)), onnx.AInt("end", int64(axis)+1)))
			}
			x.name = f.name
			return x.name
		}
		x.name = x.Make()
		t := tensor.Int64
		if x.Float {
			t = tensor.Float32
		}
		c.Declare(&Tensor{Name: x.name}, t, []Value{int64(1)})
		return x.name
	}
	return c.Vec(c.Settle(c.Lift(v)))
}

// Vector gives a tensor of several whole numbers.
func (c *Converter) Vector(vs []Value) string {
	var parts []string
	var run []int64
	flush := func() {
		if len(run) > 0 {
			parts, run = append(parts, c.Ints(run...)), nil
		}
	}
	for _, v := range vs {
		if n, ok := v.(int64); ok {
			run = append(run, n)
			continue
		}
		flush()
		parts = append(parts, c.Vec(v))
	}
	flush()
	switch len(parts) {
	case 0:
		return c.Ints()
	case 1:
		return parts[0]
	}
	in := make([]any, len(parts))
	for i, p := range parts {
		in[i] = p
	}
	return c.Use(c.Op("Concat", in, onnx.AInt("axis", 0)))
}

// Arithmetic computes with numbers of the code.
func (c *Converter) Arithmetic(op string, a, b Value) Value {
	x, y := c.Lift(a), c.Lift(b)
	out := &Num{Float: x.Float || y.Float || op == "div", loose: x.loose || y.loose}
	if op == "pow" && !out.Float {
		for p := range y.N {
			out.Float = out.Float || y.N[p] < 0
		}
	}
	if out.Float {
		fx, fy := x.Floats(), y.Floats()
		for p := range out.f {
			r, ok := floatOp(op, fx[p], fy[p])
			if !ok {
				c.Contradict("%g and %g cannot be computed with", fx[p], fy[p])
			}
			out.f[p] = r
		}
	} else {
		for p := range out.N {
			r, ok := wholeOp(op, x.N[p], y.N[p])
			if !ok {
				c.Contradict("%d and %d cannot be computed with", x.N[p], y.N[p])
			}
			out.N[p] = r
		}
	}
	out.Make = func() string { return c.Use(c.computed(op, a, b, out)) }
	if _, plain := c.Settle(x).(*Num); plain && op == "remainder" {
		out.loose = true
	}
	return c.Settle(out)
}

// computed adds the nodes of an operation with numbers.
func (c *Converter) computed(op string, a, b Value, out *Num) *Tensor {
	p, q := &Tensor{Name: c.Vec(a)}, &Tensor{Name: c.Vec(b)}
	if out.Float {
		p, q = c.Cast(p, tensor.Float32), c.Cast(q, tensor.Float32)
	}
	switch op {
	case "floordiv":
		if out.Float {
			return c.Op("Floor", []any{c.Op("Div", []any{p, q})})
		}
		if out.N[0] < 0 { // ONNX rounds towards zero
			p = c.Op("Sub", []any{p, c.Op("Mod", []any{p, q})})
		}
		return c.Op("Div", []any{p, q})
	case "remainder":
		if out.Float {
			f := c.Op("Floor", []any{c.Op("Div", []any{p, q})})
			return c.Op("Sub", []any{p, c.Op("Mul", []any{f, q})})
		}
		return c.Op("Mod", []any{p, q})
	}
	return c.Op(numberOps[op], []any{p, q})
}

var numberOps = map[string]string{"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "max": "Max", "min": "Min"}

func floatOp(op string, a, b float64) (float64, bool) {
	switch op {
	case "add":
		return a + b, true
	case "sub":
		return a - b, true
	case "mul":
		return a * b, true
	case "div":
		return a / b, b != 0
	case "floordiv":
		return math.Floor(a / b), b != 0
	case "remainder":
		return a - b*math.Floor(a/b), b != 0
	case "pow":
		return math.Pow(a, b), true
	case "max":
		return max(a, b), true
	case "min":
		return min(a, b), true
	}
	return 0, false
}

func wholeOp(op string, a, b int64) (int64, bool) {
	switch op {
	case "add":
		return a + b, true
	case "sub":
		return a - b, true
	case "mul":
		return a * b, true
	case "max":
		return max(a, b), true
	case "min":
		return min(a, b), true
	case "pow":
		f := math.Pow(float64(a), float64(b))
		return int64(f), math.Abs(f) < 1<<53
	}
	if b == 0 || b == -1 && a == math.MinInt64 {
		return 0, false
	}
	q, r := a/b, a%b
	if r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	if op == "floordiv" {
		return q, true
	}
	return r, op == "remainder"
}

// Single computes a function of one number, which gives a float: f, or the nodes
// of ops.
func (c *Converter) Single(v Value, f func(float64) float64, ops ...string) Value {
	x := c.Lift(v)
	out := &Num{Float: true, loose: x.loose}
	for p, a := range x.Floats() {
		if out.f[p] = f(a); math.IsNaN(out.f[p]) {
			c.Contradict("%g cannot be computed with", a)
		}
	}
	out.Make = func() string { return c.Use(c.chain(v, ops)) }
	return c.Settle(out)
}

// Whole is Single for functions that give whole numbers.
func (c *Converter) Whole(v Value, f func(float64) float64, ops ...string) Value {
	x := c.Lift(v)
	out := &Num{loose: x.loose}
	for p, a := range x.Floats() {
		r := f(a)
		if math.IsNaN(r) {
			c.Contradict("%g cannot be computed with", a)
		}
		out.N[p] = int64(min(max(r, -1<<62), 1<<62))
	}
	out.Make = func() string { return c.Use(c.Cast(c.chain(v, ops), tensor.Int64)) }
	return c.Settle(out)
}

// chain adds nodes of one input, one behind the other.
func (c *Converter) chain(v Value, ops []string) *Tensor {
	t := c.Cast(&Tensor{Name: c.Vec(v)}, tensor.Float32)
	for _, op := range ops {
		t = c.Op(op, []any{t})
	}
	return t
}

// Neg gives -v.
func (c *Converter) Neg(v Value) Value {
	if c.Lift(v).Float {
		return c.Single(v, func(f float64) float64 { return -f }, "Neg")
	}
	return c.Arithmetic("sub", int64(0), v)
}

// compare decides by numbers. What differs from size to size cannot be decided.
func (c *Converter) compare(op string, a, b Value) bool {
	x, y := c.Lift(a).Floats(), c.Lift(b).Floats()
	var out [probes]bool
	for p := range out {
		switch op {
		case "eq":
			out[p] = x[p] == y[p]
		case "ne":
			out[p] = x[p] != y[p]
		case "lt":
			out[p] = x[p] < y[p]
		case "le":
			out[p] = x[p] <= y[p]
		case "gt":
			out[p] = x[p] > y[p]
		case "ge":
			out[p] = x[p] >= y[p]
		}
	}
	for p := range out {
		if out[p] != out[0] {
			c.torn(op, a, b)
		}
	}
	if op == "eq" && !out[0] || op == "ne" && out[0] {
		c.unequal[0], c.unequal[1] = a, b
	}
	return out[0]
}

// torn ends it for the sizes that are tried, since they decide differently. Where
// the code asks whether an input has one size, that is the one.
func (c *Converter) torn(op string, a, b Value) {
	if op == "eq" || op == "ne" {
		c.mustBe(a, b)
		c.mustBe(b, a)
	}
	panic(&failure{size: true, decided: true, err: stoa.Errorf(stoa.Invalid, "%s: %sthe code decides by the size of an input", c.file, c.here())})
}

// mustBe demands that a size be a number, where it is a free one of an input.
func (c *Converter) mustBe(a, b Value) {
	x, free := a.(*Num)
	n, known := b.(int64)
	if !free || !known || n < 1 {
		return
	}
	if i, axis, ok := c.inputDim(x); ok {
		c.Demand(Demand{Input: i, dims: map[int]int64{axis: n}})
	}
}

// refused is what the code raises where it does not take its input. The last two
// sizes that were not the same are likely why.
func (c *Converter) refused(msg string) {
	a, b := c.unequal[0], c.unequal[1]
	c.Unify(a, b)
	c.mustBe(a, b)
	c.mustBe(b, a)
	c.Contradict("the code refuses such an input: %.300s", msg)
}
