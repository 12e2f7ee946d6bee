package storetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/store/sqlite"
	"github.com/stoa-project/stoa/internal/store/storetest"
)

func TestSeed(t *testing.T) {
	db, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n = 500
	if err := storetest.Seed(t.Context(), db.Catalog(), n); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words    []string
		all      bool
		min, max int
	}{
		{nil, true, n, n},
		{nil, false, n * 8 / 10, n - 1},
		{[]string{"f"}, true, n, n},
		{[]string{"detection"}, true, 1, n},
		{[]string{"nobody"}, true, 0, 0},
	} {
		found, err := db.Catalog().Search(t.Context(), catalog.Sought{Words: c.words, Sight: catalog.Sight{All: c.all}, Limit: 1})
		if err != nil || found.Total < c.min || found.Total > c.max {
			t.Errorf("%v: %d found, %v; want %d to %d", c.words, found.Total, err, c.min, c.max)
		}
	}
}

// Where very many match they are not weighed, and the first pages come from the
// names alone: the pages together still have each once, names first.
func TestPagesOfVeryMany(t *testing.T) {
	db, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var vs []catalog.Version
	for i := range 1300 {
		v := catalog.Version{Owner: "ada", Name: fmt.Sprint("other", i), Public: true, Manifest: []byte(`{}`), Readme: "portrait"}
		switch i % 3 {
		case 0:
			v.Name = fmt.Sprint("Portrait", i)
		case 1:
			v.Tagline = "a portrait"
		}
		vs = append(vs, v)
	}
	if err := db.Catalog().PublishAll(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	last := 0
	for offset := 0; offset < len(vs); offset += 100 {
		found, err := db.Catalog().Search(t.Context(), catalog.Sought{Words: []string{"portrait"}, Exact: "portrait0", Limit: 100, Offset: offset})
		if err != nil || len(found.Versions) != 100 || found.Total != len(vs) {
			t.Fatalf("from %d: %d of %d, %v", offset, len(found.Versions), found.Total, err)
		}
		for i, v := range found.Versions {
			place := 3
			switch {
			case v.Name == "Portrait0":
				place = 0
			case strings.HasPrefix(v.Name, "Portrait"):
				place = 1
			case v.Tagline != "":
				place = 2
			}
			if place < last {
				t.Fatalf("%s at %d comes after one of place %d", v.Name, offset+i, last)
			}
			last = place
			seen[v.Name] = true
		}
	}
	if len(seen) != len(vs) {
		t.Errorf("%d of %d on all pages together", len(seen), len(vs))
	}
}
