package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The filters that are undone.
const (
	gzip     = 1
	shuffle  = 2
	checksum = 3 // Fletcher's; its four bytes are taken off
)

var filterNames = map[uint16]string{
	4: "szip", 5: "n-bit", 6: "scale-offset", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32015: "Zstandard", 32026: "Blosc2",
}

// maxFilters is HDF5's own limit.
const maxFilters = 32

// parseFilters gives the filters of an object in the order in which they were
// applied. What is not known is refused by name.
func (f *File) parseFilters(h *header) ([]uint16, error) {
	m := h.find(msgFilters)
	if m == nil {
		return nil, nil
	}
	body, err := f.resolved(m)
	if err != nil {
		return nil, err
	}
	r := f.reader(body)
	version, n := r.u8(), int(r.u8())
	if version == 1 {
		r.skip(6)
	}
	if n > maxFilters || version != 1 && version != 2 {
		return nil, damaged("filters that are none")
	}
	var out []uint16
	for range n {
		id := r.u16()
		nameSize := 0
		if version == 1 || id >= 256 {
			nameSize = int(r.u16())
		}
		r.skip(2)
		values := int(r.u16())
		name := text(r.bytes(nameSize))
		r.skip(4 * values)
		if version == 1 && values%2 == 1 {
			r.skip(4)
		}
		if r.failed {
			return nil, damaged("filters are cut off")
		}
		if id != gzip && id != shuffle && id != checksum {
			if known := filterNames[id]; known != "" {
				name = known
			}
			return nil, stoa.Errorf(stoa.Unsupported, "HDF5: the filter %.40q (number %d) is not supported: write the file with gzip or without compression", name, id)
		}
		out = append(out, id)
	}
	return out, nil
}

// chunkReader puts an array together.
type chunkReader struct {
	file    *File
	l       *layout
	filters []uint16
	w       wanted
	dims    []int64 // of a chunk
	bytes   int64   // of a chunk
	out     []byte
}

// chunks reads an array that lies in pieces of equal size.
func (f *File) chunks(o *Object, l *layout, filters []uint16, w wanted) ([]byte, error) {
	rank := len(w.shape)
	if len(l.chunk) != rank+1 || l.chunk[rank] != int64(w.t.size) {
		return nil, damaged("chunks that do not fit their array")
	}
	c := &chunkReader{file: f, l: l, filters: filters, w: w, dims: l.chunk[:rank]}
	var err error
	if c.bytes, err = sizeOf(w.t, c.dims); err != nil {
		return nil, err
	}
	if c.out, err = f.filled(o.head, w); err != nil {
		return nil, err
	}
	switch l.index {
	case 0:
		err = f.eachLeaf(l.addr, treeOf{kind: 1, key: 8 + 8*(rank+1)}, c.leaf)
	case singleChunk:
		size := uint64(c.bytes)
		if l.one > 0 {
			size = l.one
		}
		err = c.put(make([]int64, rank), piece{l.addr, size, l.mask})
	case implicit:
		err = c.each(func(i int64, at []int64) error {
			return c.put(at, piece{addr: l.addr + uint64(i)*uint64(c.bytes), size: uint64(c.bytes)})
		})
	case fixedArray:
		err = c.fixedArray()
	}
	return c.out, err
}

// piece says where a chunk lies, and which filters were left out of it.
type piece struct {
	addr, size uint64
	mask       uint32
}

// leaf reads a chunk that a tree lists.
func (c *chunkReader) leaf(key []byte, addr uint64) error {
	r := c.file.reader(key)
	p := piece{addr: addr, size: uint64(r.u32()), mask: r.u32()}
	at := make([]int64, len(c.w.shape))
	for i := range at {
		at[i] = int64(r.uint(8))
		if at[i] < 0 || at[i]%c.dims[i] != 0 {
			return damaged("a chunk that is not where one can be")
		}
	}
	return c.put(at, p)
}

// each visits the places of all chunks in order.
func (c *chunkReader) each(visit func(i int64, at []int64) error) error {
	at := make([]int64, len(c.w.shape))
	for i := int64(0); ; i++ {
		if err := c.file.spend(8); err != nil {
			return err
		}
		if err := visit(i, slices.Clone(at)); err != nil {
			return err
		}
		k := len(at) - 1
		for ; k >= 0; k-- {
			if at[k] += c.dims[k]; at[k] < c.w.shape[k] {
				break
			}
			at[k] = 0
		}
		if k < 0 {
			return nil
		}
	}
}

// fixedArray reads chunks that a plain list gives.
func (c *chunkReader) fixedArray() error {
	f := c.file
	r, err := f.at(c.l.addr, "FAHD")
	if err != nil {
		return err
	}
	r.skip(1)
	client, entry, bits := r.u8(), int(r.u8()), int(r.u8())
	entries := r.length()
	block := r.addr()
	if r.failed || bits > 31 {
		return damaged("a list of chunks is cut off")
	}
	if entries > 1<<bits {
		return stoa.Errorf(stoa.Unsupported, "HDF5: a list of chunks in pages is not supported; write the file with libver='earliest'")
	}
	if r, err = f.at(block, "FADB"); err != nil {
		return err
	}
	r.skip(2 + f.offSize)
	return c.each(func(_ int64, at []int64) error {
		p := piece{addr: r.addr(), size: uint64(c.bytes)}
		if client == 1 {
			p.size = r.uint(entry - f.offSize - 4)
			p.mask = r.u32()
		}
		if r.failed {
			return damaged("a list of chunks is cut off")
		}
		if p.addr == undefined {
			return nil
		}
		return c.put(at, p)
	})
}

// put decodes a chunk and copies it to its place.
func (c *chunkReader) put(at []int64, p piece) error {
	data, err := c.file.slice(p.addr, p.size)
	if err != nil {
		return err
	}
	if err := c.file.spend(len(data)); err != nil {
		return err
	}
	for i, filter := range slices.Backward(c.filters) {
		if p.mask&(1<<i) != 0 {
			continue
		}
		if data, err = c.undo(filter, data); err != nil {
			return err
		}
	}
	if int64(len(data)) < c.bytes {
		return damaged("a chunk is too short")
	}
	return c.place(at, data)
}

// undo takes one filter off a chunk.
func (c *chunkReader) undo(filter uint16, data []byte) ([]byte, error) {
	switch filter {
	case gzip:
		// A sum may follow within.
		limit := c.bytes + 4*maxFilters
		if err := c.file.allot(limit); err != nil {
			return nil, err
		}
		z, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, damaged("a chunk does not unpack")
		}
		out := make([]byte, 0, limit)
		buf := bytes.NewBuffer(out)
		if _, err := io.Copy(buf, io.LimitReader(z, limit)); err != nil {
			return nil, damaged("a chunk does not unpack")
		}
		return buf.Bytes(), nil
	case shuffle:
		if err := c.file.allot(int64(len(data))); err != nil {
			return nil, err
		}
		return unshuffled(data, c.w.t.size), nil
	}
	if len(data) < 4 {
		return nil, damaged("a chunk is too short")
	}
	body := data[:len(data)-4]
	if fletcher32(body) != binary.LittleEndian.Uint32(data[len(body):]) {
		return nil, damaged("a chunk's sum is wrong")
	}
	return body, nil
}

// unshuffled puts the bytes of each element together again.
func unshuffled(data []byte, size int) []byte {
	n := len(data) / size
	out := make([]byte, len(data))
	for k := range size {
		for i, b := range data[k*n : (k+1)*n] {
			out[i*size+k] = b
		}
	}
	copy(out[n*size:], data[n*size:])
	return out
}

// fletcher32 is HDF5's sum over words of two bytes, the first more significant.
func fletcher32(data []byte) uint32 {
	var a, b uint32
	for i := 0; i < len(data); i += 2 {
		v := uint32(data[i]) << 8
		if i+1 < len(data) {
			v |= uint32(data[i+1])
		}
		a = (a + v) % 65535
		b = (b + a) % 65535
	}
	return b<<16 | a
}

// place copies the part of a chunk that lies within the array, row by row.
func (c *chunkReader) place(at []int64, data []byte) error {
	rank := len(at)
	if rank == 0 {
		copy(c.out, data[:c.bytes])
		return nil
	}
	size := int64(c.w.t.size)
	n := make([]int64, rank) // how much of the chunk lies within
	for i := range at {
		n[i] = min(c.dims[i], c.w.shape[i]-at[i])
		if n[i] <= 0 {
			return nil
		}
	}
	rows, err := tensor.Elements(n[:rank-1])
	if err != nil {
		return err
	}
	pos := make([]int64, rank)
	for range rows {
		var from, to int64
		for i := range rank {
			from = from*c.dims[i] + pos[i]
			to = to*c.w.shape[i] + at[i] + pos[i]
		}
		copy(c.out[to*size:(to+n[rank-1])*size], data[from*size:])
		for k := rank - 2; k >= 0; k-- {
			if pos[k]++; pos[k] < n[k] {
				break
			}
			pos[k] = 0
		}
	}
	return nil
}
