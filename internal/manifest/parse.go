package manifest

// replaced by the media branch

import (
	"bytes"

	"github.com/goccy/go-yaml"

	"github.com/stoa-project/stoa"
)

// Parse reads a manifest strictly.
func Parse(fileName string, data []byte) (*Manifest, error) {
	var m Manifest
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&m); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "%s: %s", fileName, yaml.FormatError(err, false, false))
	}
	return &m, nil
}

// FileNames lists the files of the bundle that the manifest names.
func (m *Manifest) FileNames() []string {
	var out []string
	if m.Model != nil {
		out = append(out, m.Model.Files...)
	}
	for _, o := range m.Output {
		if o.Labels != nil && o.Labels.File != "" {
			out = append(out, o.Labels.File)
		}
	}
	if m.Sample != nil && m.Sample.File != "" {
		out = append(out, m.Sample.File)
	}
	return out
}
