package hdf5

import (
	"math"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// class is what kind of elements an array has.
type class uint8

const (
	number class = iota
	fixedText
	variableText
)

// datatype is the type of an element.
type datatype struct {
	class class
	dtype tensor.DType // of numbers
	size  int          // bytes of an element in the file
	big   bool         // the most significant byte stands first
}

var classNames = map[uint8]string{
	2: "times", 4: "bit fields", 5: "opaque bytes", 6: "compounds", 7: "references", 9: "lists of varying length", 10: "arrays",
}

var integers = map[int][2]tensor.DType{
	1: {tensor.Uint8, tensor.Int8}, 2: {tensor.Uint16, tensor.Int16}, 4: {tensor.Uint32, tensor.Int32}, 8: {tensor.Uint64, tensor.Int64},
}

// parseDatatype reads a datatype message.
func parseDatatype(body []byte) (datatype, error) {
	r := &reader{b: body}
	kind := r.u8() & 0x0f
	bits := r.uint(3)
	size := r.u32()
	if r.failed || size > math.MaxInt32 {
		return datatype{}, damaged("an element type is cut off")
	}
	t := datatype{size: int(size), big: bits&1 != 0}
	switch kind {
	case 0:
		offset, precision := r.u16(), r.u16()
		pair, ok := integers[t.size]
		if r.failed || !ok || offset != 0 || int(precision) != 8*t.size {
			return t, stoa.Errorf(stoa.Unsupported, "HDF5: integers of %d bits in %d bytes are not supported", precision, size)
		}
		t.dtype = pair[bits>>3&1]
	case 1:
		return t, t.float(r, bits)
	case 3:
		t.class = fixedText
	case 8: // an enumeration: h5py's bool
		base, err := parseDatatype(r.rest())
		if err != nil || base.class != number || base.size != t.size {
			return t, stoa.Errorf(stoa.Unsupported, "HDF5: enumerations of that kind are not supported")
		}
		return base, nil
	case 9:
		if bits&0xf != 1 {
			return t, stoa.Errorf(stoa.Unsupported, "HDF5: lists of varying length are not supported")
		}
		t.class = variableText
	default:
		return t, stoa.Errorf(stoa.Unsupported, "HDF5: elements that are %s are not supported", classNames[kind])
	}
	return t, nil
}

func (t *datatype) float(r *reader, bits uint64) error {
	r.skip(4)
	exponentAt, exponent := r.u8(), r.u8()
	mantissaAt, mantissa := r.u8(), r.u8()
	if r.failed {
		return damaged("an element type is cut off")
	}
	shape := [5]int{t.size, int(exponentAt), int(exponent), int(mantissaAt), int(mantissa)}
	switch {
	case bits&0x40 != 0: // VAX
	case shape == [5]int{4, 23, 8, 0, 23}:
		t.dtype = tensor.Float32
	case shape == [5]int{8, 52, 11, 0, 52}:
		t.dtype = tensor.Float64
	case shape == [5]int{2, 10, 5, 0, 10}:
		t.dtype = tensor.Float16
	case shape == [5]int{2, 7, 8, 0, 7}:
		t.dtype = tensor.BFloat16
	}
	if t.dtype == tensor.Undefined {
		return stoa.Errorf(stoa.Unsupported, "HDF5: floating-point numbers of %d bytes in that encoding are not supported", t.size)
	}
	return nil
}

// parseDataspace reads the shape of an array; nil for one that holds nothing.
func (f *File) parseDataspace(body []byte) ([]int64, error) {
	r := f.reader(body)
	version, rank := r.u8(), int(r.u8())
	r.skip(1)
	kind := uint8(1)
	switch version {
	case 1:
		r.skip(5)
	case 2:
		kind = r.u8()
	default:
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: dataspace version %d is not known", version)
	}
	if kind == 2 {
		return []int64{0}, nil
	}
	if rank > maxRank {
		return nil, stoa.Errorf(stoa.Invalid, "HDF5: an array of %d dimensions", rank)
	}
	shape := make([]int64, rank)
	for i := range shape {
		n := r.length()
		if n > math.MaxInt64 {
			return nil, damaged("an array of impossible size")
		}
		shape[i] = int64(n)
	}
	if r.failed {
		return nil, damaged("the shape of an array is cut off")
	}
	return shape, nil
}

// sizeOf gives the bytes of an array.
func sizeOf(t datatype, shape []int64) (int64, error) {
	n, err := tensor.Elements(shape)
	if err != nil {
		return 0, err
	}
	if t.size > 0 && n > math.MaxInt64/int64(t.size) {
		return 0, stoa.Errorf(stoa.TooLarge, "HDF5: an array of %s elements is too large", tensor.ShapeString(shape))
	}
	return n * int64(t.size), nil
}

// value makes an array of the bytes of the file.
func (f *File) value(t datatype, shape []int64, raw []byte) (Value, error) {
	v := Value{Shape: shape}
	if t.class != number {
		err := f.strings(&v, t, raw)
		return v, err
	}
	v.DType, v.Data = t.dtype, raw
	if t.big && t.size > 1 {
		if err := f.allot(int64(len(raw))); err != nil {
			return v, err
		}
		v.Data = make([]byte, len(raw))
		for i := 0; i+t.size <= len(raw); i += t.size {
			for k := range t.size {
				v.Data[i+k] = raw[i+t.size-1-k]
			}
		}
	}
	return v, nil
}

// stringHeader is what a Go string takes beside its bytes.
const stringHeader = 16

// strings reads the elements of an array of strings.
func (f *File) strings(v *Value, t datatype, raw []byte) error {
	n, err := tensor.Elements(v.Shape)
	if err != nil {
		return err
	}
	if n > 0 && t.size == 0 {
		return damaged("strings of no bytes")
	}
	if err := f.allot(n * stringHeader); err != nil {
		return err
	}
	v.DType, v.Strings = tensor.String, make([]string, 0, n)
	for i := range n {
		b := raw[i*int64(t.size) : (i+1)*int64(t.size)]
		if t.class == variableText {
			r := f.reader(b)
			size := r.u32()
			addr := r.addr()
			index := r.u32()
			if r.failed {
				return damaged("a string is cut off")
			}
			if b, err = f.heapObject(addr, index, size); err != nil {
				return err
			}
		}
		s := text(b)
		if err := f.allot(int64(len(s))); err != nil {
			return err
		}
		v.Strings = append(v.Strings, s)
	}
	return nil
}

// heapObject gives the bytes of a string of varying length.
func (f *File) heapObject(addr uint64, index, size uint32) ([]byte, error) {
	if size == 0 || addr == 0 || addr == undefined {
		return nil, nil
	}
	objects := f.heaps[addr]
	if objects == nil {
		var err error
		if objects, err = f.collection(addr); err != nil {
			return nil, err
		}
		f.heaps[addr] = objects
	}
	b, ok := objects[uint16(index)]
	if !ok || index > math.MaxUint16 || uint64(size) > uint64(len(b)) {
		return nil, damaged("a string is not in its heap")
	}
	return b[:size], nil
}

// collection reads a piece of the global heap.
func (f *File) collection(addr uint64) (map[uint16][]byte, error) {
	r, err := f.at(addr, "GCOL")
	if err != nil {
		return nil, err
	}
	r.skip(4)
	size := r.length()
	all, err := f.slice(addr, size)
	if err != nil || r.failed {
		return nil, damaged("a heap of strings is cut off")
	}
	if err := f.spend(len(all)); err != nil {
		return nil, err
	}
	out := map[uint16][]byte{}
	start := r.at
	r = f.reader(all)
	r.skip(start)
	for len(r.b)-r.at >= 8+f.lenSize {
		index := r.u16()
		r.skip(6)
		n := r.length()
		if index == 0 { // free space to the end
			break
		}
		if n > uint64(len(r.b)) {
			return nil, damaged("a heap of strings is cut off")
		}
		b := r.bytes(int(n))
		if r.failed {
			return nil, damaged("a heap of strings is cut off")
		}
		out[index] = b
		if pad := int(-n & 7); pad <= len(r.b)-r.at {
			r.skip(pad)
		}
	}
	return out, nil
}
