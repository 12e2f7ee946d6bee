package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/cli"
)

// TestTheLogOfABuildIsToldLive: each part of a build's log is printed before the
// next comes, terminal or not, without what steers terminals.
func TestTheLogOfABuildIsToldLive(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"stoa.yaml": "name: a\nkind: code\n", "a.py": "def apply(x): return x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		tty  bool
		log  bool
	}{
		{nil, true, true}, {nil, false, true}, {[]string{"--quiet"}, true, false}, {[]string{"--json"}, false, false},
	} {
		read := make(chan string)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/pushes/1/commit" {
				_, _ = io.WriteString(w, `{"id":"1","ref":"demo/a","missing":[]}`)
				return
			}
			w.Header().Set("Content-Type", "application/x-ndjson")
			flush := http.NewResponseController(w).Flush
			for _, line := range []string{`first\u001b[31m\nsecond\n`, `third\n`} {
				_, _ = io.WriteString(w, `{"log":"`+line+"\"}\n")
				if err := flush(); err != nil {
					t.Error(err)
				}
				if c.log {
					<-read // the second part is written when the first has been printed
				}
			}
			_, _ = io.WriteString(w, `{"result":{"owner":"demo","name":"a","version":"1.0.0","new":true}}`+"\n")
		}))
		r, w := io.Pipe()
		all := make(chan string)
		go func() {
			var said strings.Builder
			b := make([]byte, 4096)
			for {
				n, err := r.Read(b)
				said.Write(b[:n])
				if text := string(b[:n]); c.log && (strings.Contains(text, "second") || strings.Contains(text, "third")) {
					read <- text
				}
				if err != nil {
					all <- said.String()
					return
				}
			}
		}()
		var out bytes.Buffer
		args := append([]string{"push", dir, "--server", s.URL, "--key", "k"}, c.args...)
		code := cli.Run(t.Context(), args, cli.Env{Stdout: &out, Stderr: w, StderrTTY: c.tty}, cli.Deps{})
		w.Close()
		said := <-all
		s.Close()
		if code != 0 || c.log != strings.Contains(said, "first\uFFFD[31m\nsecond\nthird\n") || strings.Contains(said, "first") && !c.log {
			t.Errorf("%v: %d %q", c.args, code, said)
		}
		if wants := c.tty && c.log; wants != strings.Contains(said, "the server builds the code") {
			t.Errorf("%v: %q", c.args, said)
		}
	}
}

// TestAFailedBuildIsToldOnce: its log was told already, unless nobody wanted it.
func TestAFailedBuildIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"stoa.yaml": "name: a\nkind: code\n", "a.py": "def apply(x): return x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	message := `the build failed in its step \"build\", at a.py:1: it exited with status 1; the log ends with:\nsecond\nthird`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/pushes/1/commit" {
			_, _ = io.WriteString(w, `{"id":"1","ref":"demo/a","missing":[]}`)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, `{"log":"first\nsecond\nthird\n"}`+"\n"+`{"error":{"kind":"invalid","error_type":"BuildError","message":"`+message+`"}}`+"\n")
	}))
	defer s.Close()
	for flag, want := range map[string]string{
		"--server=" + s.URL: "first\nsecond\nthird\nstoa: the build failed in its step \"build\", at a.py:1: it exited with status 1\n",
		"--quiet":           "stoa: " + strings.NewReplacer(`\n`, "\n", `\"`, `"`).Replace(message) + "\n",
	} {
		var errs bytes.Buffer
		args := []string{"push", dir, "--server", s.URL, "--key", "k", flag}
		if code := cli.Run(t.Context(), args, cli.Env{Stdout: io.Discard, Stderr: &errs}, cli.Deps{}); code != 1 || errs.String() != want {
			t.Errorf("%s: %d\n%s\nwants\n%s", flag, code, errs.String(), want)
		}
	}
}
