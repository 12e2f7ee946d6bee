package storetest_test

import (
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
