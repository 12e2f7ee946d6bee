package blob_test

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"a", "stoa.yaml", "dir/net.prototxt", ".hidden", "a..b", "...", "Größe 1.png", "ab:c", "x/C:/y",
		strings.Repeat("a", 255), strings.Repeat("a/", 511) + "ab",
	} {
		if err := blob.CheckName(name); err != nil {
			t.Errorf("CheckName(%.40q): %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                         "empty",
		".":                        "clean",
		"..":                       "inside",
		"../x":                     "inside",
		"a/../b":                   "inside",
		"a/..":                     "inside",
		"./a":                      "clean",
		"a/./b":                    "clean",
		"a//b":                     "clean",
		"a/":                       "clean",
		"/a":                       "absolute",
		"//host/share":             "absolute",
		`a\b`:                      "backslash",
		`..\b`:                     "backslash",
		"C:/x":                     "drive",
		"c:x":                      "drive",
		"a\x00b":                   "control",
		"a\nb":                     "control",
		"a\x7f":                    "control",
		"a\u0085b":                 "control",
		"a\xff":                    "UTF-8",
		strings.Repeat("a", 256):   "255",
		strings.Repeat("a/b", 512): "1024",
	} {
		err := blob.CheckName(name)
		if stoa.KindOf(err) != stoa.Invalid || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckName(%.40q) = %v, want Invalid with %q", name, err, want)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a", "a/b", "../a", "a/../../b", "/a", "C:/a", "a\\b", "a\x00", "\xff", ".", "a//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if blob.CheckName(name) != nil {
			return
		}
		if !filepath.IsLocal(name) || path.Clean(name) != name {
			t.Errorf("%q was let through", name)
		}
		const root = "/some/root"
		if got := path.Join(root, name); got != root+"/"+name {
			t.Errorf("%q joins to %q", name, got)
		}
	})
}

func TestParseDigest(t *testing.T) {
	good := strings.Repeat("0af1", 16)
	if d, err := blob.ParseDigest(good); err != nil || string(d) != good {
		t.Errorf("ParseDigest(%q) = %q, %v", good, d, err)
	}
	for _, s := range []string{"", good[1:], good + "0", strings.ToUpper(good), strings.Repeat("g", 64), "../" + good[3:]} {
		if _, err := blob.ParseDigest(s); stoa.KindOf(err) != stoa.Invalid || err == nil {
			t.Errorf("ParseDigest(%q) = %v, want Invalid", s, err)
		}
	}
}
