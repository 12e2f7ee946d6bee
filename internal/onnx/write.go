package onnx

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// MaxFile is the largest file that Protocol Buffers allow. Models above it must
// have their weights beside them.
const MaxFile = math.MaxInt32

// Write writes a model with its weights inside, without copying them.
func Write(w io.Writer, m *Model) error {
	e := &encoder{}
	p := e.model(m)
	if p.size > MaxFile {
		return stoa.Errorf(stoa.TooLarge, "onnx: the model takes %d bytes, over the %d that one file can hold: its weights must be written beside it", p.size, MaxFile)
	}
	return p.writeTo(w)
}

// ExternalThreshold is the size from which WriteExternal puts an initializer
// into the data file. ONNX Runtime reads smaller ones, among them the shapes
// that it needs while it loads, only from within the model.
const ExternalThreshold = 1 << 10

const (
	// The data file is mapped, and tensors must be aligned for vector
	// instructions; large ones begin on a page, so that mapping them one by one
	// wastes nothing.
	alignSmall = 64
	alignLarge = 4096
	large      = 64 << 10
)

// WriteExternal writes a model to w, and the initializers of ExternalThreshold
// bytes and more to data, which will be the file called name in the same folder.
func WriteExternal(w, data io.Writer, m *Model, name string) error {
	e := &encoder{external: name, offsets: map[*Tensor]int64{}}
	var end int64
	var placed []*Tensor
	for _, t := range m.Graph.Initializers {
		if len(t.Data) < ExternalThreshold || t.External != nil {
			continue
		}
		end = (end + alignSmall - 1) / alignSmall * alignSmall
		if len(t.Data) >= large {
			end = (end + alignLarge - 1) / alignLarge * alignLarge
		}
		e.offsets[t] = end
		placed = append(placed, t)
		end += int64(len(t.Data))
	}
	p := e.model(m)
	if p.size > MaxFile {
		return stoa.Errorf(stoa.TooLarge, "onnx: the model takes %d bytes even without its weights", p.size)
	}
	if err := p.writeTo(w); err != nil {
		return err
	}
	var at int64
	zeros := make([]byte, alignLarge)
	for _, t := range placed {
		if _, err := data.Write(zeros[:e.offsets[t]-at]); err != nil {
			return err
		}
		if _, err := data.Write(t.Data); err != nil {
			return err
		}
		at = e.offsets[t] + int64(len(t.Data))
	}
	return nil
}

// pieces is encoded output: small things in buffers of its own, weights as the
// views that they are.
type pieces struct {
	done [][]byte
	tail []byte
	size int64
}

// From this size on, bytes are kept as a piece and not copied.
const pieceSize = 4 << 10

func (p *pieces) flush() {
	if len(p.tail) > 0 {
		p.done = append(p.done, p.tail)
		p.tail = nil
	}
}

func (p *pieces) writeTo(w io.Writer) error {
	p.flush()
	for _, b := range p.done {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *pieces) raw(b []byte) {
	p.size += int64(len(b))
	if len(b) < pieceSize {
		p.tail = append(p.tail, b...)
		return
	}
	p.flush()
	p.done = append(p.done, b)
}

func (p *pieces) varint(num protowire.Number, v uint64) {
	n := len(p.tail)
	p.tail = protowire.AppendTag(p.tail, num, protowire.VarintType)
	p.tail = protowire.AppendVarint(p.tail, v)
	p.size += int64(len(p.tail) - n)
}

func (p *pieces) fixed32(num protowire.Number, v uint32) {
	p.tail = protowire.AppendTag(p.tail, num, protowire.Fixed32Type)
	p.tail = protowire.AppendFixed32(p.tail, v)
	p.size += int64(protowire.SizeTag(num) + 4)
}

func (p *pieces) head(num protowire.Number, size int64) {
	n := len(p.tail)
	p.tail = protowire.AppendTag(p.tail, num, protowire.BytesType)
	p.tail = protowire.AppendVarint(p.tail, uint64(size))
	p.size += int64(len(p.tail) - n)
}

func (p *pieces) bytes(num protowire.Number, b []byte) {
	p.head(num, int64(len(b)))
	p.raw(b)
}

func (p *pieces) str(num protowire.Number, s string) { p.bytes(num, []byte(s)) }

// text writes a string that is left out where it is empty.
func (p *pieces) text(num protowire.Number, s string) {
	if s != "" {
		p.str(num, s)
	}
}

func (p *pieces) number(num protowire.Number, v int64) {
	if v != 0 {
		p.varint(num, uint64(v))
	}
}

func (p *pieces) message(num protowire.Number, sub *pieces) {
	p.head(num, sub.size)
	for _, b := range sub.done {
		p.flush()
		p.done = append(p.done, b)
	}
	p.tail = append(p.tail, sub.tail...)
	p.size += sub.size
}

type encoder struct {
	external string
	offsets  map[*Tensor]int64
}

func (e *encoder) model(m *Model) *pieces {
	p := &pieces{}
	p.number(1, m.IRVersion)
	p.text(2, m.Producer)
	p.text(3, m.ProducerVersion)
	p.text(4, m.Domain)
	p.number(5, m.Version)
	p.text(6, m.Doc)
	for _, o := range m.Opsets {
		sub := &pieces{}
		sub.text(1, o.Domain)
		sub.number(2, o.Version)
		p.message(8, sub)
	}
	for _, kv := range m.Metadata {
		p.message(14, property(kv.Key, kv.Value))
	}
	p.raw(m.unknown)
	p.message(7, e.graph(m.Graph))
	return p
}

func property(key, value string) *pieces {
	p := &pieces{}
	p.str(1, key)
	p.str(2, value)
	return p
}

func (e *encoder) graph(g *Graph) *pieces {
	p := &pieces{}
	for _, n := range g.Nodes {
		p.message(1, e.node(n))
	}
	p.text(2, g.Name)
	for _, t := range g.Initializers {
		p.message(5, e.tensor(t))
	}
	p.text(10, g.Doc)
	for i, vs := range [][]*ValueInfo{g.Inputs, g.Outputs, g.Values} {
		for _, v := range vs {
			p.message(protowire.Number(11+i), e.value(v))
		}
	}
	p.raw(g.unknown)
	return p
}

func (e *encoder) node(n *Node) *pieces {
	p := &pieces{}
	for _, s := range n.Inputs {
		p.str(1, s)
	}
	for _, s := range n.Outputs {
		p.str(2, s)
	}
	p.text(3, n.Name)
	p.text(4, n.Op)
	for i := range n.Attrs {
		p.message(5, e.attribute(&n.Attrs[i]))
	}
	p.text(6, n.Doc)
	p.text(7, n.Domain)
	p.raw(n.unknown)
	return p
}

func (e *encoder) attribute(a *Attribute) *pieces {
	p := &pieces{}
	p.text(1, a.Name)
	switch a.Type {
	case AttrFloat:
		p.fixed32(2, math.Float32bits(a.F))
	case AttrInt:
		p.varint(3, uint64(a.I))
	case AttrString:
		p.bytes(4, a.S)
	case AttrTensor, AttrTensors:
		if a.T != nil {
			p.message(5, e.tensor(a.T))
		}
		for _, t := range a.Tensors {
			p.message(10, e.tensor(t))
		}
	case AttrGraph, AttrGraphs:
		if a.G != nil {
			p.message(6, e.graph(a.G))
		}
		for _, g := range a.Graphs {
			p.message(11, e.graph(g))
		}
	case AttrFloats:
		p.head(7, int64(4*len(a.Floats)))
		for _, v := range a.Floats {
			p.tail = binary.LittleEndian.AppendUint32(p.tail, math.Float32bits(v))
		}
		p.size += int64(4 * len(a.Floats))
	case AttrInts:
		p.packed(8, a.Ints)
	case AttrStrings:
		for _, s := range a.Strings {
			p.bytes(9, s)
		}
	}
	p.varint(20, uint64(a.Type))
	p.raw(a.unknown)
	return p
}

func (p *pieces) packed(num protowire.Number, vs []int64) {
	var b []byte
	for _, v := range vs {
		b = protowire.AppendVarint(b, uint64(v))
	}
	p.bytes(num, b)
}

func (e *encoder) tensor(t *Tensor) *pieces {
	p := &pieces{}
	if len(t.Shape) > 0 {
		p.packed(1, t.Shape)
	}
	p.varint(2, uint64(t.DType))
	for _, s := range t.Strings {
		p.bytes(6, s)
	}
	p.text(8, t.Name)
	at, out := e.offsets[t]
	switch {
	case out:
		e.location(p, &External{Location: e.external, Offset: at, Length: int64(len(t.Data))})
	case t.External != nil:
		e.location(p, t.External)
	case t.DType != tensor.String:
		p.bytes(9, t.Data)
	}
	p.raw(t.unknown)
	return p
}

func (e *encoder) location(p *pieces, x *External) {
	p.message(13, property("location", x.Location))
	p.message(13, property("offset", strconv.FormatInt(x.Offset, 10)))
	if x.Length >= 0 {
		p.message(13, property("length", strconv.FormatInt(x.Length, 10)))
	}
	p.varint(14, 1)
}

func (e *encoder) value(v *ValueInfo) *pieces {
	p := &pieces{}
	p.text(1, v.Name)
	if v.other != nil {
		p.bytes(2, v.other)
	} else if v.DType != tensor.Undefined || v.Shape != nil {
		tt := &pieces{}
		tt.varint(1, uint64(v.DType))
		if v.Shape != nil {
			tt.message(2, shape(v.Shape))
		}
		typ := &pieces{}
		typ.message(1, tt)
		p.message(2, typ)
	}
	p.text(3, v.Doc)
	p.raw(v.unknown)
	return p
}

func shape(dims []Dim) *pieces {
	p := &pieces{}
	for _, d := range dims {
		sub := &pieces{}
		switch {
		case d.Known():
			sub.varint(1, uint64(d.Value))
		case d.Param != "":
			sub.str(2, d.Param)
		}
		p.message(1, sub)
	}
	return p
}
