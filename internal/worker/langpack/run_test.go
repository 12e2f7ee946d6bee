package langpack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

func text(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }

// each runs a test for every language.
func each(t *testing.T, f func(t *testing.T, l *langpack.Language)) {
	for _, l := range langpack.All() {
		t.Run(l.Name(), func(t *testing.T) { f(t, l) })
	}
}

// folder gives a language's folder in this tree.
func folder(t *testing.T, l *langpack.Language) string {
	t.Helper()
	hits, err := filepath.Glob("*/language.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		data, err := os.ReadFile(h)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\nname: "+l.Name()+"\n") {
			return filepath.Dir(h)
		}
	}
	t.Fatalf("no folder of %s", l.Name())
	return ""
}

// TestTemplate: what stoa init writes works as it is.
func TestTemplate(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		at := filepath.Join(t.TempDir(), "made")
		if _, err := l.Write(at, "me", "hello"); err != nil {
			t.Fatal(err)
		}
		source := os.DirFS(at)
		m := readManifest(t, l, source)
		if m.Name != "me/hello" || m.Code == nil || m.Code.Language != l.Name() || m.Sample == nil {
			t.Errorf("the template's manifest: %+v", m)
		}
		bare := *m
		bare.Code = nil
		if found, err := langpack.Detect(source, &bare); len(m.Code.Command) == 0 && (err != nil || found.Name() != l.Name()) {
			t.Errorf("the template is not recognised: %v", err)
		}
		d := lay(t, l, source)
		if log, err := d.build(t, l, m); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		s, start := d.start(t, l, m)
		if start.fail != nil {
			t.Fatalf("%+v", start.fail)
		}
		for _, name := range []string{"World", `O'Brien "x" \ é 🜁`, ""} {
			a := s.call(text(name))
			if a.fail != nil {
				t.Fatalf("%q: %+v\n%s", name, a.fail, s.output)
			}
			if diff := cmp.Diff(text("hello "+name), a.value); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// probes are the builds of the languages' probes, which several tests start.
var probes struct {
	top   string
	built map[string]dirs
}

func TestMain(m *testing.M) {
	top, err := os.MkdirTemp("", "stoa-langpack-")
	if err != nil {
		panic(err)
	}
	probes.top, probes.built = top, map[string]dirs{}
	status := m.Run()
	os.RemoveAll(top)
	os.Exit(status)
}

// built builds a language's probe, once.
func built(t *testing.T, l *langpack.Language) (*manifest.Manifest, dirs) {
	t.Helper()
	source := os.DirFS(filepath.Join(folder(t, l), "testdata", "probe"))
	m := readManifest(t, l, source)
	d, there := probes.built[l.Name()]
	if !there {
		top := filepath.Join(probes.top, l.Name())
		if err := os.Mkdir(top, 0o755); err != nil {
			t.Fatal(err)
		}
		d = layAt(t, top, l, source)
		if log, err := d.build(t, l, m); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		probes.built[l.Name()] = d
	}
	return m, d
}

// probe starts a language's probe.
func probe(t *testing.T, l *langpack.Language, concurrency int) *session {
	t.Helper()
	m, d := built(t, l)
	m.Code.Concurrency = concurrency
	s, start := d.start(t, l, m)
	if start.fail != nil {
		t.Fatalf("%+v", start.fail)
	}
	return s
}

// TestProbe asks a language's probe for all that programs do.
func TestProbe(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		s := probe(t, l, 0)
		big := bytes.Repeat([]byte{0, 255, 10, 'x'}, 1<<18)
		for name, v := range map[string]stoa.Value{
			"text":      text("echo é\n\"quoted\""),
			"empty":     text(""),
			"large":     {Type: stoa.Binary, Data: big},
			"binary":    {Type: stoa.Binary, Data: []byte{0, 1, 2, 255}},
			"null":      {Type: stoa.JSON, Data: []byte("null")},
			"json":      {Type: stoa.JSON, Data: []byte(`{"a":[1,2.5,null,true,"é"],"b":{}}`)},
			"json text": {Type: stoa.JSON, Data: []byte(`"a text"`)},
		} {
			a := s.call(v)
			if a.fail != nil {
				t.Errorf("%s: %+v", name, a.fail)
				continue
			}
			checkEcho(t, name, v, a.value)
		}
		if a := s.call(text("state")); string(a.value.Data) != "8" {
			t.Errorf("the eighth call counts %s", a.value.Data)
		}
		for range 2 { // an error does not end the program
			a := s.call(text("raise"))
			if a.fail == nil {
				t.Fatalf("raise answers %+v", a)
			}
			if a.fail.Message != "out of cheese" || a.fail.Type != "CheeseError" || !strings.Contains(a.fail.Stack, "probe") {
				t.Errorf("the error is %+v", a.fail)
			}
			if strings.Contains(a.fail.Stack, "runner.") {
				t.Errorf("the stack has frames of the runner:\n%s", a.fail.Stack)
			}
		}
		a := s.call(text("stderr"))
		s.printed(a, "to standard output\n")
		s.printed(a, "to standard error\n")
		if a := s.call(text("spam")); string(a.value.Data) != "done" {
			t.Errorf("spam answers %+v", a)
		}
		s.send(text("exit"))
		if status := s.end(); status != 3 {
			t.Errorf("exit status %d", status)
		}
	})
}

// checkEcho compares what came back. A JSON text may come back as a text: many
// languages have one type for both.
func checkEcho(t *testing.T, name string, sent, got stoa.Value) {
	t.Helper()
	if sent.Type == stoa.JSON {
		data := got.Data
		if got.Type == stoa.Text {
			data, _ = json.Marshal(string(got.Data))
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(sent.Data, &a), json.Unmarshal(data, &b)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		return
	}
	if got.Type != sent.Type || !bytes.Equal(got.Data, sent.Data) {
		t.Errorf("%s: %d bytes of %s came back as %d of %s", name, len(sent.Data), sent.Type, len(got.Data), got.Type)
	}
}

// TestStream: parts come before the answer ends.
func TestStream(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		if protocol(t, l) == runner.Pipe {
			return // the pipe has no parts
		}
		s := probe(t, l, 0)
		a := s.call(text("stream"))
		if a.chunks != 3 || a.value.Type != stoa.Text || string(a.value.Data) != "one two three" {
			t.Errorf("stream: %+v, %q", a, a.value.Data)
		}
	})
}

func protocol(t *testing.T, l *langpack.Language) string {
	t.Helper()
	m := readManifest(t, l, os.DirFS(filepath.Join(folder(t, l), "testdata", "probe")))
	p, err := l.Program(m, langpack.Place{})
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return p.Protocol
}

// TestConcurrency: a call is answered while another one sleeps, and what each
// printed is its own.
func TestConcurrency(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		if protocol(t, l) == runner.Pipe {
			return // the pipe has one call at a time
		}
		s := probe(t, l, 3)
		s.send(text("sleep 60"))
		for range 3 {
			s.call(text("echo"))
			if a := s.call(text("raise")); a.fail == nil {
				t.Errorf("raise answers %+v", a)
			}
		}
		a := s.call(text("stderr"))
		s.printed(a, "to standard output\n")
		s.printed(a, "to standard error\n")
		s.send(text("exit"))
		if status := s.end(); status != 3 {
			t.Errorf("exit status %d", status)
		}
	})
}

// TestStop: the program ends when it is told to, and when the connection does.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		s := probe(t, l, 0)
		if p, ok := s.speak.(*pipe); ok {
			if err := p.in.(interface{ Close() error }).Close(); err != nil {
				t.Fatal(err)
			}
		} else if err := s.speak.(*frames).frame(18, 0, 0, nil, nil); err != nil {
			t.Fatal(err)
		}
		if status := s.end(); status != 0 {
			t.Errorf("exit status %d\n%s", status, s.output)
		}
	})
}

// TestBroken: programs of testdata/broken-* fail in the build or at the start,
// and what they fail with has the words of their file expect: of a failure at the
// start, LoadingError among them.
func TestBroken(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		hits, err := filepath.Glob(filepath.Join(folder(t, l), "testdata", "broken-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range hits {
			t.Run(filepath.Base(at), func(t *testing.T) {
				source := os.DirFS(at)
				expect, err := fs.ReadFile(source, "expect")
				if err != nil {
					t.Fatal(err)
				}
				m := readManifest(t, l, source)
				d := lay(t, l, source)
				log, err := d.build(t, l, m)
				var got string
				if err != nil {
					r, rerr := l.Recipe(m, source)
					if rerr != nil {
						t.Fatal(rerr)
					}
					if pattern := regexp.MustCompile(r.Failure); !slices.ContainsFunc(strings.Split(log, "\n"), pattern.MatchString) {
						t.Errorf("the failure pattern finds no line of\n%s", log)
					}
					got = log
				} else {
					if !strings.Contains(string(expect), runner.LoadingError) {
						t.Error("it builds")
					}
					s, start := d.start(t, l, m)
					if start.fail == nil {
						t.Fatal("it starts")
					}
					got = start.fail.Type + ": " + start.fail.Message + "\n" + start.fail.Stack
					if s.end() == 0 {
						t.Error("its exit status is 0")
					}
				}
				for line := range strings.Lines(string(expect)) {
					if line = strings.TrimSpace(line); !strings.Contains(got, line) {
						t.Errorf("%q is not in\n%s", line, got)
					}
				}
			})
		}
	})
}
