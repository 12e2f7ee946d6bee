package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

// A database of the first Stoa has versions and no faces. After the upgrade
// they are found, by all but their READMEs.
func TestUpgradeFillsTheSearch(t *testing.T) {
	dir := t.TempDir()
	old, err := sql.Open("sqlite", filepath.Join(dir, "stoa.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, old, os.DirFS("../migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`INSERT INTO algorithms VALUES ('a1', 'ada/facedetect', 'ada', 'Ada', 'FaceDetect', 0, 2, 0, 1), ('a2', 'bob/empty', 'bob', 'bob', 'empty', 1, 0, 0, 2)`,
		`INSERT INTO versions VALUES ('v1', 'a1', 0, 1, 0, 1, 'model', 'Finds faces', 'h1', '{"tags":["portrait"]}', '[]', '[]', '{"framework":"caffe"}', 'ada', 1)`,
		`INSERT INTO versions VALUES ('v2', 'a1', 0, 2, 0, 0, 'model', 'Secret', 'h2', '{}', '[]', '[]', '', 'ada', 2)`,
	} {
		if _, err := old.ExecContext(t.Context(), line); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to fill
		db := open(t, dir)
		for _, text := range []string{"", "face", "detect", "portrait", "finds ada"} {
			found, err := db.Catalog().Search(t.Context(), catalog.Sought{Words: catalog.Words(text), Limit: 10})
			if err != nil || found.Total != 1 || found.Versions[0].ID != "v1" || found.Versions[0].Framework != "caffe" || found.Frameworks[0].Name != "caffe" {
				t.Errorf("%q: %+v, %v", text, found, err)
			}
		}
		vs, err := db.Catalog().Versions(t.Context(), "ada/facedetect")
		if err != nil || len(vs) != 2 || vs[0].Framework != "" || vs[1].Framework != "caffe" {
			t.Errorf("%+v, %v", vs, err)
		}
		db.Close()
	}
}

// FuzzSearch holds that no text is syntax of the index, and that what is found
// has all its words.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{
		"", "net", `"net`, `net" OR "x`, "net*", "AND", "NEAR(net x)", "names:net", "-net ^net", "(net", "net\x00", "\xff", "café", "CAFE\u0301",
		"ª²½", "\u0300", "日本語", "a\U0001E900b", "ſt", "İ", "ß", strings.Repeat("a ", 50), strings.Repeat("é", 200),
	} {
		f.Add(s)
	}
	db, err := sqlite.Open(f.Context(), f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	if err := db.Catalog().PublishAll(f.Context(), []catalog.Version{{Owner: "ada", Name: "net", Public: true, Manifest: []byte(`{}`)}}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := catalog.Words(text)
		if len(words) > 10 {
			t.Errorf("%d words", len(words))
		}
		for _, w := range words {
			if len(w) == 0 || len(w) > 100 || strings.ContainsAny(w, " \"*:^(){}+-") {
				t.Errorf("the word %q of %q", w, text)
			}
		}
		found, err := db.Catalog().Search(t.Context(), catalog.Sought{Words: words, Exact: text, Limit: 1})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		plain := strings.Map(func(r rune) rune {
			if r > 0x7f {
				return -1
			}
			return r
		}, strings.Join(words, "")) == strings.Join(words, "")
		want := 1
		for _, w := range words {
			if !strings.HasPrefix("net", w) && !strings.HasPrefix("ada", w) {
				want = 0
			}
		}
		if plain && found.Total != want {
			t.Errorf("%q finds %d, want %d", text, found.Total, want)
		}
	})
}
