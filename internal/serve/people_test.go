package serve_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
)

// browser keeps cookies, follows no redirect, and says of every request what
// page it comes from, as browsers do.
type browser struct {
	t      *testing.T
	base   string
	cookie *http.Cookie
}

func (b *browser) do(method, path, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if b.cookie = c; c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return res, string(text)
}

// whoami gives whom the server takes the browser for; "" for a stranger.
func (b *browser) whoami() (account, by string) {
	b.t.Helper()
	res, body := b.do("GET", "/v1/whoami", "")
	if res.StatusCode == http.StatusUnauthorized {
		return "", ""
	}
	var who struct{ Account, By string }
	if err := json.Unmarshal([]byte(body), &who); err != nil {
		b.t.Errorf("whoami: %d %s", res.StatusCode, body)
	}
	return who.Account, who.By
}

// signedIn fails the test where the browser is not signed in as admin.
func (b *browser) signedIn() {
	b.t.Helper()
	if account, by := b.whoami(); account != "admin" || by != "session" {
		b.t.Errorf("the browser is taken for %q by %q", account, by)
	}
}

func (b *browser) stranger() {
	b.t.Helper()
	if account, _ := b.whoami(); account != "" {
		b.t.Errorf("the browser is taken for %q", account)
	}
}

// safeLog is a log that a test reads while the server writes.
type safeLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestALinkSignsInOnce(t *testing.T) {
	var log safeLog
	s := start(t, t.TempDir(), func(c *serve.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	link, err := s.SignInURL(t.Context())
	if err != nil || !strings.HasPrefix(link, s.URL()+"/sign-in?link=") {
		t.Fatalf("%s, %v", link, err)
	}
	path := strings.TrimPrefix(link, s.URL())
	b := &browser{t: t, base: s.URL()}
	b.stranger()
	// Looking ahead does not use it up.
	for _, h := range []string{"prefetch", "prefetch;prerender"} {
		if res, _ := b.do("GET", path, "", "Sec-Purpose", h); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", h, res.StatusCode)
		}
	}
	if res, _ := b.do("HEAD", path, ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("HEAD: %d", res.StatusCode)
	}
	res, body := b.do("GET", path+"&next=/algorithms/demo/digits", "", "Sec-Fetch-Site", "cross-site") // a click in a mail
	if res.StatusCode != http.StatusOK || res.Header.Get("Refresh") != "0; url=/algorithms/demo/digits" || !strings.Contains(body, `href="/algorithms/demo/digits"`) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	if got := res.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "stoa_session=") || !strings.HasSuffix(got, "; HttpOnly; SameSite=Strict") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the cookie is %s", got)
	}
	b.signedIn()
	other := &browser{t: t, base: s.URL()}
	for link, says := range map[string]string{path: "used already", "/sign-in?link=x": "does not work", "/sign-in?link=": "does not work"} {
		if res, body := other.do("GET", link, ""); res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, says) || !strings.Contains(body, "stoa link") {
			t.Errorf("%s: %d %s", link, res.StatusCode, body)
		}
	}
	other.stranger()
	if token := path[strings.Index(path, "=")+1:]; strings.Contains(log.String(), token) || strings.Contains(log.String(), b.cookie.Value) {
		t.Error("the log holds a secret")
	}
	// The command line makes another.
	again, err := s.SignInLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other.do("GET", strings.TrimPrefix(again.URL, s.URL()), "")
	other.signedIn()
}

func TestAKeySignsIn(t *testing.T) {
	var log safeLog
	s := start(t, t.TempDir(), func(c *serve.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	b := &browser{t: t, base: s.URL()}
	if res, body := b.do("GET", "/sign-in?next=/publish", ""); res.StatusCode != 200 || !strings.Contains(body, `type="password"`) || !strings.Contains(body, `value="/publish"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	form := func(key, next string) string { return url.Values{"key": {key}, "next": {next}}.Encode() }
	// A form on another site may not sign a visitor in as somebody else.
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, {"Sec-Fetch-Site", ""}} {
		if res, body := b.do("POST", "/sign-in", form(s.Key, "/"), h...); res.StatusCode != 403 || !strings.Contains(body, `id="fault"`) || b.cookie != nil {
			t.Errorf("%v: %d %s", h, res.StatusCode, body)
		}
	}
	res, body := b.do("POST", "/sign-in", form("simWrong", "/publish"))
	if res.StatusCode != 401 || !strings.Contains(body, `id="fault"`) || !strings.Contains(body, "No such key") || !strings.Contains(body, `value="/publish"`) || strings.Contains(body, "simWrong") {
		t.Errorf("a wrong key: %d %s", res.StatusCode, body)
	}
	if res, body := b.do("POST", "/sign-in", strings.Repeat("x", 9000)); res.StatusCode != 413 || !strings.Contains(body, `id="fault"`) {
		t.Errorf("a long form: %d %s", res.StatusCode, body)
	}
	res, _ = b.do("POST", "/sign-in", form(" "+s.Key+"\n", "/publish"))
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/publish" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	b.signedIn()
	if strings.Contains(log.String(), b.cookie.Value) || strings.Contains(log.String(), s.Key) {
		t.Error("the log holds a secret")
	}
	if res, body := b.do("GET", "/sign-in", ""); res.StatusCode != 200 || !strings.Contains(body, "signed in as admin") {
		t.Errorf("signed in: %d %s", res.StatusCode, body)
	}
	// What a cookie alone may do must come from a page of this server.
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "null"}, {"Sec-Fetch-Site", ""}} {
		if res, body := b.do("POST", "/v1/keys", "", h...); res.StatusCode != 403 || !strings.Contains(body, "or with a key") {
			t.Errorf("forged, %v: %d %s", h, res.StatusCode, body)
		}
		if res, _ := b.do("POST", "/sign-out", "", h...); res.StatusCode != 403 || b.cookie == nil {
			t.Errorf("signed out, %v: %d", h, res.StatusCode)
		}
	}
	if res, body := b.do("POST", "/v1/keys", "", "Sec-Fetch-Site", "", "Origin", s.URL()); res.StatusCode != 201 {
		t.Errorf("from our page: %d %s", res.StatusCode, body)
	}
	stolen := *b
	if res, _ := b.do("POST", "/sign-out", ""); res.StatusCode != http.StatusSeeOther || b.cookie != nil {
		t.Errorf("sign-out: %d", res.StatusCode)
	}
	stolen.stranger()
}

func TestWrongKeysAreLimited(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	b := &browser{t: t, base: s.URL()}
	// Right ones do not count.
	for range 12 {
		if res, _ := b.do("POST", "/sign-in", "key="+s.Key); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	for i := range 12 {
		res, body := b.do("POST", "/sign-in", "key=simWrong")
		if i < 10 && res.StatusCode != 401 {
			t.Errorf("attempt %d: %d", i, res.StatusCode)
		}
		if i == 11 && (res.StatusCode != 429 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, `id="fault"`)) {
			t.Errorf("attempt %d: %d %s", i, res.StatusCode, body)
		}
	}
}

func TestARevokedKeyEndsItsSession(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	k, err := s.NewKey(t.Context(), client.KeyRequest{Label: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, base: s.URL()}
	b.do("POST", "/sign-in", "key="+k.Key)
	b.signedIn()
	if err := s.RevokeKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	b.stranger()
	if res, body := b.do("GET", "/", ""); res.StatusCode != 200 || !strings.Contains(body, "/sign-in") {
		t.Errorf("a stale cookie on a page for visitors: %d %s", res.StatusCode, body)
	}
}

// Sessions outlive the server.
func TestASessionOutlivesARestart(t *testing.T) {
	data := t.TempDir()
	s := start(t, data, nil)
	b := &browser{t: t, base: s.URL()}
	b.do("POST", "/sign-in", "key="+s.Key)
	s.Stop()
	b.base = start(t, data, nil).URL()
	b.signedIn()
}

func TestCallsWithoutAKey(t *testing.T) {
	s := start(t, t.TempDir(), func(c *serve.Config) {
		c.Keyless, c.KeylessRate, c.KeylessBurst = []string{"demo/*", "ann/open", "ann/hidden"}, 1, 4
	})
	for name, visibility := range map[string]string{"demo/four": "public", "ann/open": "public", "ann/other": "public", "ann/hidden": "private"} {
		if err := s.pushFour(t, name, "visibility: "+visibility+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	key := "Simple " + s.Key
	const unauthorized = `{"error":{"message":"authorization required"}}`
	for _, c := range []struct {
		path, auth string
		status     int
		says       string
	}{
		{"demo/four", "", 200, `"result":`},
		{"ann/open", "", 200, `"result":`},
		{"ann/hidden", "", 401, unauthorized},
		{"ann/hidden", key, 200, `"result":`},
		{"ann/other", "", 401, unauthorized},
		{"ann/other", key, 200, `"result":`},
		{"nobody/here", "", 401, unauthorized},
		{"demo/four?output=void", "", 401, unauthorized},
		{"demo/four", "Simple simWrong", 401, unauthorized},
		// Four were let in to be looked at: the address has none left.
		{"demo/four", "", 429, "too many requests"},
		{"demo/four", key, 200, `"result":`},
	} {
		res, body := s.do(t, request{path: "/v1/algo/" + c.path, auth: c.auth, ctype: "application/json", body: "[1,2,3,4]"})
		if res.StatusCode != c.status || !strings.Contains(body, c.says) || c.status == 401 && body != unauthorized {
			t.Errorf("%s with %.10q: %d %s", c.path, c.auth, res.StatusCode, body)
		}
		if after, err := strconv.Atoi(res.Header.Get("Retry-After")); c.status == 429 && (err != nil || after < 1 || after > 60) {
			t.Errorf("come back after %q", res.Header.Get("Retry-After"))
		}
	}
	_, metrics := s.do(t, request{method: "GET", path: "/metrics"})
	for _, want := range []string{`stoa_key_rejections_total{reason="busy"} 1`, `stoa_key_rejections_total{reason="unauthenticated"} 3`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestKeylessSettings(t *testing.T) {
	s := start(t, t.TempDir(), func(c *serve.Config) { c.Keyless = []string{"none"} })
	if err := s.pushFour(t, "demo/four", "visibility: public\n"); err != nil {
		t.Fatal(err)
	}
	if res, body := s.do(t, request{path: "/v1/algo/demo/four", ctype: "application/json", body: "[1,2,3,4]"}); res.StatusCode != 401 {
		t.Errorf("--keyless none: %d %s", res.StatusCode, body)
	}
	for _, bad := range []serve.Config{{Keyless: []string{"demo"}}, {Keyless: []string{"none", "demo/*"}}, {KeylessRate: -1}, {PublicURL: "stoa.example"}} {
		bad.Data, bad.Listen, bad.Self, bad.Sandbox = t.TempDir(), "127.0.0.1:0", []string{os.Args[0]}, sandbox.None
		if _, err := serve.New(t.Context(), bad); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%+v: %v", bad.Keyless, err)
		}
	}
}
