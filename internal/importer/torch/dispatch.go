package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// callOp calls an operator: of numbers and lists, which is computed, or of
// tensors, which becomes nodes.
func (c *converter) callOp(name string, args []value, kwargs map[string]value) value {
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
	return c.tensorOp(base, inPlace, args, kwargs)
}

// unknownResult notes an operator that is not supported although what it works
// on is not known either.
func (c *converter) unknownResult(name, base string) value {
	if _, ok := c.ops[base]; !ok && !pythonOps[base] {
		c.unsupport(opName(name), "the operator is not supported")
	}
	return unknown{}
}

// opName gives an operator's full name.
func opName(name string) string {
	if strings.Contains(name, ".") {
		return strings.Replace(name, ".", "::", 1)
	}
	return "aten::" + name
}

// unsupport notes what is not supported, once for each place in the code.
func (c *converter) unsupport(op, why string) {
	text := fmt.Sprintf("%s:%d: %s: %s", c.at.file, c.at.line, op, why)
	if c.path != "" {
		text += " (module " + c.path + ")"
	}
	if len(c.unsupported) < 1000 && !slices.Contains(c.unsupported, text) {
		c.unsupported = append(c.unsupported, text)
	}
}

func (c *converter) tensorOp(base string, inPlace bool, args []value, kwargs map[string]value) (out value) {
	full := opName(base)
	op, ok := c.ops[base]
	if !ok {
		c.layers[full]++
		c.unsupport(full, "the operator is not supported")
		return unknown{}
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
			out = unknown{}
		}
	}()
	c.layers[full]++
	source := c.b.From(full)
	defer c.b.From(source)
	a := c.bindArgs(op, args, kwargs)
	result := op.f(c, a)
	if inPlace && len(args) > 0 {
		if t, ok := args[0].(*ten); ok {
			if r, ok := result.(*ten); ok {
				c.mutate(t, r)
				return t
			}
		}
	}
	return result
}

// mutate makes a tensor hold what an operation in place gave.
func (c *converter) mutate(t, r *ten) {
	if t == r {
		return
	}
	if t.view == nil && t.name == "" && r.name == "" {
		t.scalar = r.scalar
		t.version++
		return
	}
	want := c.dtype(t)
	if v := t.view; v != nil {
		c.use(v.base)
	}
	if c.dtype(r) != want {
		r = c.cast(r, want)
	}
	t.name, t.scalar, t.zero = c.use(r), nil, false
	t.version++
	if v := t.view; v != nil {
		c.mutate(v.base, &ten{name: v.put(t.name)})
		v.version = v.base.version
	}
}

// viewOf makes a tensor that is a part of another: take makes it, put gives the
// other with the part changed.
func (c *converter) viewOf(base *ten, take func() *ten, put func(part string) *ten) *ten {
	t := take()
	if t == base {
		return base
	}
	if t.name == "" {
		return t
	}
	return &ten{name: t.name, view: &view{
		base: base, version: base.version,
		take: func() string { return c.use(take()) },
		put:  func(part string) string { return c.use(put(part)) },
	}}
}

// operator is an operator of tensors: the names of its parameters, in order, and
// what makes its nodes.
type operator struct {
	params string
	f      func(c *converter, a *args) value
}

// args are the values that an operator was given, by name.
type args struct {
	c    *converter
	vals map[string]value
}

func (c *converter) bindArgs(op operator, in []value, kwargs map[string]value) *args {
	names := strings.Fields(op.params)
	a := &args{c: c, vals: make(map[string]value, len(in)+len(kwargs))}
	if len(in) > len(names) {
		c.refuse("it is given %d values, of which %d are known", len(in), len(names))
	}
	for i, v := range in {
		a.vals[names[i]] = v
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
			c.refuse("its setting %.40s is not supported", k)
		}
		a.vals[k] = v
	}
	return a
}

func (a *args) get(name string) value { return a.vals[name] }

func (a *args) has(name string) bool { return a.vals[name] != nil }

// ten gives a tensor, which must be there; a number becomes one.
func (a *args) ten(name string) *ten {
	switch v := a.vals[name].(type) {
	case *ten:
		return v
	case int64, float64, bool, *num:
		return &ten{scalar: v, dtype: scalarType(v)}
	case nil:
		a.c.fail(stoa.Invalid, "its %s is missing", name)
	default:
		a.c.fail(stoa.Invalid, "its %s is a %s, not a tensor", name, kindOf(v))
	}
	return nil
}

// opt gives a tensor, or nil where it is left out.
func (a *args) opt(name string) *ten {
	if a.vals[name] == nil {
		return nil
	}
	return a.ten(name)
}

// tens gives a list of tensors.
func (a *args) tens(name string) []*ten {
	vs, ok := items(a.vals[name])
	if !ok {
		a.c.fail(stoa.Invalid, "its %s is a %s, not a list of tensors", name, kindOf(a.vals[name]))
	}
	out := make([]*ten, len(vs))
	for i, v := range vs {
		t, ok := v.(*ten)
		if !ok {
			a.c.fail(stoa.Invalid, "its %s has a %s among its tensors", name, kindOf(v))
		}
		out[i] = t
	}
	return out
}

// int gives a whole number that depends on no size.
func (a *args) int(name string, otherwise int64) int64 {
	v := a.vals[name]
	if v == nil {
		return otherwise
	}
	switch n := a.c.settle(a.c.lift(v)).(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	a.c.contradict("its %s depends on the size of an input", name)
	return 0
}

func (a *args) float(name string, otherwise float64) float64 {
	v := a.vals[name]
	if v == nil {
		return otherwise
	}
	switch n := a.c.settle(a.c.lift(v)).(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	a.c.contradict("its %s depends on the size of an input", name)
	return 0
}

func (a *args) bool(name string, otherwise bool) bool {
	v := a.vals[name]
	if v == nil {
		return otherwise
	}
	yes, _ := a.c.truth(v)
	return yes
}

func (a *args) str(name, otherwise string) string {
	if s, ok := a.vals[name].(string); ok {
		return s
	}
	return otherwise
}

// ints gives n whole numbers that depend on no size; one stands for all. Where
// none are given, all are otherwise.
func (a *args) ints(name string, n int, otherwise int64) []int64 {
	out := make([]int64, n)
	vs, isList := items(a.vals[name])
	switch {
	case a.vals[name] == nil || isList && len(vs) == 0:
		for i := range out {
			out[i] = otherwise
		}
		return out
	case !isList:
		vs = []value{a.vals[name]}
	}
	if len(vs) != n && len(vs) != 1 {
		a.c.contradict("its %s has %d numbers, not %d", name, len(vs), n)
	}
	for i := range out {
		v, ok := a.c.settle(a.c.lift(vs[min(i, len(vs)-1)])).(int64)
		if !ok {
			a.c.contradict("its %s depends on the size of an input", name)
		}
		out[i] = v
	}
	return out
}

// axis gives an axis of a tensor of a rank, counted from the front.
func (a *args) axis(name string, rank int, otherwise int64) int {
	return a.c.axis(a.int(name, otherwise), rank)
}

func (c *converter) axis(n int64, rank int) int {
	at := n
	if at < 0 {
		at += int64(max(rank, 1))
	}
	if at < 0 || at >= int64(max(rank, 1)) {
		c.contradict("axis %d lies outside a tensor of %d axes", n, rank)
	}
	return int(at)
}

// axes gives a list of axes; nil where none are given.
func (a *args) axes(name string, rank int) []int64 {
	v := a.vals[name]
	if v == nil {
		return nil
	}
	vs, ok := items(v)
	if !ok {
		vs = []value{v}
	}
	var out []int64
	for _, e := range vs {
		n, ok := a.c.settle(a.c.lift(e)).(int64)
		if !ok {
			a.c.contradict("its %s depends on the size of an input", name)
		}
		out = append(out, int64(a.c.axis(n, rank)))
	}
	return out
}

// sizes gives numbers that may depend on sizes of inputs.
func (a *args) sizes(name string) []value {
	vs, ok := items(a.vals[name])
	if !ok {
		if t, isTensor := a.vals[name].(*ten); isTensor && t.scalar == nil {
			a.c.refuse("its %s is a tensor", name)
		}
		vs = []value{a.vals[name]}
	}
	out := make([]value, len(vs))
	for i, v := range vs {
		out[i] = a.c.settle(a.c.lift(v))
	}
	return out
}

// dtype gives an element type.
func (a *args) dtype(name string) (value, bool) {
	v, ok := a.vals[name]
	return v, ok && v != nil
}

// sizesOrNone gives n sizes, nil for those that are to stay.
func (a *args) sizesOrNone(name string, n int) []value {
	vs, ok := items(a.get(name))
	if !ok {
		vs = []value{a.get(name)}
	}
	out := make([]value, n)
	for i := range out {
		if v := vs[min(i, len(vs)-1)]; v != nil {
			out[i] = a.c.settle(a.c.lift(v))
		}
	}
	return out
}
