package cntk

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// transposeAxes swaps two static axes, or orders all of them anew.
func (c *converter) transposeAxes(f *function, in []value) (value, error) {
	x := in[0]
	order := make([]int, x.rank) // by the axis of the result, that of the input, in C order
	for i := range order {
		order[i] = i
	}
	if f.attrs.has("axisVec") {
		axes := f.attrs.axes("", "axisVec")
		if len(axes) != x.rank {
			return x, c.refuse(f, "it orders %d axes of an input of %d", len(axes), x.rank)
		}
		for i, a := range axes {
			at, err := c.axisOf(f, a, x.rank)
			if err != nil {
				return x, err
			}
			order[x.rank-1-i] = at
		}
	} else {
		a, _ := f.attrs["axis1"].(axis)
		b, _ := f.attrs["axis2"].(axis)
		if a.index >= axisAll || b.index >= axisAll {
			return x, c.refuse(f, "it moves the batch or the sequence, which is not supported")
		}
		i, err := c.axisOf(f, a, x.rank)
		if err != nil {
			return x, err
		}
		j, err := c.axisOf(f, b, x.rank)
		if err != nil {
			return x, err
		}
		order[i], order[j] = j, i
	}
	lead := c.lead(x)
	perm := make([]int64, lead+x.rank)
	for i := range perm {
		perm[i] = int64(i)
		if i >= lead {
			perm[i] = int64(lead + order[i-lead])
		}
	}
	return x.like(c.op(f, "Transpose", []string{x.name}, onnx.AInts("perm", perm...))), nil
}

// slice takes a part of static axes, or of the sequence.
func (c *converter) slice(f *function, in []value) (value, error) {
	x := in[0]
	axes := f.attrs.axes("axis", "axisVec")
	begin, end, stride := f.attrs.ints("beginIndexVec"), f.attrs.ints("endIndexVec"), f.attrs.ints("sliceStridesVec")
	if f.attrs.has("axis") {
		begin, end = []int64{f.attrs.int("beginIndex", 0)}, []int64{f.attrs.int("endIndex", 0)}
		stride = []int64{f.attrs.int("sliceStrides", 1)}
	}
	if len(begin) != len(axes) || len(end) != len(axes) {
		return x, c.invalid(f, "it has %d axes, %d beginnings and %d ends", len(axes), len(begin), len(end))
	}
	var at, steps []int64
	for i, a := range axes {
		if a.index == axisDynamic {
			if x.seq == "" || c.inLoop || a.name == "defaultBatchAxis" {
				return x, c.refuse(f, "it takes a part of a batch, or of a sequence within a loop along it")
			}
			at = append(at, int64(c.seqAxis(x)))
		} else {
			j, err := c.axisOf(f, a, x.rank)
			if err != nil {
				return x, err
			}
			at = append(at, int64(c.lead(x)+j))
		}
		if end[i] == 0 {
			end[i] = math.MaxInt32
		}
		step := int64(1)
		if i < len(stride) && stride[i] != 0 {
			step = stride[i]
		}
		if step < 0 { // from the end to the beginning
			begin[i], end[i] = end[i]-1, begin[i]-1
			if end[i] == -1 {
				end[i] = math.MinInt32
			}
		}
		steps = append(steps, step)
	}
	inputs := []string{x.name, c.b.Ints(begin...), c.b.Ints(end...), c.b.Ints(at...)}
	if slices.ContainsFunc(steps, func(s int64) bool { return s != 1 }) {
		inputs = append(inputs, c.b.Ints(steps...))
	}
	return x.like(c.op(f, "Slice", inputs)), nil
}

// reshape gives some of the static axes, which follow each other, a new shape.
func (c *converter) reshape(f *function, in []value) (value, error) {
	x := in[0]
	bounds := [2]int64{0, int64(x.rank)}
	for i, key := range []string{"beginAxis", "endAxis"} {
		a, ok := f.attrs[key].(axis)
		switch {
		case !ok:
		case a.index == axisEnd:
			bounds[i] = int64(x.rank)
		case a.index >= axisAll:
			return x, c.refuse(f, "its %s is no static axis", key)
		case a.index < 0:
			bounds[i] = a.index + int64(x.rank)
		default:
			bounds[i] = a.index
		}
	}
	if bounds[0] < 0 || bounds[1] < bounds[0] || bounds[1] > int64(x.rank) {
		return x, c.invalid(f, "it shapes axes %d to %d of %d", bounds[0], bounds[1], x.rank)
	}
	to := f.attrs.sizes("newShape").cOrder()
	// In C order the axes behind CNTK's end come first.
	before, after := x.rank-int(bounds[1]), x.rank-int(bounds[0])
	parts := append(c.zeros(x), c.dimsAs(x, 0, before)...)
	for i, n := range to {
		if n < dimInferred {
			return x, c.refuse(f, "a free dimension in its new shape is not supported")
		}
		if n == dimInferred && slices.Contains(to[i+1:], dimInferred) {
			return x, c.invalid(f, "two dimensions of its new shape are to be inferred")
		}
	}
	if len(to) > 0 {
		parts = append(parts, c.b.Ints(to...))
	}
	parts = append(parts, c.dimsAs(x, after, x.rank)...)
	out := x
	out.rank = before + len(to) + x.rank - after
	if len(parts) == 0 {
		return out.like(c.op(f, "Squeeze", []string{x.name})), nil
	}
	return out.like(c.op(f, "Reshape", []string{x.name, c.concat(parts...)})), nil
}

// splice joins tensors along a static axis, which may be one behind CNTK's last.
func (c *converter) splice(f *function, in []value) (value, error) {
	a, _ := f.attrs["axis"].(axis)
	rank := 0
	for _, v := range in {
		rank = max(rank, v.rank)
	}
	at := a.index
	if at < 0 {
		at += int64(rank)
	}
	if a.index == axisDynamic {
		return value{}, c.refuse(f, "joining along the batch or the sequence is not supported")
	}
	if at < 0 || at > int64(rank)+1 || at > maxRank {
		return value{}, c.invalid(f, "its axis %d is none of %d", at, rank)
	}
	rank = max(rank, int(at)+1)
	// A tensor of fewer axes gets some of one element, before the others in C order.
	for i, v := range in {
		in[i].name, in[i].rank = c.unsqueeze(v.name, c.lead(v), rank-v.rank), rank
	}
	names, out, err := c.align(in...)
	if err != nil {
		return out, err
	}
	axis := c.lead(out) + rank - 1 - int(at)
	target := c.expandTo(in, out, axis)
	for i, v := range in {
		if target[i] != "" {
			names[i] = c.op(f, "Expand", []string{c.spread(v, out), target[i]})
		}
	}
	return out.like(c.op(f, "Concat", names, onnx.AInt("axis", int64(axis)))), nil
}

// expandTo gives, for each tensor that is smaller than the others along an axis
// other than the one they are joined along, the shape to expand it to.
func (c *converter) expandTo(in []value, out value, along int) []string {
	target := make([]string, len(in))
	rank := c.lead(out) + out.rank
	for i, v := range in {
		need := c.lead(v) < c.lead(out)
		parts := make([]string, rank)
		for axis := range rank {
			parts[axis] = c.b.Ints(1)
			if axis == along {
				continue
			}
			best, size := -1, onnx.Fixed(1)
			for j, w := range in {
				at := c.placeOf(w, out, axis)
				if at < 0 {
					continue
				}
				if d := c.shape(w)[at]; d != onnx.Fixed(1) {
					best, size = j, d
				}
			}
			if at := c.placeOf(v, out, axis); at >= 0 && c.shape(v)[at] == size || best < 0 {
				continue
			}
			need = true
			if size.Known() {
				parts[axis] = c.b.Ints(size.Value)
			} else {
				parts[axis] = c.size(in[best].name, c.placeOf(in[best], out, axis))
			}
		}
		if need {
			target[i] = c.concat(parts...)
		}
	}
	return target
}

// placeOf gives the axis of a tensor that lies on an axis of a tensor of at least
// as many; below 0 where it has none.
func (c *converter) placeOf(v, out value, axis int) int {
	lead := c.lead(out)
	if axis >= lead {
		return c.lead(v) + axis - lead
	}
	isBatch := axis == 0 && out.batch && c.batch
	switch {
	case isBatch && v.batch:
		return 0
	case !isBatch && v.seq != "":
		return c.seqAxis(v)
	}
	return -1
}

func (c *converter) oneHot(f *function, in []value) (value, error) {
	x := in[0]
	classes := f.attrs.int("numClass", 0)
	a, _ := f.attrs["onehotAxis"].(axis)
	at := a.index
	if at < 0 {
		at += int64(x.rank) + 1
	}
	if classes < 1 || at < 0 || at > int64(x.rank) {
		return x, c.invalid(f, "its axis %d or its %d classes make no sense", a.index, classes)
	}
	axis := c.lead(x) + x.rank - int(at)
	shape := slices.Insert(slices.Clone(c.shape(x)), axis, onnx.Fixed(classes))
	x.name = c.op(f, "Cast", []string{x.name}, onnx.AInt("to", int64(tensor.Int64)))
	x.rank++
	y := c.op(f, "OneHot", []string{x.name, c.b.Int(classes), c.b.Floats(0, 1)}, onnx.AInt("axis", int64(axis)))
	c.b.Declare(y, tensor.Float32, shape)
	return x.like(y), nil
}

// gather takes parts of its second input, along its first axis of C order or the
// one that is given, by the numbers of the first.
func (c *converter) gather(f *function, in []value) (value, error) {
	places, x := in[0], in[1]
	if c.lead(x) > 0 {
		return x, c.refuse(f, "it takes parts of a tensor that differs from sample to sample")
	}
	at := 0
	if a, ok := f.attrs["axis"].(axis); ok {
		var err error
		if at, err = c.axisOf(f, a, x.rank); err != nil {
			return x, err
		}
	}
	if x.rank == 0 {
		return x, c.invalid(f, "it takes parts of a scalar")
	}
	if at > 0 { // the axis comes first
		perm := []int64{int64(at)}
		for i := range x.rank {
			if i != at {
				perm = append(perm, int64(i))
			}
		}
		x.name = c.op(f, "Transpose", []string{x.name}, onnx.AInts("perm", perm...))
	}
	idx := c.op(f, "Cast", []string{places.name}, onnx.AInt("to", int64(tensor.Int64)))
	y := c.op(f, "Gather", []string{x.name, idx}, onnx.AInt("axis", 0))
	out := places
	out.rank = places.rank + x.rank - 1
	if at > 0 { // what came first goes behind the axes that were before it
		lead := c.lead(places)
		var perm []int64
		for i := range lead {
			perm = append(perm, int64(i))
		}
		for i := range at {
			perm = append(perm, int64(lead+places.rank+i))
		}
		for i := range places.rank {
			perm = append(perm, int64(lead+i))
		}
		for i := at; i < x.rank-1; i++ {
			perm = append(perm, int64(lead+places.rank+i))
		}
		y = c.op(f, "Transpose", []string{y}, onnx.AInts("perm", perm...))
	}
	return out.like(y), nil
}

func (c *converter) topK(f *function, in []value) ([]value, error) {
	x := in[0]
	a, _ := f.attrs["axis"].(axis)
	at, err := c.axisOf(f, a, x.rank)
	if err != nil {
		return nil, err
	}
	name := c.nodeName(f)
	out := c.b.Add(&onnx.Node{
		Name: name, Op: "TopK", Inputs: []string{x.name, c.b.Ints(f.attrs.int("numItems", 1))}, Outputs: []string{name, name + "_places"},
		Attrs: []onnx.Attribute{onnx.AInt("axis", int64(c.lead(x)+at))},
	})
	return []value{x.like(out[0]), x.like(c.float(f, out[1]))}, nil
}

// The modes of Pad.
const (
	padConstant  = 0
	padReflect   = 1
	padSymmetric = 2
)

func (c *converter) pad(f *function, in []value) (value, error) {
	x := in[0]
	head, foot := f.attrs.ints("paddingHead"), f.attrs.ints("paddingFoot")
	if len(head) != x.rank || len(foot) != x.rank {
		return x, c.invalid(f, "it pads %d and %d axes of %d", len(head), len(foot), x.rank)
	}
	slices.Reverse(head)
	slices.Reverse(foot)
	lead := c.lead(x)
	mode := f.attrs.int("paddingMode", padConstant)
	if mode == padSymmetric {
		return c.padSymmetric(f, x, head, foot)
	}
	pads := make([]int64, lead, 2*(lead+x.rank))
	pads = append(append(append(pads, head...), make([]int64, lead)...), foot...)
	switch mode {
	case padConstant:
		return x.like(c.op(f, "Pad", []string{x.name, c.b.Ints(pads...), c.b.Float(f.attrs.num("paddingConstantValue", 0))})), nil
	case padReflect:
		return x.like(c.op(f, "Pad", []string{x.name, c.b.Ints(pads...)}, onnx.AStr("mode", "reflect"))), nil
	}
	return x, c.refuse(f, "padding mode %d is not supported", mode)
}

// padSymmetric repeats the border, the outermost element too.
func (c *converter) padSymmetric(f *function, x value, head, foot []int64) (value, error) {
	for i := range head {
		axis := int64(c.lead(x) + i)
		var parts []string
		if head[i] > 0 {
			parts = append(parts, c.op(f, "Slice", []string{x.name, c.b.Ints(head[i] - 1), c.b.Ints(math.MinInt32), c.b.Ints(axis), c.b.Ints(-1)}))
		}
		parts = append(parts, x.name)
		if foot[i] > 0 {
			parts = append(parts, c.op(f, "Slice", []string{x.name, c.b.Ints(-1), c.b.Ints(-1 - foot[i]), c.b.Ints(axis), c.b.Ints(-1)}))
		}
		if len(parts) > 1 {
			x.name = c.op(f, "Concat", parts, onnx.AInt("axis", axis))
		}
	}
	return x, nil
}

// crop takes as many columns and rows of its first input as the second has.
func (c *converter) crop(f *function, in []value) (value, error) {
	x, like := in[0], in[1]
	offset := f.attrs.ints("offset")
	if f.attrs.has("offset") && offset == nil {
		offset = f.attrs.sizes("offset")
	}
	if len(offset) != 2 || x.rank < 2 || like.rank < 2 {
		return x, c.refuse(f, "only cropping by a given offset of rows and columns is supported")
	}
	lead := int64(c.lead(x) + x.rank)
	var begin, end []string
	for i := range 2 { // CNTK's axes 0 and 1 are the last two
		begin = append(begin, c.b.Ints(offset[i]))
		end = append(end, c.op(f, "Add", []string{c.sizeOf(like, like.rank-1-i), c.b.Ints(offset[i])}))
	}
	return x.like(c.op(f, "Slice", []string{x.name, c.concat(begin...), c.concat(end...), c.b.Ints(lead-1, lead-2)})), nil
}

// sizeOf gives the length of a static axis as a list of one element.
func (c *converter) sizeOf(v value, at int) string {
	if dims := c.dims(v); at < len(dims) && dims[at].Known() {
		return c.b.Ints(dims[at].Value)
	}
	return c.size(v.name, c.lead(v)+at)
}

func (c *converter) squeeze(f *function, in []value) (value, error) {
	x := in[0]
	var gone []int64
	for _, a := range f.attrs.axes("axis", "axisVec") {
		at, err := c.axisOf(f, a, x.rank)
		if err != nil {
			return x, err
		}
		gone = append(gone, int64(c.lead(x)+at))
	}
	if gone == nil {
		for i, d := range c.dims(x) {
			if d == onnx.Fixed(1) {
				gone = append(gone, int64(c.lead(x)+i))
			}
		}
	}
	if gone == nil {
		return x, nil
	}
	x.rank -= len(gone)
	return x.like(c.op(f, "Squeeze", []string{x.name, c.b.Ints(gone...)})), nil
}
