package algorithmia_test

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
)

// guestDoor lets in so many calls of demo's algorithms.
type guestDoor struct {
	mu      sync.Mutex
	left    int
	inside  int
	entered int
	from    netip.Addr
}

func (g *guestDoor) Enter(ref stoa.Ref, from netip.Addr, _ time.Time) (func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ref.Owner != "demo" {
		return nil, stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	if g.left == 0 {
		return nil, &stoa.Error{Kind: stoa.Busy, Msg: "too many requests from this address: try again shortly", RetryAfter: 1500 * time.Millisecond}
	}
	g.left--
	g.inside++
	g.entered++
	g.from = from
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inside--
	}, nil
}

const wantsKey = `{"error":{"message":"authorization required"}}`

func TestCallsWithoutAKey(t *testing.T) {
	g := &guestDoor{left: 100}
	s := newServer(t, algorithmia.Config{Guests: g, BodyLimit: 1000})
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"public", "/v1/algo/demo/echo", "hi", 200, `"result":"hi"`},
		{"a version", "/v1/algo/demo/echo/1.0.0", "hi", 200, `"result":"hi"`},
		{"raw", "/v1/algo/demo/echo?output=raw", "hi", 200, "hi"},
		{"failing", "/v1/algo/demo/fails", "hi", 200, "division by zero"},
		{"bad query", "/v1/algo/demo/echo?timeout=soon", "hi", 400, "timeout=soon"},
		{"long body", "/v1/algo/demo/echo", strings.Repeat("x", 1001), 413, "over the limit"},
		{"private", "/v1/algo/demo/secret", "hi", 401, wantsKey},
		{"missing", "/v1/algo/demo/nothing", "hi", 401, wantsKey},
		{"no such version", "/v1/algo/demo/echo/9.9.9", "hi", 401, wantsKey},
		{"not named", "/v1/algo/other/echo", "hi", 401, wantsKey},
		{"by uuid", "/v1/algo/" + doortest.HelloID, "hi", 401, wantsKey},
		{"void", "/v1/algo/demo/echo?output=void", "hi", 401, wantsKey},
		{"no path", "/v1/algo/demo", "hi", 401, wantsKey},
		{"odd path", "/v1/algo/demo/e%25zzcho", "hi", 401, wantsKey},
	} {
		res, body := s.do(t, call{path: c.path, body: c.body, auth: "none"})
		if res.StatusCode != c.status || !strings.Contains(body, c.want) || c.status == 401 && body != wantsKey {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
		}
		if strings.Contains(body, "stacktrace") {
			t.Errorf("%s: a stranger sees the insides: %s", c.name, body)
		}
	}
	if g.from != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the caller's address is %v", g.from)
	}
	if g.inside != 0 || g.entered == 0 {
		t.Errorf("%d of %d calls did not leave", g.inside, g.entered)
	}
	// A wrong key is refused as ever, and a right one needs no place.
	if res, body := s.do(t, call{path: "/v1/algo/demo/echo", auth: "Simple simWrong"}); res.StatusCode != 401 || body != wantsKey {
		t.Errorf("with a wrong key: %d %s", res.StatusCode, body)
	}
	before := g.entered
	if res, body := s.do(t, call{path: "/v1/algo/demo/secret"}); res.StatusCode != 200 || g.entered != before {
		t.Errorf("with a key: %d %s", res.StatusCode, body)
	}
}

func TestTooManyCallsWithoutAKey(t *testing.T) {
	s := newServer(t, algorithmia.Config{Guests: &guestDoor{left: 1}})
	if res, body := s.do(t, call{path: "/v1/algo/demo/echo", body: "hi", auth: "none"}); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	res, body := s.do(t, call{path: "/v1/algo/demo/echo", body: "hi", auth: "none"})
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "2" || !strings.Contains(body, "too many") {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
}

// A stranger who may not call is told so before a byte of his body is read.
func TestStrangersAreRefusedBeforeTheirBody(t *testing.T) {
	s := newServer(t, algorithmia.Config{Guests: &guestDoor{left: 1}})
	for _, path := range []string{"/v1/algo/demo/secret", "/v1/algo/other/echo"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 9000000\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var b [512]byte
		n, err := conn.Read(b[:])
		if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 401 ") {
			t.Errorf("%s: %q, %v", path, b[:n], err)
		}
	}
}

func TestSignInLinks(t *testing.T) {
	s := newServer(t, algorithmia.Config{PublicURL: "https://stoa.example.org/"})
	res, body := s.do(t, call{path: "/v1/sign-in-links", ctype: "none"})
	link := decode[struct{ URL, Expires string }](t, body)
	if res.StatusCode != http.StatusCreated || link.URL != "https://stoa.example.org/sign-in?link=link-of-demo" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if _, err := time.Parse(time.RFC3339, link.Expires); err != nil {
		t.Error(err)
	}
}
