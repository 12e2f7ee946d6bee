// Package schema holds values of calls to the JSON Schema that an author wrote.
// Schemas and values are untrusted both: a schema loads nothing from anywhere,
// refers to nothing but itself, and may not make one value cost the work of
// many.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/stoa-project/stoa"
)

const (
	maxBytes = 256 << 10 // of a schema
	maxCost  = 1000      // schemas that one value may meet; honest ones meet a few
	maxDepth = 64        // of schemas within each other
	maxTold  = 3         // faults that an error names
)

// Schema is a schema that was read. It may be used at once by many.
type Schema struct{ s *jsonschema.Schema }

// Compile reads a schema, given as the JSON value that stoa.yaml holds. field is
// its name there, for messages. nil gives nil.
func Compile(field string, v any) (*Schema, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s is no JSON", field)
	}
	if len(text) > maxBytes {
		return nil, stoa.Errorf(stoa.TooLarge, "%s has %d bytes: at most %d", field, len(text), maxBytes)
	}
	doc, err := decode(text)
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s: %v", field, err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(refuser{})
	const self = "stoa:schema"
	if err := c.AddResource(self, doc); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s is no JSON Schema: %v", field, err)
	}
	s, err := c.Compile(self)
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s is no JSON Schema: %s", field, reason(err))
	}
	if cost := costs(map[*jsonschema.Schema]int{}).of(s, 0); cost > maxCost {
		return nil, stoa.Errorf(stoa.Invalid, "%s holds each value to more than %d schemas, or refers to itself: make it simpler", field, maxCost)
	}
	return &Schema{s}, nil
}

// refuser loads nothing: what a schema needs must be in it.
type refuser struct{}

func (refuser) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not loaded: write what it says into $defs", url)
}

// decode reads JSON with plain floats: a number such as 1e999999999 would take a
// gigabyte as an exact one.
func decode(text []byte) (any, error) {
	var v any
	err := json.Unmarshal(text, &v)
	return v, err
}

// reason takes the inner sentence out of a compiler's error.
func reason(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	s = strings.ReplaceAll(s, "stoa:schema", "")
	const most = 400
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// Check holds a value to the schema: a text as a JSON string. Its error names the
// path of what does not fit. Bytes fit no schema.
func (s *Schema) Check(v stoa.Value) error {
	if s == nil {
		return nil
	}
	var doc any
	switch v.Type {
	case stoa.JSON:
		var err error
		if doc, err = decode(v.Data); err != nil {
			return stoa.Wrap(stoa.Invalid, err, "the input is no JSON: %v", err)
		}
	case stoa.Text:
		doc = string(v.Data)
	case stoa.Binary:
		return stoa.Errorf(stoa.Invalid, "the input is binary, and this algorithm's schema is of JSON: send it as application/json")
	case stoa.Void:
	}
	err := s.s.Validate(doc)
	if err == nil {
		return nil
	}
	var fault *jsonschema.ValidationError
	if !errors.As(err, &fault) {
		return stoa.Wrap(stoa.Invalid, err, "the input does not fit this algorithm's schema")
	}
	told, more := faults(fault, nil), ""
	if len(told) > maxTold {
		more = fmt.Sprintf("; and %d more", len(told)-maxTold)
		told = told[:maxTold]
	}
	return stoa.Wrap(stoa.Invalid, err, "the input does not fit this algorithm's schema: %s%s", strings.Join(told, "; "), more)
}

var english = message.NewPrinter(language.English)

// faults lists the innermost causes: path and what is wrong there.
func faults(e *jsonschema.ValidationError, out []string) []string {
	if len(e.Causes) == 0 {
		return append(out, path(e.InstanceLocation)+": "+shorten(e.ErrorKind.LocalizedString(english)))
	}
	for _, c := range e.Causes {
		out = faults(c, out)
	}
	return out
}

// shorten keeps a fault readable: it may quote a whole value.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// path writes a place in a value as programmers do: input.boxes[2].width.
func path(tokens []string) string {
	var b bytes.Buffer
	b.WriteString("input")
	for _, t := range tokens {
		if _, err := strconv.Atoi(t); err == nil {
			b.WriteString("[" + t + "]")
		} else {
			b.WriteString("." + shorten(t))
		}
	}
	return b.String()
}

// costs is how many schemas a value meets at each schema, those of its parts
// counted once; more than maxCost where a schema refers to itself.
type costs map[*jsonschema.Schema]int

const endless = maxCost + 1

func (c costs) of(s *jsonschema.Schema, depth int) int {
	if s == nil {
		return 0
	}
	if n, ok := c[s]; ok {
		return n // endless while it is being counted: a circle
	}
	if depth > maxDepth {
		return endless
	}
	c[s] = endless
	n := 1
	for _, child := range children(s) {
		n = min(n+c.of(child, depth+1), endless)
	}
	c[s] = n
	return n
}

// children lists the schemas within a schema.
func children(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{
		s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties, s.Contains,
		s.Items2020, s.UnevaluatedItems, s.ContentSchema,
	}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		out = append(out, list...)
	}
	for _, m := range []map[string]*jsonschema.Schema{s.Properties, s.DependentSchemas} {
		for _, x := range m {
			out = append(out, x)
		}
	}
	for _, x := range s.PatternProperties {
		out = append(out, x)
	}
	for _, x := range s.Dependencies {
		out = append(out, anySchemas(x)...)
	}
	out = append(out, anySchemas(s.Items)...)
	out = append(out, anySchemas(s.AdditionalItems)...)
	return append(out, anySchemas(s.AdditionalProperties)...)
}

func anySchemas(v any) []*jsonschema.Schema {
	switch x := v.(type) {
	case *jsonschema.Schema:
		return []*jsonschema.Schema{x}
	case []*jsonschema.Schema:
		return x
	}
	return nil
}
