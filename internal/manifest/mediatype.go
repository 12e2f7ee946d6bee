package manifest

import (
	"path"
	"strings"

	"github.com/stoa-project/stoa"
)

// MediaType tells by a file's name as what it is sent to an algorithm; whatever
// is not known goes as bytes.
func MediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return "application/json"
	case ".txt", ".md", ".csv":
		return "text/plain; charset=utf-8"
	case ".npy":
		return stoa.NpyMediaType
	case ".npz":
		return stoa.NpzMediaType
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	}
	return "application/octet-stream"
}
