package web

import (
	"net/url"
	"strings"

	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/manifest"
)

// IsPicture tells whether a file is one that browsers show, by its name.
func IsPicture(name string) bool { return strings.HasPrefix(manifest.MediaType(name), "image/") }

// FileURL gives the address of a file of a version, which never changes; "" for
// no file.
func FileURL(v *catalog.Version, name string) string {
	if name == "" {
		return ""
	}
	u := url.URL{Path: "/files/" + v.Owner + "/" + v.Name + "/" + name, RawQuery: "version=" + v.Number.String()}
	return u.String()
}

// SamplePicture gives the address of the picture that is a version's sample; ""
// where its sample is none.
func SamplePicture(v *catalog.Version) string {
	if name := v.SampleFile(); IsPicture(name) {
		return FileURL(v, name)
	}
	return ""
}
