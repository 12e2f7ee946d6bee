package langpack

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/manifest"
)

// confFile is the file by which Algorithmia's folders say what they are.
const confFile = "algorithmia.conf"

// Conf is what algorithmia.conf says. One of its templates misspells language.
type Conf struct {
	Owner    string `json:"username"`
	Name     string `json:"algoname"`
	Language string `json:"language"`
	Misspelt string `json:"langauge"` //nolint:misspell // as the template has it
}

// ReadConf reads a folder's algorithmia.conf; nil where there is none.
func ReadConf(src fs.FS) (*Conf, error) {
	f, err := src.Open(confFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s cannot be read", confFile)
	}
	defer f.Close()
	const most = 64 << 10 // it has three words
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s cannot be read", confFile)
	}
	c := new(Conf)
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), c); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s is no JSON object with username, algoname and language", confFile)
	}
	if c.Language == "" {
		c.Language = c.Misspelt
	}
	return c, nil
}

// Manifest makes the manifest of an Algorithmia folder that has no stoa.yaml.
func (c *Conf) Manifest(language string) *manifest.Manifest {
	m := &manifest.Manifest{Name: c.Name, Kind: manifest.KindCode, Code: &manifest.Code{Language: language}}
	if c.Owner != "" {
		m.Name = c.Owner + "/" + c.Name
	}
	return m
}

// Detect tells which language a folder is in: the one that the manifest names,
// or that algorithmia.conf does, or else the one whose files are there. m may be
// nil. Where two are as likely, or none is, the error says what was looked for.
func Detect(src fs.FS, m *manifest.Manifest) (*Language, error) {
	if m != nil && m.Code != nil && m.Code.Language != "" {
		return Find(m.Code.Language)
	}
	conf, err := ReadConf(src)
	if err != nil {
		return nil, err
	}
	if conf != nil && conf.Language != "" {
		for _, l := range known() {
			if l.Name() == conf.Language || slices.Contains(l.spec.Aliases, conf.Language) {
				return l, nil
			}
		}
		return nil, stoa.Errorf(stoa.Unsupported, "%s says language %.40q, which is not supported: set code.language in %s",
			confFile, conf.Language, manifest.FileName)
	}
	names := algorithmNames(m, conf)
	var looked []string
	for level := range deepest() {
		var found []*Language
		var because []string
		for _, l := range known() {
			if level >= len(l.spec.Detect) {
				continue
			}
			for _, p := range l.spec.Detect[level] {
				if hits := l.matches(src, p, names); len(hits) > 0 {
					found = append(found, l)
					because = append(because, l.Name()+" by "+hits[0])
					break
				}
			}
			looked = append(looked, l.spec.Detect[level]...)
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, stoa.Errorf(stoa.Invalid, "the language may be %s: set code.language in %s",
				strings.Join(because, " or "), manifest.FileName)
		}
	}
	slices.Sort(looked)
	return nil, stoa.Errorf(stoa.Invalid, "no language is recognised: none of %s is there; set code.language in %s",
		strings.Join(slices.Compact(looked), ", "), manifest.FileName)
}

func deepest() (n int) {
	for _, l := range known() {
		n = max(n, len(l.spec.Detect))
	}
	return n
}

// algorithmNames gives what an algorithm may be called in the names of its files.
func algorithmNames(m *manifest.Manifest, conf *Conf) (names []string) {
	add := func(name string) {
		name = name[strings.LastIndexByte(name, '/')+1:]
		if name != "" && !strings.ContainsAny(name, `*?[\`) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if m != nil {
		add(m.Name)
	}
	if conf != nil {
		add(conf.Name)
	}
	return names
}

// matches gives the files that a pattern names, without tests and what no bundle
// of the language holds.
func (l *Language) matches(src fs.FS, pattern string, names []string) (out []string) {
	patterns := []string{pattern}
	if strings.Contains(pattern, "{name}") {
		patterns = nil
		for _, n := range names {
			patterns = append(patterns, strings.ReplaceAll(pattern, "{name}", n))
		}
	}
	for _, p := range patterns {
		hits, _ := fs.Glob(src, p) // the pattern is checked when it is read
		for _, h := range hits {
			test := slices.ContainsFunc(l.spec.Tests, func(t string) bool { ok, _ := path.Match(t, path.Base(h)); return ok })
			if !test && !manifest.IgnoredByCode(h, l.spec.Ignore) {
				out = append(out, h)
			}
		}
	}
	return out
}

// entry gives the file that holds the author's code. src may be nil: then it is
// what the manifest or the algorithm's name says.
func (l *Language) entry(m *manifest.Manifest, src fs.FS) (string, error) {
	if m.Code != nil && m.Code.Entry != "" {
		return path.Clean(m.Code.Entry), nil
	}
	if len(l.spec.Entry) == 0 {
		return "", nil
	}
	if src == nil {
		names := algorithmNames(m, nil)
		if len(names) == 0 {
			return "", stoa.Errorf(stoa.Invalid, "code.entry is missing: name the file that holds apply")
		}
		return strings.ReplaceAll(l.spec.Entry[0], "{name}", names[0]), nil
	}
	conf, err := ReadConf(src)
	if err != nil {
		return "", err
	}
	names := algorithmNames(m, conf)
	for _, p := range l.spec.Entry {
		hits := l.matches(src, p, names)
		if strings.Contains(p, "{name}") && len(hits) > 0 || len(hits) == 1 {
			return hits[0], nil
		}
		if len(hits) > 1 {
			return "", stoa.Errorf(stoa.Invalid, "apply may be in %s: name the file in code.entry of %s",
				strings.Join(hits, " or "), manifest.FileName)
		}
	}
	looked := strings.Join(l.spec.Entry, ", ")
	if len(names) > 0 {
		looked = strings.ReplaceAll(looked, "{name}", names[0])
	}
	return "", stoa.Errorf(stoa.Invalid, "no file that holds apply: there is none of %s; name it in code.entry of %s", looked, manifest.FileName)
}
