// Package badinput shows what a whole server does with bad input: an error that
// names the thing, in bounded memory and time, nothing half-stored, and a server
// that goes on. Its tests start the System that "stoa serve" starts and speak
// HTTP to it.
package badinput

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// long asks for ten times as many damaged files.
var long = flag.Bool("long", false, "damage files in ten times as many ways")

// TestMain is also the server's children.
func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// deadline is well above what any request here takes on a slow machine, and far
// below what a hang would take.
const deadline = 20 * time.Second

// system is a running System with its administrator's client.
type system struct{ *servetest.System }

func start(t testing.TB, change func(*serve.Config)) *system {
	t.Helper()
	return startOn(t, t.TempDir(), change)
}

// startOn starts a System, with a network that answers.
func startOn(t testing.TB, data string, change func(*serve.Config)) *system {
	t.Helper()
	s := &system{servetest.Start(t, data, change)}
	s.push(t, "good/four", files{"net.prototxt": fourNet})
	s.good(t)
	return s
}

// fourNet is a whole network of four floats without weights.
const fourNet = `name: "four" input: "data" input_shape { dim: 1 dim: 4 }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 shift: 1 } }
`

// files are the files of a bundle. stoa.yaml, where it is missing, is made of
// their names.
type files map[string]string

func (f files) request(as string) client.PushRequest {
	r := client.PushRequest{As: as, Manifest: f["stoa.yaml"]}
	var names []string
	for name, data := range f {
		if name != "stoa.yaml" {
			r.Files = append(r.Files, client.PushFile{Name: name, Data: []byte(data)})
			names = append(names, strconv.Quote(name))
		}
	}
	if r.Manifest == "" {
		r.Manifest = "kind: model\nmodel:\n  files: [" + strings.Join(names, ", ") + "]\n"
	}
	return r
}

// try pushes under the deadline.
func (s *system) try(t testing.TB, as string, f files) (*client.Published, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	p, err := s.Push(ctx, f.request(as))
	if ctx.Err() != nil {
		t.Errorf("%s: a push hung: %v", as, err)
	}
	return p, err
}

func (s *system) push(t testing.TB, as string, f files) *client.Published {
	t.Helper()
	p, err := s.try(t, as, f)
	if err != nil {
		t.Fatalf("push %s: %v", as, err)
	}
	return p
}

// good makes a call that must be answered.
func (s *system) good(t testing.TB) {
	t.Helper()
	a := s.send(t, request{path: "/v1/algo/good/four", ctype: "application/json", body: strings.NewReader("[1,2,3,4]")})
	if a.status != http.StatusOK || !strings.Contains(a.body, "[3,5,7,9]") {
		t.Fatalf("a good call was answered %d %.300s", a.status, a.body)
	}
}

// request is a request of raw HTTP.
type request struct {
	method string // POST
	path   string
	ctype  string
	body   io.Reader
}

// answer is what came of it. An error in the body of a 200, as the native API
// gives it for calls, counts as an error: kind and msg are set.
type answer struct {
	status int
	kind   string
	msg    string
	body   string
}

func (s *system) send(t testing.TB, r request) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if r.method == "" {
		r.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, r.method, s.URL()+r.path, r.body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", s.Key)
	if r.ctype != "" {
		req.Header.Set("Content-Type", r.ctype)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	a := answer{status: res.StatusCode, kind: res.Header.Get("X-Stoa-Error"), body: string(b)}
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	var whole struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(b, &body) == nil && json.Unmarshal(body.Error, &whole) == nil {
		a.msg = whole.Message
	}
	return a
}

// refused holds an answer to the kind of its error and to words of its message.
func refused(t testing.TB, name string, a answer, kind stoa.Kind, words ...string) {
	t.Helper()
	if a.kind != kind.String() || a.status >= 500 && kind == stoa.Invalid {
		t.Errorf("%s: status %d, kind %q (want %q), %.300s", name, a.status, a.kind, kind, a.body)
		return
	}
	for _, w := range words {
		if !strings.Contains(a.msg, w) {
			t.Errorf("%s: %q does not name %q", name, a.msg, w)
		}
	}
}

// named holds an error of the client likewise.
func named(t testing.TB, name string, err error, kind stoa.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	e := stoa.AsError(err)
	if e.Kind != kind {
		t.Errorf("%s: kind %s, want %s: %.300s", name, e.Kind, kind, e.Msg)
	}
	for _, w := range words {
		if !strings.Contains(e.Msg, w) {
			t.Errorf("%s: %.300q does not name %q", name, e.Msg, w)
		}
	}
}

// sane tells whether an error about a damaged file is one that a person can act
// on: of a kind that blames the file, with a message, and none of the words of a
// program that failed inside.
func sane(err error) bool {
	e := stoa.AsError(err)
	switch e.Kind {
	case stoa.Invalid, stoa.Unsupported, stoa.TooLarge, stoa.NotFound, stoa.Failed:
	default:
		return false
	}
	for _, w := range []string{"panic", "goroutine", "runtime error", "nil pointer", ".go:", "exit status"} {
		if strings.Contains(e.Msg, w) {
			return false
		}
	}
	return len(e.Msg) > 10 && !address.MatchString(e.Msg)
}

var address = regexp.MustCompile(`0x[0-9a-f]{6,}`)

// stored is all that a server keeps: files below its folder, and versions.
func (s *system) stored(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"blobs", "staging"} {
		err := filepath.WalkDir(filepath.Join(s.Data, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && (!d.IsDir() || filepath.Dir(path) == filepath.Join(s.Data, "staging")) {
				out = append(out, strings.TrimPrefix(path, s.Data))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List(t.Context(), client.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		out = append(out, a.Owner+"/"+a.Name+" "+a.Version)
	}
	return out
}

// unharmed runs f and then holds the server to its promises: what it keeps is
// what it kept, its memory did not grow much, and a good call is answered.
func (s *system) unharmed(t testing.TB, f func()) {
	t.Helper()
	before := s.stored(t)
	grew := growth(t, f)
	if diff := cmp.Diff(before, s.stored(t)); diff != "" {
		t.Errorf("something was stored or lost:\n%s", diff)
	}
	const most = 64 << 20
	if grew > most {
		t.Errorf("the server's memory grew by %d MiB at the most, want at most %d", grew>>20, most>>20)
	}
	s.good(t)
}

// growth gives by how much the resident memory of this process, which is the
// server, rose above its beginning at the highest point of f. The test's own
// requests count too.
func growth(t testing.TB, f func()) int64 {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("the peak of memory cannot be reset here (%v): it is not held to a bound", err)
		f()
		return 0
	}
	before := status(t, "VmRSS:")
	f()
	return status(t, "VmHWM:") - before
}

func status(t testing.TB, field string) int64 {
	t.Helper()
	return statusOf(t, os.Getpid(), field)
}

// peak gives the most memory that a process has had.
func peak(t testing.TB, pid int) int64 {
	t.Helper()
	return statusOf(t, pid, "VmHWM:")
}

func statusOf(t testing.TB, pid int, field string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), field)
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// assets reads a file of the shared assets.
func assets(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/assets", name))
	if err != nil {
		t.Skipf("NOT RUN: the shared assets are not there: %v", err)
	}
	return string(b)
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sum(data string) string {
	h := sha256.Sum256([]byte(data))
	return hex.EncodeToString(h[:])
}

func repeat(s string, n int) io.Reader { return bytes.NewReader(bytes.Repeat([]byte(s), n)) }
