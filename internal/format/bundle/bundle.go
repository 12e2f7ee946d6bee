// Package bundle reads the index of a tensor bundle, which is how TensorFlow
// keeps the values of variables: a sorted table of LevelDB's form, whose entries
// say in which data file, and where, each array lies. It reads the whole index,
// and takes memory in proportion to its length, whatever it claims.
package bundle

import (
	"bytes"
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
)

// Index is what an index file says.
type Index struct {
	Shards  int // data files
	Entries map[string]Entry
}

// Entry says where an array lies. Type is TensorFlow's number of its element
// type.
type Entry struct {
	Type   int32
	Shape  []int64
	Shard  int
	Offset int64
	Size   int64
	Slices int // parts that the array is cut into; 0: it is whole
}

// The end of a table: two handles, room for the longest, and a number.
const (
	footerSize = 48
	magic      = 0xdb4775248b80fb57
	trailer    = 5 // behind each block: how it is packed, and its checksum
)

// maxTotal bounds what all blocks take when they are unpacked; the index of a
// bundle of a hundred thousand arrays takes a tenth.
const maxTotal = 256 << 20

// Is tells whether a file is a table.
func Is(data []byte) bool {
	return len(data) >= footerSize && binary.LittleEndian.Uint64(data[len(data)-8:]) == magic
}

// Parse reads an index file.
func Parse(data []byte) (*Index, error) {
	if !Is(data) {
		return nil, stoa.Errorf(stoa.Invalid, "it is no index of variables")
	}
	r := &reader{data: data, index: &Index{Entries: map[string]Entry{}}}
	footer := data[len(data)-footerSize:]
	_, _, n := handle(footer) // of the index of other things
	if n < 0 {
		return nil, damaged("its end")
	}
	offset, size, m := handle(footer[n:])
	if m < 0 {
		return nil, damaged("its end")
	}
	index, err := r.block(offset, size)
	if err != nil {
		return nil, err
	}
	err = entries(index, func(_, val []byte) error {
		offset, size, n := handle(val)
		if n < 0 {
			return damaged("a handle of a block")
		}
		block, err := r.block(offset, size)
		if err != nil {
			return err
		}
		return entries(block, r.entry)
	})
	return r.index, err
}

type reader struct {
	data  []byte
	index *Index
	total int
}

func damaged(what string) error {
	return stoa.Errorf(stoa.Invalid, "the index of variables is damaged: %s cannot be read", what)
}

// handle reads where a block lies; n is below zero where there is none.
func handle(b []byte) (offset, size uint64, n int) {
	offset, n = protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, 0, n
	}
	size, m := protowire.ConsumeVarint(b[n:])
	if m < 0 {
		return 0, 0, m
	}
	return offset, size, n + m
}

// block gives a block, unpacked.
func (r *reader) block(offset, size uint64) ([]byte, error) {
	n := uint64(len(r.data))
	if offset > n || size > n || offset+size+trailer > n {
		return nil, damaged("a block that lies outside")
	}
	raw := r.data[offset : offset+size]
	switch kind := r.data[offset+size]; kind {
	case 0:
		r.total += len(raw)
	case 1:
		var err error
		if raw, err = unsnappy(raw, maxTotal-r.total); err != nil {
			return nil, err
		}
		r.total += len(raw)
	default:
		return nil, stoa.Errorf(stoa.Unsupported, "the index of variables is packed in a way (%d) that is not known", kind)
	}
	if r.total > maxTotal {
		return nil, stoa.Errorf(stoa.TooLarge, "the index of variables takes over %d bytes", maxTotal)
	}
	return raw, nil
}

// entries calls f for each entry of a block. A key shares its beginning with the
// one before.
func entries(block []byte, f func(key, val []byte) error) error {
	if len(block) < 4 {
		return damaged("a block")
	}
	restarts := uint64(binary.LittleEndian.Uint32(block[len(block)-4:]))
	if restarts*4+4 > uint64(len(block)) {
		return damaged("a block")
	}
	block = block[:uint64(len(block))-4-restarts*4]
	var key []byte
	for len(block) > 0 {
		var head [3]uint64 // shared, not shared, value
		for i := range head {
			v, n := protowire.ConsumeVarint(block)
			if n < 0 {
				return damaged("an entry")
			}
			head[i], block = v, block[n:]
		}
		left := uint64(len(block))
		const longest = 1 << 16
		if head[0] > uint64(len(key)) || head[1] > left || head[2] > left-head[1] || head[0]+head[1] > longest {
			return damaged("an entry")
		}
		key = append(key[:head[0]], block[:head[1]]...)
		if err := f(key, block[head[1]:head[1]+head[2]]); err != nil {
			return err
		}
		block = block[head[1]+head[2]:]
	}
	return nil
}

// entry takes an entry of the table: the header, which has no name, or an array.
func (r *reader) entry(key, val []byte) error {
	if len(key) == 0 {
		return fields(val, func(num protowire.Number, v uint64, _ []byte) error {
			switch {
			case num == 1:
				r.index.Shards = int(min(v, 1<<16))
			case num == 2 && v != 0:
				return stoa.Errorf(stoa.Unsupported, "the variables were saved on a big-endian machine")
			}
			return nil
		})
	}
	var e Entry
	err := fields(val, func(num protowire.Number, v uint64, b []byte) (err error) {
		switch num {
		case 1:
			e.Type = int32(v)
		case 2:
			e.Shape, err = shape(b)
		case 3:
			e.Shard = int(min(v, 1<<16))
		case 4:
			e.Offset = int64(v)
		case 5:
			e.Size = int64(v)
		case 7:
			e.Slices++
		}
		return err
	})
	r.index.Entries[string(bytes.Clone(key))] = e
	return err
}

func shape(data []byte) ([]int64, error) {
	out := []int64{}
	err := fields(data, func(num protowire.Number, _ uint64, b []byte) error {
		if num != 2 {
			return nil
		}
		const maxRank = 64
		if len(out) == maxRank {
			return damaged("a shape")
		}
		size := int64(0)
		err := fields(b, func(num protowire.Number, v uint64, _ []byte) error {
			if num == 1 {
				size = int64(v)
			}
			return nil
		})
		out = append(out, size)
		return err
	})
	return out, err
}

// fields calls f for each field of a message: with the number of one, or the
// bytes of what has a length.
func fields(data []byte, f func(num protowire.Number, v uint64, b []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return damaged("an entry")
		}
		data = data[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return damaged("an entry")
		}
		data = data[n:]
		if err := f(num, v, b); err != nil {
			return err
		}
	}
	return nil
}
