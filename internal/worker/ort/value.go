package ort

import (
	"fmt"

	runtime "github.com/yalue/onnxruntime_go"

	"github.com/stoa-project/stoa/internal/tensor"
)

// toValue lends the array's memory to the runtime: it must live until the
// Value is destroyed.
func toValue(t tensor.Tensor) (runtime.Value, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if len(t.Shape) == 0 {
		return toScalar(t)
	}
	return runtime.NewCustomDataTensor(runtime.Shape(t.Shape), t.Data, runtime.TensorElementDataType(t.DType))
}

func toScalar(t tensor.Tensor) (runtime.Value, error) {
	switch t.DType {
	case tensor.Float32:
		return runtime.NewScalar(tensor.As[float32](t)[0])
	case tensor.Float64:
		return runtime.NewScalar(tensor.As[float64](t)[0])
	case tensor.Int32:
		return runtime.NewScalar(tensor.As[int32](t)[0])
	case tensor.Int64:
		return runtime.NewScalar(tensor.As[int64](t)[0])
	default:
		return nil, fmt.Errorf("a scalar of %s is not supported", t.DType)
	}
}

// fromValue views an output as an array. The runtime's binding has copied it
// into memory of Go's, which outlives the Value.
func fromValue(v runtime.Value) (tensor.Tensor, error) {
	switch x := v.(type) {
	case *runtime.Tensor[float32]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[float64]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[int8]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[int16]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[int32]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[int64]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[uint8]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[uint16]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[uint32]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[uint64]:
		return tensor.Of(x.GetData(), x.GetShape()...), nil
	case *runtime.Tensor[bool]:
		data := x.GetData()
		t := tensor.Tensor{DType: tensor.Bool, Shape: x.GetShape(), Data: make([]byte, len(data))}
		for i, b := range data {
			if b {
				t.Data[i] = 1
			}
		}
		return t, nil
	}
	return tensor.Tensor{}, fmt.Errorf("its type is not supported (%T)", v)
}
