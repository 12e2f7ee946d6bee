package jit

import (
	"math"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
)

// eval gives the value of an expression.
func (c *Converter) eval(f *frame, e torchscript.Expr) Value {
	switch e := e.(type) {
	case *torchscript.Lit:
		return e.Value
	case *torchscript.Name:
		if v, ok := f.vars[e.Name]; ok {
			return v
		}
		switch e.Name {
		case "inf":
			return math.Inf(1)
		case "nan":
			return math.NaN()
		}
		c.Fail(stoa.Invalid, "variable %.100s has no value", e.Name)
	case *torchscript.Attr:
		return c.attr(f, e)
	case *torchscript.Call:
		return c.callExpr(f, e)
	case *torchscript.Index:
		return c.element(c.eval(f, e.X), c.eval(f, e.At))
	case *torchscript.Tuple:
		return Tuple(c.evalAll(f, e.Items))
	case *torchscript.List:
		return &List{c.evalAll(f, e.Items)}
	case *torchscript.Dict:
		d := &dict{}
		for i := range e.Keys {
			d.set(c.eval(f, e.Keys[i]), c.eval(f, e.Values[i]))
		}
		return d
	case *torchscript.Unary:
		return c.unary(f, e)
	case *torchscript.Binary:
		return c.binary(f, e)
	case *torchscript.Choose:
		yes, known := c.truth(c.eval(f, e.Cond))
		switch {
		case !known:
			return Unknown{}
		case yes:
			return c.eval(f, e.Then)
		}
		return c.eval(f, e.Else)
	}
	return nil
}

func (c *Converter) evalAll(f *frame, es []torchscript.Expr) []Value {
	out := make([]Value, len(es))
	for i, e := range es {
		out[i] = c.eval(f, e)
	}
	return out
}

func (c *Converter) unary(f *frame, e *torchscript.Unary) Value {
	v := c.eval(f, e.X)
	if hasUnknown(v, 0) {
		return v
	}
	switch e.Op {
	case "not":
		yes, known := c.truth(v)
		if !known {
			return Unknown{}
		}
		return !yes
	case "-":
		return c.callOp("neg", []Value{v}, nil)
	case "~":
		return c.callOp("bitwise_not", []Value{v}, nil)
	}
	return v
}

var operatorNames = map[string]string{
	"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "remainder", "**": "pow", "@": "matmul", "<": "lt", ">": "gt",
	"<=": "le", ">=": "ge", "==": "eq", "!=": "ne", "&": "__and__", "|": "__or__", "^": "__xor__", "is": "__is__", "is not": "__isnot__",
}

func (c *Converter) binary(f *frame, e *torchscript.Binary) Value {
	a := c.eval(f, e.X)
	if e.Op == "and" || e.Op == "or" {
		yes, known := c.truth(a)
		if !known {
			return Unknown{}
		}
		if yes == (e.Op == "or") {
			return a
		}
		return c.eval(f, e.Y)
	}
	b := c.eval(f, e.Y)
	if e.Op == "in" {
		return c.callOp("__contains__", []Value{b, a}, nil)
	}
	name := operatorNames[e.Op]
	if name == "" {
		c.Fail(stoa.Unsupported, "operator %s is not supported", e.Op)
	}
	return c.callOp(name, []Value{a, b}, nil)
}

// attr gives a field, a constant of the archive, or a function.
func (c *Converter) attr(f *frame, e *torchscript.Attr) Value {
	if full := torchscript.Dotted(e); full != "" {
		root, _, _ := strings.Cut(full, ".")
		if _, isVar := f.vars[root]; !isVar {
			return c.global(full)
		}
	}
	return c.field(c.eval(f, e.X), e.Name)
}

// global gives what a full name stands for.
func (c *Converter) global(full string) Value {
	if k, ok := strings.CutPrefix(full, "CONSTANTS.c"); ok {
		n := 0
		for _, d := range k {
			n = n*10 + int(d-'0')
			if d < '0' || d > '9' || n >= len(c.constants) {
				c.Fail(stoa.Invalid, "the archive has no constant %.40s", full)
			}
		}
		return c.settled(c.constants[n])
	}
	if _, def := c.lookup(full); def != nil {
		return &fn{def}
	}
	if i := strings.LastIndexByte(full, '.'); i > 0 {
		if class, _ := c.lookup(full[:i]); class != nil {
			if e := class.Values[full[i+1:]]; e != nil {
				return &enum{full[:i], full[i+1:], c.eval(&frame{}, e)}
			}
		}
	}
	c.Fail(stoa.Unsupported, "%.200s is not known", full)
	return nil
}

// field gives a field of a value.
func (c *Converter) field(v Value, name string) Value {
	switch x := v.(type) {
	case Unknown:
		return x
	case *obj:
		w, ok := x.fields[name]
		if !ok {
			if class, _ := c.lookup(x.class); class != nil && class.Values[name] != nil {
				return c.eval(&frame{}, class.Values[name])
			}
			c.Fail(stoa.Invalid, "%.200s has no field %.100s", x.class, name)
		}
		if name == "training" && w == true && !c.Training {
			c.Note("the network was saved in training mode; it is used as after eval(), with the means and variances that training found")
			return false
		}
		return c.settled(w)
	case *record:
		for i, n := range x.class.Fields {
			if n == name && i < len(x.items) {
				return x.items[i]
			}
		}
	case *enum:
		switch name {
		case "value":
			return x.v
		case "name":
			return x.name
		}
	case *Tensor:
		return c.callOp("prim."+name, []Value{x}, nil)
	}
	c.Fail(stoa.Unsupported, "field %.100s of a %s is not supported", name, KindOf(v))
	return nil
}

// settled gives a field's value: a weight becomes a tensor when it is used.
func (c *Converter) settled(v Value) Value {
	switch x := v.(type) {
	case *Weight:
		return c.weight(x)
	case *List:
		for i, e := range x.Items {
			x.Items[i] = c.settled(e)
		}
	case Tuple:
		for i, e := range x {
			x[i] = c.settled(e)
		}
	case *dict:
		for i, e := range x.values {
			x.values[i] = c.settled(e)
		}
	case *opaque:
		c.Refuse("a value of class %.200s is not supported", x.class)
	}
	return v
}

// weight gives the tensor of a weight.
func (c *Converter) weight(w *Weight) *Tensor {
	if t := c.weights[w]; t != nil {
		return t
	}
	a, err := c.source.Array(w)
	if err != nil {
		if stoa.KindOf(err) == stoa.Unsupported {
			c.Refuse("%s", w.Why)
		}
		panic(&failure{err: err})
	}
	name := c.names[w]
	if name == "" {
		name = "constant"
	}
	t := &Tensor{Name: c.Constant(name, a)}
	c.weights[w] = t
	return t
}

// element gives x[at].
func (c *Converter) element(x, at Value) Value {
	if hasUnknown(x, 0) {
		if _, ok := x.(Unknown); ok {
			return x
		}
	}
	if d, ok := x.(*dict); ok {
		i := d.find(at)
		if i < 0 {
			c.Fail(stoa.Invalid, "a dictionary has no key %v", at)
		}
		return d.values[i]
	}
	if vs, ok := Items(x); ok {
		return vs[c.position(at, len(vs))]
	}
	if s, ok := x.(string); ok {
		i := c.position(at, len(s))
		return s[i : i+1]
	}
	if t, ok := x.(*Tensor); ok {
		return c.callOp("select", []Value{t, int64(0), at}, nil)
	}
	c.Fail(stoa.Invalid, "an element of a %s is wanted", KindOf(x))
	return nil
}

// callExpr calls a function, an operator, a method or a class.
func (c *Converter) callExpr(f *frame, e *torchscript.Call) Value {
	c.step(f, e.Line)
	if n, ok := e.Fn.(*torchscript.Name); ok {
		if _, isVar := f.vars[n.Name]; !isVar {
			return c.builtin(f, n.Name, e)
		}
	}
	full := torchscript.Dotted(e.Fn)
	root, _, _ := strings.Cut(full, ".")
	_, isVar := f.vars[root]
	var self Value
	a, isAttr := e.Fn.(*torchscript.Attr)
	if isAttr && (full == "" || isVar) {
		self = c.eval(f, a.X)
		if _, ok := self.(Unknown); ok {
			c.evalAll(f, e.Args)
			return self
		}
	}
	args, kwargs := c.arguments(f, e)
	c.step(f, e.Line)
	if self != nil {
		return c.callMethod(self, a.Name, args, kwargs)
	}
	if isVar || full == "" {
		if g, ok := c.eval(f, e.Fn).(*fn); ok {
			return c.call(g.def, args, kwargs)
		}
		c.Fail(stoa.Invalid, "what it calls is no function")
	}
	return c.callGlobal(full, args, kwargs)
}

func (c *Converter) arguments(f *frame, e *torchscript.Call) ([]Value, map[string]Value) {
	var args []Value
	var kwargs map[string]Value
	for i, a := range e.Args {
		v := c.eval(f, a)
		if e.Names[i] == "" {
			args = append(args, v)
			continue
		}
		if kwargs == nil {
			kwargs = map[string]Value{}
		}
		kwargs[e.Names[i]] = v
	}
	return args, kwargs
}

func (c *Converter) callMethod(self Value, name string, args []Value, kwargs map[string]Value) Value {
	if o, ok := self.(*obj); ok {
		return c.call(c.method(o, name), append([]Value{o}, args...), kwargs)
	}
	return c.callOp(name, append([]Value{self}, args...), kwargs)
}

func (c *Converter) callGlobal(full string, args []Value, kwargs map[string]Value) Value {
	for _, p := range []string{"torch.", "ops.aten."} {
		if name, ok := strings.CutPrefix(full, p); ok {
			return c.callOp(name, args, kwargs)
		}
	}
	if name, ok := strings.CutPrefix(full, "ops."); ok {
		return c.callOp(name, args, kwargs)
	}
	class, def := c.lookup(full)
	switch {
	case def != nil:
		return c.call(def, args, kwargs)
	case class == nil:
		c.Fail(stoa.Unsupported, "%.200s is not known", full)
	case class.Base == "NamedTuple":
		return &record{class, args}
	}
	o := &obj{class: full, fields: map[string]Value{}}
	if init := class.Methods["__init__"]; init != nil {
		c.call(init, append([]Value{o}, args...), kwargs)
	}
	return o
}
