package npy

import (
	"encoding/binary"
	"strconv"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

type header struct {
	dtype     tensor.DType
	bigEndian bool
	fortran   bool
	shape     []int64
}

// parseHeader reads magic, version and dictionary, and gives what follows.
func parseHeader(data []byte) (header, []byte, error) {
	var h header
	if !IsNpy(data) {
		return h, nil, stoa.Errorf(stoa.Invalid, "npy: the data does not begin as an npy file does")
	}
	rest := data[len(magic):]
	if len(rest) < 4 {
		return h, nil, stoa.Errorf(stoa.Invalid, "npy: the header is cut off")
	}
	version, size := rest[0], 0
	switch version {
	case 1:
		size, rest = int(binary.LittleEndian.Uint16(rest[2:])), rest[4:]
	case 2, 3:
		if len(rest) < 6 {
			return h, nil, stoa.Errorf(stoa.Invalid, "npy: the header is cut off")
		}
		size, rest = int(binary.LittleEndian.Uint32(rest[2:])), rest[6:]
	default:
		return h, nil, stoa.Errorf(stoa.Unsupported, "npy: format version %d is not known; 1 to 3 are", version)
	}
	if size > maxHeader {
		return h, nil, stoa.Errorf(stoa.TooLarge, "npy: a header of %d bytes is over the limit of %d", size, maxHeader)
	}
	if size > len(rest) {
		return h, nil, stoa.Errorf(stoa.Invalid, "npy: the header is cut off")
	}
	s := scanner{text: string(rest[:size])}
	h, err := s.dict()
	if err != nil {
		return h, nil, err
	}
	return h, rest[size:], nil
}

// scanner reads the Python dictionary of the header:
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
type scanner struct {
	text string
	pos  int
}

func (s *scanner) fail(what string) error {
	return stoa.Errorf(stoa.Invalid, "npy: header, byte %d: %s expected", s.pos, what)
}

func (s *scanner) space() {
	for s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\n' || s.text[s.pos] == '\t') {
		s.pos++
	}
}

// accept skips spaces and then c, where it is next.
func (s *scanner) accept(c byte) bool {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) str() (string, error) {
	s.space()
	if s.pos >= len(s.text) || s.text[s.pos] != '\'' && s.text[s.pos] != '"' {
		return "", s.fail("a string")
	}
	quote, start := s.text[s.pos], s.pos+1
	for i := start; i < len(s.text); i++ {
		if s.text[i] == quote {
			s.pos = i + 1
			return s.text[start:i], nil
		}
	}
	return "", s.fail("a closing quote")
}

func (s *scanner) word() string {
	s.space()
	start := s.pos
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
			break
		}
		s.pos++
	}
	return s.text[start:s.pos]
}

func (s *scanner) dict() (header, error) {
	var h header
	if !s.accept('{') {
		return h, s.fail("{")
	}
	var seen [3]bool
	for !s.accept('}') {
		key, err := s.str()
		if err != nil {
			return h, err
		}
		if !s.accept(':') {
			return h, s.fail("a colon")
		}
		switch key {
		case "descr":
			seen[0] = true
			err = s.descr(&h)
		case "fortran_order":
			seen[1] = true
			err = s.boolean(&h)
		case "shape":
			seen[2] = true
			err = s.shape(&h)
		default:
			return h, stoa.Errorf(stoa.Invalid, "npy: header has the unknown member %.40q", key)
		}
		if err != nil {
			return h, err
		}
		if !s.accept(',') {
			if !s.accept('}') {
				return h, s.fail("a comma or }")
			}
			break
		}
	}
	if seen != [3]bool{true, true, true} {
		return h, stoa.Errorf(stoa.Invalid, "npy: header must have descr, fortran_order and shape")
	}
	return h, nil
}

func (s *scanner) descr(h *header) error {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == '[' {
		return stoa.Errorf(stoa.Unsupported, "npy: arrays of records are not supported, only of plain numbers")
	}
	d, err := s.str()
	if err != nil {
		return err
	}
	order := byte('|')
	name := d
	if d != "" && (d[0] == '<' || d[0] == '>' || d[0] == '|' || d[0] == '=') {
		order, name = d[0], d[1:]
	}
	t, ok := dtypeOf(name)
	if !ok {
		return stoa.Errorf(stoa.Unsupported, "npy: elements of type %.40q are not supported, only plain numbers", d)
	}
	h.dtype, h.bigEndian = t, order == '>' && t.Size() > 1
	return nil
}

func (s *scanner) boolean(h *header) error {
	switch s.word() {
	case "True":
		h.fortran = true
	case "False":
		h.fortran = false
	default:
		return s.fail("True or False")
	}
	return nil
}

func (s *scanner) shape(h *header) error {
	if !s.accept('(') {
		return s.fail("(")
	}
	h.shape = []int64{}
	for !s.accept(')') {
		w := s.word()
		// Python 2 wrote long numbers with an L behind.
		if n := len(w); n > 1 && w[n-1] == 'L' {
			w = w[:n-1]
		}
		v, err := strconv.ParseInt(w, 10, 64)
		if err != nil || v < 0 {
			return s.fail("a dimension")
		}
		if len(h.shape) == maxDims {
			return stoa.Errorf(stoa.Invalid, "npy: more than %d dimensions", maxDims)
		}
		h.shape = append(h.shape, v)
		if !s.accept(',') {
			if !s.accept(')') {
				return s.fail("a comma or )")
			}
			break
		}
	}
	return nil
}
