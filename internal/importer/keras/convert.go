package keras

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxRuns bounds the runs of all layers of a network.
const maxRuns = 20_000

// converter makes a graph of layers.
type converter struct {
	source *source
	kinds  map[string]*kind

	activations map[string]activation
	ctx         context.Context //nolint:containedctx // one conversion is one call
	b           *build.Builder
	open        bool // sizes of pictures are left open

	pictures string // the order of axes of the first layer that names one
	theano   bool   // the backend whose convolutions turn their kernels

	shapes map[string][]int64

	needsSize   bool // some layer needs a size that was left open
	prepared    map[weightOf]tensor.Tensor
	packs       map[*layer]packed // the weights of recurrent layers
	made        int64             // numbers in constants that no file holds
	unsupported []string
	notes       map[string]bool
	bound       map[string]int64
	runs        int
}

// value is what goes between layers: a tensor with the mask that belongs to it, a
// list of values, or a plain constant of Python.
type value struct {
	name  string
	mask  string // which steps count, batch x steps; "" all
	list  []value
	keys  []string // of list, where it is a map
	konst any
	bad   bool // it comes from a layer that is not supported
}

func one(name string) value { return value{name: name} }

func (v value) isTensor() bool { return v.name != "" }

// flat gives the tensors of a value, in order.
func (v value) flat() []value {
	if v.name != "" || v.bad {
		return []value{v}
	}
	var out []value
	for _, e := range v.list {
		out = append(out, e.flat()...)
	}
	return out
}

// call is what a layer is called with.
type call struct {
	args   []value
	kwargs map[string]value
}

// tensors gives all tensors of the arguments in order.
func (in call) tensors() []value {
	var out []value
	for _, a := range in.args {
		out = append(out, a.flat()...)
	}
	return out
}

func (in call) bad() bool {
	isBad := func(v value) bool { return v.bad }
	for _, v := range in.kwargs {
		if slices.ContainsFunc(v.flat(), isBad) {
			return true
		}
	}
	return slices.ContainsFunc(in.tensors(), isBad)
}

func where(l *layer) string { return fmt.Sprintf("layer %.200s (%s)", l.Path, l.Kind) }

func (c *converter) refuse(l *layer, format string, args ...any) error {
	return stoa.Errorf(stoa.Unsupported, "%s: %s: %s", c.source.File, where(l), fmt.Sprintf(format, args...))
}

func (c *converter) invalid(l *layer, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: %s: %s", c.source.File, where(l), fmt.Sprintf(format, args...))
}

// sizeNeeded is the error of a layer that must know a size.
func (c *converter) sizeNeeded(l *layer, what string) error {
	c.needsSize = true
	return c.invalid(l, "it needs %s, which the model leaves open: give the shape of the model's input, as in --shape NAME=1,224,224,3", what)
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

// run makes the nodes of a layer. What is not supported is collected, and what
// depends on it is left out.
func (c *converter) run(l *layer, in call) (value, error) {
	if c.runs++; c.runs > maxRuns {
		return value{}, stoa.Errorf(stoa.TooLarge, "%s: its layers are called over %d times", c.source.File, maxRuns)
	}
	if err := c.ctx.Err(); err != nil {
		return value{}, stoa.AsError(err)
	}
	if in.bad() {
		return value{bad: true}, nil
	}
	out, err := c.apply(l, in)
	if err == nil {
		err = c.b.Err()
	}
	if err == nil {
		return out, nil
	}
	e := stoa.AsError(err)
	if !strings.HasPrefix(e.Msg, c.source.File) {
		err = stoa.Wrap(stoa.KindOf(err), err, "%s: %s: %s", c.source.File, where(l), e.Msg)
	}
	if e.Kind == stoa.Unsupported && c.b.Err() == nil {
		c.unsupported = append(c.unsupported, stoa.AsError(err).Msg)
		return value{bad: true}, nil
	}
	return value{}, err
}

func (c *converter) apply(l *layer, in call) (value, error) {
	in = c.withMask(l, in)
	def := c.kinds[l.Kind]
	switch {
	case l.Model != nil && l.Model.Sequential:
		return c.sequential(l, in)
	case l.Model != nil:
		return c.functional(l, in)
	case def == nil:
		return value{}, c.refuse(l, "it is not supported")
	}
	if err := c.checkKwargs(l, in); err != nil {
		return value{}, err
	}
	before := c.b.From(l.Kind)
	out, err := def.run(c, l, in)
	c.b.From(before)
	if err == nil && def.masks == passed && out.isTensor() && out.mask == "" {
		if ts := in.tensors(); len(ts) > 0 {
			out.mask = ts[0].mask
		}
	}
	return out, err
}

// withMask makes a mask that a call names, as Keras 3 writes it, that of the
// tensor. A softmax over all axes has one of its own kind.
func (c *converter) withMask(l *layer, in call) call {
	m := in.kwargs["mask"]
	if !m.isTensor() || len(in.args) == 0 || !in.args[0].isTensor() || l.Kind == "Softmax" {
		return in
	}
	in.kwargs = maps.Clone(in.kwargs)
	delete(in.kwargs, "mask")
	in.args = slices.Clone(in.args)
	in.args[0].mask = c.cast(l, m.name, tensor.Bool)
	return in
}

// checkKwargs refuses arguments of a call that change what the layer computes
// and are not known.
func (c *converter) checkKwargs(l *layer, in call) error {
	def := c.kinds[l.Kind]
	known := strings.Fields(def.kwargs)
	for name, v := range in.kwargs {
		switch {
		case slices.Contains(known, name), name == "name":
		case !v.isTensor() && v.list == nil && (v.konst == nil || v.konst == false):
		case name == "training" && (!def.training || c.source.Era() == 3): // Keras 3 puts its own in place
		default:
			return c.refuse(l, "its call has the argument %.50q, which is not supported", name)
		}
	}
	return nil
}

// sequential runs layers one after the other.
func (c *converter) sequential(l *layer, in call) (value, error) {
	ts := in.args
	if len(ts) == 0 {
		return value{}, c.invalid(l, "it is called with nothing")
	}
	at := ts[0]
	for i, k := range l.Model.Layers {
		if k.Kind == "InputLayer" && i == 0 {
			continue
		}
		var err error
		if at, err = c.run(k, call{args: []value{at}}); err != nil {
			return value{}, err
		}
	}
	return at, nil
}

// graphRun is one run of a functional model.
type graphRun struct {
	c    *converter
	l    *layer
	ins  map[string]value
	done map[string][]value
	busy map[string]bool
}

// functional runs what the outputs of a model depend on.
func (c *converter) functional(l *layer, in call) (value, error) {
	g := &graphRun{c: c, l: l, ins: map[string]value{}, done: map[string][]value{}, busy: map[string]bool{}}
	ts := in.tensors()
	if len(ts) != len(l.Model.Ins) {
		return value{}, c.invalid(l, "it is called with %d tensors and takes %d", len(ts), len(l.Model.Ins))
	}
	for i, r := range l.Model.Ins {
		g.ins[r.Layer] = ts[i]
	}
	var out value
	for _, r := range l.Model.Outs {
		v, err := g.get(r, 0)
		if err != nil {
			return value{}, err
		}
		out.list = append(out.list, v)
	}
	if len(out.list) == 1 {
		return out.list[0], nil
	}
	return out, nil
}

// get gives what a call of a layer made, running it where it was not run yet.
func (g *graphRun) get(r ref, depth int) (value, error) {
	k := g.l.Model.ByName[r.Layer]
	if k == nil {
		return value{}, g.c.invalid(g.l, "it refers to a layer %.100q that it does not have", r.Layer)
	}
	if v, ok := g.ins[r.Layer]; ok {
		return v, nil
	}
	key := fmt.Sprint(r.Call, " ", r.Layer)
	outs, ok := g.done[key]
	if !ok {
		if g.busy[key] || depth > maxRuns {
			return value{}, g.c.invalid(k, "it depends on itself")
		}
		g.busy[key] = true
		n := r.Call - k.Offset
		if n < 0 || n >= len(k.Calls) {
			return value{}, g.c.invalid(k, "its call %d is used, and the model has %d calls of it", r.Call, len(k.Calls))
		}
		in, err := g.arguments(k.Calls[n], depth)
		if err != nil {
			return value{}, err
		}
		v, err := g.c.run(k, in)
		if err != nil {
			return value{}, err
		}
		outs = v.flat()
		g.done[key] = outs
	}
	if len(outs) == 1 && outs[0].bad {
		return outs[0], nil
	}
	if r.Tensor >= len(outs) {
		return value{}, g.c.invalid(k, "its tensor %d is used, and it gives %d", r.Tensor, len(outs))
	}
	return outs[r.Tensor], nil
}

func (g *graphRun) arguments(site kerasfile.CallSite, depth int) (call, error) {
	in := call{kwargs: map[string]value{}}
	for _, a := range site.Args {
		v, err := g.resolve(a, depth)
		if err != nil {
			return in, err
		}
		in.args = append(in.args, v)
	}
	for n, a := range site.Kwargs {
		v, err := g.resolve(a, depth)
		if err != nil {
			return in, err
		}
		in.kwargs[n] = v
	}
	return in, nil
}

// resolve puts tensors in the places of refs.
func (g *graphRun) resolve(a any, depth int) (value, error) {
	switch a := a.(type) {
	case ref:
		return g.get(a, depth+1)
	case []any:
		if !hasRef(a) {
			return value{konst: a}, nil
		}
		var out value
		for _, e := range a {
			v, err := g.resolve(e, depth+1)
			if err != nil {
				return value{}, err
			}
			out.list = append(out.list, v)
		}
		return out, nil
	case map[string]any:
		if !hasRef(a) {
			return value{konst: a}, nil
		}
		var out value
		for _, k := range slices.Sorted(maps.Keys(a)) {
			v, err := g.resolve(a[k], depth+1)
			if err != nil {
				return value{}, err
			}
			out.list, out.keys = append(out.list, v), append(out.keys, k)
		}
		return out, nil
	}
	return value{konst: a}, nil
}

func hasRef(v any) bool {
	found := false
	kerasfile.EachRef(v, func(ref) { found = true })
	return found
}

// The helpers that layers use to make nodes.

func (c *converter) op(l *layer, op, x string, attrs ...onnx.Attribute) string {
	return c.b.Op(l.Path, op, []string{x}, attrs...)
}

func (c *converter) op2(l *layer, op, x, y string, attrs ...onnx.Attribute) string {
	return c.b.Op(l.Path, op, []string{x, y}, attrs...)
}

func (c *converter) op3(l *layer, op string, xs ...string) string { return c.b.Op(l.Path, op, xs) }

func (c *converter) rank(x string) int { return len(c.b.Shape(x)) }

// dim gives the size of an axis, which may be counted from the end; -1 where it
// is not known.
func (c *converter) dim(x string, axis int) int64 {
	shape := c.b.Shape(x)
	if axis < 0 {
		axis += len(shape)
	}
	if axis < 0 || axis >= len(shape) || !shape[axis].Known() {
		return -1
	}
	return shape[axis].Value
}

func (c *converter) transpose(l *layer, x string, perm ...int64) string {
	if slices.IsSorted(perm) {
		return x
	}
	return c.op(l, "Transpose", x, onnx.AInts("perm", perm...))
}

func (c *converter) isFloat(x string) bool {
	switch c.b.DType(x) {
	case tensor.Float32, tensor.Undefined:
		return true
	}
	return false
}

// float makes whole numbers and truth values 32-bit floats.
func (c *converter) float(l *layer, x string) string {
	if c.isFloat(x) {
		return x
	}
	return c.cast(l, x, tensor.Float32)
}

func (c *converter) cast(l *layer, x string, t tensor.DType) string {
	if c.b.DType(x) == t {
		return x
	}
	return c.op(l, "Cast", x, onnx.AInt("to", int64(t)))
}

// axis brings an axis of Keras, which counts the batch, into 0 to rank-1.
func (c *converter) axis(l *layer, axis int64, x string) (int, error) {
	rank := int64(c.rank(x))
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank {
		return 0, c.invalid(l, "its axis is none of the %d of its input", rank)
	}
	return int(axis), nil
}

// weight gives a weight, which must have a shape: -1 fits any size.
func (c *converter) weight(l *layer, name string, shape ...int64) (tensor.Tensor, error) {
	t, ok := l.Weights[name]
	if !ok {
		return t, c.invalid(l, "it has no %s", name)
	}
	fits := len(shape) == len(t.Shape)
	for i := range shape {
		fits = fits && (shape[i] == t.Shape[i] || shape[i] == -1)
	}
	if !fits {
		return t, c.invalid(l, "its %s is %s, and its settings and its input ask for %s", name, tensor.ShapeString(t.Shape), tensor.ShapeString(shape))
	}
	return t, nil
}

// vector gives the name of a weight of one axis and n numbers.
func (c *converter) vector(l *layer, name string, n int64) (string, error) {
	t, err := c.weight(l, name, n)
	if err != nil {
		return "", err
	}
	return c.constant(l, name, t), nil
}

// weightOf names a weight of a layer.
type weightOf struct {
	layer *layer
	name  string
}

// once prepares a weight the first time that a layer is called: calls of a layer
// that is shared share its weights too.
func (c *converter) once(l *layer, name string, prepare func() (tensor.Tensor, error)) (tensor.Tensor, error) {
	key := weightOf{l, name}
	if t, ok := c.prepared[key]; ok {
		return t, nil
	}
	t, err := prepare()
	if err == nil {
		c.prepared[key] = t
	}
	return t, err
}

// maxMade bounds the numbers in constants that no file holds, such as ones.
const maxMade = 1 << 24

// fill makes n times the same number.
func (c *converter) fill(l *layer, n int64, v float32) ([]float32, error) {
	if n < 0 || n > maxMade-c.made {
		return nil, c.invalid(l, "its sizes make no sense")
	}
	c.made += n
	return slices.Repeat([]float32{v}, int(n)), nil
}

func (c *converter) constant(l *layer, name string, t tensor.Tensor) string {
	return c.b.Constant(l.Path+"/"+name, t)
}

// runner makes the nodes of a layer.
type runner = func(c *converter, l *layer, in call) (value, error)

// unary makes a runner of a layer that takes one tensor.
func unary(f func(c *converter, l *layer, x string) (string, error)) runner {
	return func(c *converter, l *layer, in call) (value, error) {
		v, err := c.only(l, in)
		if err != nil {
			return value{}, err
		}
		y, err := f(c, l, v.name)
		return one(y), err
	}
}

// numeric is unary where whole numbers become floats first.
func numeric(f func(c *converter, l *layer, x string) (string, error)) runner {
	return unary(func(c *converter, l *layer, x string) (string, error) { return f(c, l, c.float(l, x)) })
}

// only gives the one tensor that a layer is called with.
func (c *converter) only(l *layer, in call) (value, error) {
	ts := in.tensors()
	if len(ts) == 0 {
		for _, name := range []string{"x", "inputs"} { // called by name
			if v := in.kwargs[name]; v.isTensor() {
				return v, nil
			}
		}
	}
	if len(ts) != 1 {
		return value{}, c.invalid(l, "it takes one tensor, and is given %d", len(ts))
	}
	return ts[0], nil
}
