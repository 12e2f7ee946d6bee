package algorithmia_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
	"github.com/stoa-project/stoa/internal/catalog"
)

// The rooms are what the door takes.
var (
	_ algorithmia.Catalog   = (*catalog.Catalog)(nil)
	_ algorithmia.Publisher = (*catalog.Catalog)(nil)
	_ algorithmia.Drafts    = (*catalog.Catalog)(nil)
	_ algorithmia.Drafting  = (*catalog.Catalog)(nil)
	_ algorithmia.Accounts  = (*account.Accounts)(nil)
	_ api.Authenticator     = (*account.Accounts)(nil)
)

// open lists the routes that take anyone: none of this door.
var open = map[string]bool{}

// TestRoutesWantAKey walks every route without a key.
func TestRoutesWantAKey(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	fill := strings.NewReplacer("{owner}", "demo", "{name}", "hello", "{id}", "x", "{version}", "1.0.0",
		"{path...}", "README.md", "{sha256}", strings.Repeat("0", 64))
	routes := s.door.Door().Routes
	if len(routes) < 15 {
		t.Errorf("only %d routes", len(routes))
	}
	for _, r := range routes {
		path := fill.Replace(r.Pattern)
		if r.Ahead {
			path += "demo/hello"
		}
		if open[r.Pattern] {
			continue
		}
		for _, auth := range []string{"none", "Simple simNobody00000000000000000", "Basic eDp5"} {
			res, body := s.do(t, call{method: r.Method, path: path, auth: auth})
			if res.StatusCode != 401 || body != `{"error":{"message":"authorization required"}}` {
				t.Errorf("%s %s with %s: %d %s", r.Method, path, auth, res.StatusCode, body)
			}
		}
		if r.Access == api.Anyone {
			t.Errorf("%s %s takes anyone and is not on the list", r.Method, r.Pattern)
		}
	}
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

func TestPush(t *testing.T) {
	s := newServer(t, algorithmia.Config{BodyLimit: 1000})
	content := strings.Repeat("w", 5000) // over the limit on calls, which is not for blobs
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	begin := `{"manifest":"name: net\n","bump":"minor","files":[{"name":"net.onnx","sha256":"` + digest + `","size":5000}]}`
	type push struct {
		ID, Ref string
		Missing []string
	}
	start := func() push {
		t.Helper()
		res, body := s.do(t, call{path: "/v1/pushes", ctype: "application/json", body: begin})
		if res.StatusCode != 201 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		return decode[push](t, body)
	}
	p := start()
	if p.Ref != "demo/net" || len(p.Missing) != 1 || p.Missing[0] != digest {
		t.Fatalf("push %+v", p)
	}
	blobURL := "/v1/pushes/" + p.ID + "/blobs/" + digest
	if res, body := s.do(t, call{method: "PUT", path: blobURL, body: "other"}); res.StatusCode != 400 {
		t.Errorf("other content: %d %s", res.StatusCode, body)
	}
	if res, body := s.do(t, call{method: "PUT", path: blobURL[:len(blobURL)-1], body: content}); res.StatusCode != 400 {
		t.Errorf("no digest: %d %s", res.StatusCode, body)
	}
	if res, body := s.do(t, call{method: "PUT", path: blobURL, body: content, auth: doortest.OtherKey}); res.StatusCode != 404 {
		t.Errorf("another's push: %d %s", res.StatusCode, body)
	}
	if res, body := s.do(t, call{method: "PUT", path: blobURL, body: content}); res.StatusCode != 204 {
		t.Fatalf("upload: %d %s", res.StatusCode, body)
	}
	type version struct {
		Owner, Name, Version, URL, Visibility string
		New                                   bool
		Report                                map[string]any
	}
	res, body := s.do(t, call{path: "/v1/pushes/" + p.ID + "/commit"})
	v := decode[version](t, body)
	if res.StatusCode != 201 || !v.New || v.Version != "0.1.0" || v.URL != s.URL+"/v1/algo/demo/net/0.1.0" || v.Report["framework"] != "caffe" || v.Visibility != "private" {
		t.Errorf("commit: %d %s", res.StatusCode, body)
	}
	p = start()
	if p.Missing == nil || len(p.Missing) != 0 {
		t.Errorf("again: %+v", p)
	}
	if res, body = s.do(t, call{path: "/v1/pushes/" + p.ID + "/commit"}); res.StatusCode != 200 || decode[version](t, body).New {
		t.Errorf("again: %d %s", res.StatusCode, body)
	}
	p = start()
	if res, _ := s.do(t, call{method: "DELETE", path: "/v1/pushes/" + p.ID}); res.StatusCode != 204 || s.sys.Open() != 0 {
		t.Errorf("abort: %d, %d open", res.StatusCode, s.sys.Open())
	}
	for _, bad := range []string{"", "null[]", `{"manifest":1}`, `{"surprise":1}`, `{} {}`} {
		if res, body := s.do(t, call{path: "/v1/pushes", ctype: "application/json", body: bad}); res.StatusCode != 400 {
			t.Errorf("%q: %d %s", bad, res.StatusCode, body)
		}
	}
}

// Pages are followed by their links and by their markers, and keep what was
// asked for.
func TestPages(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	for i := range 7 {
		v := s.sys.Add(fmt.Sprintf("demo/page%d/1.0.0", i), true, nil)
		if i < 5 {
			v.Framework = "caffe"
		}
	}
	type page struct {
		Results           []struct{ Name, Framework string }
		Marker            *string
		NextLink          *string `json:"next_link"`
		Total             int
		Kinds, Frameworks map[string]int
	}
	var names []string
	path := "/v1/algorithms?q=page&framework=caffe&kind=model&limit=2"
	for range 3 {
		_, body := s.do(t, call{method: "GET", path: path})
		p := decode[page](t, body)
		if p.Total != 5 || p.Kinds["model"] != 5 || p.Frameworks["caffe"] != 5 || p.Frameworks["none"] != 2 {
			t.Fatalf("%s: %s", path, body)
		}
		for _, r := range p.Results {
			names = append(names, r.Name+" "+r.Framework)
		}
		if p.NextLink == nil || p.Marker == nil {
			if p.NextLink != nil || p.Marker != nil {
				t.Errorf("a marker without a link, or a link without a marker: %s", body)
			}
			path = ""
			break
		}
		u, err := url.Parse(*p.NextLink)
		if err != nil || u.Host == "" || u.Query().Get("marker") != *p.Marker {
			t.Fatalf("next_link %s, marker %s, %v", *p.NextLink, *p.Marker, err)
		}
		path = u.RequestURI()
	}
	want := []string{"page0 caffe", "page1 caffe", "page2 caffe", "page3 caffe", "page4 caffe"}
	if diff := cmp.Diff(want, names); diff != "" || path != "" {
		t.Errorf("then %q; want -, got +\n%s", path, diff)
	}
	for _, bad := range []string{"limit=1001", "limit=x", "marker=3", "marker=%00", "marker=YWZ0ZXI6MA"} {
		name, _, _ := strings.Cut(bad, "=")
		if res, body := s.do(t, call{method: "GET", path: "/v1/algorithms?" + bad}); res.StatusCode != 400 || !strings.Contains(body, name+"=") {
			t.Errorf("%s: %d %s", bad, res.StatusCode, body)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	s := newServer(t, algorithmia.Config{PublicURL: "https://stoa.example.org/"})
	s.sys.Add("demo/hello/1.1.0", true, nil)
	type item struct {
		ID, Owner, Name, Version, URL, Created string
		Tags                                   []string
		Manifest                               json.RawMessage
	}
	type page struct {
		Results []item
		Marker  any
	}
	_, body := s.do(t, call{method: "GET", path: "/v1/algorithms?q=hello"})
	got := decode[page](t, body)
	if len(got.Results) != 1 || got.Results[0].Version != "1.1.0" || got.Results[0].Manifest != nil || len(got.Results[0].Tags) != 2 {
		t.Errorf("list: %s", body)
	}
	if got.Results[0].URL != "https://stoa.example.org/v1/algo/demo/hello/1.1.0" {
		t.Errorf("url: %s", got.Results[0].URL)
	}
	_, body = s.do(t, call{method: "GET", path: "/v1/algorithms?owner=me", auth: doortest.OtherKey})
	if got := decode[page](t, body); len(got.Results) != 0 || got.Results == nil {
		t.Errorf("list of nothing: %s", body)
	}
	_, body = s.do(t, call{method: "GET", path: "/v1/algorithms/demo/hello?version=1.0.0"})
	if got := decode[item](t, body); got.Version != "1.0.0" || got.Manifest == nil || got.ID != doortest.HelloID {
		t.Errorf("show: %s", body)
	}
	_, body = s.do(t, call{method: "GET", path: "/v1/algorithms/me/hello/versions"})
	if got := decode[page](t, body); len(got.Results) != 2 || got.Results[0].Version != "1.1.0" {
		t.Errorf("versions: %s", body)
	}
	for _, c := range []struct {
		method, path, auth string
		status             int
		body               string
	}{
		{"GET", "/v1/algorithms/no/such", "", 404, `{"error":"No such algorithm"}`},
		{"GET", "/v1/algorithms/no/such/versions", "", 404, ""},
		{"GET", "/v1/algorithms/no/such?version=1.0.0", "", 404, ""},
		{"GET", "/v1/algorithms/no-o/such", "", 400, ""},
		{"GET", "/v1/algorithms?limit=0", "", 400, ""},
		{"DELETE", "/v1/algorithms/demo/hello/versions/1.0.0", doortest.OtherKey, 403, ""},
		{"DELETE", "/v1/algorithms/demo/hello/versions/1.0.0", "", 204, ""},
		{"GET", "/v1/algorithms/demo/hello?version=1.0.0", "", 404, ""},
		{"DELETE", "/v1/algorithms/demo/hello", "", 204, ""},
		{"DELETE", "/v1/algorithms/demo/hello", "", 404, ""},
		{"PATCH", "/v1/algorithms/demo/hello", "", 405, ""},
		{"GET", "/v1/nothing", "", 404, ""},
	} {
		res, body := s.do(t, call{method: c.method, path: c.path, auth: c.auth})
		if res.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s %s: %d %s", c.method, c.path, res.StatusCode, body)
		}
		if c.status >= 400 && c.body == "" {
			if e := decode[struct{ Error struct{ Message string } }](t, body); e.Error.Message == "" {
				t.Errorf("%s %s: no message in %s", c.method, c.path, body)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	v := s.sys.Add("demo/pictures/1.0.0", true, nil)
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("x", 100)
	for name, content := range map[string]string{
		"samples/a.png": png, "samples/a.html": "<html><script>alert(1)</script>", "samples/a.svg": `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`,
		"samples/a.json": `{"a":1}`, "README.md": "# Grüße", "LICENSE": "", "net.caffemodel": "\x0a\x00\x01", "samples/a b.bin": "\x00\x01",
	} {
		s.sys.AddFile(v, name, []byte(content))
	}
	for _, c := range []struct {
		name, auth, ctype string
		status            int
	}{
		{"samples/a.png", doortest.OtherKey, "image/png", 200},
		{"samples/a.html", doortest.OtherKey, "text/plain; charset=utf-8", 200},
		{"samples/a.svg", doortest.OtherKey, "text/plain; charset=utf-8", 200},
		{"samples/a.json", doortest.OtherKey, "application/json", 200},
		{"samples/a%20b.bin", doortest.OtherKey, "application/octet-stream", 200},
		{"README.md", doortest.OtherKey, "text/plain; charset=utf-8", 200},
		{"LICENSE", doortest.OtherKey, "text/plain; charset=utf-8", 200},
		{"net.caffemodel", doortest.OtherKey, "application/json", 403},
		{"net.caffemodel", doortest.DemoKey, "application/octet-stream", 200},
		{"samples/none", doortest.DemoKey, "application/json", 404},
		{"..%2fsecret", doortest.DemoKey, "application/json", 404},
	} {
		res, body := s.do(t, call{method: "GET", path: "/v1/algorithms/demo/pictures/files/" + c.name, auth: c.auth})
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != c.ctype || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %q %.80q", c.name, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
	}
	res, _ := s.do(t, call{method: "GET", path: "/v1/algorithms/demo/pictures/files/samples/a.png"})
	req, _ := http.NewRequest("GET", res.Request.URL.String(), nil)
	req.Header.Set("Authorization", doortest.DemoKey)
	req.Header.Set("If-None-Match", res.Header.Get("ETag"))
	again, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("with the ETag: %d", again.StatusCode)
	}
}

func TestKeys(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	type key struct{ ID, User, Label, Prefix, Key, Revoked string }
	_, body := s.do(t, call{method: "GET", path: "/v1/whoami"})
	if body != `{"account":"demo","key":"key2","admin":false,"by":"key"}`+"\n" {
		t.Errorf("whoami: %s", body)
	}
	res, body := s.do(t, call{path: "/v1/keys", ctype: "application/json", body: `{"label":"laptop"}`})
	k := decode[key](t, body)
	if res.StatusCode != 201 || len(k.Key) != 28 || k.User != "demo" || k.Label != "laptop" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("new: %d %s", res.StatusCode, body)
	}
	if res, _ := s.do(t, call{path: "/v1/keys", ctype: "application/json", body: `{"user":"admin"}`}); res.StatusCode != 403 {
		t.Errorf("for another: %d", res.StatusCode)
	}
	_, body = s.do(t, call{method: "GET", path: "/v1/keys"})
	if strings.Contains(body, k.Key) || strings.Count(body, `"id"`) != 2 {
		t.Errorf("list: %s", body)
	}
	if res, _ := s.do(t, call{method: "DELETE", path: "/v1/keys/" + k.Key}); res.StatusCode != 204 {
		t.Errorf("revoke: %d", res.StatusCode)
	}
	if strings.Contains(s.log.String(), k.Key) {
		t.Error("the log holds a key")
	}
	if res, _ := s.do(t, call{method: "GET", path: "/v1/whoami", auth: k.Key}); res.StatusCode != 401 {
		t.Errorf("with the revoked key: %d", res.StatusCode)
	}
	if res, _ := s.do(t, call{method: "DELETE", path: "/v1/keys/none"}); res.StatusCode != 404 {
		t.Errorf("revoke none: %d", res.StatusCode)
	}
}

// TestDocs holds docs/api.md to the routes.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range algorithmia.New(algorithmia.Config{}).Door().Routes {
		if !strings.Contains(string(b), r.Method+" "+r.Pattern) {
			t.Errorf("docs/api.md does not tell of %s %s", r.Method, r.Pattern)
		}
	}
	for k := stoa.Internal; k <= stoa.Unavailable; k++ {
		if !strings.Contains(string(b), "`"+k.String()+"`") {
			t.Errorf("docs/api.md does not tell of the kind %s", k)
		}
	}
}
