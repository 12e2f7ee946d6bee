package stoa_test

import (
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]string{
		"demo/hello":                   "demo/hello",
		"algo://demo/hello":            "demo/hello",
		"/demo/hello/":                 "demo/hello",
		"Demo/He_110/1.0.2":            "Demo/He_110/1.0.2",
		"demo/hello/latest":            "demo/hello",
		"demo/hello/1.2.x":             "demo/hello/1.2.*",
		"demo/hello/latestprivate":     "demo/hello/latestPrivate",
		strings.Repeat("o", 30) + "/n": strings.Repeat("o", 30) + "/n",
	} {
		ref, err := stoa.ParseRef(in)
		if err != nil || ref.String() != want {
			t.Errorf("%q gives %q, %v", in, ref, err)
		}
	}
	for in, says := range map[string]string{
		"":                                "owner/name",
		"hello":                           "owner/name",
		"a/b/c/d":                         "owner/name",
		"1a/b":                            `owner "1a"`,
		"a-b/c":                           `owner "a-b"`,
		"a/_b":                            `algorithm name "_b"`,
		"a/b/newest":                      `version "newest"`,
		"ä/b":                             "owner",
		strings.Repeat("o", 31) + "/name": "at most 29",
		"o/" + strings.Repeat("n", 101):   "at most 99",
	} {
		_, err := stoa.ParseRef(in)
		if stoa.KindOf(err) != stoa.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %v, want %q", in, err, says)
		}
	}
}

func TestRefKey(t *testing.T) {
	a, _ := stoa.ParseRef("Demo/Hello/1.0.0")
	b, _ := stoa.ParseRef("demo/hello")
	if a.Key() != b.Key() || a.Key() != "demo/hello" {
		t.Errorf("%q and %q", a.Key(), b.Key())
	}
}

// FuzzRef reads what String wrote to the same reference, in bounded messages.
func FuzzRef(f *testing.F) {
	for _, s := range []string{"demo/hello", "algo://a/b/1.*", "//a/b", "a/b/" + strings.Repeat("f", 40), "a/b/1.2.3/", "a//b", "\x00/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := stoa.ParseRef(s)
		if err != nil {
			if len(err.Error()) > 700 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		if again, err := stoa.ParseRef(ref.String()); err != nil || again != ref {
			t.Errorf("%q gives %q, which gives %q, %v", s, ref, again, err)
		}
	})
}
