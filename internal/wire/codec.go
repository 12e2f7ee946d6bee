package wire

import (
	"encoding/binary"

	"github.com/stoa-project/stoa"
)

// AppendString appends a string or bytes with their length.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendUvarint appends a number.
func AppendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// Reader takes apart what the Append functions made. After the first error it
// gives zero values, so that one check of Err at the end is enough.
type Reader struct {
	rest []byte
	err  error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// Uvarint reads a number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Count reads a number of things that take at least one byte each, so that it
// can never be more than what is left.
func (r *Reader) Count() int {
	v := r.Uvarint()
	if v > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(v)
}

// Bytes reads bytes with their length, as a slice of the input.
func (r *Reader) Bytes() []byte {
	n := r.Count()
	if r.err != nil {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Len gives how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) }

// String reads a string with its length.
func (r *Reader) String() string { return string(r.Bytes()) }

// Err tells whether anything was amiss; it must be asked before what was read
// is used.
func (r *Reader) Err() error { return r.err }

func (r *Reader) fail() {
	if r.err == nil {
		r.err = stoa.Errorf(stoa.Invalid, "wire: the message is cut short")
	}
	r.rest = nil
}
