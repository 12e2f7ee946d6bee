package jit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// callOp calls an operator: of numbers and lists, which is computed, or of
// tensors, which becomes nodes.
func (c *Converter) callOp(name string, args []Value, kwargs map[string]Value) Value {
	base := name
	inPlace := strings.HasSuffix(name, "_") && !strings.HasSuffix(name, "__")
	if inPlace {
		base = strings.TrimSuffix(name, "_")
	}
	if plain, ok := aliases[base]; ok {
		base = plain
	}
	if v, ok := c.structural(name, args, kwargs); ok {
		return v
	}
	for _, a := range args {
		if hasUnknown(a, 0) {
			return c.unknownResult(name, base)
		}
	}
	for _, a := range kwargs {
		if hasUnknown(a, 0) {
			return c.unknownResult(name, base)
		}
	}
	if !inPlace {
		if v, ok := c.numeric(base, args, kwargs); ok {
			return v
		}
	}
	out := c.tensorOp(base, args, kwargs)
	if !inPlace || len(args) == 0 {
		return out
	}
	t, ok := args[0].(*Tensor)
	r, ok2 := out.(*Tensor)
	if !ok || !ok2 {
		return out
	}
	c.mutate(t, r)
	return t
}

// unknownResult notes an operator that is not supported although what it works
// on is not known either.
func (c *Converter) unknownResult(name, base string) Value {
	if _, ok := c.ops[base]; !ok && !pythonOps[base] {
		c.unsupport(OpName(name), "the operator is not supported")
	}
	return Unknown{}
}

// OpName gives an operator's full name.
func OpName(name string) string {
	if strings.Contains(name, ".") {
		return strings.Replace(name, ".", "::", 1)
	}
	return "aten::" + name
}

// unsupport notes what is not supported, once for each place in the code.
func (c *Converter) unsupport(op, why string) {
	text := fmt.Sprintf("%s:%d: %s: %s", c.at.file, c.at.line, op, why)
	if c.path != "" {
		text += " (module " + c.path + ")"
	}
	if len(c.unsupported) < 1000 && !slices.Contains(c.unsupported, text) {
		c.unsupported = append(c.unsupported, text)
	}
}

func (c *Converter) tensorOp(base string, args []Value, kwargs map[string]Value) (out Value) {
	full := OpName(base)
	op, ok := c.ops[base]
	if !ok {
		c.layers[full]++
		c.unsupport(full, "the operator is not supported")
		return Unknown{}
	}
	c.askBlank(base, args)
	before := c.opName
	c.opName = full
	defer func() {
		c.opName = before
		if r := recover(); r != nil {
			no, refused := r.(*refusal)
			if !refused {
				panic(r)
			}
			c.unsupport(full, no.why)
			out = Unknown{}
		}
	}()
	c.layers[full]++
	source := c.B.From(full)
	defer c.B.From(source)
	a := c.bindArgs(op, args, kwargs)
	return op.F(c, a)
}

// mutate makes a tensor hold what an operation in place gave.
func (c *Converter) mutate(t, r *Tensor) {
	if t == r {
		return
	}
	if t.view == nil && t.Name == "" && r.Name == "" {
		t.Scalar = r.Scalar
		t.version++
		return
	}
	want := c.Dtype(t)
	if v := t.view; v != nil {
		c.Use(v.base)
	}
	if c.Dtype(r) != want {
		r = c.Cast(r, want)
	}
	t.Name, t.Scalar, t.Zero = c.Use(r), nil, false
	t.version++
	if v := t.view; v != nil {
		c.mutate(v.base, &Tensor{Name: v.put(t.Name)})
		v.version = v.base.version
	}
}

// ViewOf makes a tensor that is a part of another: take makes it, put gives the
// other with the part changed.
func (c *Converter) ViewOf(base *Tensor, take func() *Tensor, put func(part string) *Tensor) *Tensor {
	t := take()
	if t == base {
		return base
	}
	if t.Name == "" {
		return t
	}
	return &Tensor{Name: t.Name, view: &view{
		base: base, version: base.version,
		take: func() string { return c.Use(take()) },
		put:  func(part string) string { return c.Use(put(part)) },
	}}
}

// Operator is an operator of tensors: the names of its parameters, in order, and
// what makes its nodes.
type Operator struct {
	Params string
	F      func(c *Converter, a *Args) Value
}

// Args are the values that an operator was given, by name.
type Args struct {
	C    *Converter
	Vals map[string]Value
}

func (c *Converter) bindArgs(op Operator, in []Value, kwargs map[string]Value) *Args {
	names := strings.Fields(op.Params)
	a := &Args{C: c, Vals: make(map[string]Value, len(in)+len(kwargs))}
	if len(in) > len(names) {
		c.Refuse("it is given %d values, of which %d are known", len(in), len(names))
	}
	for i, v := range in {
		a.Vals[names[i]] = v
	}
	for k, v := range kwargs {
		found := false
		for _, n := range names {
			found = found || n == k
		}
		// These say where and how a result is kept, not what it is.
		switch k {
		case "device", "layout", "pin_memory", "memory_format", "non_blocking", "copy", "generator":
			continue
		}
		if !found {
			c.Refuse("its setting %.40s is not supported", k)
		}
		a.Vals[k] = v
	}
	return a
}

// Get gives a value; nil where there is none.
func (a *Args) Get(name string) Value { return a.Vals[name] }

// Has tells whether a value is given, and not None.
func (a *Args) Has(name string) bool { return a.Vals[name] != nil }

// Tensor gives a tensor, which must be there; a number becomes one.
func (a *Args) Tensor(name string) *Tensor {
	switch v := a.Vals[name].(type) {
	case *Tensor:
		return v
	case int64, float64, bool, *Num:
		return &Tensor{Scalar: v, Dtype: ScalarType(v)}
	case nil:
		a.C.Fail(stoa.Invalid, "its %s is missing", name)
	default:
		a.C.Fail(stoa.Invalid, "its %s is a %s, not a tensor", name, KindOf(v))
	}
	return nil
}

// Opt gives a tensor, or nil where it is left out.
func (a *Args) Opt(name string) *Tensor {
	if a.Vals[name] == nil {
		return nil
	}
	return a.Tensor(name)
}

// Tensors gives a list of tensors.
func (a *Args) Tensors(name string) []*Tensor {
	vs, ok := Items(a.Vals[name])
	if !ok {
		a.C.Fail(stoa.Invalid, "its %s is a %s, not a list of tensors", name, KindOf(a.Vals[name]))
	}
	out := make([]*Tensor, len(vs))
	for i, v := range vs {
		t, ok := v.(*Tensor)
		if !ok {
			a.C.Fail(stoa.Invalid, "its %s has a %s among its tensors", name, KindOf(v))
		}
		out[i] = t
	}
	return out
}

// Int gives a whole number that depends on no size.
func (a *Args) Int(name string, otherwise int64) int64 {
	v := a.Vals[name]
	if v == nil {
		return otherwise
	}
	switch n := a.C.Settle(a.C.Lift(v)).(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	a.C.Contradict("its %s depends on the size of an input", name)
	return 0
}

// Float gives a number that depends on no size.
func (a *Args) Float(name string, otherwise float64) float64 {
	v := a.Vals[name]
	if v == nil {
		return otherwise
	}
	switch n := a.C.Settle(a.C.Lift(v)).(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	a.C.Contradict("its %s depends on the size of an input", name)
	return 0
}

// Bool gives a switch.
func (a *Args) Bool(name string, otherwise bool) bool {
	v := a.Vals[name]
	if v == nil {
		return otherwise
	}
	yes, _ := a.C.truth(v)
	return yes
}

// Str gives a text.
func (a *Args) Str(name, otherwise string) string {
	if s, ok := a.Vals[name].(string); ok {
		return s
	}
	return otherwise
}

// Ints gives n whole numbers that depend on no size; one stands for all. Where
// none are given, all are otherwise.
func (a *Args) Ints(name string, n int, otherwise int64) []int64 {
	out := make([]int64, n)
	vs, isList := Items(a.Vals[name])
	switch {
	case a.Vals[name] == nil || isList && len(vs) == 0:
		for i := range out {
			out[i] = otherwise
		}
		return out
	case !isList:
		vs = []Value{a.Vals[name]}
	}
	if len(vs) != n && len(vs) != 1 {
		a.C.Contradict("its %s has %d numbers, not %d", name, len(vs), n)
	}
	for i := range out {
		v, ok := a.C.Settle(a.C.Lift(vs[min(i, len(vs)-1)])).(int64)
		if !ok {
			a.C.Contradict("its %s depends on the size of an input", name)
		}
		out[i] = v
	}
	return out
}

// Axis gives an axis of a tensor of a rank, counted from the front.
func (a *Args) Axis(name string, rank int, otherwise int64) int {
	return a.C.axis(a.Int(name, otherwise), rank)
}

func (c *Converter) axis(n int64, rank int) int {
	at := n
	if at < 0 {
		at += int64(max(rank, 1))
	}
	if at < 0 || at >= int64(max(rank, 1)) {
		c.Contradict("axis %d lies outside a tensor of %d axes", n, rank)
	}
	return int(at)
}

// Axes gives a list of axes; nil where none are given.
func (a *Args) Axes(name string, rank int) []int64 {
	v := a.Vals[name]
	if v == nil {
		return nil
	}
	vs, ok := Items(v)
	if !ok {
		vs = []Value{v}
	}
	var out []int64
	for _, e := range vs {
		n, ok := a.C.Settle(a.C.Lift(e)).(int64)
		if !ok {
			a.C.Contradict("its %s depends on the size of an input", name)
		}
		out = append(out, int64(a.C.axis(n, rank)))
	}
	return out
}

// Sizes gives numbers that may depend on sizes of inputs.
func (a *Args) Sizes(name string) []Value {
	vs, ok := Items(a.Vals[name])
	if !ok {
		if t, isTensor := a.Vals[name].(*Tensor); isTensor && t.Scalar == nil {
			a.C.Refuse("its %s is a tensor", name)
		}
		vs = []Value{a.Vals[name]}
	}
	out := make([]Value, len(vs))
	for i, v := range vs {
		out[i] = a.C.Settle(a.C.Lift(v))
	}
	return out
}

// Dtype gives an element type.
func (a *Args) Dtype(name string) (Value, bool) {
	v, ok := a.Vals[name]
	return v, ok && v != nil
}

// SizesOrNone gives n sizes, nil for those that are to stay.
func (a *Args) SizesOrNone(name string, n int) []Value {
	vs, ok := Items(a.Get(name))
	if !ok {
		vs = []Value{a.Get(name)}
	}
	out := make([]Value, n)
	for i := range out {
		if v := vs[min(i, len(vs)-1)]; v != nil {
			out[i] = a.C.Settle(a.C.Lift(v))
		}
	}
	return out
}
