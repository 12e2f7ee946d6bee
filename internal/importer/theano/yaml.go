package theano

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"github.com/stoa-project/stoa"
)

// The bounds of an architecture file. One of a hundred layers has 10 KB.
const (
	maxText  = 1 << 20
	maxLines = 20_000
	maxMarks = 50_000 // what separates values, each of which takes the parser some 500 bytes
	maxDepth = 32
)

// node is a value of an architecture file and where it stands.
type node struct {
	line   int
	text   string // of a scalar
	quoted bool
	list   []node
	fields []field
	kind   nodeKind
}

type field struct {
	key   string
	line  int
	value node
}

type nodeKind uint8

const (
	isNull nodeKind = iota
	isScalar
	isList
	isMapping
)

var kindNames = [...]string{"nothing", "a value", "a list", "a mapping"}

// textError is an error with its line.
func textError(file string, line int, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s:%d: %s", file, line, fmt.Sprintf(format, args...))
}

// readText reads an architecture file as plain values. Anchors, aliases, tags and
// further documents are refused.
func readText(file string, data []byte) (n node, err error) {
	if err := guard(file, data); err != nil {
		return n, err
	}
	defer func() {
		if r := recover(); r != nil { // the parser reads what strangers write
			err = textError(file, 1, "it cannot be read as YAML")
		}
	}()
	f, err := parser.Parse(lexer.Tokenize(string(data)), 0)
	if err != nil {
		line, msg := 1, "it cannot be read as YAML"
		if e, ok := errors.AsType[yaml.Error](err); ok {
			msg = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		return n, textError(file, line, "%.200s", msg)
	}
	var bodies []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != 1 {
		return n, textError(file, 1, "it has %d documents, and must be one", len(bodies))
	}
	return convert(file, bodies[0], 0)
}

// guard refuses what would cost the YAML parser more than a network is worth.
func guard(file string, data []byte) error {
	if len(data) > maxText || bytes.Count(data, []byte{'\n'}) > maxLines || !utf8.Valid(data) {
		return textError(file, 1, "it is no text, or has over %d bytes or %d lines", maxText, maxLines)
	}
	open, marks := 0, 0
	for i, line := range bytes.Split(data, []byte{'\n'}) {
		indent := len(line) - len(bytes.TrimLeft(line, " \t-?:!&*"))
		if indent > 2*maxDepth {
			return textError(file, i+1, "it is nested deeper than %d", maxDepth)
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				open, marks = open+1, marks+1
			case ']', '}':
				open = max(open-1, 0)
			case ',', ':', '\'', '"', '&', '*':
				marks++
			}
			if open > maxDepth || marks > maxMarks {
				return textError(file, i+1, "it is nested deeper than %d, or has over %d values", maxDepth, maxMarks)
			}
			if c < ' ' && c != '\t' && c != '\r' {
				return textError(file, i+1, "a control character stands here")
			}
		}
	}
	return nil
}

func lineOf(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return lineOf(m.Values[0].Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func convert(file string, n ast.Node, depth int) (node, error) {
	out := node{line: lineOf(n)}
	if depth > maxDepth {
		return out, textError(file, out.line, "it is nested deeper than %d", maxDepth)
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return out, nil
	case *ast.SequenceNode:
		out.kind = isList
		for _, v := range n.Values {
			e, err := convert(file, v, depth+1)
			if err != nil {
				return out, err
			}
			out.list = append(out.list, e)
		}
		return out, nil
	case *ast.MappingNode:
		out.kind = isMapping
		return out, out.pairs(file, n.Values, depth)
	case *ast.MappingValueNode:
		out.kind = isMapping
		return out, out.pairs(file, []*ast.MappingValueNode{n}, depth)
	case *ast.StringNode:
		out.kind, out.text, out.quoted = isScalar, n.Value, true
		return out, nil
	case *ast.LiteralNode:
		out.kind, out.text, out.quoted = isScalar, n.Value.Value, true
		return out, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = isScalar, n.GetToken().Value
		return out, nil
	}
	return out, textError(file, out.line, "anchors, aliases, tags and merge keys are not read here")
}

func (n *node) pairs(file string, values []*ast.MappingValueNode, depth int) error {
	for _, p := range values {
		key, ok := p.Key.(ast.ScalarNode)
		if !ok || p.Key.Type() == ast.MergeKeyType || p.Value == nil {
			return textError(file, n.line, "a key is no plain name")
		}
		v, err := convert(file, p.Value, depth+1)
		if err != nil {
			return err
		}
		f := field{key: fmt.Sprint(key.GetValue()), line: lineOf(p.Key), value: v}
		if slices.ContainsFunc(n.fields, func(g field) bool { return g.key == f.key }) {
			return textError(file, f.line, "%q stands here twice", f.key)
		}
		n.fields = append(n.fields, f)
	}
	return nil
}

func (n node) get(key string) (node, bool) {
	for _, f := range n.fields {
		if f.key == key {
			return f.value, true
		}
	}
	return node{}, false
}

func (n node) int() (int64, bool) {
	v, err := strconv.ParseInt(n.text, 10, 64)
	return v, n.kind == isScalar && err == nil
}

func (n node) float() (float64, bool) {
	v, err := strconv.ParseFloat(n.text, 64)
	return v, n.kind == isScalar && err == nil && v-v == 0
}

func (n node) bool() (value, ok bool) {
	switch strings.ToLower(n.text) {
	case "true":
		return true, n.kind == isScalar
	case "false":
		return false, n.kind == isScalar
	}
	return false, false
}
