package keras

import (
	"math"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func identity(_ *converter, _ *layer, x string) (string, error) { return x, nil }

// dropped is a layer that does nothing outside training.
func dropped(c *converter, l *layer, x string) (string, error) {
	c.note("%s does nothing outside training, and was left out", l.Kind)
	return x, nil
}

func dense(c *converter, l *layer, x string) (string, error) {
	in := c.dim(x, -1)
	if in < 0 {
		return "", c.sizeNeeded(l, "the size of the last axis of its input")
	}
	w, err := c.weight(l, "kernel", in, kerasfile.Whole(l.Cfg.First("units", "output_dim"), -1))
	if err != nil {
		return "", err
	}
	y, err := c.matrix(l, x, c.constant(l, "kernel", w), w.Shape[1])
	return c.activated(l, y, err)
}

// matrix multiplies by a matrix and adds the bias, if there is one.
func (c *converter) matrix(l *layer, x, w string, out int64) (string, error) {
	b := ""
	if useBias(l) {
		var err error
		if b, err = c.vector(l, "bias", out); err != nil {
			return "", err
		}
	}
	switch {
	case c.rank(x) == 2 && b != "":
		return c.op3(l, "Gemm", x, w, b), nil
	case b != "":
		return c.op2(l, "Add", c.op2(l, "MatMul", x, w), b), nil
	}
	return c.op2(l, "MatMul", x, w), nil
}

// flatten makes one axis of all but the batch. With channels first it brings
// them last before, so that one network has one order of numbers.
func flatten(c *converter, l *layer, x string) (string, error) {
	rank := c.rank(x)
	if rank == 1 {
		return c.op2(l, "Unsqueeze", x, c.b.Ints(1)), nil
	}
	if l.Cfg.Text("data_format") == "channels_first" && rank > 2 {
		x = c.toLast(l, x)
	}
	size := int64(1)
	for i := 1; i < rank; i++ {
		n := c.dim(x, i)
		if n < 0 && c.open {
			c.needsSize = true
		}
		if n < 0 || n > 0 && size > math.MaxInt32/n {
			size = -1
			break
		}
		size *= n
	}
	if size < 0 {
		return c.op2(l, "Reshape", x, c.b.Ints(0, -1)), nil
	}
	return c.op2(l, "Reshape", x, c.b.Ints(0, size)), nil
}

func reshape(c *converter, l *layer, x string) (string, error) {
	target := kerasfile.Ints(l.Cfg.First("target_shape", "dims"), 1, 0)
	if l.Cfg["target_shape"] == nil && l.Cfg["dims"] == nil || len(target) > 16 {
		return "", c.invalid(l, "its target_shape makes no sense")
	}
	all := int64(1)
	for i := 1; i < c.rank(x); i++ {
		n := c.dim(x, i)
		if n < 0 {
			if c.open {
				c.needsSize = true
			}
			all = -1
			break
		}
		all *= n
	}
	n, free := int64(1), -1
	for i, d := range target {
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 0 || d > 1<<31 || n > 1<<40/max(d, 1):
			return "", c.invalid(l, "its target_shape makes no sense")
		default:
			n *= d
		}
	}
	if free >= 0 && all >= 0 && n > 0 && all%n == 0 {
		target[free] = all / n
		n = all
	}
	if all >= 0 && n != all {
		return "", c.invalid(l, "its target_shape has %d numbers, and its input %d", n, all)
	}
	return c.op2(l, "Reshape", x, c.b.Ints(append([]int64{0}, target...)...)), nil
}

func permute(c *converter, l *layer, x string) (string, error) {
	perm := append([]int64{0}, kerasfile.Ints(l.Cfg["dims"], 1, 0)...)
	sorted := slices.Clone(perm)
	slices.Sort(sorted)
	for i, p := range sorted {
		if p != int64(i) || len(perm) != c.rank(x) {
			return "", c.invalid(l, "its dims are no order of the axes of its input")
		}
	}
	return c.transpose(l, x, perm...), nil
}

func repeatVector(c *converter, l *layer, x string) (string, error) {
	n := l.Cfg.Int("n", 0)
	if n < 1 || n > 1<<24 {
		return "", c.invalid(l, "its n makes no sense")
	}
	return c.op2(l, "Tile", c.op2(l, "Unsqueeze", x, c.b.Ints(1)), c.b.Ints(1, n, 1)), nil
}

// sides reads a padding or a cropping of n axes: one number for all, one for each
// axis, or two for each. Keras 1 has the four sides of a picture in one list.
func (c *converter) sides(l *layer, v any, n int) ([][2]int64, error) {
	out := make([][2]int64, n)
	list := kerasfile.AsList(v)
	flat := kerasfile.Ints(v, 2, 0)
	switch {
	case list == nil && v != nil:
		for i := range out {
			out[i] = [2]int64{kerasfile.Whole(v, -1), kerasfile.Whole(v, -1)}
		}
	case n == 1 && len(list) == 2 && kerasfile.AsList(list[0]) == nil:
		out[0] = [2]int64{flat[0], flat[1]}
	case len(list) == 4 && n == 2: // top, bottom, left, right
		out[0], out[1] = [2]int64{flat[0], flat[1]}, [2]int64{flat[2], flat[3]}
	case len(list) == n:
		for i, e := range list {
			pair := kerasfile.Ints(e, 2, -1)
			if len(pair) != 2 {
				return nil, c.invalid(l, "its sizes make no sense")
			}
			out[i] = [2]int64{pair[0], pair[1]}
		}
	default:
		return nil, c.invalid(l, "its sizes make no sense")
	}
	for _, p := range out {
		if p[0] < 0 || p[1] < 0 || p[0] > 1<<30 || p[1] > 1<<30 {
			return nil, c.invalid(l, "its sizes make no sense")
		}
	}
	return out, nil
}

// firstSpatial gives the first spatial axis.
func (c *converter) firstSpatial(l *layer) int {
	if c.channelsFirst(l) {
		return 2
	}
	return 1
}

func zeroPadding(n int) runner {
	return unary(func(c *converter, l *layer, x string) (string, error) {
		s, err := c.sides(l, l.Cfg["padding"], n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		rank := c.rank(x)
		pads := make([]int64, 2*rank)
		for i, p := range s {
			at := c.firstSpatial(l) + i
			pads[at], pads[rank+at] = p[0], p[1]
		}
		return c.op2(l, "Pad", x, c.b.Ints(pads...)), nil
	})
}

func cropping(n int) runner {
	return unary(func(c *converter, l *layer, x string) (string, error) {
		s, err := c.sides(l, l.Cfg["cropping"], n)
		if err != nil {
			return "", err
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		var starts, ends, axes []int64
		for i, p := range s {
			end := int64(math.MaxInt64)
			if p[1] > 0 {
				end = -p[1]
			}
			starts, ends, axes = append(starts, p[0]), append(ends, end), append(axes, int64(c.firstSpatial(l)+i))
		}
		return c.op3(l, "Slice", x, c.b.Ints(starts...), c.b.Ints(ends...), c.b.Ints(axes...)), nil
	})
}

// upSampling repeats rows and columns, or draws pictures larger.
func upSampling(n int) runner {
	return numeric(func(c *converter, l *layer, x string) (string, error) {
		size := kerasfile.Ints(l.Cfg.First("size", "length"), n, 2)
		if len(size) != n || slices.Min(size) < 1 || slices.Max(size) > maxKernel {
			return "", c.invalid(l, "its size makes no sense")
		}
		if err := c.wantRank(l, x, n); err != nil {
			return "", err
		}
		mode, err := c.interpolation(l, "nearest")
		if err != nil {
			return "", err
		}
		scales := []float32{1, 1}
		for _, s := range size {
			scales = append(scales, float32(s))
		}
		return c.spatially(l, x, func(x string) (string, error) {
			return c.b.Op(l.Path, "Resize", []string{x, "", c.b.Floats(scales...)}, mode...), nil
		})
	})
}

// interpolation gives the attributes of a Resize: centres of pixels lie on each
// other.
func (c *converter) interpolation(l *layer, otherwise string) ([]onnx.Attribute, error) {
	how := l.Cfg.Text("interpolation")
	if how == "" {
		how = otherwise
	}
	switch how {
	case "nearest":
		// Pixels are repeated; where sizes are no multiples, Keras takes the
		// one in which a pixel's centre lies.
		return []onnx.Attribute{onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "half_pixel"), onnx.AStr("nearest_mode", "round_prefer_ceil")}, nil
	case "bilinear":
		return []onnx.Attribute{onnx.AStr("mode", "linear"), onnx.AStr("coordinate_transformation_mode", "half_pixel")}, nil
	case "bicubic":
		return []onnx.Attribute{onnx.AStr("mode", "cubic"), onnx.AStr("coordinate_transformation_mode", "half_pixel"), onnx.AFloat("cubic_coeff_a", -0.5), onnx.AInt("exclude_outside", 1)}, nil
	}
	return nil, c.refuse(l, "interpolation %.40q is not supported", how)
}

// pictureAxes gives height, width and their axes.
func pictureAxes(c *converter, l *layer, x string) (axes [2]int, err error) {
	rank := c.rank(x)
	if rank != 3 && rank != 4 {
		return axes, c.invalid(l, "its input has %d axes, and a picture three", rank)
	}
	if c.channelsFirst(l) {
		return [2]int{rank - 2, rank - 1}, nil
	}
	return [2]int{rank - 3, rank - 2}, nil
}

// resizing draws pictures in a given size.
func resizing(c *converter, l *layer, x string) (string, error) {
	if err := c.wantRank(l, x, 2); err != nil {
		return "", err
	}
	mode, err := c.interpolation(l, "bilinear")
	if err != nil {
		return "", err
	}
	if l.Cfg.Flag("antialias", false) {
		return "", c.refuse(l, "antialias is not supported")
	}
	h, w := l.Cfg.Int("height", 0), l.Cfg.Int("width", 0)
	if h < 1 || w < 1 || h > 1<<16 || w > 1<<16 {
		return "", c.invalid(l, "its height and width make no sense")
	}
	channels, err := c.channels(l, x)
	if err != nil {
		return "", err
	}
	return c.spatially(l, x, func(x string) (string, error) {
		// The batch is whatever it is: Resize takes it from the input's shape.
		shape := c.op(l, "Shape", x)
		batch := c.op3(l, "Slice", shape, c.b.Ints(0), c.b.Ints(1))
		to := c.b.Op(l.Path, "Concat", []string{batch, c.b.Ints(channels, h, w)}, onnx.AInt("axis", 0))
		return c.b.Op(l.Path, "Resize", []string{x, "", "", to}, mode...), nil
	})
}

// centerCrop cuts a window out of the middle.
func centerCrop(c *converter, l *layer, x string) (string, error) {
	axes, err := pictureAxes(c, l, x)
	if err != nil {
		return "", err
	}
	var starts, ends []int64
	for i, n := range []int64{l.Cfg.Int("height", 0), l.Cfg.Int("width", 0)} {
		have := c.dim(x, axes[i])
		if have < 0 {
			return "", c.sizeNeeded(l, "the size of its input")
		}
		if n < 1 || n > have {
			return "", c.refuse(l, "a window larger than the picture is not supported")
		}
		starts, ends = append(starts, (have-n)/2), append(ends, (have-n)/2+n)
	}
	return c.op3(l, "Slice", x, c.b.Ints(starts...), c.b.Ints(ends...), c.b.Ints(int64(axes[0]), int64(axes[1]))), nil
}

func embeddingSlots(*layer) []string { return []string{"embeddings"} }

// embedding looks rows up. Where zero stands for no step, that is the mask.
func embedding(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, in)
	if err != nil {
		return value{}, err
	}
	t, err := c.weight(l, "embeddings", l.Cfg.Int("input_dim", -1), l.Cfg.Int("output_dim", -1))
	if err != nil {
		return value{}, err
	}
	index := c.cast(l, v.name, tensor.Int64)
	out := one(c.op2(l, "Gather", c.constant(l, "embeddings", t), index))
	if l.Cfg.Flag("mask_zero", false) {
		out.mask = c.op(l, "Not", c.op2(l, "Equal", index, c.b.Int(0)))
	}
	return out, nil
}

// masking masks steps all of whose numbers are the same given one.
func masking(c *converter, l *layer, in call) (value, error) {
	v, err := c.only(l, in)
	if err != nil {
		return value{}, err
	}
	x := c.float(l, v.name)
	differs := c.op(l, "Not", c.op2(l, "Equal", x, c.b.Float(l.Cfg.Num("mask_value", 0))))
	some := c.op(l, "ReduceMax", c.cast(l, differs, tensor.Float32), onnx.AInts("axes", -1))
	return value{
		name: c.op2(l, "Mul", x, some),
		mask: c.cast(l, c.op2(l, "Squeeze", some, c.b.Ints(-1)), tensor.Bool),
	}, nil
}

func einsumSlots(l *layer) []string {
	if l.Cfg["bias_axes"] != nil {
		return []string{"kernel", "bias"}
	}
	return []string{"kernel"}
}

// einsumDense multiplies by a kernel along the axes that an equation names. Three
// dots stand for axes of the input that stay.
func einsumDense(c *converter, l *layer, x string) (string, error) {
	equation := l.Cfg.Text("equation")
	if strings.Contains(equation, "...") {
		in, _, _ := strings.Cut(equation, ",")
		letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		n := c.rank(x) - (len(in) - len("..."))
		if n < 0 || n > len(letters) {
			return "", c.invalid(l, "its equation does not fit its input")
		}
		equation = strings.ReplaceAll(equation, "...", letters[:n])
	}
	w, ok := l.Weights["kernel"]
	if !ok {
		return "", c.invalid(l, "it has no kernel")
	}
	xs := []string{x, c.constant(l, "kernel", w)}
	y := c.b.Op(l.Path, "Einsum", xs, onnx.AStr("equation", equation))
	c.b.Declare(y, tensor.Float32, c.einsumShape(equation, xs))
	if b, ok := l.Weights["bias"]; ok {
		y = c.op2(l, "Add", y, c.constant(l, "bias", b))
	}
	return c.activated(l, y, nil)
}

// maxout is the largest of several matrices' results, of Keras 1.
func maxout(c *converter, l *layer, x string) (string, error) {
	n, out := l.Cfg.Int("nb_feature", 4), l.Cfg.Int("output_dim", 0)
	w, err := c.weight(l, "kernel", n, c.dim(x, -1), out)
	if err != nil {
		return "", err
	}
	// Batch, one and numbers by the matrices: matrices, batch and numbers.
	y := c.op2(l, "MatMul", c.op2(l, "Unsqueeze", x, c.b.Ints(0)), c.constant(l, "kernel", w))
	if useBias(l) {
		b, err := c.weight(l, "bias", n, out)
		if err != nil {
			return "", err
		}
		b.Shape = []int64{n, 1, out}
		y = c.op2(l, "Add", y, c.constant(l, "bias", b))
	}
	return c.op(l, "ReduceMax", y, onnx.AInts("axes", 0), onnx.AInt("keepdims", 0)), nil
}

func highwaySlots(l *layer) []string {
	if useBias(l) {
		return []string{"kernel", "carry_kernel", "bias", "carry_bias"}
	}
	return []string{"kernel", "carry_kernel"}
}

// highway lets a part of its input through, of Keras 1.
func highway(c *converter, l *layer, x string) (string, error) {
	n := c.dim(x, -1)
	part := func(prefix string) (string, error) {
		w, err := c.weight(l, prefix+"kernel", n, n)
		if err != nil {
			return "", err
		}
		y := c.op2(l, "MatMul", x, c.constant(l, prefix+"kernel", w))
		if !useBias(l) {
			return y, nil
		}
		b, err := c.vector(l, prefix+"bias", n)
		return c.op2(l, "Add", y, b), err
	}
	gate, err := part("carry_")
	if err != nil {
		return "", err
	}
	y, err := part("")
	if y, err = c.activated(l, y, err); err != nil {
		return "", err
	}
	t := c.op(l, "Sigmoid", gate)
	return c.op2(l, "Add", c.op2(l, "Mul", y, t), c.op2(l, "Mul", x, c.linear(l, t, -1, 1))), nil
}
