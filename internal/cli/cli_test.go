package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
	"github.com/stoa-project/stoa/internal/cli"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe"
	"github.com/stoa-project/stoa/internal/importer/torch7"
	"github.com/stoa-project/stoa/internal/manifest"
)

func TestMain(m *testing.M) {
	// Exit statuses are what the scripts look at.
	os.Exit(testscript.RunMain(m, map[string]func() int{"stoa": runStoa})) //nolint:staticcheck // Main's functions would have to exit themselves
}

// runStoa is the program as the scripts run it: every terminal is off, unless
// FAKE_TTY is set.
func runStoa() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	tty := os.Getenv("FAKE_TTY") != ""
	return cli.Run(ctx, os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Home: os.Getenv("HOME"),
		StdinTTY: tty, StdoutTTY: tty, StderrTTY: tty,
	}, fakeDeps())
}

// fakeDeps has the importer as it is, and stands for what runs models.
func fakeDeps() cli.Deps {
	return cli.Deps{
		Version: "1.2.3",
		Plugs:   []importer.Plug{importer.ONNX{}, caffe.Plug{}, torch7.Plug{}},
		CheckONNX: func(_ context.Context, _ string, cases []importer.Case) ([]importer.Comparison, error) {
			var out []importer.Comparison
			for _, c := range cases {
				for _, o := range c.Outputs {
					out = append(out, importer.Comparison{Output: "prob", Wanted: o, MaxAbs: 0.5, MaxRel: 0.25, Tolerance: 1e-4, OK: filepath.Base(o) != "wrong.npy"})
				}
			}
			return out, nil
		},
		Serve: func(_ context.Context, o cli.ServeOptions) error {
			if err := fakeSandbox(); err != nil {
				return err
			}
			hosts := "nil"
			if o.BuildHosts != nil {
				hosts = fmt.Sprint(o.BuildHosts)
			}
			return stoa.Errorf(stoa.Conflict, "would serve %s at %s: sandbox %s, build hosts %s, code hosts %v, logs %s, %s, %s",
				filepath.Base(o.Data), o.Listen, o.Sandbox, hosts, o.CodeHosts, o.KeepLogs, o.Init, o.Bwrap)
		},
		Start: func(_ context.Context, o cli.ServeOptions) (*cli.Server, error) {
			if err := fakeSandbox(); err != nil {
				return nil, err
			}
			return nil, stoa.Errorf(stoa.Conflict, "would start %s at %s: sandbox %s, code hosts %v", filepath.Base(o.Data), o.Listen, o.Sandbox, o.CodeHosts)
		},
		Protections: func(_ context.Context, o cli.ServeOptions) []cli.Row {
			if o.Sandbox == "none" {
				return []cli.Row{{Name: "sandbox", Finding: cli.Finding{State: cli.Bad, Text: "there is none"}}}
			}
			return []cli.Row{{Name: "memory", Finding: cli.Finding{State: cli.Warn, Text: "watched: every 100 ms", Remedy: "make a cgroup"}}}
		},
		Checks: []cli.Check{{Name: "extra", Run: func(context.Context) cli.Finding {
			return cli.Finding{State: cli.Good, Text: "from beneath"}
		}}},
	}
}

// fakeSandbox is one that may be missing.
func fakeSandbox() error {
	if os.Getenv("FAKE_SANDBOX") == "" {
		return nil
	}
	return stoa.Errorf(stoa.Unavailable, "namespaces: bubblewrap is not installed: install it")
}

func newSystem() *doortest.System {
	s := doortest.New()
	v := s.Add("demo/echo/1.0.0", true, nil)
	s.AddFile(v, "README.md", []byte("# Echo"))
	s.Add("demo/echo/1.1.0", true, nil)
	s.Add("demo/secret/0.1.0", false, nil)
	addCode(s)
	s.Add("demo/fails/1.0.0", true, func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Err: &stoa.Error{Kind: stoa.Failed, Msg: "division by zero\x1b[2J", Stack: "line 1\nline\x1b[31m 2"}}
	})
	s.Add("demo/busy/1.0.0", true, func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Err: &stoa.Error{Kind: stoa.Busy, Msg: "the queue is full", RetryAfter: 3 * time.Second}}
	})
	s.Add("demo/slow/1.0.0", true, func(ctx context.Context, _ stoa.Call) stoa.Result {
		<-ctx.Done()
		return stoa.Result{Err: ctx.Err()}
	})
	return s
}

// addCode adds an algorithm that is code, with all that show tells of it.
func addCode(s *doortest.System) {
	v := s.Add("demo/code/1.0.0", true, nil)
	v.Kind, v.Framework = manifest.KindCode, "Python"
	v.Manifest = []byte(`{"kind":"code","code":{"language":"python","concurrency":4,"network":["api.example.com","*.example.org:443"],
		"models":[{"name":"net","file":"net.onnx","from":"demo/net","sha256":"` + strings.Repeat("0", 64) + `"}]},
		"schema":{"input":{"type":"string","maxLength":20}},"limits":{"timeout":"30s","memory":"1GiB","body":"1MiB"},"replicas":{"min":1,"idle":"10m"}}`)
	v.Report = []byte(`{"language":"python","framework":"Python","runtime":"Python 3.11.7","protocol":"frames","command":["python3","runner.py"],
		"cached":true,"seconds":1.25,"hosts":["packages.example"],"log":"pip install\nred \u001b[31m\n","programs":["python3"],"deps_bytes":11534336,"app_bytes":7168,
		"check":{"sample":"text","run_seconds":0.0035,"answer":"hello\nWorld\u001b[31m"}}`)
	s.Add("demo/newcode/1.0.0", true, nil).Kind = manifest.KindCode // of a server that reports otherwise
}

func TestScripts(t *testing.T) {
	demo, err := filepath.Abs("../../demo/digits")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(demo, "lenet.caffemodel")); err != nil {
		t.Skipf("SKIPPED: the scripts need a small model: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			h, _ := newSystem().Handler(nil, algorithmia.Config{PublicURL: "http://stoa.example"})
			s := httptest.NewServer(h)
			e.Defer(s.Close)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("URL", s.URL)
			e.Setenv("STOA_SERVER", s.URL)
			e.Setenv("STOA_KEY", doortest.DemoKey)
			e.Setenv("OTHER_KEY", doortest.OtherKey)
			e.Setenv("DEMO", demo)
			e.Setenv("BARE_PATH", filepath.SplitList(e.Getenv("PATH"))[0]) // where stoa is, and nothing else
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o700)
		},
	})
}

// TestEveryCommand holds what every command owes its user.
func TestEveryCommand(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no description or no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if !strings.Contains(line, "stoa") {
				t.Errorf("%s: example %q", c.CommandPath(), line)
			}
		}
		if c.Runnable() && !c.HasSubCommands() && c.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", c.CommandPath())
		}
	}
	walk(cli.New(cli.Env{}, cli.Deps{}))
}

// TestEveryCommandIsThere, and helps.
func TestEveryCommandIsThere(t *testing.T) {
	for name := range strings.FieldsSeq("serve init dev push call ls show versions rm inspect preview import keys login logs secrets doctor up down") {
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), []string{name, "--help"}, cli.Env{Stdout: &out, Stderr: &errs}, cli.Deps{})
		if code != 0 || errs.Len() > 0 || !strings.Contains(out.String(), "Examples:\n") || !strings.Contains(out.String(), "stoa "+name) {
			t.Errorf("%s --help: %d %s%s", name, code, out.String(), errs.String())
		}
		if code := cli.Run(t.Context(), []string{name, "--nonsense"}, cli.Env{Stdout: &out, Stderr: &errs}, cli.Deps{}); code != cli.ExitUsage || !strings.Contains(errs.String(), "--help") {
			t.Errorf("%s --nonsense: %d %s", name, code, errs.String())
		}
	}
}

// TestExampleManifest is valid and says what it is about.
func TestExampleManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My-Net 2")
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"init", dir}, cli.Env{Stdout: &out, Stderr: &errs}, cli.Deps{}); code != 0 {
		t.Fatalf("%d: %s", code, errs.String())
	}
	b, err := os.ReadFile(filepath.Join(dir, "stoa.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse("stoa.yaml", b)
	if err != nil || m.Name != "My_Net_2" || len(m.FileNames()) != 3 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestMissing says by name what a build lacks.
func TestMissing(t *testing.T) {
	for _, args := range [][]string{
		{"serve"},
		{"worker"},
		{"dev"},
		{"inspect", "cli_test.go"},
		{"import", "cli_test.go", "-o", "x"},
		{"import", "cli_test.go", "-o", "x", "--check", "a=b"},
		{"push", "cli_test.go", "--as", "me/x"},
	} {
		var errs bytes.Buffer
		if code := cli.Run(t.Context(), args, cli.Env{Stdout: &errs, Stderr: &errs}, cli.Deps{}); code != 1 || !strings.Contains(errs.String(), "this build of stoa has no") {
			t.Errorf("%v: %d %s", args, code, errs.String())
		}
	}
}

// TestProgress draws a bar on a terminal and nowhere else.
func TestProgress(t *testing.T) {
	h, _ := newSystem().Handler(nil, algorithmia.Config{})
	s := httptest.NewServer(h)
	defer s.Close()
	dir := t.TempDir()
	for name, content := range map[string]string{"stoa.yaml": "name: bar\nkind: model\nmodel:\n  files: [w]\n", "w": strings.Repeat("w", 100000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tty := range []bool{true, false} {
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), []string{"push", dir, "--server", s.URL, "--key", doortest.DemoKey}, cli.Env{Stdout: &out, Stderr: &errs, StderrTTY: tty}, cli.Deps{})
		if code != 0 || tty != strings.Contains(errs.String(), "reading") || strings.Contains(out.String(), "reading") {
			t.Errorf("terminal %v: %d %q %q", tty, code, out.String(), errs.String())
		}
	}
}

// TestStopped ends by a signal with one word.
func TestStopped(t *testing.T) {
	started := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	var errs bytes.Buffer
	if code := cli.Run(ctx, []string{"ls", "--server", s.URL}, cli.Env{Stdout: &errs, Stderr: &errs}, cli.Deps{}); code != 1 || errs.String() != "stoa: stopped\n" {
		t.Errorf("%d %q", code, errs.String())
	}
}

// TestLocalError shows the cause of an error of this machine.
func TestLocalError(t *testing.T) {
	var errs bytes.Buffer
	deps := cli.Deps{Serve: func(context.Context, cli.ServeOptions) error { return errors.New("the disk is on fire") }}
	if code := cli.Run(t.Context(), []string{"serve"}, cli.Env{Stderr: &errs}, deps); code != 1 || !strings.Contains(errs.String(), "the disk is on fire") {
		t.Errorf("%d %q", code, errs.String())
	}
}
