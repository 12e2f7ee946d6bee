package jit

import (
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
)

const (
	// maxSteps bounds the statements, calls and nodes of all runs of the code:
	// loops are unrolled, and code may loop as long as it likes. A run of a large
	// network takes some ten thousand.
	maxSteps = 10_000_000
	// maxCalls bounds calls within calls.
	maxCalls = 300
	// maxItems bounds lists that the code makes longer and longer.
	maxItems = 1 << 20
)

// frame is the variables of one call.
type frame struct {
	vars   map[string]Value
	file   string
	result Value
	ended  string // "", return, break, continue
}

func (c *Converter) step(f *frame, line int) {
	c.at.file, c.at.line = f.file, line
	c.steps++
	if c.steps > maxSteps {
		c.Fail(stoa.TooLarge, "the code does not come to an end")
	}
	if c.steps%4096 == 0 {
		if err := c.done(); err != nil {
			panic(&failure{err: err})
		}
	}
}

// call runs a function of the code.
func (c *Converter) call(def *torchscript.Func, args []Value, kwargs map[string]Value) Value {
	if c.depth++; c.depth > maxCalls {
		c.Fail(stoa.TooLarge, "calls lie over %d deep in each other", maxCalls)
	}
	at, path, kept := c.at, c.path, c.self
	f := &frame{vars: make(map[string]Value, len(def.Params)+8), file: def.File}
	if len(args) > len(def.Params) {
		c.Fail(stoa.Invalid, "%s takes %d values, not %d", def.Name, len(def.Params), len(args))
	}
	for i, p := range def.Params {
		v, named := kwargs[p.Name]
		switch {
		case i < len(args):
			f.vars[p.Name] = args[i]
		case named:
			f.vars[p.Name] = v
		case p.Default != nil:
			f.vars[p.Name] = c.eval(f, p.Default)
		default:
			c.Fail(stoa.Invalid, "%s lacks its value %s", def.Name, p.Name)
		}
	}
	if len(args) > 0 {
		if o, ok := args[0].(*obj); ok {
			if o.path != "" {
				c.path = o.path
			}
			c.self = append(c.self, o.class)
		}
	}
	c.run(f, def.Body)
	c.at, c.path, c.self = at, path, kept
	c.depth--
	return f.result
}

func (c *Converter) run(f *frame, body []torchscript.Stmt) {
	for _, s := range body {
		if c.exec(f, s); f.ended != "" {
			return
		}
	}
}

func (c *Converter) exec(f *frame, s torchscript.Stmt) {
	switch s := s.(type) {
	case *torchscript.Assign:
		c.step(f, s.Line)
		c.assign(f, s)
	case *torchscript.Eval:
		c.step(f, s.Line)
		c.eval(f, s.X)
	case *torchscript.Return:
		c.step(f, s.Line)
		if s.Value != nil {
			f.result = c.eval(f, s.Value)
		}
		f.ended = "return"
	case *torchscript.If:
		c.step(f, s.Line)
		c.branch(f, s)
	case *torchscript.While:
		for f.ended == "" {
			c.step(f, s.Line)
			ok, known := c.truth(c.eval(f, s.Cond))
			if !known {
				c.skip(f, s.Body)
				return
			}
			if !ok {
				return
			}
			c.iteration(f, s.Body)
		}
		f.unjump("break")
	case *torchscript.For:
		c.step(f, s.Line)
		c.each(f, s)
	case *torchscript.With:
		c.run(f, s.Body)
	case *torchscript.Jump:
		f.ended = s.Word
	}
}

// iteration runs a loop's body once.
func (c *Converter) iteration(f *frame, body []torchscript.Stmt) {
	c.run(f, body)
	f.unjump("continue")
}

func (f *frame) unjump(word string) {
	if f.ended == word {
		f.ended = ""
	}
}

func (c *Converter) each(f *frame, s *torchscript.For) {
	v := c.eval(f, s.Iter)
	if d, ok := v.(*dict); ok {
		v = &List{d.keys}
	}
	vs, ok := Items(v)
	if !ok {
		if t, isTensor := v.(*Tensor); isTensor {
			vs = c.apart(t)
		} else if hasUnknown(v, 0) {
			c.skip(f, s.Body)
			return
		} else {
			c.Fail(stoa.Invalid, "it loops over a %s", KindOf(v))
		}
	}
	for _, e := range append([]Value(nil), vs...) {
		c.step(f, s.Line)
		if f.ended != "" {
			break
		}
		c.bind(f, s.Target, e)
		c.iteration(f, s.Body)
	}
	f.unjump("break")
}

func (c *Converter) branch(f *frame, s *torchscript.If) {
	ok, known := c.truth(c.eval(f, s.Cond))
	switch {
	case !known:
		// What it decides by comes of something that is not supported.
		c.skip(f, s.Then)
		c.skip(f, s.Else)
	case ok:
		c.run(f, s.Then)
	default:
		c.run(f, s.Else)
	}
}

// skip makes unknown whatever statements would have set.
func (c *Converter) skip(f *frame, body []torchscript.Stmt) {
	for _, s := range body {
		switch s := s.(type) {
		case *torchscript.Assign:
			for _, t := range s.Targets {
				if n, ok := t.(*torchscript.Name); ok {
					f.vars[n.Name] = Unknown{}
				}
			}
		case *torchscript.If:
			c.skip(f, s.Then)
			c.skip(f, s.Else)
		case *torchscript.While:
			c.skip(f, s.Body)
		case *torchscript.For:
			c.skip(f, s.Body)
		case *torchscript.With:
			c.skip(f, s.Body)
		case *torchscript.Return:
			f.result = Unknown{}
		}
	}
}

// truth decides by a value; known is false where the value is not known.
func (c *Converter) truth(v Value) (yes, known bool) {
	switch x := v.(type) {
	case nil:
		return false, true
	case bool:
		return x, true
	case Unknown:
		return false, false
	case int64:
		return x != 0, true
	case float64:
		return x != 0, true
	case string:
		return x != "", true
	case *Num:
		return c.compare("ne", x, int64(0)), true
	case *Tensor:
		if s, ok := c.Content(x); ok {
			return c.truth(s)
		}
		c.unsupport("if", "the code decides by the content of a tensor")
		return false, false
	}
	if vs, ok := Items(v); ok {
		return len(vs) > 0, true
	}
	return true, true
}

func (c *Converter) assign(f *frame, s *torchscript.Assign) {
	v := c.eval(f, s.Value)
	if !s.Unpack {
		c.bind(f, s.Targets[0], v)
		return
	}
	if _, ok := v.(Unknown); ok {
		for _, t := range s.Targets {
			c.bind(f, t, v)
		}
		return
	}
	vs, ok := Items(v)
	if t, isTensor := v.(*Tensor); isTensor {
		vs, ok = c.apart(t), true
	}
	if !ok || len(vs) != len(s.Targets) {
		c.Contradict("a %s of %d parts is taken apart into %d", KindOf(v), len(vs), len(s.Targets))
	}
	for i, t := range s.Targets {
		c.bind(f, t, vs[i])
	}
}

// apart gives the parts of a tensor along its first axis.
func (c *Converter) apart(t *Tensor) []Value {
	v := c.callOp("unbind", []Value{t, int64(0)}, nil)
	vs, ok := Items(v)
	if !ok {
		c.Fail(stoa.Unsupported, "a tensor is taken apart")
	}
	return vs
}

// bind sets a variable, a field or an element.
func (c *Converter) bind(f *frame, target torchscript.Expr, v Value) {
	switch t := target.(type) {
	case *torchscript.Name:
		f.vars[t.Name] = v
	case *torchscript.Attr:
		if o, ok := c.eval(f, t.X).(*obj); ok {
			o.fields[t.Name] = v
			return
		}
		c.Fail(stoa.Invalid, "it sets a field of what has none")
	case *torchscript.Index:
		c.setItem(c.eval(f, t.X), c.eval(f, t.At), v)
	case *torchscript.Tuple:
		vs, ok := Items(v)
		if !ok || len(vs) != len(t.Items) {
			c.Contradict("a %s is taken apart into %d", KindOf(v), len(t.Items))
		}
		for i, e := range t.Items {
			c.bind(f, e, vs[i])
		}
	default:
		c.Fail(stoa.Invalid, "it assigns to what is no variable")
	}
}

func (c *Converter) setItem(to, at, v Value) {
	switch x := to.(type) {
	case *List:
		x.Items[c.position(at, len(x.Items))] = v
	case *dict:
		x.set(at, v)
	case Unknown:
	default:
		c.Fail(stoa.Invalid, "it sets an element of a %s", KindOf(to))
	}
}

// position gives the index of an element, which must be there.
func (c *Converter) position(at Value, n int) int {
	i, ok := c.Settle(c.Lift(at)).(int64)
	if !ok {
		c.Contradict("which element is meant depends on the size of an input")
	}
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		c.Contradict("element %d of %d is wanted", i, n)
	}
	return int(i)
}

func (d *dict) find(key Value) int {
	for i, k := range d.keys {
		if same(k, key) {
			return i
		}
	}
	return -1
}

func (d *dict) set(key, v Value) {
	if i := d.find(key); i >= 0 {
		d.values[i] = v
		return
	}
	d.keys, d.values = append(d.keys, key), append(d.values, v)
}

// same tells whether two keys are one.
func same(a, b Value) bool {
	switch x := a.(type) {
	case string, int64, float64, bool, nil:
		return a == b
	case *Tensor:
		y, ok := b.(*Tensor)
		return ok && x == y
	case *enum:
		y, ok := b.(*enum)
		return ok && x.class == y.class && x.name == y.name
	}
	return false
}

// lookup finds a class or a function by its full name.
func (c *Converter) lookup(full string) (*torchscript.Class, *torchscript.Func) {
	i := strings.LastIndexByte(full, '.')
	if i < 0 {
		return nil, nil
	}
	src, err := c.source.Code(full[:i])
	if err != nil {
		panic(&failure{err: err})
	}
	if src == nil {
		return nil, nil
	}
	return src.Classes[full[i+1:]], src.Funcs[full[i+1:]]
}

// method finds a method of an object.
func (c *Converter) method(o *obj, name string) *torchscript.Func {
	class, _ := c.lookup(o.class)
	if class == nil {
		c.Fail(stoa.Invalid, "the archive has no code of %.200s", o.class)
	}
	def := class.Methods[name]
	if def == nil {
		c.Fail(stoa.Invalid, "%.200s has no method %.100s", o.class, name)
	}
	return def
}
