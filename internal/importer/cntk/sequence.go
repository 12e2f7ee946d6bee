package cntk

import (
	"math"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// shiftOf gives how far a delay looks, and that it looks back.
func (c *converter) shiftOf(f *function) (n int64, back bool, err error) {
	n = f.attrs.int("offset", 1)
	const most = 1 << 20
	if n < 1 || n > most {
		return 0, false, c.invalid(f, "its offset %d makes no sense", n)
	}
	return n, f.op == opPastValue, nil
}

// delay moves a sequence that does not depend on it by some steps; what it began
// with comes in.
func (c *converter) delay(f *function, in []value) (value, error) {
	x, first := in[0], in[1]
	n, back, err := c.shiftOf(f)
	if err != nil {
		return x, err
	}
	if x.seq == "" || c.inLoop {
		return x, c.refuse(f, "its input is no sequence")
	}
	if first.seq != "" {
		return x, c.refuse(f, "an initial state that is a sequence is not supported")
	}
	at := c.seqAxis(x)
	// As many steps of the initial state as it looks back, each of the input's shape.
	out := x
	out.batch = x.batch || first.batch
	out.rank = max(x.rank, first.rank)
	xName := c.unsqueeze(x.name, c.lead(x), out.rank-x.rank)
	x.name, x.rank = xName, out.rank
	if out.batch && c.batch && !x.batch {
		return x, c.refuse(f, "its initial state depends on the batch and its input does not")
	}
	var parts []string
	if x.batch && c.batch {
		parts = append(parts, c.size(x.name, 0))
	}
	parts = append(parts, c.b.Ints(n))
	parts = append(parts, c.dimsAs(x, 0, x.rank)...)
	start := c.op(f, "Expand", []string{c.spread(first, out), c.concat(parts...)})
	both, begin, end := []string{start, x.name}, int64(0), -n
	if !back {
		both, begin, end = []string{x.name, start}, n, math.MaxInt32
	}
	y := c.op(f, "Concat", both, onnx.AInt("axis", int64(at)))
	return out.like(c.op(f, "Slice", []string{y, c.b.Ints(begin), c.b.Ints(end), c.b.Ints(int64(at))})), nil
}

// reconcile gives its first input the dynamic axes of the second.
func (c *converter) reconcile(f *function, in []value) (value, error) {
	x, like := in[0], in[1]
	switch {
	case like.seq == x.seq:
		return x, nil
	case c.inLoop || like.seq == "":
		x.seq = like.seq
		return x, nil
	case x.seq != "":
		x.seq = like.seq // sequences of the same length
		return x, nil
	}
	out := x
	out.seq = like.seq
	name := c.unsqueeze(x.name, c.lead(x), 1)
	var parts []string
	if x.batch && c.batch {
		parts = append(parts, c.b.Ints(1))
	}
	parts = append(parts, c.size(like.name, c.seqAxis(like)))
	for range x.rank {
		parts = append(parts, c.b.Ints(1))
	}
	return out.like(c.op(f, "Expand", []string{name, c.concat(parts...)})), nil
}

// unpackSequence makes the sequence a static axis, CNTK's last. All steps are
// there: the mask, its second output, is ones.
func (c *converter) unpackSequence(f *function, in []value) ([]value, error) {
	x := in[0]
	if x.seq == "" || c.inLoop {
		return nil, c.refuse(f, "its input is no sequence")
	}
	mask := x
	mask.seq, mask.rank = "", 1
	parts := []string{c.size(x.name, c.seqAxis(x))}
	if x.batch && c.batch {
		parts = []string{c.size(x.name, 0), parts[0]}
	}
	one := tensor.Of([]float32{1}, 1)
	mask.name = c.b.Op(c.nodeName(f)+"_mask", "ConstantOfShape", []string{c.concat(parts...)}, onnx.ATensor("value", one))
	x.seq = ""
	x.rank++
	return []value{x, mask}, nil
}

// toSequence makes CNTK's last static axis the sequence.
func (c *converter) toSequence(f *function, in []value) (value, error) {
	x := in[0]
	if x.rank == 0 || x.seq != "" || c.inLoop {
		return x, c.refuse(f, "its input has no axis that could be a sequence, or is one already")
	}
	x.rank--
	x.seq = "defaultDynamicAxis"
	for _, a := range f.attrs.axes("", "newDynamicAxes") {
		if a.name != "defaultBatchAxis" {
			x.seq = a.name
		}
	}
	return x, nil
}

func (c *converter) unpackBatch(f *function, in []value) (value, error) {
	x := in[0]
	if x.seq != "" || !x.batch || !c.batch {
		return x, c.refuse(f, "its input has no batch, or is a sequence")
	}
	x.batch = false
	x.rank++
	return x, nil
}

func (c *converter) toBatch(f *function, in []value) (value, error) {
	x := in[0]
	if x.seq != "" || x.batch || x.rank == 0 || !c.batch {
		return x, c.refuse(f, "its input has no axis that could be a batch")
	}
	x.batch = true
	x.rank--
	return x, nil
}

// where gives the places of a sequence at which a condition holds.
func (c *converter) where(f *function, in []value) (value, error) {
	x := in[0]
	if at, ok := c.end(f); ok {
		return value{index: true, name: c.b.Ints(at), batch: x.batch}, nil
	}
	if x.seq == "" || c.inLoop || x.batch && c.batch {
		return x, c.refuse(f, "which steps it chooses may differ within a batch: import the network for one sequence, without a batch")
	}
	flat := c.op(f, "Reshape", []string{x.name, c.b.Ints(-1)})
	flag := c.op(f, "Cast", []string{flat}, onnx.AInt("to", int64(tensor.Bool)))
	y := c.op(f, "Squeeze", []string{c.op(f, "NonZero", []string{flag}), c.b.Ints(0)})
	c.b.Declare(y, tensor.Int64, []onnx.Dim{{Value: -1}})
	out := value{index: true, name: y, batch: x.batch}
	axes := f.attrs.axes("", "newDynamicAxes")
	if len(axes) == 0 {
		out.seq = x.seq
	}
	for _, a := range axes {
		if a.name != "defaultBatchAxis" {
			out.seq = a.name
		}
	}
	return out, nil
}

// end tells whether the one place that is chosen is the first of a sequence, or
// the last: where a delay of nothing gives what it began with.
func (c *converter) end(f *function) (int64, bool) {
	for _, a := range f.attrs.axes("", "newDynamicAxes") {
		if a.name != "defaultBatchAxis" {
			return 0, false
		}
	}
	m := &matcher{c: c}
	in := m.needs(f)
	if len(in) != 1 || in[0].f == nil || !f.attrs.has("newDynamicAxes") {
		return 0, false
	}
	delay, ok := m.is(in[0], 2, opPastValue, opFutureValue)
	if !ok || in[0].f.attrs.int("offset", 1) != 1 {
		return 0, false
	}
	of, ok := m.is(delay[0], 2, opReconcile)
	if !ok || m.err != nil {
		return 0, false
	}
	zero, ok := m.number(of[0], 0)
	one, ok2 := m.number(delay[1], 0)
	return map[int64]int64{opPastValue: 0, opFutureValue: -1}[in[0].f.op], ok && ok2 && zero == 0 && one != 0
}

// packedIndex turns places within a sequence into places within all of a batch,
// which here are the same.
func (c *converter) packedIndex(f *function, in []value) (value, error) {
	if !in[1].index {
		return in[1], c.refuse(f, "places that were computed are not supported")
	}
	return in[1], nil
}

// gatherPacked takes steps of a sequence.
func (c *converter) gatherPacked(f *function, in []value) (value, error) {
	x, places := in[0], in[1]
	if !places.index || x.seq == "" || c.inLoop {
		return x, c.refuse(f, "its input is no sequence")
	}
	at := int64(c.seqAxis(x))
	out := x
	out.seq = places.seq
	if k, ok := c.b.Known(places.name); ok && len(k) == 1 && out.seq == "" {
		return out.like(c.op(f, "Gather", []string{x.name, c.b.Int(k[0])}, onnx.AInt("axis", at))), nil
	}
	y := c.op(f, "Gather", []string{x.name, places.name}, onnx.AInt("axis", at))
	if out.seq == "" {
		y = c.op(f, "Squeeze", []string{y, c.b.Ints(at)})
	}
	return out.like(y), nil
}

// scatterPacked puts steps at places of a sequence as long as its third input;
// zeros are elsewhere.
func (c *converter) scatterPacked(f *function, in []value) (value, error) {
	x, places, like := in[0], in[1], in[2]
	if !places.index || like.seq == "" || c.inLoop || x.batch && c.batch {
		return x, c.refuse(f, "it is supported for one sequence, without a batch")
	}
	if x.seq == "" {
		x.name = c.unsqueeze(x.name, 0, 1)
	}
	x.seq = like.seq
	shape := c.concat(append([]string{c.size(like.name, c.seqAxis(like))}, c.dimsAs(x, 0, x.rank)...)...)
	zeros := c.op(f, "Expand", []string{c.b.Float(0), shape})
	return x.like(c.op(f, "ScatterND", []string{zeros, c.unsqueeze(places.name, 1, 1), x.name})), nil
}
