package browser_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSigningInByLink(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	link, err := s.SignInURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A link is clicked on another site: in a mail, in a chat.
	mail := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<title>mail</title><link rel="icon" href="data:,"><a id="link" href="` + link + `">sign in</a>`))
	}))
	defer mail.Close()
	b.visit(mail.URL)
	b.click("#link")
	b.arrive("the front page, signed in", `location.pathname === "/" && document.querySelector(".who")?.innerText === "admin"`)
	if cookie := get[string](b, "document.cookie"); cookie != "" {
		t.Errorf("a script reads the cookie %q", cookie)
	}
	if path := get[string](b, "(async () => (await (await fetch('/v1/whoami')).json()).by)()"); path != "session" {
		t.Errorf("known by %q", path)
	}
	// The second time it says so.
	other := open(t, s.URL())
	other.allow("status of 401")
	other.visit(link)
	other.shows("#fault", "used already")
	other.shows("nav", "Sign in")

	b.click(".top form button")
	b.arrive("a stranger's front page", `location.pathname === "/" && !document.querySelector(".who")`)
	b.shows("nav", "Sign in")
	b.allow("status of 401")
	if status := get[int](b, "(async () => (await fetch('/v1/whoami')).status)()"); status != 401 {
		t.Errorf("after signing out: %d", status)
	}
}

func TestSigningInByKey(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.allow("status of 401")
	b.visit("/sign-in?next=/%3Fq%3Dx")
	b.fill("#key", "simWrong")
	b.click("main form button")
	b.says("#fault", "No such key")
	if field := get[string](b, `document.querySelector("#key").getAttribute("aria-describedby")`); field != "fault where" {
		t.Errorf("the field is described by %q", field)
	}
	b.fill("#key", s.Key)
	b.click("main form button")
	b.arrive("the page asked for", `location.pathname + location.search === "/?q=x" && document.querySelector(".who")`)
	b.visit("/sign-in")
	b.shows("main", "signed in as admin")
}

// By keyboard alone, and without JavaScript, one signs in too.
func TestSigningInByKeyboard(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.visit("/sign-in")
	b.do("type", focusAndType("#key", s.Key+"\r")...)
	b.arrive("signed in", `document.querySelector(".who")`)
}
