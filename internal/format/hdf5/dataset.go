package hdf5

import (
	"slices"
	"strconv"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Value is an array, of numbers or of strings. Data views the file where the
// numbers lie there in one piece, least significant byte first.
type Value struct {
	DType   tensor.DType
	Shape   []int64
	Data    []byte
	Strings []string
}

// Tensor gives an array of numbers.
func (v Value) Tensor() tensor.Tensor {
	return tensor.Tensor{DType: v.DType, Shape: v.Shape, Data: v.Data}
}

// Shape gives the shape of a dataset without reading it.
func (o *Object) Shape() ([]int64, error) {
	m := o.head.find(msgDataspace)
	if m == nil {
		return nil, within(o.Path, damaged("an array without a shape"))
	}
	body, err := o.file.resolved(m)
	if err != nil {
		return nil, within(o.Path, err)
	}
	shape, err := o.file.parseDataspace(body)
	if err != nil {
		return nil, within(o.Path, err)
	}
	return shape, nil
}

// Read gives the array of a dataset.
func (o *Object) Read() (Value, error) {
	v, err := o.read()
	if err != nil {
		return Value{}, within(o.Path, err)
	}
	return v, nil
}

func (o *Object) read() (Value, error) {
	f := o.file
	typ := o.head.find(msgDatatype)
	if typ == nil || !o.IsDataset() {
		return Value{}, stoa.Errorf(stoa.Invalid, "HDF5: it is a group and no array")
	}
	body, err := f.resolved(typ)
	if err != nil {
		return Value{}, err
	}
	t, err := parseDatatype(body)
	if err != nil {
		return Value{}, err
	}
	shape, err := o.Shape()
	if err != nil {
		return Value{}, err
	}
	size, err := sizeOf(t, shape)
	if err != nil {
		return Value{}, err
	}
	if o.head.find(msgExternal) != nil {
		return Value{}, stoa.Errorf(stoa.Unsupported, "HDF5: arrays that lie in another file are not supported")
	}
	l, err := f.parseLayout(o.head.find(msgLayout).body)
	if err != nil {
		return Value{}, err
	}
	raw, err := l.bytes(o, wanted{t, shape, size})
	if err != nil {
		return Value{}, err
	}
	return f.value(t, shape, raw)
}

// wanted is the array that is to be read.
type wanted struct {
	t     datatype
	shape []int64
	size  int64
}

// The ways in which the elements of an array can lie in a file.
const (
	compact    = 0
	contiguous = 1
	chunked    = 2
)

// layout says how the elements of an array lie in a file.
type layout struct {
	class uint8
	data  []byte // compact
	addr  uint64 // of the array, or of the index over its chunks
	size  uint64 // contiguous, as written; 0 in old files
	old   bool   // of a version that does not write size
	chunk []int64
	index uint8  // of chunks; 0 for a B-tree of the first version
	one   uint64 // bytes of a single chunk that is filtered
	mask  uint32 // filters left out of it
	pages uint8
}

func (f *File) parseLayout(body []byte) (*layout, error) {
	r := f.reader(body)
	version := r.u8()
	l := &layout{addr: undefined}
	switch version {
	case 1, 2:
		l.parseOld(r)
	case 3, 4, 5: // the fifth differs from the fourth in what is not read here
		l.class = r.u8()
		switch l.class {
		case compact:
			l.data = r.bytes(int(r.u16()))
		case contiguous:
			l.addr, l.size = r.addr(), r.length()
		case chunked:
			if version == 3 {
				n := int(r.u8())
				l.addr = r.addr()
				l.dims(r, n, 4)
			} else if err := l.parseNew(r); err != nil {
				return nil, err
			}
		default:
			return nil, stoa.Errorf(stoa.Unsupported, "HDF5: arrays put together of others are not supported")
		}
	default:
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: layout version %d is not known", version)
	}
	if r.failed {
		return nil, damaged("the layout of an array is cut off")
	}
	return l, nil
}

// dims reads the size of a chunk, whose last number is that of an element.
func (l *layout) dims(r *reader, n, width int) {
	if n < 1 || n > maxRank+1 {
		r.failed = true
		return
	}
	for range n {
		d := r.uint(width)
		if d == 0 || d > 1<<40 {
			r.failed = true
		}
		l.chunk = append(l.chunk, int64(d))
	}
}

func (l *layout) parseOld(r *reader) {
	n := int(r.u8())
	l.class, l.old = r.u8(), true
	r.skip(5)
	if l.class != compact {
		l.addr = r.addr()
	}
	if l.class == chunked {
		l.dims(r, n, 4)
		return
	}
	if n > maxRank {
		r.failed = true
		return
	}
	r.skip(4 * n)
	if l.class == compact {
		size := r.u32()
		l.data = r.bytes(int(min(size, 1<<20)))
	}
}

// The indexes over chunks of files written for HDF5 1.10 or later.
const (
	singleChunk = 1
	implicit    = 2
	fixedArray  = 3
)

func (l *layout) parseNew(r *reader) error {
	flags := r.u8()
	n := int(r.u8())
	l.dims(r, n, int(r.u8()))
	l.index = r.u8()
	switch l.index {
	case singleChunk:
		if flags&2 != 0 {
			l.one, l.mask = r.length(), r.u32()
		}
	case implicit:
	case fixedArray:
		l.pages = r.u8()
	default:
		return stoa.Errorf(stoa.Unsupported, "HDF5: an array that can grow, in the form of HDF5 1.10 (index %d), is not supported; write it with libver='earliest'", l.index)
	}
	l.addr = r.addr()
	return nil
}

// bytes gives the elements as they are in the file, filters undone.
func (l *layout) bytes(o *Object, w wanted) ([]byte, error) {
	f := o.file
	filters, err := f.parseFilters(o.head)
	if err != nil {
		return nil, err
	}
	if w.size == 0 {
		return nil, nil
	}
	if l.class != chunked && len(filters) > 0 {
		return nil, damaged("filters on an array that is not in chunks")
	}
	switch {
	case l.class == compact:
		if int64(len(l.data)) < w.size {
			return nil, damaged("an array is cut off")
		}
		return l.data[:w.size:w.size], nil
	case l.addr == undefined:
		return f.filled(o.head, w)
	case l.class == contiguous:
		if !l.old && l.size < uint64(w.size) {
			return nil, stoa.Errorf(stoa.Invalid, "HDF5: an array of %s has %d bytes and takes %d", tensor.ShapeString(w.shape), l.size, w.size)
		}
		return f.slice(l.addr, uint64(w.size))
	}
	return f.chunks(o, l, filters, w)
}

// filled makes an array that was never written: all its elements are the fill
// value.
func (f *File) filled(h *header, w wanted) ([]byte, error) {
	if err := f.allot(w.size); err != nil {
		return nil, err
	}
	out := make([]byte, w.size)
	m := h.find(msgFill)
	if m == nil || w.t.class == variableText {
		return out, nil
	}
	body, err := f.resolved(m)
	if err != nil {
		return nil, err
	}
	r := f.reader(body)
	version := r.u8()
	defined := true
	switch version {
	case 1, 2:
		r.skip(2)
		defined = r.u8() != 0
	case 3:
		defined = r.u8()&0x20 != 0
	}
	if !defined {
		return out, nil
	}
	value := r.bytes(int(min(r.u32(), 1<<20)))
	if len(value) != w.t.size || !slices.ContainsFunc(value, func(b byte) bool { return b != 0 }) {
		return out, nil
	}
	for at := 0; at < len(out); at += len(value) {
		copy(out[at:], value)
	}
	return out, nil
}

// Attributes gives the names of an object's attributes, sorted.
func (o *Object) Attributes() ([]string, error) {
	var out []string
	err := o.eachAttribute(func(name string, _ []byte) error {
		out = append(out, name)
		return nil
	})
	slices.Sort(out)
	return out, err
}

// Attr reads an attribute; false where there is none.
func (o *Object) Attr(name string) (Value, bool, error) {
	var v Value
	found := false
	err := o.eachAttribute(func(n string, body []byte) error {
		if n != name || found {
			return nil
		}
		found = true
		var err error
		v, err = o.file.attribute(body)
		return err
	})
	if err != nil {
		return Value{}, false, stoa.Errorf(stoa.KindOf(err), "%s (attribute %.60q)", stoa.AsError(err).Msg, name)
	}
	return v, found, nil
}

// Text reads an attribute that is one string; "" where there is none.
func (o *Object) Text(name string) (string, error) {
	v, _, err := o.Attr(name)
	if err != nil || len(v.Strings) != 1 {
		return "", err
	}
	return v.Strings[0], nil
}

// maxParts bounds the attributes over which Keras spreads one list.
const maxParts = 1 << 14

// List reads an attribute that is a list of strings, and those of its name with
// a number, over which Keras spreads a list that is too long for one: false
// where there is none.
func (o *Object) List(name string) ([]string, bool, error) {
	v, ok, err := o.Attr(name)
	if ok || err != nil {
		return v.Strings, ok, err
	}
	parts := map[string]Value{}
	err = o.eachAttribute(func(n string, body []byte) error {
		if len(n) <= len(name) || n[:len(name)] != name || n[len(name)] < '0' || n[len(name)] > '9' {
			return nil
		}
		v, err := o.file.attribute(body)
		parts[n] = v
		return err
	})
	if err != nil {
		return nil, false, err
	}
	var out []string
	for i := range maxParts {
		v, more := parts[name+strconv.Itoa(i)]
		if !more {
			return out, i > 0, nil
		}
		out = append(out, v.Strings...)
	}
	return out, true, nil
}

// eachAttribute visits an object's attributes.
func (o *Object) eachAttribute(visit func(name string, body []byte) error) error {
	f := o.file
	one := func(body []byte) error {
		if err := f.spend(0); err != nil {
			return err
		}
		r := f.reader(body)
		version := r.u8()
		r.skip(1)
		n := int(r.u16())
		r.skip(4)
		if version == 3 {
			r.skip(1)
		}
		name := r.bytes(n)
		if r.failed {
			return damaged("an attribute is cut off")
		}
		return visit(text(name), body)
	}
	for i := range o.head.messages {
		m := &o.head.messages[i]
		var err error
		switch m.typ {
		case msgAttribute:
			var body []byte
			if body, err = f.resolved(m); err == nil {
				err = one(body)
			}
		case msgAttrInfo:
			err = f.denseAttributes(m.body, one)
		}
		if err != nil {
			return within(o.Path, err)
		}
	}
	return nil
}

func (f *File) denseAttributes(body []byte, visit func([]byte) error) error {
	r := f.reader(body)
	r.skip(1)
	if r.u8()&1 != 0 {
		r.skip(2)
	}
	heap, index := r.addr(), r.addr()
	if r.failed {
		return damaged("a list of attributes is cut off")
	}
	if heap == undefined {
		return nil
	}
	return f.eachDense(heap, index, visit)
}

// attribute reads the value of an attribute message.
func (f *File) attribute(body []byte) (Value, error) {
	r := f.reader(body)
	version, flags := r.u8(), r.u8()
	nameSize, typeSize, spaceSize := int(r.u16()), int(r.u16()), int(r.u16())
	pad := func(n int) int { return n }
	switch version {
	case 1:
		flags = 0
		pad = func(n int) int { return (n + 7) &^ 7 }
	case 2:
	case 3:
		r.skip(1)
	default:
		return Value{}, stoa.Errorf(stoa.Unsupported, "HDF5: attribute version %d is not known", version)
	}
	r.skip(pad(nameSize))
	typ := message{typ: msgDatatype, flags: flags & 1 << 1, body: r.bytes(pad(typeSize))}
	space := message{typ: msgDataspace, flags: flags & 2, body: r.bytes(pad(spaceSize))}
	if r.failed {
		return Value{}, damaged("an attribute is cut off")
	}
	typeBody, err := f.resolved(&typ)
	if err != nil {
		return Value{}, err
	}
	t, err := parseDatatype(typeBody)
	if err != nil {
		return Value{}, err
	}
	spaceBody, err := f.resolved(&space)
	if err != nil {
		return Value{}, err
	}
	shape, err := f.parseDataspace(spaceBody)
	if err != nil {
		return Value{}, err
	}
	size, err := sizeOf(t, shape)
	if err != nil {
		return Value{}, err
	}
	data := r.rest()
	if int64(len(data)) < size {
		return Value{}, damaged("an attribute is cut off")
	}
	return f.value(t, shape, data[:size:size])
}
