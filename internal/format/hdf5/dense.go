package hdf5

import (
	"github.com/stoa-project/stoa"
)

// eachDense visits what lies in a fractal heap, as the index over it lists: the
// links of a group or the attributes of an object where they are many.
func (f *File) eachDense(heapAt, index uint64, visit func(body []byte) error) error {
	h, err := f.fractalHeap(heapAt)
	if err != nil {
		return err
	}
	return f.eachRecord(index, func(kind uint8, record []byte) error {
		// The heap's own name for the thing: after a hash, before flags and
		// orders, after an order.
		from := map[uint8]int{5: 4, 6: 8, 8: 0, 9: 0}
		at, ok := from[kind]
		if !ok || at+h.idSize > len(record) {
			return stoa.Errorf(stoa.Unsupported, "HDF5: an index of kind %d is not known", kind)
		}
		body, err := h.get(record[at : at+h.idSize])
		if err != nil {
			return err
		}
		return visit(body)
	})
}

// fractalHeap is a heap of blocks that double in size.
type fractalHeap struct {
	file      *File
	idSize    int
	offBytes  int // bytes of an offset in an id
	lenBytes  int
	width     int
	start     uint64 // size of the first blocks
	maxDirect uint64
	maxBits   int
	checksum  int // bytes of a sum in each block
	root      uint64
	rows      int // of the root where it is indirect; 0: it is direct
}

func (f *File) fractalHeap(addr uint64) (*fractalHeap, error) {
	r, err := f.at(addr, "FRHP")
	if err != nil {
		return nil, err
	}
	h := &fractalHeap{file: f}
	r.skip(1)
	h.idSize = int(r.u16())
	filters := r.u16()
	flags := r.u8()
	if flags&2 != 0 {
		h.checksum = 4
	}
	maxObject := r.u32()
	r.skip(f.lenSize + f.offSize + f.lenSize + f.offSize) // huge things, free space
	r.skip(8 * f.lenSize)                                 // counts
	h.width = int(r.u16())
	h.start, h.maxDirect = r.length(), r.length()
	h.maxBits = int(r.u16())
	r.skip(2)
	h.root = r.addr()
	h.rows = int(r.u16())
	if r.failed || h.width == 0 || h.start == 0 || h.maxDirect < h.start || h.maxBits == 0 || h.maxBits > 64 {
		return nil, damaged("a heap is not what it should be")
	}
	if filters != 0 {
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: a heap with filters is not supported")
	}
	h.offBytes = (h.maxBits + 7) / 8
	for n := min(h.maxDirect, uint64(maxObject)); n > 0; n >>= 8 {
		h.lenBytes++
	}
	return h, nil
}

// get gives the thing of an id.
func (h *fractalHeap) get(id []byte) ([]byte, error) {
	if len(id) == 0 || id[0]&0xf0 != 0 {
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: huge and tiny things of a heap are not supported")
	}
	r := h.file.reader(id[1:])
	off, n := r.uint(h.offBytes), r.uint(h.lenBytes)
	if r.failed {
		return nil, damaged("the name of a thing in a heap is cut off")
	}
	addr, size, begins, err := h.locate(off)
	if err != nil {
		return nil, err
	}
	if off < begins || off-begins > size || n > size-(off-begins) {
		return nil, damaged("a thing lies outside its block of the heap")
	}
	if err := h.file.spend(int(min(n, 1<<30))); err != nil {
		return nil, err
	}
	return h.file.slice(addr+off-begins, n)
}

// locate finds the block that holds an offset: its address, its size and the
// offset at which it begins.
func (h *fractalHeap) locate(off uint64) (addr, size, begins uint64, err error) {
	if h.rows == 0 {
		return h.root, h.start, 0, nil
	}
	at, rows := extent{addr: h.root}, h.rows
	for range maxDepth {
		if at, err = h.child(at, rows, off); err != nil {
			return 0, 0, 0, err
		}
		if at.size <= h.maxDirect {
			return at.addr, at.size, at.begins, nil
		}
		// An indirect block spans as many bytes as its rows make together.
		rows = 1
		for span := h.start * uint64(h.width); span < at.size && rows < maxRows; rows++ {
			span += (h.start << max(0, rows-1)) * uint64(h.width)
		}
	}
	return 0, 0, 0, damaged("a thing is not in its heap")
}

// extent is a block of a heap.
type extent struct{ addr, size, begins uint64 }

// maxRows bounds the rows of a block, each twice as large as the one before.
const maxRows = 60

// child finds the block within an indirect one that holds an offset.
func (h *fractalHeap) child(in extent, rows int, off uint64) (extent, error) {
	r, err := h.file.at(in.addr, "FHIB")
	if err != nil {
		return extent{}, err
	}
	r.skip(1 + h.file.offSize + h.offBytes)
	at := in.begins
	for row := range min(rows, maxRows) {
		size := h.start << max(0, row-1)
		if err := h.file.spend(h.width); err != nil {
			return extent{}, err
		}
		for range h.width {
			addr := r.addr()
			if r.failed || size == 0 {
				return extent{}, damaged("a heap is cut off")
			}
			if off >= at && off-at < size {
				return extent{addr, size, at}, nil
			}
			at += size
		}
	}
	return extent{}, damaged("a thing is not in its heap")
}

// eachRecord visits the records of a B-tree of the second version.
func (f *File) eachRecord(addr uint64, visit func(kind uint8, record []byte) error) error {
	r, err := f.at(addr, "BTHD")
	if err != nil {
		return err
	}
	r.skip(1)
	t := &recordTree{file: f, kind: r.u8(), visit: visit}
	t.nodeSize = uint64(r.u32())
	t.record = int(r.u16())
	depth := int(r.u16())
	r.skip(2)
	root, n := r.addr(), int(r.u16())
	if r.failed || t.record == 0 || t.nodeSize < 32 {
		return damaged("an index is cut off")
	}
	if root == undefined {
		return nil
	}
	if depth > 1 {
		return stoa.Errorf(stoa.Unsupported, "HDF5: an index of %d levels is not supported", depth+1)
	}
	if depth == 1 {
		return t.inner(root, n)
	}
	return t.leaf(root, n)
}

type recordTree struct {
	file     *File
	kind     uint8
	nodeSize uint64
	record   int
	visit    func(kind uint8, record []byte) error
}

func (t *recordTree) records(r *reader, n int) error {
	if err := t.file.spend(n * t.record); err != nil {
		return err
	}
	for range n {
		rec := r.bytes(t.record)
		if r.failed {
			return damaged("an index is cut off")
		}
		if err := t.visit(t.kind, rec); err != nil {
			return err
		}
	}
	return nil
}

func (t *recordTree) leaf(addr uint64, n int) error {
	r, err := t.file.at(addr, "BTLF")
	if err != nil {
		return err
	}
	r.skip(2)
	return t.records(r, n)
}

// inner reads a node above leaves.
func (t *recordTree) inner(addr uint64, n int) error {
	r, err := t.file.at(addr, "BTIN")
	if err != nil {
		return err
	}
	r.skip(2)
	if err := t.records(r, n); err != nil {
		return err
	}
	// A count takes as many bytes as the most that fit into a leaf need.
	width := 0
	for most := (t.nodeSize - 10) / uint64(t.record); most > 0; most >>= 8 {
		width++
	}
	for range n + 1 {
		child, many := r.addr(), int(r.uint(width))
		if r.failed {
			return damaged("an index is cut off")
		}
		if err := t.leaf(child, many); err != nil {
			return err
		}
	}
	return nil
}
