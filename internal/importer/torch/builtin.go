package torch

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/tensor"
)

// builtin calls one of the language's own functions, some of which take types.
func (c *converter) builtin(f *frame, name string, e *torchscript.Call) value {
	last := func() value {
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
	c.fail(stoa.Unsupported, "function %.100s is not supported", name)
	return nil
}

// isInstance tells whether a value is of a type, as the code writes it.
func (c *converter) isInstance(v value, t torchscript.Expr) value {
	if hasUnknown(v, 0) {
		return unknown{}
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
			return kindOf(v) == torchscript.Dotted(t.X)
		}
	case *torchscript.Lit:
		return v == nil && t.Value == nil
	}
	name := torchscript.Dotted(t)
	switch name {
	case "NoneType":
		return v == nil
	case "number", "Scalar":
		k := kindOf(v)
		return k == "int" || k == "float"
	case "list", "List":
		return kindOf(v) == "List"
	case "tuple":
		return kindOf(v) == "Tuple"
	}
	return kindOf(v) == name
}

// range_ is range(stop) or range(start, stop, step).
func (c *converter) range_(args []value) *list {
	n := make([]int64, len(args))
	for i, a := range args {
		v, ok := c.settle(c.lift(a)).(int64)
		if !ok {
			c.contradict("the code loops as often as an input is large")
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
		c.fail(stoa.Invalid, "range by 0")
	}
	out := &list{}
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if len(out.items) > maxItems {
			c.fail(stoa.TooLarge, "the code loops over %d times", maxItems)
		}
		out.items = append(out.items, i)
	}
	return out
}

// content gives the value of a tensor of one element, where it is known.
func (c *converter) content(t *ten) (value, bool) {
	if t.scalar != nil {
		return t.scalar, true
	}
	if t.blank > 0 || t.name == "" {
		return nil, false
	}
	w := c.b.Initializer(c.use(t))
	if w == nil {
		return nil, false
	}
	if n, err := tensor.Elements(w.Shape); err != nil || n != 1 {
		return nil, false
	}
	switch category(w.DType) {
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
func (c *converter) scalars(args []value) (out []value, tensors, ok bool) {
	for _, a := range args {
		switch x := a.(type) {
		case *ten:
			v, known := c.content(x)
			if !known || x.name != "" && c.rank(x) != 0 {
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

// scalarType gives the type that a known number has as a tensor.
func scalarType(v value) tensor.DType {
	switch x := v.(type) {
	case bool:
		return tensor.Bool
	case float64:
		return tensor.Float32
	case *num:
		if x.float {
			return tensor.Float32
		}
	}
	return tensor.Int64
}
