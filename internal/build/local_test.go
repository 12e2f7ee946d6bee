package build_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/format/layer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/shim/shimtest"
)

// bench is a builder with its folders.
type bench struct {
	*build.Local
	t   *testing.T
	cfg build.Config
}

// open makes a builder whose steps run in a sandbox of that mode; it skips where
// the machine has none.
func open(t *testing.T, mode sandbox.Mode, cfg build.Config) *bench {
	t.Helper()
	if mode != sandbox.None && sandbox.Find("") == "" {
		t.Skip("SKIPPED: bubblewrap (bwrap) is not installed")
	}
	s, err := sandbox.New(sandbox.Config{Mode: mode, Dir: t.TempDir(), Init: shimtest.Build(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cfg.Sandbox = s
	cfg.Dir, cfg.Cache = filepath.Join(t.TempDir(), "builds"), filepath.Join(t.TempDir(), "cache")
	l, err := build.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
			t.Errorf("a build left %v, %v", left, err)
		}
		filepath.WalkDir(cfg.Cache, func(path string, d fs.DirEntry, err error) error { // t.TempDir cannot remove what may not be written to
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return &bench{l, t, cfg}
}

// job is a build of files with a recipe.
func job(t *testing.T, r build.Recipe, files map[string]string) build.Job {
	t.Helper()
	src, lang := t.TempDir(), t.TempDir()
	write(t, src, files)
	write(t, lang, map[string]string{"runner": "the runner"})
	r.Language = "test"
	return build.Job{
		Source: src, Out: t.TempDir(), Recipe: r, Runner: lang, Owner: "me", Runtime: "Test 1",
		Manifest: &manifest.Manifest{Kind: manifest.KindCode, Code: &manifest.Code{Build: &manifest.CodeBuild{}}},
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) build(j build.Job) build.Result {
	b.t.Helper()
	res, err := b.Build(b.t.Context(), j)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// fails builds what must fail, and gives the message.
func (b *bench) fails(j build.Job) string {
	b.t.Helper()
	res, err := b.Build(b.t.Context(), j)
	e := stoa.AsError(err)
	if e == nil || e.Kind != stoa.Invalid || e.Type != build.BuildError {
		b.t.Fatalf("%v, %+v: not a BuildError", err, res)
	}
	return e.Msg
}

// content gives the files of a layer.
func content(t *testing.T, j build.Job, name string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(j.Out, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "layer")
	if _, err := layer.Unpack(t.Context(), f, dir, layer.Limits{}); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var modes = []sandbox.Mode{sandbox.On, sandbox.None}

func TestBuild(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			b := open(t, mode, build.Config{})
			r := build.Recipe{
				Locks: []string{"*.lock"}, Programs: []string{"sh"},
				Dependencies: `echo installing; ls | tr '\n' ' ' > "$DEPS/seen"; cat my.lock > "$DEPS/installed"; echo x >> "$CACHE/count"; echo no > src-is-ours`,
				Build:        `echo building; cp -R . "$OUT"/; cat "$DEPS/installed" "$LANG_DIR/runner" > "$OUT/made"; echo changed > main; wc -l < "$CACHE/count" > "$OUT/count"`,
			}
			j := job(t, r, map[string]string{"main": "code", "sub/file": "data", "my.lock": "six 1.0\n"})
			var live bytes.Buffer
			j.Log = &live
			res := b.build(j)
			if diff := cmp.Diff([]string{build.AppLayer, build.DepLayer, build.LangLayer}, res.Files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			want := map[string]string{"main": "code", "sub/file": "data", "my.lock": "six 1.0\n", "made": "six 1.0\nthe runner", "count": "1\n"}
			if diff := cmp.Diff(want, content(t, j, build.AppLayer)); diff != "" {
				t.Errorf("app layer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"seen": "my.lock ", "installed": "six 1.0\n"}, content(t, j, build.DepLayer)); diff != "" {
				t.Errorf("dependency layer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"runner": "the runner"}, content(t, j, build.LangLayer)); diff != "" {
				t.Errorf("language layer (-want +got):\n%s", diff)
			}
			said := "installing\nbuilding\n"
			if mode == sandbox.None {
				said = "there is no sandbox (--sandbox=none): this build has the server's own rights and network\n" + said
			}
			if live.String() != said || res.Report.Log != live.String() {
				t.Errorf("the log: live %q, kept %q", live.String(), res.Report.Log)
			}
			rep := res.Report
			if rep.Language != "test" || rep.Runtime != "Test 1" || rep.Cached || len(rep.Programs) != 1 || rep.AppBytes == 0 || rep.DepsBytes == 0 || rep.Seconds <= 0 {
				t.Errorf("the report: %+v", rep)
			}
			got, err := os.ReadFile(filepath.Join(j.Source, "main"))
			if left, _ := os.ReadDir(j.Source); err != nil || string(got) != "code" || len(left) != 3 {
				t.Errorf("the source was changed: %q %v %v", got, err, left)
			}
			// The code changes, the lock file does not.
			j = job(t, r, map[string]string{"main": "other code", "my.lock": "six 1.0\n"})
			res = b.build(j)
			if !res.Report.Cached || strings.Contains(res.Report.Log, "installing") || content(t, j, build.AppLayer)["count"] != "1\n" {
				t.Errorf("the dependencies were installed again: %+v", res.Report)
			}
			if got := content(t, j, build.AppLayer)["made"]; got != "six 1.0\nthe runner" {
				t.Errorf("with dependencies from the cache: %q", got)
			}
			if res.Report.DepsBytes != rep.DepsBytes {
				t.Errorf("the cached layer has %d bytes, the first %d", res.Report.DepsBytes, rep.DepsBytes)
			}
		})
	}
}

func TestWhatTheKeyIsMadeOf(t *testing.T) {
	b := open(t, sandbox.None, build.Config{Env: []string{"MIRROR=one"}})
	first := func() build.Job {
		return job(t, build.Recipe{
			Locks: []string{"*.lock", "sub/lock"}, Dependencies: `echo "$MIRROR" > "$DEPS/x"`, Build: `true`,
			Env: []string{"MIRROR", "STOA_ENTRY=a"},
		}, map[string]string{"a.lock": "1", "sub/lock": "2", "code": "3"})
	}
	b.build(first())
	for _, c := range []struct {
		name   string
		change func(j *build.Job)
		cached bool
	}{
		{"nothing", func(*build.Job) {}, true},
		{"the code", func(j *build.Job) { write(t, j.Source, map[string]string{"more": "x"}) }, true},
		{"the entry", func(j *build.Job) { j.Recipe.Env = []string{"MIRROR", "STOA_ENTRY=b"} }, true},
		{"the build script", func(j *build.Job) { j.Recipe.Build = "true; true" }, true},
		{"a lock file more", func(j *build.Job) { write(t, j.Source, map[string]string{"b.lock": "x"}) }, false},
		{"a lock file's name", func(j *build.Job) {
			os.Rename(filepath.Join(j.Source, "a.lock"), filepath.Join(j.Source, "c.lock"))
		}, false},
		{"the owner", func(j *build.Job) { j.Owner = "other" }, false},
		{"the runtime", func(j *build.Job) { j.Runtime = "Test 2" }, false},
		{"the script", func(j *build.Job) { j.Recipe.Dependencies += " " }, false},
		{"the environment", func(j *build.Job) { j.Recipe.Env = []string{"MIRROR=two"} }, false},
		{"the runner", func(j *build.Job) { write(t, j.Runner, map[string]string{"more": "x"}) }, false},
		{"the network", func(j *build.Job) { j.Manifest.Code.Build.Network = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := first()
			c.change(&j)
			if res := b.build(j); res.Report.Cached != c.cached {
				t.Errorf("cached: %t", res.Report.Cached)
			}
		})
	}
}

func TestNoDependencies(t *testing.T) {
	b := open(t, sandbox.None, build.Config{})
	for _, c := range []struct {
		name, lock, script string
	}{
		{"no lock file", "", `exit 1`},
		{"no step", "x", ``},
		{"the step makes nothing", "x", `true`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				files := map[string]string{"code": "1"}
				if c.lock != "" {
					files["a.lock"] = c.lock
				}
				j := job(t, build.Recipe{Locks: []string{"a.lock"}, Dependencies: c.script, Build: `ls "$DEPS" > "$OUT/deps"`}, files)
				j.Runner = ""
				res := b.build(j)
				if diff := cmp.Diff([]string{build.AppLayer}, res.Files); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				if got := content(t, j, build.AppLayer)["deps"]; got != "" {
					t.Errorf("/deps has %q", got)
				}
			}
		})
	}
}

func TestADamagedLayerIsMadeAnew(t *testing.T) {
	b := open(t, sandbox.None, build.Config{})
	r := build.Recipe{Locks: []string{"a.lock"}, Dependencies: `echo good > "$DEPS/x"`, Build: `cp "$DEPS/x" "$OUT/x"`}
	b.build(job(t, r, map[string]string{"a.lock": ""}))
	tars, _ := filepath.Glob(filepath.Join(b.cfg.Cache, "deps", "*.tar"))
	if len(tars) != 1 {
		t.Fatalf("%v", tars)
	}
	good, err := os.ReadFile(tars[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"changed": bytes.Replace(good, []byte("good"), []byte("evil"), 1), "torn": good[:700], "empty": nil,
	} {
		os.Remove(tars[0])
		if err := os.WriteFile(tars[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		j := job(t, r, map[string]string{"a.lock": ""})
		res := b.build(j)
		if got := content(t, j, build.AppLayer)["x"]; res.Report.Cached || got != "good\n" {
			t.Errorf("%s: cached %t, %q", name, res.Report.Cached, got)
		}
	}
	os.Remove(tars[0])
	if res := b.build(job(t, r, map[string]string{"a.lock": ""})); res.Report.Cached {
		t.Error("a layer that is not there came from the cache")
	}
}

func TestFailures(t *testing.T) {
	for _, mode := range modes {
		b := open(t, mode, build.Config{Limits: build.Limits{Disk: 8 << 20, Entries: 2000}})
		for _, c := range []struct {
			name  string
			r     build.Recipe
			words []string
		}{
			{
				"a step that fails",
				build.Recipe{Build: `echo one; echo "main.c:7: no such thing" >&2; echo three; exit 3`, Failure: `^(\S+:\d+): no|error at (\S+)`},
				[]string{`in its step "build", at main.c:7: it exited with status 3; the log ends with:` + "\none\nmain.c:7: no such thing\nthree"},
			},
			{
				"the last place counts, and the second group",
				build.Recipe{Build: `echo a.c:1: no; echo error at b.c:2; echo end; exit 1`, Failure: `^(\S+:\d+): no|error at (\S+)`},
				[]string{", at b.c:2: "},
			},
			{"no word", build.Recipe{Build: `exit 1`}, []string{`it exited with status 1`}},
			{"dependencies", build.Recipe{Locks: []string{"a.lock"}, Dependencies: "exit 1"}, []string{`in its step "dependencies"`, "code.build.network: true"}},
			{"a signal", build.Recipe{Build: `kill -9 $$`}, []string{"137"}},
			{"disk", build.Recipe{Build: `while :; do head -c 1000000 /dev/zero >> $OUT/full; sleep 0.01; done`}, []string{"it wrote more than 8.0 MiB to its folders"}},
			{"disk, quickly", build.Recipe{Build: `head -c 10000000 /dev/zero > "$SRC/full"`}, []string{"it wrote more than 8.0 MiB"}},
			{"disk, for temporary files", build.Recipe{Build: `head -c 10000000 /dev/zero > "$TMPDIR/full"`}, []string{"it wrote more than 8.0 MiB"}},
			{"many files", build.Recipe{Build: `i=0; while [ $i -lt 3000 ]; do : > $OUT/$i; i=$((i+1)); done`}, []string{"more than 2000 files"}},
		} {
			t.Run(string(mode)+"/"+c.name, func(t *testing.T) {
				b.t = t
				got := b.fails(job(t, c.r, map[string]string{"a.lock": ""}))
				for _, w := range c.words {
					if w == "137" { // without a sandbox the signal is seen
						if !strings.Contains(got, "137") && !strings.Contains(got, "killed") {
							t.Errorf("%q", got)
						}
					} else if !strings.Contains(got, w) {
						t.Errorf("%q, want %q", got, w)
					}
				}
			})
		}
	}
}

func TestTime(t *testing.T) {
	for _, mode := range modes {
		b := open(t, mode, build.Config{Limits: build.Limits{Time: time.Second}})
		if got := b.fails(job(t, build.Recipe{Build: `sleep 1000`}, nil)); !strings.Contains(got, "it took longer than the 1s that a step may take") {
			t.Errorf("%s: %q", mode, got)
		}
	}
}

func TestLimitsInTheSandbox(t *testing.T) {
	b := open(t, sandbox.On, build.Config{Limits: build.Limits{Memory: 64 << 20, Processes: 100, File: 1 << 20, Disk: 32 << 20, Time: time.Minute}})
	for _, c := range []struct{ name, script, want string }{
		{"memory", `head -c 200000000 /dev/zero | tail > /dev/null`, "it needed more memory than the 64"},
		{"memory in /tmp", `head -c 900000 /dev/zero > /tmp/0; i=0; while [ $i -lt 200 ]; do cp /tmp/0 /tmp/f$i; i=$((i+1)); done`, "it needed more memory than the 64"},
		{"disk, without a name, many files", `i=0; while [ $i -lt 60 ]; do (exec 5>"$SRC/$i"; rm "$SRC/$i"; head -c 900000 /dev/zero >&5; sleep 1000) & i=$((i+1)); sleep 0.01; done; wait`, "it wrote more than 32"},
		{"one file", `head -c 2000000 /dev/zero > $OUT/large; exit 9`, "file size limit exceeded"},
		{"processes", `i=0; while [ $i -lt 200 ]; do sleep 100 & i=$((i+1)); done`, "exited"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			if c.name == "memory in /tmp" && os.Geteuid() != 0 {
				t.Skip("SKIPPED: without root there may be no cgroup, and who only watches memory does not see that of /tmp")
			}
			if got := b.fails(job(t, build.Recipe{Build: c.script}, nil)); !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestGivenUp(t *testing.T) {
	b := open(t, sandbox.On, build.Config{Parallel: 1})
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 10)
	j := job(t, build.Recipe{Build: `echo begun; sleep 1000`}, nil)
	j.Log = tell(begun)
	done := make(chan error, 1)
	go func() {
		_, err := b.Build(ctx, j)
		done <- err
	}()
	<-begun
	// One that waits for its turn can be given up too.
	waiting, stop := context.WithCancel(t.Context())
	other := job(t, build.Recipe{}, nil)
	waits := make(chan struct{}, 10)
	other.Log = tell(waits)
	go func() {
		<-waits // it was told that it waits
		stop()
	}()
	if _, err := b.Build(waiting, other); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("one that waits: %v", err)
	}
	cancel()
	if err := <-done; stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("%v", err)
	}
}

type tell chan struct{}

func (c tell) Write(b []byte) (int, error) {
	c <- struct{}{}
	return len(b), nil
}

func TestABuildOfTheSameKeyWaits(t *testing.T) {
	b := open(t, sandbox.None, build.Config{Parallel: 4})
	var wg sync.WaitGroup
	var mu sync.Mutex
	installed := 0
	for i := range 4 {
		j := job(t, build.Recipe{Locks: []string{"a.lock"}, Dependencies: `echo installing; echo x > "$DEPS/x"`, Build: `true`}, map[string]string{"a.lock": "", "code": fmt.Sprint(i)})
		wg.Go(func() {
			res, err := b.Build(t.Context(), j)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !res.Report.Cached {
				installed++
			}
		})
	}
	wg.Wait()
	if installed != 1 {
		t.Errorf("installed %d times", installed)
	}
}

func TestRefusedJobs(t *testing.T) {
	b := open(t, sandbox.None, build.Config{})
	j := job(t, build.Recipe{Programs: []string{"no-such-program-here"}}, nil)
	if _, err := b.Build(t.Context(), j); stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(err.Error(), "this server has no no-such-program-here") {
		t.Errorf("%v", err)
	}
	j = job(t, build.Recipe{}, nil)
	j.Manifest = &manifest.Manifest{Kind: manifest.KindModel}
	if _, err := b.Build(t.Context(), j); err == nil {
		t.Error("a model was built")
	}
	j = job(t, build.Recipe{}, map[string]string{"a": ""})
	os.Symlink("/etc/passwd", filepath.Join(j.Source, "link"))
	if _, err := b.Build(t.Context(), j); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("a link in the source: %v", err)
	}
	if _, err := build.New(build.Config{Hosts: []string{"http://x"}, Dir: t.TempDir(), Cache: t.TempDir()}); err == nil {
		t.Error("a URL is taken for a host")
	}
}

func TestRestart(t *testing.T) {
	b := open(t, sandbox.None, build.Config{})
	write(t, b.cfg.Dir, map[string]string{"build-1/out/x": "left", "other": "x"})
	os.Chmod(filepath.Join(b.cfg.Dir, "build-1", "out"), 0o500)
	if _, err := build.New(b.cfg); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(b.cfg.Dir); len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("left: %v", left)
	}
	os.Remove(filepath.Join(b.cfg.Dir, "other"))
	for _, dir := range []string{b.cfg.Dir, b.cfg.Cache} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", dir, info.Mode(), err)
		}
	}
}

// world is a network in which names lead to public addresses, and those to a
// server of this machine.
func world(t *testing.T, cfg *build.Config, names ...string) {
	t.Helper()
	serveWorld(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s%s\n", r.Host, r.URL.Path)
	}), names...)
}

func serveWorld(t *testing.T, cfg *build.Config, h http.Handler, names ...string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	cfg.Resolver = resolver(func(host string) []netip.Addr {
		if slices.Contains(names, host) {
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}
		}
		return nil
	})
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "93.184.216.34:80" {
			t.Errorf("dialled %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
}

type resolver func(host string) []netip.Addr

func (r resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a := r(host); a != nil {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// fetch is a script that fetches URLs by the proxy that it is told of, and prints
// what came of each.
func fetch(urls ...string) string {
	return `/usr/bin/python3 - ` + strings.Join(urls, " ") + ` <<'END'
import sys, urllib.request
for u in sys.argv[1:]:
    try:
        print(u, "->", urllib.request.urlopen(u, timeout=10).read().decode().strip())
    except Exception as e:
        print(u, "->", e, getattr(e, "fp", None) and e.read().decode().strip())
END
`
}

func needPython(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("SKIPPED: /usr/bin/python3 is not there")
	}
}

func TestNetwork(t *testing.T) {
	needPython(t)
	cfg := build.Config{Env: []string{"MIRROR=http://mirror.example/simple"}}
	world(t, &cfg, "mirror.example", "evil.example")
	b := open(t, sandbox.On, cfg)
	r := build.Recipe{
		Locks: []string{"a.lock"}, Env: []string{"MIRROR"}, Hosts: `echo "$MIRROR"`,
		Dependencies: `echo x > "$DEPS/x"` + "\n" + fetch("http://mirror.example/a", "http://evil.example/b", "http://169.254.169.254/meta", "http://127.0.0.1:80/x"),
		Build:        fetch("http://mirror.example/from-build"),
	}
	j := job(t, r, map[string]string{"a.lock": ""})
	j.Manifest.Code.Build.Network = true
	res := b.build(j)
	for _, want := range []string{
		"http://mirror.example/a -> hello from mirror.example/a\n",
		"http://evil.example/b -> HTTP Error 403: Forbidden stoa: evil.example:80 is not allowed: allowed are mirror.example:80\n",
		"network: evil.example:80 is not allowed",
		"http://169.254.169.254/meta -> HTTP Error 403",
		"http://127.0.0.1:80/x -> HTTP Error 403",
		"http://mirror.example/from-build -> <urlopen error", // the build step has no network
	} {
		if !strings.Contains(res.Report.Log, want) {
			t.Errorf("the log lacks %q:\n%s", want, res.Report.Log)
		}
	}
	if diff := cmp.Diff([]string{"mirror.example"}, res.Report.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	j = job(t, r, map[string]string{"a.lock": ""})
	res = b.build(j)
	if strings.Contains(res.Report.Log, "hello from") || res.Report.Cached {
		t.Errorf("without code.build.network:\n%s", res.Report.Log)
	}
}

func TestTheOperatorsHosts(t *testing.T) {
	needPython(t)
	for _, c := range []struct {
		name  string
		hosts []string
		want  string
	}{
		{"named", []string{"mine.example"}, "http://mine.example/ -> hello"},
		{"none", []string{}, "403"},
		{"another", []string{"mirror.example"}, "403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := build.Config{Hosts: c.hosts}
			world(t, &cfg, "mine.example")
			b := open(t, sandbox.On, cfg)
			j := job(t, build.Recipe{Locks: []string{"a.lock"}, Hosts: "echo mine.example", Dependencies: fetch("http://mine.example/")}, map[string]string{"a.lock": ""})
			j.Manifest.Code.Build.Network = true
			if res := b.build(j); !strings.Contains(res.Report.Log, c.want) {
				t.Errorf("the log lacks %q:\n%s", c.want, res.Report.Log)
			}
		})
	}
}
