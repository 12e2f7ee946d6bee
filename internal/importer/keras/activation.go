package keras

import (
	"math"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
)

// activation makes the nodes of a function of Keras.
type activation = func(c *converter, l *layer, x string) string

// single is an activation that is one operator.
func single(op string, attrs ...onnx.Attribute) activation {
	return func(c *converter, l *layer, x string) string { return c.op(l, op, x, attrs...) }
}

// activations maps the functions that layers may have as a setting.
func activations() map[string]activation {
	last := onnx.AInt("axis", -1)
	return map[string]activation{
		"linear":       func(_ *converter, _ *layer, x string) string { return x },
		"relu":         single("Relu"),
		"relu6":        func(c *converter, l *layer, x string) string { return c.clip(l, x, 0, 6) },
		"leaky_relu":   single("LeakyRelu", onnx.AFloat("alpha", 0.2)),
		"sigmoid":      single("Sigmoid"),
		"tanh":         single("Tanh"),
		"softmax":      single("Softmax", last),
		"log_softmax":  single("LogSoftmax", last),
		"softplus":     single("Softplus"),
		"softsign":     single("Softsign"),
		"elu":          single("Elu"),
		"selu":         single("Selu"),
		"celu":         single("Celu"),
		"exponential":  single("Exp"),
		"hard_sigmoid": hardSigmoid,
		"hard_silu":    hardSilu,
		"hard_swish":   hardSilu,
		"silu":         silu,
		"swish":        silu,
		"gelu":         func(c *converter, l *layer, x string) string { return c.gelu(l, x) },
		"mish": func(c *converter, l *layer, x string) string {
			return c.op2(l, "Mul", x, c.op(l, "Tanh", c.op(l, "Softplus", x)))
		},
		"glu":            glu,
		"sparse_plus":    sparsePlus,
		"sparse_sigmoid": func(c *converter, l *layer, x string) string { return c.linear(l, c.clip(l, x, -1, 1), 0.5, 0.5) },
		"squareplus":     squareplus,
		"soft_shrink":    single("Shrink", onnx.AFloat("lambd", 0.5), onnx.AFloat("bias", 0.5)),
		"hard_shrink":    single("Shrink", onnx.AFloat("lambd", 0.5), onnx.AFloat("bias", 0)),
		"hard_tanh":      func(c *converter, l *layer, x string) string { return c.clip(l, x, -1, 1) },
		"tanh_shrink":    func(c *converter, l *layer, x string) string { return c.op2(l, "Sub", x, c.op(l, "Tanh", x)) },
		"log_sigmoid": func(c *converter, l *layer, x string) string {
			return c.op(l, "Neg", c.op(l, "Softplus", c.op(l, "Neg", x)))
		},
		"sparsemax": sparsemax,
	}
}

// activationName gives the function that a setting names; layers that are used
// as one give their class, and their settings.
func activationName(v any) (name string, layerConfig config) {
	switch v := v.(type) {
	case nil:
		return "linear", nil
	case string:
		return v, nil
	case map[string]any:
		class := config(v).Text("class_name")
		if f, ok := v["config"].(string); ok && (class == "function" || class == "") {
			return f, nil
		}
		if cfg := kerasfile.AsMap(v["config"]); cfg != nil && class != "function" {
			return class, cfg
		}
	}
	return "", nil
}

// layersAsActivations are the classes that may stand in place of a function.
var layersAsActivations = map[string]bool{"ReLU": true, "LeakyReLU": true, "ELU": true, "Softmax": true, "ThresholdedReLU": true, "Activation": true}

func (t table) knowsActivation(v any) error {
	name, cfg := activationName(v)
	if cfg != nil && layersAsActivations[name] {
		return nil
	}
	if t.activations[name] == nil || cfg != nil {
		return stoa.Errorf(stoa.Unsupported, "the function %.60q is not known", name)
	}
	return nil
}

// activate applies the function that a setting names.
func (c *converter) activate(l *layer, v any, x string) (string, error) {
	name, cfg := activationName(v)
	if cfg != nil && layersAsActivations[name] {
		inner := &layer{Kind: name, Name: l.Name, Path: l.Path, Cfg: cfg}
		out, err := c.kinds[name].run(c, inner, call{args: []value{one(x)}})
		return out.name, err
	}
	f := c.activations[name]
	if f == nil || cfg != nil {
		return "", c.refuse(l, "the function %.60q is not known", name)
	}
	return f(c, l, x), nil
}

// activated ends a layer with the function among its settings.
func (c *converter) activated(l *layer, x string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return c.activate(l, l.Cfg["activation"], x)
}

func (c *converter) clip(l *layer, x string, low, high float64) string {
	return c.op3(l, "Clip", x, c.b.Float(low), c.b.Float(high))
}

// linear gives a*x + b.
func (c *converter) linear(l *layer, x string, a, b float64) string {
	if a != 1 {
		x = c.op2(l, "Mul", x, c.b.Float(a))
	}
	if b != 0 {
		x = c.op2(l, "Add", x, c.b.Float(b))
	}
	return x
}

// hardSlope gives the slope of hard_sigmoid, which Keras 3 changed.
func (c *converter) hardSlope() float64 {
	if c.source.Era() == 3 {
		return 1.0 / 6
	}
	return 0.2
}

func hardSigmoid(c *converter, l *layer, x string) string {
	return c.op(l, "HardSigmoid", x, onnx.AFloat("alpha", float32(c.hardSlope())), onnx.AFloat("beta", 0.5))
}

func hardSilu(c *converter, l *layer, x string) string {
	return c.op2(l, "Mul", x, c.op(l, "HardSigmoid", x, onnx.AFloat("alpha", 1.0/6), onnx.AFloat("beta", 0.5)))
}

func silu(c *converter, l *layer, x string) string { return c.op2(l, "Mul", x, c.op(l, "Sigmoid", x)) }

// gelu is x/2 * (1 + erf(x / sqrt 2)).
func (c *converter) gelu(l *layer, x string) string {
	erf := c.op(l, "Erf", c.op2(l, "Mul", x, c.b.Float(math.Sqrt2/2)))
	return c.op2(l, "Mul", c.op2(l, "Mul", x, c.b.Float(0.5)), c.linear(l, erf, 1, 1))
}

// geluTanh is the approximation of gelu by tanh.
func (c *converter) geluTanh(l *layer, x string) string {
	cube := c.op2(l, "Mul", c.op2(l, "Mul", x, x), x)
	inner := c.op2(l, "Add", x, c.linear(l, cube, 0.044715, 0))
	tanh := c.op(l, "Tanh", c.linear(l, inner, math.Sqrt(2/math.Pi), 0))
	return c.op2(l, "Mul", c.linear(l, x, 0.5, 0), c.linear(l, tanh, 1, 1))
}

// glu multiplies the first half of the last axis by the sigmoid of the second.
func glu(c *converter, l *layer, x string) string {
	halves := c.b.Add(&onnx.Node{Name: l.Path, Op: "Split", Inputs: []string{x}, Outputs: []string{l.Path + "/a", l.Path + "/b"}, Attrs: []onnx.Attribute{onnx.AInt("axis", -1)}})
	return c.op2(l, "Mul", halves[0], c.op(l, "Sigmoid", halves[1]))
}

// sparsePlus is 0 below -1, x above 1, and a quarter of (x+1) squared between.
func sparsePlus(c *converter, l *layer, x string) string {
	in := c.linear(l, c.clip(l, x, -1, 1), 1, 1)
	curve := c.linear(l, c.op2(l, "Mul", in, in), 0.25, 0)
	return c.op2(l, "Add", curve, c.op(l, "Relu", c.linear(l, x, 1, -1)))
}

func squareplus(c *converter, l *layer, x string) string { return squareplusOf(c, l, x, 4) }

// squareplusOf is (x + sqrt(x*x + b)) / 2.
func squareplusOf(c *converter, l *layer, x string, b float64) string {
	root := c.op(l, "Sqrt", c.linear(l, c.op2(l, "Mul", x, x), 1, b))
	return c.linear(l, c.op2(l, "Add", x, root), 0.5, 0)
}

// sparsemax subtracts a threshold from all numbers of the last axis, and what is
// then below zero is zero. The threshold follows from the sorted numbers.
func sparsemax(c *converter, l *layer, x string) string {
	shape := c.op(l, "Shape", x)
	n := c.op2(l, "Gather", shape, c.b.Ints(-1))
	sorted := c.b.Add(&onnx.Node{Name: l.Path, Op: "TopK", Inputs: []string{x, n}, Outputs: []string{l.Path + "/sorted", l.Path + "/order"}, Attrs: []onnx.Attribute{onnx.AInt("axis", -1)}})[0]
	sum := c.op2(l, "CumSum", sorted, c.b.Int(-1))
	count := c.op3(l, "Range", c.b.Float(1), c.linear(l, c.cast(l, c.op2(l, "Squeeze", n, c.b.Ints(0)), 1), 1, 1), c.b.Float(1))
	support := c.op2(l, "Greater", sorted, c.op2(l, "Div", c.linear(l, sum, 1, -1), count))
	k := c.op2(l, "ReduceSum", c.cast(l, support, 1), c.b.Ints(-1))
	// Keras adds up the running sums here, and so do we.
	safe := c.op3(l, "Where", support, sum, c.b.Float(0))
	tau := c.op2(l, "Div", c.linear(l, c.op2(l, "ReduceSum", safe, c.b.Ints(-1)), 1, -1), k)
	return c.op(l, "Relu", c.op2(l, "Sub", x, tau))
}

// activationLayer is the layer of one function.
func activationLayer(c *converter, l *layer, x string) (string, error) { return c.activated(l, x, nil) }

// relu is min(max_value, x) above a threshold, and a slope below it.
func relu(c *converter, l *layer, x string) (string, error) {
	slope, threshold := l.Cfg.Num("negative_slope", 0), l.Cfg.Num("threshold", 0)
	if vs, ok := kerasfile.Floats(l.Cfg["negative_slope"]); ok && len(vs) == 1 {
		slope = vs[0]
	}
	top, hasTop := 0.0, false
	if vs, ok := kerasfile.Floats(l.Cfg["max_value"]); ok && len(vs) == 1 {
		top, hasTop = vs[0], true
	}
	if threshold == 0 && slope == 0 {
		if hasTop {
			return c.clip(l, x, 0, top), nil
		}
		return c.op(l, "Relu", x), nil
	}
	if threshold == 0 && !hasTop {
		return c.op(l, "LeakyRelu", x, onnx.AFloat("alpha", float32(slope))), nil
	}
	above := x
	if hasTop {
		above = c.op2(l, "Min", x, c.b.Float(top))
	}
	below := c.linear(l, c.linear(l, x, 1, -threshold), slope, 0)
	return c.op3(l, "Where", c.op2(l, "GreaterOrEqual", x, c.b.Float(threshold)), above, below), nil
}

func leakyReLU(c *converter, l *layer, x string) (string, error) {
	alpha := 0.3
	if v, ok := kerasfile.Number(l.Cfg.First("negative_slope", "alpha")); ok {
		alpha = v
	}
	return c.op(l, "LeakyRelu", x, onnx.AFloat("alpha", float32(alpha))), nil
}

func elu(c *converter, l *layer, x string) (string, error) {
	return c.op(l, "Elu", x, onnx.AFloat("alpha", float32(l.Cfg.Num("alpha", 1)))), nil
}

func thresholdedReLU(c *converter, l *layer, x string) (string, error) {
	return c.op(l, "ThresholdedRelu", x, onnx.AFloat("alpha", float32(l.Cfg.Num("theta", 1)))), nil
}

// prelu has a slope for each place of an item, or one for all along some axes.
func prelu(c *converter, l *layer, x string) (string, error) {
	name := "alpha"
	shape := []int64{}
	shared := map[int64]bool{}
	for _, a := range kerasfile.AsList(l.Cfg["shared_axes"]) {
		shared[kerasfile.Whole(a, -1)] = true
	}
	for i := 1; i < c.rank(x); i++ {
		n := c.dim(x, i)
		switch {
		case shared[int64(i)]:
			n = 1
		case n < 0:
			return "", c.sizeNeeded(l, "the size of all axes of its input")
		}
		shape = append(shape, n)
	}
	t, err := c.weight(l, name, shape...)
	if err != nil {
		return "", err
	}
	return c.op2(l, "PRelu", x, c.constant(l, name, t)), nil
}

// softmaxLayer works along one axis or several, over what the mask leaves.
func softmaxLayer(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, call{args: in.args[:min(len(in.args), 1)], kwargs: in.kwargs})
	if err != nil {
		return value{}, err
	}
	x := c.float(l, v.name)
	axes := kerasfile.Ints(l.Cfg.First("axis"), 1, -1)
	mask := in.kwargs["mask"]
	if len(in.args) > 1 {
		mask = in.args[1]
	}
	if mask.isTensor() {
		x = c.masked(l, x, c.cast(l, mask.name, 9))
	} else if v.mask != "" {
		if c.rank(v.mask) != c.rank(x) {
			return value{}, c.refuse(l, "a mask over the steps of its input is not supported")
		}
		x = c.masked(l, x, v.mask)
	}
	if len(axes) == 1 {
		axis, err := c.axis(l, axes[0], x)
		return one(c.op(l, "Softmax", x, onnx.AInt("axis", int64(axis)))), err
	}
	e := c.op(l, "Exp", c.op2(l, "Sub", x, c.op(l, "ReduceMax", x, onnx.AInts("axes", axes...))))
	return one(c.op2(l, "Div", e, c.op2(l, "ReduceSum", e, c.b.Ints(axes...)))), nil
}

// masked puts a number in the places that do not count that makes them vanish
// in a softmax.
func (c *converter) masked(l *layer, x, mask string) string {
	return c.op3(l, "Where", mask, x, c.b.Float(-3e38/2))
}
