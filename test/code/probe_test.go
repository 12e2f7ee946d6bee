package code

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// answer is what the native door answers to a call.
type answer struct {
	Result   json.RawMessage
	Metadata struct {
		ContentType string `json:"content_type"`
		Stdout      string
		Stderr      string
	}
	Error struct {
		Message    string
		ErrorType  string `json:"error_type"`
		Stacktrace string
	}
}

// post makes a call as any HTTP client does, and reads the whole answer.
func post(t *testing.T, s *servetest.System, ref, query, ctype, body string) (answer, *http.Response) { //nolint:revive // the parts of a request
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/algo/"+ref+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Simple "+s.Key)
	req.Header.Set("Content-Type", ctype)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out answer
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text.Bytes(), &out); err != nil {
		t.Fatalf("%s: %s", res.Status, text.String())
	}
	return out, res
}

// probes are the languages' test programs, pushed with little memory.
func pushProbe(t *testing.T, s *servetest.System, l *langpack.Language, ref string) {
	t.Helper()
	found, err := filepath.Glob("../../internal/worker/langpack/" + l.Name() + "*/testdata/probe") // go is in golang
	if err != nil || len(found) != 1 {
		t.Fatalf("the probe of %s: %v, %v", l.Name(), found, err)
	}
	r := bundle(t, found[0])
	r.As = ref
	r.Manifest += "\nlimits: {memory: 128MiB}\nreplicas: {max: 2}\n"
	push(t, s, r)
}

// TestEveryLanguage holds each language's probe to what the platform promises of
// any code.
func TestEveryLanguage(t *testing.T) {
	s := shared(t)
	for _, l := range langpack.All() {
		t.Run(l.Name(), func(t *testing.T) {
			ref := "admin/probe_" + l.Name()
			pushProbe(t, s, l, ref)
			t.Run("values", func(t *testing.T) { values(t, s, ref) })
			t.Run("raises", func(t *testing.T) { raises(t, s, ref) })
			t.Run("memory", func(t *testing.T) { memory(t, s, ref) })
			t.Run("time", func(t *testing.T) { timeout(t, s, ref) })
			t.Run("exit", func(t *testing.T) { exits(t, s, ref) })
			t.Run("spam", func(t *testing.T) { spams(t, s, ref) })
			t.Run("prints", func(t *testing.T) { prints(t, s, ref) })
			t.Run("state", func(t *testing.T) { state(t, s, ref) })
		})
	}
}

func values(t *testing.T, s *servetest.System, ref string) {
	for _, v := range []stoa.Value{
		{Type: stoa.Text, Data: []byte("grüße ☃")},
		{Type: stoa.JSON, Data: []byte(`{"a":[1,2.5,null,"x"]}`)},
		{Type: stoa.Binary, Data: []byte("\x00\xff\x80bytes")},
	} {
		res, err := s.Call(t.Context(), ref, v, client.CallOptions{})
		if err != nil {
			t.Errorf("%s: %v", v.Type, err)
			continue
		}
		same := bytes.Equal(res.Value.Data, v.Data)
		if v.Type == stoa.JSON {
			var got, want any
			same = json.Unmarshal(res.Value.Data, &got) == nil && json.Unmarshal(v.Data, &want) == nil && equal(got, want)
		}
		if res.Value.Type != v.Type || !same {
			t.Errorf("%s: got %s %q", v.Type, res.Value.Type, res.Value.Data)
		}
	}
}

func equal(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func raises(t *testing.T, s *servetest.System, ref string) {
	a, res := post(t, s, ref, "", "text/plain", "raise")
	if res.StatusCode != http.StatusOK || !strings.Contains(a.Error.Message, "out of cheese") || a.Error.ErrorType == "" || a.Error.ErrorType == "SystemExit" {
		t.Errorf("%s %+v", res.Status, a.Error)
	}
}

func memory(t *testing.T, s *servetest.System, ref string) {
	a, _ := post(t, s, ref, "", "text/plain", "memory")
	if a.Error.ErrorType != "OutOfMemoryError" || !strings.Contains(a.Error.Message, "128.0 MiB") {
		t.Errorf("%+v", a.Error)
	}
}

func timeout(t *testing.T, s *servetest.System, ref string) {
	start := time.Now()
	a, _ := post(t, s, ref, "?timeout=1", "text/plain", "sleep")
	if a.Error.ErrorType != "TimeoutError" || !strings.Contains(a.Error.Message, "did not complete within 1.0 seconds") || time.Since(start) > 30*time.Second {
		t.Errorf("%+v after %v", a.Error, time.Since(start))
	}
	if b, _ := post(t, s, ref, "", "text/plain", "still there"); string(b.Result) != `"still there"` {
		t.Errorf("the next call: %s %+v", b.Result, b.Error)
	}
}

func exits(t *testing.T, s *servetest.System, ref string) {
	a, _ := post(t, s, ref, "", "text/plain", "exit")
	if a.Error.ErrorType != "SystemExit" || !strings.Contains(a.Error.Message, "exited with code 3") {
		t.Errorf("%+v", a.Error)
	}
	if b, _ := post(t, s, ref, "", "text/plain", "again"); string(b.Result) != `"again"` {
		t.Errorf("the next call: %s %+v", b.Result, b.Error)
	}
}

func spams(t *testing.T, s *servetest.System, ref string) {
	a, _ := post(t, s, ref, "?stdout=true", "text/plain", "spam")
	if string(a.Result) != `"done"` || len(a.Metadata.Stdout) < 1000 || len(a.Metadata.Stdout) > 1<<20 {
		t.Errorf("%s, %d bytes of stdout, %+v", a.Result, len(a.Metadata.Stdout), a.Error)
	}
}

func prints(t *testing.T, s *servetest.System, ref string) {
	a, res := post(t, s, ref, "?stdout=true", "text/plain", "stderr")
	if !strings.Contains(a.Metadata.Stdout, "to standard output") || !strings.Contains(a.Metadata.Stderr, "to standard error") {
		t.Errorf("stdout %.100q… of %d bytes, stderr %.100q, %+v", a.Metadata.Stdout, len(a.Metadata.Stdout), a.Metadata.Stderr, a.Error)
	}
	if b, _ := post(t, s, ref, "", "text/plain", "stderr"); b.Metadata.Stdout != "" {
		t.Errorf("not asked for: %q", b.Metadata.Stdout)
	}
	var found bool
	err := s.Logs(t.Context(), ref, client.LogQuery{}, func(e client.LogEntry) error {
		found = found || e.Request == res.Header.Get("X-Request-Id") && e.Stream == "stdout" && strings.Contains(e.Text, "to standard output") && e.Version == "0.1.0"
		return nil
	})
	if err != nil || !found {
		t.Errorf("not in the log: %v", err)
	}
}

func state(t *testing.T, s *servetest.System, ref string) {
	last := ""
	for range 3 { // one call after the other meets the same replica
		a, _ := post(t, s, ref, "", "text/plain", "state")
		if len(a.Result) == 0 || string(a.Result) == last {
			t.Errorf("%s after %s, %+v", a.Result, last, a.Error)
		}
		last = string(a.Result)
	}
}
