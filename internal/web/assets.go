package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// dist holds what tools/bundle makes of the TypeScript and the styles here. It
// is committed, so that a build needs no bundler.
//
//go:generate go -C ../../tools run ./bundle ../internal/web
//go:embed dist
var dist embed.FS

// asset is a style or a script, served under a name that changes with its
// content.
type asset struct {
	path    string
	kind    string
	content []byte
	packed  func() []byte // by gzip
}

func readAssets() (map[string]*asset, error) {
	entries, err := dist.ReadDir("dist")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the site's files are not in this build")
	}
	out := map[string]*asset{}
	for _, e := range entries {
		b, err := dist.ReadFile("dist/" + e.Name())
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the site's file %s cannot be read", e.Name())
		}
		ext := path.Ext(e.Name())
		kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[ext]
		if kind == "" {
			return nil, stoa.Errorf(stoa.Internal, "the site's file %s is of no kind that it may serve", e.Name())
		}
		sum := sha256.Sum256(b)
		out[e.Name()] = &asset{
			path: "/assets/" + strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext,
			kind: kind, content: b, packed: sync.OnceValue(func() []byte { return pack(b) }),
		}
	}
	return out, nil
}

// pack compresses as well as gzip can: it is done once.
func pack(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return b
	}
	_, _ = z.Write(b) // into memory
	_ = z.Close()
	return out.Bytes()
}

// address gives where an asset is served; "" where there is none of that name.
func (s *Site) address(name string) string {
	if a := s.assets[name]; a != nil {
		return a.path
	}
	return ""
}

func (a *asset) serve(w *api.Response, r *api.Request) error {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	b := a.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		b = a.packed()
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // the reader may have gone
	return nil
}
