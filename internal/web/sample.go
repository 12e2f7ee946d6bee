package web

import (
	"net/url"
	"path"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
)

// MediaType gives the content type under which a file of a bundle is sent to an
// algorithm.
func MediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain"
	case ".npy":
		return stoa.NpyMediaType
	}
	return "application/octet-stream"
}

// IsPicture tells whether a file is one that browsers show, by its name.
func IsPicture(name string) bool { return strings.HasPrefix(MediaType(name), "image/") }

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
