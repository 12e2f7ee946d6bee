package home_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/web"
	"github.com/stoa-project/stoa/internal/web/page/home"
	"github.com/stoa-project/stoa/internal/web/webtest"
)

// fake is a catalogue that gives what it was told.
type fake struct {
	demo  *catalog.Version
	found catalog.Found
	asked catalog.Query
	err   error
}

func (f *fake) Resolve(context.Context, stoa.Caller, stoa.Ref) (*catalog.Version, error) {
	if f.demo == nil {
		return nil, stoa.Errorf(stoa.NotFound, "no")
	}
	return f.demo, nil
}

func (f *fake) Search(_ context.Context, _ stoa.Caller, q catalog.Query) (catalog.Found, error) {
	f.asked = q
	return f.found, f.err
}

func serve(t *testing.T, f *fake, keyless bool) *httptest.Server {
	t.Helper()
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := home.Routes(home.Config{Site: site, Catalog: f, Keyless: func(stoa.Ref) bool { return keyless }})
	if err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Config{Doors: []api.Door{site.Door(routes...)}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func algorithm(name string) *catalog.Version {
	return &catalog.Version{
		Owner: "demo", Name: name, Number: stoa.Version{Major: 1}, Public: true, Kind: "model", Framework: "caffe",
		Tagline: "<script>alert(1)</script>", Manifest: json.RawMessage(`{"kind":"model","sample":{"file":"samples/old photo.jpg"}}`),
	}
}

func TestTheListIsWhatWasFound(t *testing.T) {
	f := &fake{found: catalog.Found{
		Versions: []*catalog.Version{algorithm("places")}, Total: 60,
		Kinds: []catalog.Facet{{Name: "model", Count: 60}}, Frameworks: []catalog.Facet{{Name: "caffe", Count: 50}, {Name: "onnx", Count: 10}},
	}}
	s := serve(t, f, false)
	_, page := webtest.Get(t, s.URL+"/?q=old+photo&framework=caffe&from=24", "")
	if f.asked.Text != "old photo" || f.asked.Framework != "caffe" || f.asked.Offset != 24 || f.asked.Limit != 24 {
		t.Errorf("asked for %+v", f.asked)
	}
	webtest.Has(t, page, `href="/algorithms/demo/places"`, "/files/demo/places/samples/old%20photo.jpg?version=1.0.0", "&lt;script&gt;", "60 algorithms, 25 to 25",
		`value="old photo"`, `name="framework" value="caffe"`, `aria-current="true">caffe <span class="soft">50</span>`, `href="/?framework=onnx&amp;q=old&#43;photo#list"`,
		`rel="prev" href="/?framework=caffe&amp;q=old&#43;photo#list"`, `rel="next" href="/?framework=caffe&amp;from=48&amp;q=old&#43;photo#list"`)
	if strings.Contains(page, "<script>alert") || strings.Contains(page, `id="demo"`) {
		t.Errorf("the page has what it must not:\n%s", page)
	}
	res, part := webtest.Get(t, s.URL+"/list?q=x", "")
	if webtest.Has(t, part, "demo/", `class="cards"`); strings.Contains(part, "<html") || res.StatusCode != 200 {
		t.Errorf("%d: more than the list: %s", res.StatusCode, part)
	}
}

func TestNothingToShow(t *testing.T) {
	s := serve(t, &fake{}, false)
	_, page := webtest.Get(t, s.URL+"/", "")
	webtest.Has(t, page, "Nothing is public here yet", "0 algorithms")
	_, page = webtest.Get(t, s.URL+"/?q=none", "")
	webtest.Has(t, page, "Nothing matches that")
	for _, from := range []string{"-1", "x", "99999999"} {
		if res, page := webtest.Get(t, s.URL+"/?from="+from, ""); res.StatusCode != 400 || !strings.Contains(page, "from="+from) {
			t.Errorf("from=%s: %d %s", from, res.StatusCode, page)
		}
	}
}

func TestTheDemoIsThereToTry(t *testing.T) {
	demo := algorithm("colorize")
	for _, n := range []string{"samples/sunset.jpg", "samples/after.jpg", "samples/before.jpg", "samples/CREDITS.md", "net.caffemodel"} {
		demo.Files = append(demo.Files, blob.File{Name: n})
	}
	f := &fake{demo: demo}
	_, page := webtest.Get(t, serve(t, f, true).URL, "")
	webtest.Has(t, page, `data-call="/v1/algo/demo/colorize/1.0.0"`, `data-before="/files/demo/colorize/samples/before.jpg?version=1.0.0"`, "samples/after.jpg", "samples/sunset.jpg")
	if strings.Contains(page, "data-locked") || strings.Contains(page, "CREDITS") || strings.Count(page, `class="photo"`) != 2 {
		t.Errorf("%s", page)
	}
	_, page = webtest.Get(t, serve(t, f, false).URL, "")
	webtest.Has(t, page, "data-locked")
	demo.Files = nil // somebody's own demo/colorize
	if _, page = webtest.Get(t, serve(t, f, true).URL, ""); strings.Contains(page, `id="demo"`) {
		t.Error("a demo without photos is shown")
	}
}

// TestThePageIsSmallAndItsOwn holds a full page to its limit, and to what a
// browser may load.
func TestThePageIsSmallAndItsOwn(t *testing.T) {
	f := &fake{found: catalog.Found{Total: 10_000}}
	for i := range 24 {
		v := algorithm(fmt.Sprintf("n%029d", i))
		v.Owner, v.Tagline = strings.Repeat("o", 30), strings.Repeat("ü", 200)
		f.found.Versions = append(f.found.Versions, v)
	}
	for i := range 20 {
		f.found.Frameworks = append(f.found.Frameworks, catalog.Facet{Name: fmt.Sprint("framework", i), Count: 500})
	}
	s := serve(t, f, true)
	res, page := webtest.Get(t, s.URL+"/?q="+strings.Repeat("w", 100), "")
	if len(page) > 40_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self'") || strings.Contains(csp, "unsafe") || res.Header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("headers %v", res.Header)
	}
	for _, never := range []string{"style=", "onclick", "//cdn", "<script>"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	assets := regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(assets) != 3 {
		t.Errorf("the page loads %v", assets)
	}
	for _, m := range assets {
		res, body := webtest.Get(t, s.URL+m[1], "")
		if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || body == "" {
			t.Errorf("%s: %d %q", m[1], res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
}

// Code stands beside models: its card names the language, and has no picture
// where its sample is none.
func TestCodeIsInTheListToo(t *testing.T) {
	v := algorithm("hello")
	v.Kind, v.Framework, v.Manifest = "code", "Python", json.RawMessage(`{"kind":"code","sample":{"file":"samples/in.json"}}`)
	f := &fake{found: catalog.Found{Versions: []*catalog.Version{v}, Total: 1, Kinds: []catalog.Facet{{Name: "model", Count: 4}, {Name: "code", Count: 1}}}}
	s := serve(t, f, false)
	_, page := webtest.Get(t, s.URL+"/list?kind=code", "")
	webtest.Has(t, page, "code · Python", `<a href="/?kind=code#list" aria-current="true">code <span class="soft">1</span>`, `class="blank"`)
	webtest.Lacks(t, page, "<img")
	if f.asked.Kind != "code" {
		t.Errorf("asked for %+v", f.asked)
	}
}
