package manifest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stoa-project/stoa"
)

// Kinds of algorithms.
const (
	KindModel = "model"
	KindCode  = "code"
)

// What a replica of code gets where the manifest says nothing.
const (
	DefaultMemory    = 512 << 20
	DefaultProcesses = 128
	DefaultCPU       = 1.0
	DefaultDisk      = 64 << 20
	DefaultMax       = 4
	DefaultIdle      = 5 * time.Minute
	DefaultOutput    = 64 << 20
)

var (
	languageName = regexp.MustCompile(`^[a-z][a-z0-9+#-]{0,39}$`)
	// A host is a name or an address, alone or as *.name, with or without a port.
	hostPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	modelName   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
	hexDigest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// code checks what belongs to code, and that a manifest has the parts of its own
// kind only.
func (c *checker) code(m *Manifest) {
	if m.Kind != KindCode {
		c.foreign(m.Code != nil, "code", KindCode)
		c.foreign(m.Replicas != nil, "replicas", KindCode)
		return
	}
	c.foreign(m.Model != nil, "model", KindModel)
	c.foreign(len(m.Input) > 0, "input", KindModel)
	c.foreign(len(m.Output) > 0, "output", KindModel)
	c.foreign(len(m.Check) > 0, "check", KindModel)
	if m.Code != nil {
		c.program(m.Code)
	}
	if r := m.Replicas; r != nil {
		c.replicas(r)
	}
}

func (c *checker) foreign(there bool, field, kind string) { //nolint:revive // a fact of the manifest
	if there {
		c.add(field, "belongs to kind: %s", kind)
	}
}

func (c *checker) program(p *Code) {
	if p.Language != "" && !languageName.MatchString(p.Language) {
		c.add("code.language", "%.40q is no name of a language, such as python", p.Language)
	}
	executable := p.Language == "executable"
	if executable && len(p.Command) == 0 {
		c.add("code.command", "is missing: say what to start, such as [./run.sh]")
	}
	if !executable && len(p.Command) > 0 {
		c.add("code.command", "belongs to language: executable")
	}
	switch {
	case p.Protocol != "" && p.Protocol != "pipe" && p.Protocol != "frames":
		c.add("code.protocol", "%.40q is not known: write pipe or frames", p.Protocol)
	case p.Protocol != "" && !executable:
		c.add("code.protocol", "belongs to language: executable")
	}
	if p.Entry != "" {
		c.file("code.entry", p.Entry)
	}
	for i, a := range p.Command {
		if a == "" || strings.ContainsRune(a, 0) {
			c.add(fmt.Sprintf("code.command[%d]", i), "is empty, or holds a NUL")
		}
	}
	if p.Concurrency < 0 || p.Concurrency > 1000 {
		c.add("code.concurrency", "%d: from 1 to 1000", p.Concurrency)
	}
	for i, s := range p.Ignore {
		if _, err := path.Match(s, ""); err != nil {
			c.add(fmt.Sprintf("code.ignore[%d]", i), "%.100q is no pattern", s)
		}
	}
	for i, h := range p.Network {
		if !hostPattern.MatchString(h) {
			c.add(fmt.Sprintf("code.network[%d]", i), "%.100q is no host: write api.example.com, *.example.com or example.com:443", h)
		}
	}
	c.codeModels(p.Models)
}

func (c *checker) codeModels(list []CodeModel) {
	if len(list) > maxFiles {
		c.add("code.models", "there are %d: at most %d", len(list), maxFiles)
		return
	}
	var names []string
	for i, m := range list {
		at := fmt.Sprintf("code.models[%d]", i)
		if !modelName.MatchString(m.Name) {
			c.add(at+".name", "%.100q: letters, digits, dots, underscores and dashes", m.Name)
		}
		if slices.Contains(names, m.Name) {
			c.add(at+".name", "%.100q is there twice", m.Name)
		}
		names = append(names, m.Name)
		c.file(at+".file", m.File)
		if m.SHA256 != "" && !hexDigest.MatchString(m.SHA256) {
			c.add(at+".sha256", "write 64 lower-case hexadecimal digits")
		}
		if m.From == "" {
			continue
		}
		if _, err := stoa.ParseRef(m.From); err != nil {
			c.add(at+".from", "%s", stoa.AsError(err).Msg)
		}
		if m.SHA256 == "" {
			c.add(at+".sha256", "is missing: a file of another algorithm needs its hash")
		}
	}
}

func (c *checker) replicas(r *Replicas) {
	most := r.Max
	if most == 0 {
		most = DefaultMax
	}
	if r.Min < 0 || r.Min > most {
		c.add("replicas.min", "%d: from 0 to max, which is %d", r.Min, most)
	}
	if r.Max < 0 || r.Max > 100 {
		c.add("replicas.max", "%d: from 1 to 100", r.Max)
	}
	if r.Idle != "" {
		if d, err := time.ParseDuration(r.Idle); err != nil || d < time.Second {
			c.add("replicas.idle", "%.40q: write a time of a second or more, such as 10m", r.Idle)
		}
	}
}

// codeLimits checks the limits that only code has.
func (c *checker) codeLimits(m *Manifest) {
	l := m.Limits
	if l == nil {
		return
	}
	if m.Kind != KindCode {
		c.foreign(l.Output != "", "limits.output", KindCode)
		c.foreign(l.CPU != 0, "limits.cpu", KindCode)
		c.foreign(l.Processes != 0, "limits.processes", KindCode)
		c.foreign(l.Disk != "", "limits.disk", KindCode)
		return
	}
	if l.CPU < 0 || l.CPU > 1024 {
		c.add("limits.cpu", "%g: from 0 to 1024", l.CPU)
	}
	if l.Processes < 0 || l.Processes > 10_000 {
		c.add("limits.processes", "%d: from 1 to 10000", l.Processes)
	}
}

// IgnoredByCode tells whether a file of an author's folder stays out of a bundle
// of code: hidden ones, and those that a pattern matches, by their name, their
// path, or the name or path of a folder that they are in. patterns are the
// manifest's and the language's.
func IgnoredByCode(name string, patterns []string) bool {
	if IsHidden(name) {
		return true
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		whole := strings.Join(parts[:i+1], "/")
		for _, p := range patterns {
			if ok, _ := path.Match(p, parts[i]); ok {
				return true
			}
			if ok, _ := path.Match(p, whole); ok {
				return true
			}
		}
	}
	return strings.ContainsFunc(name, unicode.IsControl)
}
