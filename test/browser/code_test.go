package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// pushGreeter publishes a program in Python, whose owner is the administrator.
func pushGreeter(t testing.TB, s *servetest.System) {
	t.Helper()
	servetest.Sandboxed(t)
	if _, err := s.Push(t.Context(), servetest.Bundle(t, "testdata/greeter")); err != nil {
		t.Fatal(err)
	}
}

const greeter = "/algorithms/admin/greeter"

// A stranger sees what a program takes and what it may do, and nothing of its
// insides.
func TestAProgramForAStranger(t *testing.T) {
	s := start(t)
	pushGreeter(t, s)
	b := open(t, s.URL())
	b.visit("/")
	b.shows("#found", "Python")
	b.visit(greeter)
	b.shows("main", "Python 3")
	b.shows("main", "up to 256.0 MiB")
	b.shows(".schemas", "Whom to greet")
	b.click(".schemas .below summary")
	b.shows(".schemas .below", "After the words")
	for _, hidden := range []string{"#logs", "#build-title", "[data-printed]"} {
		if get[bool](b, `document.querySelector("`+hidden+`") !== null`) {
			t.Errorf("a stranger sees %s", hidden)
		}
	}
	if !get[bool](b, `document.querySelector("#run").disabled`) {
		t.Error("a stranger may call it")
	}
}

// Its owner tries it, sees what it printed and why it failed, and follows what
// it prints for others.
func TestAProgramForItsOwner(t *testing.T) {
	s := start(t)
	pushGreeter(t, s)
	b := open(t, s.URL())
	b.signIn(s)
	b.visit(greeter)
	b.shows("main", "Only you and administrators see this.")
	b.click("#run") // the sample stands there
	b.says("#answer", "hello Ada")
	b.shows("#answer .printed pre", "greeting Ada")

	b.fill("#input-0", `{"who": "Ada", `)
	b.until("the check", `document.querySelector("#check-0").classList.contains("bad")`)
	b.fill("#input-0", `{"who": 7}`)
	b.click("#run")
	b.says("#answer .fault", "who")
	b.fill("#input-0", `{"who": "Nobody"}`)
	b.click("#run")
	b.says("#answer .fault", "there is nobody to greet")
	b.shows("#answer .fault pre", "greeter.py")
	b.says("#answer .printed + .printed pre", "nobody is there ·[31m")

	b.click("#follow")
	b.says(".entries", "greeting Ada") // what was there is read anew
	if _, err := s.Call(t.Context(), "admin/greeter", stoa.Value{Type: stoa.JSON, Data: []byte(`{"who":"<b>Grace</b>"}`)}, client.CallOptions{}); err != nil {
		t.Fatal(err)
	}
	b.says(".entries", "greeting <b>Grace</b>")
	b.shows(".entries", "req-")
	b.click("#follow")
	b.says("#follow", "Follow")
}

// What a program gets is what the visitor says: a text, JSON or a file.
func TestAProgramTakesAnything(t *testing.T) {
	s := start(t)
	servetest.Sandboxed(t)
	r := servetest.Bundle(t, "../../internal/worker/langpack/python/testdata/probe")
	r.As = "admin/probe"
	if _, err := s.Push(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	b := open(t, s.URL())
	b.signIn(s)
	b.visit("/algorithms/admin/probe")
	b.shows(".schemas", "Any text, JSON or bytes")
	b.click(`.as input[value="text"]`)
	b.fill("#input-0", "a text")
	b.click("#run")
	b.until("the text", `document.querySelector("#answer .text")?.innerText === "a text"`)
	b.click(`.as input[value="json"]`)
	b.fill("#input-0", `{"n": [1, 2]}`)
	b.click("#run")
	b.says("#answer h3", "n")
	// A picture within JSON is one too.
	dot := "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	b.fill("#input-0", `{"caption": "a dot", "photo": "`+dot+`"}`)
	b.click("#run")
	b.until("the picture", `document.querySelector("#answer .tree img.picture")?.naturalWidth === 1`)
	b.click(`.as input[value="file"]`)
	b.upload("#file-0", "../../demo/digits/samples/five.png")
	b.click("#run")
	b.wait("#answer p > a[download]")
}

// A folder of source is dropped, with a stoa.yaml or without one, and published;
// where the build fails, its lines are shown, and the page goes on.
func TestPublishingAProgram(t *testing.T) {
	s := start(t)
	servetest.Sandboxed(t)
	dir := filepath.Join(t.TempDir(), "polite")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("src/polite.py", "def apply(input:\n    return 'good day, ' + input\n")
	write("node_modules/x/index.js", "// made by npm")
	b := open(t, s.URL())
	b.allow("status of 400")
	b.allow("/manifest") // a check of the form may come just after it was published
	b.signIn(s)
	b.visit("/publish")
	b.drop("#drop", dir)
	b.wait("#form")
	b.shows("#report", "python")
	b.says("#yaml", "language: python")
	b.says("#where", "admin/polite")
	if get[bool](b, `document.querySelector("#files").innerText.includes("node_modules")`) {
		t.Error("what npm made is uploaded")
	}
	b.click("#form details summary")
	b.fill("#field-limits-memory", "64MiB")
	b.says("#yaml", "64MiB")
	b.click("#publish")
	b.says("#outcome .fault", "polite.py")
	b.shows("#outcome .fault pre", "SyntaxError")

	write("src/polite.py", "def apply(input):\n    return 'good day, ' + input\n")
	b.drop("#drop", dir)
	b.until("the new file", `!document.querySelector("#app").hasAttribute("aria-busy") && !document.querySelector("#files progress")`)
	b.says("#yaml", "64MiB") // what was set by hand stays
	b.click("#publish")
	b.arrive("its page", `location.pathname === "/algorithms/admin/polite"`)
	b.shows("main", "up to 64.0 MiB")
	b.fill("#input-0", "Ada")
	b.click("#run")
	b.says("#answer .text", "good day, Ada")
}

// A folder with its stoa.yaml needs nothing more than the last click.
func TestPublishingAProgramAsItsManifestSays(t *testing.T) {
	s := start(t)
	servetest.Sandboxed(t)
	b := open(t, s.URL())
	b.allow("/manifest") // as above
	b.signIn(s)
	b.visit("/publish")
	b.drop("#drop", "testdata/greeter")
	b.wait("#form")
	b.says("#where", "admin/greeter")
	b.says("#yaml", "additionalProperties: false")
	b.click("#publish")
	b.arrive("its page", `location.pathname === "/algorithms/admin/greeter"`)
	b.click(".sample")
	b.says("#answer", "hello Ada")
}

// Of a long log the page keeps the end, and tells when it hears no more.
func TestALongLogIsCut(t *testing.T) {
	s := start(t)
	pushGreeter(t, s)
	b := open(t, s.URL())
	b.signIn(s)
	b.visit(greeter)
	b.wait("#follow")
	get[bool](b, `(() => { const line = i => JSON.stringify({time: "2026-01-02T03:04:05Z", stream: "stdout", text: "line " + i + "\nand\n\u001b[1m"}) + "\n";
		window.fetch = async () => new Response(Array.from({length: 1500}, (_, i) => line(i)).join("")); return true; })()`)
	b.click("#follow")
	b.says("#logs .fault", "no longer followed")
	b.says("#follow", "Follow")
	b.shows(".entries li:last-child pre", "line 1499\nand\n·[1m")
	if n := get[int](b, `document.querySelectorAll(".entries li").length`); n < 300 || n > 334 {
		t.Errorf("%d entries of three lines are kept", n)
	}
}
