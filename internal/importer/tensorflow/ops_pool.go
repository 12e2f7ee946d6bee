package tensorflow

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
)

func poolOperators() map[string]operator {
	return map[string]operator{
		"MaxPool": pool("MaxPool", 2), "MaxPoolV2": pool("MaxPool", 2), "AvgPool": pool("AveragePool", 2), "MaxPool3D": pool("MaxPool", 3), "AvgPool3D": pool("AveragePool", 3),
		"FusedBatchNorm": batchNorm, "FusedBatchNormV2": batchNorm, "FusedBatchNormV3": batchNorm, "LRN": lrn,
		"BatchNormWithGlobalNormalization": oldBatchNorm, "L2Loss": l2Loss,
	}
}

// pool is a pooling. What SAME adds counts in no mean.
func pool(op string, n int) operator {
	return tensorOp(1, func(k *call) (string, error) {
		var w build.Window
		var err error
		if len(k.in) == 3 { // sizes are inputs
			if err := k.sizesFromInputs(); err != nil {
				return "", err
			}
		}
		if w.Kernel, err = k.inner("ksize", n); err != nil {
			return "", err
		}
		if w.Stride, err = k.inner("strides", n); err != nil {
			return "", err
		}
		return k.spatial(k.x(0), n+2, func(x string) (string, error) {
			pads, err := k.pads(x, w)
			if err != nil {
				return "", err
			}
			return k.op(op, []string{x}, append(w.Attrs(), pads)...), nil
		})
	})
}

// sizesFromInputs makes MaxPoolV2 like MaxPool.
func (k *call) sizesFromInputs() error {
	lists := map[string][]int64{}
	for i, name := range []string{"ksize", "strides"} {
		vs, err := k.intsAt(i+1, name)
		if err != nil {
			return err
		}
		lists[name] = vs
	}
	n := *k.Node
	n.Node = n.With(lists)
	k.Node = &n
	return nil
}

// batchNorm is a normalisation by means and variances that training found, or,
// in training, by those of the batch.
func batchNorm(k *call) ([]value, error) {
	if err := k.need(5); err != nil {
		return nil, err
	}
	const usual = 1e-4
	eps := k.Float("epsilon", usual)
	x, scale, offset, mean, variance := k.x(0), k.x(1), k.x(2), k.x(3), k.x(4)
	rank := k.rank(x)
	if rank < 4 {
		return nil, k.invalid("its input is %s", onnx.DimString(k.b.Shape(x)))
	}
	if k.Flag("is_training", true) {
		return one(k.batchStatistics(x, scale, offset, eps)), nil
	}
	y, err := k.spatial(x, rank, func(x string) (string, error) {
		return k.op("BatchNormalization", []string{x, scale, offset, mean, variance}, onnx.AFloat("epsilon", eps)), nil
	})
	return []value{{name: y}, {name: mean}, {name: variance}, {name: mean}, {name: variance}, {name: mean}}, err
}

// batchStatistics normalises by the batch's own means and variances.
func (k *call) batchStatistics(x, scale, offset string, eps float32) string {
	k.note("the normalisation %q is in training mode: it takes its means and variances from the pictures it is given", k.Name)
	rank := k.rank(x)
	axes := []int64{}
	shape := []int64{}
	channel := rank - 1
	if k.ChannelsFirst() {
		channel = 1
	}
	for i := range rank {
		if i == channel {
			shape = append(shape, -1)
			continue
		}
		axes, shape = append(axes, int64(i)), append(shape, 1)
	}
	mean := k.op("ReduceMean", []string{x}, onnx.AInts("axes", axes...))
	diff := k.op2("Sub", x, mean)
	variance := k.op("ReduceMean", []string{k.op2("Mul", diff, diff)}, onnx.AInts("axes", axes...))
	std := k.op("Sqrt", []string{k.op2("Add", variance, k.like(x, float64(eps)))})
	y := k.op2("Mul", k.op2("Div", diff, std), k.op2("Reshape", scale, k.b.Ints(shape...)))
	return k.last("Add", []string{y, k.op2("Reshape", offset, k.b.Ints(shape...))})
}

// oldBatchNorm is what the first graphs have: input, mean, variance, beta, gamma.
func oldBatchNorm(k *call) ([]value, error) {
	return tensorOp(5, func(k *call) (string, error) {
		gamma := k.x(4)
		std := k.op("Sqrt", []string{k.op2("Add", k.x(2), k.like(k.x(2), float64(k.Float("variance_epsilon", 0))))})
		y := k.op2("Div", k.op2("Sub", k.x(0), k.x(1)), std)
		if k.Flag("scale_after_normalization", true) {
			y = k.op2("Mul", y, gamma)
		}
		return k.last("Add", []string{y, k.x(3)}), nil
	})(k)
}

// lrn normalises over channels. ONNX divides alpha by the size of the window,
// and TensorFlow does not.
func lrn(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		const radius, half = 5, 0.5
		size := 2*k.Int("depth_radius", radius) + 1
		if size < 1 || size > 1<<16 {
			return "", k.invalid("its depth_radius is %d", k.Int("depth_radius", radius))
		}
		return k.spatial(k.x(0), 4, func(x string) (string, error) {
			return k.op("LRN", []string{x}, onnx.AInt("size", size), onnx.AFloat("alpha", k.Float("alpha", 1)*float32(size)),
				onnx.AFloat("beta", k.Float("beta", half)), onnx.AFloat("bias", k.Float("bias", 1))), nil
		})
	})(k)
}

func l2Loss(k *call) ([]value, error) {
	return tensorOp(1, func(k *call) (string, error) {
		const half = 0.5
		sum := k.op("ReduceSumSquare", []string{k.x(0)}, onnx.AInt("keepdims", 0))
		return k.last("Mul", []string{sum, k.like(k.x(0), half)}), nil
	})(k)
}
