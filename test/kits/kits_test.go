package kits_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
)

// kits is where kits.sh installs what is published.
const kits = "../../.cache/kits/venv"

// required makes what is missing a failure: kits.sh sets it.
var required = os.Getenv("STOA_KITS") == "required"

func missing(t *testing.T, what string) {
	t.Helper()
	if required {
		t.Fatalf("there is no %s", what)
	}
	t.Skipf("SKIPPED: there is no %s (test/kits/kits.sh installs the kits for Python)", what)
}

// find gives the path of a program that a test needs.
func find(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

// kitPython is the Python that has the published kits.
func kitPython(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(kits, "bin", "python3"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		missing(t, "Python with Algorithmia's kits")
	}
	return path
}

// start starts a program of testdata, in a /tmp of its own: kits look for
// /tmp/algoout and nowhere else.
func start(t *testing.T, command ...string) (*runner.Runner, error) {
	t.Helper()
	bwrap := find(t, "bwrap")
	tmp := t.TempDir()
	source, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(source, "..", "..", "..") // which may lie below /tmp itself
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	r, err := runner.Start(ctx, runner.Program{
		Command:  append([]string{bwrap, "--dev-bind", "/", "/", "--bind", tmp, "/tmp", "--ro-bind", root, root, "--die-with-parent", "--chdir", source}, command...),
		Protocol: runner.Pipe,
		Env:      []string{"PATH=" + os.Getenv("PATH"), "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"},
	}, runner.Config{Folder: tmp, Grace: 100 * time.Millisecond})
	if err == nil {
		t.Cleanup(func() { r.Close(context.Background()) })
	}
	return r, err
}

func must(t *testing.T, command ...string) *runner.Runner {
	t.Helper()
	r, err := start(t, command...)
	if err != nil {
		t.Fatalf("%v: %+v", err, stoa.AsError(err).Stack)
	}
	return r
}

// try is one call, and what is expected of it.
type try struct {
	in, want stoa.Value
	stdout   string
	err      stoa.Error // Type "" for none; Msg and Stack are parts
}

func text(s string) stoa.Value   { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }
func json(s string) stoa.Value   { return stoa.Value{Type: stoa.JSON, Data: []byte(s)} }
func binary(s string) stoa.Value { return stoa.Value{Type: stoa.Binary, Data: []byte(s)} }

func call(t *testing.T, r *runner.Runner, tries ...try) {
	t.Helper()
	for _, c := range tries {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		got := r.Run(ctx, runner.Call{Input: c.in})
		cancel()
		e := stoa.AsError(got.Err)
		switch {
		case c.err.Type != "":
			if e == nil || e.Kind != stoa.Failed || e.Type != c.err.Type || !strings.Contains(e.Msg, c.err.Msg) || !strings.Contains(e.Stack, c.err.Stack) {
				t.Errorf("%s gave %s %q, %+v; want %+v", c.in.Data, got.Value.Type, got.Value.Data, e, c.err)
			}
		case e != nil:
			t.Errorf("%s gave %v: %s", c.in.Data, e, e.Stack)
		case got.Value.Type != c.want.Type || string(got.Value.Data) != string(c.want.Data):
			t.Errorf("%s gave %s %q, want %s %q", c.in.Data, got.Value.Type, got.Value.Data, c.want.Type, c.want.Data)
		}
		if got.Stdout != c.stdout {
			t.Errorf("%s has printed %q, want %q", c.in.Data, got.Stdout, c.stdout)
		}
	}
}

func TestADKHello(t *testing.T) {
	r := must(t, kitPython(t), "adk_hello.py")
	call(t, r,
		try{in: text("algorithmia"), want: text("hello algorithmia"), stdout: "greeting algorithmia\n"},
		try{in: json(`{"a":1}`), want: text("hello {'a': 1}"), stdout: "greeting {'a': 1}\n"},
		try{in: text("grüße\u2028"), want: text("hello grüße\u2028"), stdout: "greeting grüße\u2028\n"},
	)
}

func TestADKWithLoad(t *testing.T) {
	r := must(t, kitPython(t), "adk_load.py")
	call(t, r,
		try{in: text("x"), want: json(`{"input": "x", "answer": 42}`)},
		try{in: binary("\x00abc"), want: binary("cba\x00")},
	)
}

// It says that it is ready, and answers each call with what was wrong. From
// Python 3.10 on it cannot write the error either, and ends.
func TestADKThatDoesNotLoad(t *testing.T) {
	r := must(t, kitPython(t), "adk_load_fails.py")
	got := r.Run(t.Context(), runner.Call{Input: text("x")})
	e := stoa.AsError(got.Err)
	switch {
	case e == nil:
		t.Errorf("it answered %q", got.Value.Data)
	case e.Type == runner.LoadingError && strings.Contains(e.Msg, "no such model"):
	case e.Type == runner.SystemExit && e.Msg == "exited with code 1" && strings.Contains(e.Stack, "etype"):
	default:
		t.Errorf("%+v", e)
	}
}

func TestADKThatRaises(t *testing.T) {
	r := must(t, kitPython(t), "adk_error.py")
	got := r.Run(t.Context(), runner.Call{Input: text("thing")})
	e := stoa.AsError(got.Err)
	switch {
	case e == nil:
		t.Errorf("it answered %q", got.Value.Data)
	case e.Type == runner.AlgorithmError && e.Msg == "no such thing":
	case e.Type == runner.SystemExit && e.Msg == "exited with code 1" && strings.Contains(e.Stack, "ValueError: no such thing") && strings.Contains(e.Stack, "etype"):
	default:
		t.Errorf("%+v", e)
	}
}

func TestOldHandler(t *testing.T) {
	python := kitPython(t)
	r := must(t, python, "handler.py")
	call(t, r,
		try{in: text("Ann"), want: text("hello Ann, loaded")},
		try{in: text("raise"), err: stoa.Error{Type: "AlgorithmError", Msg: "asked to", Stack: "ValueError"}},
		try{in: text("Bob"), want: text("hello Bob, loaded")},
	)
	for flag, want := range map[string]stoa.Error{
		"--no-load":  {Type: runner.LoadingError, Msg: "no such model"},
		"--as-it-is": {Type: runner.LoadingError, Msg: "getargspec"},
	} {
		if r, err := start(t, python, "handler.py", flag); err != nil {
			e := stoa.AsError(err)
			if e.Type != want.Type || !strings.Contains(e.Msg, want.Msg) {
				t.Errorf("%s: %+v", flag, e)
			}
		} else if flag == "--no-load" { // the other works where Python is old enough
			r.Close(t.Context())
			t.Errorf("%s: it loaded", flag)
		}
	}
}

func TestPlainPipeOfPython(t *testing.T) {
	r := must(t, find(t, "python3"), "pipe.py")
	call(t, r,
		try{in: text("x"), want: text("x")},
		try{in: json(`[1, 2.5, null]`), want: json(`[1, 2.5, null]`)},
		try{in: binary("\xff\x00"), want: binary("\xff\x00!")},
		try{in: text("raise"), err: stoa.Error{Type: "AlgorithmError", Msg: "missing", Stack: "Traceback"}},
		try{in: stoa.Value{Type: stoa.Void}, want: json("null")},
	)
}

// A program that answers at the end of its input only is not waited for longer
// than any other.
func TestAKitThatAnswersAtTheEnd(t *testing.T) {
	r := must(t, find(t, "python3"), "late.py")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got := r.Run(ctx, runner.Call{Input: text("x")}); !errors.Is(got.Err, context.DeadlineExceeded) {
		t.Errorf("%q, %v", got.Value.Data, got.Err)
	}
	<-r.Done()
}

func TestPlainPipeOfJavaScript(t *testing.T) {
	r := must(t, find(t, "node"), "pipe.js")
	call(t, r,
		try{in: text("Ann"), want: text("Hello Ann"), stdout: "called with string\n"},
		try{in: text("line\u2028end"), want: text("Hello line\u2028end"), stdout: "called with string\n"},
		try{in: json(`{"a":[1]}`), want: json(`{"a":[1]}`), stdout: "called with object\n"},
		try{in: binary("ab"), want: binary("abab")},
		try{in: text("raise"), err: stoa.Error{Type: "AlgorithmError", Msg: "asked to", Stack: "TypeError: asked to"}},
		try{in: text("throw"), err: stoa.Error{Type: "AlgorithmError", Msg: "a string", Stack: "[None]"}},
		try{in: text("Bob"), want: text("Hello Bob"), stdout: "called with string\n"},
	)
}

func TestPipeOfJava(t *testing.T) {
	java := find(t, "java")
	r := must(t, java, "Prog.java")
	call(t, r,
		try{in: json(`{"first_name": "john", "last_name": "doe"}`), want: text("hello john doe"), stdout: "parsed\n"},
		try{in: text("x"), err: stoa.Error{Type: "class java.lang.RuntimeException", Msg: "unable to parse data", Stack: "Prog.apply"}},
		try{in: json(`{"first_name":"jane","last_name":"doe"}`), want: text("hello jane doe"), stdout: "parsed\n"},
	)
	_, err := start(t, java, "Prog.java", "fail")
	if e := stoa.AsError(err); e == nil || e.Type != "class java.lang.RuntimeException" || e.Msg != "no such model" {
		t.Errorf("loading that fails: %+v", e)
	}
}
