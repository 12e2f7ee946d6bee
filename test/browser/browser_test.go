// Package browser_test uses the site as people do: in a real Chromium, against a
// whole server. Whatever a page writes to the console as an error, an exception
// that nothing caught and whatever the policy of the site has blocked fails the
// test. Without Chromium the tests are skipped.
package browser_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// TestMain is also the servers' children, and ends the browser.
func TestMain(m *testing.M) {
	status := servetest.Main(m)
	stopBrowser()
	os.Exit(status)
}

// patience is how long a step may take: a model is loaded meanwhile, on a
// machine that does other things.
const patience = 30 * time.Second

// The browser that all tests share: each tab has cookies of its own.
var chromium struct {
	sync.Mutex
	ctx  context.Context
	stop []func()
	err  error
}

// browser gives the context of the browser, which the first test starts.
func browser(t testing.TB) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: no Chromium: install it (apt-get install chromium)")
	}
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx == nil && chromium.err == nil {
		ctx, err := startBrowser(path)
		chromium.ctx, chromium.err = ctx, err //nolint:fatcontext // it is made once
	}
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	return chromium.ctx
}

func startBrowser(path string) (context.Context, error) {
	profile, err := os.MkdirTemp("", "stoa-browser-")
	if err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900),
		chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
	}
	for _, f := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(f, true))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc)
	chromium.stop = []func(){stop, stopAlloc, func() { os.RemoveAll(profile) }}
	return ctx, chromedp.Do(ctx)
}

func stopBrowser() {
	chromium.Lock()
	defer chromium.Unlock()
	for _, stop := range chromium.stop {
		stop()
	}
}

// start starts a server with these demos published.
func start(t testing.TB, demos ...string) *servetest.System {
	t.Helper()
	browser(t) // or skip before anything is begun
	// The tests are one address that calls without a key.
	s := servetest.Start(t, t.TempDir(), func(c *serve.Config) { c.KeylessBurst, c.KeylessRate = 1000, 1000 })
	for _, d := range demos {
		if _, err := s.Push(t.Context(), servetest.Bundle(t, "../../demo/"+d)); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
	}
	return s
}

// tab is a tab with cookies of its own, which listens for what goes wrong.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu      sync.Mutex
	faults  []string
	allowed []string
}

// open opens an empty tab for a server. At the end of the test whatever went
// wrong in it fails the test, except what allow has named.
func open(t testing.TB, base string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser(t), chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx, base: base}
	t.Cleanup(func() {
		for _, f := range b.wrong() {
			t.Errorf("in the browser: %s", f)
		}
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.as(look{1280, "light"})
	return b
}

// hear keeps what a page complains of. It may do nothing else: the browser waits.
func (b *tab) hear(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			fault += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			fault = "console:"
			for _, a := range e.Args {
				fault += fmt.Sprintf(" %s%s", a.Value, a.Description)
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Source == "security" {
			fault = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if fault != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fault)
	}
}

// allow lets pass what a test does on purpose, such as "status of 401".
func (b *tab) allow(parts ...string) { b.allowed = append(b.allowed, parts...) }

// wrong gives what went wrong so far.
func (b *tab) wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
next:
	for _, f := range b.faults {
		for _, a := range b.allowed {
			if strings.Contains(f, a) {
				continue next
			}
		}
		out = append(out, f)
	}
	return out
}

// do takes steps, and ends the test where one does not come to its end.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.state())
	}
}

// state tells where a test stands that went no further.
func (b *tab) state() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s\n%v", text, b.wrong())
}

func get[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.200s: %v\n%s", expression, err, b.state())
	}
	return v
}

// visit goes to a path of the server, or to an address.
func (b *tab) visit(path string) {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.base + path
	}
	b.do("visit "+path, chromedp.Navigate(path))
}

// wait waits until there is something to see.
func (b *tab) wait(selector string) {
	b.t.Helper()
	b.do("wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// until waits until an expression is true, over changes of the page.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// An error is one of a page that is just going away.
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		select {
		case <-deadline:
			b.t.Fatalf("%s never came: %s: %v\n%s", what, expression, err, b.state())
		case <-tick.C:
		}
	}
}

// arrive waits until a page that one was led to is there, and its scripts too: a
// click before them is lost.
func (b *tab) arrive(where, expression string) {
	b.t.Helper()
	b.until(where, `document.readyState === "complete" && `+expression)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill types over what a field holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.wait(selector)
	get[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.select(); return true; })()`, selector))
	b.do("fill "+selector, chromedp.KeyEvent(text))
}

func (b *tab) upload(selector string, files ...string) {
	b.t.Helper()
	for i := range files {
		path, err := filepath.Abs(files[i])
		if err != nil {
			b.t.Fatal(err)
		}
		files[i] = path
	}
	b.do("choose files in "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), files))
}

// text gives the text that one sees of an element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	b.wait(selector)
	return get[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// shows fails the test where an element does not say something.
func (b *tab) shows(selector, want string) {
	b.t.Helper()
	if got := b.text(selector); !strings.Contains(got, want) {
		b.t.Errorf("%s says %q, want %q", selector, got, want)
	}
}

// says waits until an element says something.
func (b *tab) says(selector, want string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q in %s", want, selector), fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, want))
}

// look is how a page is looked at.
type look struct {
	width  int64
	scheme string // light or dark
}

func (l look) String() string { return fmt.Sprintf("%s-%d", l.scheme, l.width) }

// as looks at pages so from now on, and without anything that moves: where a
// page still scrolls, a click would miss.
func (b *tab) as(l look) {
	b.t.Helper()
	height := int64(900)
	if l.width < 600 {
		height = 800
	}
	b.do("look", chromedp.EmulateViewport(l.width, height), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// signIn signs in as the administrator, by a link.
func (b *tab) signIn(s *servetest.System) {
	b.t.Helper()
	link, err := s.SignInURL(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.visit(link)
	b.arrive("the front page", `location.pathname === "/"`)
	b.shows(".who", "admin")
}

// focusAndType types into a field that has the focus, as a keyboard does.
func focusAndType(selector, text string) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(text)}
}
