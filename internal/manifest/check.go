package manifest

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
)

type fault = media.Fault

const (
	maxTagline = 200
	maxTags    = 20
	maxTag     = 40
	maxFile    = 255 // bytes of a name
	maxFiles   = 1000
	maxName    = 100 // as the root package has it
)

var blobKey = regexp.MustCompile(`^.+\.[0-9]{1,4}$`)

// check looks for what is wrong with a manifest whose fields have the right
// types.
func check(m *Manifest) []fault {
	var c checker
	c.identity(m)
	c.model(m)
	c.faults = append(c.faults, media.Check(m.Input, m.Output)...)
	for i, o := range m.Output {
		if o.Labels != nil && o.Labels.File != "" {
			c.file(fmt.Sprintf("output[%d].labels.file", i), o.Labels.File)
		}
	}
	c.sample(m.Sample)
	c.checks(m.Check)
	c.limits(m.Limits)
	c.code(m)
	c.codeLimits(m)
	return c.faults
}

type checker struct{ faults []fault }

func (c *checker) add(field, format string, args ...any) {
	c.faults = append(c.faults, fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (c *checker) identity(m *Manifest) {
	if m.Name != "" {
		if strings.Contains(m.Name, "/") {
			ref, err := stoa.ParseRef(m.Name)
			if err != nil {
				c.add("name", "%s", stoa.AsError(err).Msg)
			} else if ref.String() != m.Name || !ref.Version.IsZero() {
				c.add("name", "%.100q: write owner/name, or name alone", m.Name)
			}
		} else if !stoa.IsName(m.Name, maxName) {
			c.add("name", "%.100q: a letter, then at most %d letters, digits or underscores", m.Name, maxName-1)
		}
	}
	switch m.Kind {
	case KindModel, KindCode:
	case "":
		c.add("kind", "is missing: write kind: model, or kind: code")
	case "pipeline":
		c.add("kind", "%s is not there yet: this release has model and code", m.Kind)
	default:
		c.add("kind", "%.40q is not known: write model or code", m.Kind)
	}
	c.line("tagline", m.Tagline, maxTagline)
	c.line("licence", m.Licence, maxTagline)
	if len(m.Tags) > maxTags {
		c.add("tags", "there are %d: at most %d", len(m.Tags), maxTags)
	}
	for i, t := range m.Tags[:min(len(m.Tags), maxTags)] {
		field := fmt.Sprintf("tags[%d]", i)
		c.line(field, t, maxTag)
		if strings.TrimSpace(t) == "" {
			c.add(field, "is empty")
		}
		if slices.Contains(m.Tags[:i], t) {
			c.add(field, "%.40q is there twice", t)
		}
	}
	if v := m.Visibility; v != "" && v != "private" && v != "public" {
		c.add("visibility", "%.40q is not known: write private or public", v)
	}
}

// line checks a text that must be one line.
func (c *checker) line(field, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		c.add(field, "has %d characters: at most %d", n, limit)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		c.add(field, "must be one line")
	}
}

// maxChecks bounds what a push has to compute.
const maxChecks = 100

func (c *checker) checks(list []Check) {
	if len(list) > maxChecks {
		c.add("check", "there are %d: at most %d", len(list), maxChecks)
		return
	}
	for i, k := range list {
		at := fmt.Sprintf("check[%d]", i)
		for what, files := range map[string][]string{"input": k.Input, "output": k.Output} {
			if len(files) == 0 {
				c.add(at+"."+what, "is missing: name an npy file for each %s of the network", what)
			}
			for j, f := range files[:min(len(files), maxFiles)] {
				c.file(fmt.Sprintf("%s.%s[%d]", at, what, j), f)
			}
		}
		if k.Tolerance < 0 || k.Tolerance > 1 {
			c.add(at+".tolerance", "%g: from 0 to 1", k.Tolerance)
		}
	}
}

func (c *checker) model(m *Manifest) {
	if m.Model == nil {
		if m.Kind == KindModel {
			c.add("model", "is missing: it says which files hold the network")
		}
		return
	}
	if len(m.Model.Files) == 0 {
		c.add("model.files", "is missing: name the files that hold the network")
	}
	if len(m.Model.Files) > maxFiles {
		c.add("model.files", "there are %d: at most %d", len(m.Model.Files), maxFiles)
		return
	}
	for i, f := range m.Model.Files {
		field := fmt.Sprintf("model.files[%d]", i)
		c.file(field, f)
		if slices.Contains(m.Model.Files[:i], f) {
			c.add(field, "%.100q is there twice", f)
		}
	}
	c.names("model.inputs", m.Model.Inputs)
	c.names("model.outputs", m.Model.Outputs)
	for _, k := range slices.Sorted(maps.Keys(m.Model.Blobs)) {
		field := "model.blobs." + k
		if !blobKey.MatchString(k) {
			c.add(field, "write layer.index, such as conv1.0")
		}
		if f := m.Model.Blobs[k]; c.file(field, f) && !strings.HasSuffix(f, ".npy") {
			c.add(field, "%.100q is no .npy file", f)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m.Model.Shapes)) {
		c.shape("model.shapes."+k, m.Model.Shapes[k])
	}
}

// shape holds a shape to what networks have.
func (c *checker) shape(field string, shape []int64) {
	const maxRank = 8
	if len(shape) > maxRank {
		c.add(field, "there are %d sizes: at most %d", len(shape), maxRank)
	}
	for i, n := range shape {
		if n < 1 && n != -1 {
			c.add(fmt.Sprintf("%s[%d]", field, i), "%d is no size: write 1 or more, or -1 for one that is free", n)
		}
	}
}

func (c *checker) names(field string, names []string) {
	if len(names) > maxFiles {
		c.add(field, "there are %d: at most %d", len(names), maxFiles)
		return
	}
	for i, n := range names {
		at := fmt.Sprintf("%s[%d]", field, i)
		if n == "" {
			c.add(at, "is empty")
		}
		if slices.Contains(names[:i], n) {
			c.add(at, "%.100q is there twice", n)
		}
	}
}

// file checks the name of a file of the bundle.
func (c *checker) file(field, name string) bool {
	if name == "" || name == "." || len(name) > maxFile || !fs.ValidPath(name) || strings.ContainsFunc(name, notInName) {
		c.add(field, "%.100q is no file of the bundle: write its path from the manifest's folder, with / and without ..", name)
		return false
	}
	return true
}

func notInName(r rune) bool { return r == '\\' || unicode.IsControl(r) }

func (c *checker) sample(s *Sample) {
	if s == nil {
		return
	}
	var forms []string
	if s.File != "" {
		forms = append(forms, "file")
		c.file("sample.file", s.File)
	}
	if s.Text != "" {
		forms = append(forms, "text")
	}
	if s.JSON != nil {
		forms = append(forms, "json")
	}
	switch len(forms) {
	case 0:
		c.add("sample", "needs file, text or json")
	case 1:
	default:
		c.add("sample."+forms[1], "contradicts %s: a sample has one form", forms[0])
	}
}

func (c *checker) limits(l *Limits) {
	if l == nil {
		return
	}
	if l.Timeout != "" {
		if _, err := ParseTimeout(l.Timeout); err != nil {
			c.add("limits.timeout", "%s", stoa.AsError(err).Msg)
		}
	}
	for _, f := range []struct{ field, size string }{{"limits.memory", l.Memory}, {"limits.body", l.Body}, {"limits.output", l.Output}, {"limits.disk", l.Disk}} {
		if f.size == "" {
			continue
		}
		if _, err := ParseSize(f.size); err != nil {
			c.add(f.field, "%s", stoa.AsError(err).Msg)
		}
	}
}
