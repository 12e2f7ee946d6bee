package caffe

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
)

const (
	// maxText bounds a prototxt; the longest public ones have half a megabyte.
	maxText = 32 << 20
	// maxEntries bounds the fields of a network, which take as little as two
	// bytes each of the file; ResNet-152 has about 10,000.
	maxEntries = 1 << 19
	// maxNesting is far above what Caffe's messages nest: 5 or so.
	maxNesting = 32
)

// message is a message of Caffe's description of a network, read from text or
// from the binary form: fields by name, in their order, each with its line.
type message struct {
	doc    *document
	line   int
	fields []*entry
}

// entry is one field: a scalar's text, or a message.
type entry struct {
	name string
	line int
	text string
	sub  *message
	used bool // somebody asked for it
}

// document is what all messages of one file share.
type document struct {
	file   string
	binary bool
	err    error // the first value that was not of the type asked for
}

func (d *document) fail(line int, format string, args ...any) {
	if d.err == nil {
		d.err = d.errorf(line, format, args...)
	}
}

func (d *document) errorf(line int, format string, args ...any) *stoa.Error {
	e := stoa.Errorf(stoa.Invalid, format, args...)
	if line > 0 {
		e.Msg = d.file + ", line " + strconv.Itoa(line) + ": " + e.Msg
	} else {
		e.Msg = d.file + ": " + e.Msg
	}
	return e
}

// parseText reads the text form of Protocol Buffers, without a schema: forks of
// Caffe have fields that nobody else knows.
func parseText(file string, data []byte) (*message, error) {
	p := &parser{doc: &document{file: file}, text: data, line: 1}
	if len(data) > maxText {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: a text of %d bytes is over the limit of %d", file, len(data), maxText)
	}
	m := &message{doc: p.doc, line: 1}
	if err := p.fields(m, 0, 0); err != nil {
		return nil, err
	}
	return m, nil
}

type parser struct {
	doc     *document
	text    []byte
	pos     int
	line    int
	entries int
}

func (p *parser) errorf(format string, args ...any) error {
	return p.doc.errorf(p.line, format, args...)
}

// space skips spaces and comments.
func (p *parser) space() {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '\n':
			p.line++
			p.pos++
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			p.pos++
		case c == '#':
			n := bytes.IndexByte(p.text[p.pos:], '\n')
			if n < 0 {
				n = len(p.text) - p.pos
			}
			p.pos += n
		case c == 0xef && bytes.HasPrefix(p.text[p.pos:], []byte("\xef\xbb\xbf")):
			p.pos += 3 // a byte order mark, which editors on Windows leave
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	p.space()
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) accept(c byte) bool {
	if c != 0 && p.peek() == c {
		p.pos++
		return true
	}
	return false
}

// fields reads fields up to the closing bracket, or to the end where that is 0.
func (p *parser) fields(m *message, closing byte, depth int) error {
	if depth > maxNesting {
		return p.errorf("messages are nested deeper than %d", maxNesting)
	}
	for {
		c := p.peek()
		switch {
		case c == 0 && p.pos >= len(p.text):
			if closing == 0 {
				return nil
			}
			return p.doc.errorf(p.line, "the file ends before the %c that closes the { of line %d", closing, m.line)
		case c == closing:
			p.pos++
			return nil
		case c == ',' || c == ';':
			p.pos++
			continue
		}
		if err := p.field(m, depth); err != nil {
			return err
		}
	}
}

func (p *parser) field(m *message, depth int) error {
	line := p.line
	name := p.name()
	if name == "" {
		return p.errorf("the name of a field is expected, not %q", string(p.text[p.pos:min(p.pos+1, len(p.text))]))
	}
	colon := p.accept(':')
	if colon && p.accept('[') {
		for !p.accept(']') {
			if err := p.value(m, name, line, depth); err != nil {
				return err
			}
			if !p.accept(',') && p.peek() != ']' {
				return p.errorf("a comma or ] is expected in the list of %s", name)
			}
		}
		return nil
	}
	if c := p.peek(); !colon && c != '{' && c != '<' {
		return p.errorf("a colon or { is expected after %q", cut(name))
	}
	return p.value(m, name, line, depth)
}

func (p *parser) name() string {
	p.space()
	start := p.pos
	if p.pos < len(p.text) && p.text[p.pos] == '[' { // an extension: [package.name]
		for p.pos < len(p.text) && p.text[p.pos] != ']' && p.text[p.pos] != '\n' {
			p.pos++
		}
		p.pos = min(p.pos+1, len(p.text))
		return string(p.text[start:p.pos])
	}
	for p.pos < len(p.text) && isWord(p.text[p.pos]) {
		p.pos++
	}
	return string(p.text[start:p.pos])
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func (p *parser) value(m *message, name string, line, depth int) error {
	p.entries++
	if p.entries > maxEntries {
		return stoa.Errorf(stoa.TooLarge, "%s: over %d fields", p.doc.file, maxEntries)
	}
	e := &entry{name: name, line: line}
	m.fields = append(m.fields, e)
	c := p.peek()
	switch c {
	case '{', '<':
		p.pos++
		e.sub = &message{doc: p.doc, line: line}
		return p.fields(e.sub, map[byte]byte{'{': '}', '<': '>'}[c], depth+1)
	case '"', '\'':
		var err error
		e.text, err = p.str()
		return err
	}
	start := p.pos
	for p.pos < len(p.text) && (isWord(p.text[p.pos]) || strings.IndexByte(".+-", p.text[p.pos]) >= 0) {
		p.pos++
	}
	e.text = string(p.text[start:p.pos])
	if e.text == "-" { // a sign may stand apart
		p.space()
		e.text += p.name()
	}
	if e.text == "" {
		return p.errorf("a value is expected for %q", cut(name))
	}
	return nil
}

// str reads one string, or several beside each other, which are one.
func (p *parser) str() (string, error) {
	var out []byte
	for c := p.peek(); c == '"' || c == '\''; c = p.peek() {
		p.pos++
		start := p.pos
		for {
			if p.pos >= len(p.text) || p.text[p.pos] == '\n' {
				return "", p.errorf("a string is not closed on its line")
			}
			if p.text[p.pos] == c {
				break
			}
			if p.text[p.pos] == '\\' {
				p.pos++
			}
			p.pos++
		}
		piece := string(p.text[start:p.pos])
		p.pos++
		if strings.IndexByte(piece, '\\') >= 0 {
			// Go's escapes are those of Protocol Buffers but for \? and \'.
			s, err := strconv.Unquote(`"` + strings.NewReplacer(`\\`, `\\`, `\"`, `\"`, `\'`, `'`, `\?`, `?`, `"`, `\"`).Replace(piece) + `"`)
			if err != nil {
				return "", p.errorf("a string holds an escape that is not known")
			}
			piece = s
		}
		out = append(out, piece...)
	}
	return string(out), nil
}

func cut(s string) string {
	const longest = 60
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}

// all gives every field of a name.
func (m *message) all(name string) []*entry {
	if m == nil {
		return nil
	}
	var out []*entry
	for _, e := range m.fields {
		if e.name == name {
			e.used = true
			out = append(out, e)
		}
	}
	return out
}

// last gives the last field of a name, which is the one that counts; nil where
// there is none.
func (m *message) last(name string) *entry {
	if all := m.all(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

func (m *message) has(name string) bool { return m.last(name) != nil }

// sub gives a message within; nil, of which everything may be asked too, where
// there is none.
func (m *message) sub(name string) *message {
	if e := m.last(name); e != nil {
		if e.sub == nil {
			m.doc.fail(e.line, "%s must be a message in { }", cut(name))
		}
		return e.sub
	}
	return nil
}

func (m *message) str(name, otherwise string) string {
	if e := m.last(name); e != nil {
		return e.text
	}
	return otherwise
}

func (m *message) strs(name string) []string {
	var out []string
	for _, e := range m.all(name) {
		out = append(out, e.text)
	}
	return out
}

func (m *message) int(name string, otherwise int64) int64 {
	if e := m.last(name); e != nil {
		return e.int(m.doc)
	}
	return otherwise
}

func (m *message) ints(name string) []int64 {
	var out []int64
	for _, e := range m.all(name) {
		out = append(out, e.int(m.doc))
	}
	return out
}

func (m *message) float(name string, otherwise float64) float64 {
	if e := m.last(name); e != nil {
		return e.float(m.doc)
	}
	return otherwise
}

func (m *message) floats(name string) []float64 {
	var out []float64
	for _, e := range m.all(name) {
		out = append(out, e.float(m.doc))
	}
	return out
}

// flag tells whether a setting that is true or false is true.
func (m *message) flag(name string, otherwise flag) bool {
	e := m.last(name)
	if e == nil {
		return otherwise == on
	}
	switch e.text {
	case "true", "True", "t", "1":
		return true
	case "false", "False", "f", "0":
		return false
	}
	m.doc.fail(e.line, "%s must be true or false, not %q", cut(name), cut(e.text))
	return false
}

// flag is the default of a setting that is true or false.
type flag int

const (
	off flag = iota
	on
)

func (e *entry) int(d *document) int64 {
	v, err := strconv.ParseInt(e.text, 0, 64)
	// Sizes are 32 bits in Caffe; this keeps every product of two in range.
	if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
		d.fail(e.line, "%s must be a whole number of at most 32 bits, not %q", cut(e.name), cut(e.text))
		return 0
	}
	return v
}

func (e *entry) float(d *document) float64 {
	v, err := strconv.ParseFloat(strings.TrimRight(e.text, "fF"), 64)
	if err != nil {
		v, err = strconv.ParseFloat(e.text, 64) // inf ends in an f too
	}
	if err != nil {
		d.fail(e.line, "%s must be a number, not %q", cut(e.name), cut(e.text))
		return 0
	}
	return v
}
