package torch7

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// converter makes a graph of modules.
type converter struct {
	file     string
	types    map[string]moduleType
	b        *build.Builder
	budget   int64 // bytes that weights which are no views may still take
	training bool
	notes    map[string]bool
	needs    []need
	floats   map[*array]tensor.Tensor
}

// need is a tensor whose items must have so many elements, whatever its size.
type need struct {
	tensor string
	n      int64
}

// value is what goes between modules: the name of a tensor, or a table of values.
type value struct {
	name  string
	table []value
	list  bool
}

func one(name string) value { return value{name: name} }

// module is a module and where it stands, for messages and names.
type module struct {
	*object
	path string
}

// kind is the class without the packages that only say where it runs.
func (m module) kind() string {
	for _, p := range []string{"nn.", "cudnn.", "cunn.", "ccn2.", "inn.", "nngraph.", "dpnn."} {
		if k, ok := strings.CutPrefix(m.class, p); ok {
			return k
		}
	}
	return m.class
}

func (m module) num(field string, otherwise float64) float64 {
	switch v := m.fields.get(field).(type) {
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
		return 0
	}
	return otherwise
}

// int gives a field that is a whole number; what is far from any size is 0.
func (m module) int(field string, otherwise int64) int64 {
	v := m.num(field, float64(otherwise))
	if !(math.Abs(v) < 1<<40) {
		return 0
	}
	return int64(v)
}

// flag tells whether a field is set; a field that is not there is not.
func (m module) flag(field string) bool { return m.num(field, 0) != 0 }

func (m module) array(field string) *array {
	a, _ := m.fields.get(field).(*array)
	if a == nil || len(a.size) == 0 {
		return nil
	}
	return a
}

// children gives the modules within. Those of decorators lie in one field.
func (m module) children() []module {
	mods, _ := m.fields.get("modules").(*table)
	var out []module
	for i, v := range mods.list() {
		if o, ok := v.(*object); ok {
			out = append(out, module{o, m.path + "/" + strconv.Itoa(i+1)})
		}
	}
	if m.kind() == "gModule" {
		return m.graphModules()
	}
	if len(out) == 0 {
		if o, ok := m.fields.get("module").(*object); ok {
			out = append(out, module{o, m.path + "/1"})
		}
	}
	return out
}

func (m module) name() string { return m.path + ":" + m.kind() }

func (c *converter) refuse(m module, format string, args ...any) error {
	return stoa.Errorf(stoa.Unsupported, "%s: module %s: %s", c.file, m.name(), fmt.Sprintf(format, args...))
}

func (c *converter) invalid(m module, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: module %s: %s", c.file, m.name(), fmt.Sprintf(format, args...))
}

// maxModules bounds the modules of a network, each time that one is used.
const maxModules = 100_000

// survey counts the modules by class and names those that are not supported.
func (c *converter) survey(root module) (layers map[string]int, unsupported []string, err error) {
	layers = map[string]int{}
	todo := []module{root}
	for n := 0; len(todo) > 0; n++ {
		if n == maxModules {
			return nil, nil, stoa.Errorf(stoa.TooLarge, "%s: the network has over %d modules", c.file, maxModules)
		}
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		layers[m.class]++
		if c.types[m.kind()] == nil {
			unsupported = append(unsupported, fmt.Sprintf("%s: module %s (%s)", c.file, m.path, m.class))
			continue
		}
		kids := m.children()
		if len(kids) > 0 && strings.Count(m.path, "/") > 200 {
			return nil, nil, c.invalid(m, "modules lie over 200 deep in each other")
		}
		slices.Reverse(kids)
		todo = append(todo, kids...)
	}
	return layers, unsupported, nil
}

// run makes the nodes of a module.
func (c *converter) run(m module, in value) (value, error) {
	f := c.types[m.kind()]
	if f == nil {
		return value{}, c.refuse(m, "%s is not supported", m.class)
	}
	before := c.b.From(m.kind())
	out, err := f(c, m, in)
	c.b.From(before)
	if err == nil {
		err = c.b.Err()
	}
	if err != nil && !strings.Contains(stoa.AsError(err).Msg, c.file) {
		err = stoa.Wrap(stoa.KindOf(err), err, "%s: module %s: %s", c.file, m.name(), stoa.AsError(err).Msg)
	}
	return out, err
}

// unary makes a module of one tensor; a table is an error.
func unary(f func(c *converter, m module, x string) (string, error)) moduleType {
	return func(c *converter, m module, in value) (value, error) {
		if in.list {
			return value{}, c.invalid(m, "it is given a table and takes a tensor")
		}
		y, err := f(c, m, in.name)
		return one(y), err
	}
}

// op is a module that is one operator.
func op(name string) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) { return c.op(m, name, x), nil })
}

func (c *converter) op(m module, op, x string, attrs ...onnx.Attribute) string {
	return c.b.Op(m.name(), op, []string{x}, attrs...)
}

func (c *converter) op2(m module, op, x, y string, attrs ...onnx.Attribute) string {
	return c.b.Op(m.name(), op, []string{x, y}, attrs...)
}

func (c *converter) rank(x string) int { return len(c.b.Shape(x)) }

// weight gives a field's tensor as 32-bit floats; ok is false where there is none.
func (c *converter) weight(m module, field string) (t tensor.Tensor, ok bool, err error) {
	a := m.array(field)
	if a == nil {
		return t, false, nil
	}
	if t, ok = c.floats[a]; ok {
		return t, true, nil
	}
	t, err = a.floats(c.budget)
	if err != nil {
		return t, false, c.invalid(m, "its %s: %s", field, stoa.AsError(err).Msg)
	}
	if a.in == nil || len(t.Data) == 0 || len(a.in.data) == 0 || &t.Data[0] != &a.in.data[min(a.offset*4, int64(len(a.in.data)-1))] {
		if c.budget -= int64(len(t.Data)); c.budget < 0 {
			return t, false, stoa.Errorf(stoa.TooLarge, "%s: the weights take more memory than their file", c.file)
		}
	}
	c.floats[a] = t
	return t, true, nil
}

func (c *converter) constant(m module, field string, t tensor.Tensor, shape ...int64) (string, error) {
	n, err := tensor.Elements(shape)
	if err != nil || n*4 != int64(len(t.Data)) {
		return "", c.invalid(m, "its %s of %s does not fit its settings, which ask for %s", field, tensor.ShapeString(t.Shape), tensor.ShapeString(shape))
	}
	return c.b.Constant(m.name()+"."+field, tensor.Tensor{DType: tensor.Float32, Shape: shape, Data: t.Data}), nil
}

// axis gives the axis of a dimension that counts from 1. Where the module says
// how many dimensions an item has, a batch before them shifts it.
func (c *converter) axis(m module, dim int64, x string) (int, error) {
	rank := c.rank(x)
	if n := m.int("nInputDims", m.int("numInputDims", m.int("nInputDim", 0))); n > 0 && int64(rank) == n+1 && dim > 0 {
		dim++
	}
	if dim < 0 {
		dim += int64(rank) + 1
	}
	if dim < 1 || dim > int64(rank) {
		return 0, c.invalid(m, "its dimension %d is none of its input's %d", dim, rank)
	}
	return int(dim) - 1, nil
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }
