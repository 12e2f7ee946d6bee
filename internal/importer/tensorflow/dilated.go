package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// TensorFlow 1 writes a dilated convolution as three nodes: SpaceToBatchND parts
// a picture into pictures of every so many rows and columns, which become items
// of the batch, a plain convolution follows, and BatchToSpaceND puts the picture
// together. Here they become the one convolution that they stand for.

func batchToSpace(k *call) ([]value, error) {
	d := flow.DilatedOf(k.Node)
	if d == nil {
		return k.joinBlocks()
	}
	if err := k.need(6); err != nil {
		return nil, err
	}
	size, err := k.kernel(1, 2)
	if err != nil {
		return nil, err
	}
	block, err := k.intsAt(2, "blocks")
	if err != nil || len(block) != 2 || block[0] < 1 || block[1] < 1 {
		return nil, k.unsupportedf("blocks of rows and columns are supported only, not %v", block)
	}
	again, err := k.intsAt(4, "blocks")
	if err != nil || !slices.Equal(block, again) {
		return nil, k.unsupportedf("it joins other blocks than were parted")
	}
	w := build.Window{Kernel: size[:2], Dilation: block}
	pads, err := k.dilatedPads(d, w)
	if err != nil {
		return nil, err
	}
	conv := *k
	conv.Node = d.Conv
	y, err := conv.convolve(w, size, onnx.AInts("pads", pads...))
	if err == nil && d.Bias != nil {
		y = k.last("Add", []string{y, k.x(6)})
	}
	return one(y), err
}

// dilatedPads gives the padding of the whole: what is added before the parting,
// less what is cut off at the end. Both depend on the size of the picture, and
// their difference does not.
func (k *call) dilatedPads(d *flow.Dilated, w build.Window) ([]int64, error) {
	pad, okPad := k.constant(k.x(3))
	crop, okCrop := k.constant(k.x(5))
	out := make([]int64, 4)
	if p, c := arith.Ints(pad), arith.Ints(crop); okPad && okCrop && len(p) == 4 && len(c) == 4 {
		for i := range 2 {
			out[i], out[2+i] = p[2*i]-c[2*i], p[2*i+1]-c[2*i+1]
		}
		if slices.Min(out) < 0 {
			return nil, k.unsupportedf("it cuts off more than was added")
		}
		return out, nil
	}
	// Where the size is open, what is added before the picture still is a
	// number, and says whether the whole pads as SAME or not at all.
	for i := range 2 {
		before, ok := k.packed(d.Split.In[2], i, 0)
		extent, _ := w.At(i)
		switch total := extent - 1; {
		case !ok || before != 0 && before != total/2:
			return nil, k.unsupportedf("its padding depends on the size of the picture: " + sizeAdvice)
		case before > 0:
			out[i], out[2+i] = before, total-before
		}
	}
	return out, nil
}

// packed gives an element of a matrix that was put together of rows of numbers.
func (k *call) packed(r flow.Ref, i, j int) (int64, bool) {
	for _, at := range []int{i, j} {
		n := flow.Through(r).Node
		for n != nil && n.Op == "StridedSlice" && len(n.In) == 4 && k.wholeFromZero(n) {
			n = flow.Through(n.In[0]).Node
		}
		if n == nil || n.Op != "Pack" || at >= len(n.In) {
			return 0, false
		}
		r = n.In[at]
	}
	vs, ok := k.env.lookup(r.Node)
	if !ok || r.Out >= len(vs) {
		return 0, false
	}
	t, ok := k.constant(vs[r.Out].name)
	if v := arith.Ints(t); ok && len(v) == 1 {
		return v[0], true
	}
	return 0, false
}

// wholeFromZero tells whether a node gives the rows of a matrix from the first on.
func (k *call) wholeFromZero(n *flow.Node) bool {
	for at, want := range map[int]int64{1: 0, 3: 1} {
		vs, ok := k.env.lookup(n.In[at].Node)
		if !ok || len(vs) != 1 {
			return false
		}
		t, ok := k.constant(vs[0].name)
		if v := arith.Ints(t); !ok || len(v) != 1 || v[0] != want {
			return false
		}
	}
	return n.Int("shrink_axis_mask", 0) == 0 && n.Int("new_axis_mask", 0) == 0
}

// blocks reads sizes of blocks and pairs of numbers for each.
func (k *call) blocks(what string) (block, pairs []int64, shape []onnx.Dim, err error) {
	if err = k.need(3); err != nil {
		return nil, nil, nil, err
	}
	if block, err = k.intsAt(1, "blocks"); err != nil {
		return nil, nil, nil, err
	}
	if pairs, err = k.intsAt(2, what); err != nil {
		return nil, nil, nil, err
	}
	if shape, err = k.shapeOf(k.x(0)); err != nil {
		return nil, nil, nil, err
	}
	if len(pairs) != 2*len(block) || len(block) == 0 || len(shape) <= len(block) || slices.Min(block) < 1 {
		err = k.invalid("its blocks %v and %s %v do not fit its input of %s", block, what, pairs, onnx.DimString(shape))
	}
	return block, pairs, shape, err
}

// spaceToBatch parts each axis into blocks, whose places become the batch.
func spaceToBatch(k *call) ([]value, error) {
	block, pairs, shape, err := k.blocks("paddings")
	if err != nil {
		return nil, err
	}
	rank, m := len(shape), len(block)
	pads := make([]int64, 2*rank)
	for i := range m {
		pads[1+i], pads[rank+1+i] = pairs[2*i], pairs[2*i+1]
	}
	x := k.padded(k.x(0), pads)
	sizes := k.op("Shape", []string{x})
	at := func(from, to int) string {
		return k.op("Slice", []string{sizes, k.b.Ints(int64(from)), k.b.Ints(int64(to)), k.b.Ints(0)})
	}
	// batch, then for each axis its blocks and the block's inside, then the rest
	parts, outer := []string{at(0, 1)}, []string{}
	volume := int64(1)
	perm := []int64{}
	for i := range m {
		rows := k.op2("Div", at(1+i, 2+i), k.b.Ints(block[i]))
		parts, outer = append(parts, rows, k.b.Ints(block[i])), append(outer, rows)
		perm = append(perm, int64(2+2*i))
		volume *= block[i]
	}
	rest := at(1+m, rank)
	perm = append(perm, 0)
	for i := range m {
		perm = append(perm, int64(1+2*i))
	}
	for i := 1 + m; i < rank; i++ {
		perm = append(perm, int64(m+i))
	}
	y := k.op("Reshape", []string{x, k.op("Concat", append(parts, rest), onnx.AInt("axis", 0))})
	y = k.op("Transpose", []string{y}, onnx.AInts("perm", perm...))
	out := append([]string{k.op2("Mul", at(0, 1), k.b.Ints(volume))}, outer...)
	return one(k.last("Reshape", []string{y, k.op("Concat", append(out, rest), onnx.AInt("axis", 0))})), nil
}

// padded pads with zeros, where there is something to pad.
func (k *call) padded(x string, pads []int64) string {
	if !slices.ContainsFunc(pads, func(v int64) bool { return v != 0 }) {
		return x
	}
	if k.b.DType(x) == tensor.Undefined || arith.IsFloat(k.b.DType(x)) {
		return k.op("Pad", []string{x, k.b.Ints(pads...)})
	}
	return k.op("Pad", []string{x, k.b.Ints(pads...), k.like(x, 0)})
}

// joinBlocks is the way back.
func (k *call) joinBlocks() ([]value, error) {
	block, pairs, shape, err := k.blocks("crops")
	if err != nil {
		return nil, err
	}
	rank, m := len(shape), len(block)
	sizes := k.op("Shape", []string{k.x(0)})
	at := func(from, to int) string {
		return k.op("Slice", []string{sizes, k.b.Ints(int64(from)), k.b.Ints(int64(to)), k.b.Ints(0)})
	}
	volume := int64(1)
	for _, b := range block {
		volume *= b
	}
	batch := k.op2("Div", at(0, 1), k.b.Ints(volume))
	perm := []int64{int64(m)}
	parts, out := []string{k.b.Ints(block...), batch, at(1, rank)}, []string{batch}
	for i := range m {
		perm = append(perm, int64(m+1+i), int64(i))
		out = append(out, k.op2("Mul", at(1+i, 2+i), k.b.Ints(block[i])))
	}
	for i := 1 + m; i < rank; i++ {
		perm = append(perm, int64(m+i))
	}
	y := k.op("Reshape", []string{k.x(0), k.op("Concat", parts, onnx.AInt("axis", 0))})
	y = k.op("Transpose", []string{y}, onnx.AInts("perm", perm...))
	y = k.op("Reshape", []string{y, k.op("Concat", append(out, at(1+m, rank)), onnx.AInt("axis", 0))})
	var from, to, axes []int64
	for i := range m {
		if pairs[2*i] == 0 && pairs[2*i+1] == 0 {
			continue
		}
		end := int64(1) << 40
		if pairs[2*i+1] > 0 {
			end = -pairs[2*i+1]
		}
		from, to, axes = append(from, pairs[2*i]), append(to, end), append(axes, int64(1+i))
	}
	if len(axes) == 0 {
		return one(y), nil
	}
	return one(k.last("Slice", []string{y, k.b.Ints(from...), k.b.Ints(to...), k.b.Ints(axes...)})), nil
}
