package build_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// real is a program of a language with a small package from its registry.
type real struct {
	language string
	files    map[string]string
	code     string // the file that changes, and what it becomes
	changed  string
	deps     string // a file of the dependency layer
	app      string // a file of the app layer
	host     string // that was spoken to
}

var reals = []real{
	{
		"python",
		map[string]string{"src/hello.py": "import six\ndef apply(input):\n    return six.text_type(input)\n", "requirements.txt": "six==1.16.0\n"},
		"src/hello.py", "import six\ndef apply(input):\n    return 'other'\n", "six.py", "src/hello.py", "pypi.org",
	},
	{
		"javascript",
		map[string]string{
			"src/hello.js": "const n = require('is-number'); exports.apply = x => n(x);\n",
			"package.json": `{"name": "hello", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}`,
		},
		"src/hello.js", "exports.apply = x => 'other';\n", "node_modules/is-number/index.js", "src/hello.js", "registry.npmjs.org",
	},
	{
		"go",
		map[string]string{
			"hello.go": "package hello\n\nimport \"github.com/google/uuid\"\n\nfunc Apply(s string) (string, error) { return uuid.NewString() + s, nil }\n",
			"go.mod":   "module hello\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n",
			"go.sum": "github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\n" +
				"github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n",
		},
		"hello.go", "package hello\n\nimport _ \"github.com/google/uuid\"\n\nfunc Apply(s string) (string, error) { return s, nil }\n",
		"mod/github.com/google/uuid@v1.6.0/uuid.go", "stoa-program", "proxy.golang.org",
	},
}

// needRegistry skips where a registry cannot be reached.
func needRegistry(t *testing.T, host string) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short, and this fetches from " + host)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Skipf("SKIPPED: %s cannot be reached: %v", host, err)
	}
	res.Body.Close()
}

// realJob is what a server does with a pushed folder.
func realJob(t *testing.T, language string, files map[string]string) build.Job {
	t.Helper()
	l, err := langpack.Find(language)
	if err != nil {
		t.Fatal(err)
	}
	j := job(t, build.Recipe{}, files)
	j.Manifest.Name, j.Manifest.Code.Language = "me/hello", language
	j.Manifest.Code.Build.Network = true
	if j.Recipe, err = l.Recipe(j.Manifest, os.DirFS(j.Source)); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if j.Mounts, err = l.BuildMounts(); err != nil {
		t.Fatal(err)
	}
	if j.Runtime, err = l.Runtime(); err != nil {
		t.Fatal(err)
	}
	j.Runner = filepath.Join(t.TempDir(), "runner")
	if err := l.WriteRunner(j.Runner); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestRealPackages(t *testing.T) {
	for _, c := range reals {
		t.Run(c.language, func(t *testing.T) {
			needRegistry(t, c.host)
			b := open(t, sandbox.On, build.Config{Env: os.Environ()})
			j := realJob(t, c.language, c.files)
			first := b.build(j)
			if _, ok := content(t, j, build.DepLayer)[c.deps]; !ok {
				t.Errorf("the dependency layer lacks %s:\n%s", c.deps, first.Report.Log)
			}
			if _, ok := content(t, j, build.AppLayer)[c.app]; !ok {
				t.Errorf("the app layer lacks %s:\n%s", c.app, first.Report.Log)
			}
			if !strings.Contains(strings.Join(first.Report.Hosts, " "), c.host) {
				t.Errorf("it spoke to %v, not to %s", first.Report.Hosts, c.host)
			}
			files := maps.Clone(c.files)
			files[c.code] = c.changed
			j = realJob(t, c.language, files)
			second := b.build(j)
			if !second.Report.Cached || len(second.Report.Hosts) > 0 {
				t.Errorf("a change of code alone: cached %t, hosts %v", second.Report.Cached, second.Report.Hosts)
			}
			t.Logf("%s: %.1f s at first, %.1f s after a change of code; spoke to %v", first.Report.Runtime, first.Report.Seconds, second.Report.Seconds, first.Report.Hosts)
		})
	}
}
