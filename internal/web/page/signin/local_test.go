package signin

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	for path, want := range map[string]string{
		"":                              "/",
		"/":                             "/",
		"/algorithms/demo/digits":       "/algorithms/demo/digits",
		"/a?version=1.0.0&x=%2F#y":      "/a?version=1.0.0&x=%2F#y",
		"//evil.example":                "/",
		"/\\evil.example":               "/",
		"/\t/evil.example":              "/",
		"/\n/evil.example":              "/",
		"https://evil.example":          "/",
		"javascript:alert(1)":           "/",
		"evil":                          "/",
		"/%zz":                          "/",
		"/a; url=//evil":                "/",
		"/" + strings.Repeat("a", 3000): "/",
	} {
		if got := local(path); got != want {
			t.Errorf("%.50q: %q, want %q", path, got, want)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "//a", "/\\a", "/\t/a", "/a?b#c", "http://a", "/..//a", "/%2f/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		base := &url.URL{Scheme: "http", Host: "here"}
		u, err := base.Parse(local(path))
		if err != nil || u.Host != "here" || u.Scheme != "http" || !strings.HasPrefix(local(path), "/") {
			t.Errorf("%q leads to %v, %v", path, u, err)
		}
	})
}
