package tensorflow

import (
	"math"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func mathOperators() map[string]operator {
	out := map[string]operator{
		"Relu6": relu6, "LeakyRelu": leakyRelu, "Square": tensorOp(1, func(k *call) (string, error) { return k.last("Mul", []string{k.x(0), k.x(0)}), nil }),
		"Rsqrt": rsqrt, "Expm1": tensorOp(1, func(k *call) (string, error) {
			return k.last("Sub", []string{k.op("Exp", []string{k.x(0)}), k.like(k.x(0), 1)}), nil
		}),
		"Log1p": tensorOp(1, func(k *call) (string, error) {
			return k.last("Log", []string{k.op2("Add", k.x(0), k.like(k.x(0), 1))}), nil
		}),
		"Erfc": tensorOp(1, func(k *call) (string, error) {
			return k.last("Sub", []string{k.like(k.x(0), 1), k.op("Erf", []string{k.x(0)})}), nil
		}),
		"IsFinite": tensorOp(1, func(k *call) (string, error) {
			bad := k.op2("Or", k.op("IsNaN", []string{k.x(0)}), k.op("IsInf", []string{k.x(0)}))
			return k.last("Not", []string{bad}), nil
		}),
		"Softmax": softmax("Softmax"), "LogSoftmax": softmax("LogSoftmax"),
		"Add": add, "AddV2": add, "BiasAdd": biasAdd, "BiasAddV1": biasAdd, "AddN": addN, "AccumulateNV2": addN,
		"Mul": mul, "FloorDiv": floorDivide, "FloorMod": floorMod, "Mod": mod, "TruncateMod": mod, "Div": direct("Div", 2), "TruncateDiv": direct("Div", 2),
		"NotEqual": tensorOp(2, func(k *call) (string, error) {
			return k.last("Not", []string{k.op("Equal", []string{k.x(0), k.x(1)})}), nil
		}),
		"SquaredDifference": tensorOp(2, func(k *call) (string, error) {
			d := k.op2("Sub", k.x(0), k.x(1))
			return k.last("Mul", []string{d, d}), nil
		}),
		"DivNoNan": divNoNan, "MulNoNan": mulNoNan, "Xlogy": xlog, "Xdivy": divNoNan, "Atan2": atan2,
		"Pow":  tensorOp(2, func(k *call) (string, error) { return k.last("Pow", []string{k.x(0), k.x(1)}), nil }),
		"Cast": castOperator, "Select": selectOld, "SelectV2": selectNew, "ClipByValue": clipByValue, "GreaterEqual": greaterEqual,
		"FakeQuantWithMinMaxVars": fakeQuant, "FakeQuantWithMinMaxArgs": fakeQuant, "Cumsum": cumsum, "ApproximateEqual": approximateEqual,
	}
	for tf, op := range map[string]string{
		"Abs": "Abs", "Acos": "Acos", "Acosh": "Acosh", "Asin": "Asin", "Asinh": "Asinh", "Atan": "Atan", "Atanh": "Atanh", "Ceil": "Ceil",
		"Cos": "Cos", "Cosh": "Cosh", "Elu": "Elu", "Erf": "Erf", "Exp": "Exp", "Log": "Log", "Neg": "Neg", "Reciprocal": "Reciprocal",
		"Inv": "Reciprocal", "Relu": "Relu", "Selu": "Selu", "Sigmoid": "Sigmoid", "Sign": "Sign", "Sin": "Sin", "Sinh": "Sinh", "Softplus": "Softplus",
		"Softsign": "Softsign", "Sqrt": "Sqrt", "Tan": "Tan", "Tanh": "Tanh", "Rint": "Round", "Round": "Round", "IsNan": "IsNaN", "IsInf": "IsInf",
		"LogicalNot": "Not",
	} {
		out[tf] = direct(op, 1)
	}
	out["Floor"] = marking("Floor", 1)
	for tf, op := range map[string]string{
		"RealDiv": "Div", "Maximum": "Max", "Minimum": "Min", "Equal": "Equal", "Greater": "Greater", "Less": "Less",
		"LessEqual": "LessOrEqual", "LogicalAnd": "And", "LogicalOr": "Or",
	} {
		out[tf] = direct(op, 2)
	}
	out["Sub"] = marking("Sub", 2)
	return out
}

// marking is a direct operator that may stand in a dropout.
func marking(op string, inputs int) operator {
	f := direct(op, inputs)
	return func(k *call) ([]value, error) {
		out, err := f(k)
		k.spreadMark(out)
		return out, err
	}
}

// spreadMark remembers that a tensor is made of random numbers.
func (k *call) spreadMark(out []value) {
	for _, v := range k.in {
		if k.marks[v.name]&markRandom != 0 && len(out) > 0 {
			k.marks[out[0].name] |= markRandom
		}
	}
}

func add(k *call) ([]value, error) { return marking("Add", 2)(k) }

func greaterEqual(k *call) ([]value, error) { return marking("GreaterOrEqual", 2)(k) }

// mul drops a dropout: what is multiplied by a mask of random zeros and ones. In
// use nothing is dropped, and nothing scaled to make up for it.
func mul(k *call) ([]value, error) {
	if err := k.need(2); err != nil {
		return nil, err
	}
	for i := range 2 {
		if k.marks[k.x(i)]&markRandom == 0 || k.Node.Input(i).Node == nil || !isMask(k.Node.Input(i).Node) {
			continue
		}
		k.note("the dropout %q is gone: the network is as it is in use, not in training", k.Name)
		other := k.Node.Input(1 - i).Node
		if other != nil && (other.Op == "RealDiv" || other.Op == "Mul" || other.Op == "Div") {
			if vs, ok := k.env.lookup(other.Input(0).Node); ok && other.Input(0).Out < len(vs) && !vs[other.Input(0).Out].bad && (k.scales(other) || sameProbability(other, k.Node.Input(i).Node)) {
				return []value{vs[other.Input(0).Out]}, nil
			}
		}
		return []value{k.in[1-i]}, nil
	}
	return marking("Mul", 2)(k)
}

// isMask tells whether a node makes zeros and ones.
func isMask(n *flow.Node) bool { return n.Op == "Floor" || n.Op == "Cast" }

// sameProbability tells whether what scales is what the mask is made with, as in
// floor(keep + random) beside x / keep.
func sameProbability(scale, mask *flow.Node) bool {
	sum := mask.Input(0).Node
	by := flow.Through(scale.Input(1))
	return scale.Op != "Mul" && sum != nil && (sum.Op == "Add" || sum.Op == "AddV2") && (flow.Through(sum.Input(0)) == by || flow.Through(sum.Input(1)) == by)
}

// scales tells whether a node multiplies or divides by one number.
func (k *call) scales(n *flow.Node) bool {
	vs, ok := k.env.lookup(n.Input(1).Node)
	if !ok || n.Input(1).Out >= len(vs) {
		return false
	}
	shape := k.b.Shape(vs[n.Input(1).Out].name)
	return shape != nil && (len(shape) == 0 || len(shape) == 1) // a probability, which some feed as a list of one
}

func relu6(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		return k.last("Clip", []string{k.x(0), k.like(k.x(0), 0), k.like(k.x(0), 6)}), nil
	})(k)
}

func leakyRelu(k *call) ([]value, error) {
	const usual = 0.2
	return direct("LeakyRelu", 1, onnx.AFloat("alpha", k.Float("alpha", usual)))(k)
}

func rsqrt(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		return k.last("Reciprocal", []string{k.op("Sqrt", []string{k.x(0)})}), nil
	})(k)
}

func softmax(op string) operator { return direct(op, 1, onnx.AInt("axis", -1)) }

func biasAdd(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		bias := k.x(1)
		if rank := k.rank(k.x(0)); k.ChannelsFirst() && rank > 2 {
			shape := []int64{-1}
			for range rank - 2 {
				shape = append(shape, 1)
			}
			bias = k.op("Reshape", []string{bias, k.b.Ints(shape...)})
		}
		return k.last("Add", []string{k.x(0), bias}), nil
	})(k)
}

func addN(k *call) ([]value, error) {
	return tensorOp(max(1, len(k.in)), func(k *call) (string, error) {
		sum := k.x(0)
		for i := 1; i < len(k.in); i++ {
			sum = k.last("Add", []string{sum, k.x(i)})
		}
		return sum, nil
	})(k)
}

// floorDivide rounds down, where ONNX rounds whole numbers towards zero.
func floorDivide(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		x, y := k.x(0), k.x(1)
		q := k.op2("Div", x, y)
		if arith.IsFloat(k.b.DType(x)) {
			return k.last("Floor", []string{q}), nil
		}
		// One less where there is a rest and the signs differ.
		zero := k.like(x, 0)
		rest := k.op2("Sub", x, k.op2("Mul", q, y))
		inexact := k.op("Not", []string{k.op2("Equal", rest, zero)})
		differ := k.op2("Xor", k.op2("Less", x, zero), k.op2("Less", y, zero))
		less := k.cast(k.op2("And", inexact, differ), k.b.DType(x))
		return k.last("Sub", []string{q, less}), nil
	})(k)
}

func floorMod(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		if !arith.IsFloat(k.b.DType(k.x(0))) {
			return k.last("Mod", []string{k.x(0), k.x(1)}), nil
		}
		q := k.op("Floor", []string{k.op2("Div", k.x(0), k.x(1))})
		return k.last("Sub", []string{k.x(0), k.op2("Mul", q, k.x(1))}), nil
	})(k)
}

// mod takes the sign of what is divided.
func mod(k *call) ([]value, error) { return direct("Mod", 2, onnx.AInt("fmod", 1))(k) }

// divNoNan is 0 where what is divided by is; Xdivy where what is divided is.
func divNoNan(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		zero := k.like(k.x(0), 0)
		by := k.x(1)
		if k.Op == "Xdivy" {
			by = k.x(0)
		}
		return k.last("Where", []string{k.op2("Equal", by, zero), zero, k.op2("Div", k.x(0), k.x(1))}), nil
	})(k)
}

func mulNoNan(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		zero := k.like(k.x(0), 0)
		return k.last("Where", []string{k.op2("Equal", k.x(1), zero), zero, k.op2("Mul", k.x(0), k.x(1))}), nil
	})(k)
}

func xlog(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		zero := k.like(k.x(0), 0)
		y := k.op2("Mul", k.x(0), k.op("Log", []string{k.x(1)}))
		return k.last("Where", []string{k.op2("Equal", k.x(0), zero), zero, y}), nil
	})(k)
}

// atan2 is the angle of a point (x, y), of which ONNX has only the tangent's.
func atan2(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		y, x := k.x(0), k.x(1)
		zero := k.like(x, 0)
		angle := k.op("Atan", []string{k.op2("Div", y, x)})
		half := k.op("Where", []string{k.op2("Less", y, zero), k.like(x, -math.Pi), k.like(x, math.Pi)})
		left := k.op("Where", []string{k.op2("Less", x, zero), k.op2("Add", angle, half), angle})
		// On the axis of y the quotient is none, and at the origin the angle is 0.
		up := k.op2("Mul", k.op("Sign", []string{y}), k.like(x, math.Pi/2))
		return k.last("Where", []string{k.op2("Equal", x, zero), up, left}), nil
	})(k)
}

func castOperator(k *call) ([]value, error) {
	if err := k.need(1); err != nil {
		return nil, err
	}
	d := k.DType("DstT", tensor.Undefined)
	if d.Size() == 0 {
		return nil, k.unsupportedf("it makes something that is no number")
	}
	x := k.x(0)
	if t, ok := k.constant(x); ok && d != t.DType {
		if out, ok := arith.Cast(t, d); ok {
			if k.budget -= int64(len(out.Data)); k.budget < 0 {
				return nil, k.invalid("the weights take much more memory than their file")
			}
			return one(k.root.Constant(k.Name, out)), nil
		}
	}
	if k.b.DType(x) == d {
		return k.in[:1], nil
	}
	out := one(k.last("Cast", []string{x}, onnx.AInt("to", int64(d))))
	k.spreadMark(out)
	if k.marks[x]&markRange != 0 {
		k.marks[out[0].name] |= markRange
	}
	return out, nil
}

// selectOld chooses elements; a condition that is a list chooses rows.
func selectOld(k *call) ([]value, error) {
	if err := k.need(3); err != nil {
		return nil, err
	}
	cond, rank := k.x(0), k.rank(k.x(1))
	if k.rank(cond) == 1 && rank > 1 {
		shape := []int64{-1}
		for range rank - 1 {
			shape = append(shape, 1)
		}
		cond = k.op("Reshape", []string{cond, k.b.Ints(shape...)})
	}
	return k.choose(cond)
}

func selectNew(k *call) ([]value, error) {
	if err := k.need(3); err != nil {
		return nil, err
	}
	return k.choose(k.x(0))
}

// choose takes one of two tensors by a condition: here, where it is known.
func (k *call) choose(cond string) ([]value, error) {
	a, b := k.x(1), k.x(2)
	if t, ok := k.constant(cond); ok && onlyOne(t) && dimsEqual(k.b.Shape(a), k.b.Shape(b)) {
		if arith.Truth(t) {
			return k.in[1:2], nil
		}
		return k.in[2:3], nil
	}
	if k.marks[cond]&markRandom != 0 {
		if y, ok := k.kept(); ok {
			return y, nil
		}
	}
	if k.b.DType(a) == tensor.Bool { // the runtime has no Where for truth values
		yes := k.op2("And", cond, a)
		no := k.op2("And", k.op("Not", []string{cond}), b)
		return one(k.last("Or", []string{yes, no})), nil
	}
	return one(k.last("Where", []string{cond, a, b})), nil
}

// kept drops a dropout that chooses between what is scaled and zeros.
func (k *call) kept() ([]value, bool) {
	scaled := k.Node.Input(1).Node
	if t, ok := k.constant(k.x(2)); !ok || arith.Truth(t) || scaled == nil || scaled.Op != "Mul" && scaled.Op != "RealDiv" || !k.scales(scaled) {
		return nil, false
	}
	vs, ok := k.env.lookup(scaled.Input(0).Node)
	if !ok || scaled.Input(0).Out >= len(vs) || vs[scaled.Input(0).Out].bad {
		return nil, false
	}
	k.note("the dropout %q is gone: the network is as it is in use, not in training", k.Name)
	return []value{vs[scaled.Input(0).Out]}, true
}

func onlyOne(t tensor.Tensor) bool {
	n, err := tensor.Elements(t.Shape)
	return err == nil && n == 1
}

func dimsEqual(a, b []onnx.Dim) bool {
	if a == nil || len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] || a[i].Value < 0 && a[i].Param == "" {
			return false
		}
	}
	return true
}

func clipByValue(k *call) ([]value, error) {
	return tensorOp(3, func(k *call) (string, error) {
		return k.last("Min", []string{k.op2("Max", k.x(0), k.x(1)), k.x(2)}), nil
	})(k)
}

// fakeQuant rounds to the steps that a network of few bits has.
func fakeQuant(k *call) ([]value, error) {
	lo, hi := float64(k.Float("min", -6)), float64(k.Float("max", 6))
	if k.Op == "FakeQuantWithMinMaxVars" {
		for i, to := range []*float64{&lo, &hi} {
			t, ok := k.constant(k.x(i + 1))
			v := arith.Floats(t)
			if !ok || len(v) != 1 {
				return nil, k.unsupportedf("its range is not known before the network runs")
			}
			*to = v[0]
		}
	}
	r, err := k.steps(lo, hi)
	if err != nil {
		return nil, err
	}
	lo, hi, scale := r[0], r[1], r[2]
	return tensorOp(1, func(k *call) (string, error) {
		x := k.op("Clip", []string{k.x(0), k.like(k.x(0), lo), k.like(k.x(0), hi)})
		step := k.op2("Div", k.op2("Sub", x, k.like(x, lo)), k.like(x, scale))
		step = k.op("Floor", []string{k.op2("Add", step, k.like(x, 0.5))})
		return k.last("Add", []string{k.op2("Mul", step, k.like(x, scale)), k.like(x, lo)}), nil
	})(k)
}

// steps moves a range so that zero is one of its steps, and gives the step too.
func (k *call) steps(lo, hi float64) ([3]float64, error) {
	bits := k.Int("num_bits", 8)
	if bits < 2 || bits > 16 || !(lo <= hi) || lo == hi && lo != 0 {
		return [3]float64{}, k.invalid("it has %d bits between %g and %g", bits, lo, hi)
	}
	if lo == hi { // zeros only
		return [3]float64{0, 0, 1}, nil
	}
	first := float64(oneIf(k.Flag("narrow_range", false)))
	last := float64(int64(1)<<bits - 1)
	scale := (hi - lo) / (last - first)
	zero := math.Min(math.Max(math.Floor(first-lo/scale+0.5), first), last)
	return [3]float64{(first - zero) * scale, (last - zero) * scale, scale}, nil
}

func cumsum(k *call) ([]value, error) {
	if err := k.need(2); err != nil {
		return nil, err
	}
	return one(k.last("CumSum", []string{k.x(0), k.x(1)}, onnx.AInt("exclusive", oneIf(k.Flag("exclusive", false))), onnx.AInt("reverse", oneIf(k.Flag("reverse", false))))), nil
}

func approximateEqual(k *call) ([]value, error) {
	const usual = 1e-5
	return tensorOp(2, func(k *call) (string, error) {
		d := k.op("Abs", []string{k.op2("Sub", k.x(0), k.x(1))})
		return k.last("Less", []string{d, k.like(d, float64(k.Float("tolerance", usual)))}), nil
	})(k)
}

func oneIf(b bool) int64 { //nolint:revive // the flag is the value
	if b {
		return 1
	}
	return 0
}
