package pickle

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

type opcode func(r *reader) error

// opcodes are those of Python's pickletools, of all protocols. Left out are the
// extension registry (EXT1, EXT2, EXT4), which means nothing outside of one
// program, and out-of-band buffers, which no file has.
var opcodes = [256]opcode{
	'(':    func(r *reader) error { r.stack = append(r.stack, slot{mark: true}); return nil },
	'.':    stop,
	'0':    popOne,
	'1':    func(r *reader) error { _, err := r.popMark(); return err },
	'2':    dup,
	'N':    constant(nil),
	0x88:   constant(true),
	0x89:   constant(false),
	'I':    intLine,
	'L':    longLine,
	'J':    func(r *reader) error { return r.integer(4, func(n uint64) int64 { return int64(int32(n)) }) },
	'K':    func(r *reader) error { return r.integer(1, func(n uint64) int64 { return int64(n) }) },
	'M':    func(r *reader) error { return r.integer(2, func(n uint64) int64 { return int64(n) }) },
	0x8a:   long(1),
	0x8b:   long(4),
	'F':    floatLine,
	'G':    binFloat,
	'S':    stringLine,
	'T':    bytesOf(4),
	'U':    bytesOf(1),
	'B':    bytesOf(4),
	'C':    bytesOf(1),
	0x8e:   bytesOf(8),
	0x96:   bytesOf(8),
	'V':    unicodeLine,
	'X':    textOf(4),
	0x8c:   textOf(1),
	0x8d:   textOf(8),
	']':    func(r *reader) error { r.push(&List{}); return nil },
	'}':    func(r *reader) error { r.push(&Dict{}); return nil },
	0x8f:   func(r *reader) error { r.push(&Set{}); return nil },
	')':    func(r *reader) error { r.push(Tuple{}); return nil },
	0x85:   func(r *reader) error { return r.tuple(1) },
	0x86:   func(r *reader) error { return r.tuple(2) },
	0x87:   func(r *reader) error { return r.tuple(3) },
	't':    markTuple,
	'l':    marked(func(r *reader, vs []any) error { r.push(&List{vs}); return nil }),
	0x91:   marked(func(r *reader, vs []any) error { r.push(&Set{vs}); return nil }),
	'd':    marked(func(r *reader, vs []any) error { r.push(&Dict{}); return r.set(vs) }),
	'e':    marked((*reader).extend),
	0x90:   marked((*reader).extend),
	'u':    marked((*reader).set),
	'a':    func(r *reader) error { return r.with(1, r.extend) },
	's':    func(r *reader) error { return r.with(2, r.set) },
	'c':    global,
	0x93:   func(r *reader) error { return r.with(2, r.stackGlobal) },
	'R':    func(r *reader) error { return r.with(2, func(vs []any) error { return r.apply(vs[0], vs[1], nil) }) },
	0x81:   func(r *reader) error { return r.with(2, func(vs []any) error { return r.apply(vs[0], vs[1], nil) }) },
	0x92:   func(r *reader) error { return r.with(3, func(vs []any) error { return r.apply(vs[0], vs[1], vs[2]) }) },
	'b':    (*reader).build,
	'i':    inst,
	'o':    marked(obj),
	'P':    persistentLine,
	'Q':    func(r *reader) error { return r.with(1, func(vs []any) error { return r.persistent(vs[0]) }) },
	'g':    memoLine((*reader).recall),
	'p':    memoLine((*reader).remember),
	'h':    memoOf(1, (*reader).recall),
	'j':    memoOf(4, (*reader).recall),
	'q':    memoOf(1, (*reader).remember),
	'r':    memoOf(4, (*reader).remember),
	'\x94': func(r *reader) error { return r.remember(uint64(len(r.memo))) },
	0x80:   proto,
	0x95:   func(r *reader) error { _, err := r.take(8); return err }, // FRAME: how much Python would read at once
}

func stop(r *reader) error {
	s, err := r.pop()
	r.done, r.result = true, s.v
	return err
}

func proto(r *reader) error {
	v, err := r.uint(1)
	if err == nil && v > 5 {
		return r.errorf(stoa.Unsupported, "protocol %d is newer than 5", v)
	}
	return err
}

// popOne takes the value on top, or the mark.
func popOne(r *reader) error {
	if len(r.stack) == 0 {
		return r.errorf(stoa.Invalid, "the stack is empty")
	}
	r.stack = r.stack[:len(r.stack)-1]
	return nil
}

func dup(r *reader) error {
	_, err := r.top()
	if err == nil {
		r.stack = append(r.stack, r.stack[len(r.stack)-1])
	}
	return err
}

func constant(v any) opcode {
	return func(r *reader) error { r.push(v); return nil }
}

// with calls f with the n topmost values, the deepest first.
func (r *reader) with(n int, f func([]any) error) error {
	vs := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		s, err := r.pop()
		if err != nil {
			return err
		}
		vs[i] = s.v
	}
	return f(vs)
}

func marked(f func(*reader, []any) error) opcode {
	return func(r *reader) error {
		slots, err := r.popMark()
		if err != nil {
			return err
		}
		return f(r, values(slots))
	}
}

func markTuple(r *reader) error {
	slots, err := r.popMark()
	if err != nil {
		return err
	}
	return r.pushTuple(slots)
}

func (r *reader) integer(size uint64, f func(uint64) int64) error {
	n, err := r.uint(size)
	if err == nil {
		r.push(f(n))
	}
	return err
}

func intLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	switch s { // how protocol 0 writes booleans
	case "00":
		r.push(false)
		return nil
	case "01":
		r.push(true)
		return nil
	}
	return r.decimal(s)
}

func longLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	return r.decimal(strings.TrimSuffix(s, "L"))
}

func (r *reader) decimal(s string) error {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		r.push(n)
		return nil
	}
	n, ok := new(big.Int), false
	if len(s) <= maxDigits {
		n, ok = n.SetString(s, 10)
	}
	if !ok {
		return r.errorf(stoa.Invalid, "%.40q is no number of at most %d digits", s, maxDigits)
	}
	r.push(n)
	return nil
}

// long reads LONG1 and LONG4: a whole number of any size, little-endian, in two's
// complement.
func long(size uint64) opcode {
	return func(r *reader) error {
		b, err := r.counted(size)
		if err != nil {
			return err
		}
		if len(b) > maxDigits {
			return r.errorf(stoa.TooLarge, "a whole number takes %d bytes, and %d are the most", len(b), maxDigits)
		}
		big1 := slices.Clone(b)
		slices.Reverse(big1)
		n := new(big.Int).SetBytes(big1)
		if len(b) > 0 && b[len(b)-1] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		if n.IsInt64() {
			r.push(n.Int64())
		} else {
			r.push(n)
		}
		return nil
	}
}

func floatLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return r.errorf(stoa.Invalid, "%.40q is no number", s)
	}
	r.push(f)
	return nil
}

func binFloat(r *reader) error {
	b, err := r.take(8)
	if err != nil {
		return err
	}
	var bits uint64
	for _, c := range b { // the one number that is big-endian
		bits = bits<<8 | uint64(c)
	}
	r.push(math.Float64frombits(bits))
	return nil
}

func bytesOf(size uint64) opcode {
	return func(r *reader) error {
		b, err := r.counted(size)
		if err == nil {
			r.push(Bytes(b))
		}
		return err
	}
}

func textOf(size uint64) opcode {
	return func(r *reader) error {
		b, err := r.counted(size)
		if err == nil {
			r.push(string(b))
		}
		return err
	}
}

// stringLine reads what repr gives of a string of Python 2.
func stringLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
		return r.errorf(stoa.Invalid, "a string has no quotes")
	}
	out, ok := unescape(s[1:len(s)-1], escapesOfBytes)
	if !ok {
		return r.errorf(stoa.Invalid, "a string has an escape that is not known")
	}
	r.push(Bytes(out))
	return nil
}

func unicodeLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	out, ok := unescape(s, "uU")
	if !ok {
		return r.errorf(stoa.Invalid, "a text has an escape that is not known")
	}
	r.push(out)
	return nil
}

// escapesOfBytes are the letters after a backslash in what repr gives.
const escapesOfBytes = `\'"abfnrtvx01234567`

// unescape resolves those escapes that are allowed; others stay as they are,
// which is what Python does.
func unescape(s, allowed string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != '\\' || len(s) == 1 || !strings.Contains(allowed, s[1:2]) {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		n, ok := escape(&b, s[1:])
		if !ok {
			return "", false
		}
		s = s[1+n:]
	}
	return b.String(), true
}

// escape writes what the letters after a backslash stand for, and tells how many
// there were.
func escape(b *strings.Builder, s string) (int, bool) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	switch {
	case digits > 0:
		if len(s) < 1+digits {
			return 0, false
		}
		n, err := strconv.ParseUint(s[1:1+digits], 16, 32)
		if err != nil {
			return 0, false
		}
		if digits == 2 {
			b.WriteByte(byte(n))
		} else {
			b.WriteRune(rune(min(n, utf8.MaxRune)))
		}
		return 1 + digits, true
	case s[0] >= '0' && s[0] <= '7':
		n := 1
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[:n], 8, 16)
		b.WriteByte(byte(v))
		return n, true
	}
	const from, to = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	i := strings.IndexByte(from, s[0])
	if i < 0 {
		return 0, false
	}
	b.WriteByte(to[i])
	return 1, true
}

func (r *reader) names() (Name, error) {
	module, err := r.line()
	if err != nil {
		return Name{}, err
	}
	name, err := r.line()
	return Name{module, name}, err
}

func global(r *reader) error {
	n, err := r.names()
	if err == nil {
		r.push(n)
	}
	return err
}

func (r *reader) stackGlobal(vs []any) error {
	module, ok := Text(vs[0])
	name, ok2 := Text(vs[1])
	if !ok || !ok2 {
		return r.errorf(stoa.Invalid, "a name is no text")
	}
	r.push(Name{module, name})
	return nil
}

func (r *reader) apply(f, args, kwargs any) error {
	t, ok := args.(Tuple)
	if !ok {
		return r.errorf(stoa.Invalid, "the arguments of a call are a %T, not a tuple", args)
	}
	return r.call(f, t, kwargs)
}

func inst(r *reader) error {
	n, err := r.names()
	if err != nil {
		return err
	}
	slots, err := r.popMark()
	if err != nil {
		return err
	}
	return r.call(n, values(slots), nil)
}

func obj(r *reader, vs []any) error {
	if len(vs) == 0 {
		return r.errorf(stoa.Invalid, "an object has no class")
	}
	return r.call(vs[0], vs[1:], nil)
}

func persistentLine(r *reader) error {
	s, err := r.line()
	if err != nil {
		return err
	}
	return r.persistent(s)
}

func memoLine(f func(*reader, uint64) error) opcode {
	return func(r *reader) error {
		s, err := r.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return r.errorf(stoa.Invalid, "%.40q is no memo", s)
		}
		return f(r, n)
	}
}

func memoOf(size uint64, f func(*reader, uint64) error) opcode {
	return func(r *reader) error {
		n, err := r.uint(size)
		if err != nil {
			return err
		}
		return f(r, n)
	}
}
