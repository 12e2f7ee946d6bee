package serve_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// request is one HTTP request as a stranger's program would make it.
type request struct {
	method, path, auth, ctype, body string
}

func (s *system) do(t testing.TB, r request) (*http.Response, string) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.URL()+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.auth != "" {
		req.Header.Set("Authorization", r.auth)
	}
	if r.ctype != "" {
		req.Header.Set("Content-Type", r.ctype)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// pushFour publishes a network of four floats, whose answer is its input times
// what its prototxt says, under a manifest with these lines more.
func (s *system) pushFour(t testing.TB, name, more string, files ...client.PushFile) error {
	t.Helper()
	_, err := s.Push(t.Context(), client.PushRequest{
		As:       name,
		Manifest: "kind: model\nmodel:\n  files: [net.prototxt]\n" + more,
		Files:    append(files, client.PushFile{Name: "net.prototxt", Path: "../../bench/four/net.prototxt"}),
	})
	return err
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheFirstStartMakesAKey(t *testing.T) {
	data := t.TempDir()
	s := start(t, data, nil)
	st, err := os.Stat(filepath.Join(data, "admin-key"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("admin-key has mode %v, %v", st.Mode(), err)
	}
	if s.AdminKey != s.Key || len(s.Key) != 28 || !strings.HasPrefix(s.Key, "sim") {
		t.Errorf("the key has %d characters, and is in the file: %v", len(s.Key), s.AdminKey == s.Key)
	}
	who, err := s.WhoAmI(t.Context())
	if err != nil || who.Account != "admin" || !who.Admin {
		t.Errorf("%+v, %v", who, err)
	}
	other, err := s.NewKey(t.Context(), client.KeyRequest{Label: "other"})
	if err != nil || len(other.Key) != 28 {
		t.Fatalf("%+v, %v", other, err)
	}
	if res, body := s.do(t, request{method: "GET", path: "/v1/whoami", auth: "Simple " + other.Key}); res.StatusCode != http.StatusOK {
		t.Errorf("with the new key: %d %s", res.StatusCode, body)
	}
	if err := s.RevokeKey(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	for _, auth := range []string{"", "Simple " + other.Key, "simWrong"} {
		if res, body := s.do(t, request{method: "GET", path: "/v1/whoami", auth: auth}); res.StatusCode != http.StatusUnauthorized || body != `{"error":{"message":"authorization required"}}` {
			t.Errorf("with %q: %d %s", auth, res.StatusCode, body)
		}
	}
	s.Stop()
	// Nothing but the file for the administrator holds a key as it is.
	err = filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "admin-key" {
			return err
		}
		if b := read(t, path); strings.Contains(b, s.Key) || strings.Contains(b, other.Key) {
			t.Errorf("%s holds a key", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	for _, r := range []struct {
		request
		status int
	}{
		{request{method: "GET", path: "/"}, 200},
		{request{method: "GET", path: "/healthz"}, 200},
		{request{method: "GET", path: "/readyz"}, 200},
		{request{method: "GET", path: "/metrics"}, 200},
		{request{method: "GET", path: "/nothing"}, 404},
		{request{method: "GET", path: "/files/no/such/README.md"}, 404},
		{request{path: "/v1/algo/no/such"}, 401},
		{request{path: "/v1/algo/no/such", auth: s.Key, ctype: "text/plain"}, 404},
		{request{path: "/v1/algo/no/such", auth: s.Key}, 400},
		{request{path: "/v1/algo/no/such", auth: s.Key, ctype: "text/html"}, 415},
		{request{method: "GET", path: "/v1/algo/no/such", auth: s.Key}, 405},
		{request{method: "GET", path: "/v1/algorithms", auth: s.Key}, 200},
		{request{path: "/v1/pushes", auth: s.Key, body: "{"}, 400},
	} {
		res, body := s.do(t, r.request)
		if res.StatusCode != r.status {
			t.Errorf("%s %s: %d %s", r.method, r.path, res.StatusCode, body)
		}
		if res.Header.Get("X-Request-Id") == "" || !strings.Contains(res.Header.Get("Server-Timing"), "total;dur=") {
			t.Errorf("%s %s: headers %v", r.method, r.path, res.Header)
		}
	}
}

// TestPictureInEveryForm sends one picture in all the ways that there are, and
// with every form of the key.
func TestPictureInEveryForm(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.push(t, "../../demo/digits")
	png := read(t, "../../demo/digits/samples/seven.png")
	b64 := base64.StdEncoding.EncodeToString([]byte(png))
	for _, r := range []request{
		{ctype: "application/octet-stream", body: png},
		{ctype: "image/png", body: png},
		{ctype: "application/json", body: `"` + b64 + `"`},
		{ctype: "application/json; charset=UTF-8", body: `"data:image/png;base64,` + b64 + `"`},
		{ctype: "text/plain", body: "data:image/png;base64," + b64},
		{ctype: "application/text", body: b64},
	} {
		for _, auth := range []string{"Simple " + s.Key, "simple " + s.Key, "Bearer " + s.Key, s.Key} {
			r.auth, r.path = auth, "/v1/algo/demo/digits"
			res, body := s.do(t, r)
			var a struct {
				Result struct{ Label string }
			}
			if err := json.Unmarshal([]byte(body), &a); err != nil || res.StatusCode != http.StatusOK || a.Result.Label != "7" {
				t.Fatalf("%s, %.10s…: %d %.300s", r.ctype, auth, res.StatusCode, body)
			}
			if !strings.HasPrefix(body, `{"metadata":{"content_type":"json","duration":`) || !strings.Contains(body, `},"result":{"label":"7"`) {
				t.Errorf("the order of the answer's keys: %.200s", body)
			}
			if timing := res.Header.Get("Server-Timing"); !strings.Contains(timing, "queue;dur=") || !strings.Contains(timing, "compute;dur=") {
				t.Errorf("Server-Timing %q", timing)
			}
		}
	}
}

func TestArrayInEveryForm(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	if err := s.pushFour(t, "me/four", ""); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/algo/admin/four"
	in := []float32{1.5, -2.25, 3.125, 4}
	array := npy.Append(nil, tensor.Of(in, 1, 4))
	_, want := s.do(t, request{path: path + "?output=raw", auth: s.Key, ctype: "application/json", body: `[[1.5,-2.25,3.125,4]]`})
	for _, r := range []request{
		{path: path + "?output=raw", ctype: "application/json", body: `[1.5, -2.25, 3.125, 4]`}, // without the batch axis
		{path: path + "/0.1.0?output=raw&x=y", ctype: "application/json", body: ` [[1.5,-2.25,3.125,4]] `},
		{path: path + "/0.1.*/?output=raw", ctype: "application/json", body: `[[1.5,-2.25,3.125,4]]`},
	} {
		r.auth = s.Key
		if res, body := s.do(t, r); strings.Contains(r.path, "*") == (body == want) { // a wildcard never means a private version
			t.Errorf("%s %s: %d %s, want %s", r.path, r.body, res.StatusCode, body, want)
		}
	}
	for _, ctype := range []string{"application/octet-stream", "application/x-npy"} {
		res, body := s.do(t, request{path: path + "?output=raw", auth: s.Key, ctype: ctype, body: string(array)})
		got, err := npy.Parse([]byte(body))
		if err != nil || res.Header.Get("Content-Type") != "application/x-npy" {
			t.Fatalf("%s: %d %v %.100q", ctype, res.StatusCode, err, body)
		}
		if asJSON := tensor.AppendJSON(nil, got); string(asJSON) != want {
			t.Errorf("%s: %s, want %s", ctype, asJSON, want)
		}
	}
	for _, r := range []struct {
		request
		status int
		says   string
	}{
		{request{path: path, ctype: "application/json", body: `[1,2,3]`}, 200, `"error_type":"InputError"`},
		{request{path: path + "?output=raw", ctype: "application/json", body: `[1,2,3]`}, 400, `"error_type":"InputError"`},
		{request{path: path, ctype: "application/json", body: `[1,2,"x",4]`}, 200, `"error_type":"InputError"`},
		{request{path: path + "/9.9.9", ctype: "application/json", body: `[1,2,3,4]`}, 404, `version 9.9.9 of algorithm algo://admin/four not found`},
		{request{path: path + "?output=void", ctype: "application/json", body: `[1,2,3,4]`}, 200, `{"async":"void","request_id":"req-`},
		{request{path: path + "?timing=1", ctype: "application/json", body: `[1,2,3,4]`}, 200, `"timing":{`},
		{request{path: path + "?stdout=true", ctype: "application/json", body: `[1,2,3,4]`}, 200, `"stdout":""`},
		{request{path: path + "?timeout=soon", ctype: "application/json", body: `[1,2,3,4]`}, 400, `timeout=soon`},
		{request{path: path, ctype: "application/octet-stream", body: strings.Repeat("x", 10<<20+1)}, 413, `over the limit of 10 MiB`},
	} {
		r.auth = "Simple " + s.Key
		if res, body := s.do(t, r.request); res.StatusCode != r.status || !strings.Contains(body, r.says) {
			t.Errorf("%s %.40s: %d %.300s, want %d %s", r.path, r.body, res.StatusCode, body, r.status, r.says)
		}
	}
	_, metrics := s.do(t, request{method: "GET", path: "/metrics"})
	for _, name := range []string{
		`nv_inference_request_success{model="admin/four",version="0.1.0"} `, `nv_inference_request_failure{model="admin/four",reason="invalid",version="0.1.0"} `,
		"nv_inference_count{", "nv_inference_queue_duration_us{", "nv_inference_compute_infer_duration_us{", "nv_inference_request_duration_us{",
		"nv_inference_pending_request_count ", "stoa_request_duration_seconds_bucket{", "stoa_workers 1", "stoa_models_loaded 1",
	} {
		if !strings.Contains(metrics, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	if strings.Contains(metrics, s.Key) {
		t.Error("/metrics holds a key")
	}
}

func TestLimitsOfTheManifest(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	if err := s.pushFour(t, "me/small", "limits: {body: 16B, timeout: 20s, memory: 1GiB}\n"); err != nil {
		t.Fatal(err)
	}
	if _, body := s.do(t, request{path: "/v1/algo/admin/small", auth: s.Key, ctype: "application/json", body: `[1,2,3,4]`}); !strings.Contains(body, `"result":`) {
		t.Errorf("within limits.body: %s", body)
	}
	res, body := s.do(t, request{path: "/v1/algo/admin/small", auth: s.Key, ctype: "application/json", body: `[1,2,3,4          ]`})
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"error_type":"TooLargeError"`) || !strings.Contains(body, "limit of 16B") {
		t.Errorf("over limits.body: %d %s", res.StatusCode, body)
	}
	r := servetest.Bundle(t, "../../demo/places")
	r.As, r.Manifest = "me/starved", r.Manifest+"limits: {memory: 1MiB}\n" // its weights take 4
	if _, err := s.Push(t.Context(), r); stoa.KindOf(err) != stoa.TooLarge || !strings.Contains(err.Error(), "limits.memory") {
		t.Errorf("over limits.memory: %v", err)
	}
}

func TestImportsRunUnderTheServersLimit(t *testing.T) {
	s := start(t, t.TempDir(), func(c *serve.Config) { c.ImportMemory = 96 << 20 })
	if err := s.pushFour(t, "me/four", ""); stoa.KindOf(err) != stoa.TooLarge || !strings.Contains(err.Error(), "more memory than it may have") {
		t.Errorf("got %v", err)
	}
}

func TestSamplesOfEveryKind(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	array := npy.Append(nil, tensor.Of([]float32{1, 2, 3, 4}, 1, 4))
	files := []client.PushFile{
		{Name: "samples/in.json", Data: []byte("[1,2,3,4]")}, {Name: "samples/in.txt", Data: []byte("[1,2,3,4]")}, {Name: "samples/in.npy", Data: array},
	}
	for name, c := range map[string]struct {
		sample string
		fails  bool
	}{
		"me/asjson": {"{json: [1,2,3,4]}", false}, "me/jsonfile": {"{file: samples/in.json}", false}, "me/npyfile": {"{file: samples/in.npy}", false},
		"me/wrong": {"{json: [1,2,3]}", true},
	} {
		err := s.pushFour(t, name, "sample: "+c.sample+"\n", files...)
		if (err != nil) != c.fails || err != nil && !strings.Contains(err.Error(), "the sample does not run") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneWorkerForAllDemos has few rights, and holds the models of their owner.
func TestOneWorkerForAllDemos(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	for _, d := range []string{"colorize", "digits", "places"} {
		p := s.push(t, "../../demo/"+d)
		if p.Visibility != "public" || !strings.HasSuffix(p.URL, "/v1/algo/demo/"+d+"/0.1.0") {
			t.Errorf("%s: %s at %s", d, p.Visibility, p.URL)
		}
		sample := map[string]string{"colorize": "before.jpg", "digits": "seven.png", "places": "peaks.jpg"}[d]
		if _, err := s.Call(t.Context(), "demo/"+d, picture(t, "../../demo/"+d+"/samples/"+sample), client.CallOptions{}); err != nil {
			t.Error(err)
		}
	}
	pids := s.workerPIDs(t)
	if len(pids) != 1 {
		t.Fatalf("%d workers", len(pids))
	}
	proc := "/proc/" + strconv.Itoa(pids[0])
	if maps := read(t, proc+"/maps"); !strings.Contains(maps, "onnxruntime") {
		t.Error("the worker has not opened the inference library, so who has?")
	}
	if status := read(t, proc+"/status"); !strings.Contains(status, "NoNewPrivs:\t1") {
		t.Error("the worker may gain privileges")
	}
	limits := strings.Join(strings.Fields(read(t, proc+"/limits")), " ")
	if !strings.Contains(limits, "Max core file size 0 0") || !strings.Contains(limits, "Max open files 8192 8192") || strings.Contains(limits, "Max data size unlimited") {
		t.Errorf("limits %s", limits)
	}
	if env := read(t, proc+"/environ"); env != "LANG=C.UTF-8\x00" && !strings.HasPrefix(env, "LANG=C.UTF-8\x00PWD=") { // the sandbox adds where it begins
		t.Errorf("the worker's environment is %q", env)
	}
	res, page := s.do(t, request{method: "GET", path: "/"})
	for _, want := range []string{"demo/colorize", "demo/digits", "demo/places", "/files/demo/colorize/samples/before.jpg", "/algorithms/demo/places"} {
		if res.StatusCode != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("the page (%d) lacks %s", res.StatusCode, want)
		}
	}
	if _, err := s.Call(t.Context(), "demo/places", picture(t, "../../demo/places/LICENCE.md"), client.CallOptions{}); err == nil || bytes.Contains([]byte(err.Error()), []byte("goroutine")) {
		t.Errorf("what is no picture: %v", err)
	}
}

// TestAPushIsComparedWithItsFramework refuses a network whose answers are not
// those that the manifest's checks hold, and keeps how far off they were.
func TestAPushIsComparedWithItsFramework(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	in := []float32{1, 2, 3, 4}
	if err := s.pushFour(t, "me/four", ""); err != nil {
		t.Fatal(err)
	}
	res, body := s.do(t, request{path: "/v1/algo/admin/four?output=raw", auth: s.Key, ctype: "application/json", body: `[[1,2,3,4]]`})
	var rows [][]float32
	if err := json.Unmarshal([]byte(body), &rows); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, body)
	}
	file := func(name string, v []float32) client.PushFile {
		return client.PushFile{Name: name, Data: npy.Append(nil, tensor.Of(v, 1, int64(len(v))))}
	}
	wrong := append([]float32{}, rows[0]...)
	wrong[0] += 1
	files := []client.PushFile{file("check/in.npy", in), file("check/out.npy", rows[0]), file("check/wrong.npy", wrong), file("check/short.npy", in[:2])}
	for name, c := range map[string]struct{ check, fails string }{
		"me/right":    {"{input: check/in.npy, output: check/out.npy}", ""},
		"me/wrong":    {"{input: check/in.npy, output: check/wrong.npy}", "off by"},
		"me/tolerant": {"{input: check/in.npy, output: check/wrong.npy, tolerance: 1}", ""},
		"me/short":    {"{input: check/in.npy, output: check/short.npy}", "check/short.npy is 1x2, and the network answers 1x4"},
		"me/odd":      {"{input: check/short.npy, output: check/out.npy}", "the network does not run on check/short.npy"},
		"me/no":       {"{input: check/none.npy, output: check/out.npy}", "check/none.npy"},
		"me/two":      {"{input: [check/in.npy, check/in.npy], output: check/out.npy}", "a check has 2 inputs"},
		"me/none":     {"{input: check/in.npy}", "check[0].output: is missing"},
	} {
		err := s.pushFour(t, name, "check:\n  - "+c.check+"\n", files...)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), s.Data) {
			t.Errorf("%s tells of the server's folders: %v", name, err)
		}
	}
	_, shown := s.do(t, request{method: "GET", path: "/v1/algorithms/admin/right", auth: s.Key})
	if !strings.Contains(shown, `"compared":[{"output":"`) || !strings.Contains(shown, `"ok":true`) {
		t.Errorf("the report: %s", shown)
	}
}
