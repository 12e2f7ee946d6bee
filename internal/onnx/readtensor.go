package onnx

import (
	"encoding/binary"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxRank bounds the dimensions of a tensor; runtimes have kernels up to 8.
const maxRank = 64

// typed collects the data of a tensor that is not in raw_data: pieces of the
// file, each a packed list, or single numbers.
type typed struct {
	num    protowire.Number // which field: 4 float, 5 int32, 7 int64, 10 double, 11 uint64
	packed [][]byte
	single []uint64
}

func (r *reader) tensor(data []byte) (*Tensor, error) {
	t := &Tensor{}
	var (
		vals     typed
		external []Property
		raw      bool
		isExt    bool
	)
	err := r.fields(data, "tensor", func(f field) error {
		var err error
		switch f.num {
		case 1:
			t.Shape, err = r.ints(t.Shape, f)
			if err == nil && len(t.Shape) > maxRank {
				err = stoa.Errorf(stoa.Invalid, "onnx: tensor %s has over %d dimensions", quote(t.Name), maxRank)
			}
		case 2:
			t.DType = tensor.DType(min(f.value, 255))
		case 4, 5, 7, 10, 11:
			err = r.typed(&vals, f)
		case 6:
			t.Strings = append(t.Strings, f.bytes)
			err = r.count()
		case 8:
			t.Name = f.string()
		case 9:
			t.Data, raw = slices.Clip(f.bytes), true
		case 12:
		case 13:
			var p Property
			p, err = r.property(f.bytes)
			external = append(external, p)
			if err == nil {
				err = r.count()
			}
		case 14:
			isExt = f.value == 1
		default:
			t.unknown = append(t.unknown, f.raw...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if isExt {
		t.External, err = parseExternal(t.Name, external)
		return t, err
	}
	if !raw && vals.num != 0 {
		if err := t.decode(vals); err != nil {
			return nil, err
		}
	}
	return t, t.checkData()
}

// checkData compares the length of the data with the shape. Element types of
// sizes that package tensor does not know pass.
func (t *Tensor) checkData() error {
	n, err := tensor.Elements(t.Shape)
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "onnx: tensor %s: %s", quote(t.Name), stoa.AsError(err).Msg)
	}
	switch {
	case t.DType == tensor.String:
		if n != int64(len(t.Strings)) {
			return stoa.Errorf(stoa.Invalid, "onnx: tensor %s of shape %s holds %d strings", quote(t.Name), tensor.ShapeString(t.Shape), len(t.Strings))
		}
		return nil
	case t.DType.Size() == 0:
		return nil
	}
	if err := t.Check(); err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "onnx: tensor %s: %s", quote(t.Name), stoa.AsError(err).Msg)
	}
	return nil
}

func (r *reader) typed(v *typed, f field) error {
	if v.num != 0 && v.num != f.num {
		return stoa.Errorf(stoa.Invalid, "onnx: a tensor has its data in two fields")
	}
	v.num = f.num
	if f.isBytes() {
		v.packed = append(v.packed, f.bytes)
		return r.count()
	}
	v.single = append(v.single, f.value)
	return r.list(1)
}

// decode turns the numbers of a typed field into the bytes of the elements. One
// packed list of floats or doubles is a view.
func (t *Tensor) decode(v typed) error {
	wide := map[protowire.Number]int{4: 4, 10: 8}[v.num]
	size := int(t.DType.Size())
	if size == 0 {
		return stoa.Errorf(stoa.Unsupported, "onnx: tensor %s has elements of type %d in a list, which is not supported", quote(t.Name), t.DType)
	}
	if wide != 0 && wide != size {
		return stoa.Errorf(stoa.Invalid, "onnx: tensor %s of %s has its data in the list of another type", quote(t.Name), t.DType)
	}
	if wide != 0 && len(v.single) == 0 && len(v.packed) == 1 {
		t.Data = v.packed[0]
		return nil
	}
	// A claim of many elements must not cost memory: they are counted first.
	n := len(v.single)
	for _, p := range v.packed {
		if wide != 0 {
			n += len(p) / wide
			continue
		}
		for _, c := range p {
			if c < 0x80 {
				n++
			}
		}
	}
	if want, err := tensor.Elements(t.Shape); err != nil || int64(n) != want {
		return stoa.Errorf(stoa.Invalid, "onnx: tensor %s of shape %s holds %d elements", quote(t.Name), tensor.ShapeString(t.Shape), n)
	}
	t.Data = make([]byte, 0, n*size)
	for _, p := range v.packed {
		if wide != 0 {
			t.Data = append(t.Data, p[:len(p)-len(p)%wide]...)
			continue
		}
		for len(p) > 0 {
			x, m := protowire.ConsumeVarint(p)
			if m < 0 {
				return stoa.Errorf(stoa.Invalid, "onnx: tensor %s: its list of integers is damaged", quote(t.Name))
			}
			t.Data, p = appendElement(t.Data, x, size), p[m:]
		}
	}
	for _, x := range v.single {
		t.Data = appendElement(t.Data, x, size)
	}
	return nil
}

func appendElement(to []byte, v uint64, size int) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return append(to, b[:size]...)
}

func parseExternal(name string, props []Property) (*External, error) {
	e := &External{Length: -1}
	for _, p := range props {
		var err error
		switch p.Key {
		case "location":
			e.Location = p.Value
		case "offset":
			e.Offset, err = strconv.ParseInt(p.Value, 10, 64)
		case "length":
			e.Length, err = strconv.ParseInt(p.Value, 10, 64)
			if err == nil && e.Length < 0 {
				err = strconv.ErrRange
			}
		}
		if err != nil || e.Offset < 0 {
			return nil, stoa.Wrap(stoa.Invalid, err, "onnx: tensor %s: the %s of its external data is %.40q", quote(name), p.Key, p.Value)
		}
	}
	if e.Location == "" {
		return nil, stoa.Errorf(stoa.Invalid, "onnx: tensor %s has external data without a location", quote(name))
	}
	return e, nil
}
