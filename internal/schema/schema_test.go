package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/schema"
)

func parse(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const boxes = `{"type":"object","required":["boxes"],"additionalProperties":false,"properties":{
	"boxes":{"type":"array","items":{"$ref":"#/$defs/box"}}},
	"$defs":{"box":{"type":"object","properties":{"width":{"type":"number","minimum":1}}}}}`

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name, schema, want string
		in                 stoa.Value
	}{
		{"fits", boxes, "", stoa.Value{Type: stoa.JSON, Data: []byte(`{"boxes":[{"width":2}]}`)}},
		{"deep", boxes, "input.boxes[1].width: minimum: got 0, want 1", stoa.Value{Type: stoa.JSON, Data: []byte(`{"boxes":[{"width":2},{"width":0}]}`)}},
		{"missing", boxes, "input: missing property 'boxes'", stoa.Value{Type: stoa.JSON, Data: []byte(`{}`)}},
		{"unknown", boxes, "input: additional properties 'b' not allowed", stoa.Value{Type: stoa.JSON, Data: []byte(`{"boxes":[],"b":1}`)}},
		{"text", `{"type":"string","maxLength":3}`, "", stoa.Value{Type: stoa.Text, Data: []byte("abc")}},
		{"long text", `{"type":"string","maxLength":3}`, "input: maxLength: got 4, want 3", stoa.Value{Type: stoa.Text, Data: []byte("abcd")}},
		{"bytes", `{"type":"string"}`, "the input is binary", stoa.Value{Type: stoa.Binary, Data: []byte("abcd")}},
		{"nothing", `{"type":"string"}`, "input: got null, want string", stoa.Value{Type: stoa.Void}},
		{"huge number", `{"type":"number","multipleOf":1}`, "no JSON", stoa.Value{Type: stoa.JSON, Data: []byte("1e999999999")}},
		{"many", `{"items":{"type":"number"}}`, "; and 2 more", stoa.Value{Type: stoa.JSON, Data: []byte(`["a","b","c","d","e"]`)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := schema.Compile("schema.input", parse(t, tc.schema))
			if err != nil {
				t.Fatal(err)
			}
			switch err := s.Check(tc.in); {
			case tc.want == "" && err == nil:
			case tc.want == "" || err == nil || stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, tc.want):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	var none *schema.Schema
	if err := none.Check(stoa.Value{Type: stoa.Binary}); err != nil {
		t.Errorf("no schema: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	doubling := &strings.Builder{}
	doubling.WriteString(`{"$ref":"#/$defs/d0","$defs":{"d30":{}`)
	for i := range 30 {
		fmt.Fprintf(doubling, `,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1)
	}
	doubling.WriteString("}}")
	for _, tc := range []struct{ name, schema, want string }{
		{"no schema", `{"type":"strin"}`, "schema.input is no JSON Schema"},
		{"a number", `3`, "schema.input is no JSON Schema"},
		{"elsewhere", `{"$ref":"https://example.com/x.json"}`, "is not loaded"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "is not loaded"},
		{"regexp", `{"pattern":"("}`, "schema.input is no JSON Schema"},
		{"itself", `{"properties":{"next":{"$ref":"#"}}}`, "refers to itself"},
		{"doubling", doubling.String(), "more than 1000 schemas"},
		{"long", `{"title":"` + strings.Repeat("x", 300<<10) + `"}`, "at most"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := schema.Compile("schema.input", parse(t, tc.schema))
			if err == nil || !strings.Contains(stoa.AsError(err).Msg, tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzSchema lets schemas and values be anything: an error or none, and an end.
func FuzzSchema(f *testing.F) {
	f.Add(boxes, `{"boxes":[{"width":2},{"width":0}]}`)
	f.Add(`{"items":{"pattern":"a*"},"uniqueItems":true}`, `["a","b"]`)
	f.Add(`{"$dynamicRef":"#x","$defs":{"y":{"$dynamicAnchor":"x"}}}`, `1`)
	f.Fuzz(func(t *testing.T, text, value string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		s, err := schema.Compile("schema.input", v)
		if err != nil {
			return
		}
		if err := s.Check(stoa.Value{Type: stoa.JSON, Data: []byte(value)}); err != nil && stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%v", err)
		}
	})
}
