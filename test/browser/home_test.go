package browser_test

import (
	"bytes"
	"context"
	"image/png"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// colourfulness gives how far an element as one sees it is from grey: the mean
// distance of a pixel's channels, 0 to 255.
func (b *tab) colourfulness(selector string) float64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.Screenshot(chromedp.CSS(selector), chromedp.NodeVisible))
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	sum, n := 0.0, 0
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 2 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 2 {
			r, g, bl, _ := img.At(x, y).RGBA()
			sum += float64(max(r, g, bl)-min(r, g, bl)) / 257
			n++
		}
	}
	return sum / float64(n)
}

// slide moves the slider between before and after.
func (b *tab) slide(selector string, at int) {
	b.t.Helper()
	get[bool](b, strings.NewReplacer("SELECTOR", selector, "AT", strconv.Itoa(at)).Replace(
		`(() => { const r = document.querySelector("SELECTOR input[type=range]"); r.value = "AT"; r.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`))
}

// TestColouringThePhoto is what a visitor does first: one click, without a key.
func TestColouringThePhoto(t *testing.T) {
	s := start(t, "colorize")
	b := open(t, s.URL())
	b.visit("/")
	b.wait("#colour")
	b.until("the photo", `document.querySelector("#stage img").complete`)
	if grey := b.colourfulness("#stage"); grey > 6 {
		t.Errorf("before, the photo is %.1f from grey", grey)
	}
	b.click("#colour")
	b.wait("#stage .compare")
	b.until("the coloured photo", `document.querySelector("#stage .over").complete`)
	b.slide("#stage", 100)
	coloured := b.colourfulness("#stage")
	b.slide("#stage", 0)
	grey := b.colourfulness("#stage")
	if coloured < 15 || grey > 8 {
		t.Errorf("the slider shows %.1f from grey on the one side, %.1f on the other", coloured, grey)
	}
	// Another photo, and one's own.
	first := get[string](b, `document.querySelector("#stage .over").src`)
	b.click(".photo[aria-pressed=false]")
	b.until("another coloured photo", `document.querySelector("#stage .over")?.src !== undefined && document.querySelector("#stage .over").src !== "`+first+`"`)
	second := get[string](b, `document.querySelector("#stage .over").src`)
	b.upload("#own", "../../demo/places/samples/ridge.jpg")
	b.until("one's own photo", `document.querySelector("#stage .over")?.src !== undefined && document.querySelector("#stage .over").src !== "`+second+`"`)
	b.until("its picture", `document.querySelector("#stage .over").complete`)
	b.slide("#stage", 100)
	if c := b.colourfulness("#stage"); c < 8 {
		t.Errorf("one's own photo is %.1f from grey", c)
	}
}

// A file that is no picture gets a sentence, and the page lives on.
func TestColouringWhatIsNoPhoto(t *testing.T) {
	s := start(t, "colorize")
	b := open(t, s.URL())
	b.visit("/")
	b.wait("#colour")
	b.upload("#own", "../../demo/places/labels.txt")
	b.wait("#stage .fault")
	if msg := b.text("#stage .fault"); !strings.Contains(msg, "picture") {
		t.Errorf("it says %q", msg)
	}
	b.click(".photo")
	b.wait("#stage .compare")
}

func names(b *tab) string {
	b.t.Helper()
	return get[string](b, `[...document.querySelectorAll(".cards .name")].map(e => e.innerText).join(" ")`)
}

func TestSearching(t *testing.T) {
	s := start(t, "digits", "places")
	b := open(t, s.URL())
	b.visit("/")
	if got := names(b); got != "demo/places demo/digits" {
		t.Errorf("the list is %q", got)
	}
	list := func(want string) {
		t.Helper()
		b.until(want, `[...document.querySelectorAll(".cards .name")].map(e => e.innerText).join(" ") === "`+want+`"`)
	}
	b.fill("#q", "handwritten") // of the tagline
	list("demo/digits")
	b.fill("#q", "LENET") // of the README
	list("demo/digits")
	b.fill("#q", "glacier")
	list("demo/places")
	b.fill("#q", "mnist") // a tag
	list("demo/digits")
	if got := get[string](b, "location.search"); got != "?q=mnist" {
		t.Errorf("the address is %q", got)
	}
	b.fill("#q", "no such thing <b>")
	b.wait(".empty")
	b.click(".empty a")
	list("demo/places demo/digits")
	b.click(`.filter a[href*="framework="]`)
	b.until("the filter", `location.search.includes("framework=")`)
	list("demo/places demo/digits")
	b.visit("/?q=places")
	list("demo/places")
	b.click(".cards a")
	b.arrive("its page", `location.pathname === "/algorithms/demo/places"`)
	b.shows("h1", "demo/places")
}
