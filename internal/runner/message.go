package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// authorError is an error as an author's program tells it. Kits differ in what
// they call the trace.
type authorError struct {
	Message    string          `json:"message"`
	ErrorType  string          `json:"error_type"`
	Stacktrace json.RawMessage `json:"stacktrace"`
	StackTrace json.RawMessage `json:"stack_trace"`
}

// failure gives the error that the caller sees; fallback is the type of one that
// has none.
func (e *authorError) failure(fallback string) *stoa.Error {
	out := &stoa.Error{Kind: stoa.Failed, Type: e.ErrorType, Msg: e.Message, Stack: traceText(e.Stacktrace)}
	if out.Type == "" {
		out.Type = fallback
	}
	if out.Msg == "" {
		out.Msg = "the algorithm failed, and gave no message"
	}
	if out.Stack == "" {
		out.Stack = traceText(e.StackTrace)
	}
	return out
}

// traceText gives a trace as text: most programs send a string, some a list of
// lines, and null where there is none.
func traceText(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		return s
	}
	var lines []string
	if json.Unmarshal(raw, &lines) == nil {
		return string(bytes.Join(asBytes(lines), []byte("\n")))
	}
	return string(raw)
}

func asBytes(lines []string) [][]byte {
	out := make([][]byte, len(lines))
	for i, l := range lines {
		out[i] = []byte(l)
	}
	return out
}

// malformed is what a program sent that is none of the protocol.
func malformed(format string, args ...any) *stoa.Error {
	return &stoa.Error{Kind: stoa.Failed, Type: ProtocolError, Msg: "the program sent " + fmt.Sprintf(format, args...)}
}

func tooLarge(size, limit int64) *stoa.Error {
	return &stoa.Error{
		Kind: stoa.Failed, Type: OutputTooLarge,
		Msg: fmt.Sprintf("the result has %d bytes, and at most %d are allowed", size, limit),
	}
}

// answer is a message of the pipe protocol from the program.
type answer struct {
	Result   json.RawMessage `json:"result"`
	Metadata struct {
		ContentType string `json:"content_type"`
	} `json:"metadata"`
	Error *authorError `json:"error"`

	text []byte // the result, where it is a long string: it was lifted out
}

// lift takes a long string out of an answer that begins with it, as nearly all
// do, when it has no escapes: package json goes over every byte several times.
// What is left has an empty string in its place.
func lift(b []byte) (text, rest []byte) {
	at := b
	for _, token := range []string{"{", `"result"`, ":", `"`} {
		var ok bool
		if at, ok = bytes.CutPrefix(bytes.TrimLeft(at, " \t\r\n"), []byte(token)); !ok {
			return nil, b
		}
	}
	end := bytes.IndexByte(at, '"')
	if end < liftFrom || bytes.IndexByte(at[:end], '\\') >= 0 || hasControl(at[:end]) {
		return nil, b
	}
	rest = append([]byte(`{"result":"`), at[end:]...)
	return at[:end], rest
}

// hasControl tells whether there are bytes that a JSON string may not hold.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' {
			return true
		}
	}
	return false
}

// liftFrom is where a string is long.
const liftFrom = 1024

// parseAnswer reads one; limit bounds the result. The error is what the author's
// code raised, or what is wrong with the message.
func parseAnswer(b []byte, limit int64) (stoa.Value, *stoa.Error) {
	var a answer
	a.text, b = lift(b)
	if err := json.Unmarshal(b, &a); err != nil {
		return stoa.Value{}, malformed("an answer that is no JSON as expected (NaN and Infinity are none): %v", err)
	}
	if a.Error != nil {
		return stoa.Value{}, a.Error.failure(AlgorithmError)
	}
	if a.Result == nil {
		return stoa.Value{}, malformed("an answer with neither result nor error")
	}
	v, err := a.value()
	if err == nil && int64(len(v.Data)) > limit {
		err = tooLarge(int64(len(v.Data)), limit)
	}
	if err != nil {
		return stoa.Value{}, err
	}
	return v, nil
}

func (a *answer) value() (stoa.Value, *stoa.Error) {
	kind := stoa.ValueType(a.Metadata.ContentType)
	if kind == "" { // some send no metadata
		kind = stoa.JSON
		if a.Result[0] == '"' {
			kind = stoa.Text
		}
	}
	switch kind {
	case stoa.JSON:
		if a.text != nil {
			a.Result = appendString(nil, a.text)
		}
		if bytes.IndexByte(a.Result, '\n') >= 0 { // its indentation is that of the message
			b, err := appendCompact(nil, a.Result)
			if err != nil {
				return stoa.Value{}, malformed("a result that is no JSON: %v", err)
			}
			a.Result = b
		}
		return stoa.Value{Type: stoa.JSON, Data: a.Result}, nil
	case stoa.Void:
		return stoa.Value{Type: stoa.Void}, nil
	case stoa.Text, stoa.Binary:
	default:
		return stoa.Value{}, malformed("a result of content_type %.40q: it is text, json or binary", kind)
	}
	text := a.text
	if text == nil {
		var s string
		if err := json.Unmarshal(a.Result, &s); err != nil {
			return stoa.Value{}, malformed("a result of content_type %s that is no string", kind)
		}
		text = []byte(s)
	}
	if kind == stoa.Text && a.text != nil { // the message's memory serves the next one
		if text = bytes.Clone(text); !utf8.Valid(text) {
			text = bytes.ToValidUTF8(text, []byte("\ufffd"))
		}
	}
	if kind == stoa.Text {
		return stoa.Value{Type: stoa.Text, Data: text}, nil
	}
	data, err := decodeBase64(text)
	if err != nil {
		return stoa.Value{}, malformed("a binary result that is no base64: %v", err)
	}
	return stoa.Value{Type: stoa.Binary, Data: data}, nil
}

// decodeBase64 takes line ends, which some encoders insert, and misses no
// padding.
func decodeBase64(s []byte) ([]byte, error) {
	b, err := base64.StdEncoding.AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(s))), s)
	if err != nil {
		if raw, rawErr := base64.RawStdEncoding.AppendDecode(nil, s); rawErr == nil {
			return raw, nil
		}
	}
	return b, err
}

// appendRequest writes the line of a call, its end included.
func appendRequest(dst []byte, v stoa.Value) ([]byte, error) {
	switch v.Type {
	case stoa.Text:
		dst = append(dst, `{"content_type":"text","data":`...)
		dst = appendString(dst, v.Data)
	case stoa.Binary:
		dst = append(dst, `{"content_type":"binary","data":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, v.Data)
		dst = append(dst, '"')
	case stoa.JSON:
		dst = append(dst, `{"content_type":"json","data":`...)
		var err error
		if dst, err = appendCompact(dst, v.Data); err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "the input is no JSON: %v", err)
		}
	default: // the protocol has no void
		dst = append(dst, `{"content_type":"json","data":null`...)
	}
	return append(dst, '}', '\n'), nil
}

// appendCompact writes a JSON value on one line.
func appendCompact(dst, src []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := json.Compact(buf, src); err != nil {
		return nil, err
	}
	dst = buf.Bytes()
	for _, sep := range []string{"\u2028", "\u2029"} { // line ends to some readers of lines
		if bytes.Contains(src, []byte(sep)) {
			dst = bytes.ReplaceAll(dst, []byte(sep), fmt.Appendf(nil, `\u%04x`, []rune(sep)[0]))
		}
	}
	return dst, nil
}

// scanner cuts a stream into JSON objects, whatever pieces it comes in. It keeps
// no more than limit bytes of one, and still finds its end.
type scanner struct {
	limit int64

	kept    []byte
	size    int64 // of the object so far
	depth   int
	quoted  bool // inside a string
	escaped bool // after a backslash there
}

// errNoObject is a stream that holds something else.
var errNoObject = errors.New("not a JSON object")

// next takes bytes up to the end of an object. The object is valid until the
// next call, and is nil where it has not ended; size tells its length, which is
// larger than the object where that was cut.
func (s *scanner) next(b []byte) (rest, object []byte, size int64, err error) {
	if s.depth == 0 {
		b = bytes.TrimLeft(b, " \t\r\n")
		if len(b) == 0 {
			return nil, nil, 0, nil
		}
		if b[0] != '{' {
			return nil, nil, 0, errNoObject
		}
		s.kept, s.size = s.kept[:0], 0
	}
	n := s.scan(b)
	s.size += int64(n)
	if room := s.limit - int64(len(s.kept)); room > 0 {
		s.kept = append(s.kept, b[:min(int64(n), room)]...)
	}
	if s.depth > 0 {
		return nil, nil, 0, nil
	}
	object, size = s.kept, s.size
	if cap(s.kept) > keepBuffer {
		s.kept = nil
	}
	return b[n:], object, size, nil
}

// keepBuffer is how large a buffer may be to be kept for the next call.
const keepBuffer = 1 << 20

// scan follows the nesting and tells how many bytes belong to the object.
func (s *scanner) scan(b []byte) int {
	quote := -1 // the next one, once looked for; len(b) for none
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			// A string is most of a large answer. Its end is looked for once, and
			// backslashes on the way to it.
			if quote < i {
				if quote = len(b); bytes.IndexByte(b[i:], '"') >= 0 {
					quote = i + bytes.IndexByte(b[i:], '"')
				}
			}
			if j := bytes.IndexByte(b[i:quote], '\\'); j >= 0 {
				i, s.escaped = i+j, true
				break
			}
			i, s.quoted = quote, quote == len(b)
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}
