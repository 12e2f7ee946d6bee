package torch7

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func (c *converter) threshold(m module, x string) (string, error) {
	th, val := m.num("threshold", 0), m.num("val", 0)
	if th == 0 && val == 0 {
		return c.op(m, "Relu", x), nil
	}
	above := c.op2(m, "Greater", x, c.b.Float(th))
	return c.b.Op(m.name(), "Where", []string{above, x, c.b.Float(val)}), nil
}

func (c *converter) clip(m module, x string, low, high float64) string {
	return c.b.Op(m.name(), "Clip", []string{x, c.b.Float(low), c.b.Float(high)})
}

func (c *converter) prelu(m module, x string) (string, error) {
	t, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	shape := []int64{int64(len(t.Data)) / 4}
	if shape[0] > 1 {
		after := c.rank(x) - 2
		if c.rank(x) == 3 { // one picture without a batch
			after = 2
		}
		for range after {
			shape = append(shape, 1)
		}
	}
	slope, err := c.constant(m, "weight", t, shape...)
	return c.op2(m, "PRelu", x, slope), err
}

func (c *converter) orMissing(m module, field string, err error) error {
	if err != nil {
		return err
	}
	return c.invalid(m, "it has no %s: the file was saved without its weights", field)
}

func (c *converter) linear(m module, x string) (string, error) {
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	if len(w.Shape) != 2 {
		return "", c.invalid(m, "its weight of %s is no matrix", tensor.ShapeString(w.Shape))
	}
	weight, err := c.constant(m, "weight", w, w.Shape...)
	if err != nil {
		return "", err
	}
	inputs := []string{x, weight}
	bias, hasBias, err := c.weight(m, "bias")
	if err != nil {
		return "", err
	}
	if hasBias {
		name, err := c.constant(m, "bias", bias, w.Shape[0])
		if err != nil {
			return "", err
		}
		inputs = append(inputs, name)
	}
	if c.rank(x) == 2 {
		return c.b.Op(m.name(), "Gemm", inputs, onnx.AInt("transB", 1)), nil
	}
	y := c.op2(m, "MatMul", x, c.b.Op(m.name(), "Transpose", []string{weight}, onnx.AInts("perm", 1, 0)))
	if hasBias {
		y = c.op2(m, "Add", y, inputs[2])
	}
	return y, nil
}

// softmax works along the channels: the second dimension of a batch, the first
// of one item.
func softmax(op string) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) {
		axis := int64(1)
		if r := c.rank(x); r == 1 || r == 3 {
			axis = 0
		}
		if op == "Softmin" {
			return c.op(m, "Softmax", c.op(m, "Neg", x), onnx.AInt("axis", axis)), nil
		}
		return c.op(m, op, x, onnx.AInt("axis", axis)), nil
	})
}

// normalize divides each row by its norm.
func (c *converter) normalize(m module, x string) (string, error) {
	p, eps := m.num("p", 2), m.num("eps", 1e-10)
	axis := int64(1)
	if c.rank(x) == 1 {
		axis = 0
	}
	abs := c.op(m, "Abs", x)
	if math.IsInf(p, 1) || p > 1e9 {
		norm := c.op(m, "ReduceMax", abs, onnx.AInts("axes", axis))
		return c.op2(m, "Div", x, c.op2(m, "Add", norm, c.b.Float(eps))), nil
	}
	sum := c.op2(m, "ReduceSum", c.op2(m, "Pow", abs, c.b.Float(p)), c.b.Ints(axis))
	norm := c.op2(m, "Pow", c.op2(m, "Add", sum, c.b.Float(eps)), c.b.Float(1/p))
	return c.op2(m, "Div", x, norm), nil
}

func scalar(op, field string, otherwise float64) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) {
		return c.op2(m, op, x, c.b.Float(m.num(field, otherwise))), nil
	})
}

// learned is a sum or product with a tensor of the module.
func learned(op, field string) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) {
		t, ok, err := c.weight(m, field)
		if err != nil || !ok {
			return "", c.orMissing(m, field, err)
		}
		shape := t.Shape
		if len(t.Data) == 4 {
			shape = []int64{}
		}
		name, err := c.constant(m, field, t, shape...)
		return c.op2(m, op, x, name), err
	})
}

// dropout does nothing in a network that is used, but the first version of it
// made values smaller by what it had left out while training.
func dropout(v2 bool) moduleType { //nolint:revive // a constant of the table
	return unary(func(c *converter, m module, x string) (string, error) {
		if v2 && (m.fields.get("v2") == nil || m.flag("v2")) {
			return x, nil
		}
		return c.op2(m, "Mul", x, c.b.Float(1-m.num("p", 0.5))), nil
	})
}

func reduce(op string) moduleType {
	return unary(func(c *converter, m module, x string) (string, error) {
		axis, err := c.axis(m, m.int("dimension", 1), x)
		if err != nil {
			return "", err
		}
		keep := int64(0)
		if m.fields.get("squeeze") != nil && !m.flag("squeeze") {
			keep = 1
		}
		if op == "ReduceSum" && !m.flag("sizeAverage") {
			return c.op2(m, op, x, c.b.Ints(int64(axis)), onnx.AInt("keepdims", keep)), nil
		}
		if op == "ReduceSum" {
			op = "ReduceMean"
		}
		return c.op(m, op, x, onnx.AInts("axes", int64(axis)), onnx.AInt("keepdims", keep)), nil
	})
}

// lookup takes rows of a table by numbers that count from 1.
func (c *converter) lookup(m module, x string) (string, error) {
	w, ok, err := c.weight(m, "weight")
	if err != nil || !ok {
		return "", c.orMissing(m, "weight", err)
	}
	weight, err := c.constant(m, "weight", w, w.Shape...)
	if err != nil {
		return "", err
	}
	if c.b.DType(x) != tensor.Int64 {
		x = c.op(m, "Cast", x, onnx.AInt("to", int64(tensor.Int64)))
	}
	return c.op2(m, "Gather", weight, c.op2(m, "Sub", x, c.b.Int(1))), nil
}

func (c *converter) transpose(m module, x string) (string, error) {
	perm := make([]int64, c.rank(x))
	for i := range perm {
		perm[i] = int64(i)
	}
	swaps, _ := m.fields.get("permutations").(*table)
	for _, s := range swaps.list() {
		pair := ints(s)
		if len(pair) != 2 {
			return "", c.invalid(m, "its permutations are no pairs")
		}
		a, err := c.axis(m, pair[0], x)
		if err != nil {
			return "", err
		}
		b, err := c.axis(m, pair[1], x)
		if err != nil {
			return "", err
		}
		perm[a], perm[b] = perm[b], perm[a]
	}
	if slices.IsSorted(perm) {
		return x, nil
	}
	return c.op(m, "Transpose", x, onnx.AInts("perm", perm...)), nil
}
