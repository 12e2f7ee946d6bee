package api

import (
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// File is a file of a bundle, about to be served.
type File struct {
	Name    string // in the bundle
	Content io.ReadSeeker
	ETag    string // its digest; "" for none
}

// inline are the types that a browser may show. All else is served as bytes to
// keep: a bundle is a stranger's, and must not run in this server's origin.
var inline = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/bmp": true,
	"audio/mpeg": true, "audio/wave": true, "video/mp4": true, "video/webm": true,
}

// ServeFile answers with a file, its type found out from its content and held
// to a safe set: pictures and the like as what they are, text as plain text,
// anything else as bytes. Ranges and If-None-Match work.
func ServeFile(w *Response, r *Request, f File) error {
	head := make([]byte, 512)
	n, err := io.ReadFull(f.Content, head)
	if err != nil && n == 0 && err != io.EOF {
		return stoa.Wrap(stoa.Internal, err, "%.200s could not be read", f.Name)
	}
	if _, err := f.Content.Seek(0, io.SeekStart); err != nil {
		return stoa.Wrap(stoa.Internal, err, "%.200s could not be read", f.Name)
	}
	h := w.Header()
	h.Set("Content-Type", safeType(f.Name, head[:n]))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if h.Get("Content-Type") == "application/octet-stream" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(f.Name)}))
	}
	if f.ETag != "" {
		h.Set("ETag", `"`+f.ETag+`"`)
	}
	http.ServeContent(w, r.Request, "", time.Time{}, f.Content)
	return nil
}

func safeType(name string, head []byte) string {
	sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
	switch {
	case inline[sniffed]:
		return sniffed
	case strings.HasPrefix(sniffed, "text/"):
		// HTML, SVG and XML too: as text they do nothing.
		if strings.EqualFold(path.Ext(name), ".json") {
			return "application/json"
		}
		return "text/plain; charset=utf-8"
	case len(head) == 0, isText(head):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// isText tells whether the start of a file is text, though it may break off
// within a character.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, size := utf8.DecodeRune(head)
		if r == utf8.RuneError && size == 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			return false
		}
		head = head[size:]
	}
	return true
}
