// Package arith does arithmetic on small constants as TensorFlow's nodes do: on
// the shapes, axes and conditions by which a graph says what could have stood in
// an attribute.
package arith

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

// maxElements bounds the arrays that are looked at.
const maxElements = 1 << 14

// Ints gives the elements of a small array of whole numbers; nil for others.
func Ints(t tensor.Tensor) []int64 {
	a, ok := arrOf(t)
	if !ok {
		return nil
	}
	return a.ints
}

// Truth tells whether the first element is not zero.
func Truth(t tensor.Tensor) bool {
	a, ok := arrOf(t)
	return ok && (len(a.ints) > 0 && a.ints[0] != 0 || len(a.floats) > 0 && a.floats[0] != 0)
}

// arr is an array in Go's own numbers: ints of whole numbers and Truth values,
// floats of others.
type arr struct {
	dtype  tensor.DType
	shape  []int64
	ints   []int64
	floats []float64
}

// IsFloat tells whether a type has numbers that are not whole.
func IsFloat(d tensor.DType) bool {
	switch d {
	case tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16:
		return true
	default:
		return false
	}
}

func (a arr) len() int { return max(len(a.ints), len(a.floats)) }

// arrOf reads an array that is small enough.
func arrOf(t tensor.Tensor) (arr, bool) {
	a := arr{dtype: t.DType, shape: t.Shape}
	if t.DType.Size() == 0 || int64(len(t.Data))/t.DType.Size() > maxElements {
		return a, false
	}
	switch t.DType {
	case tensor.Float32:
		a.floats = widen[float32, float64](t)
	case tensor.Float64:
		a.floats = widen[float64, float64](t)
	case tensor.Float16:
		for _, h := range tensor.As[uint16](t) {
			a.floats = append(a.floats, float64(tensor.FromFloat16(h)))
		}
	case tensor.BFloat16:
		for _, h := range tensor.As[uint16](t) {
			a.floats = append(a.floats, float64(tensor.FromBFloat16(h)))
		}
	case tensor.Int64:
		a.ints = widen[int64, int64](t)
	case tensor.Int32:
		a.ints = widen[int32, int64](t)
	case tensor.Int16:
		a.ints = widen[int16, int64](t)
	case tensor.Int8:
		a.ints = widen[int8, int64](t)
	case tensor.Uint8, tensor.Bool:
		a.ints = widen[uint8, int64](t)
	case tensor.Uint16:
		a.ints = widen[uint16, int64](t)
	case tensor.Uint32:
		a.ints = widen[uint32, int64](t)
	default:
		return a, false
	}
	return a, true
}

func widen[From, To tensor.Number](t tensor.Tensor) []To {
	in := tensor.As[From](t)
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}

func narrow[To tensor.Number](a arr) tensor.Tensor {
	out := make([]To, 0, a.len())
	for _, v := range a.ints {
		out = append(out, To(v))
	}
	for _, v := range a.floats {
		out = append(out, To(v))
	}
	return tensor.Of(out, a.shape...)
}

func (a arr) tensor() tensor.Tensor {
	if a.shape == nil {
		a.shape = []int64{}
	}
	var t tensor.Tensor
	switch a.dtype {
	case tensor.Float64:
		return narrow[float64](a)
	case tensor.Int64:
		return narrow[int64](a)
	case tensor.Int32:
		return narrow[int32](a)
	case tensor.Int16:
		return narrow[int16](a)
	case tensor.Int8:
		return narrow[int8](a)
	case tensor.Uint8, tensor.Bool:
		t = narrow[uint8](a)
	case tensor.Uint16:
		return narrow[uint16](a)
	case tensor.Uint32:
		return narrow[uint32](a)
	case tensor.Float16, tensor.BFloat16:
		bits := make([]uint16, len(a.floats))
		for i, v := range a.floats {
			if bits[i] = tensor.ToFloat16(float32(v)); a.dtype == tensor.BFloat16 {
				bits[i] = tensor.ToBFloat16(float32(v))
			}
		}
		t = tensor.Of(bits, a.shape...)
	default:
		return narrow[float32](a)
	}
	t.DType = a.dtype
	return t
}

// as gives the array in another type, as Cast does.
func (a arr) as(d tensor.DType) arr {
	out := arr{dtype: d, shape: a.shape}
	switch {
	case d == tensor.Bool:
		for _, v := range a.ints {
			out.ints = append(out.ints, bit(v != 0))
		}
		for _, v := range a.floats {
			out.ints = append(out.ints, bit(v != 0))
		}
	case IsFloat(d) && a.floats != nil:
		out.floats = a.floats
	case IsFloat(d):
		for _, v := range a.ints {
			out.floats = append(out.floats, float64(v))
		}
	case a.floats != nil:
		for _, v := range a.floats {
			out.ints = append(out.ints, int64(math.Trunc(v)))
		}
	default:
		out.ints = a.ints
	}
	return out
}

func bit(b bool) int64 { //nolint:revive // the flag is the value
	if b {
		return 1
	}
	return 0
}

// Cast gives a constant in another type. Half-precision weights of any size
// become 32-bit ones here.
func Cast(t tensor.Tensor, d tensor.DType) (tensor.Tensor, bool) {
	if (t.DType == tensor.Float16 || t.DType == tensor.BFloat16) && d == tensor.Float32 {
		in := tensor.As[uint16](t)
		out := make([]float32, len(in))
		for i, h := range in {
			if out[i] = tensor.FromFloat16(h); t.DType == tensor.BFloat16 {
				out[i] = tensor.FromBFloat16(h)
			}
		}
		return tensor.Of(out, t.Shape...), true
	}
	a, ok := arrOf(t)
	if !ok || d.Size() == 0 {
		return t, false
	}
	return a.as(d).tensor(), true
}

// pick makes an array of elements of another, by their places.
func (a arr) pick(shape []int64, at []int) arr {
	out := arr{dtype: a.dtype, shape: shape}
	for _, i := range at {
		if a.ints != nil {
			out.ints = append(out.ints, a.ints[i])
		} else {
			out.floats = append(out.floats, a.floats[i])
		}
	}
	return out
}

func elements(shape []int64) int {
	n, err := tensor.Elements(shape)
	if err != nil || n > maxElements {
		return -1
	}
	return int(n)
}

// broadcastShape gives the shape of an elementwise operation; false where there
// is none.
func broadcastShape(a, b []int64) ([]int64, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i := range b {
		at := len(a) - len(b) + i
		switch {
		case out[at] == b[i] || b[i] == 1:
		case out[at] == 1:
			out[at] = b[i]
		default:
			return nil, false
		}
	}
	return out, elements(out) >= 0
}

// spread gives an array a shape that it broadcasts to.
func (a arr) spread(shape []int64) arr {
	if slices.Equal(a.shape, shape) {
		return a
	}
	n := elements(shape)
	at := make([]int, n)
	for i := range at {
		rest, step, from := i, 1, 0
		for d := range len(shape) {
			axis := len(shape) - 1 - d
			c := rest % int(shape[axis])
			rest /= int(shape[axis])
			if own := len(a.shape) - 1 - d; own >= 0 {
				if a.shape[own] != 1 {
					from += c * step
				}
				step *= int(a.shape[own])
			}
		}
		at[i] = from
	}
	return a.pick(shape, at)
}

// zip combines two arrays element by element.
func zip(a, b arr, ints func(x, y int64) (int64, bool), floats func(x, y float64) float64) (arr, bool) {
	shape, ok := broadcastShape(a.shape, b.shape)
	if !ok || (a.floats != nil) != (b.floats != nil) && a.len() > 0 && b.len() > 0 {
		return a, false
	}
	a, b = a.spread(shape), b.spread(shape)
	out := arr{dtype: a.dtype, shape: shape}
	if a.floats != nil {
		if floats == nil {
			return a, false
		}
		for i := range a.floats {
			out.floats = append(out.floats, floats(a.floats[i], b.floats[i]))
		}
		return out, true
	}
	for i := range a.ints {
		v, ok := ints(a.ints[i], b.ints[i])
		if !ok {
			return a, false
		}
		out.ints = append(out.ints, v)
	}
	return out, true
}

// Whole makes an array of whole numbers of any type, or of truth values.
func Whole(d tensor.DType, shape []int64, vs ...int64) tensor.Tensor {
	a := arr{dtype: d, shape: shape, ints: vs}
	if IsFloat(d) {
		a = a.as(d)
	}
	return a.tensor()
}

// Floats gives the elements of a small array of numbers that are not whole.
func Floats(t tensor.Tensor) []float64 {
	a, ok := arrOf(t)
	if !ok {
		return nil
	}
	return a.floats
}
