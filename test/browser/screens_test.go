package browser_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// screens is where TestScreens writes; "" for not at all.
var screens = flag.String("screens", "", "folder to write a picture of every page into")

// TestScreens writes a picture of each page: for whoever changes one, to look at
// (make screens).
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("SKIPPED: no -screens DIR: pictures are for people, see make screens")
	}
	if err := os.MkdirAll(*screens, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startAll(t)
	for _, l := range []look{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}} {
		for _, v := range views() {
			b := open(t, s.URL())
			b.as(l)
			v.open(b, s)
			b.until("all pictures", `[...document.images].every(i => i.complete || i.loading === "lazy")`)
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)) // 100: as PNG
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*screens, v.name+"-"+l.String()+".png"), shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
