package caffetest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Layer is the weights of one layer.
type Layer struct {
	Name   string
	Type   string // of the new encoding
	Number uint64 // the type's number in the old encoding
	Blobs  []Blob
}

// Blob is one array.
type Blob struct {
	Shape []int64
	Data  []float32
}

// Form says how weights are written down: Caffe has had several ways.
type Form struct {
	V1     bool // layers of before 2015
	Old4D  bool // num, channels, height and width in place of a shape
	Single bool // each number with a tag of its own
	Double bool // in double precision
}

// Encode writes a .caffemodel.
func Encode(layers []Layer, form Form) []byte {
	out := field(nil, 1, []byte("net"))
	for _, l := range layers {
		var b []byte
		if form.V1 {
			b = field(b, 4, []byte(l.Name))
			b = number(b, 5, l.Number)
		} else {
			b = field(b, 1, []byte(l.Name))
			b = field(b, 2, []byte(l.Type))
		}
		for _, a := range l.Blobs {
			if form.V1 {
				b = field(b, 6, a.encode(form))
			} else {
				b = field(b, 7, a.encode(form))
			}
		}
		if form.V1 {
			out = field(out, 2, b)
		} else {
			out = field(out, 100, b)
		}
	}
	return out
}

func (a Blob) encode(form Form) []byte {
	var b []byte
	if form.Old4D {
		for i := range 4 { // missing ones are in front
			d := int64(1)
			if k := i - 4 + len(a.Shape); k >= 0 {
				d = a.Shape[k]
			}
			b = number(b, protowire.Number(1+i), uint64(d))
		}
	} else {
		var dims []byte
		for _, d := range a.Shape {
			dims = protowire.AppendVarint(dims, uint64(d))
		}
		b = field(b, 7, field(nil, 1, dims))
	}
	var packed []byte
	for _, v := range a.Data {
		switch {
		case form.Double && form.Single:
			b = protowire.AppendTag(b, 8, protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, math.Float64bits(float64(v)))
		case form.Double:
			packed = protowire.AppendFixed64(packed, math.Float64bits(float64(v)))
		case form.Single:
			b = protowire.AppendTag(b, 5, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(v))
		default:
			packed = protowire.AppendFixed32(packed, math.Float32bits(v))
		}
	}
	switch {
	case form.Single:
		return b
	case form.Double:
		return field(b, 8, packed)
	}
	return field(b, 5, packed)
}

func field(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func number(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}
