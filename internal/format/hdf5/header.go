package hdf5

import (
	"github.com/stoa-project/stoa"
)

// The messages of an object header that are read.
const (
	msgDataspace    = 0x01
	msgLinkInfo     = 0x02
	msgDatatype     = 0x03
	msgOldFill      = 0x04
	msgFill         = 0x05
	msgLink         = 0x06
	msgExternal     = 0x07
	msgLayout       = 0x08
	msgFilters      = 0x0b
	msgAttribute    = 0x0c
	msgContinuation = 0x10
	msgSymbols      = 0x11
	msgAttrInfo     = 0x15
)

// flagShared marks a message that stands in another object's header.
const flagShared = 0x02

type message struct {
	typ   uint16
	flags uint8
	body  []byte
}

// header is an object's list of messages.
type header struct{ messages []message }

func (h *header) find(typ uint16) *message {
	for i := range h.messages {
		if h.messages[i].typ == typ {
			return &h.messages[i]
		}
	}
	return nil
}

// block is a piece of a header.
type block struct{ addr, size uint64 }

// header reads the messages of the object at an address.
func (f *File) header(addr uint64) (*header, error) {
	if h := f.headers[addr]; h != nil {
		return h, nil
	}
	prefix, err := f.slice(addr, 4)
	if err != nil {
		return nil, err
	}
	h := &header{}
	if string(prefix) == "OHDR" {
		err = f.headerV2(h, addr)
	} else {
		err = f.headerV1(h, addr)
	}
	if err != nil {
		return nil, err
	}
	f.headers[addr] = h
	return h, nil
}

func (f *File) headerV1(h *header, addr uint64) error {
	r, err := f.at(addr, "")
	if err != nil {
		return err
	}
	if v := r.u8(); v != 1 {
		return damaged("no object where there should be one")
	}
	r.skip(1)
	r.skip(2 + 4) // how many messages there are, and links to here
	size := r.u32()
	if r.failed {
		return damaged("an object is cut off")
	}
	// The list begins at a multiple of eight.
	return f.blocks(h, block{addr + 16, uint64(size)}, func(r *reader) (message, bool) {
		m := message{typ: r.u16()}
		n := int(r.u16())
		m.flags = r.u8()
		r.skip(3)
		m.body = r.bytes(n)
		return m, true
	})
}

func (f *File) headerV2(h *header, addr uint64) error {
	r, err := f.at(addr, "OHDR")
	if err != nil {
		return err
	}
	if v := r.u8(); v != 2 {
		return stoa.Errorf(stoa.Unsupported, "HDF5: object header version %d is not known", v)
	}
	flags := r.u8()
	if flags&0x20 != 0 {
		r.skip(16) // times
	}
	if flags&0x10 != 0 {
		r.skip(4) // limits of attributes
	}
	size := r.uint(1 << (flags & 3))
	if r.failed {
		return damaged("an object is cut off")
	}
	order := 0
	if flags&4 != 0 {
		order = 2
	}
	first := block{addr + uint64(r.at), size}
	return f.blocks(h, first, func(r *reader) (message, bool) {
		if len(r.b)-r.at < 4+order {
			return message{}, false // a gap too small for a message
		}
		m := message{typ: uint16(r.u8())}
		n := int(r.u16())
		m.flags = r.u8()
		r.skip(order)
		m.body = r.bytes(n)
		return m, true
	})
}

// blocks reads the messages of the first piece of a header and of those that it
// leads to.
func (f *File) blocks(h *header, first block, next func(*reader) (message, bool)) error {
	pending := []block{first}
	for len(pending) > 0 {
		b := pending[0]
		pending = pending[1:]
		data, err := f.slice(b.addr, b.size)
		if err != nil {
			return err
		}
		if err := f.spend(len(data)); err != nil {
			return err
		}
		// Pieces after the first of the second version have a mark and a sum.
		if b != first && len(data) >= 8 && string(data[:4]) == "OCHK" {
			data = data[4 : len(data)-4]
		}
		r := f.reader(data)
		for len(r.b)-r.at > 0 {
			m, ok := next(r)
			if !ok {
				break
			}
			if r.failed {
				return damaged("an object's header is cut off")
			}
			if m.typ != msgContinuation {
				h.messages = append(h.messages, m)
				continue
			}
			c := f.reader(m.body)
			more := block{c.addr(), c.length()}
			if c.failed {
				return damaged("an object's header is cut off")
			}
			pending = append(pending, more)
		}
	}
	return nil
}

// resolved gives the body of a message, which may stand in another object.
func (f *File) resolved(m *message) ([]byte, error) {
	if m.flags&flagShared == 0 {
		return m.body, nil
	}
	r := f.reader(m.body)
	version, kind := r.u8(), r.u8()
	switch {
	case version == 1:
		r.skip(6)
	case version == 3 && kind == 1:
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: messages in a heap of shared ones are not supported")
	}
	addr := r.addr()
	if r.failed {
		return nil, damaged("a shared message is cut off")
	}
	h, err := f.header(addr)
	if err != nil {
		return nil, err
	}
	// One that is shared in its turn would lead on and on; HDF5 writes none.
	if got := h.find(m.typ); got != nil && got.flags&flagShared == 0 {
		return got.body, nil
	}
	return nil, damaged("a shared message is not where it should be")
}
