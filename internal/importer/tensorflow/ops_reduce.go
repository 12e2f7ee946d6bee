package tensorflow

import (
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func reduceOperators() map[string]operator {
	return map[string]operator{
		"Mean": reduce("ReduceMean"), "Sum": reduce("ReduceSum"), "Max": reduce("ReduceMax"), "Min": reduce("ReduceMin"), "Prod": reduce("ReduceProd"),
		"EuclideanNorm": reduce("ReduceL2"), "All": reduceBool("ReduceMin"), "Any": reduceBool("ReduceMax"),
	}
}

func (k *call) keepDims() onnx.Attribute {
	return onnx.AInt("keepdims", oneIf(k.Flag("keep_dims", k.Flag("keepdims", false))))
}

// reduce is over axes that must be known, unless ONNX takes them as an input.
func reduce(op string) operator {
	return tensorOp(2, func(k *call) (string, error) { return k.reduced(op, k.x(0)) })
}

func (k *call) reduced(op, x string) (string, error) {
	t, ok := k.constant(k.x(1))
	if !ok {
		if op != "ReduceSum" {
			return "", k.unsupportedf("its axes are not known before the network runs")
		}
		return k.last(op, []string{x, k.op2("Reshape", k.cast(k.x(1), tensor.Int64), k.b.Ints(-1))}, k.keepDims(), onnx.AInt("noop_with_empty_axes", 1)), nil
	}
	axes := arith.Ints(t)
	if len(axes) == 0 {
		return x, nil // over no axis
	}
	if op == "ReduceSum" {
		return k.last(op, []string{x, k.b.Ints(axes...)}, k.keepDims()), nil
	}
	return k.last(op, []string{x}, onnx.AInts("axes", axes...), k.keepDims()), nil
}

// reduceBool counts truth values as numbers.
func reduceBool(op string) operator {
	return tensorOp(2, func(k *call) (string, error) {
		y, err := k.reduced(op, k.cast(k.x(0), tensor.Int32))
		return k.cast(y, tensor.Bool), err
	})
}
