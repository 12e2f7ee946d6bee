package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                        nil,
		" \t--- ":                 nil,
		"Face detect":             {"face", "detect"},
		"face_detect-2":           {"face", "detect", "2"},
		`"net" AND net*`:          {"net", "and"},
		"\xffnet\x00x":            {"net", "x"},
		"\u0300 e\u0301a":         {"e\u0301a"},
		"a b c d e f g h i j k l": {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"},
		strings.Repeat("é", 60):   {strings.Repeat("é", 50)},
	} {
		if diff := cmp.Diff(want, catalog.Words(text)); diff != "" {
			t.Errorf("%q: want -, got +\n%s", text, diff)
		}
	}
}

// withReadme makes a push whose README has that name and text.
func withReadme(name, readme, content string) (catalog.PushRequest, map[blob.Digest]string) {
	r, blobs := request("net", "public", content)
	r.Files = append(r.Files, file(name, readme))
	blobs[digest(readme)] = readme
	return r, blobs
}

func TestReadmeIsFound(t *testing.T) {
	for _, c := range []struct{ name, readme, finds, not string }{
		{"README.md", "# Colours\n\nA *hypercolumn* network.", "hypercol", "elephant"},
		{"readme", "plain words", "plain words", "elephant"},
		{"Readme.TXT", "plain words", "plain", "elephant"},
		{"docs/README.md", "plain words", "net", "plain"},
		{"README.md", strings.Repeat("é", 32<<10) + " beyond", "net", "beyond"},
		{"README.md", "bytes \xff\x00 that are no text", "bytes text", "beyond"},
	} {
		e := open(t)
		r, blobs := withReadme(c.name, c.readme, "c1")
		if _, _, err := e.push(ada, r, blobs); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int{c.finds: 1, c.not: 0} {
			found, err := e.Search(t.Context(), stoa.Caller{}, catalog.Query{Text: text})
			if err != nil || found.Total != want || len(found.Versions) != want {
				t.Errorf("%s, %q: %d found, %v", c.name, text, found.Total, err)
			}
		}
	}
}

func TestReadme(t *testing.T) {
	files := []blob.File{file("a", ""), file("README.txt", "t"), file("docs/README.md", "d"), file("readme.MD", "m")}
	if f, ok := catalog.Readme(files); !ok || f.Name != "readme.MD" {
		t.Errorf("%v %v", f, ok)
	}
	if f, ok := catalog.Readme(files[:2]); !ok || f.Name != "README.txt" {
		t.Errorf("%v %v", f, ok)
	}
	if _, ok := catalog.Readme(files[:1]); ok {
		t.Error("a README was found where there is none")
	}
}

// Strangers and other users see public versions only, whatever they ask for,
// and the counts tell them no more.
func TestSearchShowsNothingPrivate(t *testing.T) {
	e := open(t)
	e.publish(ada, "secret", "private", "c1")
	e.publish(ada, "shown", "public", "c1")
	e.publish(ada, "shown", "private", "c2")
	for _, who := range []stoa.Caller{{}, bob} {
		for _, q := range []catalog.Query{{}, {Text: "greets"}, {Text: "secret"}, {Owner: "ada"}, {Kind: "model"}, {Framework: "fake", Text: "s"}} {
			found, err := e.Search(t.Context(), who, q)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(found.Versions, func(v *catalog.Version) bool { return !v.Public }) || found.Total > 1 ||
				slices.ContainsFunc(found.Kinds, func(f catalog.Facet) bool { return f.Count > 1 }) {
				t.Errorf("%+v for %q: %+v", q, who.Account, found)
			}
		}
	}
	for _, who := range []stoa.Caller{ada, admin} {
		found, err := e.Search(t.Context(), who, catalog.Query{Text: "s", Framework: "fake"})
		if err != nil || found.Total != 2 || found.Kinds[0] != (catalog.Facet{Name: "model", Count: 2}) {
			t.Errorf("for %q: %+v, %v", who.Account, found, err)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("Face_detect \xff\x00 é")
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range catalog.Words(text) {
			if !utf8.ValidString(w) || w != strings.ToLower(w) && !strings.EqualFold(w, strings.ToLower(w)) {
				t.Errorf("the word %q of %q", w, text)
			}
		}
	})
}
