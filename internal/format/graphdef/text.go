package graphdef

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
)

// The text form of a message is read into its binary form, by this table: for
// each message its fields, as number:name:kind. A kind is s (text), i (whole
// number, truth value or element type), f and d (numbers of 32 and 64 bits), or
// the name of a message. What is not listed is skipped.
const schemaText = `
Graph 1:node:Node 2:library:Library
Node 1:name:s 2:op:s 3:input:s 5:attr:AttrEntry
AttrEntry 1:key:s 2:value:Attr
Attr 1:list:List 2:s:s 3:i:i 4:f:f 5:b:i 6:type:i 7:shape:Shape 8:tensor:Tensor 10:func:Func
List 2:s:s 3:i:i 4:f:f 5:b:i 6:type:i 7:shape:Shape 8:tensor:Tensor 9:func:Func
Func 1:name:s 2:attr:AttrEntry
Shape 2:dim:Dim 3:unknown_rank:i
Dim 1:size:i
Tensor 1:dtype:i 2:tensor_shape:Shape 4:tensor_content:s 5:float_val:f 6:double_val:d 7:int_val:i 8:string_val:s 10:int64_val:i 11:bool_val:i 13:half_val:i 16:uint32_val:i 17:uint64_val:i
Library 1:function:Function
Function 1:signature:OpDef 3:node_def:Node 4:ret:RetEntry
RetEntry 1:key:s 2:value:s
OpDef 1:name:s 2:input_arg:Arg 3:output_arg:Arg
Arg 1:name:s 3:type:i
SavedModel 1:saved_model_schema_version:i 2:meta_graphs:MetaGraph
MetaGraph 1:meta_info_def:Meta 2:graph_def:Graph 5:signature_def:SignatureEntry
Meta 4:tags:s
SignatureEntry 1:key:s 2:value:Signature
Signature 1:inputs:InfoEntry 2:outputs:InfoEntry 3:method_name:s
InfoEntry 1:key:s 2:value:Info
Info 1:name:s 2:dtype:i 3:tensor_shape:Shape
`

// typeNames are the element types by their numbers, from 1 on.
var typeNames = strings.Fields(`FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 QINT16 QUINT16 UINT16
	COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64`)

type schemaField struct {
	num  protowire.Number
	kind string
}

var schema = parseSchema()

func parseSchema() map[string]map[string]schemaField {
	out := map[string]map[string]schemaField{}
	for line := range strings.Lines(schemaText) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		fields := map[string]schemaField{}
		for _, w := range words[1:] {
			part := strings.SplitN(w, ":", 3)
			num, _ := strconv.Atoi(part[0])
			fields[part[1]] = schemaField{protowire.Number(num), part[2]}
		}
		out[words[0]] = fields
	}
	return out
}

// SightText tells what a file is that is written as text.
func SightText(data []byte) Kind {
	const enough = 4096
	t := &text{data: data[:min(len(data), enough)]}
	word, err := t.next()
	if err != nil || word == "" {
		return KindNone
	}
	switch word {
	case "node":
		// Other frameworks have nodes too; these have an operator in the first.
		head := string(t.data)
		at, op := strings.Index(head, "name:"), strings.Index(head, "op:")
		if sign, err := t.next(); err == nil && sign == "{" && at >= 0 && op >= 0 {
			return KindGraph
		}
	case "saved_model_schema_version", "meta_graphs":
		return KindSavedModel
	case "meta_info_def", "graph_def":
		return KindMetaGraph
	}
	return KindNone
}

// Binary gives the binary form of a text.
func Binary(kind Kind, data []byte) ([]byte, error) {
	name := map[Kind]string{KindGraph: "Graph", KindSavedModel: "SavedModel", KindMetaGraph: "MetaGraph"}[kind]
	t := &text{data: data, line: 1}
	out, err := t.message(name, "", 0)
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "line %d: %s", t.line, stoa.AsError(err).Msg)
	}
	return out, nil
}

// text reads words and signs.
type text struct {
	data []byte
	pos  int
	line int
}

func textError(format string, args ...any) error { return stoa.Errorf(stoa.Invalid, format, args...) }

// next gives a word, a sign, or a text with its quotes; "" at the end.
func (t *text) next() (string, error) {
	for t.pos < len(t.data) {
		switch c := t.data[t.pos]; {
		case c == '\n':
			t.line++
			t.pos++
		case c == ' ' || c == '\t' || c == '\r' || c == ',' || c == ';':
			t.pos++
		case c == '#':
			for t.pos < len(t.data) && t.data[t.pos] != '\n' {
				t.pos++
			}
		case c == '"' || c == '\'':
			return t.quoted(c)
		case isWord(c):
			from := t.pos
			for t.pos < len(t.data) && isWord(t.data[t.pos]) {
				t.pos++
			}
			return string(t.data[from:t.pos]), nil
		case strings.IndexByte(":{}<>[]", c) >= 0:
			t.pos++
			return string(c), nil
		default:
			return "", textError("%q is not expected", c)
		}
	}
	return "", nil
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (t *text) quoted(quote byte) (string, error) {
	from := t.pos
	for t.pos++; t.pos < len(t.data); t.pos++ {
		switch t.data[t.pos] {
		case '\\':
			t.pos++
		case quote:
			t.pos++
			return string(t.data[from:t.pos]), nil
		case '\n':
			return "", textError("a text does not end on its line")
		}
	}
	return "", textError("a text does not end")
}

// message reads fields up to the sign that ends them, and gives their binary form.
func (t *text) message(kind, end string, depth int) ([]byte, error) {
	const deepest = 100
	if depth > deepest {
		return nil, textError("messages are nested deeper than %d", deepest)
	}
	var out []byte
	for {
		name, err := t.next()
		if err != nil {
			return nil, err
		}
		if name == end {
			return out, nil
		}
		if name == "" || !isWord(name[0]) {
			return nil, textError("a field is expected, not %.40q", name)
		}
		f := schema[kind][name] // of no kind: skipped
		if out, err = t.field(out, f, depth); err != nil {
			return nil, err
		}
	}
}

// field reads what follows a name.
func (t *text) field(out []byte, f schemaField, depth int) ([]byte, error) {
	word, err := t.next()
	if err == nil && word == ":" {
		word, err = t.next()
	}
	if err != nil {
		return nil, err
	}
	switch {
	case word == "{" || word == "<":
		return t.inner(out, f, word, depth)
	case word != "[":
		return t.value(out, f, word)
	}
	for {
		if word, err = t.next(); err != nil {
			return nil, err
		}
		switch word {
		case "]":
			return out, nil
		case "":
			return nil, textError("a list does not end")
		case "{", "<":
			out, err = t.inner(out, f, word, depth)
		default:
			out, err = t.value(out, f, word)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *text) inner(out []byte, f schemaField, open string, depth int) ([]byte, error) {
	end := "}"
	if open == "<" {
		end = ">"
	}
	if f.num != 0 && schema[f.kind] == nil {
		return nil, textError("a value is expected, not a message")
	}
	body, err := t.message(f.kind, end, depth+1)
	if err != nil || f.num == 0 {
		return out, err
	}
	return protowire.AppendBytes(protowire.AppendTag(out, f.num, protowire.BytesType), body), nil
}

// value writes a number or a text.
func (t *text) value(out []byte, f schemaField, word string) ([]byte, error) {
	isText := word != "" && (word[0] == '"' || word[0] == '\'')
	switch f.kind {
	case "s":
		if !isText {
			return nil, textError("a text is expected, not %.40q", word)
		}
		s, err := t.texts(word)
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(protowire.AppendTag(out, f.num, protowire.BytesType), s), nil
	case "i":
		v, err := whole(word)
		return protowire.AppendVarint(protowire.AppendTag(out, f.num, protowire.VarintType), v), err
	case "f":
		v, err := strconv.ParseFloat(strings.TrimSuffix(word, "f"), 32)
		if err != nil && !math.IsInf(v, 0) {
			return nil, textError("a number is expected, not %.40q", word)
		}
		return protowire.AppendFixed32(protowire.AppendTag(out, f.num, protowire.Fixed32Type), math.Float32bits(float32(v))), nil
	case "d":
		v, err := strconv.ParseFloat(word, 64)
		if err != nil && !math.IsInf(v, 0) {
			return nil, textError("a number is expected, not %.40q", word)
		}
		return protowire.AppendFixed64(protowire.AppendTag(out, f.num, protowire.Fixed64Type), math.Float64bits(v)), nil
	case "":
		if isText {
			_, err := t.texts(word)
			return out, err
		}
		return out, nil
	}
	return nil, textError("a message is expected, not %.40q", word)
}

// texts joins a text with those that follow it.
func (t *text) texts(first string) ([]byte, error) {
	var out []byte
	for word := first; ; {
		s, err := unquote(word)
		if err != nil {
			return nil, err
		}
		out = append(out, s...)
		before := *t
		if word, err = t.next(); err != nil {
			return nil, err
		}
		if word == "" || word[0] != '"' && word[0] != '\'' {
			*t = before
			return out, nil
		}
	}
}

// whole reads a whole number, a truth value or the name of an element type.
func whole(word string) (uint64, error) {
	switch word {
	case "true", "True", "t":
		return 1, nil
	case "false", "False", "f":
		return 0, nil
	}
	if name, ok := strings.CutPrefix(word, "DT_"); ok {
		plain, isRef := strings.CutSuffix(name, "_REF")
		if at := slices.Index(typeNames, plain); at >= 0 {
			if isRef {
				return uint64(at) + 1 + uint64(refTypes), nil
			}
			return uint64(at) + 1, nil
		}
		return 0, nil
	}
	if v, err := strconv.ParseInt(word, 0, 64); err == nil {
		return uint64(v), nil
	}
	if v, err := strconv.ParseUint(word, 0, 64); err == nil {
		return v, nil
	}
	return 0, textError("a whole number is expected, not %.40q", word)
}

// unquote reads escapes as protobuf writes them: octal, hexadecimal and C's.
func unquote(s string) ([]byte, error) {
	s = s[1 : len(s)-1]
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			return nil, textError("an escape is cut off")
		}
		base, most := 8, 3
		switch c := s[i]; {
		case c == 'x' || c == 'X':
			base, most = 16, 2
			i++
		case c < '0' || c > '7':
			if at := strings.IndexByte("abfnrtv", c); at >= 0 {
				c = "\a\b\f\n\r\t\v"[at]
			}
			out = append(out, c)
			continue
		}
		end := i
		for end < len(s) && end < i+most && isDigit(s[end], base) {
			end++
		}
		v, err := strconv.ParseUint(s[i:end], base, 16)
		if err != nil {
			return nil, textError("an escape of no number")
		}
		out = append(out, byte(v))
		i = end - 1
	}
	return out, nil
}

func isDigit(c byte, base int) bool {
	if base == 8 {
		return c >= '0' && c <= '7'
	}
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
