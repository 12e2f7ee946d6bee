package browser_test

import (
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
	b.click(`.as input[value="file"]`)
	b.upload("#file-0", "../../demo/digits/samples/five.png")
	b.click("#run")
	b.wait("#answer img.picture")
}
