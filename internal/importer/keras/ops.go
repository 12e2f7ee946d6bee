package keras

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// opKinds gives the functions of keras.ops that functional models apply between
// their layers.
func opKinds() map[string]*kind {
	out := map[string]*kind{}
	for name, op := range map[string]string{
		"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div", "Power": "Pow", "Maximum": "Max", "Minimum": "Min",
		"Equal": "Equal", "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "Less": "Less", "LessEqual": "LessOrEqual",
		"LogicalAnd": "And", "LogicalOr": "Or", "Matmul": "MatMul",
	} {
		out["ops."+name] = &kind{kwargs: "x y x1 x2", run: binary(op)}
	}
	out["ops.NotEqual"] = &kind{kwargs: "x1 x2", run: func(c *converter, l *layer, in call) (value, error) {
		v, err := binary("Equal")(c, l, in)
		if err != nil {
			return v, err
		}
		return one(c.op(l, "Not", v.name)), nil
	}}
	for name, op := range map[string]string{
		"Absolute": "Abs", "Abs": "Abs", "Negative": "Neg", "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Sin": "Sin", "Cos": "Cos", "Tanh": "Tanh", "Sign": "Sign",
		"Floor": "Floor", "Ceil": "Ceil", "Erf": "Erf", "Reciprocal": "Reciprocal",
		"Relu": "Relu", "Sigmoid": "Sigmoid", "Softplus": "Softplus", "Softsign": "Softsign", "Selu": "Selu",
	} {
		out["ops."+name] = &kind{kwargs: "x", run: numeric(func(c *converter, l *layer, x string) (string, error) { return c.op(l, op, x), nil })}
	}
	for name, f := range map[string]string{
		"Relu6": "relu6", "Silu": "silu", "LogSigmoid": "log_sigmoid", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh", "TanhShrink": "tanh_shrink",
	} {
		out["ops."+name] = &kind{kwargs: "x", run: numeric(func(c *converter, l *layer, x string) (string, error) { return c.activate(l, f, x) })}
	}
	for name, op := range map[string]string{"Mean": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin", "Prod": "ReduceProd", "Logsumexp": "ReduceLogSumExp"} {
		out["ops."+name] = &kind{fields: "axis keepdims", kwargs: "x", run: unary(func(c *converter, l *layer, x string) (string, error) { return c.reduced(l, op, x) })}
	}
	for name, k := range moreOps() {
		out["ops."+name] = k
	}
	return out
}

func moreOps() map[string]*kind {
	axis := "axis keepdims"
	return map[string]*kind{
		"Any": {fields: axis, run: unary(anyOf)},
		"All": {fields: axis, run: unary(allOf)},
		"LogicalNot": {run: unary(func(c *converter, l *layer, x string) (string, error) {
			return c.op(l, "Not", c.cast(l, x, tensor.Bool)), nil
		})},
		"Var": {fields: axis, run: numeric(variance)},
		"Std": {fields: axis, run: numeric(func(c *converter, l *layer, x string) (string, error) {
			y, err := variance(c, l, x)
			return c.op(l, "Sqrt", y), err
		})},
		"Norm":   {fields: axis + " ord", run: numeric(norm)},
		"Argmax": {fields: axis, run: unary(arg("ArgMax"))},
		"Argmin": {fields: axis, run: unary(arg("ArgMin"))},
		"Square": {run: numeric(func(c *converter, l *layer, x string) (string, error) { return c.op2(l, "Mul", x, x), nil })},
		"Squareplus": {fields: "b", run: numeric(func(c *converter, l *layer, x string) (string, error) {
			return squareplusOf(c, l, x, l.Cfg.Num("b", 4)), nil
		})},
		"Rsqrt": {run: numeric(func(c *converter, l *layer, x string) (string, error) {
			return c.op(l, "Reciprocal", c.op(l, "Sqrt", x)), nil
		})},
		"Gelu": {fields: "approximate", run: numeric(geluOp)},
		"LeakyRelu": {fields: "negative_slope", run: numeric(func(c *converter, l *layer, x string) (string, error) {
			return c.op(l, "LeakyRelu", x, onnx.AFloat("alpha", float32(l.Cfg.Num("negative_slope", 0.2)))), nil
		})},
		"Elu":         {fields: "alpha", run: numeric(elu)},
		"Softmax":     {fields: "axis", run: numeric(along("Softmax"))},
		"LogSoftmax":  {fields: "axis", run: numeric(along("LogSoftmax"))},
		"Normalize":   {fields: "axis order epsilon", run: numeric(normalizeOp)},
		"Clip":        {fields: "x_min x_max", run: numeric(clipOp)},
		"Cast":        {fields: "dtype", run: castOp},
		"OneHot":      {fields: "num_classes axis", run: unary(oneHot)},
		"ZerosLike":   {run: likeOp(0)},
		"OnesLike":    {run: likeOp(1)},
		"Reshape":     {fields: "newshape", run: unary(reshapeOp)},
		"Transpose":   {fields: "axes", run: unary(transposeOp)},
		"Swapaxes":    {fields: "axis1 axis2", run: unary(swapAxes)},
		"ExpandDims":  {fields: "axis", run: unary(expandDims)},
		"Squeeze":     {fields: "axis", run: unary(squeeze)},
		"Concatenate": {fields: "axis", kwargs: "axis", run: concatenate},
		"Stack":       {fields: "axis", run: stack},
		"Split":       {fields: "indices_or_sections axis", run: split},
		"Where":       {kwargs: "x1 x2", run: whereOp},
		"GetItem":     {kwargs: "key", run: getItem},
		"Take":        {fields: "axis", kwargs: "indices", run: take},
		"Tile":        {fields: "repeats", run: unary(tile)},
		"Repeat":      {fields: "repeats axis", run: unary(repeatOp)},
		"Flip":        {fields: "axis", run: unary(flip)},
		"Pad":         {fields: "pad_width mode", kwargs: "constant_values", run: padOp},
		"Einsum":      {fields: "subscripts", run: einsum},
		"Identity":    {run: unary(identity)},
	}
}

// operands gives the arguments of a function in order, also those given by name;
// constants are of the type of the tensor that they meet.
func (c *converter) operands(l *layer, in call, names ...string) ([]string, error) {
	args := slices.Clone(in.args)
	for _, n := range names {
		if v, ok := in.kwargs[n]; ok {
			args = append(args, v)
		}
	}
	meets := tensor.Undefined
	for _, a := range args {
		if !a.isTensor() {
			continue
		}
		switch t := c.b.DType(a.name); {
		case meets == tensor.Undefined:
			meets = t
		case meets != t:
			meets = wider(meets, t)
		}
	}
	if meets == tensor.Undefined {
		return nil, c.refuse(l, "it works on constants only")
	}
	// A fraction makes whole numbers floats.
	for _, a := range args {
		if vs, ok := kerasfile.Floats(a.konst); ok && !a.isTensor() && meets != tensor.Float32 && slices.ContainsFunc(vs, func(v float64) bool { return v != float64(int64(v)) }) {
			meets = tensor.Float32
		}
	}
	var out []string
	for _, a := range args {
		if a.isTensor() {
			out = append(out, c.cast(l, a.name, meets))
			continue
		}
		t, ok := kerasfile.Array(a.konst)
		if !ok {
			return nil, c.refuse(l, "its argument %.60v is not supported", a.konst)
		}
		name := c.constant(l, "constant", t)
		if len(t.Shape) == 0 {
			name = c.b.Number(meets, float64(tensor.As[float32](t)[0]))
		} else if meets != tensor.Float32 {
			name = c.cast(l, name, meets)
		}
		out = append(out, name)
	}
	return out, nil
}

func wider(a, b tensor.DType) tensor.DType {
	for _, t := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32} {
		if a == t || b == t {
			return t
		}
	}
	return tensor.Float32
}

func binary(op string) runner {
	return func(c *converter, l *layer, in call) (value, error) {
		if len(in.args) == 1 && len(in.args[0].list) > 1 { // as a layer is called
			in = call{args: in.args[0].list, kwargs: in.kwargs}
		}
		xs, err := c.operands(l, in, "x", "y", "x1", "x2")
		if err != nil {
			return value{}, err
		}
		if len(xs) != 2 {
			return value{}, c.invalid(l, "it takes two arguments, and is given %d", len(xs))
		}
		switch op {
		case "Div", "Pow":
			xs[0], xs[1] = c.float(l, xs[0]), c.float(l, xs[1])
		case "And", "Or":
			xs[0], xs[1] = c.cast(l, xs[0], tensor.Bool), c.cast(l, xs[1], tensor.Bool)
		}
		return one(c.op2(l, op, xs[0], xs[1])), nil
	}
}

// reductionAxes gives the axes that a setting names; none means all.
func (c *converter) reductionAxes(l *layer, x string) ([]int64, int64, error) {
	keep := int64(0)
	if l.Cfg.Flag("keepdims", false) {
		keep = 1
	}
	if l.Cfg["axis"] == nil {
		var all []int64
		for i := range c.rank(x) {
			all = append(all, int64(i))
		}
		return all, keep, nil
	}
	axes, err := c.axes(l, l.Cfg["axis"], x)
	return axes, keep, err
}

func (c *converter) reduced(l *layer, op, x string) (string, error) {
	axes, keep, err := c.reductionAxes(l, x)
	if err != nil {
		return "", err
	}
	if op != "ReduceMax" && op != "ReduceMin" {
		x = c.float(l, x)
	}
	if op == "ReduceSum" {
		return c.op2(l, op, x, c.b.Ints(axes...), onnx.AInt("keepdims", keep)), nil
	}
	return c.op(l, op, x, onnx.AInts("axes", axes...), onnx.AInt("keepdims", keep)), nil
}

func anyOf(c *converter, l *layer, x string) (string, error) {
	y, err := c.reduced(l, "ReduceMax", c.cast(l, c.cast(l, x, tensor.Bool), tensor.Float32))
	return c.cast(l, y, tensor.Bool), err
}

func allOf(c *converter, l *layer, x string) (string, error) {
	y, err := c.reduced(l, "ReduceMin", c.cast(l, c.cast(l, x, tensor.Bool), tensor.Float32))
	return c.cast(l, y, tensor.Bool), err
}

func variance(c *converter, l *layer, x string) (string, error) {
	axes, keep, err := c.reductionAxes(l, x)
	if err != nil {
		return "", err
	}
	d := c.op2(l, "Sub", x, c.op(l, "ReduceMean", x, onnx.AInts("axes", axes...)))
	return c.op(l, "ReduceMean", c.op2(l, "Mul", d, d), onnx.AInts("axes", axes...), onnx.AInt("keepdims", keep)), nil
}

func norm(c *converter, l *layer, x string) (string, error) {
	if ord := l.Cfg["ord"]; ord != nil && ord != 2.0 && ord != "fro" {
		return "", c.refuse(l, "ord %v is not supported", ord)
	}
	axes, keep, err := c.reductionAxes(l, x)
	return c.op(l, "ReduceL2", x, onnx.AInts("axes", axes...), onnx.AInt("keepdims", keep)), err
}

func arg(op string) func(c *converter, l *layer, x string) (string, error) {
	return func(c *converter, l *layer, x string) (string, error) {
		axes, keep, err := c.reductionAxes(l, x)
		if err != nil {
			return "", err
		}
		if len(axes) != 1 {
			return "", c.refuse(l, "only one axis is supported")
		}
		return c.cast(l, c.op(l, op, x, onnx.AInt("axis", axes[0]), onnx.AInt("keepdims", keep)), tensor.Int32), nil
	}
}

func geluOp(c *converter, l *layer, x string) (string, error) {
	if l.Cfg.Flag("approximate", true) {
		return c.geluTanh(l, x), nil
	}
	return c.gelu(l, x), nil
}

func along(op string) func(c *converter, l *layer, x string) (string, error) {
	return func(c *converter, l *layer, x string) (string, error) {
		axis, err := c.axis(l, l.Cfg.Int("axis", -1), x)
		return c.op(l, op, x, onnx.AInt("axis", int64(axis))), err
	}
}

func normalizeOp(c *converter, l *layer, x string) (string, error) {
	if l.Cfg.Num("order", 2) != 2 {
		return "", c.refuse(l, "only order 2 is supported")
	}
	return unitNorm(c, l, x)
}

func clipOp(c *converter, l *layer, x string) (string, error) {
	low, ok1 := kerasfile.Number(l.Cfg["x_min"])
	high, ok2 := kerasfile.Number(l.Cfg["x_max"])
	if !ok1 || !ok2 {
		return "", c.refuse(l, "limits that are no numbers are not supported")
	}
	return c.clip(l, x, low, high), nil
}

func castOp(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, in)
	if err != nil {
		return value{}, err
	}
	name := l.Cfg.Text("dtype")
	t, ok := tensor.ParseDType(name)
	switch {
	case name == "float16" || name == "bfloat16" || name == "float64":
		t = tensor.Float32
	case !ok || t == tensor.String:
		return value{}, c.refuse(l, "the type %.40q is not supported", name)
	}
	return value{name: c.cast(l, v.name, t), mask: v.mask}, nil
}

func oneHot(c *converter, l *layer, x string) (string, error) {
	if l.Cfg.Int("axis", -1) != -1 {
		return "", c.refuse(l, "only the last axis is supported")
	}
	return c.b.Op(l.Path, "OneHot", []string{c.cast(l, x, tensor.Int64), c.b.Int(l.Cfg.Int("num_classes", 0)), c.b.Floats(0, 1)}, onnx.AInt("axis", -1)), nil
}

// likeOp fills the shape of its input with a number.
func likeOp(n float64) runner {
	return func(c *converter, l *layer, in call) (value, error) {
		v, err := c.only(l, in)
		if err != nil {
			return value{}, err
		}
		t, ok := tensor.ParseDType(l.Cfg.Text("dtype"))
		if !ok {
			t = c.b.DType(v.name)
		}
		return one(c.op2(l, "Expand", c.b.Number(t, n), c.op(l, "Shape", v.name))), nil
	}
}
