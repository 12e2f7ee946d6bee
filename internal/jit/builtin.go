package jit

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/tensor"
)

// builtin calls one of the language's own functions, some of which take types.
func (c *Converter) builtin(f *frame, name string, e *torchscript.Call) Value {
	last := func() Value {
		if len(e.Args) == 0 {
			return nil
		}
		return c.eval(f, e.Args[len(e.Args)-1])
	}
	switch name {
	case "annotate", "unchecked_cast", "cast":
		return last()
	case "uninitialized":
		return nil
	case "isinstance":
		if len(e.Args) == 2 {
			return c.isInstance(c.eval(f, e.Args[0]), e.Args[1])
		}
	case "getattr":
		if len(e.Args) == 2 {
			if l, ok := e.Args[1].(*torchscript.Lit); ok {
				if field, ok := l.Value.(string); ok {
					return c.field(c.eval(f, e.Args[0]), field)
				}
			}
		}
	case "int", "float", "bool", "str", "range", "len", "min", "max", "abs", "print", "list", "round", "ord", "chr", "sum", "fork", "awaitable":
		args, kwargs := c.arguments(f, e)
		c.step(f, e.Line)
		return c.callOp("builtin."+name, args, kwargs)
	}
	c.Fail(stoa.Unsupported, "function %.100s is not supported", name)
	return nil
}

// isInstance tells whether a value is of a type, as the code writes it.
func (c *Converter) isInstance(v Value, t torchscript.Expr) Value {
	if hasUnknown(v, 0) {
		return Unknown{}
	}
	switch t := t.(type) {
	case *torchscript.Tuple:
		return slices.ContainsFunc(t.Items, func(e torchscript.Expr) bool { return c.isInstance(v, e) == true })
	case *torchscript.List:
		return slices.ContainsFunc(t.Items, func(e torchscript.Expr) bool { return c.isInstance(v, e) == true })
	case *torchscript.Index:
		switch torchscript.Dotted(t.X) {
		case "Optional":
			return v == nil || c.isInstance(v, t.At) == true
		case "List", "Tuple", "Dict":
			return KindOf(v) == torchscript.Dotted(t.X)
		}
	case *torchscript.Lit:
		return v == nil && t.Value == nil
	}
	name := torchscript.Dotted(t)
	switch name {
	case "NoneType":
		return v == nil
	case "number", "Scalar":
		k := KindOf(v)
		return k == "int" || k == "float"
	case "list", "List":
		return KindOf(v) == "List"
	case "tuple":
		return KindOf(v) == "Tuple"
	}
	return KindOf(v) == name
}

// range_ is range(stop) or range(start, stop, step).
func (c *Converter) range_(args []Value) *List {
	n := make([]int64, len(args))
	for i, a := range args {
		v, ok := c.Settle(c.Lift(a)).(int64)
		if !ok {
			c.Contradict("the code loops as often as an input is large")
		}
		n[i] = v
	}
	from, to, by := int64(0), int64(0), int64(1)
	switch len(n) {
	case 1:
		to = n[0]
	case 2:
		from, to = n[0], n[1]
	case 3:
		from, to, by = n[0], n[1], n[2]
	}
	if by == 0 {
		c.Fail(stoa.Invalid, "range by 0")
	}
	out := &List{}
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if len(out.Items) > maxItems {
			c.Fail(stoa.TooLarge, "the code loops over %d times", maxItems)
		}
		out.Items = append(out.Items, i)
	}
	return out
}

// Content gives the value of a tensor of one element, where it is known.
func (c *Converter) Content(t *Tensor) (Value, bool) {
	if t.Scalar != nil {
		return t.Scalar, true
	}
	if t.Blank > 0 || t.Name == "" {
		return nil, false
	}
	w := c.B.Initializer(c.Use(t))
	if w == nil {
		return nil, false
	}
	if n, err := tensor.Elements(w.Shape); err != nil || n != 1 {
		return nil, false
	}
	switch Category(w.DType) {
	case 0:
		return w.Data[0] != 0, true
	case 1:
		if v := w.Ints(); len(v) == 1 {
			return v[0], true
		}
	case 2:
		if w.DType == tensor.Float64 {
			return tensor.As[float64](w.Tensor)[0], true
		}
		if v := w.Floats(); len(v) == 1 {
			return float64(v[0]), true
		}
	}
	return nil, false
}

// scalars gives the values of operands that are all known numbers; ok is false
// where one is a tensor whose content is not known.
func (c *Converter) scalars(args []Value) (out []Value, tensors, ok bool) {
	for _, a := range args {
		switch x := a.(type) {
		case *Tensor:
			v, known := c.Content(x)
			if !known || x.Name != "" && c.Rank(x) != 0 {
				return nil, true, false
			}
			tensors = true
			out = append(out, v)
		default:
			out = append(out, a)
		}
	}
	return out, tensors, true
}

// ScalarType gives the type that a known number has as a tensor.
func ScalarType(v Value) tensor.DType {
	switch x := v.(type) {
	case bool:
		return tensor.Bool
	case float64:
		return tensor.Float32
	case *Num:
		if x.Float {
			return tensor.Float32
		}
	}
	return tensor.Int64
}
