package keras

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// entry is an input of the whole model.
type entry struct {
	name  string
	shape []any // numbers, nil where a size is free; the first is the batch
	dtype string
}

// outputNames gives the layers that make the outputs.
func (l *layer) outputNames() []string {
	if l.model.sequential {
		return []string{l.model.layers[len(l.model.layers)-1].name}
	}
	var out []string
	for _, r := range l.model.outs {
		out = append(out, r.layer)
	}
	return out
}

// shapeOf gives the shape that a layer's settings name for its input.
func (l *layer) shapeOf() []any {
	if s := asList(l.cfg.first("batch_shape", "batch_input_shape")); s != nil {
		return s
	}
	if s := asList(l.cfg["input_shape"]); s != nil {
		return append([]any{nil}, s...)
	}
	if n, ok := l.cfg["input_dim"].(float64); ok && (l.kind == "Dense" || l.kind == "MaxoutDense" || l.kind == "Highway") {
		return []any{nil, n}
	}
	if l.kind == "Embedding" {
		return []any{nil, l.cfg["input_length"]}
	}
	return nil
}

func (l *layer) dtypeOf() string {
	if l.kind == "Embedding" && l.cfg.text("input_dtype") == "" {
		return "float32"
	}
	if t := l.cfg.text("input_dtype"); t != "" {
		return t
	}
	if l.kind == "InputLayer" {
		if t := l.cfg.text("dtype"); t != "" {
			return t
		}
		return asMap(asMap(l.cfg["dtype"])["config"]).text("name")
	}
	return ""
}

// entries gives what the whole model, or one that begins a sequential one, takes.
func (l *layer) entries() []entry {
	switch {
	case l.model == nil && l.kind == "Merge":
		var out []entry
		for _, k := range l.subs {
			out = append(out, k.layer.entries()...)
		}
		return out
	case l.model == nil:
		return []entry{{l.name + "_input", l.shapeOf(), l.dtypeOf()}}
	case !l.model.sequential:
		var out []entry
		for _, r := range l.model.ins {
			if k := l.model.byName[r.layer]; k != nil {
				out = append(out, entry{k.name, k.shapeOf(), k.dtypeOf()})
			}
		}
		return out
	}
	first := l.model.layers[0]
	if first.kind == "InputLayer" {
		return []entry{{first.name, first.shapeOf(), first.dtypeOf()}}
	}
	out := first.entries()
	if first.model != nil && len(out) == 1 {
		out[0].name = first.name + "_input"
	}
	for _, v := range []any{l.cfg["build_input_shape"], l.built["input_shape"]} {
		if s := asList(v); len(out) == 1 && out[0].shape == nil && s != nil {
			out[0].shape = s
		}
	}
	return out
}

// inputs makes the inputs of the whole model.
func (c *converter) inputs(root *layer) ([]value, error) {
	entries := root.entries()
	if len(entries) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "%s: the model names no inputs", c.source.file)
	}
	var out []value
	for _, e := range entries {
		name, err := c.input(root, e, len(entries) > 1)
		if err != nil {
			return nil, err
		}
		out = append(out, one(name))
	}
	if first := root.model.layers[0]; root.model.sequential && first.kind == "Merge" {
		return []value{{list: out}}, nil
	}
	return out, nil
}

func (c *converter) input(root *layer, e entry, several bool) (string, error) {
	shape, given := c.shapes[e.name]
	if !given {
		if e.shape == nil {
			return "", stoa.Errorf(stoa.Invalid, "%s: nothing in the model tells the shape of its input %q: give it, as in --shape %s=-1,224,224,3", c.source.file, e.name, e.name)
		}
		for _, d := range e.shape {
			n := whole(d, -1)
			if d != nil && n < 0 {
				return "", stoa.Errorf(stoa.Invalid, "%s: the shape of its input %q makes no sense", c.source.file, e.name)
			}
			shape = append(shape, n)
		}
		if len(shape) > 16 {
			return "", stoa.Errorf(stoa.Invalid, "%s: the shape of its input %q has %d sizes", c.source.file, e.name, len(shape))
		}
	}
	t, err := c.inputType(e)
	if err != nil {
		return "", err
	}
	prefix := ""
	if several {
		prefix = e.name + "_"
	}
	spatial := c.spatialOf(root, len(shape))
	dims := make([]onnx.Dim, len(shape))
	for i, n := range shape {
		at := slices.Index(spatial, i)
		switch {
		case i == 0 && n < 0:
			dims[i] = onnx.Named("batch")
		case at >= 0 && (n < 0 || c.open && !given):
			dims[i] = onnx.Named(prefix + []string{"height", "width"}[at])
			if n >= 0 {
				c.bound[dims[i].Param] = n
				c.note("the file names a size of %d for the %s of %s; the network takes others too", n, []string{"height", "width"}[at], e.name)
			}
		case n < 0:
			dims[i] = onnx.Named(prefix + freeName(i, len(shape)))
		default:
			dims[i] = onnx.Fixed(n)
		}
	}
	return c.b.Input(e.name, t, dims...), nil
}

func freeName(axis, rank int) string {
	if axis == 1 && rank <= 3 {
		return "steps"
	}
	return "size" + string(rune('0'+axis%10))
}

func (c *converter) inputType(e entry) (tensor.DType, error) {
	switch e.dtype {
	case "", "float32":
		return tensor.Float32, nil
	case "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16":
		c.note("input %s is taken as float32, and not as %s", e.name, e.dtype)
		return tensor.Float32, nil
	}
	t, ok := tensor.ParseDType(e.dtype)
	if !ok || t == tensor.String {
		return t, stoa.Errorf(stoa.Unsupported, "%s: its input %q is of type %.40q, which is not supported", c.source.file, e.name, e.dtype)
	}
	return t, nil
}

// spatialOf gives the axes of height and width of an input that is a picture.
func (c *converter) spatialOf(root *layer, rank int) []int {
	if rank != 4 {
		return nil
	}
	switch picturesOf(root) {
	case "channels_first", "th":
		return []int{2, 3}
	case "channels_last", "tf":
		return []int{1, 2}
	}
	return nil
}

// picturesOf gives the order of axes of the first layer that names one.
func picturesOf(l *layer) string {
	if order := l.order(); order != "" && l.kind != "Flatten" {
		return order
	}
	for _, k := range l.within() {
		if o := picturesOf(k); o != "" {
			return o
		}
	}
	return ""
}

// order gives a layer's setting for where channels lie; "" where it has none.
func (l *layer) order() string {
	if o := l.cfg.text("data_format"); o != "" && o != "default" {
		return o
	}
	return l.cfg.text("dim_ordering")
}

// channelsFirst tells whether channels stand before rows and columns.
func (l *layer) channelsFirst() bool {
	o := l.order()
	return o == "channels_first" || o == "th"
}
