package theano

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// converter makes a graph of the layers.
type converter struct {
	net    *network
	b      *build.Builder
	params *parameters
	next   int // of the arrays, in the order in which layers take them
	budget int64
	notes  map[string]bool
	values map[*layer]string
	taken  map[*layer][]taken
}

// taken is a parameter that a layer has taken: others may share it.
type taken struct {
	name string
	t    tensor.Tensor
}

// run makes all layers.
func (c *converter) run(shapes map[string][]int64) error {
	types := layerTypes()
	for _, l := range c.net.layers {
		c.b.Reserve(l.name)
	}
	for _, l := range c.net.order {
		s := &settings{n: c.net, l: l}
		c.b.From(l.kind)
		var y string
		var err error
		if l.kind == "Input" {
			y, err = c.input(l, s, shapes)
		} else {
			y, err = types[l.kind].make(c, l, s)
		}
		for _, e := range []error{s.err, err, c.b.Err()} {
			if e == nil {
				continue
			}
			if msg := stoa.AsError(e).Msg; !strings.HasPrefix(msg, c.net.file) {
				e = stoa.Wrap(stoa.KindOf(e), e, "%s:%d: %s: %s", c.net.file, l.line, l.label(), msg)
			}
			return e
		}
		c.values[l] = y
	}
	if left := len(c.params.arrays) - c.next; left > 0 {
		return stoa.Errorf(stoa.Invalid, "%s: the layers take %d arrays, and %s has %d: the first that is left is array %d of %s; a layer is missing, or one has parameters that it is said not to have",
			c.net.file, c.next, c.params.file, len(c.params.arrays), c.next, tensor.ShapeString(c.params.arrays[c.next].Shape))
	}
	for _, l := range c.net.outputs {
		c.b.Output(l.name, c.values[l])
	}
	return c.b.Err()
}

// input makes an input: its first dimension, where it is free, is the batch.
func (c *converter) input(l *layer, s *settings, shapes map[string][]int64) (string, error) {
	shape, ok := l.fields.get("shape")
	given, isGiven := shapes[l.name]
	if !ok && !isGiven {
		return "", c.net.errorf(l, "it has no shape, such as shape: [null, 3, 224, 224]")
	}
	var dims []onnx.Dim
	for i, e := range shape.list {
		n, isNumber := e.int()
		switch {
		case isNumber && n > 0 && n < 1<<31:
			dims = append(dims, onnx.Fixed(n))
		case e.kind == isNull && i == 0:
			dims = append(dims, onnx.Named("batch"))
		case e.kind == isNull:
			dims = append(dims, onnx.Named(fmt.Sprintf("%s_%d", l.name, i)))
		default:
			return "", textError(c.net.file, e.line, "%s: a dimension is a number above 0, or null where it is free", l.label())
		}
	}
	if isGiven && dims != nil && len(given) != len(dims) {
		return "", c.net.errorf(l, "its shape has %d dimensions, and the one given %d", len(dims), len(given))
	}
	for i, n := range given {
		if i >= len(dims) {
			dims = append(dims, onnx.Named([]string{"batch", fmt.Sprintf("%s_%d", l.name, i)}[min(i, 1)]))
		}
		if n >= 0 {
			dims[i] = onnx.Fixed(n)
		}
	}
	d := tensor.Float32
	switch s.word("dtype", "float32", "float32", "int32", "int64") {
	case "int32":
		d = tensor.Int32
	case "int64":
		d = tensor.Int64
	}
	return c.b.Input(l.name, d, dims...), nil
}

// in gives what a layer takes, which is one.
func (c *converter) in(l *layer) (string, error) {
	if len(l.from) != 1 {
		return "", c.net.errorf(l, "it takes one layer, and is given %d", len(l.from))
	}
	return c.values[l.from[0]], nil
}

func (c *converter) op(l *layer, op string, inputs []string, attrs ...onnx.Attribute) string {
	return c.b.Op(l.name, op, inputs, attrs...)
}

func (c *converter) dims(x string) []onnx.Dim { return c.b.Shape(x) }

// size gives a dimension that must be a number.
func (c *converter) size(l *layer, x string, axis int) (int64, error) {
	dims := c.dims(x)
	if axis >= len(dims) || !dims[axis].Known() {
		return 0, c.net.errorf(l, "the size of its input along axis %d must be known, and its input is %s", axis, onnx.DimString(dims))
	}
	return dims[axis].Value, nil
}

// rank checks how many dimensions the input has.
func (c *converter) rank(l *layer, x string, want int) error {
	if dims := c.dims(x); len(dims) != want {
		return c.net.errorf(l, "its input is %s, and it takes %d dimensions", onnx.DimString(dims), want)
	}
	return nil
}

// param takes a layer's next parameter, of the given shape, in which -1 is any.
func (c *converter) param(l *layer, name string, shape ...int64) (tensor.Tensor, error) {
	var t tensor.Tensor
	if l.shares != nil {
		k := len(c.taken[l])
		old := c.taken[l.shares]
		if k >= len(old) || old[k].name != name {
			return t, c.net.errorf(l, "it has a parameter %s, which layer %q, whose parameters it shares, has not", name, l.shares.name)
		}
		t = old[k].t
	} else {
		if c.params.file == "" {
			return t, c.net.errorf(l, "it has a parameter %s, and beside %s must lie one file of parameters, as np.savez or pickle wrote it; where there are several, name one: weights: model.npz", name, c.net.file)
		}
		if c.next >= len(c.params.arrays) {
			return t, c.net.errorf(l, "its parameter %s (%s) would be array %d, and %s has only %d: a layer has parameters too many, such as a bias (b: false, or batch_norm: true)",
				name, tensor.ShapeString(shape), c.next, c.params.file, len(c.params.arrays))
		}
		var err error
		if t, err = c.floats(c.params.arrays[c.next]); err != nil {
			return t, err
		}
		c.next++
	}
	fits := len(shape) == len(t.Shape)
	for i := range shape {
		fits = fits && (shape[i] < 0 || shape[i] == t.Shape[i])
	}
	if !fits {
		return t, c.net.errorf(l, "its parameter %s is to be %s, and array %d of %s is %s", name, tensor.ShapeString(shape), c.next-1, c.params.file, tensor.ShapeString(t.Shape))
	}
	c.taken[l] = append(c.taken[l], taken{name, t})
	return t, nil
}

// floats gives an array as 32-bit floats.
func (c *converter) floats(t tensor.Tensor) (tensor.Tensor, error) {
	if t.DType == tensor.Float32 {
		return t, t.Check()
	}
	if err := t.Check(); err != nil {
		return t, err
	}
	n, err := tensor.Elements(t.Shape)
	if err != nil {
		return t, err
	}
	if err := c.spend(4 * n); err != nil {
		return t, err
	}
	out := onnx.NewTensor("", t).Floats()
	if int64(len(out)) != n {
		return t, stoa.Errorf(stoa.Unsupported, "%s: an array of %s is no parameter", c.params.file, t.DType)
	}
	c.note("parameters of %s became 32-bit floats", t.DType)
	return tensor.Of(out, t.Shape...), nil
}

// spend counts the bytes of weights that are no views of their file.
func (c *converter) spend(n int64) error {
	if c.budget -= n; c.budget < 0 {
		return stoa.Errorf(stoa.TooLarge, "%s: the weights take more memory than their file", c.params.file)
	}
	return nil
}

func (c *converter) note(format string, args ...any) { c.notes[fmt.Sprintf(format, args...)] = true }

func (c *converter) constant(l *layer, name string, t tensor.Tensor, shape ...int64) string {
	if shape == nil {
		shape = t.Shape
	}
	return c.b.Constant(l.name+"."+name, tensor.Tensor{DType: t.DType, Shape: shape, Data: t.Data})
}

// permute moves the axes of weights.
func (c *converter) permute(t tensor.Tensor, perm ...int) (tensor.Tensor, error) {
	if err := c.spend(int64(len(t.Data))); err != nil {
		return t, err
	}
	return tensor.Permute(t, perm...), nil
}

// flip turns kernels over, which makes a correlation of a convolution: the
// elements of all axes behind the first two, from the last to the first.
func (c *converter) flip(t tensor.Tensor) (tensor.Tensor, error) {
	if err := c.spend(int64(len(t.Data))); err != nil {
		return t, err
	}
	area := 1
	for _, n := range t.Shape[2:] {
		area *= int(n)
	}
	out := slices.Clone(tensor.As[float32](t))
	for at := 0; area > 1 && at+area <= len(out); at += area {
		slices.Reverse(out[at : at+area])
	}
	return tensor.Of(out, t.Shape...), nil
}

// along gives a shape of ones but for the given sizes at the given axes.
func along(rank int, axes []int, sizes []int64) []int64 {
	shape := slices.Repeat([]int64{1}, rank)
	for i, a := range axes {
		shape[a] = sizes[i]
	}
	return shape
}
