package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/web"
)

// source gives the files of the site that match a pattern, with their texts.
func source(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[f] = string(b)
		}
	}
	return out
}

// TestWordsStandInOnePlace holds templates to words.json: between tags, and in
// the attributes that people hear or see, there is no text of their own.
func TestWordsStandInOnePlace(t *testing.T) {
	action := regexp.MustCompile(`(?s){{.*?}}`)
	tag := regexp.MustCompile(`(?s)<[^>]*>`)
	spoken := regexp.MustCompile(`(?:aria-label|title|alt|placeholder)="([^"]*)"`)
	code := regexp.MustCompile(`(?s)<code>.*?</code>`)
	letters := regexp.MustCompile(`\pL{2,}`)
	for name, text := range source(t, "*.tmpl", "page/*/*.tmpl") {
		bare := code.ReplaceAllString(action.ReplaceAllString(text, ""), "")
		for _, m := range spoken.FindAllStringSubmatch(bare, -1) {
			if letters.MatchString(m[1]) {
				t.Errorf("%s: %q is not in words.json", name, m[1])
			}
		}
		if words := letters.FindAllString(tag.ReplaceAllString(bare, " "), -1); len(words) > 0 {
			t.Errorf("%s: %q is not in words.json", name, words)
		}
	}
}

// TestEveryWordIsUsed finds words that no template, script or Go file says.
func TestEveryWordIsUsed(t *testing.T) {
	b, err := os.ReadFile("words.json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]map[string]string
	if err := json.Unmarshal(b, &words); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, text := range source(t, "*.tmpl", "*.go", "page/*/*.tmpl", "page/*/*.go", "page/*/*.ts", "part/*.ts") {
		all.WriteString(text)
	}
	for section, names := range words {
		for name := range names {
			if key := section + "." + name; !regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `\b`).MatchString(all.String()) {
				t.Errorf("nobody says %s", key)
			}
		}
	}
}

func TestAPageSaysOnlyWhatThereIs(t *testing.T) {
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{{define "main"}}{{say "no.such"}}{{end}}`: `no "no.such"`,
		`{{define "main"}}{{end`:                    "cannot be read",
	} {
		_, err := site.Page(fstest.MapFS{"p.tmpl": &fstest.MapFile{Data: []byte(text)}}, "p")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := site.Page(fstest.MapFS{}, "p"); err == nil {
		t.Error("a page without a template passed")
	}
}

func TestSayFillsIn(t *testing.T) {
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := site.Say("no.such"); got != "no.such" {
		t.Errorf("%q", got)
	}
	if got := site.Say("site.name"); got != "Stoa" {
		t.Errorf("%q", got)
	}
}

// TestAssetsAreSmall holds scripts and styles to what a slow line carries at
// once, and serves them packed to who can unpack.
func TestAssetsAreSmall(t *testing.T) {
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Config{Doors: []api.Door{site.Door()}})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, r := range site.Door().Routes {
		plain, packed := fetch(t, h, r.Pattern, ""), fetch(t, h, r.Pattern, "br, gzip")
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatalf("%s: %v", r.Pattern, err)
		}
		size := packed.Body.Len()
		b, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(b, plain.Body.Bytes()) || packed.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: packed and plain differ, %v", r.Pattern, err)
		}
		if cc := plain.Header().Get("Cache-Control"); !strings.Contains(cc, "immutable") || plain.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v", r.Pattern, plain.Header())
		}
		if strings.HasSuffix(r.Pattern, ".js") {
			total += size
		}
	}
	if total > 40_000 {
		t.Errorf("all scripts together have %d bytes, packed", total)
	}
}

func fetch(t *testing.T, h http.Handler, path, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w
}

func TestErrorsArePages(t *testing.T) {
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Config{Doors: []api.Door{site.Door(api.Route{
		Method: http.MethodGet, Pattern: "/bad", Access: api.Anyone, Serve: func(*api.Response, *api.Request) error {
			return stoa.Errorf(stoa.Conflict, "<b>taken</b>")
		},
	})}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/bad", nil))
	if body := w.Body.String(); w.Code != http.StatusConflict || !strings.Contains(body, "<h1>Conflict</h1>") || !strings.Contains(body, "&lt;b&gt;taken") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v %s", w.Code, w.Header(), body)
	}
}
