package badinput

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

// draft opens a draft, and forgets it at the end of f.
func (s *system) draft(t testing.TB, f func(path string)) {
	t.Helper()
	d, err := s.BeginDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/drafts/" + d.ID
	f(path)
	s.send(t, request{method: http.MethodDelete, path: path})
	s.goneSoon(t, path)
}

func (s *system) putFile(t testing.TB, draft, name string, body io.Reader) answer {
	t.Helper()
	return s.send(t, request{method: http.MethodPut, path: draft + "/files/" + url.PathEscape(name), body: body})
}

func TestDraftFilesThatLeaveTheBundle(t *testing.T) {
	s := start(t, nil)
	for name, want := range map[string]string{
		"../evil": `".."`, "a/../../evil": `".."`, "/etc/passwd": "absolute", `..\evil`: "backslash", `C:\evil`: "backslash",
		"C:evil": "drive", "a\x00b": "control", "a\nb": "control", "a//b": "not clean", "a/": "not clean",
		strings.Repeat("x", 256): "255 bytes", "A": "twice", "a/b": "is a file",
	} {
		t.Run(fmt.Sprintf("%.40q", name), func(t *testing.T) {
			s.unharmed(t, func() {
				s.draft(t, func(path string) {
					if a := s.putFile(t, path, "a", strings.NewReader("x")); a.status != http.StatusOK {
						t.Fatal(a)
					}
					refused(t, name, s.putFile(t, path, name, strings.NewReader("evil")), stoa.Invalid, want)
				})
			})
		})
	}
	for _, dots := range []string{"..", "%2e%2e/%2e%2e/x", "../../../v1/whoami"} {
		s.unharmed(t, func() {
			s.draft(t, func(path string) {
				a := s.send(t, request{method: http.MethodPut, path: path + "/files/" + dots, body: strings.NewReader("evil")})
				if a.status == http.StatusOK && strings.Contains(a.body, "sha256") {
					t.Errorf("%s: %s", dots, a.body)
				}
			})
		})
	}
	if _, err := os.Stat(filepath.Join(s.Data, "evil")); err == nil {
		t.Error("a file was written outside the staging folder")
	}
}

func TestDraftsThatAreWrong(t *testing.T) {
	s := start(t, nil)
	post := func(path, body string) answer {
		return s.send(t, request{path: path, ctype: "application/json", body: strings.NewReader(body)})
	}
	tests := []struct {
		name string
		act  func(path string) answer
		kind stoa.Kind
		want string
	}{
		{"no draft", func(string) answer { return s.putFile(t, "/v1/drafts/none", "a", strings.NewReader("x")) }, stoa.NotFound, "none"},
		{"a draft that leaves the folder", func(string) answer { return post("/v1/drafts/..%2f..%2fblobs/inspect", "") }, stoa.NotFound, "no open draft"},
		{"publishing nothing", func(p string) answer {
			return post(p+"/publish", `{"yaml":"kind: model\nname: x\nmodel:\n  files: [net.prototxt]\n"}`)
		}, stoa.Invalid, "net.prototxt"},
		{"no manifest", func(p string) answer { return post(p+"/publish", `{}`) }, stoa.Invalid, "manifest"},
		{"two manifests", func(p string) answer { return post(p+"/publish", `{"yaml":"a","manifest":{}}`) }, stoa.Invalid, "manifest"},
		{"a manifest that is a text", func(p string) answer { return post(p+"/publish", `{"manifest":"kind: model"}`) }, stoa.Invalid, "manifest"},
		{"a file outside", func(p string) answer {
			return post(p+"/publish", `{"manifest":{"kind":"model","name":"x","model":{"files":["../../admin-key"]}}}`)
		}, stoa.Invalid, "model.files[0]"},
		{"a field that is not known", func(p string) answer { return post(p+"/preview", `{"input":{},"flie":"x"}`) }, stoa.Invalid, "flie"},
		{"a preview of the key", func(p string) answer {
			return post(p+"/preview", `{"input":{"picture":{}},"file":"../../admin-key"}`)
		}, stoa.NotFound, "admin-key"},
		{"a preview of no picture", func(p string) answer {
			return post(p+"/preview", `{"input":{"picture":{}},"data":"aGVsbG8="}`)
		}, stoa.Invalid, "no picture"},
		{"a preview of a picture that lies", func(p string) answer {
			s.putFile(t, p, "lie.bmp", strings.NewReader("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x60\xea\x00\x00\x60\xea\x00\x00\x01\x00\x18\x00"+strings.Repeat("\x00", 24)))
			return post(p+"/preview", `{"input":{"picture":{}},"file":"lie.bmp"}`)
		}, stoa.TooLarge, "60000 x 60000"},
		{"a preview of enormous sides", func(p string) answer {
			s.putFile(t, p, "p.gif", strings.NewReader("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"))
			return post(p+"/preview", `{"input":{"picture":{"width":16384,"height":16384}},"file":"p.gif"}`)
		}, stoa.TooLarge, "16384 x 16384"},
		{"a specification of no shape", func(p string) answer {
			return post(p+"/preview", `{"input":{"picture":{}},"spec":{"shape":[-9223372036854775808,0,0,1e3]},"data":"aGVsbG8="}`)
		}, stoa.Invalid, ""},
		{"a preview over the limit of calls", func(p string) answer {
			s.putFile(t, p, "large", repeat("x", 11<<20))
			return post(p+"/preview", `{"input":{"picture":{}},"file":"large"}`)
		}, stoa.TooLarge, "large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.draft(t, func(string) {}) // the worker is warm, and its memory no surprise
			s.unharmed(t, func() {
				s.draft(t, func(path string) { refused(t, tt.name, tt.act(path), tt.kind, tt.want) })
			})
		})
	}
}

// Files that kill or starve their reader are told as problems of the draft.
func TestDraftsOfDamagedModels(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.ImportMemory = 1 << 30 })
	for name, f := range map[string]files{
		"a bomb":        {"net.prototxt": strings.Repeat("layer {", 1_000_000)},
		"a lie":         {"net.onnx": part(7, part(5, number(1, 1<<60))) + "\xff"},
		"random":        {"net.caffemodel": strings.Repeat("\x12\xff\x00\x07", 5000)},
		"a secret":      {"m.onnx": externalONNX("../../../admin-key", 0, 16)},
		"a yaml bomb":   {"net.prototxt": fourNet, "stoa.yaml": strings.Repeat("[", 100_000)},
		"a long yaml":   {"net.prototxt": fourNet, "stoa.yaml": strings.Repeat("#", 2<<20)},
		"a yaml of NUL": {"net.prototxt": fourNet, "stoa.yaml": "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			s.unharmed(t, func() {
				s.draft(t, func(path string) {
					for n, data := range f {
						if a := s.putFile(t, path, n, strings.NewReader(data)); a.status != http.StatusOK {
							t.Fatal(a.body)
						}
					}
					in, err := s.InspectDraft(t.Context(), filepath.Base(path), "")
					if err != nil || len(in.Problems) == 0 {
						t.Fatalf("%+v, %v", in, err)
					}
					for _, p := range in.Problems {
						if !sane(stoa.Errorf(stoa.Invalid, "%s", p.Msg)) {
							t.Errorf("%q", p.Msg)
						}
					}
				})
			})
		})
	}
}

func TestAClientThatHangsUpWhileItDrafts(t *testing.T) {
	s := start(t, nil)
	s.unharmed(t, func() {
		s.draft(t, func(path string) {
			for range 3 {
				c := s.dial(t)
				fmt.Fprintf(c, "PUT %s/files/a HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 5\r\n\r\nab", path, s.Key)
				c.Close()
			}
			d, err := s.Draft(t.Context(), filepath.Base(path))
			if err != nil || len(d.Files) > 0 {
				t.Errorf("%+v, %v", d, err)
			}
		})
	})
}

// Nobody sees or changes another's draft.
func TestForeignDrafts(t *testing.T) {
	data := t.TempDir()
	startOn(t, data, nil).Stop()
	db, err := sqlite.Open(t.Context(), data) // users are made by no route yet
	if err != nil {
		t.Fatal(err)
	}
	root, now := stoa.Caller{Account: "admin", Admin: true}, time.Now()
	accounts := account.New(db.Accounts(), db.Accounts())
	if err := accounts.AddUser(t.Context(), root, account.User{Name: "mallory", Created: now}); err != nil {
		t.Fatal(err)
	}
	_, key, err := accounts.NewKey(t.Context(), root, "mallory", "", now)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	s := &system{servetest.Start(t, data, nil)}
	other, err := client.New(s.URL(), key, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.BeginDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Draft(t.Context(), d.ID)
	named(t, "list", err, stoa.NotFound, "no open draft")
	_, err = other.PutDraftFile(t.Context(), d.ID, "a", strings.NewReader("x"), 1)
	named(t, "put", err, stoa.NotFound, "no open draft")
	_, err = other.InspectDraft(t.Context(), d.ID, "")
	named(t, "inspect", err, stoa.NotFound, "no open draft")
	_, err = other.PreviewDraft(t.Context(), d.ID, client.PreviewRequest{Input: []byte(`{"picture":{}}`), Data: []byte("x")})
	named(t, "preview", err, stoa.NotFound, "no open draft")
	_, err = other.PublishDraft(t.Context(), d.ID, client.DraftPublish{YAML: plainManifest + "name: x\n"})
	named(t, "publish", err, stoa.NotFound, "no open draft")
	named(t, "abort", other.AbortDraft(t.Context(), d.ID), stoa.NotFound, "no open draft")
	if _, err := s.Draft(t.Context(), d.ID); err != nil {
		t.Error(err)
	}
}
