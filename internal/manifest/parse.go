package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/stoa-project/stoa"
)

// Bounds of a manifest. A long one, with a thousand labels, has 20 KB, and the
// deepest field that there is stands four levels deep; samples may be deeper.
const (
	maxBytes = 1 << 20
	maxDepth = 64
	maxLines = 20_000
	// maxMarks bounds what separates values: each of them takes the parser some
	// 500 bytes of memory, and a megabyte has room for half a million.
	maxMarks = 50_000
)

// Problem is one thing that is wrong with a manifest, and where.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Field  string `json:"field,omitempty"` // such as input[0].picture.width
	Msg    string `json:"msg"`
}

// String gives it as compilers do: file:line:column: message. A problem that is
// no line's has none, nor one that is no file's.
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Msg
	case p.Line == 0:
		return p.File + ": " + p.Msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Msg)
}

// ParseError holds all that is wrong with a manifest, by line. It is the Err of
// the error that Parse gives, whose Msg has a line for each.
type ParseError struct{ Problems []Problem }

// Error says how many there are: the error around it says which.
func (e *ParseError) Error() string {
	return fmt.Sprintf("problems in the manifest: %d", len(e.Problems))
}

// Parse reads and checks a manifest. fileName is for messages. Its error is an
// Invalid stoa.Error whose Msg has a line for each problem and whose Err is a
// *ParseError.
func Parse(fileName string, data []byte) (*Manifest, error) {
	d := &decoder{file: fileName, where: map[string]position{}}
	m := new(Manifest)
	if d.guard(data) {
		if body := d.parse(data); body != nil {
			d.document(body, m)
		}
	}
	if len(d.problems) == 0 || !d.broken {
		for _, f := range check(m) {
			d.fault(f)
		}
	}
	if len(d.problems) == 0 {
		return m, nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	lines := make([]string, len(d.problems))
	for i, p := range d.problems {
		lines[i] = p.String()
	}
	return nil, stoa.Wrap(stoa.Invalid, &ParseError{d.problems}, "%s", strings.Join(lines, "\n"))
}

type position struct{ line, column int }

type decoder struct {
	file     string
	problems []Problem
	broken   bool // it could not be read: checking what it means makes no sense
	where    map[string]position
}

func (d *decoder) at(p position, field, format string, args ...any) {
	d.problems = append(d.problems, Problem{d.file, p.line, p.column, field, fmt.Sprintf(format, args...)})
}

func (d *decoder) fatal(p position, format string, args ...any) {
	d.broken = true
	d.at(p, "", format, args...)
}

// guard refuses what would cost the YAML parser more than a manifest is worth.
func (d *decoder) guard(data []byte) bool {
	switch {
	case len(data) > maxBytes:
		d.fatal(position{1, 1}, "the manifest has %d bytes: at most %d are read", len(data), maxBytes)
	case !utf8.Valid(data):
		d.fatal(position{1, 1}, "the manifest is not UTF-8 text")
	case bytes.Count(data, []byte{'\n'}) > maxLines:
		d.fatal(position{1, 1}, "the manifest has more than %d lines", maxLines)
	}
	if d.broken {
		return false
	}
	// Depth, roughly: brackets that are open, wherever they stand, and marks that
	// open a level at the beginning of a line. What hides brackets in texts is
	// found by shallow, whose tokens this saves where it can.
	flow := 0
	for i, line := range bytes.Split(data, []byte{'\n'}) {
		if at := bytes.IndexFunc(line, isControl); at >= 0 {
			d.fatal(position{i + 1, at + 1}, "a control character stands here")
			return false
		}
		indent := len(line) - len(bytes.TrimLeft(line, " \t-?:!&*"))
		for _, c := range line {
			switch c {
			case '[', '{':
				if flow++; flow > maxDepth {
					d.tooDeep(i + 1)
					return false
				}
			case ']', '}':
				flow = max(flow-1, 0)
			}
		}
		if indent > 2*maxDepth {
			d.tooDeep(i + 1)
			return false
		}
	}
	if marks(data) > maxMarks {
		d.fatal(position{1, 1}, "the manifest has more than %d values: put long lists into a file of the bundle", maxMarks)
	}
	return !d.broken
}

func (d *decoder) tooDeep(line int) {
	d.fatal(position{line, 1}, "the manifest is nested deeper than %d", maxDepth)
}

func marks(data []byte) (n int) {
	for _, c := range data {
		switch c {
		case ',', ':', '[', '{', '\'', '"', '&', '*':
			n++
		}
	}
	return n
}

// shallow refuses brackets within brackets, which cost the parser the square of
// their depth.
func (d *decoder) shallow(tokens token.Tokens) bool {
	flow := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > maxDepth {
				d.tooDeep(t.Position.Line)
				return false
			}
		case token.SequenceEndType, token.MappingEndType:
			flow--
		default:
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }

// parse gives the one document's body.
func (d *decoder) parse(data []byte) (body ast.Node) {
	// The YAML parser is fed by strangers; should it index out of range, this
	// push fails and not the server.
	defer func() {
		if r := recover(); r != nil {
			body = nil
			d.fatal(position{1, 1}, "the manifest cannot be read as YAML")
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if !d.shallow(tokens) {
		return nil
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		p, msg := position{1, 1}, "the manifest cannot be read as YAML"
		if e, ok := errors.AsType[yaml.Error](err); ok {
			msg = e.GetMessage() // e.Error would also print the source, at a cost that grows with its square
			if t := e.GetToken(); t != nil && t.Position != nil {
				p = position{t.Position.Line, t.Position.Column}
			}
		}
		d.fatal(p, "%.200s", msg)
		return nil
	}
	var found []*ast.DocumentNode
	for _, doc := range f.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			found = append(found, doc)
		}
	}
	switch len(found) {
	case 0:
		d.fatal(position{1, 1}, "the manifest is empty")
		return nil
	case 1:
		return found[0].Body
	}
	d.fatal(nodeAt(found[1].Body), "a second document begins here: a manifest is one")
	return nil
}

// fault adds what check found, where its field stands, or else the nearest
// thing around it.
func (d *decoder) fault(f fault) {
	msg := f.Msg
	if f.Field != "" {
		msg = f.Field + ": " + msg
	}
	d.at(d.nearest(f.Field), f.Field, "%s", msg)
}

// nearest gives the place of a field, or else of what is around it.
func (d *decoder) nearest(field string) position {
	for {
		if p, ok := d.where[field]; ok {
			return p
		}
		if field == "" {
			return position{1, 1}
		}
		field = field[:max(strings.LastIndexByte(field, '.'), strings.LastIndexByte(field, '['), 0)]
	}
}

// Locate gives line and column of a field, such as "input[0].picture.width", in
// a manifest that Parse takes, or else of what is around it.
func Locate(data []byte, field string) (line, column int) {
	d := &decoder{where: map[string]position{}}
	if d.guard(data) {
		if body := d.parse(data); body != nil {
			d.document(body, new(Manifest))
		}
	}
	p := d.nearest(field)
	return p.line, p.column
}
