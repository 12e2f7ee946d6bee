package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// WriteJSON writes v as the answer, for routes that are not on the path of
// calls.
func WriteJSON(w *Response, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the answer could not be written as JSON")
	}
	WriteBody(w, status, append(b, '\n'))
	return nil
}

// WriteBody writes a finished JSON answer. b may be used again afterwards. An
// error of the connection is nobody's business: the caller is gone.
func WriteBody(w *Response, status int, b []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	// Below 2 KiB net/http counts for itself.
	if len(b) >= 2048 {
		h["Content-Length"] = []string{strconv.Itoa(len(b))}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// WriteError writes an error in the plain form that all doors share:
//
//	{"error":{"message":"…","error_type":"…"}}
//
// with error_type only where the error has one. What a person reads is Msg; the
// cause never leaves the server.
func WriteError(w *Response, _ *Request, e *stoa.Error) {
	ErrorHeaders(w, e)
	b := append(make([]byte, 0, 256), `{"error":{"message":`...)
	b = AppendString(b, Message(e))
	if e.Type != "" {
		b = AppendString(append(b, `,"error_type":`...), e.Type)
	}
	b = append(b, "}}"...)
	WriteBody(w, w.StatusFor(e), b)
}

// StatusFor gives the status with which an error is answered where the dialect
// has no row of its own: by its kind, or 405 where only the method was wrong.
func (w *Response) StatusFor(e *stoa.Error) int {
	if w.override != 0 {
		return w.override
	}
	return Status(e.Kind)
}

// ErrorHeaders sets the headers that belong to an error in any dialect.
func ErrorHeaders(w *Response, e *stoa.Error) {
	w.Note(e)
	h := w.Header()
	h.Set(KindHeader, e.Kind.String())
	switch {
	case e.Kind == stoa.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="stoa"`)
	case e.Kind == stoa.Busy || e.Kind == stoa.Unavailable || e.RetryAfter > 0:
		h.Set("Retry-After", retryAfter(e.RetryAfter))
	}
}

// Message gives what a person reads of an error; never nothing.
func Message(e *stoa.Error) string {
	if e.Msg == "" {
		return e.Kind.String()
	}
	return e.Msg
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD. It is encoding/json's result without the reflection, and without
// escaping <, > and &, which only matters inside HTML.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[start:i]...), "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// Status gives the status that was written, 0 for none yet.
func (w *Response) Status() int { return w.status }

var _ http.ResponseWriter = (*Response)(nil)
