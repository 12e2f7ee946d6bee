package algorithm

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// uncoloured takes the colours off code.
func uncoloured(code string) string {
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(code, ""))
}

// TestSnippetsSendWhatTheySay runs the code of every language against a server
// that keeps what comes: texts that quoting could break, files, with and
// without a key, answers to print and to save.
func TestSnippetsSendWhatTheySay(t *testing.T) {
	commands := map[string][]string{"curl": {"sh", "main.sh"}, "python": {"python3", "main.py"}, "javascript": {"node", "main.mjs"}, "go": {"go", "run", "main.go"}}
	languages, err := readLanguages()
	if err != nil {
		t.Fatal(err)
	}
	p := &pages{snippets: languages}
	const odd = "it's \"odd\" $HOME `id` \\ \\n %s <b>&amp;\n@README 日本 €"
	for name, c := range map[string]struct {
		view view
		body string
	}{
		"text":        {view{FullName: "me/x", Console: console{Asked: true, Sample: sample{Type: "text/plain", Text: odd}}}, odd},
		"at a sign":   {view{FullName: "me/x", Keyless: true, Console: console{Asked: true, Sample: sample{Type: "application/json", Text: `"@main.sh"`}}}, `"@main.sh"`},
		"file saved":  {view{FullName: "me/x", Public: true, Console: console{Call: "/v1/algo/me/x/1.0.0", Picture: true, Sample: sample{Name: "a b.png", Type: "image/png", URL: "/files/me/x/samples/a%20b.png?version=1.0.0"}}}, "\x00\xffpicture"},
		"own picture": {view{FullName: "me/x", Console: console{Asked: true, Picture: true, Jpeg: true, Inputs: []consoleInput{{Kind: kindPicture}}}}, "\x00\xffpicture"},
	} {
		var seen struct{ path, key, kind, body string }
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, "\x00\xffpicture")
				return
			}
			b, _ := io.ReadAll(r.Body)
			seen.path, seen.key, seen.kind, seen.body = r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(b)
			_, _ = io.WriteString(w, `{"result":"all right"}`)
		}))
		defer server.Close()
		if len(c.view.Console.Inputs) == 0 {
			c.view.Console.Inputs = []consoleInput{{Kind: kindText}}
		}
		snippets, err := p.write(&c.view, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range snippets {
			t.Run(name+"/"+s.ID, func(t *testing.T) {
				seen.body = ""
				command := commands[s.ID]
				if _, err := exec.LookPath(command[0]); err != nil {
					t.Skipf("SKIPPED: no %s here", command[0])
				}
				dir := t.TempDir()
				for _, f := range []string{"a b.png", "photo.jpg"} {
					if err := os.WriteFile(filepath.Join(dir, f), []byte("\x00\xffpicture"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				code := uncoloured(string(s.Code))
				if err := os.WriteFile(filepath.Join(dir, command[len(command)-1]), []byte(code), 0o600); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, command[0], command[1:]...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "STOA_KEY=simKEY")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s\n%s", err, code, out)
				}
				key := map[bool]string{true: "", false: "Simple simKEY"}[c.view.Keyless]
				if seen.body != c.body || seen.key != key {
					t.Errorf("body %q, key %q\n%s", seen.body, seen.key, code)
				}
				if c.view.Console.Picture {
					saved, err := filepath.Glob(filepath.Join(dir, "answer.*"))
					if err != nil || len(saved) != 1 || !strings.HasSuffix(seen.path, "?output=raw") || seen.kind != "application/octet-stream" {
						t.Errorf("saved %v; %+v", saved, seen)
					}
				} else if !strings.Contains(string(out), "all right") {
					t.Errorf("printed %s", out)
				}
			})
		}
	}
}
