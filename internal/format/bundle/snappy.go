package bundle

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
)

// unsnappy unpacks a block of Snappy: its length, then pieces that are either
// bytes themselves or copies of what came before. limit bounds the result; no
// piece makes more than 64 bytes of two, so that what is claimed beyond that is
// not believed.
func unsnappy(src []byte, limit int) ([]byte, error) {
	size, n := protowire.ConsumeVarint(src)
	if n < 0 || size > uint64(max(limit, 0)) || size > 64*uint64(len(src)) {
		return nil, damaged("a packed block")
	}
	src = src[n:]
	out := make([]byte, 0, size)
	for len(src) > 0 {
		tag := src[0]
		src = src[1:]
		if tag&3 == 0 {
			length, used := literal(tag, src)
			if used < 0 || length > len(src)-used || len(out)+length > int(size) {
				return nil, damaged("a packed block")
			}
			out = append(out, src[used:used+length]...)
			src = src[used+length:]
			continue
		}
		length, offset, used := repeat(tag, src)
		if used < 0 || offset <= 0 || offset > len(out) || len(out)+length > int(size) {
			return nil, damaged("a packed block")
		}
		for range length { // a copy may reach into itself
			out = append(out, out[len(out)-offset])
		}
		src = src[used:]
	}
	if len(out) != int(size) {
		return nil, stoa.Errorf(stoa.Invalid, "the index of variables is damaged: a block of %d bytes gives %d", size, len(out))
	}
	return out, nil
}

// literal gives how many bytes follow, and how many of src say so.
func literal(tag byte, src []byte) (length, used int) {
	n := int(tag >> 2)
	if n < 60 {
		return n + 1, 0
	}
	used = n - 59
	if used > len(src) {
		return 0, -1
	}
	for i := range used {
		length |= int(src[i]) << (8 * i)
	}
	return length + 1, used
}

// repeat gives how many bytes to copy from how far back.
func repeat(tag byte, src []byte) (length, offset, used int) {
	switch tag & 3 {
	case 1:
		if len(src) < 1 {
			return 0, 0, -1
		}
		return int(tag>>2)&7 + 4, int(tag>>5)<<8 | int(src[0]), 1
	case 2:
		if len(src) < 2 {
			return 0, 0, -1
		}
		return int(tag>>2) + 1, int(src[0]) | int(src[1])<<8, 2
	}
	if len(src) < 4 {
		return 0, 0, -1
	}
	return int(tag>>2) + 1, int(src[0]) | int(src[1])<<8 | int(src[2])<<16 | int(src[3])<<24, 4
}
