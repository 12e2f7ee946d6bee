package media

import (
	"fmt"
	"math"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// conform makes an array what the network's input wants: a missing batch axis
// is added, a numeric type that can be converted without harm is.
func conform(t tensor.Tensor, spec tensor.Spec) (tensor.Tensor, error) {
	want := spec.Shape
	shape := t.Shape
	if want != nil && len(shape)+1 == len(want) && (want[0] == 1 || want[0] < 0) {
		shape = append([]int64{1}, shape...)
	}
	if !fits(shape, want) {
		return t, inputErrorf(stoa.Invalid, "wants %s, got %s", wanted(spec), tensor.ShapeString(t.Shape))
	}
	t.Shape = shape
	if t.DType == spec.DType {
		return t, nil
	}
	out, err := convert(t, spec.DType)
	if err != nil {
		return t, inputErrorf(stoa.Invalid, "wants %s, got %s %s%s", wanted(spec), tensor.ShapeString(t.Shape), t.DType, err)
	}
	return out, nil
}

// wanted says what array an input takes, such as "?x3x96x96 float32".
func wanted(spec tensor.Spec) string {
	if spec.Shape == nil {
		return "an array of " + spec.DType.String()
	}
	return tensor.ShapeString(spec.Shape) + " " + spec.DType.String()
}

func fits(shape, want []int64) bool {
	if want == nil {
		return true
	}
	if len(shape) != len(want) {
		return false
	}
	for i, d := range want {
		if d >= 0 && shape[i] != d {
			return false
		}
	}
	return true
}

// conversionError says why an array is not converted; it ends a sentence.
type conversionError string

func (e conversionError) Error() string { return string(e) }

// convert changes the numeric type where nothing but digits of a fraction can
// be lost: integers and floats to floats, integers to integers that hold them
// all. Floats do not become integers, and nothing becomes bool.
func convert(t tensor.Tensor, to tensor.DType) (tensor.Tensor, error) {
	switch to {
	case tensor.Float32:
		return floatTensor[float32](t)
	case tensor.Float64:
		return floatTensor[float64](t)
	case tensor.Float16, tensor.BFloat16:
		f, err := floatTensor[float32](t)
		if err != nil {
			return t, err
		}
		return narrow(f, to), nil
	case tensor.Int8:
		return intTensor[int8](t)
	case tensor.Int16:
		return intTensor[int16](t)
	case tensor.Int32:
		return intTensor[int32](t)
	case tensor.Int64:
		return intTensor[int64](t)
	case tensor.Uint8:
		return intTensor[uint8](t)
	case tensor.Uint16:
		return intTensor[uint16](t)
	case tensor.Uint32:
		return intTensor[uint32](t)
	case tensor.Uint64:
		return intTensor[uint64](t)
	default:
		return t, conversionError(", which is not converted")
	}
}

type float interface{ ~float32 | ~float64 }

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

func floatTensor[F float](t tensor.Tensor) (tensor.Tensor, error) {
	v, ok := floatsOf[F](t)
	if !ok {
		return t, conversionError(", which is not converted")
	}
	return tensor.Of(v, t.Shape...), nil
}

// floatsOf gives the elements as floats, without a copy where they are that.
func floatsOf[F float](t tensor.Tensor) ([]F, bool) {
	switch t.DType {
	case tensor.Float32:
		return cast[F](tensor.As[float32](t)), true
	case tensor.Float64:
		return cast[F](tensor.As[float64](t)), true
	case tensor.Int8:
		return cast[F](tensor.As[int8](t)), true
	case tensor.Int16:
		return cast[F](tensor.As[int16](t)), true
	case tensor.Int32:
		return cast[F](tensor.As[int32](t)), true
	case tensor.Int64:
		return cast[F](tensor.As[int64](t)), true
	case tensor.Uint8, tensor.Bool:
		return cast[F](tensor.As[uint8](t)), true
	case tensor.Uint16:
		return cast[F](tensor.As[uint16](t)), true
	case tensor.Uint32:
		return cast[F](tensor.As[uint32](t)), true
	case tensor.Uint64:
		return cast[F](tensor.As[uint64](t)), true
	case tensor.Float16, tensor.BFloat16:
		half := tensor.As[uint16](t)
		out := make([]F, len(half))
		for i, h := range half {
			if t.DType == tensor.Float16 {
				out[i] = F(tensor.FromFloat16(h))
			} else {
				out[i] = F(tensor.FromBFloat16(h))
			}
		}
		return out, true
	default:
		return nil, false
	}
}

func cast[D, S tensor.Number](s []S) []D {
	if same, ok := any(s).([]D); ok {
		return same
	}
	out := make([]D, len(s))
	for i, v := range s {
		out[i] = D(v)
	}
	return out
}

func intTensor[D integer](t tensor.Tensor) (tensor.Tensor, error) {
	var v []D
	var err error
	switch t.DType {
	case tensor.Int8:
		v, err = castInt[D](tensor.As[int8](t))
	case tensor.Int16:
		v, err = castInt[D](tensor.As[int16](t))
	case tensor.Int32:
		v, err = castInt[D](tensor.As[int32](t))
	case tensor.Int64:
		v, err = castInt[D](tensor.As[int64](t))
	case tensor.Uint8, tensor.Bool:
		v, err = castInt[D](tensor.As[uint8](t))
	case tensor.Uint16:
		v, err = castInt[D](tensor.As[uint16](t))
	case tensor.Uint32:
		v, err = castInt[D](tensor.As[uint32](t))
	case tensor.Uint64:
		v, err = castInt[D](tensor.As[uint64](t))
	default:
		err = conversionError(", which is not converted")
	}
	return tensor.Of(v, t.Shape...), err
}

func castInt[D, S integer](s []S) ([]D, error) {
	out := make([]D, len(s))
	for i, v := range s {
		d := D(v)
		if S(d) != v || (d < 0) != (v < 0) {
			return nil, conversionError(fmt.Sprintf(" with %v in it, which does not fit", v))
		}
		out[i] = d
	}
	return out, nil
}

func narrow(t tensor.Tensor, to tensor.DType) tensor.Tensor {
	v := tensor.As[float32](t)
	half := make([]uint16, len(v))
	for i, f := range v {
		if to == tensor.Float16 {
			half[i] = tensor.ToFloat16(f)
		} else {
			half[i] = tensor.ToBFloat16(f)
		}
	}
	out := tensor.Of(half, t.Shape...)
	out.DType = to
	return out
}

// roundTo makes an array of floats one of another type, as a picture's values
// must: integers are rounded and clipped to what the type holds.
func roundTo(t tensor.Tensor, to tensor.DType) tensor.Tensor {
	v := tensor.As[float32](t)
	switch to {
	case tensor.Float64:
		return tensor.Of(cast[float64](v), t.Shape...)
	case tensor.Float16, tensor.BFloat16:
		return narrow(t, to)
	case tensor.Uint8:
		return tensor.Of(clip[uint8](v, 0, math.MaxUint8), t.Shape...)
	case tensor.Int8:
		return tensor.Of(clip[int8](v, math.MinInt8, math.MaxInt8), t.Shape...)
	case tensor.Uint16:
		return tensor.Of(clip[uint16](v, 0, math.MaxUint16), t.Shape...)
	case tensor.Int16:
		return tensor.Of(clip[int16](v, math.MinInt16, math.MaxInt16), t.Shape...)
	case tensor.Int32:
		return tensor.Of(clip[int32](v, math.MinInt32, math.MaxInt32), t.Shape...)
	case tensor.Int64:
		return tensor.Of(clip[int64](v, -1<<53, 1<<53), t.Shape...)
	default:
		return t
	}
}

// pictureType tells whether roundTo makes this element type.
func pictureType(d tensor.DType) bool {
	switch d {
	case tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Uint8, tensor.Int8,
		tensor.Uint16, tensor.Int16, tensor.Int32, tensor.Int64:
		return true
	default:
		return false
	}
}

func clip[D integer](v []float32, low, high float64) []D {
	out := make([]D, len(v))
	for i, f := range v {
		out[i] = D(min(max(math.RoundToEven(float64(f)), low), high))
	}
	return out
}
