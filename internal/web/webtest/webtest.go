// Package webtest asks pages for what they show, for their tests.
package webtest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Get asks for a page, with a key unless that is "".
func Get(t testing.TB, url, key string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", key)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// Has fails the test for each text that the page lacks.
func Has(t testing.TB, page string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(page, w) {
			t.Errorf("the page lacks %s:\n%s", w, page)
		}
	}
}

// Lacks fails the test for each text that the page has.
func Lacks(t testing.TB, page string, never ...string) {
	t.Helper()
	for _, n := range never {
		if strings.Contains(page, n) {
			t.Errorf("the page has %s:\n%s", n, page)
		}
	}
}
