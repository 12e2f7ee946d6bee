package caffe

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func (c *converter) pooling(l *layer) error {
	p := l.msg.sub("pooling_param")
	x := c.in(l, 0)
	if x.rank() != 4 {
		return c.invalid(l, "its input of %s is no picture", tensor.ShapeString(x.sizes()))
	}
	kind := p.str("pool", "MAX")
	switch kind {
	case "MAX", "AVE", "STOCHASTIC":
	default:
		return c.refuse(l, "pool: %s is not supported", cut(kind))
	}
	if len(l.tops) > 1 {
		return c.refuse(l, "its second top, where the largest values were, is not supported")
	}
	if p.flag("global_pooling", off) {
		op := map[string]string{"MAX": "GlobalMaxPool", "AVE": "GlobalAveragePool"}[kind]
		y := ""
		if op != "" {
			y = c.op(l, op, []string{x.name})
		} else {
			y = c.stochastic(l, x, func(in string) string { return c.op(l, "GlobalAveragePool", []string{in}) })
		}
		c.set(l, 0, y, []dim{x.shape[0], x.shape[1], {n: 1}, {n: 1}})
		return nil
	}
	w, err := c.poolWindow(l, p)
	if err != nil {
		return err
	}
	places, end, err := c.poolPlaces(l, p, x, w)
	if err != nil {
		return err
	}
	shape := []dim{x.shape[0], x.shape[1], places[0], places[1]}
	var y string
	switch kind {
	case "MAX":
		y = c.op(l, "MaxPool", []string{x.name}, end.attrs(w, w.pad)...)
	case "AVE":
		y = c.average(l, x.name, w, end)
	case "STOCHASTIC":
		// While training, Caffe picks a value by chance in proportion to its
		// size; the answer is the mean of the values under that chance.
		y = c.stochastic(l, x, func(in string) string { return c.average(l, in, w, end) })
	}
	c.set(l, 0, y, shape)
	return nil
}

// stochastic is the sum of squares over the sum, and 0 where both are.
func (c *converter) stochastic(l *layer, x value, mean func(string) string) string {
	squares := mean(c.op(l, "Mul", []string{x.name, x.name}))
	sums := c.op(l, "Add", []string{mean(x.name), c.scalar(l, "tiny", 1e-37)})
	return c.op(l, "Div", []string{squares, sums})
}

func (c *converter) poolWindow(l *layer, p *message) (window, error) {
	w, err := c.readWindow(l, p, 2)
	if err != nil {
		return w, err
	}
	for i := range 2 {
		if w.pad[i] >= w.kernel[i] {
			return w, c.invalid(l, "its pad of %d is not smaller than its kernel of %d", w.pad[i], w.kernel[i])
		}
	}
	return w, nil
}

// ends says how the last window of each axis ends.
type ends struct {
	ceil bool     // sizes may change: the operator itself must round up
	over [2]int64 // how far the last window reaches beyond the input; below 0, how far it stays within
}

// attrs gives the settings of an operator that begins pad before its input.
func (e ends) attrs(w window, pad []int64) []onnx.Attribute {
	as := []onnx.Attribute{onnx.AInts("kernel_shape", w.kernel...), onnx.AInts("strides", w.stride...)}
	if e.ceil {
		return append(as, onnx.AInts("pads", pad[0], pad[1], pad[0], pad[1]), onnx.AInt("ceil_mode", 1))
	}
	return append(as, onnx.AInts("pads", pad[0], pad[1], max(e.over[0], 0), max(e.over[1], 0)))
}

// poolPlaces computes how many windows there are. Caffe rounds up, and drops a
// last window that would begin in the padding.
func (c *converter) poolPlaces(l *layer, p *message, x value, w window) ([2]dim, ends, error) {
	var places [2]dim
	var e ends
	up := p.str("round_mode", "CEIL") == "CEIL" && p.flag("ceil_mode", on)
	for i := range 2 {
		d, k, s, pad := x.shape[2+i], w.kernel[i], w.stride[i], w.pad[i]
		room := d.n + 2*pad - k
		if room < 0 {
			return places, e, c.invalid(l, "its input of %s is smaller than its kernel", tensor.ShapeString(x.sizes()))
		}
		n := room/s + 1
		if up {
			n = (room+s-1)/s + 1
			// Without padding Caffe keeps a window that lies beyond the input
			// altogether, which only a stride above the kernel can make; such a
			// window holds nothing, and is dropped here too.
			if (n-1)*s >= d.n+pad {
				n--
			}
			// The operator that rounds up by itself drops windows alike, but
			// counts what lies in the padding differently: see average.
			if d.dyn != 0 && s > k-pad && (pad > 0 || s > k) {
				c.pin(d)
			}
			e.ceil = e.ceil || d.dyn != 0
		}
		places[i] = dim{n: n, dyn: d.dyn}
		e.over[i] = (n-1)*s + k - d.n - pad
		if !up {
			e.over[i] = pad
		}
	}
	return places, e, nil
}

// average emits a mean that counts padding, but not what a window that was
// added by rounding up covers beyond it. ONNX has no setting for that: where
// windows reach beyond the padding, that becomes part of the input, and what
// lies beyond is excluded.
func (c *converter) average(l *layer, x string, w window, e ends) string {
	within := !e.ceil && e.over[0] <= w.pad[0] && e.over[1] <= w.pad[1]
	if within {
		return c.op(l, "AveragePool", []string{x}, append(e.attrs(w, w.pad), onnx.AInt("count_include_pad", 1))...)
	}
	if w.pad[0] > 0 || w.pad[1] > 0 {
		pads := []int64{0, 0, w.pad[0], w.pad[1], 0, 0, w.pad[0], w.pad[1]}
		for i := range 2 {
			if !e.ceil {
				pads[6+i] = max(0, min(w.pad[i], e.over[i]))
				e.over[i] = max(0, e.over[i]-w.pad[i])
			}
		}
		x = c.op(l, "Pad", []string{x, c.list(l, "pads", pads...), c.scalar(l, "zero", 0)})
	}
	return c.op(l, "AveragePool", []string{x}, append(e.attrs(w, []int64{0, 0}), onnx.AInt("count_include_pad", 0))...)
}
