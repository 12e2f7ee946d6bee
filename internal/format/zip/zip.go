// Package zip reads archives in the zip format from memory, as views of it where
// entries are stored. Names that lead out of the archive, entries that share
// bytes or a name, and more than a small multiple of the archive when unpacked
// are refused, so that whoever reads a model from an archive need not think of
// them.
package zip

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// The signatures of the parts of an archive.
const (
	sigLocal     = "PK\x03\x04"
	sigCentral   = "PK\x01\x02"
	sigEnd       = "PK\x05\x06"
	sigEnd64     = "PK\x06\x06"
	sigLocator64 = "PK\x06\x07"
)

const (
	endSize     = 22
	centralSize = 46
	localSize   = 30
	// maxComment is what the format allows behind the end.
	maxComment = 1<<16 - 1
	// Texts such as descriptions of networks shrink to a twentieth; weights
	// hardly at all.
	unpackedPerByte = 32
	slack           = 4 << 20
)

// The methods that are read.
const (
	stored  = 0
	deflate = 8
)

var methodNames = map[uint16]string{1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 99: "AES"}

// Archive is a zip archive. It is not for several goroutines at once.
type Archive struct {
	Files  []*File // in the archive's order, folders apart
	byName map[string]*File
	room   int64 // bytes that may still be unpacked
}

// File is an entry.
type File struct {
	Name string // with slashes, whatever the archive has
	Size int64  // as claimed, and not to be trusted before Data

	archive *Archive
	method  uint16
	crc     uint32
	packed  []byte
	data    []byte
	from    int64 // where the entry begins, for finding overlaps
	to      int64
}

// Is tells whether data begins as an archive does.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte(sigLocal)) }

// Open reads the list of an archive, which it views from then on.
func Open(data []byte) (*Archive, error) {
	a := &Archive{byName: map[string]*File{}, room: unpackedPerByte*int64(len(data)) + slack}
	list, err := directory(data)
	if err != nil {
		return nil, err
	}
	for len(list) >= centralSize && string(list[:4]) == sigCentral {
		f, n, err := a.entry(data, list)
		if err != nil {
			return nil, err
		}
		list = list[n:]
		if f == nil {
			continue
		}
		if a.byName[f.Name] != nil {
			return nil, stoa.Errorf(stoa.Invalid, "zip: two entries are called %.100q", f.Name)
		}
		a.Files, a.byName[f.Name] = append(a.Files, f), f
	}
	order := slices.SortedFunc(slices.Values(a.Files), func(x, y *File) int { return cmp.Compare(x.from, y.from) })
	for i := 1; i < len(order); i++ {
		if order[i].from < order[i-1].to {
			return nil, stoa.Errorf(stoa.Invalid, "zip: entries %.100q and %.100q share bytes", order[i-1].Name, order[i].Name)
		}
	}
	return a, nil
}

func damaged() error { return stoa.Errorf(stoa.Invalid, "zip: the archive is damaged or cut off") }

// directory finds the list of entries, by what stands at the archive's end.
func directory(data []byte) ([]byte, error) {
	tail := data[max(0, len(data)-maxComment-endSize):]
	at := bytes.LastIndex(tail, []byte(sigEnd))
	if at < 0 || len(tail)-at < endSize {
		return nil, damaged()
	}
	end := tail[at:]
	size, offset := uint64(binary.LittleEndian.Uint32(end[12:])), uint64(binary.LittleEndian.Uint32(end[16:]))
	if size == 1<<32-1 || offset == 1<<32-1 || binary.LittleEndian.Uint16(end[10:]) == 1<<16-1 {
		locator := len(data) - len(tail) + at - 20
		if locator >= 0 && string(data[locator:locator+4]) == sigLocator64 {
			big := binary.LittleEndian.Uint64(data[locator+8:])
			if big > uint64(len(data)) || uint64(len(data))-big < 56 || string(data[big:big+4]) != sigEnd64 {
				return nil, damaged()
			}
			size, offset = binary.LittleEndian.Uint64(data[big+40:]), binary.LittleEndian.Uint64(data[big+48:])
		}
	}
	if offset > uint64(len(data)) || size > uint64(len(data))-offset {
		return nil, damaged()
	}
	return data[offset : offset+size], nil
}

// entry reads the first entry of a list, nil for a folder, and gives its length
// there.
func (a *Archive) entry(data, list []byte) (*File, int, error) {
	le := binary.LittleEndian
	nameSize, extraSize, commentSize := int(le.Uint16(list[28:])), int(le.Uint16(list[30:])), int(le.Uint16(list[32:]))
	n := centralSize + nameSize + extraSize + commentSize
	if n > len(list) {
		return nil, 0, damaged()
	}
	name, err := clean(string(list[centralSize : centralSize+nameSize]))
	if err != nil {
		return nil, 0, err
	}
	flags := le.Uint16(list[8:])
	f := &File{Name: name, archive: a, method: le.Uint16(list[10:]), crc: le.Uint32(list[16:])}
	sizes := [3]uint64{uint64(le.Uint32(list[24:])), uint64(le.Uint32(list[20:])), uint64(le.Uint32(list[42:]))}
	large(&sizes, list[centralSize+nameSize:centralSize+nameSize+extraSize])
	size, packed, offset := sizes[0], sizes[1], sizes[2]
	total := uint64(len(data))
	if offset > total || total-offset < localSize || string(data[offset:offset+4]) != sigLocal {
		return nil, 0, damaged()
	}
	begin := offset + localSize + uint64(le.Uint16(data[offset+26:])) + uint64(le.Uint16(data[offset+28:]))
	if begin > total || packed > total-begin {
		return nil, 0, damaged()
	}
	if strings.HasSuffix(name, "/") {
		return nil, n, nil
	}
	switch {
	case flags&1 != 0:
		return nil, 0, stoa.Errorf(stoa.Unsupported, "zip: entry %.100q is encrypted", name)
	case f.method != stored && f.method != deflate:
		return nil, 0, stoa.Errorf(stoa.Unsupported, "zip: entry %.100q is packed with %s (method %d), which is not supported", name, methodNames[f.method], f.method)
	case f.method == stored && size != packed, size > 1<<62:
		return nil, 0, damaged()
	}
	f.Size, f.packed = int64(size), data[begin:begin+packed:begin+packed]
	f.from, f.to = int64(offset), int64(begin+packed)
	return f, n, nil
}

// large reads the numbers that did not fit into 32 bits: size, packed size and
// offset, of which only those that are full stand there.
func large(sizes *[3]uint64, extra []byte) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return
		}
		body := extra[:n]
		extra = extra[n:]
		if id != 1 {
			continue
		}
		for i := range sizes {
			if sizes[i] == 1<<32-1 && len(body) >= 8 {
				sizes[i], body = le.Uint64(body), body[8:]
			}
		}
	}
}

// clean gives a name with slashes, and refuses one that leads out.
func clean(name string) (string, error) {
	s := strings.ReplaceAll(name, `\`, "/")
	plain := strings.TrimSuffix(s, "/")
	if plain == "" || strings.HasPrefix(s, "/") || strings.ContainsAny(s, "\x00") || len(s) > 1 && s[1] == ':' ||
		path.Clean(plain) != plain || plain == ".." || strings.HasPrefix(plain, "../") {
		return "", stoa.Errorf(stoa.Invalid, "zip: an entry has the name %.100q, which leads out of the archive", name)
	}
	return s, nil
}

// Find gives an entry by its name; nil where there is none.
func (a *Archive) Find(name string) *File { return a.byName[name] }

// Data gives the entry's content: a view where it is stored, else unpacked once
// and kept. Sums of what is stored are not checked: some programs write none.
func (f *File) Data() ([]byte, error) {
	if f.method == stored {
		return f.packed, nil
	}
	if f.data != nil {
		return f.data, nil
	}
	if f.Size > f.archive.room {
		return nil, stoa.Errorf(stoa.TooLarge, "zip: entry %.100q would unpack to %d bytes, many times what the archive has", f.Name, f.Size)
	}
	f.archive.room -= f.Size
	// No byte of deflate makes more than 1,032.
	if f.Size > 1032*int64(len(f.packed))+64 {
		return nil, damaged()
	}
	out := make([]byte, f.Size)
	r := flate.NewReader(bytes.NewReader(f.packed))
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, stoa.Errorf(stoa.Invalid, "zip: entry %.100q does not unpack", f.Name)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, stoa.Errorf(stoa.Invalid, "zip: entry %.100q is larger than it says", f.Name)
	}
	if crc32.ChecksumIEEE(out) != f.crc {
		return nil, stoa.Errorf(stoa.Invalid, "zip: entry %.100q is damaged: its sum is wrong", f.Name)
	}
	f.data = out
	return out, nil
}
