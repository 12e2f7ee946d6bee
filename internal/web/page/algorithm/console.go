package algorithm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/web"
)

// console is what the form to try an algorithm is made of.
type console struct {
	Call    string // path of the very version that is shown
	Asked   bool   // without a version: code calls the newest
	Inputs  []consoleInput
	Samples []sample
	Picture bool   // the answer is a picture
	Jpeg    bool   // of that format, not PNG
	Grey    bool   // the network sees the lightness alone
	Sample  sample // the author's own; its zero value for none
	Printed bool   // who looks may see what the program prints
}

// consoleInput is one field of the form.
type consoleInput struct {
	Name  string // of the network's input
	Kind  string // picture, array, text, any
	Shape string
	As    string // of any: text, json or file, to begin with
	Text  string // of any: what stands there to begin with
}

// sample is something to try.
type sample struct {
	Name  string // to show
	URL   string // of the file; "" where Text holds it
	Type  string // content type of the call
	Text  string
	Thumb bool // the file is a picture
}

// input is an input of the network with its adapter.
type input struct {
	spec    tensor.Spec
	picture *media.Picture
}

// output is an output that is answered.
type output struct {
	media.Output
	spec tensor.Spec
}

func inputsOf(m *manifest.Manifest, r *importer.Report) []input {
	var out []input
	for _, s := range r.Inputs {
		i := input{spec: s}
		for _, in := range m.Input {
			if in.Name == s.Name || in.Name == "" && len(r.Inputs) == 1 {
				i.picture = in.Picture
			}
		}
		out = append(out, i)
	}
	return out
}

func outputsOf(m *manifest.Manifest, r *importer.Report) []output {
	var out []output
	if len(m.Output) == 0 {
		for _, s := range r.Outputs {
			out = append(out, output{spec: s})
		}
		return out
	}
	for _, o := range m.Output {
		x := output{Output: o}
		for _, s := range r.Outputs {
			if o.Name == s.Name || o.Name == "" && len(r.Outputs) == 1 {
				x.spec = s
			}
		}
		out = append(out, x)
	}
	return out
}

// The kinds of fields.
const (
	kindPicture = "picture"
	kindArray   = "array"
	kindText    = "text"
	kindAny     = "any" // a text, JSON or a file, as the visitor chooses
)

// What an input of kindAny is.
const (
	asText = "text"
	asJSON = "json"
	asFile = "file"
)

func newConsole(v *catalog.Version) (console, error) {
	c := console{Call: "/v1/algo/" + v.Owner + "/" + v.Name + "/" + v.Number.String()}
	m, err := manifest.FromJSON(v.Manifest)
	if err != nil {
		return c, err
	}
	if v.Kind == manifest.KindCode {
		c.program(v, m)
		return c, nil
	}
	var r importer.Report
	if len(v.Report) > 0 {
		if err := json.Unmarshal(v.Report, &r); err != nil {
			return c, err
		}
	}
	for _, in := range inputsOf(m, &r) {
		f := consoleInput{Name: in.spec.Name, Kind: kindArray, Shape: describe(in.spec)}
		if in.picture != nil {
			f.Kind = kindPicture
			c.Grey = c.Grey || in.picture.Colour == "lab-l"
		}
		c.Inputs = append(c.Inputs, f)
	}
	outs := outputsOf(m, &r)
	c.Picture = len(outs) == 1 && (outs[0].Lab != nil || outs[0].Picture != nil)
	if c.Picture {
		o := outs[0]
		c.Jpeg = o.Lab != nil && o.Lab.Format == "jpeg" || o.Picture != nil && o.Picture.Format == "jpeg"
	}
	c.samples(v, m.Sample)
	if len(c.Inputs) == 0 {
		c.Inputs = []consoleInput{{Kind: kindText}}
	}
	return c, nil
}

// program is the console of code: one input, which is whatever the sample is to
// begin with.
func (c *console) program(v *catalog.Version, m *manifest.Manifest) {
	in := consoleInput{Kind: kindAny, As: asText}
	c.Inputs = []consoleInput{in}
	c.samples(v, m.Sample)
	if len(c.Samples) == 0 && m.Schema != nil {
		c.Sample = schemaSample(m.Schema.Input)
	}
	switch first := c.body(); {
	case first.Type == "application/json":
		in.As, in.Text = asJSON, pretty(first.Text)
	case strings.HasPrefix(first.Type, "text/plain"):
		in.Text = c.Sample.Text
	default:
		in.As = asFile
	}
	c.Inputs[0] = in
}

// schemaSample gives something that may fit a schema: its own example, or no
// more than its form. Its zero value is given where a text may do.
func schemaSample(v any) sample {
	s, ok := v.(map[string]any)
	if !ok || s["type"] == "string" {
		return sample{}
	}
	example := any(map[string]any{})
	if s["type"] == "array" {
		example = []any{}
	}
	if d, ok := s["default"]; ok {
		example = d
	}
	if all, ok := s["examples"].([]any); ok && len(all) > 0 {
		example = all[0]
	}
	text := literal(example)
	if len(text) > maxInline {
		return sample{}
	}
	return sample{Type: "application/json", Text: text}
}

// pretty writes JSON over several lines, for people to change; what is none
// stays as it is.
func pretty(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// Single tells whether the value of a call is the one input, and no object with
// a member for each.
func (c console) Single() bool { return len(c.Inputs) == 1 }

// maxSamples is how many samples the page offers.
const maxSamples = 8

// samples finds what there is to try: the author's sample first, then the
// other samples of the bundle that fit the inputs.
func (c *console) samples(v *catalog.Version, s *manifest.Sample) {
	if own, ok := ownSample(v, s); ok {
		c.Sample = own
		c.Samples = append(c.Samples, own)
	}
	files := slices.SortedFunc(slices.Values(v.Files), func(a, b blob.File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range files {
		stem, in := strings.CutPrefix(strings.TrimSuffix(f.Name, path.Ext(f.Name)), "samples/")
		if !in || stem == "after" || len(c.Samples) == maxSamples || s != nil && f.Name == s.File {
			continue
		}
		if !c.Single() || !c.fits(f.Name) {
			continue
		}
		c.Samples = append(c.Samples, fileSample(v, f.Name))
	}
}

// fits tells whether a file may be a value of the only input.
func (c *console) fits(name string) bool {
	switch ext := strings.ToLower(path.Ext(name)); c.Inputs[0].Kind {
	case kindPicture:
		return web.IsPicture(name)
	case kindArray:
		return ext == ".npy" || ext == ".json"
	case kindAny:
		return ext != ".md"
	default:
		return ext == ".txt"
	}
}

func fileSample(v *catalog.Version, name string) sample {
	return sample{Name: path.Base(name), URL: web.FileURL(v, name), Type: manifest.MediaType(name), Thumb: web.IsPicture(name)}
}

// maxInline bounds a sample that stands in the page itself.
const maxInline = 4 << 10

// ownSample gives the sample of the manifest.
func ownSample(v *catalog.Version, s *manifest.Sample) (sample, bool) {
	switch {
	case s == nil:
		return sample{}, false
	case s.File != "":
		return fileSample(v, s.File), true
	case s.Text != "":
		return sample{Type: "text/plain", Text: s.Text}, len(s.Text) <= maxInline
	}
	b, err := json.Marshal(s.JSON)
	return sample{Type: "application/json", Text: string(b)}, err == nil && len(b) <= maxInline
}

// body gives the sample that code shows, or what stands for one.
func (c *console) body() sample {
	if c.Sample.Type != "" {
		return c.Sample
	}
	if len(c.Samples) > 0 {
		return c.Samples[0]
	}
	switch c.Inputs[0].Kind {
	case kindPicture:
		return sample{Name: "photo.jpg", Type: "image/jpeg"}
	case kindText, kindAny:
		return sample{Type: "text/plain", Text: "hello"}
	}
	return sample{Type: "application/json", Text: cmp.Or(c.blank(), "null")}
}

// blank gives JSON of the inputs' form with nothing in it.
func (c *console) blank() string {
	if c.Single() {
		return "[]"
	}
	members := map[string]any{}
	for _, in := range c.Inputs {
		members[in.Name] = []any{}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return ""
	}
	return string(b)
}
