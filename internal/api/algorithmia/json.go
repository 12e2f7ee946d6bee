package algorithmia

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// maxDepth is encoding/json's own limit on nesting, so that what passes here is
// read by everything behind.
const maxDepth = 10000

// checkJSON tells whether b is one JSON value in UTF-8. It says where it is not.
// It is several times as fast as encoding/json on the long strings and lists of
// numbers that calls carry (BenchmarkCheckJSON), and needs a byte of memory a
// level of nesting.
func checkJSON(b []byte) error {
	s := jsonScanner{b: b}
	if problem := s.document(); problem != "" {
		return &stoa.Error{
			Kind: stoa.Invalid, Type: "ParsingError",
			Msg: stoa.Errorf(stoa.Invalid, "the body is no JSON: %s at byte %d", problem, s.i).Msg,
		}
	}
	if !utf8.Valid(b) {
		return &stoa.Error{Kind: stoa.Invalid, Type: "ParsingError", Msg: "the body is no JSON: it is not UTF-8"}
	}
	return nil
}

type jsonScanner struct {
	b     []byte
	i     int
	stack []byte // '{' or '[' of each open level
}

// document scans one value and what may stand around it; "" means well-formed.
func (s *jsonScanner) document() string {
	var room [64]byte
	s.stack = room[:0]
	for {
		s.space()
		problem, opened := s.value()
		if problem != "" {
			return problem
		}
		if opened {
			continue
		}
		more, problem := s.after()
		if problem != "" {
			return problem
		}
		if !more {
			break
		}
	}
	if s.space(); s.i < len(s.b) {
		return "something follows the value"
	}
	return ""
}

// value scans a scalar or the start of a list or object; opened tells that
// another value must follow.
func (s *jsonScanner) value() (problem string, opened bool) {
	if s.i >= len(s.b) {
		if len(s.b) == 0 {
			return "it is empty (send null for nothing)", false
		}
		return "it ends before its end", false
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return s.str(), false
	case c == '{' || c == '[':
		return s.open(c)
	case c == '-' || '0' <= c && c <= '9':
		return s.number(), false
	case c == 't':
		return s.word("true"), false
	case c == 'f':
		return s.word("false"), false
	case c == 'n':
		return s.word("null"), false
	}
	return "no value starts so", false
}

func (s *jsonScanner) open(c byte) (problem string, opened bool) {
	if len(s.stack) >= maxDepth {
		return "it is nested too deeply (10,000 levels at most)", false
	}
	s.i++
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c+2 { // '{'+2 is '}', '['+2 is ']'
		s.i++
		return "", false
	}
	s.stack = append(s.stack, c)
	if c == '{' {
		return s.key(), true
	}
	return "", true
}

// after scans what follows a value: the ends of lists and objects, or a comma;
// more tells that another value must follow.
func (s *jsonScanner) after() (more bool, problem string) {
	for len(s.stack) > 0 {
		s.space()
		if s.i >= len(s.b) {
			return false, "it ends before its end"
		}
		top := s.stack[len(s.stack)-1]
		switch s.b[s.i] {
		case ',':
			s.i++
			if top == '{' {
				s.space()
				return true, s.key()
			}
			return true, ""
		case top + 2:
			s.i++
			s.stack = s.stack[:len(s.stack)-1]
		default:
			return false, "a comma or the end of the list or object is wanted"
		}
	}
	return false, ""
}

// key scans the name of a member and the colon.
func (s *jsonScanner) key() string {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return "a name in quotation marks is wanted"
	}
	if problem := s.str(); problem != "" {
		return problem
	}
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != ':' {
		return "a colon is wanted"
	}
	s.i++
	return ""
}

func (s *jsonScanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *jsonScanner) word(w string) string {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return "no value starts so"
	}
	s.i += len(w)
	return ""
}

func (s *jsonScanner) number() string {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return "a number wants digits"
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return "a number wants digits after its point"
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return "a number wants digits in its exponent"
		}
	}
	return ""
}

func (s *jsonScanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// str scans a string, eight bytes at a time where none of them is special.
func (s *jsonScanner) str() string {
	s.i++
	for {
		s.plain()
		if s.i >= len(s.b) {
			return "a string does not end"
		}
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return ""
		case c == '\\':
			if !s.escape() {
				return "a string has an escape that JSON does not know"
			}
		case c < ' ':
			return "a string has a control character that is not escaped"
		default:
			s.i++
		}
	}
}

// plain skips whole words of eight bytes without quotation mark, backslash or
// control character.
func (s *jsonScanner) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(s.b)-s.i >= 8 {
		x := binary.LittleEndian.Uint64(s.b[s.i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		// (v - ones) &^ v has the high bit of every byte of v that is zero, and
		// (x - ones*0x20) &^ x that of every byte below 0x20.
		if ((quote-ones)&^quote|(slash-ones)&^slash|(x-ones*0x20)&^x)&highs != 0 {
			return
		}
		s.i += 8
	}
}

func (s *jsonScanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return false
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
		if len(s.b)-s.i < 6 {
			return false
		}
		for _, c := range s.b[s.i+2 : s.i+6] {
			if ('0' > c || c > '9') && ('a' > c|0x20 || c|0x20 > 'f') {
				return false
			}
		}
		s.i += 6
		return true
	}
	return false
}
