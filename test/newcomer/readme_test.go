package newcomer

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

const root = "../.."

// TestMain is also the server's children.
func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// places is a server with demo/places.
func places(t *testing.T) (url, key string) {
	t.Helper()
	s := servetest.Start(t, t.TempDir(), nil)
	dir := root + "/demo/places"
	man, err := os.ReadFile(dir + "/stoa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := client.PushRequest{Manifest: string(man)}
	for _, name := range []string{"scenes6.prototxt", "scenes6.caffemodel", "labels.txt", "samples/peaks.jpg"} {
		r.Files = append(r.Files, client.PushFile{Name: name, Path: dir + "/" + name})
	}
	if _, err := s.Push(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return s.URL(), s.Key
}

// TestTheReadmesCalls runs the calls that README.md shows.
func TestTheReadmesCalls(t *testing.T) {
	b, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	url, key := places(t)
	block := regexp.MustCompile("(?s)```(sh|python|go)\n(.*?)```")
	seen := map[string]bool{}
	for _, m := range block.FindAllStringSubmatch(string(b), -1) {
		language, code := m[1], strings.ReplaceAll(m[2], "http://127.0.0.1:8080", url)
		if !strings.Contains(code, url) {
			continue
		}
		seen[language] = true
		t.Run(language, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "main."+language)
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			command := map[string][]string{"sh": {"sh", file}, "python": {"python3", file}, "go": {"go", "run", file}}[language]
			needs := map[string]string{"sh": "curl", "python": "python3", "go": "go"}[language]
			if _, err := exec.LookPath(needs); err != nil {
				t.Skipf("SKIPPED: no %s here", needs)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "STOA_KEY="+key)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "forest") {
				t.Errorf("%v\n%s\n%s", err, code, out)
			}
		})
	}
	if len(seen) != 3 {
		t.Errorf("README.md shows calls in %v only", seen)
	}
}

// TestTheDocumentsLinksLead somewhere.
func TestTheDocumentsLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (strings.HasPrefix(name, ".") && path != root || name == "bin" || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".md") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheReadmeSaysWhatStoaIsNot holds the first screen to its warnings.
func TestTheReadmeSaysWhatStoaIsNot(t *testing.T) {
	b, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := string(b)
	if i := strings.Index(first, "\n## "); i >= 0 {
		first = first[:i]
	}
	for _, want := range []string{
		"does not protect from", "**Not for**", "language models", "training", "macOS", "Windows", "docs/screens/front.jpg", "docs/screens/algorithm.jpg",
		"make up", "make test", "<!-- cases -->",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("the first screen lacks %q", want)
		}
	}
}
