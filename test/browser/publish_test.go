package browser_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/stoa-project/stoa/client"
)

// drop drops files and folders of this machine onto an element, as a hand does.
func (b *tab) drop(selector string, paths ...string) {
	b.t.Helper()
	b.wait(selector)
	at := get[[]float64](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector))
	for i := range paths {
		path, err := filepath.Abs(paths[i])
		if err != nil {
			b.t.Fatal(err)
		}
		paths[i] = path
	}
	b.do("drop", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, kind := range []input.DispatchDragEventType{"dragEnter", "dragOver", "drop"} {
			if _, err := chromedp.Call(ctx, input.DispatchDragEvent, input.DispatchDragEventParams{
				Type: kind, X: at[0], Y: at[1], Data: &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1},
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// choose chooses of a list.
func (b *tab) choose(selector, value string) {
	b.t.Helper()
	b.wait(selector)
	if !get[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value === %q; })()`, selector, value, value)) {
		b.t.Errorf("%s has no %q", selector, value)
	}
}

// TestPublishingByDrop drops the files of a Caffe model onto the page, looks at
// what the network will see, publishes, and calls what came of it.
func TestPublishingByDrop(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.visit("/publish")
	b.click(`main a[href^="/sign-in"]`) // a visitor is told to sign in, and comes back
	b.fill("#key", s.Key)
	b.click("main form button")
	b.arrive("the page again", `location.pathname === "/publish"`)
	b.drop("#drop", "../../demo/digits/lenet.prototxt", "../../demo/digits/lenet.caffemodel")
	b.wait("#form")
	b.shows("#report", "431.1 k")
	b.shows("#report", "prob N×10 float32")
	b.fill("#field-name", "dropped")
	b.says("#where", "admin/dropped")

	// The adapters, with a preview of what the worker makes of a picture.
	b.click(`label:has(> #field-input-0-picture)`)
	b.choose("#field-input-0-picture-colour", "grey")
	b.upload("#picture-file", "../../demo/digits/samples/seven.png")
	b.wait("#seen img")
	b.shows("#seen", "float32 1x1x28x28")
	most := `Math.max(...[...document.querySelectorAll("#seen tbody td:last-child")].map(e => Number(e.innerText)))`
	b.until("a preview of levels", most+" > 200")
	b.fill("#field-input-0-picture-scale", "0.00390625")
	b.until("a preview that was scaled", most+" <= 1")
	b.click(`label:has(> #field-output-0-labels)`)
	b.fill("#field-output-0-labels-names", "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine")
	b.says("#yaml", "six, seven, eight")

	b.click("#publish")
	b.arrive("its page", `location.pathname === "/algorithms/admin/dropped"`)
	b.click(".sample") // the picture that was previewed
	if got := b.best(); got != "seven" {
		t.Errorf("the seven is %q", got)
	}
	// The same is there for every client.
	if v, err := s.Show(t.Context(), "admin/dropped"); err != nil || v.Visibility != "private" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A folder with its stoa.yaml needs nothing more than the last click.
func TestPublishingAFolder(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.signIn(s)
	b.visit("/publish")
	b.drop("#drop", "../../demo/places")
	b.wait("#form")
	b.says("#where", "demo/places")
	b.says("#yaml", "threshold: 0.5")
	b.wait("#seen img")
	b.click("#publish")
	b.arrive("its page", `location.pathname === "/algorithms/demo/places"`)
	b.click(`.sample[data-url*="stream.jpg"]`)
	if got := b.best(); got != "forest" {
		t.Errorf("the stream is %q", got)
	}
}

// Files that are no model, or half of one, get a sentence each; nothing is
// published, and the page goes on with the right ones.
func TestPublishingTheWrongFiles(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.signIn(s)
	b.visit("/publish")
	b.drop("#drop", "../../demo/digits/README.md")
	b.wait("#problems li")
	b.drop("#drop", "../../demo/digits/lenet.prototxt")
	b.says("#files", "lenet.prototxt")
	half := filepath.Join(t.TempDir(), "lenet.caffemodel")
	whole, err := os.ReadFile("../../demo/digits/lenet.caffemodel")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	b.drop("#drop", half)
	b.says("#problems", "lenet.caffemodel")
	if !get[bool](b, `document.querySelector("#form").hidden`) {
		t.Error("half a model can be published")
	}
	b.drop("#drop", "../../demo/digits/lenet.caffemodel")
	b.wait("#form")
	if all, err := s.List(t.Context(), client.Query{}); err != nil || len(all) != 0 {
		t.Errorf("listed: %v, %v", all, err)
	}
}
