package api

import (
	"net/http"
	"strings"
)

// Key gives the API key of a request, "" where there is none. Clients write it
// as "Simple KEY", as "Bearer KEY", or bare; the scheme's case does not matter.
func Key(h http.Header) string {
	values := h["Authorization"]
	if len(values) == 0 {
		return ""
	}
	v := strings.TrimSpace(values[0])
	if len(v) > 7 && v[6] == ' ' && (strings.EqualFold(v[:6], "simple") || strings.EqualFold(v[:6], "bearer")) {
		return strings.TrimSpace(v[7:])
	}
	return v
}
