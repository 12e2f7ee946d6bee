package algorithm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/web"
)

// schemaView is a JSON Schema for people.
type schemaView struct {
	Title string        // in or out
	Root  *property     // without a name
	Raw   template.HTML // the whole as JSON, coloured
}

// property is a member of an object, or what stands for one: an item of a list,
// an alternative.
type property struct {
	Name     string
	Joint    string // where it has no name: how it stands to those before it
	Type     string
	Required bool
	About    string   // its description
	Bounds   []string // such as "at least 1"
	Members  []property
}

// Bounds of what is shown: the whole is there as JSON.
const (
	maxDepth   = 6
	maxMembers = 100
)

// schemas gives those of a manifest.
func schemas(site *web.Site, pair *manifest.SchemaPair) []schemaView {
	var out []schemaView
	for _, s := range []struct {
		title string
		value any
	}{{site.Say("algorithm.in"), pair.Input}, {site.Say("algorithm.out"), pair.Output}} {
		if s.value == nil {
			continue
		}
		r := reader{site: site, root: s.value}
		root := r.read(s.value, 0)
		out = append(out, schemaView{Title: s.title, Root: &root, Raw: indented(s.value)})
	}
	return out
}

func indented(v any) template.HTML {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return ""
	}
	code, err := colour(strings.TrimSpace(b.String()), "json")
	if err != nil {
		return ""
	}
	return template.HTML(code) //nolint:gosec // the formatter escapes it
}

// reader reads a schema, and the definitions in it that it refers to.
type reader struct {
	site *web.Site
	root any
	seen int // members so far
}

// read tells what a schema asks for.
func (r *reader) read(v any, depth int) property {
	s, ok := r.resolve(v)
	if !ok {
		return property{Type: r.site.Say("algorithm.anything")}
	}
	p := property{Type: r.kind(s), About: str(s["description"]), Bounds: r.bounds(s)}
	if p.About == "" {
		p.About = str(s["title"])
	}
	if depth == maxDepth {
		return p
	}
	p.Members = r.members(s, depth)
	return p
}

// resolve follows references within the schema, as far as they lead.
func (r *reader) resolve(v any) (map[string]any, bool) {
	for range maxDepth {
		s, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		ref, ok := s["$ref"].(string)
		if !ok {
			return s, true
		}
		if v = r.lookUp(ref); v == nil {
			return s, true
		}
	}
	return nil, false
}

// lookUp finds what a reference such as #/$defs/point names; nil where that is
// not here.
func (r *reader) lookUp(ref string) any {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := r.root
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return at
}

// kind gives a schema's type in words.
func (r *reader) kind(s map[string]any) string {
	var names []string
	switch t := s["type"].(type) {
	case string:
		names = append(names, t)
	case []any:
		for _, n := range t {
			names = append(names, str(n))
		}
	}
	if f := str(s["format"]); f != "" && len(names) == 1 {
		names[0] += " (" + f + ")"
	}
	if items, ok := r.resolve(s["items"]); ok && len(names) == 1 && names[0] == "array" {
		if t := str(items["type"]); t != "" {
			return r.site.Say("algorithm.listof", t)
		}
	}
	switch {
	case len(names) > 0:
		return strings.Join(names, r.site.Say("algorithm.or"))
	case s["properties"] != nil:
		return "object"
	case s["enum"] != nil || s["const"] != nil:
		return r.site.Say("algorithm.oneof")
	case s["anyOf"] != nil || s["oneOf"] != nil:
		return r.site.Say("algorithm.alternatives")
	case str(s["$ref"]) != "":
		return str(s["$ref"])
	}
	return r.site.Say("algorithm.anything")
}

// keywords are those that bound a value, with the words that say so.
var keywords = []struct{ name, say string }{
	{"const", "algorithm.exactly"},
	{"default", "algorithm.default"},
	{"minimum", "algorithm.atleast"},
	{"exclusiveMinimum", "algorithm.above"},
	{"maximum", "algorithm.atmost"},
	{"exclusiveMaximum", "algorithm.below"},
	{"minLength", "algorithm.minlength"},
	{"maxLength", "algorithm.maxlength"},
	{"minItems", "algorithm.minitems"},
	{"maxItems", "algorithm.maxitems"},
	{"pattern", "algorithm.pattern"},
}

// maxChoices is how many values of an enum are listed.
const maxChoices = 12

func (r *reader) bounds(s map[string]any) []string {
	var out []string
	if all, ok := s["enum"].([]any); ok {
		var choices []string
		for _, c := range all[:min(len(all), maxChoices)] {
			choices = append(choices, literal(c))
		}
		if more := len(all) - len(choices); more > 0 {
			choices = append(choices, r.site.Say("algorithm.more", more))
		}
		out = append(out, strings.Join(choices, ", "))
	}
	for _, k := range keywords {
		if v, ok := s[k.name]; ok {
			out = append(out, r.site.Say(k.say, literal(v)))
		}
	}
	return out
}

// members gives what is below a schema: the members of an object, those required
// first, the items of a list, the alternatives.
func (r *reader) members(s map[string]any, depth int) []property {
	var out []property
	required := map[string]bool{}
	if list, ok := s["required"].([]any); ok {
		for _, n := range list {
			required[str(n)] = true
		}
	}
	add := func(name string, v any) {
		if r.seen++; r.seen > maxMembers {
			return
		}
		p := r.read(v, depth+1)
		p.Name, p.Required = name, required[name]
		out = append(out, p)
	}
	if all, ok := s["properties"].(map[string]any); ok {
		names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
			if required[a] != required[b] {
				if required[a] {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		for _, n := range names {
			add(n, all[n])
		}
	}
	if items, ok := r.resolve(s["items"]); ok {
		if items["properties"] != nil || items["items"] != nil || str(items["description"]) != "" {
			add("[ ]", items)
		}
	}
	named := len(out)
	for _, k := range []string{"anyOf", "oneOf", "allOf"} {
		joint := r.site.Say("algorithm.alternative")
		if k == "allOf" {
			joint = r.site.Say("algorithm.joint")
		}
		all, _ := s[k].([]any)
		for _, a := range all {
			add("", a)
		}
		for ; named < len(out); named++ {
			out[named].Joint = joint
		}
	}
	return out
}

// str gives a JSON string; "" for what is none.
func str(v any) string {
	s, _ := v.(string)
	return s
}

// literal writes a value as JSON does.
func literal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
