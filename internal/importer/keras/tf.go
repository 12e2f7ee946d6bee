package keras

import (
	"maps"
	"strings"

	"github.com/stoa-project/stoa/internal/format/kerasfile"
)

// tfFunctions says which function of keras.ops each function of TensorFlow is that
// models of Keras 2 apply between their layers, by the last part of its name. What
// follows are its arguments in order: tensors by their name, settings as the
// name and, behind an equals sign, what it is called there.
const tfFunctions = `
abs Absolute x
add Add x y
subtract Subtract x y
multiply Multiply x y
truediv Divide x y
divide Divide x y
pow Power x y
maximum Maximum x y
minimum Minimum x y
greater Greater x y
greater_equal GreaterEqual x y
less Less x y
less_equal LessEqual x y
equal Equal x y
not_equal NotEqual x y
logical_and LogicalAnd x y
logical_or LogicalOr x y
logical_not LogicalNot x
negative Negative x
relu Relu features
relu6 Relu6 features
sigmoid Sigmoid x
tanh Tanh x
softplus Softplus features
softmax Softmax logits axis=axis
log_softmax LogSoftmax logits axis=axis
leaky_relu LeakyRelu features alpha=negative_slope
gelu Gelu features approximate=approximate
silu Silu features
swish Silu features
elu Elu features
selu Selu features
sqrt Sqrt x
rsqrt Rsqrt x
square Square x
exp Exp x
log Log x
sin Sin x
cos Cos x
floor Floor x
sign Sign x
erf Erf x
reduce_mean Mean input_tensor axis=axis keepdims=keepdims
reduce_sum Sum input_tensor axis=axis keepdims=keepdims
reduce_max Max input_tensor axis=axis keepdims=keepdims
reduce_min Min input_tensor axis=axis keepdims=keepdims
reduce_prod Prod input_tensor axis=axis keepdims=keepdims
argmax Argmax input axis=axis
l2_normalize Normalize x axis=axis
concat Concatenate values axis=axis
stack Stack values axis=axis
split Split value num_or_size_splits=indices_or_sections axis=axis
reshape Reshape tensor shape=newshape
transpose Transpose a perm=axes
expand_dims ExpandDims input axis=axis
squeeze Squeeze input axis=axis
clip_by_value Clip t clip_value_min=x_min clip_value_max=x_max
cast Cast x dtype=dtype
where Where condition x y
pad Pad tensor paddings=pad_width mode=mode
tile Tile input multiples=repeats
matmul Matmul a b
getitem GetItem tensor slice_spec
identity Identity x
convert_to_tensor Identity value
`

// tfDefaults are settings that keras.ops has otherwise where nothing is said.
var tfDefaults = map[string]config{
	"softmax": {"axis": -1.0}, "log_softmax": {"axis": -1.0}, "gelu": {"approximate": false}, "argmax": {"axis": 0.0},
}

func tfKinds(ops map[string]*kind) map[string]*kind {
	out := map[string]*kind{}
	for line := range strings.Lines(tfFunctions) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		name, f := words[0], ops["ops."+words[1]]
		var known []string
		for _, w := range words[2:] {
			arg, _, _ := strings.Cut(w, "=")
			known = append(known, arg)
		}
		out["tf."+name] = &kind{
			fields: "function", kwargs: strings.Join(known, " ") + " name constant_values transpose_b conjugate",
			run: func(c *converter, l *layer, in call) (value, error) { return c.tfFunction(l, in, f, words) },
		}
	}
	return out
}

// tfFunction calls a function of keras.ops with the arguments of TensorFlow's.
func (c *converter) tfFunction(l *layer, in call, f *kind, words []string) (value, error) {
	inner := *l
	inner.Cfg = maps.Clone(tfDefaults[words[0]])
	if inner.Cfg == nil {
		inner.Cfg = config{}
	}
	var args []value
	for i, w := range words[2:] {
		arg, setting, isSetting := strings.Cut(w, "=")
		v, ok := in.kwargs[arg]
		if i < len(in.args) {
			v, ok = in.args[i], true
		}
		switch {
		case !ok || !v.isTensor() && v.list == nil && v.konst == nil:
		case isSetting && (v.isTensor() || v.list != nil):
			return value{}, c.refuse(l, "its %s is computed, which is not supported", arg)
		case isSetting:
			inner.Cfg[setting] = v.konst
		default:
			args = append(args, v)
		}
	}
	kwargs := map[string]value{}
	switch {
	case words[0] == "matmul" && in.kwargs["transpose_b"].konst == true && len(args) == 2:
		perm := make([]int64, c.rank(args[1].name))
		for i := range perm {
			perm[i] = int64(i)
		}
		if n := len(perm); n > 1 {
			perm[n-2], perm[n-1] = perm[n-1], perm[n-2]
		}
		args[1] = one(c.transpose(l, args[1].name, perm...))
	case words[0] == "pad":
		inner.Cfg["mode"] = strings.ToLower(inner.Cfg.Text("mode"))
		kwargs["constant_values"] = in.kwargs["constant_values"]
	case words[0] == "split" && kerasfile.AsList(inner.Cfg["indices_or_sections"]) != nil:
		inner.Cfg["indices_or_sections"] = places(kerasfile.AsList(inner.Cfg["indices_or_sections"]))
	}
	return f.run(c, &inner, call{args: args, kwargs: kwargs})
}

// places gives the places to split at where sizes are given.
func places(sizes []any) []any {
	var out []any
	at := 0.0
	for _, s := range sizes[:max(len(sizes)-1, 0)] {
		n, _ := kerasfile.Number(s)
		at += n
		out = append(out, at)
	}
	if out == nil {
		out = []any{}
	}
	return out
}
