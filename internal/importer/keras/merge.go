package keras

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
)

// merged gives the inputs of a layer that takes several tensors. Those of fewer
// axes get some of one element behind the batch, as Keras has it.
func (c *converter) merged(l *layer, in call) ([]string, error) {
	ts := in.tensors()
	if len(ts) == 0 {
		return nil, c.invalid(l, "it takes tensors, and is given none")
	}
	rank := 0
	for _, t := range ts {
		rank = max(rank, c.rank(t.name))
	}
	var out []string
	for _, t := range ts {
		x := c.float(l, t.name)
		var axes []int64
		for i := c.rank(x); i < rank; i++ {
			axes = append(axes, int64(1+len(axes)))
		}
		if len(axes) > 0 {
			x = c.op2(l, "Unsqueeze", x, c.b.Ints(axes...))
		}
		out = append(out, x)
	}
	return out, nil
}

// mergedMask is what counts in any of the inputs, and all of it where one has no
// mask; before Keras 3 it is what counts in all that have one.
func (c *converter) mergedMask(l *layer, in call) string {
	mask, op := "", "Or"
	old := c.source.Era() < 3
	if old {
		op = "And"
	}
	for _, t := range in.tensors() {
		switch {
		case t.mask == "" && old:
		case t.mask == "":
			return ""
		case mask == "":
			mask = t.mask
		case t.mask != mask:
			mask = c.op2(l, op, mask, t.mask)
		}
	}
	return mask
}

// elementwise combines tensors one after the other.
func elementwise(op string) runner {
	return func(c *converter, l *layer, in call) (value, error) {
		xs, err := c.merged(l, in)
		if err != nil {
			return value{}, err
		}
		y := xs[0]
		for _, x := range xs[1:] {
			y = c.op2(l, op, y, x)
		}
		return value{name: y, mask: c.mergedMask(l, in)}, nil
	}
}

func subtract(c *converter, l *layer, in call) (value, error) {
	if n := len(in.tensors()); n != 2 {
		return value{}, c.invalid(l, "it takes two tensors, and is given %d", n)
	}
	return elementwise("Sub")(c, l, in)
}

func average(c *converter, l *layer, in call) (value, error) {
	v, err := elementwise("Add")(c, l, in)
	if err != nil {
		return v, err
	}
	v.name = c.op2(l, "Div", v.name, c.b.Float(float64(len(in.tensors()))))
	return v, nil
}

func concatenate(c *converter, l *layer, in call) (value, error) {
	ts := in.tensors()
	if len(ts) == 0 {
		return value{}, c.invalid(l, "it takes tensors, and is given none")
	}
	var xs []string
	mixed := slices.ContainsFunc(ts, func(t value) bool { return c.b.DType(t.name) != c.b.DType(ts[0].name) })
	for _, t := range ts {
		x := t.name
		if mixed {
			x = c.float(l, x)
		}
		xs = append(xs, x)
	}
	at := kerasfile.Whole(l.Cfg.First("axis", "concat_axis"), -1)
	if v, ok := in.kwargs["axis"]; ok {
		at = kerasfile.Whole(v.konst, -1)
	}
	axis, err := c.axis(l, at, xs[0])
	if err != nil {
		return value{}, err
	}
	out := one(c.b.Op(l.Path, "Concat", xs, onnx.AInt("axis", int64(axis))))
	if !slices.ContainsFunc(ts, func(t value) bool { return t.mask != "" }) {
		return out, nil
	}
	return c.concatMask(l, ts, axis, out)
}

// concatMask joins masks along the axis of steps, and otherwise counts what
// counts in all.
func (c *converter) concatMask(l *layer, ts []value, axis int, out value) (value, error) {
	if axis == 1 && c.rank(ts[0].name) == 3 {
		var masks []string
		for _, t := range ts {
			if t.mask == "" {
				return out, c.refuse(l, "joining steps of which only some have a mask is not supported")
			}
			masks = append(masks, t.mask)
		}
		out.mask = c.b.Op(l.Path, "Concat", masks, onnx.AInt("axis", 1))
		return out, nil
	}
	for _, t := range ts {
		switch {
		case t.mask == "":
		case out.mask == "":
			out.mask = t.mask
		default:
			out.mask = c.op2(l, "And", out.mask, t.mask)
		}
	}
	return out, nil
}

// dot multiplies two tensors along an axis of each.
func dot(c *converter, l *layer, in call) (value, error) {
	ts := in.tensors()
	if len(ts) != 2 {
		return value{}, c.invalid(l, "it takes two tensors, and is given %d", len(ts))
	}
	y, err := c.dotted(l, c.float(l, ts[0].name), c.float(l, ts[1].name), kerasfile.Ints(l.Cfg.First("axes", "dot_axes"), 2, -1), l.Cfg.Flag("normalize", false))
	return one(y), err
}

//nolint:revive // whether to normalize first is a setting of the layer
func (c *converter) dotted(l *layer, x, y string, at []int64, normalize bool) (string, error) {
	if len(at) != 2 {
		return "", c.refuse(l, "only one axis of each tensor is supported")
	}
	ax, err := c.axis(l, at[0], x)
	if err != nil {
		return "", err
	}
	ay, err := c.axis(l, at[1], y)
	if err != nil {
		return "", err
	}
	if ax == 0 || ay == 0 {
		return "", c.refuse(l, "the axis of the batch is not supported")
	}
	if normalize {
		x, y = c.normalized(l, x, int64(ax)), c.normalized(l, y, int64(ay))
	}
	rx, ry := c.rank(x), c.rank(y)
	if rx == 2 && ry == 2 {
		return c.op2(l, "ReduceSum", c.op2(l, "Mul", x, y), c.b.Ints(1)), nil
	}
	if rx > 3 || ry > 3 {
		return "", c.refuse(l, "tensors of more than three axes are not supported")
	}
	// As matrices: the axis is the last of the first, and the second of the other.
	a, b := x, y
	if rx == 2 {
		a = c.op2(l, "Unsqueeze", x, c.b.Ints(1))
	} else if ax == 1 {
		a = c.transpose(l, x, 0, 2, 1)
	}
	if ry == 2 {
		b = c.op2(l, "Unsqueeze", y, c.b.Ints(2))
	} else if ay == 2 {
		b = c.transpose(l, y, 0, 2, 1)
	}
	out := c.op2(l, "MatMul", a, b)
	switch {
	case rx == 2:
		out = c.op2(l, "Squeeze", out, c.b.Ints(1))
	case ry == 2:
		out = c.op2(l, "Squeeze", out, c.b.Ints(2))
	}
	return out, nil
}

func (c *converter) normalized(l *layer, x string, axis int64) string {
	sum := c.op2(l, "ReduceSum", c.op2(l, "Mul", x, x), c.b.Ints(axis))
	return c.op2(l, "Div", x, c.op(l, "Sqrt", c.op2(l, "Max", sum, c.b.Float(1e-12))))
}

// oldMerge is the one layer that Keras 1 has for all of this.
func oldMerge(c *converter, l *layer, in call) (value, error) {
	if len(l.Subs) > 0 {
		ts := in.tensors()
		var outs []value
		for _, k := range l.Subs {
			n := len(entries(k.Layer))
			if n > len(ts) {
				return value{}, c.invalid(l, "it is given too few tensors")
			}
			arg := value{list: ts[:n]}
			if n == 1 {
				arg = ts[0]
			}
			v := arg
			if !isInput(k.Layer) {
				var err error
				if v, err = c.run(k.Layer, call{args: []value{arg}}); err != nil {
					return value{}, err
				}
			}
			outs = append(outs, v)
			ts = ts[n:]
		}
		in = call{args: []value{{list: outs}}}
		if in.bad() {
			return value{bad: true}, nil
		}
	}
	mode := l.Cfg.Text("mode")
	switch mode {
	case "sum":
		return elementwise("Add")(c, l, in)
	case "mul":
		return elementwise("Mul")(c, l, in)
	case "max":
		return elementwise("Max")(c, l, in)
	case "ave":
		return average(c, l, in)
	case "concat":
		return concatenate(c, l, in)
	case "dot", "cos":
		return c.oldDot(l, in)
	}
	return value{}, c.refuse(l, "mode %.40q is not supported", mode)
}

func isInput(l *layer) bool { return l.Kind == "InputLayer" }

// oldDot has its axes as one number, two, or two lists of one.
func (c *converter) oldDot(l *layer, in call) (value, error) {
	ts := in.tensors()
	if len(ts) != 2 {
		return value{}, c.invalid(l, "it takes two tensors, and is given %d", len(ts))
	}
	var at []int64
	for _, e := range kerasfile.AsList(l.Cfg["dot_axes"]) {
		one := kerasfile.Ints(e, 1, -1)
		if len(one) != 1 {
			return value{}, c.refuse(l, "only one axis of each tensor is supported")
		}
		at = append(at, one[0])
	}
	if at == nil {
		at = kerasfile.Ints(l.Cfg["dot_axes"], 2, -1)
	}
	y, err := c.dotted(l, c.float(l, ts[0].name), c.float(l, ts[1].name), at, l.Cfg.Text("mode") == "cos")
	if err == nil && l.Cfg.Text("mode") == "cos" && c.rank(y) == 2 {
		y = c.op2(l, "Unsqueeze", y, c.b.Ints(1)) // Keras 1 keeps an axis here
	}
	return one(y), err
}
