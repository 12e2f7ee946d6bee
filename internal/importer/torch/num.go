package torch

import (
	"math"

	"github.com/stoa-project/stoa"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// lift gives a number as one that may depend on sizes.
func (c *converter) lift(v value) *num {
	out := &num{}
	switch x := v.(type) {
	case *num:
		return x
	case bool:
		if x {
			out.set(1)
		}
	case int64:
		out.set(x)
	case float64:
		out.float = true
		for p := range out.f {
			out.f[p] = x
		}
	case *ten:
		if x.scalar != nil {
			return c.lift(x.scalar)
		}
		c.refuse("a number is needed that depends on the content of a tensor")
	default:
		c.contradict("a %s stands where a number should", kindOf(v))
	}
	return out
}

func (n *num) set(v int64) {
	for p := range n.n {
		n.n[p] = v
	}
}

// floats gives the number as floats.
func (n *num) floats() [probes]float64 {
	if n.float {
		return n.f
	}
	var out [probes]float64
	for p, v := range n.n {
		out[p] = float64(v)
	}
	return out
}

// settle gives a plain number where all sizes lead to the same.
func (c *converter) settle(n *num) value {
	if n.loose {
		return n
	}
	for p := 1; p < probes; p++ {
		if n.float && n.f[p] != n.f[0] || !n.float && n.n[p] != n.n[0] {
			return n
		}
	}
	if n.float {
		return n.f[0]
	}
	return n.n[0]
}

// vec gives a tensor of shape [1] that holds a whole number, or, of a float, a
// float.
func (c *converter) vec(v value) string {
	switch x := v.(type) {
	case int64:
		return c.ints(x)
	case float64:
		return c.floats(float32(x))
	case bool:
		return c.ints(c.lift(x).n[0])
	case *num:
		if x.name != "" {
			return x.name
		}
		// Whatever equals the size of an input for all that are tried is it.
		if i, axis, ok := c.inputDim(x); ok {
			f := c.inputs[i].free[axis]
			if f.name == "" {
				f.name = c.use(c.op("Shape", []any{c.inputs[i].name}, onnx.AInt("start", int64(axis)), onnx.AInt("end", int64(axis)+1)))
			}
			x.name = f.name
			return x.name
		}
		x.name = x.make()
		t := tensor.Int64
		if x.float {
			t = tensor.Float32
		}
		c.declare(&ten{name: x.name}, t, []value{int64(1)})
		return x.name
	}
	return c.vec(c.settle(c.lift(v)))
}

// vector gives a tensor of several whole numbers.
func (c *converter) vector(vs []value) string {
	var parts []string
	var run []int64
	flush := func() {
		if len(run) > 0 {
			parts, run = append(parts, c.ints(run...)), nil
		}
	}
	for _, v := range vs {
		if n, ok := v.(int64); ok {
			run = append(run, n)
			continue
		}
		flush()
		parts = append(parts, c.vec(v))
	}
	flush()
	switch len(parts) {
	case 0:
		return c.ints()
	case 1:
		return parts[0]
	}
	in := make([]any, len(parts))
	for i, p := range parts {
		in[i] = p
	}
	return c.use(c.op("Concat", in, onnx.AInt("axis", 0)))
}

// arithmetic computes with numbers of the code.
func (c *converter) arithmetic(op string, a, b value) value {
	x, y := c.lift(a), c.lift(b)
	out := &num{float: x.float || y.float || op == "div", loose: x.loose || y.loose}
	if op == "pow" && !out.float {
		for p := range y.n {
			out.float = out.float || y.n[p] < 0
		}
	}
	if out.float {
		fx, fy := x.floats(), y.floats()
		for p := range out.f {
			r, ok := floatOp(op, fx[p], fy[p])
			if !ok {
				c.contradict("%g and %g cannot be computed with", fx[p], fy[p])
			}
			out.f[p] = r
		}
	} else {
		for p := range out.n {
			r, ok := wholeOp(op, x.n[p], y.n[p])
			if !ok {
				c.contradict("%d and %d cannot be computed with", x.n[p], y.n[p])
			}
			out.n[p] = r
		}
	}
	out.make = func() string { return c.use(c.computed(op, a, b, out)) }
	if _, plain := c.settle(x).(*num); plain && op == "remainder" {
		out.loose = true
	}
	return c.settle(out)
}

// computed adds the nodes of an operation with numbers.
func (c *converter) computed(op string, a, b value, out *num) *ten {
	p, q := &ten{name: c.vec(a)}, &ten{name: c.vec(b)}
	if out.float {
		p, q = c.cast(p, tensor.Float32), c.cast(q, tensor.Float32)
	}
	switch op {
	case "floordiv":
		if out.float {
			return c.op("Floor", []any{c.op("Div", []any{p, q})})
		}
		if out.n[0] < 0 { // ONNX rounds towards zero
			p = c.op("Sub", []any{p, c.op("Mod", []any{p, q})})
		}
		return c.op("Div", []any{p, q})
	case "remainder":
		if out.float {
			f := c.op("Floor", []any{c.op("Div", []any{p, q})})
			return c.op("Sub", []any{p, c.op("Mul", []any{f, q})})
		}
		return c.op("Mod", []any{p, q})
	}
	return c.op(numberOps[op], []any{p, q})
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

// single computes a function of one number.
func (c *converter) single(v value, whole bool, f func(float64) float64, ops ...string) value {
	x := c.lift(v)
	out := &num{float: !whole, loose: x.loose}
	for p, a := range x.floats() {
		r := f(a)
		if math.IsNaN(r) {
			c.contradict("%g cannot be computed with", a)
		}
		out.f[p], out.n[p] = r, int64(min(max(r, -1<<62), 1<<62))
	}
	out.make = func() string {
		t := c.cast(&ten{name: c.vec(v)}, tensor.Float32)
		for _, op := range ops {
			t = c.op(op, []any{t})
		}
		if whole {
			t = c.cast(t, tensor.Int64)
		}
		return c.use(t)
	}
	return c.settle(out)
}

// neg gives -v.
func (c *converter) neg(v value) value {
	if c.lift(v).float {
		return c.single(v, false, func(f float64) float64 { return -f }, "Neg")
	}
	return c.arithmetic("sub", int64(0), v)
}

// compare decides by numbers. What differs from size to size cannot be decided.
func (c *converter) compare(op string, a, b value) bool {
	x, y := c.lift(a).floats(), c.lift(b).floats()
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
		if out[p] != out[0] {
			panic(&failure{size: true, decided: true, err: stoa.Errorf(stoa.Invalid, "%s: %sthe code decides by the size of an input", c.file, c.here())})
		}
	}
	if op == "eq" && !out[0] || op == "ne" && out[0] {
		c.unequal[0], c.unequal[1] = a, b
	}
	return out[0]
}

// refused is what the code raises where it does not take its input. The last two
// sizes that were not the same are likely why.
func (c *converter) refused(msg string) {
	a, b := c.unequal[0], c.unequal[1]
	c.unify(a, b)
	for _, p := range [][2]value{{a, b}, {b, a}} {
		x, free := p[0].(*num)
		n, known := p[1].(int64)
		if i, axis, ok := 0, 0, false; free && known && n > 0 {
			if i, axis, ok = c.inputDim(x); ok {
				c.demand(demand{input: i, dims: map[int]int64{axis: n}})
			}
		}
	}
	c.contradict("the code refuses such an input: %.300s", msg)
}
