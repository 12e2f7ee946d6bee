package build_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/format/layer"
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
}

var reals = []real{
	{
		"python",
		map[string]string{"src/hello.py": "import six\ndef apply(input):\n    return six.text_type(input)\n", "requirements.txt": "six==1.16.0\n"},
		"src/hello.py", "import six\ndef apply(input):\n    return 'other'\n", "six.py", "src/hello.py",
	},
	{
		"javascript",
		map[string]string{
			"src/hello.js": "const n = require('is-number'); exports.apply = x => n(x);\n",
			"package.json": `{"name": "hello", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}`,
		},
		"src/hello.js", "exports.apply = x => 'other';\n", "node_modules/is-number/index.js", "src/hello.js",
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
		"mod/github.com/google/uuid@v1.6.0/uuid.go", "stoa-program",
	},
}

// needRegistry skips what fetches packages, unless it is asked for.
func needRegistry(t *testing.T) {
	t.Helper()
	if os.Getenv("STOA_REGISTRIES") == "" {
		t.Skip("SKIPPED: this fetches packages, which make test-registries does")
	}
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
			needRegistry(t)
			b := open(t, sandbox.On, build.Config{Env: os.Environ()})
			j := realJob(t, c.language, c.files)
			first := b.build(j)
			if _, ok := content(t, j, build.DepLayer)[c.deps]; !ok {
				t.Errorf("the dependency layer lacks %s:\n%s", c.deps, first.Report.Log)
			}
			if _, ok := content(t, j, build.AppLayer)[c.app]; !ok {
				t.Errorf("the app layer lacks %s:\n%s", c.app, first.Report.Log)
			}
			if len(first.Report.Hosts) == 0 {
				t.Error("it spoke to nobody")
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

func TestRealFailuresNameTheLine(t *testing.T) {
	for _, c := range []struct {
		language string
		files    map[string]string
		fetches  bool
		want     []string
	}{
		{
			"python",
			map[string]string{"src/hello.py": "import sys\n\ndef apply(input):\n    return )\n"},
			false,
			[]string{`in its step "build", at src/hello.py:4`},
		},
		{
			"javascript",
			map[string]string{"src/hello.js": "exports.apply = x => x;\nconst = 3;\n"},
			false,
			[]string{`in its step "build", at src/hello.js:2`},
		},
		{
			"python",
			map[string]string{"src/hello.py": "def apply(input): return 1\n", "requirements.txt": "six==1.16.0\nsix==99.0.0-no\n"},
			true,
			[]string{`in its step "dependencies"`, "requirements.txt"},
		},
		{
			"python",
			map[string]string{"src/hello.py": "def apply(input): return 1\n", "requirements.txt": "no-such-package-of-stoas-tests==1.0\n"},
			true,
			[]string{`in its step "dependencies"`, "no-such-package-of-stoas-tests"},
		},
	} {
		t.Run(c.language, func(t *testing.T) {
			if c.fetches {
				needRegistry(t)
			}
			b := open(t, sandbox.On, build.Config{Env: os.Environ()})
			got := b.fails(realJob(t, c.language, c.files))
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("the message lacks %q:\n%s", w, got)
				}
			}
		})
	}
}

// TestAHostileSetup installs a package whose setup.py, which pip runs, tries what
// it should not.
func TestAHostileSetup(t *testing.T) {
	cfg := build.Config{Hosts: []string{"mirror.example"}}
	setup := "import os\n" +
		"for p in ('/etc/shadow', '/root/.ssh', '/root/.profile', " + strconv.Quote(t.TempDir()) + ", '/lang/x', '/usr/x', '/src/secret'):\n" +
		"    try:\n        (os.listdir if os.path.isdir(p) else open)(p, *(['w'] if p.endswith('x') else []))\n        print('REACHED', p)\n" +
		"    except OSError as e:\n        print('DENIED', p, e.strerror)\n" +
		"open('/cache/poison', 'w').write('x')\n" +
		"from setuptools import setup\nsetup(name='evil', version='1.0', py_modules=['evil'])\n"
	index := map[string][]byte{
		"/simple/evil/":          []byte(`<a href="/files/evil-1.0.tar.gz">evil-1.0.tar.gz</a>`),
		"/files/evil-1.0.tar.gz": sdist(t, map[string]string{"evil-1.0/setup.py": setup, "evil-1.0/evil.py": "x = 1\n", "evil-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"}),
	}
	serveWorld(t, &cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := index[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/") {
			w.Header().Set("Content-Type", "text/html")
		}
		w.Write(b)
	}), "mirror.example")
	b := open(t, sandbox.On, cfg)
	j := realJob(t, "python", map[string]string{"src/hello.py": "def apply(i): return i\n", "requirements.txt": "evil==1.0\n", "secret": "x"})
	j.Owner = "mallory"
	j.Recipe.Env = slices.DeleteFunc(j.Recipe.Env, func(e string) bool { return strings.HasPrefix(e, "PIP_") })
	// Whether pip can make a package of it in the end depends on this Python; its
	// setup.py has run by then.
	j.Recipe.Dependencies = `python3 -c 'import setuptools' || exit 0; python3 -m pip install -v --disable-pip-version-check --no-build-isolation ` +
		`--cache-dir "$CACHE/pip" --index-url http://mirror.example/simple --trusted-host mirror.example --target "$DEPS" -r requirements.txt || echo "pip failed"; ls "$CACHE"`
	log := b.build(j).Report.Log
	if !strings.Contains(log, "Collecting evil") {
		t.Skipf("SKIPPED: this Python has no setuptools:\n%s", log)
	}
	if strings.Contains(log, "REACHED") || strings.Count(log, "DENIED") < 7 || !strings.Contains(log, "poison\n") {
		t.Errorf("what the setup reached:\n%s", log)
	}
	for owner, want := range map[string]bool{"mallory": true, "alice": false} {
		j := job(t, build.Recipe{Build: `ls "$CACHE"`}, nil)
		j.Recipe.Language, j.Owner = "python", owner
		if log := b.build(j).Report.Log; strings.Contains(log, "poison") != want {
			t.Errorf("the cache of %s has: %s", owner, log)
		}
	}
}

func sdist(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

// TestGoNeedsNoNetworkForSourceInTheBundle: the dependency step sees the lock
// files alone, which must do for modules that the bundle brings itself.
func TestGoNeedsNoNetworkForSourceInTheBundle(t *testing.T) {
	mod := "module hello\n\ngo 1.21\n\nrequire example.com/lib v0.0.0\n"
	for name, files := range map[string]map[string]string{
		"replaced": {"go.mod": mod + "\nreplace example.com/lib => ./lib\n", "lib/go.mod": "module example.com/lib\n\ngo 1.21\n", "lib/lib.go": "package lib\n"},
		"vendored": {"go.mod": mod, "vendor/modules.txt": "# example.com/lib v0.0.0\n## explicit; go 1.21\nexample.com/lib\n", "vendor/example.com/lib/lib.go": "package lib\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, sandbox.On, build.Config{Env: os.Environ()})
			files["hello.go"] = "package hello\n\nimport _ \"example.com/lib\"\n\nfunc Apply(s string) (string, error) { return s, nil }\n"
			j := realJob(t, "go", files)
			j.Manifest.Code.Build.Network = false
			// To list what is imported takes no compiler, which would work for a minute.
			j.Recipe.Build = `export GOMODCACHE="$DEPS/mod" GOFLAGS=-buildvcs=false GOPROXY=off GOCACHE="$CACHE/go-build"; go list -deps . | grep example.com`
			if log := b.build(j).Report.Log; !strings.Contains(log, "example.com/lib\n") {
				t.Errorf("%s", log)
			}
		})
	}
}

// TestRunnersAreTheSameEachTime: the runner's layer is part of the key of
// dependencies, and of what a machine keeps unpacked.
func TestRunnersAreTheSameEachTime(t *testing.T) {
	for _, l := range langpack.All() {
		var layers [2]bytes.Buffer
		for i := range layers {
			dir := t.TempDir()
			if err := l.WriteRunner(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := layer.Pack(t.Context(), dir, &layers[i], layer.Limits{}); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(layers[0].Bytes(), layers[1].Bytes()) {
			t.Errorf("%s: the runner's layer is another each time", l.Name())
		}
	}
}
