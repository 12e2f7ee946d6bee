package tensor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/stoa-project/stoa"
)

// MaxJSONDepth is the deepest nesting of arrays that ParseJSON reads. ONNX
// Runtime's own kernels stop at eight dimensions or so.
const MaxJSONDepth = 16

// ParseJSON reads nested JSON arrays of numbers as an array of type d; the shape
// follows from the nesting, and a bare number is a scalar. Ragged nesting,
// numbers outside the type's range and more than limit elements are refused,
// naming the place; a limit of 0 is none.
//
// JSON has no NaN and no infinities: the strings "NaN", "Infinity" and
// "-Infinity" stand for them where d is a floating type. A Bool is true, false,
// 0 or 1. An integer may be written 3.0 or 3e2.
func ParseJSON(data []byte, d DType, limit int64) (Tensor, error) {
	size := d.Size()
	if size == 0 {
		return Tensor{}, stoa.Errorf(stoa.Unsupported, "arrays of %s cannot be read from JSON", d)
	}
	// Numbers are parted by commas, so there are at most that many and one:
	// the room is bounded by the input's own length.
	room := int64(bytes.Count(data, []byte{','})) + 1
	if limit > 0 && room > limit {
		room = limit
	}
	s := jsonScanner{data: data, dtype: d, limit: limit, rank: -1, out: make([]byte, 0, room*size)}
	if err := s.array(); err != nil {
		return Tensor{}, err
	}
	shape := make([]int64, s.rank)
	copy(shape, s.shape[:])
	return Tensor{DType: d, Shape: shape, Data: s.out}, nil
}

// jsonScanner reads one array in one pass, without recursion. rank is how deep
// numbers stand, known with the first of them; shape[k] is how many items the
// first array that closed at depth k has; count[k] is how many the open one has.
type jsonScanner struct {
	data  []byte
	pos   int
	dtype DType
	limit int64
	n     int64 // elements so far
	out   []byte

	rank  int
	depth int
	known [MaxJSONDepth]bool
	shape [MaxJSONDepth]int64
	count [MaxJSONDepth]int64
}

func (s *jsonScanner) array() error {
	for {
		s.space()
		if s.pos >= len(s.data) {
			return s.errorf("the JSON ends too early")
		}
		var err error
		if s.data[s.pos] == '[' {
			var empty bool
			if empty, err = s.open(); err == nil && !empty {
				continue
			}
		} else {
			err = s.element()
		}
		if err != nil {
			return err
		}
		more, err := s.after()
		if err != nil || !more {
			return err
		}
	}
}

// open enters an array; an empty one it leaves at once.
func (s *jsonScanner) open() (empty bool, err error) {
	if s.depth == MaxJSONDepth {
		return false, s.errorf("arrays are nested deeper than %d", MaxJSONDepth)
	}
	if s.rank >= 0 && s.depth >= s.rank {
		return false, s.errorf("%s is an array, but %s is a number", s.place(s.depth), s.first(s.depth))
	}
	s.count[s.depth] = 0
	s.depth++
	s.pos++
	s.space()
	if s.pos >= len(s.data) || s.data[s.pos] != ']' {
		return false, nil
	}
	if s.rank < 0 {
		s.rank = s.depth
	}
	return true, s.close()
}

// close leaves an array, at its bracket.
func (s *jsonScanner) close() error {
	s.pos++
	s.depth--
	k := s.depth
	if !s.known[k] {
		s.known[k], s.shape[k] = true, s.count[k]
		return nil
	}
	if s.count[k] == s.shape[k] {
		return nil
	}
	what := "numbers"
	if k+1 < s.rank {
		what = "rows"
	}
	return s.errorf("the rows differ in length: %s has %d %s, %s has %d", s.place(k), s.count[k], what, s.first(k), s.shape[k])
}

// after reads what follows a value: commas and closing brackets up to the next
// value, or the end.
func (s *jsonScanner) after() (more bool, err error) {
	for {
		s.space()
		if s.depth == 0 {
			if s.pos < len(s.data) {
				return false, s.errorf("something follows the array")
			}
			return false, nil
		}
		if s.pos >= len(s.data) {
			return false, s.errorf("the JSON ends too early")
		}
		switch s.data[s.pos] {
		case ',':
			s.count[s.depth-1]++
			s.pos++
			return true, nil
		case ']':
			s.count[s.depth-1]++
			if err := s.close(); err != nil {
				return false, err
			}
		default:
			return false, s.errorf("expected a comma or a bracket, not %q", s.data[s.pos])
		}
	}
}

func (s *jsonScanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// element reads one number, or what stands for one.
func (s *jsonScanner) element() error {
	if s.rank < 0 {
		s.rank = s.depth
	}
	if s.depth != s.rank {
		return s.errorf("%s is a number, but %s is an array", s.place(s.depth), s.first(s.depth))
	}
	if s.limit > 0 && s.n >= s.limit {
		return stoa.Errorf(stoa.TooLarge, "the array has more than %d elements", s.limit)
	}
	s.n++
	tok := s.token()
	if len(tok) == 0 {
		return s.errorf("expected a number, not %q", s.data[s.pos])
	}
	var ok bool
	switch s.dtype {
	case Float32, Float64, Float16, BFloat16:
		ok = s.float(tok)
	case Bool:
		ok = s.bool(tok)
	default:
		ok = s.integer(tok)
	}
	if !ok {
		return s.refuse(tok)
	}
	s.pos += len(tok)
	return nil
}

// token gives the number, word or string that starts here; "" for anything else.
func (s *jsonScanner) token() []byte {
	d, i := s.data, s.pos
	switch c := d[i]; {
	case c == '-' || '0' <= c && c <= '9':
		for i++; i < len(d); i++ {
			if c := d[i]; (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
				break
			}
		}
	case c == '"':
		for i++; i < len(d) && d[i] != '"' && d[i] >= ' '; i++ {
			if d[i] == '\\' {
				i++
			}
		}
		if i >= len(d) || d[i] != '"' {
			return d[s.pos:min(i, len(d))]
		}
		i++
	default:
		for i < len(d) && 'a' <= d[i] && d[i] <= 'z' {
			i++
		}
	}
	return d[s.pos:i]
}

// isNumber tells whether a token follows JSON's grammar of numbers, which is
// stricter than strconv's.
func isNumber(b []byte) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	if !digits() || i-start > 1 && b[start] == '0' {
		return false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(b)
}

func (s *jsonScanner) float(tok []byte) bool {
	var v float64
	bits := 32
	if s.dtype == Float64 {
		bits = 64
	}
	if tok[0] == '"' {
		switch string(tok) {
		case `"NaN"`:
			v = math.NaN()
		case `"Infinity"`:
			v = math.Inf(1)
		case `"-Infinity"`:
			v = math.Inf(-1)
		default:
			return false
		}
	} else {
		if !isNumber(tok) {
			return false
		}
		var err error
		if v, err = strconv.ParseFloat(unsafe.String(&tok[0], len(tok)), bits); err != nil {
			return false
		}
		if s.dtype == Float16 && math.IsInf(float64(FromFloat16(ToFloat16(float32(v)))), 0) ||
			s.dtype == BFloat16 && math.IsInf(float64(FromBFloat16(ToBFloat16(float32(v)))), 0) {
			return false
		}
	}
	le := binary.LittleEndian
	switch s.dtype {
	case Float32:
		s.out = le.AppendUint32(s.out, math.Float32bits(float32(v)))
	case Float64:
		s.out = le.AppendUint64(s.out, math.Float64bits(v))
	case Float16:
		s.out = le.AppendUint16(s.out, ToFloat16(float32(v)))
	default:
		s.out = le.AppendUint16(s.out, ToBFloat16(float32(v)))
	}
	return true
}

func (s *jsonScanner) bool(tok []byte) bool {
	switch string(tok) {
	case "true", "1":
		s.out = append(s.out, 1)
	case "false", "0":
		s.out = append(s.out, 0)
	default:
		return false
	}
	return true
}

func (s *jsonScanner) integer(tok []byte) bool {
	if !isNumber(tok) {
		return false
	}
	text := unsafe.String(&tok[0], len(tok))
	bits := int(s.dtype.Size()) * 8
	var u uint64
	if s.dtype == Uint8 || s.dtype == Uint16 || s.dtype == Uint32 || s.dtype == Uint64 {
		v, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			f, ok := whole(text)
			if !ok || f < 0 || f >= math.Ldexp(1, min(bits, 53)) {
				return false
			}
			v = uint64(f)
		}
		u = v
	} else {
		v, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			f, ok := whole(text)
			if !ok || f < -math.Ldexp(1, min(bits-1, 53)) || f >= math.Ldexp(1, min(bits-1, 53)) {
				return false
			}
			v = int64(f)
		}
		u = uint64(v)
	}
	le := binary.LittleEndian
	switch bits {
	case 8:
		s.out = append(s.out, byte(u))
	case 16:
		s.out = le.AppendUint16(s.out, uint16(u))
	case 32:
		s.out = le.AppendUint32(s.out, uint32(u))
	default:
		s.out = le.AppendUint64(s.out, u)
	}
	return true
}

// whole reads an integer that is written with a point or an exponent. Beyond
// 2^53 such a spelling may not mean what it says, so the callers stop there.
func whole(text string) (float64, bool) {
	if !strings.ContainsAny(text, ".eE") {
		return 0, false // it was out of range
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && f == math.Trunc(f)
}

// refuse says why a token is no element of the type.
func (s *jsonScanner) refuse(tok []byte) error {
	at := s.place(s.depth)
	switch {
	case tok[0] == '{':
		return s.errorf("%s is an object: an array holds numbers only", at)
	case isNumber(tok):
		return s.errorf("%s is %.40s, which is no %s", at, tok, s.dtype)
	case tok[0] == '"':
		return s.errorf(`%s is the text %.40s: an array holds numbers (and "NaN", "Infinity", "-Infinity" for floating types)`, at, tok)
	case string(tok) == "null", string(tok) == "true", string(tok) == "false":
		return s.errorf("%s is %s, which is no %s", at, tok, s.dtype)
	}
	return s.errorf("%.40q is no JSON number", tok)
}

// place names the item at depth k of the open arrays; first names the first one
// at that depth.
func (s *jsonScanner) place(k int) string { return placeName(s.count[:k]) }

func (s *jsonScanner) first(k int) string { return placeName(make([]int64, k)) }

func placeName(index []int64) string {
	switch len(index) {
	case 0:
		return "the value"
	case 1:
		return "row " + strconv.FormatInt(index[0], 10)
	}
	var b strings.Builder
	for _, i := range index {
		fmt.Fprintf(&b, "[%d]", i)
	}
	return b.String()
}

func (s *jsonScanner) errorf(format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s (byte %d)", fmt.Sprintf(format, args...), s.pos)
}

// maxEmptyRows bounds what AppendJSON writes for an array without elements,
// whose outer dimensions cost nothing and may be any number.
const maxEmptyRows = 1024

// AppendJSON appends t as nested JSON arrays; a scalar is a bare number. Floats
// take the shortest form that reads back as the same value; NaN and the
// infinities are the strings that ParseJSON reads. t must pass Check.
func AppendJSON(dst []byte, t Tensor) []byte {
	if len(t.Data) == 0 && len(t.Shape) > 0 {
		rows := int64(1)
		for _, d := range t.Shape {
			if d > maxEmptyRows || rows > maxEmptyRows {
				return append(dst, "[]"...)
			}
			rows *= max(d, 1)
		}
	}
	dst, _ = appendRows(dst, t, t.Shape, t.Data)
	return dst
}

// appendRows writes the first rows of data, and gives back what is left.
func appendRows(dst []byte, t Tensor, shape []int64, data []byte) ([]byte, []byte) {
	if len(shape) == 0 {
		size := t.DType.Size()
		return appendElement(dst, t.DType, data[:size]), data[size:]
	}
	dst = append(dst, '[')
	if len(shape) == 1 {
		size := t.DType.Size()
		for i := range shape[0] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendElement(dst, t.DType, data[i*size:(i+1)*size])
		}
		return append(dst, ']'), data[shape[0]*size:]
	}
	for i := range shape[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, data = appendRows(dst, t, shape[1:], data)
	}
	return append(dst, ']'), data
}

func appendElement(dst []byte, d DType, b []byte) []byte {
	le := binary.LittleEndian
	switch d {
	case Float32:
		return AppendFloat(dst, float64(math.Float32frombits(le.Uint32(b))), 32)
	case Float64:
		return AppendFloat(dst, math.Float64frombits(le.Uint64(b)), 64)
	case Float16:
		return AppendFloat(dst, float64(FromFloat16(le.Uint16(b))), 32)
	case BFloat16:
		return AppendFloat(dst, float64(FromBFloat16(le.Uint16(b))), 32)
	case Bool:
		return strconv.AppendBool(dst, b[0] != 0)
	case Int8:
		return strconv.AppendInt(dst, int64(int8(b[0])), 10)
	case Int16:
		return strconv.AppendInt(dst, int64(int16(le.Uint16(b))), 10)
	case Int32:
		return strconv.AppendInt(dst, int64(int32(le.Uint32(b))), 10)
	case Int64:
		return strconv.AppendInt(dst, int64(le.Uint64(b)), 10)
	case Uint8:
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	case Uint16:
		return strconv.AppendUint(dst, uint64(le.Uint16(b)), 10)
	case Uint32:
		return strconv.AppendUint(dst, uint64(le.Uint32(b)), 10)
	case Uint64:
		return strconv.AppendUint(dst, le.Uint64(b), 10)
	default:
		return append(dst, "null"...)
	}
}

// AppendFloat appends one number of 32 or 64 bits as JSON, in the form that
// encoding/json gives; see AppendJSON for NaN and the infinities.
func AppendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case v != v:
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 {
		if bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21) {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, v, format, -1, bits)
	if n := len(dst); format == 'e' && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is e-9
		dst = dst[:n-1]
	}
	return dst
}
