package keras

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
)

// pool is a pooling over n spatial axes by the named operator.
func pool(op string, n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		g := l.Cfg
		w := build.Window{Kernel: kerasfile.Ints(g.First("pool_size", "pool_length"), n, 2)}
		w.Stride = w.Kernel
		if s := g.First("strides", "stride"); s != nil {
			w.Stride = kerasfile.Ints(s, n, 1)
		}
		for _, list := range [][]int64{w.Kernel, w.Stride} {
			if len(list) != n || slices.Min(list) < 1 || slices.Max(list) > maxKernel {
				return "", c.invalid(l, "its pool_size or strides make no sense")
			}
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		padding := g.Text("padding")
		if padding == "" {
			padding = g.Text("border_mode")
		}
		return c.spatially(l, x, func(x string) (string, error) {
			attrs := w.Attrs()
			switch {
			case padding == "valid" || padding == "":
			case padding == "same" && c.theano:
				return c.theanoPool(l, op, x, w)
			case padding == "same":
				// What lies outside counts for neither: it is below all
				// numbers, and no part of a mean.
				a, ok := w.Same(c.b.Shape(x)[2:])
				if !ok {
					return "", c.sizeNeeded(l, "the size of its input")
				}
				attrs = append(attrs, a)
			default:
				return "", c.refuse(l, "padding %.40q is not supported", padding)
			}
			return c.op(l, op, x, attrs...), nil
		})
	})
}

// theanoPool pads as Keras does on Theano, by the size of the window and not by
// that of the input, and cuts off what is then too much.
func (c *converter) theanoPool(l *layer, op, x string, w build.Window) (string, error) {
	n := len(w.Kernel)
	pads, starts, ends, axes := make([]int64, 2*n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, k := range w.Kernel {
		size := c.dim(x, i+2)
		if size < 0 {
			return "", c.sizeNeeded(l, "the size of its input")
		}
		before := k - 1
		if k%2 == 1 && k > 2 {
			before = k - 2
		}
		windows := (size + w.Stride[i] - 1) / w.Stride[i]
		pads[i], pads[n+i] = before, min(max((windows-1)*w.Stride[i]+k-size-before, 0), k-1)
		ends[i], axes[i] = windows, int64(i+2)
	}
	y := c.op(l, op, x, append(w.Attrs(), onnx.AInts("pads", pads...))...)
	return c.op3(l, "Slice", y, c.b.Ints(starts...), c.b.Ints(ends...), c.b.Ints(axes...)), nil
}

// globalPool takes the mean or the largest of all spatial axes.
func globalPool(op string) runner {
	return func(c *converter, l *layer, in call) (value, error) {
		v, err := c.only(l, in)
		if err != nil {
			return value{}, err
		}
		x := c.float(l, v.name)
		rank := c.rank(x)
		if rank < 3 {
			return value{}, c.invalid(l, "its input has %d axes", rank)
		}
		var axes []int64
		for i := 1; i < rank-1; i++ {
			at := int64(i)
			if c.channelsFirst(l) {
				at++
			}
			axes = append(axes, at)
		}
		keep := int64(0)
		if l.Cfg.Flag("keepdims", false) {
			keep = 1
		}
		if v.mask != "" && op == "ReduceMean" && rank == 3 {
			return one(c.maskedMean(l, x, v.mask, axes[0])), nil
		}
		return one(c.op(l, op, x, onnx.AInts("axes", axes...), onnx.AInt("keepdims", keep))), nil
	}
}

// maskedMean is the mean over the steps that count.
func (c *converter) maskedMean(l *layer, x, mask string, axis int64) string {
	weight := c.op2(l, "Unsqueeze", c.cast(l, mask, 1), c.b.Ints(3-axis))
	none := onnx.AInt("keepdims", 0)
	if l.Cfg.Flag("keepdims", false) {
		none = onnx.AInt("keepdims", 1)
	}
	sum := c.op2(l, "ReduceSum", c.op2(l, "Mul", x, weight), c.b.Ints(axis), none)
	return c.op2(l, "Div", sum, c.op2(l, "ReduceSum", weight, c.b.Ints(axis), none))
}

// adaptivePool makes an output of a given size, whatever the input's.
func adaptivePool(op string, n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		out := kerasfile.Ints(l.Cfg["output_size"], n, 0)
		if len(out) != n || slices.Min(out) < 1 || slices.Max(out) > 4096 {
			return "", c.invalid(l, "its output_size makes no sense")
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		return c.spatially(l, x, func(x string) (string, error) {
			for i, k := range out {
				var err error
				if x, err = c.adapt(l, op, x, i+2, k); err != nil {
					return "", err
				}
			}
			return x, nil
		})
	})
}

// adapt pools one axis into k windows: from the i-th k-th of it, rounded down, to
// the next, rounded up. The mean over several axes is that of the means.
func (c *converter) adapt(l *layer, op, x string, axis int, k int64) (string, error) {
	if k == 1 {
		return c.op(l, op, x, onnx.AInts("axes", int64(axis))), nil
	}
	n := c.dim(x, axis)
	if n < 0 {
		return "", c.sizeNeeded(l, "the size of its input")
	}
	if n%k == 0 && c.rank(x) > 2 {
		w := build.Window{Kernel: slices.Repeat([]int64{1}, c.rank(x)-2)}
		w.Kernel[axis-2] = n / k
		w.Stride = w.Kernel
		pool := map[string]string{"ReduceMean": "AveragePool", "ReduceMax": "MaxPool"}[op]
		return c.op(l, pool, x, w.Attrs()...), nil
	}
	var parts []string
	for i := range k {
		part := c.op3(l, "Slice", x, c.b.Ints(i*n/k), c.b.Ints((i*n+n+k-1)/k), c.b.Ints(int64(axis)))
		parts = append(parts, c.op(l, op, part, onnx.AInts("axes", int64(axis))))
	}
	return c.b.Op(l.Path, "Concat", parts, onnx.AInt("axis", int64(axis))), nil
}
