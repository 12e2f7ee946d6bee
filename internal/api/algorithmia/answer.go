package algorithmia

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// Answers up to keptBuffer are written into buffers that are used again.
const keptBuffer = 1 << 20

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// writeResult writes a success as clients want it to the letter: metadata, then
// result; content_type and duration, and nothing else unless asked for.
func (a *API) writeResult(w *api.Response, r *api.Request, o outcome) {
	p, _ := buffers.Get().(*[]byte)
	b := (*p)[:0]
	v := asText(o.result.Value)
	b = append(b, `{"metadata":{"content_type":"`...)
	b = append(b, v.Type...)
	b = append(b, `","duration":`...)
	b = strconv.AppendFloat(b, o.seconds(), 'f', -1, 64)
	if o.query.stdout && a.owns(r, o.call.Ref) {
		b = appendPrinted(b, &o.result)
	}
	if o.query.timing {
		b = appendTiming(b, &o)
	}
	b = append(b, `},"result":`...)
	b = appendValue(b, v)
	b = append(b, '}')
	api.WriteBody(w, http.StatusOK, b)
	if cap(b) <= keptBuffer {
		*p = b
	}
	buffers.Put(p)
}

// appendPrinted writes metadata.stdout, which holds both streams, as Algorithmia
// had it, and metadata.stderr, which holds the second alone where there is any.
func appendPrinted(b []byte, res *stoa.Result) []byte {
	out := res.Stdout
	if out != "" && res.Stderr != "" && out[len(out)-1] != '\n' {
		out += "\n"
	}
	b = api.AppendString(append(b, `,"stdout":`...), out+res.Stderr)
	if res.Stderr == "" {
		return b
	}
	return api.AppendString(append(b, `,"stderr":`...), res.Stderr)
}

// appendTiming writes metadata.timing, in seconds.
func appendTiming(b []byte, o *outcome) []byte {
	u := &o.result.Usage
	part := func(name string, d time.Duration) {
		b = append(append(append(b, '"'), name...), `":`...)
		b = strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
		b = append(b, ',')
	}
	b = append(b, `,"timing":{`...)
	part("queue", u.Queue)
	part("load", u.Load)
	part("batch", u.Batch)
	b = append(b, `"running":`...)
	b = strconv.AppendFloat(b, o.seconds(), 'f', -1, 64)
	b = append(b, `,"total":`...)
	b = strconv.AppendFloat(b, max(o.ended.Sub(o.call.Received), 1).Seconds(), 'f', -1, 64)
	return append(b, '}')
}

// asText turns a JSON string into text: the contract knows no other reading.
func asText(v stoa.Value) stoa.Value {
	if v.Type != stoa.JSON {
		return v
	}
	for i, c := range v.Data {
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '"':
			var s string
			if json.Unmarshal(v.Data[i:], &s) == nil {
				return stoa.Value{Type: stoa.Text, Data: []byte(s)}
			}
		}
		break
	}
	return v
}

// appendValue writes a result as JSON.
func appendValue(b []byte, v stoa.Value) []byte {
	switch v.Type {
	case stoa.JSON:
		return append(b, v.Data...)
	case stoa.Text:
		return api.AppendString(b, v.Data)
	case stoa.Binary:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Data)
		return append(b, '"')
	case stoa.Void:
	}
	return append(b, "null"...)
}

// rawTypes are the media types that a raw answer may have: a page of this
// server must never be something that a browser runs, so no HTML and no SVG.
var rawTypes = map[string][]string{
	"image/png": {"image/png"}, "image/jpeg": {"image/jpeg"}, "image/gif": {"image/gif"},
	"image/webp": {"image/webp"}, "image/bmp": {"image/bmp"}, "image/tiff": {"image/tiff"},
	stoa.NpyMediaType: {stoa.NpyMediaType}, stoa.NpzMediaType: {stoa.NpzMediaType},
}

var (
	textType   = []string{"text/plain; charset=utf-8"}
	jsonType   = []string{"application/json"}
	binaryType = []string{"application/octet-stream"}
)

// writeRaw writes the bare result: text without quotation marks, JSON as it is,
// binary as its bytes.
func writeRaw(w *api.Response, v stoa.Value) {
	v = asText(v)
	h := w.Header()
	switch v.Type {
	case stoa.Text:
		h["Content-Type"] = textType
	case stoa.JSON:
		h["Content-Type"] = jsonType
	case stoa.Binary:
		if h["Content-Type"] = rawTypes[v.MediaType]; h["Content-Type"] == nil {
			h["Content-Type"] = binaryType
		}
	case stoa.Void:
		w.WriteHeader(http.StatusOK)
		return
	}
	h["Content-Length"] = []string{strconv.Itoa(len(v.Data))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(v.Data)
}
