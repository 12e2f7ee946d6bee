// Package tensor holds arrays of numbers: element types, shapes, and the bytes
// themselves, little-endian and in C order. Everything that reads sizes from
// untrusted input goes through Elements or Bytes, which cannot overflow.
package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/stoa-project/stoa"
)

// DType is the type of an element. Its number is ONNX's TensorProto.DataType.
type DType uint8

// The element types, with ONNX's numbers.
const (
	Undefined DType = 0
	Float32   DType = 1
	Uint8     DType = 2
	Int8      DType = 3
	Uint16    DType = 4
	Int16     DType = 5
	Int32     DType = 6
	Int64     DType = 7
	String    DType = 8
	Bool      DType = 9
	Float16   DType = 10
	Float64   DType = 11
	Uint32    DType = 12
	Uint64    DType = 13
	BFloat16  DType = 16
)

var dtypes = map[DType]struct {
	name string
	size int64
}{
	Float32: {"float32", 4}, Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Int32: {"int32", 4}, Int64: {"int64", 8}, String: {"string", 0}, Bool: {"bool", 1}, Float16: {"float16", 2},
	Float64: {"float64", 8}, Uint32: {"uint32", 4}, Uint64: {"uint64", 8}, BFloat16: {"bfloat16", 2},
}

// String gives NumPy's name, such as "float32".
func (d DType) String() string {
	if t, ok := dtypes[d]; ok {
		return t.name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// MarshalText gives the name.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText gives, for types without a name too:
// models have them, if only where nobody looks.
func (d *DType) UnmarshalText(b []byte) error {
	if v, ok := ParseDType(string(b)); ok {
		*d = v
		return nil
	}
	digits := strings.TrimSuffix(strings.TrimPrefix(string(b), "dtype("), ")")
	n, err := strconv.ParseUint(digits, 10, 8)
	if v := DType(n); err == nil && v.String() == string(b) {
		*d = v
		return nil
	}
	return stoa.Errorf(stoa.Invalid, "element type %.40q is not known", b)
}

// ParseDType reads NumPy's name of an element type.
func ParseDType(s string) (DType, bool) {
	for d, t := range dtypes {
		if t.name == s {
			return d, true
		}
	}
	return Undefined, false
}

// Size gives the bytes an element takes; 0 for strings and unknown types.
func (d DType) Size() int64 { return dtypes[d].size }

// Elements multiplies the dimensions. It refuses negative ones and products
// that do not fit.
func Elements(shape []int64) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, stoa.Errorf(stoa.Invalid, "shape %s has a negative dimension", ShapeString(shape))
		}
		if d != 0 && n > math.MaxInt64/d {
			return 0, stoa.Errorf(stoa.TooLarge, "shape %s has too many elements", ShapeString(shape))
		}
		n *= d
	}
	return n, nil
}

// Bytes gives the size of an array of this type and shape.
func Bytes(d DType, shape []int64) (int64, error) {
	n, err := Elements(shape)
	if err != nil {
		return 0, err
	}
	size := d.Size()
	if size == 0 {
		return 0, stoa.Errorf(stoa.Unsupported, "arrays of %s have no fixed size", d)
	}
	if n > math.MaxInt64/size {
		return 0, stoa.Errorf(stoa.TooLarge, "shape %s has too many elements", ShapeString(shape))
	}
	return n * size, nil
}

// ShapeString writes a shape as in "1x3x224x224"; a dimension below zero, which
// is one that is not fixed, is "?"; a scalar is "scalar".
func ShapeString(shape []int64) string {
	if len(shape) == 0 {
		return "scalar"
	}
	var b strings.Builder
	for i, d := range shape {
		if i > 0 {
			b.WriteByte('x')
		}
		if d < 0 {
			b.WriteByte('?')
		} else {
			fmt.Fprint(&b, d)
		}
	}
	return b.String()
}

// Spec says what array a model takes or gives. A dimension of -1 is not fixed.
type Spec struct {
	Name  string  `json:"name"`
	DType DType   `json:"dtype"`
	Shape []int64 `json:"shape"`
}

// Tensor is an array. Data holds its elements, little-endian, in C order, and
// is exactly as long as DType and Shape say (see Check).
type Tensor struct {
	DType DType
	Shape []int64
	Data  []byte
}

// Check tells whether the length of Data is what DType and Shape say.
func (t Tensor) Check() error {
	n, err := Bytes(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if n != int64(len(t.Data)) {
		return stoa.Errorf(stoa.Invalid, "an array of %s %s takes %d bytes, not %d", ShapeString(t.Shape), t.DType, n, len(t.Data))
	}
	return nil
}

// Number is a Go type that an array can be viewed as.
type Number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Of makes a tensor over values, without copying; its length must be what shape
// says. It is for little-endian machines, the only ones Stoa builds for.
func Of[T Number](values []T, shape ...int64) Tensor {
	var zero T
	t := Tensor{DType: dtypeOf(zero), Shape: shape}
	if len(values) > 0 {
		t.Data = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
	}
	return t
}

// As views the elements as a slice of T, whose size must be the element's. It
// copies only where Data is not aligned for T.
func As[T Number](t Tensor) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	n := len(t.Data) / size
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(unsafe.SliceData(t.Data))
	if uintptr(p)%uintptr(size) != 0 {
		out := make([]T, n)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), n*size), t.Data)
		return out
	}
	return unsafe.Slice((*T)(p), n)
}

func dtypeOf(v any) DType {
	switch v.(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	}
	return Undefined
}
