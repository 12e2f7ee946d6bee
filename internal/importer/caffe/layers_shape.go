package caffe

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// split gives its bottom several names.
func (c *converter) split(l *layer) error {
	x := c.in(l, 0)
	for i := range l.tops {
		c.set(l, i, x.name, x.shape)
	}
	return nil
}

func (c *converter) concat(l *layer) error {
	p := l.msg.sub("concat_param")
	x := c.in(l, 0)
	axis, err := c.axis(l, p.int("axis", p.int("concat_dim", 1)), x.rank())
	if err != nil {
		return err
	}
	shape := slices.Clone(x.shape)
	names := []string{x.name}
	for i := 1; i < len(l.bottoms); i++ {
		y := c.in(l, i)
		if y.rank() != x.rank() {
			return c.invalid(l, "its bottoms have %d and %d dimensions", x.rank(), y.rank())
		}
		other := value{shape: slices.Clone(y.shape)}
		other.shape[axis] = x.shape[axis]
		if err := c.same(l, x, other); err != nil {
			return err
		}
		shape[axis].n += y.shape[axis].n
		shape[axis].dyn |= y.shape[axis].dyn
		names = append(names, y.name)
	}
	if shape[axis].n > maxPlaces {
		return c.invalid(l, "its output would have %d places along an axis", shape[axis].n)
	}
	if len(names) == 1 {
		c.set(l, 0, x.name, x.shape)
		return nil
	}
	c.set(l, 0, c.op(l, "Concat", names, onnx.AInt("axis", int64(axis))), shape)
	return nil
}

// slice cuts its bottom along an axis: at given points, or into equal parts.
func (c *converter) slice(l *layer) error {
	p := l.msg.sub("slice_param")
	x := c.in(l, 0)
	axis, err := c.axis(l, p.int("axis", p.int("slice_dim", 1)), x.rank())
	if err != nil {
		return err
	}
	total := c.pin(x.shape[axis])
	points := p.ints("slice_point")
	n := int64(len(l.tops))
	var sizes []int64
	switch {
	case len(points) == 0 && total%n == 0:
		sizes = slices.Repeat([]int64{total / n}, int(n))
	case len(points) == int(n)-1:
		from := int64(0)
		for _, at := range append(points, total) {
			if at <= from {
				return c.invalid(l, "its slice points must rise and lie within %d", total)
			}
			sizes, from = append(sizes, at-from), at
		}
	default:
		return c.invalid(l, "it cuts %d into %d parts at %d points", total, n, len(points))
	}
	if n == 1 {
		c.set(l, 0, x.name, x.shape)
		return nil
	}
	node := c.emit("Split", c.unique(l.name+"/Split"), []string{x.name, c.list(l, "sizes", sizes...)}, onnx.AInt("axis", int64(axis)))
	for range n - 1 {
		node.Outputs = append(node.Outputs, c.unique(l.name+"/Split"))
	}
	for i, out := range slices.Clone(node.Outputs) {
		shape := slices.Clone(x.shape)
		shape[axis] = dim{n: sizes[i]}
		c.set(l, i, out, shape)
	}
	return nil
}

func (c *converter) flatten(l *layer) error {
	p := l.msg.sub("flatten_param")
	x := c.in(l, 0)
	from, err := c.axis(l, p.int("axis", 1), x.rank())
	if err != nil {
		return err
	}
	to, err := c.axis(l, p.int("end_axis", -1), x.rank())
	if err != nil {
		return err
	}
	if to < from {
		return c.invalid(l, "its end_axis lies before its axis")
	}
	shape := append(slices.Clone(x.shape[:from]), product(x.shape[from:to+1]))
	shape = append(shape, x.shape[to+1:]...)
	switch {
	case from == to:
		c.set(l, 0, x.name, x.shape)
	case from == 1 && to == x.rank()-1:
		c.set(l, 0, c.op(l, "Flatten", []string{x.name}, onnx.AInt("axis", 1)), shape)
	default:
		dims := make([]int64, from, x.rank()) // zeros: as they are
		dims = append(dims, -1)
		dims = append(dims, c.pinAll(x.shape[to+1:])...)
		c.set(l, 0, c.op(l, "Reshape", []string{x.name, c.list(l, "shape", dims...)}), shape)
	}
	return nil
}

// reshape gives some of the axes another form: 0 keeps a dimension, -1 takes
// what is left.
func (c *converter) reshape(l *layer) error {
	p := l.msg.sub("reshape_param")
	x := c.in(l, 0)
	axis, count := p.int("axis", 0), p.int("num_axes", -1)
	if axis < 0 {
		axis += int64(x.rank()) + 1
	}
	if axis < 0 || axis > int64(x.rank()) || count < -1 || count >= 0 && axis+count > int64(x.rank()) {
		return c.invalid(l, "its axis and num_axes lie outside its input of %d dimensions", x.rank())
	}
	from, to := int(axis), x.rank()
	if count >= 0 {
		to = int(axis + count)
	}
	r := reshaping{x: x, from: from, to: to}
	for i, n := range p.sub("shape").ints("dim") {
		if err := c.reshapeDim(l, &r, i, n); err != nil {
			return err
		}
	}
	if err := c.reshapeRest(l, &r); err != nil {
		return err
	}
	shape := append(slices.Clone(x.shape[:from]), r.shape...)
	shape = append(shape, x.shape[to:]...)
	dims := append(make([]int64, from), r.dims...)
	for _, d := range x.shape[to:] {
		dims = append(dims, c.trailing(&r, d))
	}
	c.set(l, 0, c.op(l, "Reshape", []string{x.name, c.list(l, "shape", dims...)}), shape)
	return nil
}

// reshaping is what a Reshape has made of the axes from to of x.
type reshaping struct {
	x        value
	from, to int
	dims     []int64 // as the operator takes them
	shape    []dim
	kept     []bool // axes that are carried over
	infer    int    // 1 + the place of the -1
	known    dim    // product of all others
}

func (c *converter) reshapeDim(l *layer, r *reshaping, i int, n int64) error {
	if i == 0 {
		r.kept, r.known = make([]bool, r.x.rank()), dim{n: 1}
	}
	at := r.from + i
	switch {
	case n == 0 && at >= r.to:
		return c.invalid(l, "dim: 0 keeps a dimension that its input of %s does not have", tensor.ShapeString(r.x.sizes()))
	case n == 0 || at == 0 && r.to > 0 && n == r.x.shape[0].n && r.x.shape[0].dyn == batch:
		// A description that repeats the declared number of items means the
		// batch, whatever its size when the network runs.
		r.kept[at] = true
		r.dims, r.shape = append(r.dims, 0), append(r.shape, r.x.shape[at])
		r.known = product([]dim{r.known, r.x.shape[at]})
	case n == -1 && r.infer == 0:
		r.infer = i + 1
		r.dims, r.shape = append(r.dims, -1), append(r.shape, dim{})
	case n > 0:
		r.dims, r.shape = append(r.dims, n), append(r.shape, dim{n: n})
		r.known = product([]dim{r.known, {n: n}})
	default:
		return c.invalid(l, "dim: %d makes no sense there", n)
	}
	return nil
}

// reshapeRest infers the dimension that was left open, and pins the axes that
// are neither carried over nor part of it.
func (c *converter) reshapeRest(l *layer, r *reshaping) error {
	if r.kept == nil {
		r.kept, r.known = make([]bool, r.x.rank()), dim{n: 1}
	}
	var gone dim
	for i := r.from; i < r.to; i++ {
		if !r.kept[i] {
			gone.dyn |= r.x.shape[i].dyn
		}
	}
	total := product(r.x.shape[r.from:r.to])
	if r.infer == 0 {
		c.pin(gone)
		if total.n != r.known.n {
			return c.invalid(l, "an input of %s has %d numbers there, and the shape asks for %d", tensor.ShapeString(r.x.sizes()), total.n, r.known.n)
		}
		return nil
	}
	if r.known.n == 0 || total.n%r.known.n != 0 {
		return c.invalid(l, "an input of %s has %d numbers there, which is no multiple of %d", tensor.ShapeString(r.x.sizes()), total.n, r.known.n)
	}
	r.shape[r.infer-1] = dim{n: total.n / r.known.n, dyn: gone.dyn}
	return nil
}

// trailing gives an axis behind the reshaped ones: its number, or -1 where that
// may change and nothing else is left open.
func (c *converter) trailing(r *reshaping, d dim) int64 {
	if d.dyn != 0 && r.infer == 0 {
		r.infer = math.MaxInt
		return -1
	}
	return c.pin(d)
}

// permute is SSD's layer: the axes in another order, those not named behind.
func (c *converter) permute(l *layer) error {
	x := c.in(l, 0)
	var order []int64
	for _, a := range l.msg.sub("permute_param").ints("order") {
		if a < 0 || a >= int64(x.rank()) || slices.Contains(order, a) {
			return c.invalid(l, "its order must name each of %d axes once at most", x.rank())
		}
		order = append(order, a)
	}
	for a := range int64(x.rank()) {
		if !slices.Contains(order, a) {
			order = append(order, a)
		}
	}
	shape := make([]dim, len(order))
	for i, a := range order {
		shape[i] = x.shape[a]
	}
	c.set(l, 0, c.op(l, "Transpose", []string{x.name}, onnx.AInts("perm", order...)), shape)
	return nil
}

// shuffleChannel is ShuffleNet's layer.
func (c *converter) shuffleChannel(l *layer) error {
	x := c.in(l, 0)
	if x.rank() != 4 {
		return c.invalid(l, "its input of %s is no picture", tensor.ShapeString(x.sizes()))
	}
	group, channels := l.msg.sub("shuffle_channel_param").int("group", 1), c.pin(x.shape[1])
	if group < 1 || channels%group != 0 {
		return c.invalid(l, "%d channels do not fit into %d groups", channels, group)
	}
	// Height and width become one axis, for the shape to have one open place.
	apart := c.op(l, "Reshape", []string{x.name, c.list(l, "apart", 0, group, channels/group, -1)})
	turned := c.op(l, "Transpose", []string{apart}, onnx.AInts("perm", 0, 2, 1, 3))
	shape := c.op(l, "Shape", []string{x.name})
	c.set(l, 0, c.op(l, "Reshape", []string{turned, shape}), x.shape)
	return nil
}

func (c *converter) tile(l *layer) error {
	p := l.msg.sub("tile_param")
	x := c.in(l, 0)
	axis, err := c.axis(l, p.int("axis", 1), x.rank())
	if err != nil {
		return err
	}
	n := p.int("tiles", 1)
	if n < 1 || product([]dim{x.shape[axis], {n: n}}).n > maxPlaces {
		return c.invalid(l, "%d tiles make no sense", n)
	}
	repeats := slices.Repeat([]int64{1}, x.rank())
	repeats[axis] = n
	shape := slices.Clone(x.shape)
	shape[axis].n *= n
	c.set(l, 0, c.op(l, "Tile", []string{x.name, c.list(l, "repeats", repeats...)}), shape)
	return nil
}

// crop cuts its first bottom to the size of the second, from an axis on.
func (c *converter) crop(l *layer) error {
	p := l.msg.sub("crop_param")
	x, like := c.in(l, 0), c.in(l, 1)
	axis, err := c.axis(l, p.int("axis", 2), x.rank())
	if err != nil {
		return err
	}
	if like.rank() != x.rank() {
		return c.invalid(l, "its bottoms have %d and %d dimensions", x.rank(), like.rank())
	}
	offsets := p.ints("offset")
	count := x.rank() - axis
	if len(offsets) > 1 && len(offsets) != count {
		return c.invalid(l, "it has %d offsets for %d axes", len(offsets), count)
	}
	shape := slices.Clone(x.shape)
	var starts, ends, over []int64
	var dyn axes
	for i := range count {
		at := axis + i
		offset := int64(0)
		if len(offsets) > 0 {
			offset = offsets[min(i, len(offsets)-1)]
		}
		if offset < 0 || offset+like.shape[at].n > x.shape[at].n {
			return c.invalid(l, "%d places from %d on lie outside its input of %s", like.shape[at].n, offset, tensor.ShapeString(x.sizes()))
		}
		starts, over = append(starts, offset), append(over, int64(at))
		ends = append(ends, offset+like.shape[at].n)
		dyn |= like.shape[at].dyn | x.shape[at].dyn
		shape[at] = like.shape[at]
	}
	start := c.list(l, "starts", starts...)
	end := ""
	if dyn == 0 {
		end = c.list(l, "ends", ends...)
	} else { // the size is known when the network runs
		sizes := c.op(l, "Gather", []string{c.op(l, "Shape", []string{like.name}), c.list(l, "axes", over...)}, onnx.AInt("axis", 0))
		end = c.op(l, "Add", []string{sizes, start})
	}
	c.set(l, 0, c.op(l, "Slice", []string{x.name, start, end, c.list(l, "axes", over...)}), shape)
	return nil
}

// interp is DeepLab's layer: linear enlargement where the corners stay in place.
func (c *converter) interp(l *layer) error {
	p := l.msg.sub("interp_param")
	x := c.in(l, 0)
	if x.rank() != 4 {
		return c.invalid(l, "its input of %s is no picture", tensor.ShapeString(x.sizes()))
	}
	begin, end := p.int("pad_beg", 0), p.int("pad_end", 0)
	if begin > 0 || end > 0 {
		return c.refuse(l, "pad_beg and pad_end above 0 are not supported")
	}
	in := x.name
	spatial := slices.Clone(x.shape[2:])
	if begin < 0 || end < 0 { // negative padding cuts
		for i := range spatial {
			if spatial[i].n += begin + end; spatial[i].n < 1 {
				return c.invalid(l, "pad_beg and pad_end leave nothing of its input of %s", tensor.ShapeString(x.sizes()))
			}
		}
		stop := end
		if stop == 0 {
			stop = math.MaxInt32
		}
		in = c.op(l, "Slice", []string{in, c.list(l, "starts", -begin, -begin), c.list(l, "ends", stop, stop), c.list(l, "axes", 2, 3)})
	}
	size := c.op(l, "Shape", []string{in})
	lead := c.op(l, "Slice", []string{size, c.list(l, "from", 0), c.list(l, "to", 2)})
	to, shape, err := c.interpSize(l, p, size, spatial)
	if err != nil {
		return err
	}
	sizes := c.op(l, "Concat", []string{lead, to}, onnx.AInt("axis", 0))
	y := c.op(l, "Resize", []string{in, "", "", sizes}, onnx.AStr("mode", "linear"),
		onnx.AStr("coordinate_transformation_mode", "align_corners"))
	c.set(l, 0, y, []dim{x.shape[0], x.shape[1], shape[0], shape[1]})
	return nil
}

// interpSize gives the height and width to enlarge to, as a tensor and as
// dimensions.
func (c *converter) interpSize(l *layer, p *message, size string, in []dim) (string, []dim, error) {
	shrink, zoom := p.int("shrink_factor", 1), p.int("zoom_factor", 1)
	h, w := p.int("height", 0), p.int("width", 0)
	if shrink < 1 || zoom < 1 {
		return "", nil, c.invalid(l, "shrink_factor and zoom_factor must be above 0")
	}
	switch {
	case len(l.bottoms) > 1: // the size of another
		like := c.in(l, 1)
		if like.rank() != 4 {
			return "", nil, c.invalid(l, "its second bottom is no picture")
		}
		other := c.op(l, "Shape", []string{like.name})
		return c.op(l, "Slice", []string{other, c.list(l, "second", 2), c.list(l, "end", 4)}), like.shape[2:], nil
	case h > 0 && w > 0 && !p.has("shrink_factor") && !p.has("zoom_factor"):
		if h > maxPicture || w > maxPicture {
			return "", nil, c.invalid(l, "a picture of %dx%d is too large", w, h)
		}
		return c.list(l, "size", h, w), fixed(h, w), nil
	case !p.has("shrink_factor") && !p.has("zoom_factor"):
		return "", nil, c.invalid(l, "it needs height and width, or a factor")
	}
	// n becomes (n-1)/shrink + 1, and then n + (n-1)*(zoom-1).
	out := slices.Clone(in)
	for i := range out {
		out[i].n = (out[i].n-1)/shrink + 1
		out[i].n += (out[i].n - 1) * (zoom - 1)
		if out[i].n > maxPicture {
			return "", nil, c.invalid(l, "a picture of %d places is too large", out[i].n)
		}
	}
	if out[0].dyn == 0 && out[1].dyn == 0 {
		return c.list(l, "size", out[0].n, out[1].n), out, nil
	}
	one := c.list(l, "one", 1)
	less := c.op(l, "Sub", []string{c.op(l, "Slice", []string{size, c.list(l, "second", 2), c.list(l, "end", 4)}), one})
	less = c.op(l, "Div", []string{less, c.list(l, "shrink", shrink)})
	less = c.op(l, "Mul", []string{less, c.list(l, "zoom", zoom)})
	return c.op(l, "Add", []string{less, one}), out, nil
}

// maxPicture bounds a side that a description asks to enlarge to.
const maxPicture = 1 << 16

// parameter is a learned array that no layer computes.
func (c *converter) parameter(l *layer) error {
	shape := l.msg.sub("parameter_param").sub("shape").ints("dim")
	t, ok, err := c.need(l, 0, "array", shape...)
	if err != nil || !ok {
		c.set(l, 0, "", fixed(shape...))
		return err
	}
	c.set(l, 0, c.constant(l, "array", t), fixed(shape...))
	return nil
}

// dummyData is an array of one number everywhere.
func (c *converter) dummyData(l *layer) error {
	p := l.msg.sub("dummy_data_param")
	shapes, fillers := p.all("shape"), p.all("data_filler")
	for i := range l.tops {
		var shape []int64
		if len(shapes) > 0 {
			shape = shapes[min(i, len(shapes)-1)].sub.ints("dim")
		} else {
			for _, name := range []string{"num", "channels", "height", "width"} {
				all := p.ints(name)
				if len(all) == 0 {
					return c.invalid(l, "it has no shape")
				}
				shape = append(shape, all[min(i, len(all)-1)])
			}
		}
		var filler *message
		if len(fillers) > 0 {
			filler = fillers[min(i, len(fillers)-1)].sub
		}
		if filler.str("type", "constant") != "constant" {
			return c.refuse(l, "numbers by chance are not supported")
		}
		n, err := c.allot(l, shape)
		if err != nil {
			return err
		}
		t := filled(n, float32(filler.float("value", 0)))
		t.Shape = shape
		c.set(l, i, c.constant(l, "data", t), fixed(shape...))
	}
	return nil
}
