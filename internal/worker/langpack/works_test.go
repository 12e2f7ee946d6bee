package langpack_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/runner/runnertest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// TestWorks: the programs of testdata/works-* answer as their file calls says. A
// line there is a call:
//
//	INPUT => OUTPUT            with \n for the end of a line
//	INPUT => ! TYPE: MESSAGE   an error, whose message begins so
//	INPUT => exit status N
//
// INPUT is JSON where it begins with a brace, and else a text. Dependencies are
// of files beside the source, so that no network is needed.
func TestWorks(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		hits, err := filepath.Glob(filepath.Join(folder(t, l), "testdata", "works-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range hits {
			t.Run(filepath.Base(at), func(t *testing.T) {
				works(t, l, os.DirFS(at))
			})
		}
	})
}

func works(t *testing.T, l *langpack.Language, source fs.FS) {
	calls, err := fs.ReadFile(source, "calls")
	if err != nil {
		t.Fatal(err)
	}
	found, err := langpack.Detect(source, nil)
	if err != nil || found.Name() != l.Name() {
		t.Errorf("it is not recognised: %v", err)
	}
	m := readManifest(t, l, source)
	conf, err := langpack.ReadConf(source)
	if err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		m = conf.Manifest(l.Name())
	}
	d := lay(t, l, source)
	if log, err := d.build(t, l, m); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	s, start := d.start(t, l, m)
	if start.fail != nil {
		t.Fatalf("%+v", start.fail)
	}
	for line := range strings.Lines(string(calls)) {
		input, want, ok := strings.Cut(strings.TrimRight(line, "\n"), " => ")
		if !ok {
			t.Fatalf("calls: %q is no call", line)
		}
		v := text(input)
		if strings.HasPrefix(input, "{") {
			v.Type = stoa.JSON
		}
		if status, ok := strings.CutPrefix(want, "exit status "); ok {
			s.send(v)
			if got := strconv.Itoa(s.end()); got != status {
				t.Errorf("%s: exit status %s, not %s", input, got, status)
			}
			continue
		}
		a := s.call(v)
		got := strings.ReplaceAll(string(a.value.Data), "\n", `\n`)
		if a.fail != nil {
			got = "! " + a.fail.Type + ": " + strings.ReplaceAll(a.fail.Message, "\n", `\n`)
		}
		if got != want && (a.fail == nil || !strings.HasPrefix(got, want)) {
			t.Errorf("%s: %.500s, not %s", input, got, want)
		}
	}
}

// TestConformance: the probes pass what stoa runner-test tries. One thing is as
// the languages have it: a JSON text comes to apply as a text, and goes as one.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, l *langpack.Language) {
		at := []int{1}
		if protocol(t, l) == runner.Frames {
			at = []int{1, 3}
		}
		for _, concurrency := range at {
			m, d := built(t, l)
			m.Code.Concurrency = concurrency
			p, err := l.Program(m, langpack.Place{Source: os.DirFS(d.out), App: d.out, Deps: d.deps, Lang: d.lang})
			if err != nil {
				t.Fatal(err)
			}
			subject := runnertest.Subject{Program: p, Folder: t.TempDir(), Load: patience, Call: patience}
			_, err = runnertest.Exercise(t.Context(), subject, func(c runnertest.Check) {
				if c.Outcome == runnertest.Failed && !strings.Contains(c.Reason, `json "\"a string\"" came back as text "a string"`) {
					t.Errorf("%d at once: %s: %s", concurrency, c.Name, c.Reason)
				}
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
