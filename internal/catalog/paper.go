package catalog

import (
	"encoding/json"
	"strings"

	"github.com/stoa-project/stoa/internal/manifest"
)

// IsPaper tells whether everybody who may call a version may read one of its
// files: README, licence and notices, the samples, and the manifest's own sample
// wherever it lies. The weights of an algorithm are not given away by letting
// people call it.
func (v *Version) IsPaper(name string) bool {
	return manifest.IsPaper(name) || strings.HasPrefix(name, "samples/") || name != "" && name == v.SampleFile()
}

// SampleFile gives the file that the manifest names as its sample; "" where it
// names none.
func (v *Version) SampleFile() string {
	var m struct {
		Sample struct {
			File string `json:"file"`
		} `json:"sample"`
	}
	if json.Unmarshal(v.Manifest, &m) != nil {
		return "" // of a build that wrote other manifests
	}
	return m.Sample.File
}
