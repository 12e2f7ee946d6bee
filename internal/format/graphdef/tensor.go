package graphdef

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Tensor is a TensorProto. It is not yet an array: one that names a few values
// and a large shape would take more memory than the file; see Array.
type Tensor struct {
	Type    Type
	Shape   Shape
	Strings [][]byte

	content []byte   // all elements, as they lie in memory
	values  []uint64 // or the bits of the first ones; the last repeats
}

func parseTensor(data []byte) (*Tensor, error) {
	t := &Tensor{}
	add := func(v uint64) { t.values = append(t.values, v) }
	return t, fields(data, func(f field) (err error) {
		switch f.num {
		case 1:
			t.Type = Type(f.value)
		case 2:
			var s *Shape
			s, err = parseShape(f.bytes)
			t.Shape = *s
		case 4:
			t.content = f.bytes
		case 5: // float_val
			err = f.fixed32(func(v float32) { add(uint64(math.Float32bits(v))) })
		case 6: // double_val
			err = f.fixed64(add)
		case 8:
			t.Strings = append(t.Strings, f.bytes)
		case 7, 10, 11, 13, 16, 17: // int_val, int64_val, bool_val, half_val, uint32_val, uint64_val
			err = f.varints(add)
		}
		return err
	})
}

// Size gives the bytes that the array takes.
func (t *Tensor) Size() (int64, error) {
	if t.Shape.Unknown {
		return 0, stoa.Errorf(stoa.Invalid, "an array has no shape")
	}
	return tensor.Bytes(t.Type.DType(), t.Shape.Dims)
}

// Array gives the elements: a view where they lie in the file as they do in
// memory, else a new array of at most limit bytes. Where a file has fewer values
// than elements, the last repeats.
func (t *Tensor) Array(limit int64) (tensor.Tensor, error) {
	out := tensor.Tensor{DType: t.Type.DType(), Shape: append([]int64{}, t.Shape.Dims...)}
	size, err := t.Size()
	if err != nil {
		return out, err
	}
	if len(t.content) > 0 || size == 0 {
		if int64(len(t.content)) == size {
			out.Data = t.content
			return out, nil
		}
		// One element may stand for all of them here too.
		elem := out.DType.Size()
		if int64(len(t.content)) != elem {
			return out, stoa.Errorf(stoa.Invalid, "an array of %s %s takes %d bytes, and the file has %d", tensor.ShapeString(out.Shape), out.DType, size, len(t.content))
		}
	}
	if size > limit {
		return out, stoa.Errorf(stoa.TooLarge, "an array of %s %s takes %d bytes in memory, more than its file allows", tensor.ShapeString(out.Shape), out.DType, size)
	}
	out.Data = t.fill(out.DType, int(size))
	return out, nil
}

// fill writes the values, the last one as often as it takes.
func (t *Tensor) fill(d tensor.DType, size int) []byte {
	data := make([]byte, 0, size)
	if len(t.content) > 0 {
		data = append(data, t.content...)
	}
	elem := int(d.Size())
	for _, v := range t.values {
		if len(data)+elem > size {
			break
		}
		switch elem {
		case 1:
			data = append(data, byte(v))
		case 2:
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
		case 4:
			data = binary.LittleEndian.AppendUint32(data, uint32(v))
		default:
			data = binary.LittleEndian.AppendUint64(data, v)
		}
	}
	if len(data) == 0 {
		return data[:size] // zeros
	}
	last := data[len(data)-elem:]
	if d == tensor.Bool && last[0] > 1 {
		last[0] = 1
	}
	for len(data) < size {
		data = append(data, last...)
	}
	return data
}

func (f field) float() float32 { return math.Float32frombits(uint32(f.value)) }

// varints calls g for each number of a list, packed or not.
func (f field) varints(g func(uint64)) error {
	if f.typ == protowire.VarintType {
		g(f.value)
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return errDamaged()
		}
		b = b[n:]
		g(v)
	}
	return nil
}

func (f field) fixed32(g func(float32)) error {
	if f.typ == protowire.Fixed32Type {
		g(f.float())
		return nil
	}
	if len(f.bytes)%4 != 0 {
		return errDamaged()
	}
	for b := f.bytes; len(b) > 0; b = b[4:] {
		g(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return nil
}

func (f field) fixed64(g func(uint64)) error {
	if f.typ == protowire.Fixed64Type {
		g(f.value)
		return nil
	}
	if len(f.bytes)%8 != 0 {
		return errDamaged()
	}
	for b := f.bytes; len(b) > 0; b = b[8:] {
		g(binary.LittleEndian.Uint64(b))
	}
	return nil
}
