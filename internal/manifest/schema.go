package manifest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
)

// Schema gives the JSON Schema (2020-12) of stoa.yaml, for editors: generated
// from the Go types and their tags.
func Schema() ([]byte, error) {
	root := schemaOf(reflect.TypeFor[Manifest](), "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = FileName
	root["description"] = "All there is to say about an algorithm of Stoa."
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the schema cannot be written")
	}
	return append(out, '\n'), nil
}

type object = map[string]any

// exclusive lists the fields of which a type may have one only, and least how
// many of them it must have.
func exclusive(t reflect.Type) (fields []string, least int) {
	switch t {
	case reflect.TypeFor[media.Input]():
		return []string{"picture", "tensor"}, 0
	case reflect.TypeFor[media.Output]():
		return []string{"labels", "lab", "picture", "tensor"}, 0
	case reflect.TypeFor[media.Labels]():
		return []string{"file", "names"}, 1
	case reflect.TypeFor[Sample]():
		return []string{"file", "text", "json"}, 1
	}
	return nil, 0
}

func schemaOf(t reflect.Type, tag reflect.StructTag) object {
	s := object{}
	if doc := tag.Get("doc"); doc != "" {
		s["description"] = doc
	}
	switch t.Kind() {
	case reflect.Pointer:
		maps.Copy(s, schemaOf(t.Elem(), ""))
	case reflect.Struct:
		structSchema(s, t)
	case reflect.Slice:
		item := schemaOf(t.Elem(), "")
		switch t.Elem().Kind() {
		case reflect.Struct:
			s["type"], s["items"] = "array", item
		case reflect.String:
			// A number is taken as the text that it is written as.
			item["type"] = []string{"string", "number", "boolean"}
			s["anyOf"] = []object{{"type": "array", "items": item}, item}
		default:
			s["anyOf"] = []object{{"type": "array", "items": item}, item}
		}
	case reflect.Map:
		s["type"], s["additionalProperties"] = "object", schemaOf(t.Elem(), "")
	case reflect.String:
		s["type"] = "string"
		if enum := tag.Get("enum"); enum != "" {
			words := strings.Split(enum, "|")
			s["enum"] = words
			if strings.Contains(tag.Get("json"), "omitempty") {
				s["default"] = words[0]
			}
		}
		if pattern := tag.Get("pattern"); pattern != "" {
			s["pattern"] = pattern
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int, reflect.Int64:
		s["type"] = "integer"
	case reflect.Float64:
		s["type"] = "number"
	default: // any
	}
	if low, err := strconv.ParseFloat(tag.Get("min"), 64); err == nil {
		s["minimum"] = low
	}
	if high, err := strconv.ParseFloat(tag.Get("max"), 64); err == nil {
		s["maximum"] = high
	}
	return s
}

func structSchema(s object, t reflect.Type) {
	props, required := object{}, []string{}
	for f := range t.Fields() {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		props[name] = schemaOf(f.Type, f.Tag)
		if !strings.Contains(rest, "omitempty") {
			required = append(required, name)
		}
	}
	if t == reflect.TypeFor[Manifest]() {
		// kind: model has a network; code may be found out from the files.
		s["if"] = object{"properties": object{"kind": object{"const": KindModel}}}
		s["then"] = object{"required": []string{"model"}}
	}
	s["type"], s["additionalProperties"] = "object", false
	if len(props) > 0 {
		s["properties"] = props
	}
	if len(required) > 0 {
		s["required"] = required
	}
	fields, least := exclusive(t)
	var alone []object
	for _, f := range fields {
		alone = append(alone, object{"required": []string{f}})
	}
	switch {
	case least == 1:
		s["oneOf"] = alone
	case len(alone) > 0:
		// One of them, or none.
		s["oneOf"] = append(alone, object{"not": object{"anyOf": slices.Clip(alone)}})
	}
}
