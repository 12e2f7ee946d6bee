package jit

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// makeInputs makes the values that forward takes.
func (c *Converter) makeInputs(def *torchscript.Func, specs []spec, t trial) []Value {
	c.at.file, c.at.line = def.File, def.Line
	var out []Value
	for _, a := range def.Params[min(1, len(def.Params)):] {
		v, ok := c.inputOf(a.Name, a.Type, specs, t)
		switch {
		case ok:
			out = append(out, v)
		case a.Default != nil:
			out = append(out, c.eval(&frame{}, a.Default))
		case isOptional(a.Type):
			out = append(out, nil)
		default:
			c.Fail(stoa.Unsupported, "forward takes %s of a type that is no tensor: wrap the module in one whose forward takes tensors only", a.Name)
		}
	}
	return out
}

func isOptional(t torchscript.Expr) bool {
	i, ok := t.(*torchscript.Index)
	return ok && torchscript.Dotted(i.X) == "Optional"
}

// inputOf makes the input, or the tuple of inputs, of a parameter.
func (c *Converter) inputOf(name string, t torchscript.Expr, specs []spec, tr trial) (Value, bool) {
	if torchscript.Dotted(t) == "Tensor" || t == nil {
		return c.makeInput(name, specs, tr), true
	}
	i, ok := t.(*torchscript.Index)
	if !ok || torchscript.Dotted(i.X) != "Tuple" {
		return nil, false
	}
	parts := []torchscript.Expr{i.At}
	if p, ok := i.At.(*torchscript.Tuple); ok {
		parts = p.Items
	}
	var out Tuple
	for k, part := range parts {
		v, ok := c.inputOf(fmt.Sprintf("%s_%d", name, k), part, specs, tr)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// The sizes that are tried: of the batch, and of others by what they are. They
// lie far apart, so that they differ after many halvings too; some are odd, some
// even, unless all are to be multiples of 32; and one is what pictures usually
// have.
var (
	batchSizes = [probes]int64{2, 3, 5, 9, 4, 7}
	// Pictures: small ones too, or large ones only; both also as multiples of 32.
	oddSizes  = [][probes]int64{{65, 224, 331, 510, 1013, 150}, {71, 224, 509, 302, 1103, 191}, {82, 224, 733, 411, 1250, 167}}
	bigSizes  = [][probes]int64{{224, 299, 331, 510, 1013, 640}, {224, 299, 509, 302, 1103, 720}, {224, 299, 733, 411, 1250, 600}}
	evenSizes = [][probes]int64{{64, 224, 512, 320, 1088, 192}, {96, 224, 384, 640, 1216, 256}, {128, 224, 448, 960, 1312, 160}}
	highSizes = [][probes]int64{{224, 256, 512, 320, 1088, 448}, {224, 288, 384, 640, 1216, 480}, {224, 320, 448, 960, 1312, 544}}
	// Frames of films, words of texts, and numbers of channels.
	deepSizes  = [][probes]int64{{16, 33, 65, 24, 97, 40}}
	textSizes  = [][probes]int64{{7, 19, 41, 12, 30, 16}, {9, 22, 47, 13, 34, 28}, {10, 17, 43, 31, 24, 36}}
	shortSizes = [][probes]int64{{3, 5, 7, 8, 4, 10}, {4, 6, 9, 5, 8, 3}, {5, 3, 8, 6, 10, 7}}
	manySizes  = [][probes]int64{{37, 141, 343, 59, 64, 96}, {47, 153, 359, 61, 72, 128}, {61, 167, 371, 83, 80, 160}}
)

func (c *Converter) makeInput(name string, specs []spec, t trial) Value {
	at := len(c.Inputs)
	c.Inputs = append(c.Inputs, input{Name: name})
	if at >= len(specs) || specs[at].dims == nil {
		return &Tensor{Blank: at + 1}
	}
	s := specs[at]
	dims, free := make([]onnx.Dim, len(s.dims)), make([]*Num, len(s.dims))
	for i, d := range s.dims {
		if n, ok := t.fix[s.names[i]]; ok && d < 0 {
			d = n
		}
		if d >= 0 {
			dims[i] = onnx.Fixed(d)
			continue
		}
		free[i], dims[i] = c.freeDim(at, i, s, t)
	}
	c.Inputs[at] = input{Name: name, dtype: s.dtype, dims: dims, free: free}
	if c.B.Input(name, s.dtype, dims...); c.B.Err() != nil {
		c.Fail(stoa.Invalid, "%s", stoa.AsError(c.B.Err()).Msg)
	}
	for p := range c.probe {
		shape := slices.Clone(dims)
		for i, f := range free {
			if f != nil {
				shape[i] = onnx.Fixed(f.N[p])
			}
		}
		c.probe[p].Value(name, s.dtype, shape)
	}
	return &Tensor{Name: name}
}

// freeDim names a free dimension and gives the sizes that are tried for it.
func (c *Converter) freeDim(at, axis int, s spec, t trial) (*Num, onnx.Dim) {
	name := s.names[axis]
	if same, ok := s.same[axis]; ok {
		for _, in := range c.Inputs[:at] {
			for i, d := range in.dims {
				if d.Param == same {
					return in.free[i], d
				}
			}
		}
	}
	if name == "batch" {
		return &Num{N: batchSizes}, onnx.Named(name)
	}
	table := t.table(name, axis, s)
	n := axis
	if !t.shared && at > 0 {
		n += at
		name = c.Inputs[at].Name + "_" + name
	}
	return &Num{N: table[n%len(table)]}, onnx.Named(name)
}

// table gives the sizes that are tried for a dimension, by what it is.
func (t trial) table(name string, axis int, s spec) [][probes]int64 {
	switch {
	case s.dtype == tensor.Int64, name == "length" && axis < 2:
		if t.even || t.small {
			return shortSizes
		}
		return textSizes
	case name == "channels" || name == "features" || len(s.dims) < 3:
		return manySizes
	case name == "depth":
		return deepSizes
	case t.even && t.large:
		return highSizes
	case t.even:
		return evenSizes
	case t.large:
		return bigSizes
	}
	return oddSizes
}
