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

// inReadme are the pictures that the README shows, by their names there.
var inReadme = map[string]string{"home-coloured-light-1280": "front.jpg", "algorithm-places-light-1280": "algorithm.jpg"}

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
			name := v.name + "-" + l.String()
			b.picture(name+".png", 100) // 100: as PNG
			if readme := inReadme[name]; readme != "" {
				b.picture(readme, 82)
			}
		}
	}
}

// picture writes a picture of the whole page.
func (b *tab) picture(name string, quality int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(quality))
	if err == nil {
		err = os.WriteFile(filepath.Join(*screens, name), shot, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
