package badinput

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/serve"
)

// opening writes the request that opens a push, with the file names as JSON has
// them.
func opening(t testing.TB, manifest string, names ...string) string {
	t.Helper()
	type file struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
	list := []file{{"net.prototxt", sum(fourNet), int64(len(fourNet))}}
	for _, n := range names {
		list = append(list, file{n, sum(n), int64(len(n))})
	}
	b, err := json.Marshal(map[string]any{"as": "bad/slip", "manifest": manifest, "files": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const plainManifest = "kind: model\nmodel:\n  files: [net.prototxt]\n"

func TestFileNamesThatLeaveTheBundle(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		names []string
		want  string
	}{
		{[]string{"../evil"}, `".."`},
		{[]string{"a/../../evil"}, `".."`},
		{[]string{"a/.."}, `".."`},
		{[]string{"/etc/passwd"}, "absolute"},
		{[]string{`..\evil`}, "backslash"},
		{[]string{`C:\evil`}, "backslash"},
		{[]string{"C:evil"}, "drive"},
		{[]string{"a\x00b"}, "control character"},
		{[]string{"a\nb"}, "control character"},
		{[]string{""}, "empty"},
		{[]string{"."}, "not clean"},
		{[]string{"./a"}, "not clean"},
		{[]string{"a//b"}, "not clean"},
		{[]string{"a/"}, "not clean"},
		{[]string{strings.Repeat("x", 256)}, "255 bytes"},
		{[]string{strings.Repeat("x/", 600) + "x"}, "1024 bytes"},
		{[]string{"NET.PROTOTXT"}, "twice"},
		{[]string{"a", "A"}, "twice"},
		{[]string{"a", "a/b"}, "is a file"},
		{[]string{"stoa.yaml"}, "not the manifest"},
		{[]string{"STOA.yaml"}, "twice"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.40q", tt.names), func(t *testing.T) {
			s.unharmed(t, func() {
				a := s.send(t, request{path: "/v1/pushes", ctype: jsonType, body: strings.NewReader(opening(t, plainManifest, tt.names...))})
				refused(t, "opening", a, stoa.Invalid, tt.want, "file")
			})
		})
	}
	for _, manifest := range []string{
		"kind: model\nmodel:\n  files: [../../../etc/passwd]\n",
		"kind: model\nmodel:\n  files: [/etc/passwd]\n",
		"kind: model\nmodel:\n  files: [net.prototxt]\nsample:\n  file: ../../admin-key\n",
		"kind: model\nmodel:\n  files: [net.prototxt]\n  blobs:\n    a.0: ../../admin-key\n",
		"kind: model\nmodel:\n  files: [net.prototxt]\noutput:\n  - labels: {file: /etc/passwd}\n",
	} {
		s.unharmed(t, func() {
			a := s.send(t, request{path: "/v1/pushes", ctype: jsonType, body: strings.NewReader(opening(t, manifest))})
			refused(t, manifest, a, stoa.Invalid, "stoa.yaml")
		})
	}
}

func TestManifestsThatAreBombs(t *testing.T) {
	s := start(t, nil)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	tests := []struct {
		name, manifest string
		kind           stoa.Kind
		want           string
	}{
		{"aliases", bomb, stoa.Invalid, "stoa.yaml"},
		{"depth", strings.Repeat("[", 100_000), stoa.Invalid, "stoa.yaml"},
		{"deep maps", "kind: " + strings.Repeat("{a: ", 100_000), stoa.Invalid, "stoa.yaml"},
		{"deep blocks", strings.Repeat("- ", 100_000) + "a", stoa.Invalid, "stoa.yaml"},
		{"deep sample", plainManifest + "sample:\n  json: " + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + "\n", stoa.Invalid, "stoa.yaml"},
		{"many fields", "kind: model\n" + strings.Repeat("tags: [a]\n", 50_000), stoa.Invalid, "stoa.yaml"},
		{"a long word", "kind: " + strings.Repeat("x", 900_000), stoa.Invalid, "stoa.yaml"},
		{"over a megabyte", "# " + strings.Repeat("x", 1<<20) + "\n" + plainManifest, stoa.TooLarge, "stoa.yaml"},
		{"no text", "\x00\x01\x02", stoa.Invalid, "stoa.yaml"},
		{"nothing", "", stoa.Invalid, "stoa.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				a := s.send(t, request{path: "/v1/pushes", ctype: jsonType, body: strings.NewReader(opening(t, tt.manifest))})
				refused(t, tt.name, a, tt.kind, tt.want)
				if len(a.msg) > 2000 {
					t.Errorf("a message of %d bytes", len(a.msg))
				}
			})
		})
	}
}

// begin opens a push of four.net, and gives its path.
func (s *system) begin(t testing.TB, names ...string) string {
	t.Helper()
	a := s.send(t, request{path: "/v1/pushes", ctype: jsonType, body: strings.NewReader(opening(t, plainManifest+"tagline: "+t.Name()[4:]+"\n", names...))})
	var p struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.ID == "" {
		t.Fatalf("a push cannot be opened: %d %.300s", a.status, a.body)
	}
	return "/v1/pushes/" + p.ID
}

func TestUploadsThatAreWrong(t *testing.T) {
	s := start(t, nil)
	put := func(path, digest, body string) answer {
		return s.send(t, request{http.MethodPut, path + "/blobs/" + digest, binType, strings.NewReader(body)})
	}
	tests := []struct {
		name string
		act  func(path string) answer
		kind stoa.Kind
		want []string
	}{
		{"other bytes", func(p string) answer { return put(p, sum("other"), "xxxxx") }, stoa.Invalid, []string{"other", "SHA-256"}},
		{"fewer bytes", func(p string) answer { return put(p, sum("other"), "oth") }, stoa.Invalid, []string{"other", "3 bytes", "5"}},
		{"more bytes", func(p string) answer { return put(p, sum("other"), strings.Repeat("o", 1<<20)) }, stoa.TooLarge, []string{"other", "5 bytes"}},
		{"a file of no push", func(p string) answer { return put(p, sum("strange"), "strange") }, stoa.Invalid, []string{sum("strange")}},
		{"no digest", func(p string) answer { return put(p, "..%2f..%2fadmin-key", "x") }, stoa.Invalid, nil},
		{"no push", func(string) answer { return put("/v1/pushes/none", sum("other"), "other") }, stoa.NotFound, []string{"none"}},
		{"a commit too early", func(p string) answer { return s.send(t, request{path: p + "/commit"}) }, stoa.Invalid, []string{"other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				path := s.begin(t, "other")
				refused(t, tt.name, tt.act(path), tt.kind, tt.want...)
				s.send(t, request{method: http.MethodDelete, path: path})
			})
		})
	}
}

func TestAClientThatHangsUpInAnUpload(t *testing.T) {
	s := start(t, nil)
	s.unharmed(t, func() {
		path := s.begin(t, "other")
		for range 3 {
			c := s.dial(t)
			fmt.Fprintf(c, "PUT %s/blobs/%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 5\r\n\r\not", path, sum("other"), s.Key)
			c.Close()
		}
		// What the broken uploads brought is gone once they have been noticed, which
		// a commit waits for by being refused.
		a := s.send(t, request{path: path + "/commit"})
		if a.kind != stoa.Invalid.String() && a.kind != stoa.Conflict.String() {
			t.Errorf("a commit without the blob: %d %.300s", a.status, a.body)
		}
		s.goneSoon(t, path)
	})
}

// goneSoon waits until nothing of a push is left in the staging folder.
func (s *system) goneSoon(t testing.TB, path string) {
	t.Helper()
	dir := filepath.Join(s.Data, "staging", filepath.Base(path))
	for n := range 1 << 14 { // each round asks the server something
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if n%16 == 0 {
			s.good(t)
		}
	}
	t.Errorf("%s is still there", dir)
}

// An upload of one byte at a time keeps nobody waiting, and can be given up.
func TestASlowUploadBlocksNobody(t *testing.T) {
	s := start(t, nil)
	s.unharmed(t, func() {
		path := s.begin(t, "other")
		c := s.dial(t)
		defer c.Close()
		fmt.Fprintf(c, "PUT %s/blobs/%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 5\r\n\r\n", path, sum("other"), s.Key)
		for i, b := range []byte("othe") {
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
			as := fmt.Sprintf("good/beside%d", i)
			s.push(t, as, files{"net.prototxt": strings.Replace(fourNet, "shift: 1", fmt.Sprint("shift: 4", i), 1)})
			if err := s.Remove(t.Context(), as); err != nil {
				t.Fatal(err)
			}
		}
		s.send(t, request{method: http.MethodDelete, path: path})
		if _, err := io.WriteString(c, "r"); err == nil { // it ends, whichever way
			b := make([]byte, 1024)
			n, _ := c.Read(b)
			if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 4") {
				t.Errorf("an upload to a push that was given up: %.200q", b[:n])
			}
		}
		s.goneSoon(t, path)
	})
}

// externalONNX is a model whose one weight lies at a location beside it.
func externalONNX(location string, offset, length uint64) string {
	pair := func(k, v string) string { return part(13, part(1, k)+part(2, v)) }
	dims := string(protowire.AppendVarint(nil, 4))
	weight := part(5, part(1, dims)+number(2, 1)+part(8, "w")+number(14, 1)+
		pair("location", location)+pair("offset", fmt.Sprint(offset))+pair("length", fmt.Sprint(length)))
	value := part(1, "x") + part(2, part(1, number(1, 1)+part(2, part(1, number(1, 4)))))
	node := part(1, part(1, "x")+part(1, "w")+part(2, "y")+part(4, "Add"))
	return number(1, 8) + part(8, number(2, 17)) + part(7, node+weight+part(11, value)+part(12, part(1, "y")))
}

func TestExternalDataOutsideTheBundle(t *testing.T) {
	s := start(t, nil)
	secret := filepath.Join(s.Data, "admin-key")
	beside := files{"m.onnx": externalONNX("w.bin", 0, 16), "w.bin": strings.Repeat("\x00\x00\x80\x3f", 4)}
	s.push(t, "good/beside", beside)
	const outside = "no file of the model's own folder"
	tests := []struct {
		name     string
		location string
		offset   uint64
		length   uint64
		want     []string
	}{
		{"above", "../../../../../../etc/passwd", 0, 16, []string{"etc/passwd", outside}},
		{"the key of the server", "../../../admin-key", 0, 16, []string{outside}},
		{"absolute", "/etc/passwd", 0, 16, []string{"/etc/passwd", outside}},
		{"absolute, the key", secret, 0, 16, []string{outside}},
		{"by a detour", "a/../../etc/passwd", 0, 16, []string{outside}},
		{"backslashes", `..\..\etc\passwd`, 0, 16, []string{outside}},
		{"a drive", `C:\passwd`, 0, 16, []string{outside}},
		{"a URL", "file:///etc/passwd", 0, 16, []string{outside}},
		{"NUL", "w.bin\x00/etc/passwd", 0, 16, []string{outside}},
		{"nothing", "", 0, 16, []string{"external data"}},
		{"a folder", ".", 0, 16, []string{outside}},
		{"the kernel's files", "proc/self/environ", 0, 16, []string{"proc/self/environ"}},
		{"a file that is not there", "other.bin", 0, 16, []string{"other.bin"}},
		{"behind the end", "w.bin", 1 << 60, 16, []string{"w.bin", "has only 16"}},
		{"longer than the file", "w.bin", 8, 16, []string{"w.bin", "has only 16"}},
		{"a length that lies", "w.bin", 0, 1 << 60, []string{"16 bytes", "1152921504606846976"}},
		{"below zero", "w.bin", 1<<64 - 8, 16, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/outside", files{
					"m.onnx": externalONNX(tt.location, tt.offset, tt.length), "w.bin": beside["w.bin"],
					"stoa.yaml": "kind: model\nmodel:\n  files: [m.onnx]\n",
				})
				if err == nil || !sane(err) {
					t.Fatalf("got %v", err)
				}
				named(t, tt.name, err, stoa.KindOf(err), append(tt.want, "m.onnx")...)
				if strings.Contains(err.Error(), s.Key) {
					t.Error("the error tells the key")
				}
			})
		})
	}
}

// A link in the folder that is pushed is followed by nobody: a bundle has names
// and bytes only, and the import of a folder stays in that folder.
func TestLinksOutOfTheFolder(t *testing.T) {
	s := start(t, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.onnx"), []byte(externalONNX("w.bin", 0, 16)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "w.bin")); err != nil {
		t.Fatal(err)
	}
	importsNothing(t, dir)
	s.good(t)
}

func importsNothing(t *testing.T, dir string) {
	t.Helper()
	src, err := importer.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	im, err := importer.Import(t.Context(), serve.Plugs(), src, importer.Options{Files: []string{"m.onnx"}})
	if err == nil {
		_ = im.Close()
	}
	named(t, "a link", err, stoa.KindOf(err), "w.bin")
}
