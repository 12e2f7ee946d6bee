package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	// Graphs nest in the attributes of If, Loop and Scan. Real models stay
	// below five levels.
	maxDepth = 32
	// maxObjects bounds nodes, attributes, tensors, names and dimensions
	// together. An object takes as little as two bytes of the file and up to a
	// few hundred of memory; the largest public graphs have about 200,000.
	maxObjects = 1 << 20
	// maxListed bounds the numbers in all attributes together, which a file can
	// write in a byte each.
	maxListed = 1 << 24
)

// Read reads a model. Its weights are views of data.
func Read(data []byte) (*Model, error) {
	r := &reader{}
	m := &Model{}
	err := r.fields(data, "model", func(f field) error { return r.model(m, f) })
	if err != nil {
		return nil, err
	}
	if m.Graph == nil {
		return nil, stoa.Errorf(stoa.Invalid, "onnx: the file holds no graph")
	}
	return m, nil
}

// ReadTensor reads one serialised tensor, such as the inputs and outputs that
// the ONNX model zoo ships. Its data is a view of data where it can be.
func ReadTensor(data []byte) (*Tensor, error) {
	return (&reader{}).tensor(data)
}

// reader counts what was made, so that a small file cannot make much.
type reader struct {
	objects int
	listed  int
	depth   int
}

// field is one field of a message: its number, and its bytes or its number.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte // of a BytesType
	value uint64 // of the others
	raw   []byte // tag and value together
}

func (f field) int() int64     { return int64(f.value) }
func (f field) string() string { return string(f.bytes) }

// fields calls visit for each field of a message.
func (r *reader) fields(data []byte, what string, visit func(field) error) error {
	for rest := data; len(rest) > 0; {
		f, n := consume(rest)
		if n < 0 {
			return stoa.Wrap(stoa.Invalid, protowire.ParseError(n), "onnx: the %s is damaged or cut off %d bytes before its end", what, len(rest))
		}
		rest = rest[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// consume reads one field. Groups, which ONNX does not use, are not read.
func consume(b []byte) (field, int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return field{}, n
	}
	f := field{num: num, typ: typ}
	m := -1
	switch typ {
	case protowire.VarintType:
		f.value, m = protowire.ConsumeVarint(b[n:])
	case protowire.Fixed32Type:
		var v uint32
		v, m = protowire.ConsumeFixed32(b[n:])
		f.value = uint64(v)
	case protowire.Fixed64Type:
		f.value, m = protowire.ConsumeFixed64(b[n:])
	case protowire.BytesType:
		f.bytes, m = protowire.ConsumeBytes(b[n:])
	case protowire.StartGroupType, protowire.EndGroupType:
	}
	if m < 0 {
		return field{}, m
	}
	f.raw = b[: n+m : n+m]
	return f, n + m
}

// count notes one more object.
func (r *reader) count() error {
	r.objects++
	if r.objects > maxObjects {
		return stoa.Errorf(stoa.TooLarge, "onnx: the model has over %d nodes, attributes, tensors and names", maxObjects)
	}
	return nil
}

// isBytes tells whether a field holds bytes, and no number.
func (f field) isBytes() bool { return f.typ == protowire.BytesType }

func (r *reader) model(m *Model, f field) error {
	var err error
	switch {
	case f.num == 1 && !f.isBytes():
		m.IRVersion = f.int()
	case f.num == 2 && f.isBytes():
		m.Producer = f.string()
	case f.num == 3 && f.isBytes():
		m.ProducerVersion = f.string()
	case f.num == 4 && f.isBytes():
		m.Domain = f.string()
	case f.num == 5 && !f.isBytes():
		m.Version = f.int()
	case f.num == 6 && f.isBytes():
		m.Doc = f.string()
	case f.num == 7 && f.isBytes():
		m.Graph, err = r.graph(f.bytes)
	case f.num == 8 && f.isBytes():
		var o OpsetID
		err = r.fields(f.bytes, "opset", func(f field) error {
			switch {
			case f.num == 1 && f.isBytes():
				o.Domain = f.string()
			case f.num == 2 && !f.isBytes():
				o.Version = f.int()
			}
			return nil
		})
		m.Opsets = append(m.Opsets, o)
	case f.num == 14 && f.isBytes():
		var p Property
		p, err = r.property(f.bytes)
		m.Metadata = append(m.Metadata, p)
	default:
		m.unknown = append(m.unknown, f.raw...)
	}
	if err == nil {
		err = r.count()
	}
	return err
}

func (r *reader) property(data []byte) (Property, error) {
	var p Property
	err := r.fields(data, "property", func(f field) error {
		switch f.num {
		case 1:
			p.Key = f.string()
		case 2:
			p.Value = f.string()
		}
		return nil
	})
	return p, err
}

func (r *reader) graph(data []byte) (*Graph, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, stoa.Errorf(stoa.Invalid, "onnx: graphs are nested deeper than %d", maxDepth)
	}
	defer func() { r.depth-- }()
	g := &Graph{}
	err := r.fields(data, "graph", func(f field) error {
		if err := r.count(); err != nil {
			return err
		}
		if !f.isBytes() {
			return nil
		}
		switch f.num {
		case 1:
			n, err := r.node(f.bytes)
			g.Nodes = append(g.Nodes, n)
			return err
		case 2:
			g.Name = f.string()
		case 5:
			t, err := r.tensor(f.bytes)
			g.Initializers = append(g.Initializers, t)
			return err
		case 10:
			g.Doc = f.string()
		case 11, 12, 13:
			v, err := r.valueInfo(f.bytes)
			to := map[protowire.Number]*[]*ValueInfo{11: &g.Inputs, 12: &g.Outputs, 13: &g.Values}[f.num]
			*to = append(*to, v)
			return err
		default:
			g.unknown = append(g.unknown, f.raw...)
		}
		return nil
	})
	return g, err
}

func (r *reader) node(data []byte) (*Node, error) {
	n := &Node{}
	err := r.fields(data, "node", func(f field) error {
		if err := r.count(); err != nil {
			return err
		}
		if !f.isBytes() {
			return nil
		}
		switch f.num {
		case 1:
			n.Inputs = append(n.Inputs, f.string())
		case 2:
			n.Outputs = append(n.Outputs, f.string())
		case 3:
			n.Name = f.string()
		case 4:
			n.Op = f.string()
		case 5:
			a, err := r.attribute(f.bytes)
			n.Attrs = append(n.Attrs, a)
			return err
		case 6:
			n.Doc = f.string()
		case 7:
			n.Domain = f.string()
		default:
			n.unknown = append(n.unknown, f.raw...)
		}
		return nil
	})
	return n, err
}

func (r *reader) attribute(data []byte) (Attribute, error) {
	var a Attribute
	err := r.fields(data, "attribute", func(f field) error {
		var err error
		switch f.num {
		case 1:
			a.Name = f.string()
		case 2:
			a.F = math.Float32frombits(uint32(f.value))
		case 3:
			a.I = f.int()
		case 4:
			a.S = f.bytes
		case 5:
			a.T, err = r.tensor(f.bytes)
		case 6:
			a.G, err = r.graph(f.bytes)
		case 7:
			a.Floats, err = r.floats(a.Floats, f)
		case 8:
			a.Ints, err = r.ints(a.Ints, f)
		case 9:
			a.Strings = append(a.Strings, f.bytes)
			err = r.count()
		case 10:
			var t *Tensor
			t, err = r.tensor(f.bytes)
			a.Tensors = append(a.Tensors, t)
		case 11:
			var g *Graph
			g, err = r.graph(f.bytes)
			a.Graphs = append(a.Graphs, g)
		case 13:
		case 20:
			a.Type = AttrType(f.value)
		default:
			a.unknown = append(a.unknown, f.raw...)
		}
		return err
	})
	if a.Type == 0 {
		a.Type = a.guessType()
	}
	return a, err
}

// guessType is for files of before ONNX 1.0, which left the type out.
func (a *Attribute) guessType() AttrType {
	switch {
	case a.T != nil:
		return AttrTensor
	case a.G != nil:
		return AttrGraph
	case a.Floats != nil:
		return AttrFloats
	case a.Ints != nil:
		return AttrInts
	case a.Strings != nil:
		return AttrStrings
	case a.S != nil:
		return AttrString
	case a.F != 0:
		return AttrFloat
	}
	return AttrInt
}

func (r *reader) list(n int) error {
	r.listed += n
	if r.listed > maxListed {
		return stoa.Errorf(stoa.TooLarge, "onnx: attributes list over %d numbers", maxListed)
	}
	return nil
}

func (r *reader) floats(to []float32, f field) ([]float32, error) {
	if !f.isBytes() {
		return append(to, math.Float32frombits(uint32(f.value))), r.list(1)
	}
	if len(f.bytes)%4 != 0 {
		return to, stoa.Errorf(stoa.Invalid, "onnx: a list of floats is cut off")
	}
	if err := r.list(len(f.bytes) / 4); err != nil {
		return to, err
	}
	for b := f.bytes; len(b) > 0; b = b[4:] {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return to, nil
}

func (r *reader) ints(to []int64, f field) ([]int64, error) {
	if !f.isBytes() {
		return append(to, f.int()), r.list(1)
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return to, stoa.Errorf(stoa.Invalid, "onnx: a list of integers is cut off")
		}
		if err := r.list(1); err != nil {
			return to, err
		}
		to, b = append(to, int64(v)), b[n:]
	}
	return to, nil
}

func (r *reader) valueInfo(data []byte) (*ValueInfo, error) {
	v := &ValueInfo{}
	err := r.fields(data, "value", func(f field) error {
		switch f.num {
		case 1:
			v.Name = f.string()
		case 2:
			return r.typ(v, f.bytes)
		case 3:
			v.Doc = f.string()
		default:
			v.unknown = append(v.unknown, f.raw...)
		}
		return nil
	})
	return v, err
}

func (r *reader) typ(v *ValueInfo, data []byte) error {
	return r.fields(data, "type", func(f field) error {
		if f.num == 6 { // a denotation: what the tensor means to people
			return nil
		}
		if f.num != 1 || !f.isBytes() {
			v.other = data
			return nil
		}
		return r.fields(f.bytes, "tensor type", func(f field) error {
			switch {
			case f.num == 1 && !f.isBytes():
				v.DType = tensor.DType(min(f.value, math.MaxUint8))
			case f.num == 2 && f.isBytes():
				v.Shape = []Dim{}
				return r.fields(f.bytes, "shape", func(f field) error {
					if f.num != 1 || !f.isBytes() {
						return nil
					}
					d, err := r.dim(f.bytes)
					v.Shape = append(v.Shape, d)
					return err
				})
			}
			return nil
		})
	})
}

func (r *reader) dim(data []byte) (Dim, error) {
	d := unknownDim()
	err := r.fields(data, "dimension", func(f field) error {
		switch {
		case f.num == 1 && !f.isBytes():
			d = Dim{Value: max(f.int(), -1)}
		case f.num == 2 && f.isBytes():
			d = Dim{Value: -1, Param: f.string()}
		}
		return nil
	})
	if err == nil {
		err = r.count()
	}
	return d, err
}
