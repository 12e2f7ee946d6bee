package code

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// life is the program of testdata/life, with more in its manifest.
func life(t *testing.T, ref, more string) client.PushRequest {
	t.Helper()
	r := bundle(t, "testdata/life")
	r.As, r.Manifest = ref, r.Manifest+more
	return r
}

func say(t *testing.T, s *servetest.System, ref, text string) string {
	t.Helper()
	res, err := s.Call(t.Context(), ref, stoa.Value{Type: stoa.Text, Data: []byte(text)}, client.CallOptions{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(res.Value.Data)
}

// until asks again and again, a short while apart, whether something has come to
// be.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	end := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
		<-beat.C
	}
}

func TestTheNextServerAdoptsCode(t *testing.T) {
	servetest.Sandboxed(t)
	data := t.TempDir()
	first := servetest.Start(t, data, func(c *serve.Config) { c.StopWorkers = func() bool { return false } })
	push(t, first, life(t, "admin/life", ""))
	if got := say(t, first, "admin/life", "count"); got != "1" {
		t.Fatalf("the first call is number %s", got)
	}
	first.Stop()
	second := servetest.Start(t, data, nil)
	if got := say(t, second, "admin/life", "count"); got != "2" {
		t.Errorf("after the server's restart the second call is number %s", got)
	}
	// Its door is open again, and says that calls are posted.
	if a, _ := post(t, second, "admin/life", "", "text/plain", "get http://127.0.0.1:9000/v1/algo/admin/life"); !strings.Contains(a.Error.Message, "405") {
		t.Errorf("its door: %s %+v", a.Result, a.Error)
	}
}

func TestSecretsReachTheProgramAndNobodyElse(t *testing.T) {
	s := server(t, nil)
	push(t, s, life(t, "admin/life", ""))
	if got := say(t, s, "admin/life", "env TOKEN"); got != "(not there)" {
		t.Errorf("before: %q", got)
	}
	for _, value := range []string{"swordfish-one", "swordfish-two"} {
		if err := s.SetSecret(t.Context(), "admin/life", "TOKEN", value); err != nil {
			t.Fatal(err)
		}
		if got := say(t, s, "admin/life", "env TOKEN"); got != value {
			t.Errorf("the program has %q", got)
		}
	}
	list, err := s.Secrets(t.Context(), "admin/life")
	if err != nil || len(list) != 1 || list[0].Name != "TOKEN" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := s.RemoveSecret(t.Context(), "admin/life", "TOKEN"); err != nil {
		t.Fatal(err)
	}
	if got := say(t, s, "admin/life", "env TOKEN"); got != "(not there)" {
		t.Errorf("after: %q", got)
	}
	s.Stop()
	err = filepath.WalkDir(s.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("swordfish")) {
			t.Errorf("%s has the secret in the open", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheSchemaIsKeptAtTheDoor(t *testing.T) {
	s := shared(t)
	push(t, s, life(t, "admin/strict", "schema: {input: {type: string, pattern: '^(env|count)'}, output: {type: string}}\n"))
	if got := say(t, s, "admin/strict", "env HOME"); got != "/tmp" {
		t.Errorf("it answers %q", got)
	}
	a, res := post(t, s, "admin/strict", "", "application/json", `{"a":1}`)
	if res.StatusCode != http.StatusOK || a.Error.ErrorType != "InputError" || !strings.Contains(a.Error.Message, "input: got object, want string") {
		t.Errorf("%s %+v", res.Status, a.Error)
	}
	_, err := s.Push(t.Context(), life(t, "admin/strict", "schema: {input: {type: strin}}\n"))
	if stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, "schema.input is no JSON Schema") {
		t.Errorf("a bad schema: %v", err)
	}
}

func TestModelsAreLocalFilesCheckedByHash(t *testing.T) {
	s := server(t, nil)
	four, err := s.Push(t.Context(), client.PushRequest{
		As: "admin/four", Manifest: "kind: model\nmodel: {files: [net.prototxt]}\n",
		Files: []client.PushFile{{Name: "net.prototxt", Path: "../../bench/four/net.prototxt"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("testdata/life/life.py")
	if err != nil {
		t.Fatal(err)
	}
	file := four.Files[0]
	for _, f := range four.Files {
		if f.Name == "net.prototxt" {
			file = f
		}
	}
	models := "code: {language: python, entry: life.py, models: [{name: mine.py, file: life.py}, {name: net.txt, from: admin/four, file: net.prototxt, sha256: %s}]}\n"
	r := life(t, "admin/life", "")
	r.Manifest = "kind: code\n" + fmt.Sprintf(models, file.SHA256)
	push(t, s, r)
	if got := say(t, s, "admin/life", "model mine.py"); got != fmt.Sprint(len(own)) {
		t.Errorf("its own model has %s bytes", got)
	}
	if got := say(t, s, "admin/life", "model net.txt"); got != fmt.Sprint(file.Size) {
		t.Errorf("the other's file has %s bytes", got)
	}
	r.Manifest = "kind: code\n" + fmt.Sprintf(models, strings.Repeat("0", 64))
	if _, err := s.Push(t.Context(), r); stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, "it is another file") {
		t.Errorf("another hash: %v", err)
	}
}

func TestANewVersionLosesNoCall(t *testing.T) {
	s := server(t, nil)
	push(t, s, life(t, "admin/life", ""))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Call(t.Context(), "admin/life", stoa.Value{Type: stoa.Text, Data: []byte("sleep 0.05")}, client.CallOptions{}); err != nil {
					t.Errorf("a call was lost: %v", err)
					return
				}
			}
		})
	}
	for _, version := range []string{"two", "three"} {
		r := life(t, "admin/life", "")
		for i, f := range r.Files {
			b, err := os.ReadFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			r.Files[i] = client.PushFile{Name: f.Name, Data: bytes.ReplaceAll(b, []byte(`"one"`), []byte(`"`+version+`"`))}
		}
		push(t, s, r)
		if got := say(t, s, "admin/life", "version"); got != version {
			t.Errorf("after the push of %s it answers %s", version, got)
		}
	}
	close(stop)
	wg.Wait()
	until(t, "the replicas of older versions are gone", func() bool { return len(replicas(t, s.Data)) <= 4 })
}

func TestReplicasAreKeptWarmAndIdleOnesEnd(t *testing.T) {
	s := server(t, nil)
	push(t, s, life(t, "admin/warm", "replicas: {min: 2, idle: 1s}\n"))
	until(t, "two replicas are there before the first call", func() bool { return len(replicas(t, s.Data)) == 2 })
	push(t, s, life(t, "admin/warm", "replicas: {idle: 1s}\n"))
	until(t, "none is kept any more", func() bool { return len(replicas(t, s.Data)) == 0 })
	say(t, s, "admin/warm", "count")
	if n := len(replicas(t, s.Data)); n != 1 {
		t.Errorf("after a call there are %d", n)
	}
	until(t, "it has ended after its idle time", func() bool { return len(replicas(t, s.Data)) == 0 })
}

// Code reaches what its version names and the operator allows, and nothing else.
func TestTheWayOut(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "outside") }))
	defer outside.Close()
	host := strings.TrimPrefix(outside.URL, "http://")
	none := server(t, nil)
	_, err := none.Push(t.Context(), life(t, "admin/out", "    \n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := post(t, none, "admin/out", "", "text/plain", "get "+outside.URL); a.Error.Message == "" {
		t.Errorf("without a network it got %s", a.Result)
	}
	asks := life(t, "admin/asks", "")
	asks.Manifest = "kind: code\ncode: {language: python, entry: life.py, network: ['" + host + "']}\n"
	if _, err := none.Push(t.Context(), asks); stoa.KindOf(err) != stoa.Forbidden {
		t.Errorf("what the operator does not allow was published: %v", err)
	}
	s := server(t, func(c *serve.Config) { c.CodeHosts = []string{host} })
	push(t, s, asks)
	if got := say(t, s, "admin/asks", "env HTTP_PROXY"); got != "http://127.0.0.1:9001" {
		t.Errorf("HTTP_PROXY is %q", got)
	}
	if got := say(t, s, "admin/asks", "fetch "+outside.URL); got != "outside" {
		t.Errorf("the way out gives %q", got)
	}
	if a, _ := post(t, s, "admin/asks", "", "text/plain", "fetch "+s.URL()+"/healthz"); !strings.Contains(a.Error.Message, "403") {
		t.Errorf("another port of the host: %s %+v", a.Result, a.Error)
	}
}
