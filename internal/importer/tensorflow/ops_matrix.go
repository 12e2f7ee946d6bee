package tensorflow

import (
	"strings"

	"github.com/stoa-project/stoa/internal/onnx"
)

func matrixOperators() map[string]operator {
	return map[string]operator{
		"MatMul": matMul, "BatchMatMul": matMul, "BatchMatMulV2": matMul, "BatchMatMulV3": matMul, "Einsum": einsum,
	}
}

// matMul multiplies matrices, turned or not, each of a batch.
func matMul(k *call) ([]value, error) {
	return tensorOp(2, func(k *call) (string, error) {
		a, b := "transpose_a", "transpose_b"
		if strings.HasPrefix(k.Op, "Batch") {
			a, b = "adj_x", "adj_y"
		}
		var in [2]string
		for i, name := range []string{a, b} {
			in[i] = k.x(i)
			if !k.Flag(name, false) {
				continue
			}
			shape, err := k.shapeOf(in[i])
			if err != nil {
				return "", err
			}
			if len(shape) < 2 {
				return "", k.invalid("its input %d is %s, no matrix", i, onnx.DimString(shape))
			}
			perm := make([]int, len(shape))
			for j := range perm {
				perm[j] = j
			}
			last := len(perm) - 1
			perm[last], perm[last-1] = last-1, last
			if in[i], err = k.permuted(in[i], perm...); err != nil {
				return "", err
			}
		}
		return k.last("MatMul", in[:]), nil
	})(k)
}

func einsum(k *call) ([]value, error) {
	return tensorOp(max(1, len(k.in)), func(k *call) (string, error) {
		var in []string
		for i := range k.in {
			in = append(in, k.x(i))
		}
		return k.last("Einsum", in, onnx.AStr("equation", k.Text("equation", ""))), nil
	})(k)
}
