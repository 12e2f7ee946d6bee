package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTheBrowserTellsWhatGoesWrong holds the other tests' ears open: each kind
// of fault is heard.
func TestTheBrowserTellsWhatGoesWrong(t *testing.T) {
	browser(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		if r.URL.RawQuery == "policy" {
			w.Header().Set("Content-Security-Policy", "default-src 'none'")
		}
		_, _ = w.Write([]byte(map[string]string{
			"policy":    `<title>t</title><body><script>1</script><p style="color:red">p</p>`,
			"exception": `<title>t</title><body><script>throw new Error("boom")</script>`,
			"rejection": `<title>t</title><body><script>Promise.reject(new Error("boom"))</script>`,
			"console":   `<title>t</title><body><script>console.error("boom")</script>`,
			"missing":   `<title>t</title><body><img src="/no.png">`,
		}[r.URL.RawQuery]))
	}))
	defer s.Close()
	for kind, want := range map[string]string{
		"policy": "Content Security Policy", "exception": "boom", "rejection": "boom", "console": "boom", "missing": "404",
	} {
		b := open(t, s.URL)
		b.visit("/?" + kind)
		b.until("a complaint", "document.readyState === 'complete'")
		heard := strings.Join(b.wrong(), "\n")
		if !strings.Contains(heard, want) {
			t.Errorf("%s: heard %q", kind, heard)
		}
		b.allow("") // heard is enough
	}
	b := open(t, s.URL)
	b.visit("/?fine")
}
