package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Comments are remarks on fields, such as "input[0].picture.mean", for Marshal.
// The empty field is the whole manifest.
type Comments map[string]string

// Marshal writes a manifest as YAML that people go on to edit: in the order of
// the fields, without what is empty, and with comments above their fields.
// Parse reads it back as the same manifest.
func Marshal(m *Manifest, comments Comments) []byte {
	w := yamlWriter{comments: comments}
	w.comment("", 0)
	w.fields(reflect.ValueOf(m).Elem(), "", 0, "")
	return w.b.Bytes()
}

type yamlWriter struct {
	b        bytes.Buffer
	comments Comments
}

func (w *yamlWriter) indent(n int) { w.b.WriteString(strings.Repeat("  ", n)) }

func (w *yamlWriter) comment(field string, depth int) {
	text := w.comments[field]
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		w.indent(depth)
		w.b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

// fields writes a struct's fields. lead, which may be "- ", stands before the
// first of them, in place of its indentation's end.
func (w *yamlWriter) fields(v reflect.Value, path string, depth int, lead string) {
	for i := range v.NumField() {
		f, name := v.Field(i), fieldName(v.Type().Field(i))
		if f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0 {
			continue
		}
		child := name
		if path != "" {
			child = path + "." + name
		}
		if lead == "" {
			if path == "" && w.b.Len() > 0 && (f.Kind() == reflect.Pointer || f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct) {
				w.b.WriteByte('\n') // a paragraph of its own
			}
			w.comment(child, depth)
			w.indent(depth)
		} else {
			w.comment(child, depth-1)
			w.indent(depth - 1)
			w.b.WriteString(lead)
			lead = ""
		}
		w.b.WriteString(scalar(name) + ":")
		w.value(f, child, depth)
	}
}

func (w *yamlWriter) value(v reflect.Value, path string, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.Elem().IsZero() {
			w.b.WriteString(" {}\n")
			return
		}
		w.b.WriteByte('\n')
		w.fields(v.Elem(), path, depth+1, "")
	case reflect.Slice:
		w.list(v, path, depth)
	case reflect.Map:
		w.b.WriteByte('\n')
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.indent(depth + 1)
			fmt.Fprintf(&w.b, "%s:", scalar(k.String()))
			w.value(v.MapIndex(k), path+"."+k.String(), depth+1)
		}
	case reflect.Interface:
		fmt.Fprintf(&w.b, " %s\n", inlineJSON(v.Interface()))
	default:
		fmt.Fprintf(&w.b, " %s\n", plain(v))
	}
}

func (w *yamlWriter) list(v reflect.Value, path string, depth int) {
	const wide = 100
	if v.Type().Elem().Kind() == reflect.Struct {
		w.b.WriteByte('\n')
		for i := range v.Len() {
			child := fmt.Sprintf("%s[%d]", path, i)
			w.comment(child, depth+1)
			if v.Index(i).IsZero() {
				w.indent(depth + 1)
				w.b.WriteString("- {}\n")
				continue
			}
			w.fields(v.Index(i), child, depth+2, "- ")
		}
		return
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = plain(v.Index(i))
	}
	if line := strings.Join(items, ", "); len(line) <= wide {
		if len(items) == 1 && v.Type().Elem().Kind() == reflect.Float64 {
			fmt.Fprintf(&w.b, " %s\n", line)
		} else {
			fmt.Fprintf(&w.b, " [%s]\n", line)
		}
		return
	}
	w.b.WriteByte('\n')
	for _, item := range items {
		w.indent(depth + 1)
		fmt.Fprintf(&w.b, "- %s\n", item)
	}
}

func plain(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	default:
		return scalar(v.String())
	}
}

// plainText matches texts that YAML reads as they stand, in lists too.
var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./+()-]*( [A-Za-z0-9_./+()-]+)*$`)

var yamlWords = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

// scalar writes a text, quoted where it must be.
func scalar(s string) string {
	if plainText.MatchString(s) && !slices.Contains(yamlWords, strings.ToLower(s)) {
		return s
	}
	return inlineJSON(s)
}

// inlineJSON writes a value in JSON, which is YAML too.
func inlineJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil { //nolint:errchkjson // it is looked at
		return `""`
	}
	return strings.ReplaceAll(strings.TrimRight(b.String(), "\n"), "\x7f", `\u007f`)
}
