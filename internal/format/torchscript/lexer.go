package torchscript

import (
	"bytes"
	"strconv"
	"strings"
)

type tokKind uint8

const (
	tokEnd tokKind = iota
	tokNewline
	tokIndent
	tokDedent
	tokName
	tokNumber
	tokString
	tokOp
)

type token struct {
	kind tokKind
	text string
	line int
}

// lexer cuts the text into tokens. Within brackets an end of line is a space.
type lexer struct {
	file     string
	text     []byte
	at       int
	line     int
	brackets int
	started  bool // something of this line was read
	indents  []int
	pending  int // dedents that are still to be given
}

func (l *lexer) next() (token, error) {
	if l.pending > 0 {
		l.pending--
		return token{kind: tokDedent, line: l.line}, nil
	}
	if !l.started && l.brackets == 0 {
		t, ok, err := l.indentation()
		if err != nil || ok {
			return t, err
		}
	}
	for l.at < len(l.text) {
		c := l.text[l.at]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '\\' && l.at+1 < len(l.text) && l.text[l.at+1] == '\n':
			l.at, l.line = l.at+2, l.line+1
		case c == '#':
			l.skipLine()
		case c == '\n' && l.brackets > 0:
			l.at, l.line = l.at+1, l.line+1
		case c == '\n':
			t := token{kind: tokNewline, line: l.line}
			l.at, l.line, l.started = l.at+1, l.line+1, false
			return t, nil
		default:
			return l.word()
		}
	}
	if l.started {
		l.started = false
		return token{kind: tokNewline, line: l.line}, nil
	}
	if len(l.indents) > 1 {
		l.indents = l.indents[:len(l.indents)-1]
		return token{kind: tokDedent, line: l.line}, nil
	}
	return token{kind: tokEnd, line: l.line}, nil
}

func (l *lexer) skipLine() {
	if i := bytes.IndexByte(l.text[l.at:], '\n'); i >= 0 {
		l.at += i
	} else {
		l.at = len(l.text)
	}
}

// indentation reads the spaces at the beginning of a line that has something.
func (l *lexer) indentation() (token, bool, error) {
	for l.at < len(l.text) {
		width := 0
		for l.at < len(l.text) && (l.text[l.at] == ' ' || l.text[l.at] == '\t') {
			l.at++
			width++
		}
		if l.at < len(l.text) && l.text[l.at] == '#' {
			l.skipLine()
		}
		if l.at < len(l.text) && l.text[l.at] == '\r' {
			l.at++
		}
		if l.at < len(l.text) && l.text[l.at] == '\n' {
			l.at, l.line = l.at+1, l.line+1
			continue
		}
		if l.at >= len(l.text) {
			return token{}, false, nil
		}
		l.started = true
		top := l.indents[len(l.indents)-1]
		if width > top {
			if len(l.indents) > maxNesting {
				return token{}, false, l.errorf("blocks lie over %d deep in each other", maxNesting)
			}
			l.indents = append(l.indents, width)
			return token{kind: tokIndent, line: l.line}, true, nil
		}
		for width < l.indents[len(l.indents)-1] {
			l.indents = l.indents[:len(l.indents)-1]
			l.pending++
		}
		if width != l.indents[len(l.indents)-1] {
			return token{}, false, l.errorf("its indentation is that of no block")
		}
		if l.pending > 0 {
			l.pending--
			return token{kind: tokDedent, line: l.line}, true, nil
		}
		return token{}, false, nil
	}
	return token{}, false, nil
}

func isLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// word reads a name, a number, a string or an operator.
func (l *lexer) word() (token, error) {
	l.started = true
	start, line := l.at, l.line
	c := l.text[l.at]
	switch {
	case isLetter(c):
		for l.at < len(l.text) && (isLetter(l.text[l.at]) || isDigit(l.text[l.at])) {
			l.at++
		}
		return token{tokName, string(l.text[start:l.at]), line}, nil
	case isDigit(c) || c == '.' && l.at+1 < len(l.text) && isDigit(l.text[l.at+1]):
		return token{tokNumber, l.number(), line}, nil
	case c == '"' || c == '\'':
		s, err := l.quoted(c)
		return token{tokString, s, line}, err
	}
	for _, op := range []string{"->", "==", "!=", "<=", ">=", "//", "**", "<<", ">>"} {
		if bytes.HasPrefix(l.text[l.at:], []byte(op)) {
			l.at += 2
			return token{tokOp, op, line}, nil
		}
	}
	switch c {
	case '(', '[', '{':
		l.brackets++
	case ')', ']', '}':
		l.brackets = max(0, l.brackets-1)
	default:
		if strings.IndexByte(",:.=+-*/%<>@&|^~;", c) < 0 {
			return token{}, l.errorf("character %q is not of the language", c)
		}
	}
	l.at++
	return token{tokOp, string(c), line}, nil
}

// number reads a number's text: digits, a point, an exponent.
func (l *lexer) number() string {
	start := l.at
	for l.at < len(l.text) {
		c := l.text[l.at]
		sign := (c == '+' || c == '-') && (l.text[l.at-1] == 'e' || l.text[l.at-1] == 'E') && l.at > start
		if !isDigit(c) && !isLetter(c) && c != '.' && !sign {
			break
		}
		l.at++
	}
	return string(l.text[start:l.at])
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v', '\\': '\\', '"': '"', '\'': '\''}

func (l *lexer) quoted(quote byte) (string, error) {
	var out []byte
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == quote:
			l.at++
			return string(out), nil
		case c == '\n':
			return "", l.errorf("a string has no end")
		case c != '\\':
			out = append(out, c)
			continue
		}
		if l.at++; l.at >= len(l.text) {
			break
		}
		e := l.text[l.at]
		digits := ""
		switch {
		case e == 'x' && l.at+2 < len(l.text):
			digits = string(l.text[l.at+1 : l.at+3])
			if n, err := strconv.ParseUint(digits, 16, 8); err == nil {
				out, l.at = append(out, byte(n)), l.at+2
				continue
			}
		case e >= '0' && e <= '7' && l.at+2 < len(l.text):
			digits = string(l.text[l.at : l.at+3])
			if n, err := strconv.ParseUint(digits, 8, 8); err == nil {
				out, l.at = append(out, byte(n)), l.at+2
				continue
			}
		}
		if to, ok := escapes[e]; ok {
			out = append(out, to)
		} else {
			out = append(out, '\\', e)
		}
	}
	return "", l.errorf("a string has no end")
}
