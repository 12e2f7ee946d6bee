package tensorflow

import (
	"slices"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Recurrent cells and layers that are one operator. Their weights are of the
// input and the state together, one below the other.

func recurrentOperators() map[string]operator {
	return map[string]operator{
		"LSTMBlockCell": lstmBlockCell, "BlockLSTM": blockLSTM, "BlockLSTMV2": blockLSTM, "GRUBlockCell": gruBlockCell,
	}
}

// lstmWeights are the inputs of such a cell, and its settings.
type lstmWeights struct {
	w, b     string
	peephole [3]string // of the input, forget and output gates; "" where there is none
	order    string    // of the gates
	forget   float64   // added to the forget gate
	clip     float64   // bounds the state; 0: nothing does
}

// lstm reads the weights from input at on.
func (k *call) lstm(at int) lstmWeights {
	const usualClip = 3
	p := lstmWeights{w: k.x(at), b: k.x(at + 4), order: "icfo", forget: float64(k.Float("forget_bias", 1)), clip: float64(k.Float("cell_clip", usualClip))}
	if k.Op == "BlockLSTMV2" {
		p.order, p.forget, p.clip = "ifco", 0, float64(k.Float("cell_clip", 0))
	}
	if k.Flag("use_peephole", false) {
		p.peephole = [3]string{k.x(at + 1), k.x(at + 2), k.x(at + 3)}
	}
	return p
}

// step adds one step of an LSTM to a graph and gives i, cs, f, o, ci, co and h.
func (p lstmWeights) step(b *build.Builder, name, x, cs, h string) [7]string {
	op := func(op string, in ...string) string { return b.Op(name+"/"+op, op, in) }
	all := b.Op(name+"/xh", "Concat", []string{x, h}, onnx.AInt("axis", 1))
	sum := op("Add", op("MatMul", all, p.w), p.b)
	node := &onnx.Node{Name: name + "/gates", Op: "Split", Inputs: []string{sum}, Attrs: []onnx.Attribute{onnx.AInt("axis", 1)}}
	for range 4 {
		node.Outputs = append(node.Outputs, name+"/gate")
	}
	gates := b.Add(node)
	gate := func(letter byte) string { return gates[slices.Index([]byte(p.order), letter)] }
	look := func(sum, cs, weight string) string {
		if weight == "" {
			return sum
		}
		return op("Add", sum, op("Mul", cs, weight))
	}
	forget := gate('f')
	if p.forget != 0 {
		forget = op("Add", forget, b.Number(b.DType(forget), p.forget))
	}
	i := op("Sigmoid", look(gate('i'), cs, p.peephole[0]))
	f := op("Sigmoid", look(forget, cs, p.peephole[1]))
	ci := op("Tanh", gate('c'))
	state := op("Add", op("Mul", ci, i), op("Mul", cs, f))
	if p.clip > 0 {
		state = op("Clip", state, b.Number(b.DType(state), -p.clip), b.Number(b.DType(state), p.clip))
	}
	o := op("Sigmoid", look(gate('o'), state, p.peephole[2]))
	co := op("Tanh", state)
	return [7]string{i, state, f, o, ci, co, op("Mul", co, o)}
}

func lstmBlockCell(k *call) ([]value, error) {
	if err := k.need(8); err != nil {
		return nil, err
	}
	var out []value
	for _, name := range k.lstm(3).step(k.b, k.Name, k.x(0), k.x(1), k.x(2)) {
		out = append(out, value{name: name})
	}
	return out, nil
}

// blockLSTM runs a cell over the steps of a sequence, which come first.
func blockLSTM(k *call) ([]value, error) {
	if err := k.need(9); err != nil {
		return nil, err
	}
	x, cs, h := k.x(1), k.x(2), k.x(3)
	shape, err := k.shapeOf(x)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || k.rank(cs) != 2 || k.rank(h) != 2 {
		return nil, k.invalid("its input is %s and its state %s", onnx.DimString(shape), onnx.DimString(k.b.Shape(cs)))
	}
	k.loops++
	name := func(s string) string { return k.Name + "#" + s }
	sub := k.b.Sub(k.Name)
	t := k.b.DType(x)
	c0 := sub.Input(name("cs"), t, k.b.Shape(cs)...)
	h0 := sub.Input(name("h"), t, k.b.Shape(h)...)
	step := sub.Input(name("x"), t, shape[1:]...)
	made := k.lstm(4).step(sub, k.Name, step, c0, h0)
	outs := []string{made[1], made[6], made[1], made[6]}
	for i, o := range outs {
		outs[i] = sub.Op(k.Name+"/next", "Identity", []string{o})
		sub.Output(outs[i], outs[i])
	}
	body, err := sub.Body()
	if err != nil {
		return nil, err
	}
	names := k.b.Add(&onnx.Node{
		Name: k.Name, Op: "Scan", Inputs: []string{cs, h, x}, Outputs: []string{k.Name + "/last", k.Name + "/last", k.Name + "/cs", k.Name + "/h"},
		Attrs: []onnx.Attribute{onnx.AGraph("body", body), onnx.AInt("num_scan_inputs", 1)},
	})
	var states [2]string
	for i := range states {
		all := names[2+i]
		k.b.Declare(all, t, append([]onnx.Dim{shape[0]}, k.b.Shape(h)...))
		states[i] = k.upTo(all, shape[0])
	}
	out := make([]value, 7)
	out[1], out[6] = value{name: states[0]}, value{name: states[1]}
	return out, nil
}

// upTo makes steps zero from the first input on, which may be less than there
// are.
func (k *call) upTo(all string, steps onnx.Dim) string {
	limit := k.x(0)
	if t, ok := k.constant(limit); ok && steps.Known() {
		if v := arith.Ints(t); len(v) == 1 && v[0] >= steps.Value {
			return all
		}
	}
	count := k.op("Gather", []string{k.op("Shape", []string{all}), k.b.Int(0)})
	places := k.op("Range", []string{k.b.Int(0), count, k.b.Int(1)})
	mask := k.cast(k.op2("Less", places, k.cast(limit, tensor.Int64)), k.b.DType(all))
	return k.op2("Mul", all, k.op2("Reshape", mask, k.b.Ints(-1, 1, 1)))
}

// gruBlockCell gives r, u, c and h.
func gruBlockCell(k *call) ([]value, error) {
	if err := k.need(6); err != nil {
		return nil, err
	}
	x, h := k.x(0), k.x(1)
	with := func(state string, w, b int) string {
		all := k.op("Concat", []string{x, state}, onnx.AInt("axis", 1))
		return k.op2("Add", k.op2("MatMul", all, k.x(w)), k.x(b))
	}
	gates := k.b.Add(&onnx.Node{
		Name: k.Name + "/gates", Op: "Split", Inputs: []string{k.op("Sigmoid", []string{with(h, 2, 4)})},
		Outputs: []string{k.Name + "/r", k.Name + "/u"}, Attrs: []onnx.Attribute{onnx.AInt("axis", 1)},
	})
	r, u := gates[0], gates[1]
	c := k.op("Tanh", []string{with(k.op2("Mul", h, r), 3, 5)})
	keep := k.op2("Mul", u, h)
	fresh := k.op2("Mul", k.op2("Sub", k.like(u, 1), u), c)
	return []value{{name: r}, {name: u}, {name: c}, {name: k.op2("Add", fresh, keep)}}, nil
}
