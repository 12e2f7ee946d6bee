package algorithm_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
	"github.com/stoa-project/stoa/internal/web"
	"github.com/stoa-project/stoa/internal/web/page/algorithm"
	"github.com/stoa-project/stoa/internal/web/webtest"
)

const png = "\x89PNG\r\n\x1a\n"

func newServer(t *testing.T) (*doortest.System, *httptest.Server) {
	t.Helper()
	sys := doortest.New()
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := algorithm.Routes(algorithm.Config{Site: site, Catalog: sys, Keyless: func(r stoa.Ref) bool { return r.Name == "open" }})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := sys.Handler(nil, algorithmia.Config{}, site.Door(routes...))
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return sys, s
}

const report = `{"framework":"caffe","format":"Caffe V2 binary, prototxt","files":["a.prototxt"],"inputs":[{"name":"data","dtype":"float32","shape":[-1,3,96,96]}],
	"outputs":[{"name":"prob","dtype":"float32","shape":[-1,6]}],"mapped":{"Convolution":["Conv"],"Dropout":null},"simplified":{"BatchNormalization":21,"Identity":2},"layers":{"Convolution":21,"ReLU":17},"operators":{"Conv":21},"parameters":1040000,"macs":121000000,
	"weight_bytes":4120000,"memory_bytes":4560000,"opset":17,"notes":["one layer <dropped>"],"check":{"load_seconds":0.02,"host_bytes":7000000,"run_seconds":0.0084,"answer":"{}",
	"compared":[{"output":"prob","wanted":"o.npy","max_abs":0.5,"max_rel":0.000002,"tolerance":0.0001,"ok":true}]}}`

func TestThePageTellsWhatAVersionIs(t *testing.T) {
	sys, s := newServer(t)
	v := sys.Add("demo/places/1.2.0", true, nil)
	v.Tagline = "<i>Names</i>"
	v.Manifest = json.RawMessage(`{"kind":"model","tags":["photo"],"licence":"Apache-2.0","input":[{"picture":{"width":96,"height":96,"colour":"bgr","mean":[127.5]}}],
		"output":[{"labels":{"names":["a"],"threshold":0.5}}],"sample":{"file":"samples/peaks.jpg"}}`)
	v.Report = json.RawMessage(report)
	for _, n := range []string{"samples/peaks.jpg", "samples/more.png", "samples/after.png", "samples/CREDITS.md", "LICENCE.md", "net.caffemodel"} {
		sys.AddFile(v, n, []byte(png+n))
	}
	sys.AddFile(v, "README.md", []byte("# Places\n\n**Bold** <script>alert(1)</script>"))
	res, page := webtest.Get(t, s.URL+"/algorithms/demo/places", "")
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	webtest.Has(t, page, "&lt;i&gt;Names", "1.2.0", ">photo</a>", `href="/files/demo/places/LICENCE.md?version=1.2.0">Apache-2.0`, "<h2>Places</h2>", "<strong>Bold</strong>",
		"1.0 M, 3.9 MiB", "121.0 M", "4.3 MiB estimated", "6.7 MiB measured", "Answered its sample in 8.4 ms", "1 outputs as in the framework of origin, at most 2e-06 of their scale off", "38: 21 Convolution, 17 ReLU", "one layer &lt;dropped&gt;",
		"<code>Convolution</code> → <code>Conv</code>", "<code>Dropout</code> → nothing: it has no effect here", "21 BatchNormalization, 2 Identity",
		"as bgr", "resized to 96 × 96 (stretch)", "(level − 127.5) × 1", "N×3×96×96 float32", "“not sure” below 0.5",
		`data-call="/v1/algo/demo/places/1.2.0"`, `data-kind="picture"`, `data-url="/files/demo/places/samples/more.png?version=1.2.0"`,
		"Sign in</a>", "STOA_KEY", "<noscript>")
	webtest.Lacks(t, page, "<script>alert", "samples/after.png", "samples/CREDITS", "style=", "onerror")
	if len(page) > 40_000 {
		t.Errorf("%d bytes", len(page))
	}
	_, page = webtest.Get(t, s.URL+"/algorithms/Demo/PLACES?version=1.2.0", doortest.OtherKey)
	webtest.Has(t, page, `id="run">`)
	webtest.Has(t, page, "/v1/algo/demo/places/1.2.0 \\\n")
}

func TestTheConsoleIsMadeOfTheAdapters(t *testing.T) {
	sys, s := newServer(t)
	v := sys.Add("demo/open/1.0.0", true, nil)
	v.Manifest = json.RawMessage(`{"kind":"model","input":[{"name":"a","picture":{"colour":"lab-l"}},{"name":"b"}],"output":[{"lab":{"format":"jpeg"}}],"sample":{"json":{"a":"it's","b":[1]}}}`)
	v.Report = json.RawMessage(`{"framework":"onnx","inputs":[{"name":"a","dtype":"float32","shape":[1,1,8,8]},{"name":"b","dtype":"float32","shape":[1]}],"outputs":[{"name":"o","dtype":"float32","shape":[1,2,8,8]}]}`)
	_, page := webtest.Get(t, s.URL+"/algorithms/demo/open", "")
	webtest.Has(t, page, `data-kind="picture" data-name="a"`, `data-kind="array" data-name="b"`, "data-members", "data-grey", `data-text="{&#34;a&#34;:&#34;it&#39;s&#34;,&#34;b&#34;:[1]}"`,
		"No key is needed", "?output=raw", "answer.jpg", "Try the author’s sample")
	webtest.Lacks(t, page, "disabled", "STOA_KEY")
	v = sys.Add("demo/texts/1.0.0", true, nil)
	v.Manifest = json.RawMessage(`{"kind":"model","sample":{"text":"hello"}}`)
	_, page = webtest.Get(t, s.URL+"/algorithms/demo/texts", doortest.DemoKey)
	webtest.Has(t, page, `data-kind="text"`, `data-text="hello"`, "text/plain")
}

func TestPrivateThingsAreForThoseWhoMay(t *testing.T) {
	sys, s := newServer(t)
	v := sys.Add("demo/secret/1.0.0", false, nil)
	sys.AddFile(v, "samples/x.png", []byte(png))
	sys.AddFile(v, "README.md", []byte("hidden words"))
	for key, want := range map[string]int{"": 404, doortest.OtherKey: 404, doortest.DemoKey: 200, doortest.AdminKey: 200, "wrong": 401} {
		for _, path := range []string{"/algorithms/demo/secret", "/files/demo/secret/samples/x.png", "/files/demo/secret/README.md?version=1.0.0"} {
			res, page := webtest.Get(t, s.URL+path, key)
			if res.StatusCode != want || want != 200 && strings.Contains(page, "hidden") {
				t.Errorf("%s with %q: %d", path, key, res.StatusCode)
			}
			if cc := res.Header.Get("Cache-Control"); want == 200 && strings.Contains(cc, "public") {
				t.Errorf("%s: %s", path, cc)
			}
		}
	}
}

func TestManyVersionsFit(t *testing.T) {
	sys, s := newServer(t)
	for i := range 40 {
		sys.Add(fmt.Sprintf("demo/often/1.%d.0", i), true, nil)
	}
	_, page := webtest.Get(t, s.URL+"/algorithms/demo/often", "")
	webtest.Has(t, page, `href="?version=1.39.0" aria-current="page"`, "28 more")
	res, page := webtest.Get(t, s.URL+"/algorithms/demo/often?version=7.0.0", "")
	if res.StatusCode != 404 || !strings.Contains(page, "<h1>Not Found</h1>") {
		t.Errorf("%d %s", res.StatusCode, page)
	}
}

func TestFiles(t *testing.T) {
	sys, s := newServer(t)
	v := sys.Add("demo/pictures/1.0.0", true, nil)
	v.Manifest = json.RawMessage(`{"kind":"model","sample":{"file":"shot.png"}}`) // people try it, wherever it lies
	for _, n := range []string{"samples/a.png", "samples/a.html", "README.md", "net.caffemodel", "sub/README.md", "shot.png", "other.png"} {
		sys.AddFile(v, n, []byte("<html>"))
	}
	for path, want := range map[string]int{
		"demo/pictures/samples/a.png": 200, "demo/pictures/README.md": 200, "demo/pictures/samples/a.html?version=1.0.0": 200,
		"demo/pictures/shot.png": 200, "demo/pictures/other.png": 404, "demo/pictures/": 404,
		"demo/pictures/net.caffemodel": 404, "demo/pictures/sub/README.md": 404, "demo/pictures/samples/none": 404, "no/such/README.md": 404,
		"d-d/x/README.md": 404, "demo/pictures/samples/a.png?version=9.9.9": 404, "demo/pictures/samples/a.png?version=x": 404,
	} {
		res, _ := webtest.Get(t, s.URL+"/files/"+path, "")
		if res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		if want == 200 && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s is served as a page", path)
		}
	}
}
