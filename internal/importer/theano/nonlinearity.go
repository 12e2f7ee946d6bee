package theano

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/onnx"
)

// selu's numbers, as lasagne.nonlinearities has them.
const (
	seluAlpha = 1.6732632423543772
	seluScale = 1.0507009873554805
)

// activation is a nonlinearity with its numbers.
type activation struct {
	name  string
	first float64
	other float64
}

var activationNames = []string{
	"linear", "identity", "rectify", "sigmoid", "tanh", "softmax", "softplus", "elu", "selu", "leaky_rectify", "very_leaky_rectify",
	"LeakyRectify", "ScaledTanH", "ScaledTanh", "SELU",
}

// activationOf reads a nonlinearity: a name, nothing for none, or a mapping with
// a name and numbers.
func (c *converter) activationOf(l *layer, s *settings, key, otherwise string) activation {
	n, ok := l.fields.get(key)
	a := activation{name: otherwise}
	params := map[string]*float64{}
	switch {
	case !ok:
	case n.kind == isNull:
		a.name = "linear"
	case n.kind == isMapping:
		name, _ := n.get("name")
		a.name = name.text
	default:
		a.name = n.text
	}
	switch a.name {
	case "LeakyRectify":
		a.first = 0.01
		params["leakiness"] = &a.first
	case "ScaledTanH", "ScaledTanh":
		a.first, a.other = 1, 1
		params["scale_in"], params["scale_out"] = &a.first, &a.other
	case "SELU":
		a.first, a.other = seluScale, seluAlpha
		params["scale"], params["scale_neg"] = &a.first, &a.other
	}
	if !slices.Contains(activationNames, a.name) {
		s.fail(n, key, "one of "+strings.Join(activationNames, ", ")+", or null for none")
	}
	for _, f := range n.fields {
		v, isNumber := f.value.float()
		switch to := params[f.key]; {
		case f.key == "name":
		case to == nil || !isNumber:
			s.fail(f.value, key+"."+f.key, "to be a number that "+a.name+" has")
		default:
			*to = v
		}
	}
	return a
}

// nonlinearity applies the nonlinearity of a field.
func (c *converter) nonlinearity(l *layer, s *settings, key, otherwise, x string) (string, error) {
	a := c.activationOf(l, s, key, otherwise)
	leaky := func(slope float64) string {
		return c.op(l, "LeakyRelu", []string{x}, onnx.AFloat("alpha", float32(slope)))
	}
	switch a.name {
	case "linear", "identity":
		return x, nil
	case "rectify":
		return c.op(l, "Relu", []string{x}), nil
	case "sigmoid":
		return c.op(l, "Sigmoid", []string{x}), nil
	case "tanh":
		return c.op(l, "Tanh", []string{x}), nil
	case "softmax":
		return c.op(l, "Softmax", []string{x}, onnx.AInt("axis", -1)), nil
	case "softplus":
		return c.op(l, "Softplus", []string{x}), nil
	case "elu":
		return c.op(l, "Elu", []string{x}), nil
	case "leaky_rectify":
		return leaky(0.01), nil
	case "very_leaky_rectify":
		return leaky(1.0 / 3), nil
	case "LeakyRectify":
		return leaky(a.first), nil
	case "ScaledTanH", "ScaledTanh":
		y := c.op(l, "Tanh", []string{c.op(l, "Mul", []string{x, c.b.Float(a.first)})})
		return c.op(l, "Mul", []string{y, c.b.Float(a.other)}), nil
	case "selu":
		a.first, a.other = seluScale, seluAlpha
	}
	return c.op(l, "Selu", []string{x}, onnx.AFloat("gamma", float32(a.first)), onnx.AFloat("alpha", float32(a.other))), nil
}

func (c *converter) nonlinearityLayer(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	return c.nonlinearity(l, s, "nonlinearity", "rectify", x)
}
