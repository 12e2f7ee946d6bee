package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// running is a stoa dev that goes on, and what it prints, on both streams in
// their order.
type running struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func (p *program) start(t *testing.T, args ...string) *running {
	t.Helper()
	// A minute for some seconds of work: only a test that hangs meets it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	t.Cleanup(cancel)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGINT)
			_ = cmd.Wait()
		}
	})
	return &running{cmd: cmd, lines: bufio.NewScanner(r)}
}

// until reads until a line holds a text, and gives what came with it.
func (r *running) until(t *testing.T, text string) string {
	t.Helper()
	var said strings.Builder
	for r.lines.Scan() {
		said.WriteString(r.lines.Text() + "\n")
		if strings.Contains(r.lines.Text(), text) {
			return said.String()
		}
	}
	t.Fatalf("it ended without %q: %s", text, said.String())
	return ""
}

func wants(t *testing.T, said string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(said, w) {
			t.Errorf("no %q in\n%s", w, said)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func needsPython(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3")
	}
}

// TestDev is a developer's session: it runs, is called from elsewhere, is changed,
// broken, mended and ended.
func TestDev(t *testing.T) {
	needsPython(t)
	p := newProgram(t)
	p.env = append(p.env, "TOKEN=open sesame")
	dir := filepath.Join(t.TempDir(), "hello")
	p.must(t, "init", "--language", "python", "me/hello", "--dir", dir)
	r := p.start(t, "dev", dir, "--secret", "TOKEN", "--secret", "OTHER=x")

	said := r.until(t, "watching")
	wants(t, said, "dev/hello 0.1.0 is built", "\nhello World\n", "answered in ")
	curl := regexp.MustCompile(`curl -H 'Authorization: (\S+ \S+)' -H 'Content-Type: (.*)' --data-raw 'World' (\S+)`).FindStringSubmatch(said)
	if curl == nil {
		t.Fatalf("it does not say how to call it:\n%s", said)
	}
	wants(t, curl[3], "/v1/algo/dev/hello")
	source := filepath.Join(dir, "src", "hello.py")
	write(t, source, "import os\ndef apply(x):\n    print('got', x)\n    return os.environ['TOKEN'] + os.environ['OTHER']\n")
	// The trial at the build has its secrets, too.
	wants(t, r.until(t, "watching"), "\nopen sesamex\n", "stdout | got World\n")
	write(t, source, "import os\ndef apply(x):\n    print('got\\x1b[31m', x)\n    return os.environ.get('TOKEN', '') + os.environ.get('OTHER', '')\n")
	wants(t, r.until(t, "watching"), "\nopen sesamex\n", "stdout | got\uFFFD[31m World\n", "answered in")
	// Others call it, and what it prints then is shown.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, curl[3], strings.NewReader("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", curl[1])
	req.Header.Set("Content-Type", curl[2])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !strings.Contains(string(b), `"open sesamex"`) {
		t.Errorf("the line for curl gives %s, %v", b, err)
	}
	r.until(t, "stdout | got\uFFFD[31m Ada")
	write(t, source, "def apply(x)\n    return x\n")
	wants(t, r.until(t, "watching"), "src/hello.py:1: SyntaxError")
	write(t, source, "def apply(x):\n    return 'mended ' + x\n")
	wants(t, r.until(t, "watching"), "\nmended World\n")
	write(t, filepath.Join(dir, "stoa.yaml"), "kind: nonsense\n")
	wants(t, r.until(t, "watching"), "stoa.yaml:1")
	write(t, filepath.Join(dir, "stoa.yaml"), "kind: code\nsample:\n  json: [1]\n")
	wants(t, r.until(t, "watching"), "the sample does not run", "TypeError")

	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(p.home, ".cache", "stoa", "dev", "1"))
	if err != nil || len(left) != 1 || left[0].Name() != "build-cache" {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestDevOnce ends with a status.
func TestDevOnce(t *testing.T) {
	needsPython(t)
	p := newProgram(t)
	dir := filepath.Join(t.TempDir(), "my-code")
	write(t, filepath.Join(dir, "src", "main.py"), "import sys\ndef apply(x):\n    print('in'); print('err', file=sys.stderr)\n"+
		"    if x == 'bad': raise ValueError('it is bad')\n    return x\n")
	write(t, filepath.Join(dir, "requirements.txt"), "\n")

	out, errs, status := p.run(t, "dev", dir, "--once")
	if status != 0 || out != "" {
		t.Errorf("without a sample: %d %s", status, out)
	}
	wants(t, errs, "made from the code, which is in Python", "it is not called: there is no sample", "dev/my_code 0.1.0")

	out, errs, status = p.run(t, "dev", dir, "--once", "--input", "good")
	if status != 0 || out != "good\n" {
		t.Errorf("%d %s", status, out)
	}
	wants(t, errs, "dependencies: as installed before", "stdout | in\nstderr | err\nanswered in")

	out, errs, status = p.run(t, "dev", dir, "--once", "--input", "bad")
	if status != 1 || out != "" {
		t.Errorf("%d %s", status, out)
	}
	wants(t, errs, "stdout | in\n", "stoa: it is bad\n", "line 4, in apply")

	picture, answer := filepath.Join(p.home, "a.bin"), filepath.Join(p.home, "answer")
	write(t, picture, "\x00\xff")
	out, _, status = p.run(t, "dev", dir, "--once", "--file", picture, "--output", answer)
	if b, err := os.ReadFile(answer); status != 0 || out != "" || err != nil || string(b) != "\x00\xff" {
		t.Errorf("%d %s: wrote %q, %v", status, out, b, err)
	}

	for _, c := range []struct {
		args   []string
		status int
		want   map[string]any
	}{
		{[]string{"--input-json", `{"a": [1]}`}, 0, map[string]any{"content_type": "json", "result": map[string]any{"a": []any{1.0}}, "stdout": "in\n", "stderr": "err\n"}},
		{[]string{"--input", "bad"}, 1, map[string]any{"stdout": "in\n", "stderr": "err\n", "error": map[string]any{"kind": "failed", "error_type": "AlgorithmError", "message": "it is bad"}}},
	} {
		out, errs, status := p.run(t, append([]string{"dev", dir, "--once", "--json"}, c.args...)...)
		if status != c.status || errs != "" {
			t.Errorf("%v: %d %s", c.args, status, errs)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %v in %s", c.args, err, out)
		}
		for _, name := range []string{"algorithm", "url", "build_seconds", "log", "milliseconds"} {
			if got[name] == nil {
				t.Errorf("%v: no %s in %s", c.args, name, out)
			}
			delete(got, name)
		}
		if e, ok := got["error"].(map[string]any); ok {
			wants(t, e["stacktrace"].(string), "line 4")
			delete(e, "stacktrace")
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
	}
}

// TestDevAlso calls another folder from within.
func TestDevAlso(t *testing.T) {
	needsPython(t)
	p := newProgram(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "other", "stoa.yaml"), "name: friends/other\nkind: code\n")
	write(t, filepath.Join(dir, "other", "other.py"), "def apply(x):\n    return 'other ' + x\n")
	write(t, filepath.Join(dir, "caller", "caller.py"), `import os, urllib.request
def apply(x):
    url = os.environ["ALGORITHMIA_API"] + "/v1/algo/friends/other?output=raw"
    headers = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "text/plain"}
    return urllib.request.urlopen(urllib.request.Request(url, x.encode(), headers)).read().decode()
`)
	out, errs, status := p.run(t, "dev", filepath.Join(dir, "caller"), "--once", "--also", filepath.Join(dir, "other"), "--input", "Ada")
	if status != 0 || out != "other Ada\n" {
		t.Errorf("%d %s%s", status, out, errs)
	}
}
