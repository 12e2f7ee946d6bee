package keras

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func scaleAndCenter(l *layer) []string {
	var out []string
	if l.Cfg.Flag("scale", true) {
		out = append(out, "gamma")
	}
	if l.Cfg.Flag("center", true) {
		out = append(out, "beta")
	}
	return out
}

func batchNormSlots(l *layer) []string {
	return append(scaleAndCenter(l), "~moving_mean", "~moving_variance")
}

// filled gives a weight of n numbers, or n times the same where there is none.
func (c *converter) filled(l *layer, name string, n int64, otherwise float32) (string, error) {
	if _, ok := l.Weights[name]; ok {
		return c.vector(l, name, n)
	}
	vs, err := c.fill(l, n, otherwise)
	return c.constant(l, name, tensor.Of(vs, n)), err
}

func batchNorm(c *converter, l *layer, x string) (string, error) {
	if m := l.Cfg.Int("mode", 0); m != 0 {
		return "", c.refuse(l, "mode %d is not supported: it takes statistics of the batch", m)
	}
	axes := kerasfile.Ints(l.Cfg["axis"], 1, -1)
	if len(axes) != 1 {
		return "", c.refuse(l, "several axes are not supported")
	}
	axis, err := c.axis(l, axes[0], x)
	if err != nil {
		return "", err
	}
	n := c.dim(x, axis)
	if n < 0 {
		return "", c.sizeNeeded(l, "the number of channels of its input")
	}
	inputs := []string{""}
	for _, w := range []struct {
		name      string
		otherwise float32
	}{{"gamma", 1}, {"beta", 0}, {"moving_mean", 0}, {"moving_variance", 1}} {
		name, err := c.filled(l, w.name, n, w.otherwise)
		if err != nil {
			return "", err
		}
		inputs = append(inputs, name)
	}
	eps := onnx.AFloat("epsilon", float32(l.Cfg.Num("epsilon", 1e-3)))
	perm, back := swapped(c.rank(x), axis)
	inputs[0] = c.transpose(l, x, perm...)
	return c.transpose(l, c.b.Op(l.Path, "BatchNormalization", inputs, eps), back...), nil
}

// swapped gives the order of axes in which one of them is the second, and the
// order that undoes it.
func swapped(rank, axis int) (perm, back []int64) {
	for i := range rank {
		if i != axis {
			perm = append(perm, int64(i))
		}
	}
	at := min(1, len(perm))
	perm = slices.Insert(perm, at, int64(axis))
	back = make([]int64, rank)
	for i, p := range perm {
		back[p] = int64(i)
	}
	return perm, back
}

func layerNormSlots(l *layer) []string {
	if l.Cfg.Flag("rms_scaling", false) {
		return []string{"gamma"}
	}
	return scaleAndCenter(l)
}

func layerNorm(c *converter, l *layer, x string) (string, error) {
	axes, err := c.axes(l, l.Cfg["axis"], x)
	if err != nil {
		return "", err
	}
	eps := l.Cfg.Num("epsilon", 1e-3)
	if l.Cfg.Flag("rms_scaling", false) {
		// It divides by the deviation without subtracting the mean.
		d := c.op2(l, "Sub", x, c.op(l, "ReduceMean", x, onnx.AInts("axes", axes...)))
		variance := c.op(l, "ReduceMean", c.op2(l, "Mul", d, d), onnx.AInts("axes", axes...))
		return c.scaled(l, c.op2(l, "Div", x, c.op(l, "Sqrt", c.linear(l, variance, 1, eps))), axes)
	}
	rank := c.rank(x)
	trailing := int(axes[0]) == rank-len(axes)
	var shape []int64
	for _, a := range axes {
		shape = append(shape, c.dim(x, int(a)))
	}
	if !trailing || slices.Contains(shape, -1) {
		mean := c.op(l, "ReduceMean", x, onnx.AInts("axes", axes...))
		d := c.op2(l, "Sub", x, mean)
		variance := c.op(l, "ReduceMean", c.op2(l, "Mul", d, d), onnx.AInts("axes", axes...))
		y := c.op2(l, "Div", d, c.op(l, "Sqrt", c.linear(l, variance, 1, eps)))
		return c.scaled(l, y, axes)
	}
	size, err := tensor.Elements(shape)
	if err != nil {
		return "", err
	}
	gamma, ok := l.Weights["gamma"]
	if !ok {
		ones, err := c.fill(l, size, 1)
		if err != nil {
			return "", err
		}
		gamma = tensor.Of(ones, shape...)
	}
	inputs := []string{x, c.constant(l, "gamma", gamma)}
	if beta, ok := l.Weights["beta"]; ok {
		inputs = append(inputs, c.constant(l, "beta", beta))
	}
	for name := range l.Weights {
		if _, err := c.weight(l, name, shape...); err != nil {
			return "", err
		}
	}
	return c.b.Op(l.Path, "LayerNormalization", inputs, onnx.AInt("axis", axes[0]), onnx.AFloat("epsilon", float32(eps))), nil
}

// axes gives axes in order, each once.
func (c *converter) axes(l *layer, v any, x string) ([]int64, error) {
	var out []int64
	for _, a := range kerasfile.Ints(v, 1, -1) {
		axis, err := c.axis(l, a, x)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, int64(axis)) {
			out = append(out, int64(axis))
		}
	}
	slices.Sort(out)
	return out, nil
}

// rms divides by the root of the mean of squares.
func (c *converter) rms(l *layer, x string, axes []int64, eps float64) string {
	mean := c.op(l, "ReduceMean", c.op2(l, "Mul", x, x), onnx.AInts("axes", axes...))
	return c.op2(l, "Div", x, c.op(l, "Sqrt", c.linear(l, mean, 1, eps)))
}

// scaled multiplies by gamma and adds beta, which lie along some axes.
func (c *converter) scaled(l *layer, x string, axes []int64) (string, error) {
	shape := slices.Repeat([]int64{1}, c.rank(x))
	var own []int64
	for _, a := range axes {
		shape[a] = c.dim(x, int(a))
		own = append(own, shape[a])
	}
	for _, w := range []struct{ name, op string }{{"gamma", "Mul"}, {"scale", "Mul"}, {"beta", "Add"}} {
		if _, ok := l.Weights[w.name]; !ok {
			continue
		}
		t, err := c.weight(l, w.name, own...)
		if err != nil {
			return "", err
		}
		for i, a := range axes {
			shape[a] = t.Shape[i]
		}
		x = c.op2(l, w.op, x, c.constant(l, w.name, tensor.Tensor{DType: t.DType, Shape: shape, Data: t.Data}))
	}
	return x, nil
}

func rmsNorm(c *converter, l *layer, x string) (string, error) {
	axes, err := c.axes(l, l.Cfg["axis"], x)
	if err != nil {
		return "", err
	}
	return c.scaled(l, c.rms(l, x, axes, l.Cfg.Num("epsilon", 1e-6)), axes)
}

// groupNorm normalises groups of channels of each item.
func groupNorm(c *converter, l *layer, x string) (string, error) {
	axis, err := c.axis(l, l.Cfg.Int("axis", -1), x)
	if err != nil {
		return "", err
	}
	n := c.dim(x, axis)
	groups := l.Cfg.Int("groups", 32)
	if groups == -1 {
		groups = n
	}
	if n < 1 || groups < 1 || n%groups != 0 {
		return "", c.invalid(l, "its %d groups do not divide the %d channels of its input", groups, n)
	}
	perm, back := swapped(c.rank(x), axis)
	y := c.transpose(l, x, perm...)
	shape := c.op(l, "Shape", y)
	one, err := c.fill(l, groups, 1)
	if err != nil {
		return "", err
	}
	zero, err := c.fill(l, groups, 0)
	if err != nil {
		return "", err
	}
	ones, zeros := c.constant(l, "ones", tensor.Of(one, groups)), c.constant(l, "zeros", tensor.Of(zero, groups))
	y = c.op2(l, "Reshape", y, c.b.Ints(0, groups, -1))
	y = c.b.Op(l.Path, "InstanceNormalization", []string{y, ones, zeros}, onnx.AFloat("epsilon", float32(l.Cfg.Num("epsilon", 1e-3))))
	y = c.op2(l, "Reshape", y, shape)
	c.b.Declare(y, tensor.Float32, permuted(c.b.Shape(x), perm))
	if y, err = c.scaled(l, y, []int64{1}); err != nil {
		return "", err
	}
	return c.transpose(l, y, back...), nil
}

func permuted(shape []onnx.Dim, perm []int64) []onnx.Dim {
	var out []onnx.Dim
	for _, p := range perm {
		out = append(out, shape[p])
	}
	return out
}

// unitNorm makes the sum of squares one.
func unitNorm(c *converter, l *layer, x string) (string, error) {
	axes, err := c.axes(l, l.Cfg["axis"], x)
	if err != nil {
		return "", err
	}
	sum := c.op2(l, "ReduceSum", c.op2(l, "Mul", x, x), c.b.Ints(axes...))
	return c.op2(l, "Div", x, c.op(l, "Sqrt", c.op2(l, "Max", sum, c.b.Float(1e-12)))), nil
}

func normalizationSlots(l *layer) []string {
	if given(l) {
		return nil
	}
	return []string{"~mean", "~variance", "~count"}
}

// given tells whether a Normalization has its numbers among its settings.
func given(l *layer) bool {
	_, ok := kerasfile.Floats(l.Cfg["mean"])
	return ok
}

// normalization subtracts a mean and divides by a deviation, which it was given
// or has learnt, or does the opposite.
func normalization(c *converter, l *layer, x string) (string, error) {
	rank := c.rank(x)
	axes, err := c.axes(l, l.Cfg["axis"], x)
	if l.Cfg["axis"] == nil || len(kerasfile.AsList(l.Cfg["axis"])) == 0 && kerasfile.AsList(l.Cfg["axis"]) != nil {
		axes, err = nil, nil
	}
	if err != nil {
		return "", err
	}
	shape := slices.Repeat([]int64{1}, rank)
	var own []int64
	for _, a := range axes {
		if shape[a] = c.dim(x, int(a)); shape[a] < 0 {
			return "", c.sizeNeeded(l, "the size of the axes that it keeps")
		}
		own = append(own, shape[a])
	}
	n, err := tensor.Elements(shape)
	if err != nil {
		return "", err
	}
	if _, err := c.fill(l, n, 0); err != nil {
		return "", err
	}
	mean, deviation, err := c.statistics(l, own, int(n))
	if err != nil {
		return "", err
	}
	m := c.constant(l, "mean", tensor.Of(mean, shape...))
	d := c.constant(l, "deviation", tensor.Of(deviation, shape...))
	if l.Cfg.Flag("invert", false) {
		return c.op2(l, "Add", c.op2(l, "Mul", x, d), m), nil
	}
	return c.op2(l, "Div", c.op2(l, "Sub", x, m), d), nil
}

// statistics gives the means, and the roots of the variances, which are at least
// what Keras divides by instead of nothing.
func (c *converter) statistics(l *layer, own []int64, n int) (mean, deviation []float32, err error) {
	const least = 1e-7
	read := func(name string) ([]float32, error) {
		if !given(l) {
			t, err := c.weight(l, name, own...)
			return tensor.As[float32](t), err
		}
		vs, ok := kerasfile.Floats(l.Cfg[name])
		if !ok || len(vs) == 0 || n%len(vs) != 0 {
			return nil, c.invalid(l, "its %s does not fit its input", name)
		}
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(vs[i%len(vs)])
		}
		return out, nil
	}
	if mean, err = read("mean"); err != nil {
		return nil, nil, err
	}
	variance, err := read("variance")
	if err != nil {
		return nil, nil, err
	}
	for _, v := range variance {
		deviation = append(deviation, float32(math.Max(math.Sqrt(float64(v)), least)))
	}
	return mean, deviation, nil
}

// rescaling multiplies and adds, each a number or one for each channel.
func rescaling(c *converter, l *layer, x string) (string, error) {
	for _, s := range []struct {
		name, op  string
		otherwise float64
	}{{"scale", "Mul", 1}, {"offset", "Add", 0}} {
		vs, ok := kerasfile.Floats(l.Cfg[s.name])
		switch {
		case l.Cfg[s.name] == nil:
		case !ok || len(vs) == 0:
			return "", c.invalid(l, "its %s is no number", s.name)
		case len(vs) == 1 && vs[0] == s.otherwise:
		case len(vs) == 1:
			x = c.op2(l, s.op, x, c.b.Float(vs[0]))
		default:
			list := make([]float32, len(vs))
			for i, v := range vs {
				list[i] = float32(v)
			}
			x = c.op2(l, s.op, x, c.b.Floats(list...))
		}
	}
	return x, nil
}
