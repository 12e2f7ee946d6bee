package keras

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// entry is an input of the whole model.
type entry struct {
	name  string
	shape []any // numbers, nil where a size is free; the first is the batch
	dtype string

	prefix string // of the names of its free sizes, where there are several inputs
}

// outputNames gives the layers that make the outputs.
func outputNames(l *layer) []string {
	if l.Model.Sequential {
		return []string{l.Model.Layers[len(l.Model.Layers)-1].Name}
	}
	var out []string
	for _, r := range l.Model.Outs {
		out = append(out, r.Layer)
	}
	return out
}

// shapeOf gives the shape that a layer's settings name for its input.
func shapeOf(l *layer) []any {
	if s := kerasfile.AsList(l.Cfg.First("batch_shape", "batch_input_shape")); s != nil {
		return s
	}
	if s := kerasfile.AsList(l.Cfg["input_shape"]); s != nil {
		return append([]any{nil}, s...)
	}
	if n, ok := l.Cfg["input_dim"].(float64); ok && (l.Kind == "Dense" || l.Kind == "MaxoutDense" || l.Kind == "Highway") {
		return []any{nil, n}
	}
	if l.Kind == "Embedding" {
		return []any{nil, l.Cfg["input_length"]}
	}
	return nil
}

func dtypeOf(l *layer) string {
	if l.Kind == "Embedding" && l.Cfg.Text("input_dtype") == "" {
		return "float32"
	}
	if t := l.Cfg.Text("input_dtype"); t != "" {
		return t
	}
	if l.Kind == "InputLayer" {
		if t := l.Cfg.Text("dtype"); t != "" {
			return t
		}
		return kerasfile.AsMap(kerasfile.AsMap(l.Cfg["dtype"])["config"]).Text("name")
	}
	return ""
}

// entries gives what the whole model, or one that begins a sequential one, takes.
func entries(l *layer) []entry {
	switch {
	case l.Model == nil && l.Kind == "Merge":
		var out []entry
		for _, k := range l.Subs {
			out = append(out, entries(k.Layer)...)
		}
		return out
	case l.Model == nil:
		return []entry{{name: l.Name + "_input", shape: shapeOf(l), dtype: dtypeOf(l)}}
	case !l.Model.Sequential:
		var out []entry
		for _, r := range l.Model.Ins {
			if k := l.Model.ByName[r.Layer]; k != nil {
				out = append(out, entry{name: k.Name, shape: shapeOf(k), dtype: dtypeOf(k)})
			}
		}
		return out
	}
	first := l.Model.Layers[0]
	if first.Kind == "InputLayer" {
		return []entry{{name: first.Name, shape: shapeOf(first), dtype: dtypeOf(first)}}
	}
	out := entries(first)
	if first.Model != nil && len(out) == 1 {
		out[0].name = first.Name + "_input"
	}
	for _, v := range []any{l.Cfg["build_input_shape"], l.Built["input_shape"]} {
		if s := kerasfile.AsList(v); len(out) == 1 && out[0].shape == nil && s != nil {
			out[0].shape = s
		}
	}
	return out
}

// inputs makes the inputs of the whole model.
func (c *converter) inputs(root *layer) ([]value, error) {
	entries := entries(root)
	if len(entries) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "%s: the model names no inputs", c.source.File)
	}
	var out []value
	for _, e := range entries {
		if len(entries) > 1 {
			e.prefix = e.name + "_"
		}
		name, err := c.input(e)
		if err != nil {
			return nil, err
		}
		out = append(out, one(name))
	}
	if first := root.Model.Layers[0]; root.Model.Sequential && first.Kind == "Merge" {
		return []value{{list: out}}, nil
	}
	return out, nil
}

func (c *converter) input(e entry) (string, error) {
	shape, given := c.shapes[e.name]
	if !given {
		if e.shape == nil {
			return "", stoa.Errorf(stoa.Invalid, "%s: nothing in the model tells the shape of its input %q: give it, as in --shape %s=-1,224,224,3", c.source.File, e.name, e.name)
		}
		for _, d := range e.shape {
			n := kerasfile.Whole(d, -1)
			if d != nil && n < 0 {
				return "", stoa.Errorf(stoa.Invalid, "%s: the shape of its input %q makes no sense", c.source.File, e.name)
			}
			shape = append(shape, n)
		}
		if len(shape) > 16 {
			return "", stoa.Errorf(stoa.Invalid, "%s: the shape of its input %q has %d sizes", c.source.File, e.name, len(shape))
		}
	}
	t, err := c.inputType(e)
	if err != nil {
		return "", err
	}
	spatial := c.spatialOf(len(shape))
	dims := make([]onnx.Dim, len(shape))
	for i, n := range shape {
		at := slices.Index(spatial, i)
		switch {
		case i == 0 && n < 0:
			dims[i] = onnx.Named("batch")
		case at >= 0 && (n < 0 || c.open && !given):
			dims[i] = onnx.Named(e.prefix + []string{"height", "width"}[at])
			if n >= 0 {
				c.bound[dims[i].Param] = n
				c.note("the file names a size of %d for the %s of %s; the network takes others too", n, []string{"height", "width"}[at], e.name)
			}
		case n < 0:
			dims[i] = onnx.Named(e.prefix + freeName(i, len(shape)))
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
		return t, stoa.Errorf(stoa.Unsupported, "%s: its input %q is of type %.40q, which is not supported", c.source.File, e.name, e.dtype)
	}
	return t, nil
}

// spatialOf gives the axes of height and width of an input that is a picture.
func (c *converter) spatialOf(rank int) []int {
	if rank != 4 {
		return nil
	}
	switch c.pictures {
	case "channels_first", "th":
		return []int{2, 3}
	case "channels_last", "tf":
		return []int{1, 2}
	}
	return nil
}

// picturesOf gives the order of axes of the first layer that names one.
func picturesOf(l *layer) string {
	if order := order(l); order != "" && l.Kind != "Flatten" {
		return order
	}
	for _, k := range l.Within() {
		if o := picturesOf(k); o != "" {
			return o
		}
	}
	return ""
}

// order gives a layer's setting for where channels lie; "" where it has none.
func order(l *layer) string {
	if o := l.Cfg.Text("data_format"); o != "" && o != "default" {
		return o
	}
	return l.Cfg.Text("dim_ordering")
}

// channelsFirst tells whether channels stand before rows and columns. Keras 1 has
// layers that do not say, and then it is as elsewhere in the model.
func (c *converter) channelsFirst(l *layer) bool {
	o := order(l)
	if o == "" && c.source.Era() == 1 {
		o = c.pictures
	}
	return o == "channels_first" || o == "th"
}
