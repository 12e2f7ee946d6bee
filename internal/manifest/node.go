package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// document reads the whole.
func (d *decoder) document(body ast.Node, m *Manifest) {
	if _, ok := body.(*ast.MappingNode); !ok {
		if !d.refused(body, "") {
			d.fatal(nodeAt(body), "the manifest must be a mapping of fields, such as kind: model")
		}
		d.broken = true
		return
	}
	d.value(body, reflect.ValueOf(m).Elem(), "")
}

// nodeAt gives the place of a node: of a mapping, that of its first key.
func nodeAt(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return position{t.Position.Line, t.Position.Column}
	}
	return position{1, 1}
}

// refused tells, and says, where a node is something that manifests do not have:
// an alias may stand for a million nodes, and a tag for any type.
func (d *decoder) refused(n ast.Node, path string) bool {
	what := ""
	switch n.Type() {
	case ast.AnchorType:
		what = "an anchor (&)"
	case ast.AliasType:
		what = "an alias (*)"
	case ast.MergeKeyType:
		what = "a merge key (<<)"
	case ast.TagType:
		what = "a tag (!)"
	case ast.DirectiveType:
		what = "a directive (%)"
	case ast.MappingKeyType:
		what = "a complex key (?)"
	default:
		return false
	}
	d.at(nodeAt(n), path, "%s%s stands here: manifests do not have them", prefix(path), what)
	d.broken = true
	return true
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

func (d *decoder) wants(n ast.Node, path, what string) {
	d.broken = true
	d.at(nodeAt(n), path, "%swants %s, not %s", prefix(path), what, nodeKind(n))
}

func nodeKind(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a mapping"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	default:
		text, _ := scalarText(n)
		return fmt.Sprintf("%.40q", text)
	}
}

// value reads a node into v, whose type says what may stand there.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	if d.refused(n, path) {
		return
	}
	if _, ok := d.where[path]; !ok {
		d.where[path] = nodeAt(n)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.fields(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.named(n, v, path)
	case reflect.Interface:
		if x, ok := d.anything(n, path); ok && x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v, path)
	}
}

// pairs gives the keys and values of a mapping.
func (d *decoder) pairs(n ast.Node, path string, each func(key string, at position, value ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if n.Type() != ast.NullType { // nothing is an empty mapping
			d.wants(n, path, "a mapping of fields")
		}
		return
	}
	for _, p := range m.Values {
		if d.refused(p.Key, path) || p.Value == nil {
			continue
		}
		key, ok := scalarText(p.Key)
		if !ok {
			d.wants(p.Key, path, "a name")
			continue
		}
		each(key, nodeAt(p.Key), p.Value)
	}
}

func (d *decoder) fields(n ast.Node, v reflect.Value, path string) {
	t := v.Type()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = fieldName(t.Field(i))
	}
	d.pairs(n, path, func(key string, at position, value ast.Node) {
		child := key
		if path != "" {
			child = path + "." + key
		}
		for i, name := range names {
			if name == key {
				d.where[child] = at
				if value.Type() != ast.NullType || isStruct(t.Field(i).Type) {
					d.value(value, v.Field(i), child)
				} else {
					d.wants(value, child, wanted(t.Field(i).Type))
				}
				return
			}
		}
		in := ""
		if path != "" {
			in = " in " + path
		}
		d.at(at, child, "unknown field %.60q%s%s", key, in, suggest(key, names))
	})
}

func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// fieldName gives a field's name in YAML and JSON.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Pointer, reflect.Struct:
		return "a mapping of fields"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Interface:
		return "a value"
	default:
		return "a text"
	}
}

// list reads a list; one scalar is a list of one.
func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	elem := v.Type().Elem()
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		if elem.Kind() == reflect.Struct || n.Type() == ast.MappingType {
			d.wants(n, path, "a list (its items begin with a dash)")
			return
		}
		one := reflect.MakeSlice(v.Type(), 1, 1)
		d.scalar(n, one.Index(0), path)
		v.Set(one)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, item := range s.Values {
		child := fmt.Sprintf("%s[%d]", path, i)
		if item.Type() == ast.NullType {
			d.wants(item, child, wanted(elem))
			continue
		}
		d.value(item, out.Index(i), child)
	}
	v.Set(out)
}

// named reads a mapping of names to values of one kind.
func (d *decoder) named(n ast.Node, v reflect.Value, path string) {
	out := reflect.MakeMap(v.Type())
	d.pairs(n, path, func(key string, at position, value ast.Node) {
		child := path + "." + key
		d.where[child] = at
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(value, one, child)
		out.SetMapIndex(reflect.ValueOf(key), one)
	})
	v.Set(out)
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	if d.refused(n, path) {
		return
	}
	ok := false
	switch v.Kind() {
	case reflect.String:
		var s string
		if s, ok = scalarText(n); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		var b *ast.BoolNode
		if b, ok = n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		}
	case reflect.Int, reflect.Int64:
		var i int64
		if i, ok = wholeNumber(n); ok {
			v.SetInt(i)
		}
	case reflect.Float64:
		var f float64
		if f, ok = number(n); ok {
			v.SetFloat(f)
		}
	default: // no field has another type
	}
	if !ok {
		d.wants(n, path, wanted(v.Type()))
	}
}

// scalarText gives a scalar as it is written: a number where a text is wanted
// is that text.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func wholeNumber(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case int64:
		return v, v >= math.MinInt && v <= math.MaxInt
	case uint64:
		return int64(v), v <= math.MaxInt
	}
	return 0, false
}

func number(n ast.Node) (float64, bool) {
	switch v := n.(type) {
	case *ast.IntegerNode:
		switch i := v.Value.(type) {
		case int64:
			return float64(i), true
		case uint64:
			return float64(i), true
		}
	case *ast.FloatNode:
		return v.Value, !math.IsInf(v.Value, 0) && !math.IsNaN(v.Value)
	case *ast.StringNode:
		// 3e-1 is a number, which the parser does not know.
		if v.Token.Type == token.StringType && json.Valid([]byte(v.Value)) {
			f, err := strconv.ParseFloat(v.Value, 64)
			return f, err == nil
		}
	}
	return 0, false
}

// anything reads a node as JSON would have it; numbers keep their digits.
func (d *decoder) anything(n ast.Node, path string) (any, bool) {
	if d.refused(n, path) {
		return nil, false
	}
	switch v := n.(type) {
	case *ast.NullNode:
		return nil, true
	case *ast.BoolNode:
		return v.Value, true
	case *ast.IntegerNode:
		return json.Number(fmt.Sprint(v.Value)), true
	case *ast.FloatNode:
		f, ok := number(n)
		if !ok {
			d.wants(n, path, "a number that JSON has")
			return nil, false
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), true
	case *ast.SequenceNode:
		out := make([]any, len(v.Values))
		for i, item := range v.Values {
			out[i], _ = d.anything(item, fmt.Sprintf("%s[%d]", path, i))
		}
		return out, true
	case *ast.MappingNode:
		out := map[string]any{}
		d.pairs(n, path, func(key string, _ position, value ast.Node) {
			out[key], _ = d.anything(value, path+"."+key)
		})
		return out, true
	}
	if f, ok := number(n); ok {
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), true
	}
	if s, ok := scalarText(n); ok {
		if _, text := n.(*ast.StringNode); !text && n.Type() != ast.LiteralType {
			d.wants(n, path, "a value that JSON has")
			return nil, false
		}
		return s, true
	}
	d.wants(n, path, "a value that JSON has")
	return nil, false
}
