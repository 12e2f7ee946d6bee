package catalog

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/blob"
)

// maxReadme is how much of a README is looked through. The words by which one
// would be found stand above that.
const maxReadme = 64 << 10

// readmeNames are the names under which a README is looked for, the first of
// them that is there, in any case.
var readmeNames = []string{"readme.md", "readme", "readme.txt"}

// Readme gives the file among a version's that is its README.
func Readme(files []blob.File) (blob.File, bool) {
	for _, name := range readmeNames {
		i := slices.IndexFunc(files, func(f blob.File) bool { return strings.EqualFold(f.Name, name) })
		if i >= 0 {
			return files[i], true
		}
	}
	return blob.File{}, false
}

// readme gives the text of a push's README; "" where it has none.
func (c *Catalog) readme(ctx context.Context, p *push) (string, error) {
	f, ok := Readme(p.files)
	if !ok {
		return "", nil
	}
	src, err := c.cfg.Blobs.Open(ctx, f.Digest)
	if err != nil {
		return "", err
	}
	defer src.Close()
	b, err := io.ReadAll(io.LimitReader(src, maxReadme+1))
	if err != nil {
		return "", err
	}
	return plainText(string(b)), nil
}

// plainText cuts s to maxReadme at a character, and takes out what is no text.
func plainText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(cutText(s, maxReadme), "\uFFFD"), "\x00", "\uFFFD")
}

// FrameworkOf gives the framework that an import's report names; "" where it
// names none.
func FrameworkOf(report json.RawMessage) string {
	var r struct {
		Framework string `json:"framework"`
	}
	if json.Unmarshal(report, &r) != nil {
		return ""
	}
	return r.Framework
}
