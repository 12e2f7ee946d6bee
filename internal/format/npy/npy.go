// Package npy reads and writes arrays in NumPy's npy format, and several of
// them in an npz archive. Reading never allocates what a header merely claims:
// the array must be there in full, and an array that is little-endian and in C
// order is not copied but viewed where it lies.
package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	magic = "\x93NUMPY"
	// NumPy itself refuses headers above 10,000 bytes unless told to trust them.
	maxHeader = 64 << 10
	// NumPy's own limit on dimensions is 64 since version 2.
	maxDims = 64
	// NumPy aligns the data of what it writes to this many bytes.
	align = 64
)

// IsNpy tells whether data begins as an npy file does.
func IsNpy(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }

// Parse reads an npy file. The result views data where that is little-endian
// and in C order; else its elements are a copy no larger than data. Bytes after
// the array are ignored, as NumPy does.
func Parse(data []byte) (tensor.Tensor, error) {
	h, body, err := parseHeader(data)
	if err != nil {
		return tensor.Tensor{}, err
	}
	t := tensor.Tensor{DType: h.dtype, Shape: h.shape}
	n, err := tensor.Bytes(h.dtype, h.shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if n > int64(len(body)) {
		return tensor.Tensor{}, stoa.Errorf(stoa.Invalid, "npy: an array of %s %s takes %d bytes, and only %d are there",
			tensor.ShapeString(h.shape), h.dtype, n, len(body))
	}
	t.Data = body[:n:n]
	if h.bigEndian {
		t.Data = swapped(t.Data, int(h.dtype.Size()))
	}
	if h.fortran && len(h.shape) > 1 {
		t.Data = fromFortran(t.Data, h.shape, int(h.dtype.Size()))
	}
	return t, nil
}

// ParseLimit is Parse for an array that may take at most limit bytes.
func ParseLimit(data []byte, limit int64) (tensor.Tensor, error) {
	h, _, err := parseHeader(data)
	if err != nil {
		return tensor.Tensor{}, err
	}
	n, err := tensor.Bytes(h.dtype, h.shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if n > limit {
		return tensor.Tensor{}, stoa.Errorf(stoa.TooLarge, "npy: an array of %s %s takes %d bytes, over the limit of %d",
			tensor.ShapeString(h.shape), h.dtype, n, limit)
	}
	return Parse(data)
}

// Append writes t as an npy file (version 1.0) to the end of dst.
func Append(dst []byte, t tensor.Tensor) []byte {
	dst = slices.Grow(dst, 2*align+len(t.Data))
	return append(appendHeader(dst, t), t.Data...)
}

func appendHeader(dst []byte, t tensor.Tensor) []byte {
	var shape strings.Builder
	for i, d := range t.Shape {
		if i > 0 {
			shape.WriteString(", ")
		}
		fmt.Fprint(&shape, d)
	}
	if len(t.Shape) == 1 {
		shape.WriteByte(',')
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr(t.DType), shape.String())
	// Magic, version, a two-byte length, the dictionary, spaces and a line feed
	// together fill a multiple of align.
	const prefix = len(magic) + 4
	pad := align - (prefix+len(dict)+1)%align
	dst = append(dst, magic...)
	dst = append(dst, 1, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(dict)+pad+1))
	dst = append(dst, dict...)
	dst = append(dst, strings.Repeat(" ", pad)...)
	return append(dst, '\n')
}

// descr gives NumPy's type string. NumPy has no bfloat16: its bits are written
// as 16-bit integers.
func descr(d tensor.DType) string {
	switch d {
	case tensor.Float16:
		return "<f2"
	case tensor.Float32:
		return "<f4"
	case tensor.Float64:
		return "<f8"
	case tensor.Int8:
		return "|i1"
	case tensor.Uint8:
		return "|u1"
	case tensor.Bool:
		return "|b1"
	case tensor.Int16:
		return "<i2"
	case tensor.Int32:
		return "<i4"
	case tensor.Int64:
		return "<i8"
	case tensor.Uint16, tensor.BFloat16:
		return "<u2"
	case tensor.Uint32:
		return "<u4"
	case tensor.Uint64:
		return "<u8"
	case tensor.Undefined, tensor.String:
	}
	return "|V" + fmt.Sprint(d.Size())
}

func dtypeOf(s string) (tensor.DType, bool) {
	switch s {
	case "f2":
		return tensor.Float16, true
	case "f4":
		return tensor.Float32, true
	case "f8":
		return tensor.Float64, true
	case "i1":
		return tensor.Int8, true
	case "i2":
		return tensor.Int16, true
	case "i4":
		return tensor.Int32, true
	case "i8":
		return tensor.Int64, true
	case "u1":
		return tensor.Uint8, true
	case "u2":
		return tensor.Uint16, true
	case "u4":
		return tensor.Uint32, true
	case "u8":
		return tensor.Uint64, true
	case "b1":
		return tensor.Bool, true
	}
	return tensor.Undefined, false
}

// swapped copies elements of size bytes in the other byte order.
func swapped(data []byte, size int) []byte {
	out := slices.Clone(data)
	if size < 2 {
		return out
	}
	for i := 0; i+size <= len(out); i += size {
		slices.Reverse(out[i : i+size])
	}
	return out
}

// fromFortran copies elements whose first index runs fastest into C order.
func fromFortran(data []byte, shape []int64, size int) []byte {
	out := make([]byte, len(data))
	if len(data) == 0 {
		return out
	}
	strides := make([]int, len(shape))
	stride := size
	for i, d := range shape {
		strides[i] = stride
		stride *= int(d)
	}
	index := make([]int64, len(shape))
	from := 0
	for to := 0; to < len(out); to += size {
		copy(out[to:to+size], data[from:from+size])
		for k := len(shape) - 1; k >= 0; k-- {
			index[k]++
			from += strides[k]
			if index[k] < shape[k] {
				break
			}
			from -= strides[k] * int(shape[k])
			index[k] = 0
		}
	}
	return out
}
