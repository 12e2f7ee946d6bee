package keras

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/recurrent"
	"github.com/stoa-project/stoa/internal/tensor"
)

const recurrentFields = "units output_dim activation inner_activation recurrent_activation use_bias bias return_sequences return_state go_backwards stateful " +
	"unroll time_major implementation consume_less dropout recurrent_dropout dropout_W dropout_U reset_after unit_forget_bias zero_output_for_mask use_cudnn cell cells"

// cellKind gives LSTM, GRU or SimpleRNN.
func cellKind(l *layer) string { return strings.TrimSuffix(l.Kind, "Cell") }

// old tells a recurrent layer of Keras 1.
func old(l *layer) bool { return l.Cfg["output_dim"] != nil && l.Cfg["units"] == nil }

// oldGates are the gates in the order in which Keras 1 keeps their weights apart.
func oldGates(l *layer) string {
	switch {
	case !old(l) || l.Cfg.Text("consume_less") == "gpu":
		return ""
	case cellKind(l) == "LSTM":
		return "icfo"
	case cellKind(l) == "GRU":
		return "zrh"
	}
	return ""
}

func recurrentSlots(l *layer) []string {
	var out []string
	for _, g := range oldGates(l) {
		out = append(out, "W_"+string(g), "U_"+string(g), "b_"+string(g))
	}
	switch {
	case out != nil:
		return out
	case useBias(l):
		return []string{"kernel", "recurrent_kernel", "bias"}
	}
	return []string{"kernel", "recurrent_kernel"}
}

// sequence is what a recurrent layer works on, and how.
type sequence struct {
	x      string // batch x steps x numbers
	mask   string
	states []string // given first ones: batch x units
	back   bool     // from the last step to the first
	zeros  bool     // steps that do not count give zeros, and not what the step before gave
	all    bool     // the outputs of all steps are wanted
}

// outcome is what a recurrent layer made. All is in the order in which the steps
// were taken.
type outcome struct {
	all    string
	last   []string // states: batch x units
	states int
}

// recurrentLayer is SimpleRNN, LSTM or GRU.
func recurrentLayer(c *converter, l *layer, in call) (value, error) {
	s, err := c.sequenceOf(l, in)
	if err != nil {
		return value{}, err
	}
	o, err := c.cell(l, s)
	if err != nil {
		return value{}, err
	}
	return c.sequenceOut(l, s, o), nil
}

// sequenceOf reads what a recurrent layer is called with: a sequence, and maybe
// the states to begin with.
func (c *converter) sequenceOf(l *layer, in call) (sequence, error) {
	ts := in.tensors()
	if len(ts) == 0 {
		return sequence{}, c.invalid(l, "it is given no tensor")
	}
	if l.Cfg.Flag("time_major", false) {
		return sequence{}, c.refuse(l, "time_major is not supported")
	}
	s := sequence{
		x: c.float(l, ts[0].name), mask: ts[0].mask, back: l.Cfg.Flag("go_backwards", false),
		zeros: l.Cfg.Flag("zero_output_for_mask", false), all: l.Cfg.Flag("return_sequences", false),
	}
	for _, t := range append(ts[1:], in.kwargs["initial_state"].flat()...) {
		s.states = append(s.states, c.float(l, t.name))
	}
	if m := in.kwargs["mask"]; m.isTensor() {
		s.mask = c.cast(l, m.name, tensor.Bool)
	}
	if r := c.rank(s.x); r != 3 {
		return s, c.invalid(l, "it takes batch, steps and numbers, and its input has %d axes", r)
	}
	return s, nil
}

// sequenceOut gives what the settings ask for: the last output or all, and the
// states.
func (c *converter) sequenceOut(l *layer, s sequence, o outcome) value {
	out := one(o.last[len(o.last)-o.states])
	if s.all {
		out = value{name: o.all, mask: s.mask}
	}
	if !l.Cfg.Flag("return_state", false) {
		return out
	}
	list := []value{out}
	for _, n := range o.last {
		list = append(list, one(n))
	}
	return value{list: list}
}

// packed is a cell's weights in ONNX's order.
type packed struct {
	recurrent.Packed
	op    string
	attrs []onnx.Attribute
}

// cell makes the operator of one layer.
func (c *converter) cell(l *layer, s sequence) (outcome, error) {
	p, ok := c.packs[l]
	if !ok {
		var err error
		if p, err = c.pack(l, c.dim(s.x, -1)); err != nil {
			return outcome{}, err
		}
		c.packs[l] = p
	}
	if in := c.dim(s.x, -1); in != p.W.Shape[2] {
		return outcome{}, c.invalid(l, "it takes %d numbers at each step, and its input has %d", p.W.Shape[2], in)
	}
	states := 1
	if p.op == "LSTM" {
		states = 2
	}
	if len(s.states) != 0 && len(s.states) != states {
		return outcome{}, c.invalid(l, "it is given %d states and has %d", len(s.states), states)
	}
	x := s.x
	var o compaction
	reverse := s.back
	if s.mask != "" {
		x, o = c.compact(l, s)
		reverse = false
	}
	inputs := []string{c.transpose(l, x, 1, 0, 2), c.constant(l, "W", p.W), c.constant(l, "R", p.R), c.constant(l, "B", p.B), o.lengths}
	for _, state := range s.states {
		inputs = append(inputs, c.op2(l, "Unsqueeze", state, c.b.Ints(0)))
	}
	for inputs[len(inputs)-1] == "" {
		inputs = inputs[:len(inputs)-1]
	}
	attrs := append([]onnx.Attribute{onnx.AInt("hidden_size", p.Hidden)}, p.attrs...)
	if reverse {
		attrs = append(attrs, onnx.AStr("direction", "reverse"))
	}
	outs := []string{l.Path + "/all", l.Path + "/last", l.Path + "/state"}[:states+1]
	outs = c.b.Add(&onnx.Node{Name: l.Path, Op: p.op, Inputs: inputs, Outputs: outs, Attrs: attrs})
	result := outcome{states: states}
	for _, out := range outs[1:] {
		result.last = append(result.last, c.op2(l, "Squeeze", out, c.b.Ints(0)))
	}
	if s.all {
		result.all = c.transpose(l, c.op2(l, "Squeeze", outs[0], c.b.Ints(1)), 1, 0, 2)
		if reverse {
			result.all = c.flipped(l, result.all)
		}
		if s.mask != "" {
			result.all = c.spread(l, result.all, o)
		}
	}
	return result, nil
}

// flipped turns the order of steps.
func (c *converter) flipped(l *layer, x string) string {
	return c.op3(l, "Slice", x, c.b.Ints(-1), c.b.Ints(-1<<62), c.b.Ints(1), c.b.Ints(-1))
}

// compaction is how steps that count were brought to the front.
type compaction struct {
	lengths string // how many count in each item
	place   string // batch x steps: how many count up to and with a step
	mask    string
	zeros   bool // what does not count gives zeros
}

// compact brings the steps that count to the front of each item, in the order in
// which they are taken: ONNX can leave out steps at the end only.
func (c *converter) compact(l *layer, s sequence) (string, compaction) {
	x, mask := s.x, s.mask
	if s.back {
		x, mask = c.flipped(l, x), c.flipped(l, c.cast(l, mask, tensor.Int64))
	}
	counts := c.cast(l, mask, tensor.Int64)
	steps := c.op3(l, "Slice", c.op(l, "Shape", counts), c.b.Ints(1), c.b.Ints(2))
	number := c.op2(l, "Squeeze", steps, c.b.Ints(0))
	at := c.op3(l, "Range", c.b.Int(0), number, c.b.Int(1))
	// Those that count come first, each by its number.
	key := c.op2(l, "Sub", c.op2(l, "Mul", counts, number), at)
	order := c.b.Add(&onnx.Node{Name: l.Path, Op: "TopK", Inputs: []string{key, steps}, Outputs: []string{l.Path + "/keys", l.Path + "/order"}, Attrs: []onnx.Attribute{onnx.AInt("axis", 1)}})[1]
	return c.gatherSteps(l, x, order), compaction{
		lengths: c.cast(l, c.op2(l, "ReduceSum", counts, c.b.Ints(1), onnx.AInt("keepdims", 0)), tensor.Int32),
		place:   c.op2(l, "CumSum", counts, c.b.Int(1)), mask: c.cast(l, mask, tensor.Bool), zeros: s.zeros,
	}
}

// gatherSteps takes steps of x by their numbers, batch x steps.
func (c *converter) gatherSteps(l *layer, x, index string) string {
	wide := c.op2(l, "Expand", c.op2(l, "Unsqueeze", index, c.b.Ints(2)), c.op(l, "Shape", x))
	return c.op2(l, "GatherElements", x, wide, onnx.AInt("axis", 1))
}

// spread undoes compact on outputs: a step that does not count gives what the
// last one gave that did, or zeros.
func (c *converter) spread(l *layer, y string, o compaction) string {
	from := c.op2(l, "Max", c.op2(l, "Sub", o.place, c.b.Int(1)), c.b.Int(0))
	y = c.gatherSteps(l, y, from)
	some := c.op2(l, "Greater", o.place, c.b.Int(0))
	if o.zeros {
		some = o.mask
	}
	return c.op3(l, "Where", c.op2(l, "Unsqueeze", some, c.b.Ints(2)), y, c.b.Float(0))
}

// pack brings a cell's weights into ONNX's order.
func (c *converter) pack(l *layer, in int64) (packed, error) {
	p := packed{op: cellKind(l)}
	units := kerasfile.Whole(l.Cfg.First("units", "output_dim"), 0)
	if in < 1 {
		return p, c.sizeNeeded(l, "how many numbers its input has at each step")
	}
	if units < 1 || units > 1<<24 {
		return p, c.invalid(l, "its units make no sense")
	}
	order := map[string]string{"LSTM": recurrent.KerasLSTM, "GRU": recurrent.GRU, "SimpleRNN": "h"}[p.op]
	cell, err := c.cellWeights(l, order, in, units)
	if err != nil {
		return p, err
	}
	attrs, err := c.cellActivations(l, p.op)
	if err != nil {
		return p, err
	}
	p.attrs = attrs
	if p.op == "GRU" && resetAfter(l) {
		p.attrs = append(p.attrs, onnx.AInt("linear_before_reset", 1))
	}
	if p.op != "SimpleRNN" {
		p.Packed, err = recurrent.Pack(cell)
		if err != nil {
			return p, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", where(l), stoa.AsError(err).Msg)
		}
		return p, nil
	}
	p.op, p.Hidden = "RNN", units
	direction := func(t tensor.Tensor) tensor.Tensor {
		t.Shape = append([]int64{1}, t.Shape...)
		return t
	}
	p.W, p.R = direction(tensor.Permute(cell.Input, 1, 0)), direction(tensor.Permute(cell.Recurrent, 1, 0))
	b := make([]float32, 2*units)
	copy(b, tensor.As[float32](cell.InputBias))
	p.B = tensor.Of(b, 1, 2*units)
	return p, nil
}

// resetAfter tells a GRU whose reset gate comes after the matrix. Its bias is
// two, one of them for the states.
func resetAfter(l *layer) bool { return l.Cfg.Flag("reset_after", false) }

func (c *converter) cellWeights(l *layer, order string, in, units int64) (recurrent.Cell, error) {
	cell := recurrent.Cell{Order: order, Layout: recurrent.Columns}
	if oldGates(l) != "" {
		return c.oldCell(l, cell, in, units)
	}
	wide := units * int64(len(order))
	var err error
	if cell.Input, err = c.weight(l, "kernel", in, wide); err != nil {
		return cell, err
	}
	if cell.Recurrent, err = c.weight(l, "recurrent_kernel", units, wide); err != nil {
		return cell, err
	}
	if !useBias(l) {
		return cell, nil
	}
	if !resetAfter(l) || cellKind(l) != "GRU" {
		cell.InputBias, err = c.weight(l, "bias", wide)
		return cell, err
	}
	b, err := c.weight(l, "bias", 2, wide)
	if err != nil {
		return cell, err
	}
	half := len(b.Data) / 2
	cell.InputBias = tensor.Tensor{DType: b.DType, Shape: []int64{wide}, Data: b.Data[:half]}
	cell.RecurrentBias = tensor.Tensor{DType: b.DType, Shape: []int64{wide}, Data: b.Data[half:]}
	return cell, nil
}

// oldCell puts the weights together that Keras 1 keeps apart.
func (c *converter) oldCell(l *layer, cell recurrent.Cell, in, units int64) (recurrent.Cell, error) {
	join := func(prefix string, rows int64) (tensor.Tensor, error) {
		wide := units * int64(len(cell.Order))
		out := make([]float32, rows*wide)
		for g, gate := range cell.Order {
			shape := []int64{rows, units}
			if prefix == "b_" {
				shape = shape[1:]
			}
			t, err := c.weight(l, prefix+string(gate), shape...)
			if err != nil {
				return t, err
			}
			from := tensor.As[float32](t)
			for r := range rows {
				copy(out[r*wide+int64(g)*units:], from[r*units:(r+1)*units])
			}
		}
		if prefix == "b_" {
			return tensor.Of(out, wide), nil
		}
		return tensor.Of(out, rows, wide), nil
	}
	var err error
	if cell.Input, err = join("W_", in); err != nil {
		return cell, err
	}
	if cell.Recurrent, err = join("U_", units); err != nil {
		return cell, err
	}
	cell.InputBias, err = join("b_", 1)
	return cell, err
}

// cellFunctions are the functions that ONNX has within recurrent operators, with
// the parameters that make them Keras's.
func (c *converter) cellFunctions() map[string]struct {
	name        string
	alpha, beta []float32
} {
	type f = struct {
		name        string
		alpha, beta []float32
	}
	return map[string]f{
		"tanh": {"Tanh", nil, nil}, "sigmoid": {"Sigmoid", nil, nil}, "relu": {"Relu", nil, nil}, "softsign": {"Softsign", nil, nil}, "softplus": {"Softplus", nil, nil},
		"linear":       {"Affine", []float32{1}, []float32{0}},
		"hard_sigmoid": {"HardSigmoid", []float32{float32(c.hardSlope())}, []float32{0.5}},
		"elu":          {"Elu", []float32{1}, nil},
		"leaky_relu":   {"LeakyRelu", []float32{0.2}, nil},
	}
}

func (c *converter) cellActivations(l *layer, op string) ([]onnx.Attribute, error) {
	own := l.Cfg["activation"]
	settings := []any{own}
	gates := l.Cfg.First("recurrent_activation", "inner_activation")
	switch op {
	case "LSTM":
		settings = []any{gates, own, own}
	case "GRU":
		settings = []any{gates, own}
	}
	var names []string
	var alpha, beta []float32
	for _, v := range settings {
		name, cfg := activationName(v)
		f, ok := c.cellFunctions()[name]
		if !ok || cfg != nil {
			return nil, c.refuse(l, "the function %.60q within a recurrent layer is not supported", name)
		}
		names = append(names, f.name)
		alpha, beta = append(alpha, f.alpha...), append(beta, f.beta...)
	}
	standard := map[string][]string{"LSTM": {"Sigmoid", "Tanh", "Tanh"}, "GRU": {"Sigmoid", "Tanh"}, "SimpleRNN": {"Tanh"}}[op]
	if slices.Equal(names, standard) {
		return nil, nil
	}
	attrs := []onnx.Attribute{onnx.AStrs("activations", names...)}
	if len(alpha) > 0 {
		attrs = append(attrs, onnx.AFloats("activation_alpha", alpha...))
	}
	if len(beta) > 0 {
		attrs = append(attrs, onnx.AFloats("activation_beta", beta...))
	}
	return attrs, nil
}

// cells is the layer that takes a cell, or several one behind the other.
func cells(c *converter, l *layer, in call) (value, error) {
	s, err := c.sequenceOf(l, in)
	if err != nil {
		return value{}, err
	}
	list := []*layer{l.Sub("cell")}
	if list[0] == nil {
		return value{}, c.refuse(l, "its cell is not supported")
	}
	if list[0].Kind == "StackedRNNCells" {
		list = list[0].Within()
	}
	given := s.states
	var result outcome
	for i, k := range list {
		if c.kinds[k.Kind] == nil || !strings.HasSuffix(k.Kind, "Cell") {
			return value{}, c.refuse(l, "a cell of class %s is not supported", k.Kind)
		}
		at := s
		at.all, at.states = s.all || i < len(list)-1, nil
		if n := map[string]int{"LSTM": 2}[cellKind(k)]; len(given) > 0 {
			n = min(max(n, 1), len(given))
			at.states, given = given[:n], given[n:]
		}
		if i > 0 { // the first has turned the steps
			at.x, at.back = result.all, false
			if s.back && s.mask != "" {
				at.mask = c.cast(l, c.flipped(l, c.cast(l, s.mask, tensor.Int64)), tensor.Bool)
			}
		}
		o, err := c.cell(k, at)
		if err != nil {
			return value{}, err
		}
		result = outcome{all: o.all, last: append(result.last, o.last...), states: o.states}
	}
	return c.sequenceOut(l, s, result), nil
}

// onlyWithin is a cell, which its layer makes nodes of.
func onlyWithin(c *converter, l *layer, _ call) (value, error) {
	return value{}, c.refuse(l, "a cell by itself is not supported: put it into an RNN layer")
}

// bidirectional runs a layer forwards and another backwards.
func bidirectional(c *converter, l *layer, in call) (value, error) {
	ways := []*layer{l.Sub("forward_layer"), l.Sub("backward_layer")}
	if ways[0] == nil || ways[1] == nil || c.kinds[ways[0].Kind] == nil || c.kinds[ways[1].Kind] == nil {
		return value{}, c.refuse(l, "its layer is not supported")
	}
	ts := in.tensors()
	if len(ts) == 0 {
		return value{}, c.invalid(l, "it is given no tensor")
	}
	states := append(slices.Clone(ts[1:]), in.kwargs["initial_state"].flat()...)
	var outs [2]value
	for i, w := range ways {
		half := len(states) / 2
		given := states[i*half : i*half+half]
		v, err := c.run(w, call{args: []value{{list: append([]value{ts[0]}, given...)}}, kwargs: map[string]value{"mask": in.kwargs["mask"]}})
		if err != nil {
			return value{}, err
		}
		if v.bad {
			return v, nil
		}
		outs[i] = v
	}
	return c.joinWays(l, ways[0], outs)
}

// joinWays puts the outputs of both directions together, and the states behind.
func (c *converter) joinWays(l, forward *layer, outs [2]value) (value, error) {
	a, b := outs[0].flat(), outs[1].flat()
	x, y := a[0].name, b[0].name
	if forward.Cfg.Flag("return_sequences", false) {
		y = c.flipped(l, y)
	}
	var joined []value
	mode := l.Cfg.Text("merge_mode")
	switch _, there := l.Cfg["merge_mode"]; {
	case mode == "concat" || !there:
		joined = []value{one(c.b.Op(l.Path, "Concat", []string{x, y}, onnx.AInt("axis", -1)))}
	case mode == "sum":
		joined = []value{one(c.op2(l, "Add", x, y))}
	case mode == "mul":
		joined = []value{one(c.op2(l, "Mul", x, y))}
	case mode == "ave":
		joined = []value{one(c.linear(l, c.op2(l, "Add", x, y), 0.5, 0))}
	case mode == "":
		joined = []value{one(x), one(y)}
	default:
		return value{}, c.refuse(l, "merge_mode %.40q is not supported", mode)
	}
	for i := range joined {
		joined[i].mask = a[0].mask
	}
	if len(joined) == 1 && len(a) == 1 {
		return joined[0], nil
	}
	return value{list: slices.Concat(joined, a[1:], b[1:])}, nil
}

// timeDistributed runs a layer on each step by itself.
func timeDistributed(c *converter, l *layer, in call) (value, error) {
	inner := l.Sub("layer")
	if inner == nil {
		return value{}, c.refuse(l, "its layer is not supported")
	}
	v, err := c.only(l, in)
	if err != nil {
		return value{}, err
	}
	x := v.name
	if c.rank(x) < 3 {
		return value{}, c.invalid(l, "it takes batch, steps and more, and its input has %d axes", c.rank(x))
	}
	shape := c.op(l, "Shape", x)
	lead := c.op3(l, "Slice", shape, c.b.Ints(0), c.b.Ints(2))
	item := c.op3(l, "Slice", shape, c.b.Ints(2), c.b.Ints(1<<62))
	together := c.b.Op(l.Path, "Concat", []string{c.b.Ints(-1), item}, onnx.AInt("axis", 0))
	y, err := c.run(inner, call{args: []value{one(c.op2(l, "Reshape", x, together))}})
	if err != nil || y.bad {
		return y, err
	}
	if !y.isTensor() {
		return value{}, c.refuse(l, "a layer within that gives several tensors is not supported")
	}
	rest := c.op3(l, "Slice", c.op(l, "Shape", y.name), c.b.Ints(1), c.b.Ints(1<<62))
	apart := c.b.Op(l.Path, "Concat", []string{lead, rest}, onnx.AInt("axis", 0))
	return value{name: c.op2(l, "Reshape", y.name, apart), mask: v.mask}, nil
}

// wrapped is a wrapper that does nothing outside training.
func wrapped(c *converter, l *layer, in call) (value, error) {
	inner := l.Sub("layer")
	if inner == nil {
		return value{}, c.refuse(l, "its layer is not supported")
	}
	return c.run(inner, in)
}
