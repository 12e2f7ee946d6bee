package caffe

import (
	"encoding/binary"
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// blob is an array of a layer, 32-bit floats. Its data is a view of the file
// where that holds them in one piece, as nearly all do.
type blob struct {
	shape []int64
	data  []byte
	given bool // by the caller, and not by the weights
}

func (b blob) elements() int64 { return int64(len(b.data) / 4) }

// tensor gives the blob with the shape that the layer wants.
func (b blob) tensor(shape ...int64) tensor.Tensor {
	return tensor.Tensor{DType: tensor.Float32, Shape: shape, Data: b.data}
}

func (b blob) floats() []float32 { return tensor.As[float32](b.tensor(b.elements())) }

// weights is what a .caffemodel holds for each layer, by name.
type weights struct {
	file   string
	layers map[string][]blob
	types  map[string]string // by name, as written
	v1     bool              // in the encoding of before 2015
}

// maxWeightLayers bounds the layers of a file, which can take a few bytes each.
const maxWeightLayers = 1 << 17

// eachField calls visit for the fields of a message.
func eachField(data []byte, visit func(num protowire.Number, typ protowire.Type, val []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var val []byte
		switch typ {
		case protowire.BytesType:
			val, n = protowire.ConsumeBytes(data)
		case protowire.StartGroupType, protowire.EndGroupType:
			n = -1
		default:
			if n = protowire.ConsumeFieldValue(num, typ, data); n >= 0 {
				val = data[:n]
			}
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := visit(num, typ, val); err != nil {
			return err
		}
	}
	return nil
}

// readWeights finds the blobs of every layer in the binary form of a network.
func readWeights(file string, data []byte) (*weights, error) {
	w := &weights{file: file, layers: map[string][]blob{}, types: map[string]string{}}
	layers := 0
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte) error {
		if typ != protowire.BytesType || num != 2 && num != 100 {
			return nil
		}
		if layers++; layers > maxWeightLayers {
			return stoa.Errorf(stoa.TooLarge, "%s: over %d layers", file, maxWeightLayers)
		}
		if num == 2 {
			w.v1 = true
			return w.layer(v1Fields, val)
		}
		return w.layer(v2Fields, val)
	})
	if err != nil {
		return nil, damaged(file, err)
	}
	return w, nil
}

// damaged names the file whose bytes make no sense; errors that say so
// themselves stay.
func damaged(file string, err error) error {
	if e, ok := errors.AsType[*stoa.Error](err); ok {
		return e
	}
	return stoa.Wrap(stoa.Invalid, err, "%s: the file is damaged or cut off", file)
}

// layerFields says where a layer has its name, its type (a word, or a number in
// the encoding of before 2015), its tops and its blobs.
type layerFields struct {
	name, typ, top, blobs protowire.Number
	typeKind              protowire.Type
}

var (
	v1Fields = layerFields{name: 4, typ: 5, top: 3, blobs: 6, typeKind: protowire.VarintType}
	v2Fields = layerFields{name: 1, typ: 2, top: 4, blobs: 7, typeKind: protowire.BytesType}
)

func (w *weights) layer(at layerFields, data []byte) error {
	var (
		name, typ string
		blobs     []blob
	)
	err := eachField(data, func(num protowire.Number, wire protowire.Type, val []byte) error {
		switch {
		case num == at.name && wire == protowire.BytesType:
			name = string(val)
		case num == at.typ && wire == protowire.BytesType:
			typ = string(val)
		case num == at.typ && wire == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(val)
			typ = v1Types[v]
		case num == at.blobs && wire == protowire.BytesType:
			b, err := readBlob(val)
			if err != nil {
				e := stoa.AsError(err)
				return stoa.Wrap(stoa.Invalid, err, "%s: layer %q, array %d: %s", w.file, cut(name), len(blobs), e.Msg)
			}
			blobs = append(blobs, b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, ok := w.layers[name]; !ok {
		w.layers[name], w.types[name] = blobs, typ
	}
	return nil
}

// blobReader collects the pieces of a blob.
type blobReader struct {
	shape   []int64
	legacy  [4]int64
	old     bool // has num, channels, height or width
	packed  [][]byte
	doubles [][]byte
	loose   []byte // floats that were written one by one
	looseD  []byte
}

// readBlob reads a BlobProto: num 1, channels 2, height 3, width 4, data 5,
// shape 7, double_data 8.
func readBlob(data []byte) (blob, error) {
	var r blobReader
	err := eachField(data, r.field)
	if err != nil {
		return blob{}, damaged("blob", err)
	}
	return r.blob()
}

func (r *blobReader) field(num protowire.Number, typ protowire.Type, val []byte) error {
	switch {
	case num >= 1 && num <= 4 && typ == protowire.VarintType:
		v, _ := protowire.ConsumeVarint(val)
		r.legacy[num-1], r.old = int64(int32(v)), true
	case num == 5 && typ == protowire.BytesType:
		r.packed = append(r.packed, val)
	case num == 5 && typ == protowire.Fixed32Type:
		r.loose = append(r.loose, val...)
	case num == 7 && typ == protowire.BytesType:
		r.shape = []int64{}
		return eachField(val, r.dim)
	case num == 8 && typ == protowire.BytesType:
		r.doubles = append(r.doubles, val)
	case num == 8 && typ == protowire.Fixed64Type:
		r.looseD = append(r.looseD, val...)
	case num == 12 && typ == protowire.BytesType:
		return stoa.Errorf(stoa.Unsupported, "it is in the half-precision encoding of NVIDIA's fork, which is not supported")
	}
	return nil
}

func (r *blobReader) dim(num protowire.Number, typ protowire.Type, val []byte) error {
	for num == 1 && len(val) > 0 {
		v, n := protowire.ConsumeVarint(val)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if len(r.shape) == 32 { // Caffe's own limit
			return stoa.Errorf(stoa.Invalid, "it has over 32 dimensions")
		}
		r.shape, val = append(r.shape, int64(v)), val[n:]
		if typ == protowire.VarintType {
			break
		}
	}
	return nil
}

func (r *blobReader) blob() (blob, error) {
	b := blob{shape: r.shape}
	switch {
	case len(r.packed) == 1 && r.loose == nil:
		b.data = r.packed[0]
	case len(r.packed) > 0 || r.loose != nil:
		for _, p := range r.packed {
			b.data = append(b.data, p...)
		}
		b.data = append(b.data, r.loose...)
	case r.doubles != nil || r.looseD != nil:
		for _, p := range append(r.doubles, r.looseD) {
			for ; len(p) >= 8; p = p[8:] {
				v := math.Float64frombits(binary.LittleEndian.Uint64(p))
				b.data = binary.LittleEndian.AppendUint32(b.data, math.Float32bits(float32(v)))
			}
		}
	}
	if b.shape == nil && r.old {
		b.shape = r.legacy[:]
	}
	if b.shape == nil {
		b.shape = []int64{b.elements()}
	}
	n, err := tensor.Elements(b.shape)
	if err != nil {
		return b, err
	}
	if n != b.elements() || len(b.data)%4 != 0 {
		return b, stoa.Errorf(stoa.Invalid, "its shape %s does not fit its %d numbers", tensor.ShapeString(b.shape), b.elements())
	}
	return b, nil
}
