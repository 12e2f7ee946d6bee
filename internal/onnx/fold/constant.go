package fold

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// constants replaces nodes whose outputs follow from the model alone.
func (f *folder) constants() {
	kept := f.graph.Nodes[:0:0]
	for _, n := range f.graph.Nodes {
		t := f.constant(n)
		if t == nil || f.added+len(t.Data) > maxAdded {
			kept = append(kept, n)
			continue
		}
		f.added += len(t.Data)
		t.Name = n.Outputs[0]
		f.weights[t.Name] = t
		f.graph.Initializers = append(f.graph.Initializers, t)
	}
	f.graph.Nodes = kept
}

// constant gives what a node makes, where that is known and small.
func (f *folder) constant(n *onnx.Node) *onnx.Tensor {
	if n.Domain != "" && n.Domain != "ai.onnx" || len(n.Outputs) != 1 || f.outputs[n.Outputs[0]] {
		return nil
	}
	if vs, ok := f.shapes.Ints(n.Outputs[0]); ok {
		return f.ints(n.Outputs[0], vs)
	}
	if n.Op == "Constant" {
		return constantOf(n)
	}
	in := make([]*onnx.Tensor, len(n.Inputs))
	for i, name := range n.Inputs {
		if in[i] = f.weights[name]; in[i] == nil && name != "" || in[i] != nil && in[i].External != nil {
			return nil
		}
	}
	if len(in) == 0 || in[0] == nil {
		return nil
	}
	t := f.compute(n, in)
	// What only changes the shape of a weight is a view of it, and costs nothing.
	if t == nil || len(t.Data) > maxConstant && !view(t, in[0]) {
		return nil
	}
	return t
}

func view(a, b *onnx.Tensor) bool {
	return len(a.Data) == len(b.Data) && len(a.Data) > 0 && &a.Data[0] == &b.Data[0]
}

// ints makes the array that the inference of shapes found.
func (f *folder) ints(name string, vs []int64) *onnx.Tensor {
	t, shape := f.shapes.Of(name)
	size := []int64{}
	for _, d := range shape {
		if !d.Known() {
			return nil
		}
		size = append(size, d.Value)
	}
	if n, err := tensor.Elements(size); shape == nil || err != nil || n != int64(len(vs)) {
		return nil
	}
	if t == tensor.Int32 {
		small := make([]int32, len(vs))
		for i, v := range vs {
			small[i] = int32(v)
		}
		return onnx.NewTensor("", tensor.Of(small, size...))
	}
	return onnx.NewTensor("", tensor.Of(vs, size...))
}

func constantOf(n *onnx.Node) *onnx.Tensor {
	for i := range n.Attrs {
		switch a := &n.Attrs[i]; {
		case a.T != nil && a.T.DType.Size() > 0 && a.T.External == nil:
			t := *a.T
			return &t
		case a.Name == "value_float":
			return onnx.NewTensor("", tensor.Of([]float32{a.F}, []int64{}...))
		case a.Name == "value_floats":
			return onnx.NewTensor("", tensor.Of(a.Floats, int64(len(a.Floats))))
		case a.Name == "value_ints":
			return onnx.NewTensor("", tensor.Of(a.Ints, int64(len(a.Ints))))
		}
	}
	return nil
}

// compute runs a node on constants; nil where it cannot.
func (f *folder) compute(n *onnx.Node, in []*onnx.Tensor) *onnx.Tensor {
	switch n.Op {
	case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity":
		return f.reshaped(n, in[0])
	case "ConstantOfShape":
		return constantOfShape(n, in[0])
	case "Cast":
		return cast(in[0], tensor.DType(min(max(n.Int("to", 0), 0), math.MaxUint8)))
	case "Concat":
		return concat(in, n.Int("axis", 0))
	case "Gather":
		return gather(in, n.Int("axis", 0))
	case "Slice":
		return slice(in)
	case "Add", "Sub", "Mul", "Div", "Pow":
		return elementwise(n.Op, in)
	case "Sqrt", "Neg", "Exp", "Reciprocal", "Abs":
		return unary(n.Op, in[0])
	}
	return nil
}

// reshaped gives an array the shape that the inference found.
func (f *folder) reshaped(n *onnx.Node, in *onnx.Tensor) *onnx.Tensor {
	_, shape := f.shapes.Of(n.Outputs[0])
	size := []int64{}
	for _, d := range shape {
		size = append(size, d.Value)
	}
	if e, err := tensor.Bytes(in.DType, size); shape == nil || err != nil || e != int64(len(in.Data)) {
		return nil
	}
	return onnx.NewTensor("", tensor.Tensor{DType: in.DType, Shape: size, Data: in.Data})
}

func constantOfShape(n *onnx.Node, in *onnx.Tensor) *onnx.Tensor {
	value := tensor.Of([]float32{0}, 1)
	if a := n.Attr("value"); a != nil && a.T != nil {
		value = a.T.Tensor
	}
	shape := slices.Clone(in.Ints())
	size, err := tensor.Bytes(value.DType, shape)
	if err != nil || size > maxConstant || len(value.Data) != int(value.DType.Size()) {
		return nil
	}
	data := make([]byte, 0, size)
	for len(data) < int(size) {
		data = append(data, value.Data...)
	}
	return onnx.NewTensor("", tensor.Tensor{DType: value.DType, Shape: shape, Data: data})
}

func cast(in *onnx.Tensor, to tensor.DType) *onnx.Tensor {
	if len(in.Data) > maxConstant {
		return nil
	}
	switch to {
	case in.DType:
		return onnx.NewTensor("", in.Tensor)
	case tensor.Float32:
		if v := in.Floats(); v != nil {
			return onnx.NewTensor("", tensor.Of(v, in.Shape...))
		}
	case tensor.Int64:
		if v := in.Ints(); v != nil {
			return onnx.NewTensor("", tensor.Of(slices.Clone(v), in.Shape...))
		}
		if in.DType == tensor.Float32 {
			out := []int64{}
			for _, v := range in.Floats() {
				if math.Abs(float64(v)) > 1<<62 || v != v {
					return nil
				}
				out = append(out, int64(v))
			}
			return onnx.NewTensor("", tensor.Of(out, in.Shape...))
		}
	}
	return nil
}

// place gives an axis counted from the front, and the sizes before and behind
// it; ok is false where it lies outside.
func place(shape []int64, axis int64) (at int, before, behind int64, ok bool) {
	if axis < 0 {
		axis += int64(len(shape))
	}
	if axis < 0 || axis >= int64(len(shape)) {
		return 0, 0, 0, false
	}
	before, err1 := tensor.Elements(shape[:axis])
	behind, err2 := tensor.Elements(shape[axis+1:])
	return int(axis), before, behind, err1 == nil && err2 == nil
}

func concat(in []*onnx.Tensor, axis int64) *onnx.Tensor {
	at, before, _, ok := place(in[0].Shape, axis)
	if !ok {
		return nil
	}
	shape := slices.Clone(in[0].Shape)
	shape[at] = 0
	total := 0
	for _, t := range in {
		if t == nil || t.DType != in[0].DType || len(t.Shape) != len(shape) || before == 0 {
			return nil
		}
		shape[at] += t.Shape[at]
		total += len(t.Data)
	}
	if total > maxConstant {
		return nil
	}
	out := make([]byte, 0, total)
	for i := range int(before) {
		for _, t := range in {
			n := len(t.Data) / int(before)
			out = append(out, t.Data[i*n:(i+1)*n]...)
		}
	}
	return checked(tensor.Tensor{DType: in[0].DType, Shape: shape, Data: out})
}

// checked gives a tensor whose length is what its shape says, or nothing.
func checked(t tensor.Tensor) *onnx.Tensor {
	if t.Check() != nil {
		return nil
	}
	return onnx.NewTensor("", t)
}

func gather(in []*onnx.Tensor, axis int64) *onnx.Tensor {
	if len(in) != 2 || in[1] == nil {
		return nil
	}
	at, before, behind, ok := place(in[0].Shape, axis)
	index := in[1].Ints()
	size := behind * in[0].DType.Size()
	if !ok || index == nil || size == 0 || before > maxConstant || int64(len(index)) > maxConstant || size > maxConstant ||
		before*int64(len(index))*size > maxConstant {
		return nil
	}
	n := in[0].Shape[at]
	var out []byte
	for b := range before {
		for _, i := range index {
			if i < 0 {
				i += n
			}
			if i < 0 || i >= n {
				return nil
			}
			from := (b*n + i) * size
			out = append(out, in[0].Data[from:from+size]...)
		}
	}
	shape := slices.Concat(in[0].Shape[:at], in[1].Shape, in[0].Shape[at+1:])
	return checked(tensor.Tensor{DType: in[0].DType, Shape: shape, Data: out})
}

// slice cuts one axis of an array, the form that the arithmetic of shapes uses.
func slice(in []*onnx.Tensor) *onnx.Tensor {
	if len(in) < 4 || in[1] == nil || in[2] == nil || in[3] == nil || len(in) > 4 && in[4] != nil {
		return nil
	}
	starts, ends, axes := in[1].Ints(), in[2].Ints(), in[3].Ints()
	if len(starts) != 1 || len(ends) != 1 || len(axes) != 1 {
		return nil
	}
	at, _, _, ok := place(in[0].Shape, axes[0])
	if !ok {
		return nil
	}
	n := in[0].Shape[at]
	clip := func(v int64) int64 {
		if v < 0 {
			v = max(v, -n) + n
		}
		return min(v, n)
	}
	index := []int64{}
	for i := clip(starts[0]); i < clip(ends[0]) && len(index) < maxConstant; i++ {
		index = append(index, i)
	}
	return gather([]*onnx.Tensor{in[0], onnx.NewTensor("", tensor.Of(index, int64(len(index))))}, int64(at))
}

// elementwise works on floats, one of which is a scalar or both of which have
// one shape.
func elementwise(op string, in []*onnx.Tensor) *onnx.Tensor {
	if len(in) != 2 || in[1] == nil || in[0].DType != tensor.Float32 || in[1].DType != tensor.Float32 ||
		max(len(in[0].Data), len(in[1].Data)) > maxConstant {
		return nil
	}
	a, b := in[0].Floats(), in[1].Floats()
	shape := in[0].Shape
	switch {
	case slices.Equal(in[0].Shape, in[1].Shape):
	case len(b) == 1 && len(in[1].Shape) <= len(shape):
	case len(a) == 1 && len(in[0].Shape) <= len(in[1].Shape):
		shape = in[1].Shape
	default:
		return nil
	}
	out := make([]float32, max(len(a), len(b)))
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	for i := range out {
		p, q := a[i%len(a)], b[i%len(b)]
		switch op {
		case "Add":
			out[i] = p + q
		case "Sub":
			out[i] = p - q
		case "Mul":
			out[i] = p * q
		case "Div":
			out[i] = p / q
		case "Pow":
			out[i] = float32(math.Pow(float64(p), float64(q)))
		}
	}
	return onnx.NewTensor("", tensor.Of(out, shape...))
}

func unary(op string, in *onnx.Tensor) *onnx.Tensor {
	if in.DType != tensor.Float32 || len(in.Data) > maxConstant {
		return nil
	}
	f := map[string]func(float64) float64{
		"Sqrt": math.Sqrt, "Exp": math.Exp, "Abs": math.Abs,
		"Neg": func(v float64) float64 { return -v }, "Reciprocal": func(v float64) float64 { return 1 / v },
	}[op]
	v := in.Floats()
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(f(float64(v[i])))
	}
	return onnx.NewTensor("", tensor.Of(out, in.Shape...))
}
