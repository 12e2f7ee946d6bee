// Package wire carries calls between the supervisor and its workers over any
// stream. A connection carries one call at a time, and the goroutine that makes
// or answers a call reads and writes its connection itself: nothing is handed
// over between goroutines on the way. Calls at the same time use connections of
// their own. A call ends by its reply, by an error that keeps its Kind across the
// wire, or by the loss of the connection; whoever gives a call up closes its
// connection, which cancels it at the other end.
//
// A frame is a header of 8 bytes and a body:
//
//	bytes 0..3    length of the body, little-endian
//	byte  4       type: call, reply, error, share
//	byte  5       method of a call, 0 otherwise
//	byte  6       1 where the body lies in shared memory (see shared.go), else 0
//	byte  7       zero
//
// The body of an error is a stoa.Error as JSON.
package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/buffer"
)

// MaxBody is the largest body of a frame. It bounds what one call can make the
// other side allocate.
const MaxBody = 1 << 30

const headerSize = 8

type frameType uint8

const (
	frameCall frameType = iota + 1
	frameReply
	frameError
	frameShare
)

type header struct {
	size   uint32
	kind   frameType
	method uint8
	shared bool // the frame's body is 8 bytes: how much of the shared memory is the real one
}

func (h header) put(b *[headerSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], h.size)
	b[4], b[5], b[6], b[7] = byte(h.kind), h.method, 0, 0
	if h.shared {
		b[6] = 1
	}
}

func parseHeader(b []byte) (header, error) {
	h := header{
		size:   binary.LittleEndian.Uint32(b[0:]),
		kind:   frameType(b[4]),
		method: b[5],
		shared: b[6] == 1,
	}
	if h.kind < frameCall || h.kind > frameShare || b[6] > 1 || b[7] != 0 {
		return h, stoa.Errorf(stoa.Internal, "wire: a frame of unknown type %d", b[4])
	}
	if h.size > MaxBody {
		return h, stoa.Errorf(stoa.TooLarge, "wire: a frame of %d bytes; at most %d", h.size, MaxBody)
	}
	return h, nil
}

// Body is what a frame carried. Bytes is valid until Release, after which the
// memory serves another frame; a Body that is never released is garbage like
// any other.
type Body struct {
	Bytes []byte
}

// Release gives the memory back. Nobody may use Bytes afterwards.
func (b *Body) Release() {
	buffer.Put(b.Bytes)
	b.Bytes = nil
}

// growStep bounds how much a header alone can make us allocate: beyond it,
// memory is taken as the bytes arrive.
const growStep = 64 << 20

func readBody(r io.Reader, size int) (Body, error) {
	if size <= growStep {
		b := Body{Bytes: buffer.Get(size)}
		_, err := io.ReadFull(r, b.Bytes)
		return b, err
	}
	var buf []byte
	for len(buf) < size {
		n := min(growStep, size-len(buf))
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[len(buf)-n:]); err != nil {
			return Body{}, err
		}
	}
	return Body{Bytes: buf}, nil
}

// stream is one end of a connection: whole frames in, whole frames out.
type stream struct {
	conn   net.Conn
	r      *bufio.Reader
	out    []byte // for small frames
	shared shared
}

func newStream(conn net.Conn) *stream {
	return &stream{conn: conn, r: bufio.NewReaderSize(conn, 4096), out: make([]byte, 0, headerSize+smallFrame)}
}

// close ends the connection and gives its memory back. Nothing of this end may
// be in use.
func (s *stream) close() {
	_ = s.conn.Close() // of a connection that is of no use any more
	s.shared.close()
}

func (s *stream) read() (header, Body, error) {
	// Peek leaves nothing to allocate, where an array of our own would escape.
	p, err := s.r.Peek(headerSize)
	if err != nil {
		return header{}, Body{}, err
	}
	h, err := parseHeader(p)
	if err != nil {
		return h, Body{}, err
	}
	_, _ = s.r.Discard(headerSize) // cannot fail: it was peeked
	body, err := readBody(s.r, int(h.size))
	return h, body, err
}

// smallFrame is where one copy into a contiguous buffer is cheaper than a
// vectored write.
const smallFrame = 4096

func (s *stream) write(h header, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > MaxBody {
		return stoa.Errorf(stoa.TooLarge, "a message of %d bytes; at most %d", n, MaxBody)
	}
	h.size = uint32(n)
	var head [headerSize]byte
	h.put(&head)
	if n <= smallFrame {
		buf := append(s.out, head[:]...)
		for _, p := range parts {
			buf = append(buf, p...)
		}
		_, err := s.conn.Write(buf)
		return err
	}
	bufs := append(net.Buffers{head[:]}, parts...)
	_, err := bufs.WriteTo(s.conn)
	return err
}

func encodeError(err error) []byte {
	b, jerr := json.Marshal(stoa.AsError(err))
	if jerr != nil {
		return []byte(`{"kind":"internal","msg":"internal error"}`)
	}
	return b
}

func decodeError(b []byte) error {
	e := new(stoa.Error)
	if err := json.Unmarshal(b, e); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the worker sent an error that cannot be read")
	}
	return e
}
