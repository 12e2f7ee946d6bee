package browser_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// best waits for an answer of labels, and gives the first.
func (b *tab) best() string {
	b.t.Helper()
	b.wait("#answer .best")
	return b.text("#answer .best")
}

func TestNamingAPlace(t *testing.T) {
	s := start(t, "places")
	b := open(t, s.URL())
	b.visit("/algorithms/demo/places")
	b.click(`.sample[data-url*="stream.jpg"]`)
	if got := b.best(); got != "forest" {
		t.Errorf("the stream is %q", got)
	}
	if n := get[int](b, `document.querySelectorAll("#answer .bars li").length`); n != 6 {
		t.Errorf("%d bars", n)
	}
	b.shows("#answer .about", "req-")
	b.click("#answer summary")
	b.shows("#answer pre", `"metadata"`)
}

func TestReadingADigit(t *testing.T) {
	s := start(t, "digits")
	b := open(t, s.URL())
	b.visit("/algorithms/demo/digits")
	b.upload("#input-0", "../../demo/digits/samples/five.png")
	if got := b.best(); got != "5" {
		t.Errorf("the five is %q", got)
	}
	b.upload("#input-0", "../../demo/digits/samples/two.png")
	b.until("a two", `document.querySelector("#answer .best")?.innerText === "2"`)
}

func TestTheWrongFile(t *testing.T) {
	s := start(t, "digits")
	b := open(t, s.URL())
	b.visit("/algorithms/demo/digits")
	b.click("#run")
	b.wait("#answer .fault") // nothing was chosen
	wrong := filepath.Join(t.TempDir(), "wrong.png")
	if err := os.WriteFile(wrong, []byte("<script>alert(1)</script>"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.upload("#input-0", wrong)
	b.says("#answer .fault", "InputError")
	b.upload("#input-0", "../../demo/digits/samples/seven.png")
	if got := b.best(); got != "7" {
		t.Errorf("the seven is %q", got)
	}
}

// pushFour publishes a network of four floats.
func pushFour(t testing.TB, s *servetest.System, as string) {
	t.Helper()
	if _, err := s.Push(t.Context(), client.PushRequest{
		As: as, Manifest: "kind: model\nvisibility: public\nmodel:\n  files: [net.prototxt]\n",
		Files: []client.PushFile{{Name: "net.prototxt", Path: "../../bench/four/net.prototxt"}},
	}); err != nil {
		t.Fatal(err)
	}
}

// Arrays are typed, checked while one types, and answered as a tree.
func TestCallingWithAnArray(t *testing.T) {
	s := start(t)
	pushFour(t, s, "demo/four")
	b := open(t, s.URL())
	b.visit("/algorithms/demo/four")
	b.fill("#input-0", "[1, 2, 3")
	b.until("the check", `document.querySelector("#check-0").classList.contains("bad")`)
	b.fill("#input-0", "[1, 2, 3, 4]")
	b.until("the check", `!document.querySelector("#check-0").classList.contains("bad")`)
	b.click("#run")
	b.wait("#answer .about")
	b.fill("#input-0", "[1, 2]")
	b.click("#run")
	b.says("#answer .fault", "InputError")
}

// What is private is seen by its owner alone, and called by him.
func TestPrivateAlgorithms(t *testing.T) {
	s := start(t)
	r := servetest.Bundle(t, "../../demo/digits")
	r.Manifest = strings.Replace(r.Manifest, "visibility: public", "visibility: private", 1)
	if _, err := s.Push(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	b := open(t, s.URL())
	b.allow("status of 404")
	b.visit("/algorithms/demo/digits")
	b.shows("main", "not found")
	b.signIn(s)
	b.visit("/algorithms/demo/digits")
	b.click(".sample")
	if got := b.best(); got != "7" {
		t.Errorf("the seven is %q", got)
	}
}
