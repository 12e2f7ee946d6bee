package theano

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// layerType is a kind of layer: its fields, and what makes it.
type layerType struct {
	fields string // apart from type, name, of and share
	make   func(c *converter, l *layer, s *settings) (string, error)
}

// aliases are other names of kinds, among them those of Theano's older
// implementations of the same layers.
var aliases = map[string]string{
	"Deconv2D": "TransposedConv2D", "Conv2DMM": "Conv2D", "Conv2DDNN": "Conv2D", "Pool2DDNN": "Pool2D", "MaxPool2DDNN": "MaxPool2D", "rrelu": "RandomizedRectifier",
	"prelu": "ParametricRectifier", "Nonlinear": "Nonlinearity", "dropout": "Dropout", "concat": "Concat", "flatten": "Flatten", "reshape": "Reshape",
	"dimshuffle": "Dimshuffle", "pad": "Pad", "DropoutChannels": "Dropout", "dropout_channels": "Dropout", "spatial_dropout": "Dropout", "dropout_locations": "Dropout",
}

// refused are layers of Lasagne that are not supported, and why.
var refused = map[string]string{
	"Expression":            "its function is code of the program that made the network: say the same with Slice, Reshape, Dimshuffle, Pad, Scale or others",
	"Inverse":               "it is not supported: write the layer that it inverts, such as TransposedConv2D",
	"Transformer":           "spatial transformers are not supported",
	"TPSTransformer":        "spatial transformers are not supported",
	"CustomRecurrent":       "its parts are layers of the program that made the network, and not supported; Recurrent, LSTM and GRU are",
	"SpatialPyramidPooling": "it is not supported",
	"LocallyConnected1D":    "kernels that are not shared between places are not supported",
	"LocallyConnected2D":    "kernels that are not shared between places are not supported",
	"LocallyConnected3D":    "kernels that are not shared between places are not supported",
	"Conv2DCC":              "the layouts of cuda-convnet are not supported",
	"MaxPool2DCC":           "the layouts of cuda-convnet are not supported",
}

const convFields = "num_filters filter_size stride pad b untie_biases flip_filters num_groups nonlinearity batch_norm"

// layerTypes gives the kinds of layers by their names.
func layerTypes() map[string]layerType {
	t := map[string]layerType{
		"Input":                        {"shape dtype", nil},
		"Dense":                        {"num_units num_leading_axes b nonlinearity batch_norm", (*converter).dense},
		"NIN":                          {"num_units b untie_biases nonlinearity batch_norm", (*converter).nin},
		"TransposedConv2D":             {"num_filters filter_size stride crop b untie_biases flip_filters nonlinearity batch_norm output_size", transposed(2)},
		"TransposedConv3D":             {"num_filters filter_size stride crop b untie_biases flip_filters nonlinearity batch_norm output_size", transposed(3)},
		"DilatedConv2D":                {"num_filters filter_size dilation b untie_biases flip_filters nonlinearity batch_norm", (*converter).dilated},
		"GlobalPool":                   {"pool_function", (*converter).globalPool},
		"FeaturePool":                  {"pool_size axis pool_function", (*converter).featurePool},
		"FeatureWTA":                   {"pool_size axis", (*converter).featureWTA},
		"BatchNorm":                    {"axes beta gamma", (*converter).batchNorm},
		"LocalResponseNormalization2D": {"alpha k beta n", (*converter).lrn},
		"Standardization":              {"axes epsilon", (*converter).standardization},
		"Dropout":                      {"p rescale shared_axes", (*converter).identity},
		"GaussianNoise":                {"sigma", (*converter).identity},
		"Nonlinearity":                 {"nonlinearity", (*converter).nonlinearityLayer},
		"ParametricRectifier":          {"shared_axes", (*converter).prelu},
		"RandomizedRectifier":          {"lower upper shared_axes", (*converter).rrelu},
		"Bias":                         {"shared_axes b", (*converter).bias},
		"Scale":                        {"shared_axes", (*converter).scale},
		"Concat":                       {"axis", (*converter).concat},
		"ElemwiseSum":                  {"coeffs", (*converter).elemwiseSum},
		"ElemwiseMerge":                {"merge_function", (*converter).elemwiseMerge},
		"Flatten":                      {"outdim", (*converter).flatten},
		"Reshape":                      {"shape", (*converter).reshape},
		"Dimshuffle":                   {"pattern", (*converter).dimshuffle},
		"Pad":                          {"width val batch_ndim", (*converter).pad},
		"Slice":                        {"indices start stop step axis", (*converter).slice},
		"Embedding":                    {"input_size output_size", (*converter).embedding},
		"Recurrent":                    {"num_units b nonlinearity backwards only_return_final", (*converter).recurrent},
		"LSTM":                         {"num_units peepholes nonlinearity nonlinearity_ingate nonlinearity_forgetgate nonlinearity_cell nonlinearity_outgate backwards only_return_final", (*converter).lstm},
		"GRU":                          {"num_units nonlinearity_resetgate nonlinearity_updategate nonlinearity_hidden_update backwards only_return_final", (*converter).gru},
	}
	for n := 1; n <= 3; n++ {
		t[fmt.Sprintf("Conv%dD", n)] = layerType{convFields, convolution(n)}
		t[fmt.Sprintf("Pool%dD", n)] = layerType{"pool_size stride pad ignore_border mode", pooling(n)}
		t[fmt.Sprintf("MaxPool%dD", n)] = layerType{"pool_size stride pad ignore_border", pooling(n)}
		t[fmt.Sprintf("Upscale%dD", n)] = layerType{"scale_factor mode", upscale(n)}
	}
	return t
}

// check says what fields of a layer are unknown; "" where none is.
func (t layerType) check(l *layer) string {
	known := strings.Fields(t.fields)
	if f := l.unknown(known); f != "" {
		return fmt.Sprintf("%q is no field of it that is read here; there are %s", f, strings.Join(known, ", "))
	}
	return ""
}

func (c *converter) identity(l *layer, _ *settings) (string, error) {
	c.note("layers of kind %s do nothing when a network is used, and were left out", l.kind)
	return c.in(l)
}

// after applies what comes behind the product of a layer: a normalisation of
// batches, which Lasagne's batch_norm() puts in place of the bias, and the
// nonlinearity.
func (c *converter) after(l *layer, s *settings, y string) (string, error) {
	if s.flag("batch_norm", false) {
		var err error
		if y, err = c.normalize(l, y, nil, [2]bool{true, true}); err != nil {
			return "", err
		}
	}
	return c.nonlinearity(l, s, "nonlinearity", "rectify", y)
}

// hasBias tells whether a layer has a bias: b: false says that it has none.
func (s *settings) hasBias() bool { return s.flag("b", true) && !s.flag("batch_norm", false) }

// dense multiplies all dimensions behind the leading ones, as one, with its
// weights, which are inputs x units.
func (c *converter) dense(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	units, dims := s.need("num_units"), c.dims(x)
	leading := int(s.int("num_leading_axes", 1))
	if leading < 0 {
		leading += len(dims)
	}
	if leading < 0 || leading >= len(dims) {
		return "", c.net.errorf(l, "its num_leading_axes do not fit an input of %s", onnx.DimString(dims))
	}
	if len(dims) > leading+1 {
		parts := slices.Repeat([]int64{0}, leading)
		x = c.op(l, "Reshape", []string{x, c.b.Ints(append(parts, -1)...)})
	}
	w, err := c.param(l, "W", -1, units)
	if err != nil {
		return "", err
	}
	if n := c.dims(x)[leading]; n.Known() && n.Value != w.Shape[0] {
		return "", c.net.errorf(l, "its parameter W is %s, and its input has %d numbers", tensor.ShapeString(w.Shape), n.Value)
	}
	inputs := []string{x, c.constant(l, "W", w)}
	bias := ""
	if s.hasBias() {
		b, err := c.param(l, "b", units)
		if err != nil {
			return "", err
		}
		bias = c.constant(l, "b", b)
	}
	var y string
	switch {
	case leading == 1 && bias != "":
		y = c.op(l, "Gemm", append(inputs, bias))
	case leading == 1:
		y = c.op(l, "Gemm", inputs)
	default:
		if y = c.op(l, "MatMul", inputs); bias != "" {
			y = c.op(l, "Add", []string{y, bias})
		}
	}
	return c.after(l, s, y)
}

// batchNorm normalises by statistics that are parameters: beta, gamma, the mean
// and one over the standard deviation.
func (c *converter) batchNorm(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	return c.normalize(l, x, s.list("axes"), [2]bool{s.flag("beta", true), s.flag("gamma", true)})
}

func (c *converter) normalize(l *layer, x string, shared []int64, has [2]bool) (string, error) {
	own, sizes, err := c.ownAxes(l, x, shared)
	if err != nil {
		return "", err
	}
	var p [4][]float32
	for i, name := range []string{"beta", "gamma", "mean", "inv_std"} {
		if i < len(has) && !has[i] {
			continue
		}
		t, err := c.param(l, name, sizes...)
		if err != nil {
			return "", err
		}
		p[i] = tensor.As[float32](t)
	}
	for i := range has {
		if !has[i] { // a beta of 0, a gamma of 1
			p[i] = slices.Repeat([]float32{float32(i)}, len(p[2]))
		}
	}
	scale, offset := make([]float32, len(p[2])), make([]float32, len(p[2]))
	for i := range scale {
		scale[i] = p[1][i] * p[3][i]
		offset[i] = p[0][i] - p[2][i]*scale[i]
	}
	shape := along(len(c.dims(x)), own, sizes)
	y := c.op(l, "Mul", []string{x, c.constant(l, "scale", tensor.Of(scale, shape...))})
	return c.op(l, "Add", []string{y, c.constant(l, "offset", tensor.Of(offset, shape...))}), nil
}

// ownAxes gives the axes along which parameters differ, and their sizes: those
// that are not shared, which by default is the second.
func (c *converter) ownAxes(l *layer, x string, shared []int64) ([]int, []int64, error) {
	dims := c.dims(x)
	var own []int
	var sizes []int64
	for i := range dims {
		differs := i == 1
		if shared != nil {
			differs = !slices.ContainsFunc(shared, func(a int64) bool { return a == int64(i) || a+int64(len(dims)) == int64(i) })
		}
		if !differs {
			continue
		}
		n, err := c.size(l, x, i)
		if err != nil {
			return nil, nil, err
		}
		own, sizes = append(own, i), append(sizes, n)
	}
	return own, sizes, nil
}

// sharedAxes reads shared_axes, which may be the word auto.
func (s *settings) sharedAxes() []int64 {
	if n, _ := s.l.fields.get("shared_axes"); n.text == "auto" {
		return nil
	}
	return s.list("shared_axes")
}

// learned is a sum or product with a parameter.
func (c *converter) learned(l *layer, s *settings, op, name string) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	own, sizes, err := c.ownAxes(l, x, s.sharedAxes())
	if err != nil {
		return "", err
	}
	t, err := c.param(l, name, sizes...)
	if err != nil {
		return "", err
	}
	return c.op(l, op, []string{x, c.constant(l, name, t, along(len(c.dims(x)), own, sizes)...)}), nil
}

func (c *converter) bias(l *layer, s *settings) (string, error) {
	if !s.flag("b", true) {
		return c.in(l)
	}
	return c.learned(l, s, "Add", "b")
}

func (c *converter) scale(l *layer, s *settings) (string, error) {
	return c.learned(l, s, "Mul", "scales")
}

func (c *converter) prelu(l *layer, s *settings) (string, error) {
	return c.learned(l, s, "PRelu", "alpha")
}

// rrelu has the mean of its bounds as its slope when a network is used.
func (c *converter) rrelu(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	slope := (s.float("lower", 0.3) + s.float("upper", 0.8)) / 2
	return c.op(l, "LeakyRelu", []string{x}, onnx.AFloat("alpha", float32(slope))), nil
}

// lrn has an alpha that is not divided by the number of channels, as ONNX's is.
func (c *converter) lrn(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	n := s.int("n", 5)
	if n < 1 || n%2 == 0 {
		return "", c.net.errorf(l, "n is %d, and must be odd", n)
	}
	return c.op(l, "LRN", []string{x}, onnx.AInt("size", n), onnx.AFloat("alpha", float32(s.float("alpha", 1e-4)*float64(n))),
		onnx.AFloat("beta", float32(s.float("beta", 0.75))), onnx.AFloat("bias", float32(s.float("k", 2)))), c.rank(l, x, 4)
}

// standardization subtracts the mean and divides by the standard deviation of
// each sample.
func (c *converter) standardization(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	rank := int64(len(c.dims(x)))
	var axes []int64
	n, _ := l.fields.get("axes")
	from := int64(-1)
	switch n.text {
	case "", "auto":
		from = min(2, rank-1)
	case "spatial":
		from = 2
	case "features":
		from = 1
	}
	if n.kind == isList || from < 0 {
		axes, from = s.list("axes"), rank
	}
	for i := from; i < rank; i++ {
		axes = append(axes, i)
	}
	if len(axes) == 0 {
		return "", c.net.errorf(l, "an input of %s has no such axes", onnx.DimString(c.dims(x)))
	}
	mean := c.op(l, "ReduceMean", []string{x}, onnx.AInts("axes", axes...))
	apart := c.op(l, "Sub", []string{x, mean})
	variance := c.op(l, "ReduceMean", []string{c.op(l, "Mul", []string{apart, apart})}, onnx.AInts("axes", axes...))
	deviation := c.op(l, "Sqrt", []string{c.op(l, "Add", []string{variance, c.b.Float(s.float("epsilon", 1e-4))})})
	return c.op(l, "Div", []string{apart, deviation}), nil
}

func (c *converter) embedding(l *layer, s *settings) (string, error) {
	x, err := c.in(l)
	if err != nil {
		return "", err
	}
	w, err := c.param(l, "W", s.need("input_size"), s.need("output_size"))
	if err != nil {
		return "", err
	}
	if c.b.DType(x) != tensor.Int64 && c.b.DType(x) != tensor.Int32 {
		x = c.op(l, "Cast", []string{x}, onnx.AInt("to", int64(tensor.Int64)))
	}
	return c.op(l, "Gather", []string{c.constant(l, "W", w), x}), nil
}
