package algorithm_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/logbook"
	"github.com/stoa-project/stoa/internal/web"
	"github.com/stoa-project/stoa/internal/web/page/algorithm"
	"github.com/stoa-project/stoa/internal/web/webtest"
)

// book is a logbook that holds what a test wrote.
type book map[string][]logbook.Entry

func (b book) Read(_ context.Context, ref stoa.Ref, q logbook.Query) ([]logbook.Entry, error) {
	all := b[ref.Key()]
	return all[max(len(all)-q.Tail, 0):], nil
}

// newCodeServer is a server whose pages show logs.
func newCodeServer(t *testing.T, logs book) (*doortest.System, *httptest.Server) {
	t.Helper()
	sys := doortest.New()
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := algorithm.Routes(algorithm.Config{Site: site, Catalog: sys, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := sys.Handler(nil, algorithmia.Config{}, site.Door(routes...))
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return sys, s
}

const buildReport = `{"language":"python","framework":"Python","runtime":"Python 3.11.7","protocol":"frames","command":["python3","-s","/opt/lang/runner.py"],
	"cached":true,"seconds":2.5,"hosts":["packages.example"],"log":"pip install <b>\n\u001b[31mred","programs":["python3"],"deps_bytes":2097152,"app_bytes":10240,
	"check":{"sample":"text","run_seconds":0.0084,"answer":"hello"}}`

// addCode publishes a program.
func addCode(sys *doortest.System, name, manifest string) *catalog.Version {
	v := sys.Add(name, true, nil)
	v.Kind, v.Framework = "code", "Python"
	v.Manifest, v.Report = json.RawMessage(manifest), json.RawMessage(buildReport)
	return v
}

func TestThePageTellsWhatAProgramIs(t *testing.T) {
	sys, s := newCodeServer(t, book{"demo/hello": {
		{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "1.0.0", Request: "req-7", Stream: "stderr", Text: "<i>secretly</i>\x1b[1m\u202e\n"},
	}})
	v := addCode(sys, "demo/hello/1.0.0", `{"kind":"code","code":{"language":"python","network":["api.example.com","*.example.org:443"],
		"models":[{"name":"net.onnx","file":"net.onnx"},{"name":"places","file":"x.caffemodel","from":"demo/places/1.0.0"}]},
		"limits":{"memory":"2GiB","timeout":"30s","cpu":2},"replicas":{"min":1,"max":8,"idle":"10m"},"sample":{"json":{"who":["Ada"]}}}`)
	sys.AddFile(v, "net.onnx", []byte(strings.Repeat("x", 2048)))
	v.Built = append(v.Built, blob.File{Name: "models/places", Size: 3 << 20})
	public := []string{
		`<li class="tag">code</li>`, `<li class="tag">Python</li>`, "Python 3.11.7", "up to 2.0 GiB", "up to 30s", "1 to 8, each kept 10m without a call",
		"api.example.com", "*.example.org:443", "net.onnx</span>, 2.0 KiB", "places</span>, 3.0 MiB, of <a href=\"/algorithms/demo/places\">demo/places/1.0.0</a>",
		"Answered its sample in 8.4 ms", "Any text, JSON or bytes", `data-kind="any"`, `value="json" checked`, "&#34;who&#34;: [\n",
	}
	private := []string{
		"pip install &lt;b&gt;\n·[31mred", "2.5 s", "taken from an earlier build", "program 10.0 KiB", "dependencies 2.0 MiB", "packages.example",
		"&lt;i&gt;secretly&lt;/i&gt;·[1m·", `<time datetime="2026-01-02T03:04:05.000Z">`, "req-7", `class="entry stderr"`,
		`data-logs="/v1/algorithms/demo/hello/logs"`, "data-printed",
	}
	for key, owner := range map[string]bool{"": false, doortest.OtherKey: false, doortest.DemoKey: true, doortest.AdminKey: true} {
		res, page := webtest.Get(t, s.URL+"/algorithms/demo/hello", key)
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		webtest.Has(t, page, public...)
		webtest.Lacks(t, page, "/opt/lang", "frames", "\x1b", "<i>", "style=")
		if owner {
			webtest.Has(t, page, private...)
		} else {
			webtest.Lacks(t, page, private...)
		}
	}
}

func TestADefaultProgramIsCompleteToo(t *testing.T) {
	sys, s := newCodeServer(t, nil)
	v := addCode(sys, "demo/bare/1.0.0", `{"kind":"code","sample":{"text":"World"}}`)
	v.Report = json.RawMessage(`{"framework":7}`) // of another build
	_, page := webtest.Get(t, s.URL+"/algorithms/demo/bare", doortest.DemoKey)
	webtest.Has(t, page, `<span class="good">nothing</span>`, "up to 512.0 MiB", "0 to 4, each kept 5m without a call", `value="text" checked`, ">World</textarea>", "It has printed nothing yet", "Dependencies</dt><dd>none")
	webtest.Lacks(t, page, "A call takes")
}

// What a manifest promises holds nobody where there is no sandbox, and the page
// says so.
func TestWithoutASandboxThePageSaysSo(t *testing.T) {
	sys := doortest.New()
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := algorithm.Routes(algorithm.Config{Site: site, Catalog: sys, Unconfined: true})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := sys.Handler(nil, algorithmia.Config{}, site.Door(routes...))
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	addCode(sys, "demo/free/1.0.0", `{"kind":"code","code":{"network":["api.example.com"]}}`)
	_, page := webtest.Get(t, s.URL+"/algorithms/demo/free", "")
	webtest.Has(t, page, `<span class="bad">anything: this server runs code without a sandbox`)
	webtest.Lacks(t, page, "api.example.com")
}

func TestASchemaIsATable(t *testing.T) {
	sys, s := newCodeServer(t, nil)
	addCode(sys, "demo/shaped/1.0.0", `{"kind":"code","schema":{"input":{"type":"object","description":"<b>What</b> to draw","required":["zeta"],"examples":[{"zeta":1}],
		"$defs":{"point":{"type":"object","properties":{"x":{"type":"number","minimum":0,"maximum":1.50}}}},
		"properties":{"alpha":{"enum":["a",2,null]},"zeta":{"type":"integer","default":3},"at":{"$ref":"#/$defs/point"},"all":{"type":"array","items":{"$ref":"#/$defs/point"}},
		"self":{"$ref":"#"},"gone":{"$ref":"https://example.com/x"},"both":{"allOf":[{"type":"object"}]},"either":{"anyOf":[{"type":"string","format":"uri"},{"type":["null","boolean"]}]}}},
		"output":{"type":"string","minLength":1}}}`)
	_, page := webtest.Get(t, s.URL+"/algorithms/demo/shaped", "")
	webtest.Has(t, page, "&lt;b&gt;What&lt;/b&gt; to draw", "<code>zeta</code></th><td>integer<br><span class=\"required\">required</span>", "default 3", "&#34;a&#34;, 2, null",
		"at least 0</span>", "at most 1.50</span>", "list of object", "string (uri)", "null or boolean", "https://example.com/x", ">and</th>", ">or</th>", "characters: at least 1",
		`value="json" checked`, "&#34;zeta&#34;: 1", "The JSON Schema", "--data-raw")
	if at, first := strings.Index(page, "<code>alpha"), strings.Index(page, "<code>zeta"); at < first {
		t.Error("what is required does not come first")
	}
	if len(page) > 400_000 {
		t.Errorf("a schema that holds itself gives %d bytes", len(page))
	}
}
