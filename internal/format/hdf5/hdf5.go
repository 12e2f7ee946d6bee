// Package hdf5 reads the part of HDF5 that Keras, h5py and Caffe write: groups
// of both styles, datasets in one piece or in chunks with gzip, numbers, strings
// and the attributes that hold them. It never trusts a size, an address or a
// count that the file claims: what it decodes is bounded by a small multiple of
// the file, links that lead in circles end, and whatever it does not know is
// refused by name. Arrays that lie in one piece are views of the file.
package hdf5

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

const signature = "\x89HDF\r\n\x1a\n"

const (
	// undefined is the address of what is not there.
	undefined = ^uint64(0)
	// maxRank is HDF5's own limit on dimensions.
	maxRank = 32
	// maxDepth bounds groups within groups.
	maxDepth = 64
	// maxMembers bounds the members of one group.
	maxMembers = 1 << 20
	// decodedPerByte bounds what is decoded: gzip makes at most 1,032 bytes of
	// one, and weights, which are noise, not even two.
	decodedPerByte = 16
	// workPerByte bounds how often the same bytes may be looked at.
	workPerByte = 64
	// slack is added to both, for files of a few hundred bytes.
	slack = 1 << 20
)

// Is tells whether data begins as an HDF5 file does.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte(signature)) }

// File is an opened file. It is not for several goroutines at once.
type File struct {
	b        []byte // from the superblock's base on
	offSize  int    // bytes of an address
	lenSize  int    // bytes of a length
	root     uint64
	decoded  int64 // bytes that may still be decoded
	work     int64 // bytes that may still be looked at
	headers  map[uint64]*header
	heaps    map[uint64]map[uint16][]byte // global heap collections
	listings map[uint64]map[string]link
}

// Open reads the beginning of a file, which it views from then on.
func Open(data []byte) (*File, error) {
	f := &File{
		decoded: decodedPerByte*int64(len(data)) + slack, work: workPerByte*int64(len(data)) + slack,
		headers: map[uint64]*header{}, heaps: map[uint64]map[uint16][]byte{}, listings: map[uint64]map[string]link{},
	}
	at := 0
	// A block of the user's own may stand before the superblock.
	for ; ; at = max(512, at*2) {
		if at >= len(data) {
			return nil, stoa.Errorf(stoa.Invalid, "HDF5: the file does not begin as one")
		}
		if bytes.HasPrefix(data[at:], []byte(signature)) {
			break
		}
	}
	r := &reader{b: data[at:], at: len(signature)}
	version := r.u8()
	switch version {
	case 0, 1:
		r.skip(4)
		f.offSize, f.lenSize = int(r.u8()), int(r.u8())
		r.skip(1 + 2 + 2 + 4)
		if version == 1 {
			r.skip(4)
		}
	case 2, 3:
		f.offSize, f.lenSize = int(r.u8()), int(r.u8())
		r.skip(1)
	default:
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: superblock version %d is not known", version)
	}
	if !slices.Contains([]int{2, 4, 8}, f.offSize) || !slices.Contains([]int{2, 4, 8}, f.lenSize) {
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: addresses of %d and lengths of %d bytes", f.offSize, f.lenSize)
	}
	r.offSize, r.lenSize = f.offSize, f.lenSize
	base := r.addr()
	r.skip(f.offSize) // free space, or extension
	end := r.addr()
	if version <= 1 {
		r.skip(f.offSize) // driver
		r.skip(f.offSize) // name of the root
	}
	f.root = r.addr()
	if r.failed || base > uint64(len(data)) {
		return nil, damaged("the superblock is cut off")
	}
	f.b = data[base:]
	if end != undefined && end > uint64(len(data)) && end-base > uint64(len(f.b)) {
		return nil, stoa.Errorf(stoa.Invalid, "HDF5: the file is cut off: it has %d bytes, and its header says %d", len(data), end)
	}
	return f, nil
}

func damaged(what string) error {
	return stoa.Errorf(stoa.Invalid, "HDF5: the file is damaged: %s", what)
}

// spend counts work, so that pointers which lead to the same bytes again and
// again come to an end.
func (f *File) spend(n int) error {
	if f.work -= int64(n) + 16; f.work < 0 {
		return damaged("its parts refer to each other without end")
	}
	return nil
}

// allot counts bytes that are about to be decoded.
func (f *File) allot(n int64) error {
	if n < 0 || n > f.decoded {
		return stoa.Errorf(stoa.TooLarge, "HDF5: it asks for arrays much larger than the file")
	}
	f.decoded -= n
	return nil
}

// slice gives n bytes at an address.
func (f *File) slice(addr, n uint64) ([]byte, error) {
	if addr > uint64(len(f.b)) || n > uint64(len(f.b))-addr {
		return nil, damaged("something lies beyond its end")
	}
	return f.b[addr : addr+n : addr+n], nil
}

// at gives a reader that begins at an address and has a mark there.
func (f *File) at(addr uint64, mark string) (*reader, error) {
	if addr > uint64(len(f.b)) {
		return nil, damaged("something lies beyond its end")
	}
	r := f.reader(f.b[addr:])
	if got := r.bytes(len(mark)); string(got) != mark {
		return nil, damaged("no " + mark + " where there should be one")
	}
	return r, nil
}

func (f *File) reader(b []byte) *reader { return &reader{b: b, offSize: f.offSize, lenSize: f.lenSize} }

// reader takes little-endian numbers off bytes. Once it fails it gives zeros.
type reader struct {
	b                []byte
	at               int
	failed           bool
	offSize, lenSize int
}

func (r *reader) bytes(n int) []byte {
	if r.failed || n < 0 || n > len(r.b)-r.at {
		r.failed = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at : r.at]
}

func (r *reader) skip(n int) { r.bytes(n) }

// uint reads a number of n bytes, at most 8.
func (r *reader) uint(n int) uint64 {
	var buf [8]byte
	if n > len(buf) {
		r.failed = true
	}
	copy(buf[:], r.bytes(n))
	return binary.LittleEndian.Uint64(buf[:])
}

func (r *reader) u8() uint8   { return uint8(r.uint(1)) }
func (r *reader) u16() uint16 { return uint16(r.uint(2)) }
func (r *reader) u32() uint32 { return uint32(r.uint(4)) }

// addr reads an address; one of all ones is undefined.
func (r *reader) addr() uint64 {
	v := r.uint(r.offSize)
	if r.offSize < 8 && v == 1<<(8*r.offSize)-1 {
		return undefined
	}
	return v
}

func (r *reader) length() uint64 { return r.uint(r.lenSize) }

func (r *reader) rest() []byte {
	if r.failed {
		return nil
	}
	return r.b[r.at:]
}

// text reads up to the first zero byte.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// Object is a group or a dataset.
type Object struct {
	Path string
	file *File
	head *header
	addr uint64
}

// Root gives the group that holds all others.
func (f *File) Root() (*Object, error) { return f.object("/", f.root) }

func (f *File) object(path string, addr uint64) (*Object, error) {
	h, err := f.header(addr)
	if err != nil {
		return nil, within(path, err)
	}
	return &Object{Path: path, file: f, head: h, addr: addr}, nil
}

// within says where in the file an error stands.
func within(path string, err error) error {
	e := stoa.AsError(err)
	return stoa.Errorf(e.Kind, "HDF5: %.200s: %s", path, strings.TrimPrefix(e.Msg, "HDF5: "))
}

// IsDataset tells whether the object is an array and no group.
func (o *Object) IsDataset() bool { return o.head.find(msgLayout) != nil }

// Names gives the members of a group, sorted.
func (o *Object) Names() ([]string, error) {
	links, err := o.links()
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(links))
	for name := range links {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// Find gives the member at a path below the group, of names with slashes
// between; nil and no error where there is none.
func (o *Object) Find(path string) (*Object, error) {
	at := o
	for i, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		if i == maxDepth {
			return nil, stoa.Errorf(stoa.TooLarge, "HDF5: %.200s: over %d groups within each other", path, maxDepth)
		}
		if at.IsDataset() {
			return nil, nil
		}
		next, err := at.Member(name)
		if err != nil || next == nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// Member gives the member of that very name, in which a slash is no separator;
// nil and no error where there is none.
func (o *Object) Member(name string) (*Object, error) {
	links, err := o.links()
	if err != nil {
		return nil, err
	}
	l, ok := links[name]
	if !ok {
		return nil, nil
	}
	path := strings.TrimSuffix(o.Path, "/") + "/" + name
	if l.kind != "" {
		return nil, stoa.Errorf(stoa.Unsupported, "HDF5: %.200s is %s, which is not followed", path, l.kind)
	}
	return o.file.object(path, l.addr)
}

// Walk visits the object and everything below it, each group before its
// members, which come sorted. A group that holds itself is an error.
func (o *Object) Walk(visit func(*Object) error) error {
	return o.walk(visit, map[uint64]bool{})
}

func (o *Object) walk(visit func(*Object) error, above map[uint64]bool) error {
	if err := visit(o); err != nil || o.IsDataset() {
		return err
	}
	if above[o.addr] {
		return damaged(o.Path + " holds itself")
	}
	if len(above) == maxDepth {
		return stoa.Errorf(stoa.TooLarge, "HDF5: %.200s: over %d groups within each other", o.Path, maxDepth)
	}
	above[o.addr] = true
	defer delete(above, o.addr)
	names, err := o.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := o.file.spend(len(o.Path)); err != nil {
			return err
		}
		m, err := o.Member(name)
		if err != nil {
			return err
		}
		if err := m.walk(visit, above); err != nil {
			return err
		}
	}
	return nil
}
