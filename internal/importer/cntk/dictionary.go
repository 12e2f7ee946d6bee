package cntk

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// A file of CNTK 2 is one Dictionary, whose values are a few plain types, lists,
// further dictionaries, and arrays, which are by far the most of it and stay
// where they are. A value is bool, int64, float64, string, sizes, axis, list,
// dict or *array.

// sizes is a shape as CNTK writes it: the dimension that runs fastest first.
type sizes []int64

// dict is a dictionary. A key that is there twice counts as it stands last.
type dict map[string]any

// list is a vector.
type list []any

// array is an NDArrayView: the numbers of a parameter or a constant.
type array struct {
	dtype  int64 // as dataFloat and so on
	sparse bool
	shape  sizes
	data   []byte // elements of 4 or 8 bytes, a view of the file
	width  int    // bytes an element takes in data; 0: variable-length whole numbers
}

// axis is a static axis by its number, or a dynamic one by its name.
type axis struct {
	index int64
	name  string
}

// The numbers that CNTK gives to axes that are no plain static ones.
const (
	axisDynamic   = math.MaxInt32
	axisAllStatic = math.MaxInt32 - 1
	axisUnknown   = math.MaxInt32 - 2
	axisEnd       = math.MaxInt32 - 3
	axisAll       = math.MaxInt32 - 4
)

// The types of elements.
const (
	dataFloat  = 1
	dataDouble = 2
	dataHalf   = 4
	dataInt8   = 5
	dataInt16  = 6
)

// The dimensions that have no size yet.
const (
	dimInferred = -1
	dimFree     = -3
)

const (
	// maxDepth bounds dictionaries and lists within each other; real files have
	// six.
	maxDepth = 40
	// maxValues bounds all values of a file. A network of some thousand
	// functions has a hundred thousand.
	maxValues = 4 << 20
)

// decoder reads the message Dictionary of CNTK.proto.
type decoder struct{ values int }

func damaged() error { return stoa.Errorf(stoa.Invalid, "the file is damaged or cut off") }

// eachField calls f with each field of a message: the bytes of what has a
// length, or the number of what has none.
func eachField(data []byte, f func(num protowire.Number, typ protowire.Type, val []byte, n uint64) error) error {
	for len(data) > 0 {
		num, typ, used := protowire.ConsumeTag(data)
		if used < 0 {
			return damaged()
		}
		data = data[used:]
		var val []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			val, used = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			n, used = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, used = protowire.ConsumeFixed32(data)
			n = uint64(v)
		case protowire.Fixed64Type:
			n, used = protowire.ConsumeFixed64(data)
		default:
			return damaged()
		}
		if used < 0 {
			return damaged()
		}
		if err := f(num, typ, val, n); err != nil {
			return err
		}
		data = data[used:]
	}
	return nil
}

func (d *decoder) dictionary(data []byte, depth int) (dict, error) {
	if depth > maxDepth {
		return nil, stoa.Errorf(stoa.Invalid, "dictionaries lie over %d deep in each other", maxDepth)
	}
	out := dict{}
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte, _ uint64) error {
		if num != 2 || typ != protowire.BytesType { // 1 is the version of the encoding
			return nil
		}
		key, v, err := d.entry(val, depth)
		if err == nil {
			out[key] = v
		}
		return err
	})
	return out, err
}

func (d *decoder) entry(data []byte, depth int) (key string, value any, err error) {
	err = eachField(data, func(num protowire.Number, _ protowire.Type, val []byte, _ uint64) error {
		var err error
		switch num {
		case 1:
			key = string(val)
		case 2:
			value, err = d.value(val, depth+1)
		}
		return err
	})
	return key, value, err
}

// value reads a DictionaryValue. One whose number or text is not written is the
// zero of its type.
func (d *decoder) value(data []byte, depth int) (any, error) {
	if d.values++; d.values > maxValues {
		return nil, stoa.Errorf(stoa.TooLarge, "it has over %d values", maxValues)
	}
	zero := []any{nil, false, int64(0), int64(0), 0.0, 0.0, "", sizes{}, axis{}, list{}, dict{}}
	var kind uint64
	var out any
	err := eachField(data, func(num protowire.Number, _ protowire.Type, val []byte, n uint64) error {
		var err error
		switch num {
		case 2:
			kind = n
		case 3:
			out = n != 0
		case 4, 5:
			out = int64(n)
		case 6:
			out = float64(math.Float32frombits(uint32(n)))
		case 7:
			out = math.Float64frombits(n)
		case 8:
			out = string(val)
		case 9:
			out, err = shapeOf(val)
		case 10:
			out, err = axisOf(val)
		case 11:
			out, err = d.list(val, depth)
		case 12:
			out, err = d.dictionary(val, depth+1)
		case 13:
			out, err = arrayOf(val)
		}
		return err
	})
	if out == nil && kind < uint64(len(zero)) {
		out = zero[kind]
	}
	return out, err
}

func (d *decoder) list(data []byte, depth int) (list, error) {
	if depth > maxDepth {
		return nil, stoa.Errorf(stoa.Invalid, "lists lie over %d deep in each other", maxDepth)
	}
	out := list{}
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte, _ uint64) error {
		if num != 1 || typ != protowire.BytesType {
			return nil
		}
		v, err := d.value(val, depth+1)
		out = append(out, v)
		return err
	})
	return out, err
}

// maxRank bounds the dimensions of an array.
const maxRank = 64

func shapeOf(data []byte) (sizes, error) {
	out := sizes{}
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte, n uint64) error {
		if num != 1 {
			return nil
		}
		if typ != protowire.BytesType {
			out = append(out, int64(n))
		}
		for len(val) > 0 && len(out) <= maxRank {
			v, used := protowire.ConsumeVarint(val)
			if used < 0 {
				return damaged()
			}
			out, val = append(out, int64(v)), val[used:]
		}
		if len(out) > maxRank {
			return stoa.Errorf(stoa.Invalid, "a shape has over %d dimensions", maxRank)
		}
		return nil
	})
	return out, err
}

func axisOf(data []byte) (axis, error) {
	var out axis
	err := eachField(data, func(num protowire.Number, _ protowire.Type, val []byte, n uint64) error {
		switch num {
		case 1:
			out.index = int64(int32(n))
		case 2:
			out.name = string(val)
		}
		return nil
	})
	return out, err
}

func arrayOf(data []byte) (*array, error) {
	out := &array{}
	err := eachField(data, func(num protowire.Number, _ protowire.Type, val []byte, n uint64) error {
		var err error
		switch num {
		case 1:
			out.dtype = int64(n)
		case 2:
			out.sparse = n != 0
		case 3:
			out.shape, err = shapeOf(val)
		case 4, 5, 6, 7:
			out.width = []int{4, 8, 1, 0}[num-4]
			out.data, err = numbers(val)
		}
		return err
	})
	return out, err
}

// numbers gives the elements of a message that has them as its field 1: a view
// of the file where they are together, which is how CNTK writes them.
func numbers(data []byte) ([]byte, error) {
	var out []byte
	pieces := 0
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte, n uint64) error {
		if num != 1 {
			return nil
		}
		switch typ {
		case protowire.Fixed32Type:
			val = binary.LittleEndian.AppendUint32(nil, uint32(n))
		case protowire.Fixed64Type:
			val = binary.LittleEndian.AppendUint64(nil, n)
		case protowire.VarintType:
			val = protowire.AppendVarint(nil, n)
		default:
		}
		if pieces++; pieces == 1 {
			out = slices.Clip(val)
		} else {
			out = append(out, val...)
		}
		return nil
	})
	return out, err
}

// cOrder gives a shape in C order, the last dimension fastest.
func (s sizes) cOrder() []int64 {
	out := slices.Clone([]int64(s))
	slices.Reverse(out)
	return out
}

// floats gives an array as 32-bit floats in C order: a view where it is such.
func (a *array) floats() (tensor.Tensor, error) {
	shape := a.shape.cOrder()
	t := tensor.Tensor{DType: tensor.Float32, Shape: shape, Data: a.data}
	n, err := tensor.Elements(shape)
	switch {
	case err != nil:
		return t, err
	case a.sparse:
		return t, stoa.Errorf(stoa.Unsupported, "it is stored as a sparse matrix, and only dense ones are supported")
	case a.width == 4 && (a.dtype == dataFloat || a.dtype == dataHalf): // halves are written as floats
		return t, t.Check()
	case a.width == 8 && n*8 == int64(len(a.data)):
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(a.data[8*i:])))
		}
		return tensor.Of(out, shape...), nil
	case a.width == 0 && n <= int64(len(a.data)):
		out := make([]float32, n)
		rest := a.data
		for i := range out {
			v, used := protowire.ConsumeVarint(rest)
			if used < 0 {
				return t, damaged()
			}
			out[i], rest = float32(protowire.DecodeZigZag(v)), rest[used:]
		}
		return tensor.Of(out, shape...), nil
	case a.width == 1 && n == int64(len(a.data)) && a.dtype == dataInt8:
		out := make([]float32, n)
		for i, b := range a.data {
			out[i] = float32(int8(b))
		}
		return tensor.Of(out, shape...), nil
	}
	return t, stoa.Errorf(stoa.Invalid, "an array of %s and type %d has %d bytes of numbers", tensor.ShapeString(shape), a.dtype, len(a.data))
}

// The readers below give what a key holds, or the zero of it where it is
// something else or not there.

func (d dict) str(key string) string { s, _ := d[key].(string); return s }

func (d dict) list(key string) list { l, _ := d[key].(list); return l }

func (d dict) dict(key string) dict { v, _ := d[key].(dict); return v }

func (d dict) has(key string) bool { _, ok := d[key]; return ok }

func (d dict) num(key string, otherwise float64) float64 {
	switch v := d[key].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	return otherwise
}

func (d dict) int(key string, otherwise int64) int64 {
	switch v := d[key].(type) {
	case int64:
		return v
	case float64:
		if math.Abs(v) < 1<<40 {
			return int64(v)
		}
	}
	return otherwise
}

func (d dict) flag(key string) bool { return d.num(key, 0) != 0 }

func (d dict) sizes(key string) sizes { s, _ := d[key].(sizes); return s }

// flags gives a list of true and false.
func (d dict) flags(key string) []bool {
	var out []bool
	for _, v := range d.list(key) {
		b, _ := v.(bool)
		out = append(out, b)
	}
	return out
}

// ints gives a list of whole numbers.
func (d dict) ints(key string) []int64 {
	var out []int64
	for _, v := range d.list(key) {
		n, _ := v.(int64)
		out = append(out, n)
	}
	return out
}

// axes gives the axes of an operator, which are one or a list.
func (d dict) axes(key, listKey string) []axis {
	if a, ok := d[key].(axis); ok {
		return []axis{a}
	}
	var out []axis
	for _, v := range d.list(listKey) {
		if a, ok := v.(axis); ok {
			out = append(out, a)
		}
	}
	return out
}

func (d dict) strings(key string) []string {
	var out []string
	for _, v := range d.list(key) {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}
