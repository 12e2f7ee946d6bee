package runner

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/buffer"
)

// A frame is a header of 16 bytes and a body, which is a head and then data:
// docs/runner-protocol.md.
const headerSize = 16

type frameKind uint8

const (
	kindReady  frameKind = 1
	kindResult frameKind = 2
	kindChunk  frameKind = 3
	kindError  frameKind = 4
	kindLog    frameKind = 5
	kindCall   frameKind = 16
	kindCancel frameKind = 17
	kindStop   frameKind = 18
)

// header is the first 16 bytes of a frame.
type header struct {
	size    uint32 // of the body
	kind    frameKind
	content uint8
	head    uint16 // length of the head
	number  uint64 // of the call
}

func (h header) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, h.size)
	dst = append(dst, byte(h.kind), h.content)
	dst = binary.LittleEndian.AppendUint16(dst, h.head)
	return binary.LittleEndian.AppendUint64(dst, h.number)
}

// parseHeader reads the header of a frame that a program sent.
func parseHeader(b []byte) (header, error) {
	h := header{
		size:    binary.LittleEndian.Uint32(b),
		kind:    frameKind(b[4]),
		content: b[5],
		head:    binary.LittleEndian.Uint16(b[6:]),
		number:  binary.LittleEndian.Uint64(b[8:]),
	}
	most := uint8(len(contents) - 1)
	switch h.kind {
	case kindReady, kindError:
		most = 0
	case kindLog:
		most = uint8(Stderr)
	case kindResult, kindChunk:
	default:
		return h, malformed("a frame of type %d, which programs do not send", h.kind)
	}
	switch {
	case h.content > most:
		return h, malformed("content %d in a frame of type %d", h.content, h.kind)
	case uint32(h.head) > h.size:
		return h, malformed("a head of %d bytes in a body of %d", h.head, h.size)
	case h.kind == kindLog && h.content == 0:
		return h, malformed("a log frame that names no stream: content is 1 or 2")
	}
	return h, nil
}

// contents are the codes of content.
var contents = [...]stoa.ValueType{stoa.Void, stoa.Text, stoa.JSON, stoa.Binary}

func contentCode(t stoa.ValueType) uint8 {
	for i, c := range contents {
		if c == t {
			return uint8(i)
		}
	}
	return 0
}

// head is the JSON object of a frame that a program sent; which fields are used
// depends on the frame's type.
type head struct {
	Protocol  int    `json:"protocol"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	authorError
}

func parseHead(b []byte) (head, error) {
	var h head
	if len(b) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, malformed("a head that is no JSON object as expected: %v", err)
	}
	return h, nil
}

// appendCallHead writes the head of a call frame; nothing where there is nothing
// to say.
func appendCallHead(dst []byte, c *Call) []byte {
	start := len(dst)
	dst = appendField(dst, "request_id", c.Request)
	dst = appendField(dst, "token", c.Token)
	if c.Left > 0 {
		// At least 1: 0 would say that there is no deadline.
		dst = append(dst, `,"deadline_ms":`...)
		dst = strconv.AppendInt(dst, max(c.Left.Milliseconds(), 1), 10)
	}
	dst = appendField(dst, "media_type", c.Input.MediaType)
	if len(dst) == start {
		return dst
	}
	dst[start] = '{' // in place of the first comma
	return append(dst, '}')
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return appendString(dst, value)
}

// appendString writes a JSON string. Text that needs no escape, as nearly all
// does, is copied.
func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && plain[s[j]] {
			j++
		}
		dst = append(dst, s[i:j]...)
		if j == len(s) {
			break
		}
		i = j + 1
		switch b := s[j]; {
		case b >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(string(s[j:min(j+utf8.UTFMax, len(s))]))
			i = j + n
			dst = appendRune(dst, r)
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return append(dst, '"')
}

// appendRune writes a rune beyond ASCII. The two separators that are line ends
// to some readers of lines are escaped; bytes that are no UTF-8 have become
// U+FFFD.
func appendRune(dst []byte, r rune) []byte {
	switch r {
	case '\u2028':
		return append(dst, `\u2028`...)
	case '\u2029':
		return append(dst, `\u2029`...)
	}
	return utf8.AppendRune(dst, r)
}

const hex = "0123456789abcdef"

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for b := ' '; b < utf8.RuneSelf; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

// growStep bounds what a header alone can make us allocate: beyond it, memory is
// taken as the bytes arrive.
const growStep = 16 << 20

// readBody reads n bytes, into memory of package buffer.
func readBody(r io.Reader, n int) ([]byte, error) {
	if n <= growStep {
		b := buffer.Get(n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	b := make([]byte, 0, growStep)
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(2*cap(b), n))
			copy(grown, b)
			b = grown
		}
		at := len(b)
		b = b[:cap(b)]
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}
