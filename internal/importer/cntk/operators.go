package cntk

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
)

// The numbers of CNTK's PrimitiveOpType that this package speaks of by name.
const (
	opHardmax        = 11
	opDropout        = 15
	opSumAll         = 18
	opPackedIndex    = 28
	opGatherPacked   = 29
	opScatterPacked  = 30
	opPastValue      = 37
	opFutureValue    = 38
	opReduce         = 39
	opCombine        = 44
	opBlock          = 57
	opReconcile      = 50
	opToSequence     = 70
	opToSequenceLike = 71
	opUnpackSequence = 72
	opTopK           = 87
	opUser           = -2 // a function whose code is elsewhere
)

// opNames are the functions' names by their numbers, as CNTK 2.7 counts them.
var opNames = []string{
	"Negate", "Sigmoid", "Tanh", "ReLU", "Exp", "Log", "Sqrt", "Floor", "Abs", "Reciprocal", "Softmax", "Hardmax", "TransposeAxes", "Where",
	"Slice", "Dropout", "Reshape", "Pooling", "SumAll", "Plus", "Minus", "ElementTimes", "Equal", "NotEqual", "Less", "LessEqual", "Greater",
	"GreaterEqual", "PackedIndex", "GatherPacked", "ScatterPacked", "Times", "TransposeTimes", "Convolution", "SquaredError",
	"CrossEntropyWithSoftmax", "ClassificationError", "PastValue", "FutureValue", "ReduceElements", "BatchNormalization", "Clip", "Select",
	"Splice", "Combine", "RandomSample", "RandomSampleInclusionFrequency", "ROIPooling", "Logistic", "OptimizedRNNStack",
	"ReconcileDynamicAxis", "LogSoftmax", "LogPlus", "CosDistance", "Sin", "Cos", "Pass", "Block", "Unpooling", "LambdaRank", "NDCG",
	"EditDistanceError", "NoOp", "LabelsToGraph", "StopGradient", "ELU", "ForwardBackward", "CosDistanceWithNegativeSamples", "OneHot", "Pow",
	"ToSequence", "ToSequenceLike", "UnpackSequence", "Assign", "Gather", "StableSigmoid", "RandomDistribution", "Sinh", "Cosh", "UnpackBatch",
	"ToBatch", "Asin", "Acos", "Pad", "Crop", "Atanh", "Asinh", "TopK", "Squeeze", "ConstantOp", "LatticeSequenceWithSoftmax", "Cast",
	"EyeLike", "CustomProxy", "StraightThrough", "Tan", "Atan", "ConvolutionSequenceShape",
}

// opName is what a function is called in reports and messages.
func opName(f *function) string {
	switch {
	case f.op == opUser || f.op == opBlock:
		return f.block
	case f.op >= 0 && f.op < int64(len(opNames)):
		return opNames[f.op]
	}
	return "function type " + strconv.FormatInt(f.op, 10)
}

// passes are functions whose result is their input, when a network is used.
var passes = map[int64]bool{opDropout: true, 56: true, 62: true, 64: true}

// lossOps and lossBlocks compare with labels or change parameters.
var lossOps = map[int64]bool{34: true, 35: true, 36: true, 48: true, 59: true, 60: true, 61: true, 63: true, 66: true, 67: true, 73: true, 90: true}

var lossBlocks = map[string]bool{
	"CrossEntropyWithSoftmax": true, "ClassificationError": true, "BinaryCrossEntropy": true, "WeightedBinaryCrossEntropy": true,
	"SquaredError": true, "cross_entropy_with_softmax": true, "classification_error": true, "squared_error": true, "binary_cross_entropy": true,
	"EditDistanceError": true, "LambdaRank": true, "NDCG": true, "NCELoss": true, "nce_loss": true, "ForwardBackward": true, "FMeasure": true, "fmeasure": true,
	"Logistic": true,
}

// twoOutputs are functions with a second output.
var twoOutputs = map[int64]bool{opUnpackSequence: true, opTopK: true}

// operator is a kind of function.
type operator struct {
	name  string
	least int // inputs
	make  maker
}

type maker func(c *converter, f *function, in []value) ([]value, error)

// one is a maker of one output.
func one(f func(c *converter, f *function, in []value) (value, error)) maker {
	return func(c *converter, fn *function, in []value) ([]value, error) {
		v, err := f(c, fn, in)
		return []value{v}, err
	}
}

// operators gives what is known of each function, by its number.
func operators() map[int64]operator {
	t := map[int64]operator{}
	add := func(op int64, least int, m maker) { t[op] = operator{opNames[op], least, m} }
	for op, name := range map[int64]string{
		0: "Neg", 1: "Sigmoid", 2: "Tanh", 3: "Relu", 4: "Exp", 5: "Log", 6: "Sqrt", 7: "Floor", 8: "Abs", 9: "Reciprocal", 54: "Sin", 55: "Cos",
		75: "Sigmoid", 77: "Sinh", 78: "Cosh", 81: "Asin", 82: "Acos", 85: "Atanh", 86: "Asinh", 95: "Tan", 96: "Atan",
	} {
		add(op, 1, unary(name))
	}
	for op, name := range map[int64]string{19: "Add", 20: "Sub", 21: "Mul", 69: "Pow"} {
		add(op, 2, twoOperands(name))
	}
	for op, name := range map[int64]string{22: "Equal", 23: "Equal", 24: "Less", 25: "LessOrEqual", 26: "Greater", 27: "GreaterOrEqual"} {
		add(op, 2, comparison(name, map[bool]string{true: "Not"}[op == 23]))
	}
	add(10, 1, one(overSample("Softmax")))
	add(opHardmax, 1, one(overSample("Hardmax")))
	add(51, 1, one(overSample("LogSoftmax")))
	add(12, 1, one((*converter).transposeAxes))
	add(13, 1, one((*converter).where))
	add(14, 1, one((*converter).slice))
	add(16, 1, one((*converter).reshape))
	add(17, 1, one((*converter).pooling))
	add(opSumAll, 1, one((*converter).sumAll))
	add(opPackedIndex, 2, one((*converter).packedIndex))
	add(opGatherPacked, 2, one((*converter).gatherPacked))
	add(opScatterPacked, 3, one((*converter).scatterPacked))
	add(31, 2, one((*converter).times))
	add(32, 2, one((*converter).transposeTimes))
	add(33, 2, one((*converter).convolution))
	add(opPastValue, 2, one((*converter).delay))
	add(opFutureValue, 2, one((*converter).delay))
	add(opReduce, 1, one((*converter).reduce))
	add(40, 5, one((*converter).batchNormalization))
	add(41, 3, one((*converter).clip))
	add(42, 3, one((*converter).selectOp))
	add(43, 1, one((*converter).splice))
	add(47, 2, one((*converter).roiPooling))
	add(49, 2, one((*converter).optimizedRNNStack))
	add(opReconcile, 2, one((*converter).reconcile))
	add(52, 2, one((*converter).logPlus))
	add(53, 2, one((*converter).cosDistance))
	add(58, 2, one((*converter).unpooling))
	add(65, 1, one((*converter).elu))
	add(68, 1, one((*converter).oneHot))
	add(opToSequence, 1, one((*converter).toSequence))
	add(opToSequenceLike, 1, one((*converter).toSequence))
	add(opUnpackSequence, 1, (*converter).unpackSequence)
	add(74, 2, one((*converter).gather))
	add(79, 1, one((*converter).unpackBatch))
	add(80, 1, one((*converter).toBatch))
	add(83, 1, one((*converter).pad))
	add(84, 2, one((*converter).crop))
	add(opTopK, 1, (*converter).topK)
	add(88, 1, one((*converter).squeeze))
	add(89, 1, one((*converter).constantOp))
	add(91, 1, one(func(_ *converter, _ *function, in []value) (value, error) { return in[0], nil }))
	add(92, 1, one((*converter).eyeLike))
	add(94, 1, one((*converter).straightThrough))
	return t
}

// blocks are blocks that are made as a whole where they could be opened too.
func blocks() map[string]operator {
	return map[string]operator{
		"Softmax":    {"Softmax", 1, one(alongAxis("Softmax"))},
		"LogSoftmax": {"LogSoftmax", 1, one(alongAxis("LogSoftmax"))},
		"LeakyReLU":  {"LeakyReLU", 1, one((*converter).leakyReLU)},
	}
}

// keptBlock tells whether a block is made as a whole.
func keptBlock(f *function) bool {
	if len(f.values) != 1 {
		return false
	}
	switch f.block {
	case "Softmax", "LogSoftmax":
		a, ok := f.attrs["axis"].(axis)
		return ok && a.index < axisAll
	case "LeakyReLU":
		return f.attrs.has("alpha")
	}
	return false
}

// survey names the functions that are not supported, all of them.
func (c *converter) survey(groups [][]*function) []string {
	var out []string
	for _, g := range groups {
		for _, f := range g {
			if _, ok := c.table[f.op]; ok || f.op == opBlock {
				continue
			}
			why := "it is not supported"
			switch f.op {
			case opUser:
				why = "a function of the user's own, whose code is not in the file"
			case 45, 46, 76:
				why = "it makes random numbers"
			}
			out = append(out, fmt.Sprintf("%s: function %s (%s): %s", c.net.file, f.label(), opName(f), why))
		}
	}
	return out
}

// build makes the graph.
func (c *converter) build(ctx context.Context, groups [][]*function, out []result) error {
	if err := c.layout(groups, out); err != nil {
		return err
	}
	for _, f := range c.net.order {
		if passes[f.op] {
			c.b.From(opName(f)) // it is dropped
		}
		name := c.net.nameOf(outputOf(f.uid, 0))
		r, err := c.net.resolve(outputOf(f.uid, 0))
		if err == nil && r.f != nil && r.out == 0 && name != outputOf(f.uid, 0) {
			c.names[ref{f: r.f}] = name // the outermost stands last
		}
	}
	c.b.From("")
	c.reached = slices.Concat(groups...)
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		loop, err := c.isLoop(g)
		switch {
		case err != nil:
			return err
		case loop:
			err = c.loop(g, out)
		default:
			err = c.convert(g[0])
		}
		if err != nil {
			return err
		}
	}
	for _, r := range out {
		v, err := c.get(r.ref)
		if err != nil {
			return err
		}
		c.b.Output(c.outputName(r, v), v.name)
	}
	return c.b.Err()
}

// outputName gives an output another name than that of an input, which CNTK
// allows and ONNX does not.
func (c *converter) outputName(r result, v value) string {
	for _, in := range c.net.inputs {
		if got, ok := c.values[ref{v: in}]; ok && got.name == r.name && v.name != r.name {
			return r.name + "_output"
		}
	}
	return r.name
}

// layout decides whether inputs have a batch axis.
func (c *converter) layout(groups [][]*function, out []result) error {
	inputs := map[*variable]bool{}
	see := func(r ref) {
		if r.v != nil && r.v.kind == kindInput {
			inputs[r.v] = true
		}
	}
	for _, r := range out {
		see(r.ref)
	}
	for _, g := range groups {
		for _, f := range g {
			needs, err := c.net.needs(f)
			if err != nil {
				return err
			}
			for _, r := range needs {
				see(r)
			}
		}
	}
	c.batch = true
	asked := false
	for v := range inputs { // in any order: all that matters is whether there is one
		if _, seq := dynamic(v); seq == "" {
			continue
		}
		c.batch = false
		asked = asked || len(c.shapes[v.name]) == len(v.shape)+2 || len(c.shapes[v.uid]) == len(v.shape)+2
	}
	if !c.batch && asked {
		c.batch = true
		c.note("the sequences of a batch must be of the same length")
	} else if !c.batch {
		c.note("the network takes one sequence; give a shape such as batch x sequence x features, as in -1,-1,n, for it to take a batch of them")
	}
	// Inputs first, so that no parameter takes the name of one.
	for _, v := range c.net.inputs {
		if !inputs[v] {
			continue
		}
		if _, err := c.get(ref{v: v}); err != nil {
			return err
		}
	}
	return nil
}

func unary(op string) maker {
	return one(func(c *converter, f *function, in []value) (value, error) {
		return in[0].like(c.op(f, op, []string{in[0].name})), nil
	})
}

func twoOperands(op string) maker {
	return one(func(c *converter, f *function, in []value) (value, error) {
		names, out, err := c.align(in[:2]...)
		if err != nil {
			return out, err
		}
		return out.like(c.op(f, op, names)), nil
	})
}

// comparison gives 1 where it is true and 0 elsewhere, after a second operator
// that may be none.
func comparison(op, then string) maker {
	return one(func(c *converter, f *function, in []value) (value, error) {
		names, out, err := c.align(in[:2]...)
		if err != nil {
			return out, err
		}
		y := c.op(f, op, names)
		if then != "" {
			y = c.op(f, then, []string{y})
		}
		return out.like(c.float(f, y)), nil
	})
}

func (c *converter) float(f *function, name string) string {
	return c.op(f, "Cast", []string{name}, onnx.AInt("to", 1))
}
