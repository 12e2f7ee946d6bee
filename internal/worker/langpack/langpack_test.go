package langpack_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

var update = flag.Bool("update", false, "write docs/languages from the languages' folders")

// TestLanguages holds what every language owes.
func TestLanguages(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		if found, err := langpack.Find(l.Name()); err != nil || found != l {
			t.Errorf("it is not found: %v", err)
		}
		if !strings.HasPrefix(l.Page(), "# "+l.Title()+"\n") {
			t.Errorf("its page begins with %.40q", l.Page())
		}
		for _, part := range []string{"## ", "stoa init --language " + l.Name(), "ALGORITHMIA_API", "STOA_MODELS", "concurrency", "Limits", "error_type"} {
			if !strings.Contains(l.Page(), part) {
				t.Errorf("its page says nothing of %s", part)
			}
		}
		for _, p := range l.Ignore() {
			if strings.Contains(p, "/") {
				t.Errorf("ignore %s: a name matches in every folder", p)
			}
		}
		runtime, err := l.Runtime()
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		if runtime != l.Title() && !strings.ContainsAny(runtime, "0123456789") {
			t.Errorf("its version is %q", runtime)
		}
	})
}

// TestPages: a language's page is among the documentation, too.
func TestPages(t *testing.T) {
	const docs = "../../../docs/languages"
	each(t, func(t *testing.T, l *langpack.Language) {
		at := filepath.Join(docs, l.Name()+".md")
		if *update {
			if err := os.WriteFile(at, []byte(l.Page()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(at)
		if err != nil || string(got) != l.Page() {
			t.Errorf("%s is not the page of its folder: run go test ./internal/worker/langpack -run Pages -update (%v)", at, err)
		}
	})
	files, err := os.ReadDir(docs)
	if err != nil || len(files) != len(langpack.All()) {
		t.Errorf("%s has %d files: %v", docs, len(files), err)
	}
}

func TestFind(t *testing.T) {
	_, err := langpack.Find("no-such")
	if stoa.KindOf(err) != stoa.NotFound || !strings.Contains(err.Error(), `"no-such": there are executable, go`) {
		t.Error(err)
	}
}

// files makes a folder of empty files, or of files with content: "name=content".
func files(names ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for _, n := range names {
		name, content, _ := strings.Cut(n, "=")
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func TestDetect(t *testing.T) {
	code := func(name string, c *manifest.Code) *manifest.Manifest {
		return &manifest.Manifest{Name: name, Kind: manifest.KindCode, Code: c}
	}
	for _, test := range []struct {
		name     string
		src      fstest.MapFS
		manifest *manifest.Manifest
		want     string // a language, or "!" and part of the message
	}{
		{"said", files("go.mod"), code("hello", &manifest.Code{Language: "python"}), "python"},
		{"said wrongly", files("go.mod"), code("hello", &manifest.Code{Language: "perl"}), `!no language "perl"`},
		{"by name", files("src/hello.py", "package.json"), code("me/hello", nil), "python"},
		{"by another name", files("src/other.py", "package.json"), code("me/hello", nil), "javascript"},
		{"go.mod", files("go.mod", "tools/x.py", "x.js"), nil, "go"},
		{"conf", files(`algorithmia.conf={"algoname":"x","language":"python3"}`, "package.json"), nil, "python"},
		{"conf, misspelt", files(`algorithmia.conf={"algoname":"x","langauge":"javascript"}`), nil, "javascript"}, //nolint:misspell // as the template has it
		{"conf, unknown", files(`algorithmia.conf={"language":"scala"}`), nil, `!says language "scala"`},
		{"conf, broken", files(`algorithmia.conf={`), nil, "!algorithmia.conf is no JSON object"},
		{"conf names", files(`algorithmia.conf={"algoname":"x"}`, "src/x.js", "requirements.txt"), nil, "javascript"},
		{"two", files("src/a.py", "src/b.js"), nil, "!may be javascript by src/b.js or python by src/a.py"},
		{"none", files("README.md"), nil, "!none of *.cjs"},
		{"hidden and ignored", files(".x.py", "node_modules/a.js", "x_test.go"), nil, "!no language is recognised"},
		{"one file", files("hello.py", "README.md"), nil, "python"},
	} {
		l, err := langpack.Detect(test.src, test.manifest)
		want, fails := strings.CutPrefix(test.want, "!")
		switch {
		case fails && (err == nil || !strings.Contains(stoa.AsError(err).Msg, want)):
			t.Errorf("%s: %v, %v", test.name, l, err)
		case !fails && (err != nil || l.Name() != want):
			t.Errorf("%s: %v, %v", test.name, l, err)
		}
	}
}

// TestProgram: what is started, as a replica sees it.
func TestProgram(t *testing.T) {
	adk := "src/hello.py=from Algorithmia import ADK\ndef apply(x): return x\nADK(apply).init('x')\n"
	old := "src/hello.py=import Algorithmia\nAlgorithmia.handler(apply, load).serve()\n"
	said := "src/hello.py=# no ADK here, nor .init(\ndef apply(x): return x\n"
	for _, test := range []struct {
		name     string
		language string
		code     manifest.Code
		src      fs.FS
		protocol string
		calls    int
		command  string // the end of the command
	}{
		{"python", "python", manifest.Code{Concurrency: 4}, files("src/hello.py"), runner.Frames, 4, "/opt/lang/start.py src/hello.py"},
		{"without source", "python", manifest.Code{}, nil, runner.Frames, 1, "/opt/lang/start.py src/hello.py"},
		{"entry", "python", manifest.Code{Entry: "app/./main.py"}, nil, runner.Frames, 1, " app/main.py"},
		{"the only file", "python", manifest.Code{}, files("src/other.py", "src/other_test.py", "src/__init__.py"), runner.Frames, 1, " src/other.py"},
		{"the kit", "python", manifest.Code{Concurrency: 4}, files(adk), runner.Pipe, 1, "/opt/lang/pipe.py src/hello.py"},
		{"the old handler", "python", manifest.Code{}, files(old), runner.Pipe, 1, "/opt/lang/pipe.py src/hello.py"},
		{"no kit", "python", manifest.Code{}, files(said), runner.Frames, 1, "/opt/lang/start.py src/hello.py"},
		{"javascript", "javascript", manifest.Code{}, files("src/hello.mjs"), runner.Frames, 1, "/opt/lang/runner.js src/hello.mjs"},
		{"package.json", "javascript", manifest.Code{}, files("package.json", "lib/x.js"), runner.Frames, 1, " package.json"},
		{"go", "go", manifest.Code{}, files("a.go", "b.go"), runner.Frames, 1, "/opt/algorithm/stoa-program"},
		{"executable", "executable", manifest.Code{Command: []string{"./run.sh", "{entry}", ""}}, nil, runner.Pipe, 1, "./run.sh {entry} "},
		{"frames", "executable", manifest.Code{Command: []string{"./run"}, Protocol: "frames", Concurrency: 2}, nil, runner.Frames, 2, "./run"},
	} {
		l, err := langpack.Find(test.language)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Program(&manifest.Manifest{Name: "me/hello", Kind: manifest.KindCode, Code: &test.code}, langpack.Place{Source: test.src})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if p.Protocol != test.protocol || p.Concurrency != test.calls || p.Dir != build.AppDir || !strings.HasSuffix(strings.Join(p.Command, " "), test.command) {
			t.Errorf("%s: %+v", test.name, p)
		}
		if !strings.HasSuffix(p.Env[0], "/usr/local/bin:/usr/bin:/bin") {
			t.Errorf("%s: %s", test.name, p.Env[0])
		}
	}
}

func TestEntryMissing(t *testing.T) {
	l, err := langpack.Find("python")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		src  fs.FS
		want string
	}{
		{"me/hello", files("README.md"), "there is none of src/hello.py, hello.py, src/*.py, *.py"},
		{"me/hello", files("src/a.py", "src/b.py"), "apply may be in src/a.py or src/b.py"},
		{"", nil, "code.entry is missing"},
	} {
		m := &manifest.Manifest{Name: test.name, Kind: manifest.KindCode}
		for what, err := range map[string]error{
			"program": second(l.Program(m, langpack.Place{Source: test.src})), "recipe": second(l.Recipe(m, test.src)),
		} {
			if err == nil || !strings.Contains(stoa.AsError(err).Msg, test.want) {
				t.Errorf("%s of %v: %v", what, test.src, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestRecipe: the network is asked for by name, and PATH has no shims.
func TestRecipe(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		m := &manifest.Manifest{Name: "me/hello", Kind: manifest.KindCode, Code: &manifest.Code{Entry: "x", Build: &manifest.CodeBuild{Network: true}}}
		r, err := l.Recipe(m, nil)
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		if r.Language != l.Name() || r.Build == "" || !slices.Contains(r.Env, "STOA_NETWORK=1") || !slices.Contains(r.Env, "STOA_ENTRY=x") {
			t.Errorf("%+v", r)
		}
		if (r.Dependencies == "") != (len(r.Locks) == 0) || r.Dependencies != "" && r.Hosts == "" {
			t.Errorf("of locks, dependencies and hosts some are missing: %+v", r)
		}
		m.Code.Build = nil
		if r, err = l.Recipe(m, nil); err != nil || slices.Contains(r.Env, "STOA_NETWORK=1") {
			t.Errorf("%v, %v", r.Env, err)
		}
		for _, e := range r.Env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok && strings.Contains(path, "shims") {
				t.Errorf("PATH is %s", path)
			}
		}
		for _, mounts := range []func() ([]sandbox.Mount, error){l.Mounts, l.BuildMounts} {
			list, err := mounts()
			if err != nil {
				t.Error(err)
			}
			for _, m := range list {
				if m.Write || m.Source != m.Target || m.Source == "/" || strings.HasPrefix(m.Source, "/usr/") {
					t.Errorf("mount %+v", m)
				}
			}
		}
	})
}

// TestWrite: names and places are replaced everywhere, and nothing is overwritten.
func TestWrite(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		names, err := l.Write(dir, "me", "hello")
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			found = append(found, rel)
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte("__")) || strings.Contains(path, "__") || strings.HasSuffix(path, ".tmpl") {
				t.Errorf("%s is not filled in", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		if diff := cmp.Diff(names, found); diff != "" {
			t.Error(diff)
		}
		if err := os.Remove(filepath.Join(dir, manifest.FileName)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Write(dir, "me", "hello"); stoa.KindOf(err) != stoa.Conflict {
			t.Errorf("it is written over: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, manifest.FileName)); err == nil {
			t.Error("something was written")
		}
		for _, name := range []string{"", "../x", "a/b", "9"} {
			if _, err := l.Write(filepath.Join(t.TempDir(), "x"), "me", name); stoa.KindOf(err) != stoa.Invalid {
				t.Errorf("%q is a name: %v", name, err)
			}
		}
	})
}

// FuzzReadConf: algorithmia.conf is a stranger's.
func FuzzReadConf(f *testing.F) {
	f.Add([]byte(`{"username":"me","algoname":"hello","language":"python3"}`))
	f.Add([]byte("\ufeff{\"langauge\":\"x\"}")) //nolint:misspell // as the template has it
	f.Add([]byte(`{"algoname":"../[*"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		src := fstest.MapFS{"algorithmia.conf": {Data: data}, "src/hello.py": {}}
		conf, err := langpack.ReadConf(src)
		if (conf == nil) == (err == nil) {
			t.Fatalf("%v, %v", conf, err)
		}
		l, err := langpack.Detect(src, nil)
		if err != nil {
			return
		}
		p, err := l.Program(conf.Manifest(l.Name()), langpack.Place{Source: src})
		if err == nil && l.Name() == "python" && p.Command[len(p.Command)-1] != "src/hello.py" {
			t.Errorf("it would start %q", p.Command)
		}
	})
}
