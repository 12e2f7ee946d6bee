package torch7

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// filled gives a field's values, or n times the same where there is none.
func (c *converter) filled(m module, field string, n int64, otherwise float32) (string, error) {
	t, ok, err := c.weight(m, field)
	if err != nil {
		return "", err
	}
	if !ok {
		if n > 1<<24 {
			return "", c.invalid(m, "it has %d channels", n)
		}
		vs := make([]float32, n)
		for i := range vs {
			vs[i] = otherwise
		}
		t = tensor.Of(vs, n)
	}
	return c.constant(m, field, t, n)
}

func (c *converter) batchNorm(m module, x string) (string, error) {
	mean, ok, err := c.weight(m, "running_mean")
	if err != nil || !ok {
		return "", c.orMissing(m, "running_mean", err)
	}
	n := int64(len(mean.Data)) / 4
	var names [4]string
	for i, f := range []struct {
		field     string
		otherwise float32
	}{{"weight", 1}, {"bias", 0}, {"running_mean", 0}, {"running_var", 1}} {
		if names[i], err = c.filled(m, f.field, n, f.otherwise); err != nil {
			return "", err
		}
	}
	eps := m.num("eps", 1e-5)
	// Old files have 1/sqrt(var+eps) instead, under another name.
	if std, old, err := c.weight(m, "running_std"); err != nil {
		return "", err
	} else if old {
		vs := tensor.As[float32](std)
		if c.budget -= int64(4 * len(vs)); c.budget < 0 || int64(len(vs)) != n {
			return "", c.invalid(m, "its running_std does not fit its running_mean")
		}
		variance := make([]float32, n)
		for i, s := range vs {
			variance[i] = float32(1/(float64(s)*float64(s)) - eps)
		}
		names[3] = c.b.Constant(m.name()+".running_var", tensor.Of(variance, n))
	}
	if m.flag("train") && c.training {
		return c.batchStatistics(m, x, names[0], names[1])
	}
	if m.flag("train") {
		c.note("the network was saved while it was in training mode; it is used as after evaluate(), with the means and variances that training found (model.training: true, or --training, computes as it was saved)")
	}
	y := func(x string) (string, error) {
		return c.b.Op(m.name(), "BatchNormalization", []string{x, names[0], names[1], names[2], names[3]}, onnx.AFloat("epsilon", float32(eps))), nil
	}
	if c.rank(x) == 3 && m.kind() == "SpatialBatchNormalization" {
		return c.picture(m, x, y)
	}
	return y(x)
}

// batchStatistics is what a network in training computes: it takes mean and
// variance from the batch itself.
func (c *converter) batchStatistics(m module, x, weight, bias string) (string, error) {
	axes, shape := []int64{0}, []int64{1, -1}
	for i := 2; i < c.rank(x); i++ {
		axes, shape = append(axes, int64(i)), append(shape, 1)
	}
	mean := c.op(m, "ReduceMean", x, onnx.AInts("axes", axes...))
	diff := c.op2(m, "Sub", x, mean)
	variance := c.op(m, "ReduceMean", c.op2(m, "Mul", diff, diff), onnx.AInts("axes", axes...))
	std := c.op(m, "Sqrt", c.op2(m, "Add", variance, c.b.Float(m.num("eps", 1e-5))))
	y := c.op2(m, "Div", diff, std)
	y = c.op2(m, "Mul", y, c.op2(m, "Reshape", weight, c.b.Ints(shape...)))
	return c.op2(m, "Add", y, c.op2(m, "Reshape", bias, c.b.Ints(shape...))), nil
}

func (c *converter) instanceNorm(m module, x string) (string, error) {
	n := m.int("nOutput", 0)
	weight, err := c.filled(m, "weight", n, 1)
	if err != nil {
		return "", err
	}
	bias, err := c.filled(m, "bias", n, 0)
	if err != nil {
		return "", err
	}
	return c.picture(m, x, func(x string) (string, error) {
		return c.b.Op(m.name(), "InstanceNormalization", []string{x, weight, bias}, onnx.AFloat("epsilon", float32(m.num("eps", 1e-5)))), nil
	})
}

func sloped(op string, alpha func(m module) float64) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) {
		return c.op(m, op, x, onnx.AFloat("alpha", float32(alpha(m)))), nil
	})
}

// softPlus is 1/beta * log(1 + exp(beta * x)).
func (c *converter) softPlus(m module, x string) (string, error) {
	beta := m.num("beta", 1)
	if beta == 1 {
		return c.op(m, "Softplus", x), nil
	}
	y := c.op(m, "Softplus", c.op2(m, "Mul", x, c.b.Float(beta)))
	return c.op2(m, "Div", y, c.b.Float(beta)), nil
}

func (c *converter) logSigmoid(m module, x string) (string, error) {
	return c.op(m, "Neg", c.op(m, "Softplus", c.op(m, "Neg", x))), nil
}
