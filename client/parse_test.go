package client

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

func TestParseTiming(t *testing.T) {
	got := parseTiming(`queue;dur=1.2, cache;desc="x",compute;dur=3,;dur=1, total;dur=abc`)
	want := []Timing{{"queue", 1200000}, {"compute", 3000000}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseTiming(f *testing.F) {
	f.Add("queue;dur=1.2, compute;dur=3")
	f.Add(";;dur=NaN,a;dur=1e999")
	f.Fuzz(func(t *testing.T, s string) {
		if got := parseTiming(s); len(got) > len(s) {
			t.Errorf("%d parts of %q", len(got), s)
		}
	})
}

// FuzzReadError reads whatever a server, or what stands before it, may answer.
func FuzzReadError(f *testing.F) {
	for _, s := range []string{`{"error":{"message":"m","error_type":"t"}}`, `{"error":"No such algorithm"}`, `{"error":null}`, `{"error":{}}`, "<html>", "", "[]", `{"error":7}`} {
		f.Add(404, "busy", "7", s)
	}
	f.Fuzz(func(t *testing.T, status int, kind, after, body string) {
		err := readError(&http.Response{
			StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body)),
			Header: http.Header{api.KindHeader: {kind}, "Retry-After": {after}},
		})
		e := stoa.AsError(err)
		if e.Msg == "" || e.RetryAfter < 0 {
			t.Errorf("%#v", e)
		}
	})
}
