package browser_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestWithoutJavaScript reads, searches and signs in where no script runs.
func TestWithoutJavaScript(t *testing.T) {
	s := start(t, "digits", "places")
	b := open(t, s.URL())
	b.do("no scripts", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.visit("/")
	b.fill("#q", "glacier")
	b.click("#search button")
	b.arrive("what was found", `location.search.includes("q=glacier")`)
	if got := names(b); got != "demo/places" {
		t.Errorf("found %q", got)
	}
	b.click(".cards a")
	b.arrive("its page", `location.pathname === "/algorithms/demo/places"`)
	b.shows(".readme", "What it is")
	b.shows("noscript", "JavaScript")
	b.click(`label[for="tab-python"]`)
	b.shows("#code-python", "urllib")
	b.visit("/sign-in?next=/publish")
	b.fill("#key", s.Key)
	b.click("main form button")
	b.arrive("signed in", `location.pathname === "/publish"`)
	b.shows("main", "JavaScript")
	link, err := s.SignInURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, s.URL())
	other.visit(link)
	other.arrive("the front page", `location.pathname === "/" && document.querySelector(".who")`)
	b.click(".top form button")
	b.arrive("the front page", `location.pathname === "/" && !document.querySelector(".who")`)
}

// focused names what has the focus.
func (b *tab) focused() string {
	b.t.Helper()
	return get[string](b, `(() => { const e = document.activeElement; return e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className ? "." + e.className : ""); })()`)
}

// tabTo presses Tab until something has the focus, which one must see.
func (b *tab) tabTo(want string) {
	b.t.Helper()
	var passed []string
	for range 60 {
		b.do("Tab", chromedp.KeyEvent("\t"))
		at := b.focused()
		if strings.HasPrefix(at, want) {
			if !get[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none" || document.activeElement.matches(":has(+ label)") || getComputedStyle(document.activeElement.parentElement).outlineStyle !== "none"`) {
				b.t.Errorf("one does not see that %s has the focus", at)
			}
			return
		}
		passed = append(passed, at)
	}
	b.t.Fatalf("Tab never came to %s: %v", want, passed)
}

// TestByKeyboardAlone goes through the front page and an algorithm without a
// mouse.
func TestByKeyboardAlone(t *testing.T) {
	s := start(t, "colorize", "digits")
	b := open(t, s.URL())
	b.visit("/")
	b.do("Tab", chromedp.KeyEvent("\t"))
	if at := b.focused(); at != "a.skip" {
		t.Errorf("the first stop is %s, not the way past the head", at)
	}
	b.tabTo("button#colour")
	b.do("Enter", chromedp.KeyEvent("\r"))
	b.wait("#stage .compare")
	get[bool](b, `document.querySelector("#stage .compare input").focus(); true`)
	at := get[string](b, `document.querySelector("#stage .compare input").value`)
	b.do("left", chromedp.KeyEvent(kb.ArrowLeft))
	if now := get[string](b, `document.querySelector("#stage .compare input").value`); now == at {
		t.Errorf("the slider stays at %s", at)
	}
	b.visit("/")
	b.tabTo("input#q")
	b.do("type", chromedp.KeyEvent("handwritten"))
	b.until("demo/digits", `[...document.querySelectorAll(".cards .name")].map(e => e.innerText).join(" ") === "demo/digits"`)
	b.tabTo("a.card")
	b.do("Enter", chromedp.KeyEvent("\r"))
	b.arrive("its page", `location.pathname === "/algorithms/demo/digits"`)
	b.tabTo("button.sample")
	b.do("Enter", chromedp.KeyEvent("\r"))
	if got := b.best(); got != "7" {
		t.Errorf("the seven is %q", got)
	}
}
