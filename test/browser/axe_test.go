package browser_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// looks are how each page is looked at: wide and narrow, light and dark. 320 CSS
// pixels are what is left of 1280 at a zoom of 400 %, and of the smallest phone.
var looks = []look{{1280, "light"}, {1280, "dark"}, {320, "light"}, {320, "dark"}}

// view is a page in a state that is worth a look.
type view struct {
	name string
	open func(b *tab, s *servetest.System)
}

// views are all pages: a new page is added here, and so looked at by every test
// that walks through them.
func views() []view {
	visit := func(path string) func(*tab, *servetest.System) {
		return func(b *tab, _ *servetest.System) { b.visit(path) }
	}
	return []view{
		{"home", visit("/")},
		{"home-coloured", func(b *tab, _ *servetest.System) {
			b.visit("/")
			b.click("#colour")
			b.wait("#stage .compare")
			b.until("the coloured photo", `document.querySelector("#stage .over").complete`)
		}},
		{"home-nothing", visit("/?q=nothinglikethis")},
		{"algorithm-places", func(b *tab, _ *servetest.System) {
			b.visit("/algorithms/demo/places")
			b.click(".sample")
			b.wait("#answer .best")
		}},
		{"algorithm-colorize", func(b *tab, _ *servetest.System) {
			b.visit("/algorithms/demo/colorize")
			b.click(".sample")
			b.wait("#answer .compare")
		}},
		{"algorithm-fault", func(b *tab, _ *servetest.System) {
			b.visit("/algorithms/demo/digits")
			b.upload("#input-0", "../../demo/places/labels.txt")
			b.wait("#answer .fault")
		}},
		{"algorithm-locked", visit("/algorithms/admin/four")},
		{"algorithm-code", visit(greeter)},
		{"algorithm-code-owner", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit(greeter)
			b.click(".schemas .below summary")
			b.fill("#input-0", `{"who": "Nobody"}`)
			b.click("#run")
			b.wait("#answer .fault pre")
			b.click("#follow")
			b.says(".entries", "nobody is there")
			b.click("#follow")
		}},
		{"missing", func(b *tab, _ *servetest.System) {
			b.allow("status of 404")
			b.visit("/algorithms/no/such")
		}},
		{"signin", visit("/sign-in")},
		{"signin-wrong", func(b *tab, _ *servetest.System) {
			b.allow("status of 401")
			b.visit("/sign-in")
			b.fill("#key", "simWrong")
			b.click("main form button")
			b.wait("#fault")
		}},
		{"publish-visitor", visit("/publish")},
		{"publish", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit("/publish")
		}},
		{"publish-form", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit("/publish")
			b.drop("#drop", "../../demo/places")
			b.wait("#form")
			b.wait("#seen img")
		}},
		{"publish-code", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit("/publish")
			b.drop("#drop", "testdata/greeter")
			b.wait("#form")
			b.says("#yaml", "kind: code")
			b.click("#form details summary")
		}},
		{"publish-problems", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit("/publish")
			b.drop("#drop", "../../demo/digits/README.md")
			b.wait("#problems li")
		}},
		{"home-signed-in", func(b *tab, s *servetest.System) { b.signIn(s) }},
		{"signin-already", func(b *tab, s *servetest.System) {
			b.signIn(s)
			b.visit("/sign-in")
		}},
	}
}

// startAll starts a server with something of everything.
func startAll(t testing.TB) *servetest.System {
	t.Helper()
	s := start(t, "digits", "places", "colorize")
	pushFour(t, s, "admin/four")
	pushGreeter(t, s)
	return s
}

// TestNoBarriers lets axe-core look at every page: for those who see little, or
// nothing, or use no mouse.
func TestNoBarriers(t *testing.T) {
	axe := library(t, "axe-core/axe.min.js")
	s := startAll(t)
	for _, l := range looks {
		for _, v := range views() {
			t.Run(v.name+"-"+l.String(), func(t *testing.T) {
				b := open(t, s.URL())
				b.as(l)
				v.open(b, s)
				for _, barrier := range b.barriers(axe) {
					t.Error(barrier)
				}
				// Nothing but what scrolls by itself is wider than the window.
				if w := get[int64](b, "document.documentElement.scrollWidth"); w > l.width {
					t.Errorf("the page is %d wide; over the edge are %s", w, get[string](b, overTheEdge))
				}
			})
		}
	}
}

// TestBarriersAreSeen holds axe-core itself to its task.
func TestBarriersAreSeen(t *testing.T) {
	axe := library(t, "axe-core/axe.min.js")
	b := open(t, "")
	b.visit("data:text/html,<title>t</title><input><img src='data:,'><p style='color:%23ddd;background:%23fff'>pale</p>")
	var seen strings.Builder
	for _, v := range b.barriers(axe) {
		seen.WriteString(v.String())
	}
	for _, want := range []string{"label (critical)", "image-alt (critical)", "color-contrast (serious)", "html-has-lang (serious)"} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("it does not see %s: %s", want, seen.String())
		}
	}
}

// overTheEdge names the elements that reach out of the window.
const overTheEdge = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
	.slice(0, 5).map(e => e.tagName + "." + e.className).join(", ")`

// library reads a file of what npm ci has put here.
func library(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("node_modules/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: no %s: run npm ci --prefix test/browser", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// barrier is what axe-core complains of.
type barrier struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML, FailureSummary string
	}
}

func (v barrier) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes {
		fmt.Fprintf(&s, "\n    %.300s\n        %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n        "))
	}
	return s.String()
}

// barriers runs axe-core, whose text is given, on the page as it stands: the
// rules of WCAG 2.2 and those of good practice. The policy of the site does not
// concern what the debugger runs.
func (b *tab) barriers(axe string) []barrier {
	b.t.Helper()
	get[bool](b, axe+"; true")
	return get[[]barrier](b, `(async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
		.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))()`)
}
