package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
)

func TestLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		want   string
	}{
		{"lines", []string{"a\nb\n"}, "a\nb\n"},
		{"in pieces", []string{"a", "b", "\nc", "d\n"}, "ab\ncd\n"},
		{"no end", []string{"a\nb"}, "a\nb\n"},
		{"empty lines", []string{"\n\na\n"}, "\n\na\n"},
		{"carriage returns", []string{"10%\r50%\r100%\r\nnext\r\n"}, "100%\nnext\n"},
		{"colours", []string{"\x1b[1;31mred\x1b[0m\x1b[K\n"}, "red\n"},
		{"a title for the terminal", []string{"\x1b]0;evil\x07a\x1b]8;;http://x\x1b\\b\n"}, "ab\n"},
		{"half an escape", []string{"a\x1b[12\nb\x1b\n"}, "a\nb\n"},
		{"controls", []string{"a\x00b\x08c\x7fd\te\u202ef\n"}, "abcd\tef\n"},
		{"no UTF-8", []string{"a\xffb\n"}, "a\uFFFDb\n"},
		{"a rune in pieces", []string{"\xc3", "\xa4\n"}, "ä\n"},
		{"a long line", []string{strings.Repeat("x", 3000), strings.Repeat("y", 3000), strings.Repeat("z", 100000) + "\nend\n"}, strings.Repeat("x", 3000) + strings.Repeat("y", 1096) + " …\nend\n"},
		{"a line of just the length", []string{strings.Repeat("x", 4096) + "\n"}, strings.Repeat("x", 4096) + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var live bytes.Buffer
			r := &record{live: &live}
			for _, p := range c.pieces {
				if n, err := io.WriteString(r, p); n != len(p) || err != nil {
					t.Fatalf("%d %v", n, err)
				}
			}
			r.finish()
			if live.String() != c.want || r.String() != c.want {
				t.Errorf("live %q, kept %q, want %q", live.String(), r.String(), c.want)
			}
		})
	}
}

func TestALongLog(t *testing.T) {
	var live bytes.Buffer
	r := &record{live: &live}
	line := strings.Repeat("x", 99) + "\n"
	for range 100_000 { // 10 MB
		io.WriteString(r, line)
	}
	io.WriteString(r, "unfinished")
	r.say("ours")
	if live.Len() > maxLive+200 || !strings.HasSuffix(live.String(), "longer than 8 MiB\n") {
		t.Errorf("live has %d bytes and ends with %q", live.Len(), live.String()[live.Len()-100:])
	}
	kept := r.String()
	if len(kept) > maxKept || len(kept) < maxKept-200 || !strings.HasPrefix(kept, line) || !strings.HasSuffix(kept, "unfinished\nours\n") {
		t.Errorf("kept %d bytes, from %.20q", len(kept), kept)
	}
	if cap(r.kept) > 4*maxKept {
		t.Errorf("%d bytes are held", cap(r.kept))
	}
	if got := r.last(r.count()-1, 5, 1000); len(got) != 1 || got[0] != "ours" {
		t.Errorf("the last: %q", got)
	}
	if got := r.last(0, 50, 100); len(got) != 2 {
		t.Errorf("%d lines fit", len(got))
	}
}

func FuzzLog(f *testing.F) {
	f.Add("a\x1b[1mb\r\nc", "\x1b]0;x\x07\xff\n")
	f.Add(strings.Repeat("long ", 2000), "\n\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		var live bytes.Buffer
		r := &record{live: &live}
		io.WriteString(r, a)
		io.WriteString(r, b)
		r.finish()
		for line := range strings.SplitSeq(live.String(), "\n") {
			if !utf8.ValidString(line) || len(line) > 3*maxLine+10 || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
				t.Fatalf("a line is not plain: %q", line)
			}
		}
		whole := &record{}
		io.WriteString(whole, a+b)
		whole.finish()
		if whole.String() != r.String() {
			t.Fatalf("in pieces %q, as one %q", r.String(), whole.String())
		}
	})
}

func TestParseHosts(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"https://packages.example/simple", []string{"packages.example:443"}},
		{"https://modules.example,direct", []string{"modules.example:443"}},
		{"https://a.example|https://b.example:8443/x,off", []string{"a.example:443", "b.example:8443"}},
		{"http://user:pw@Mirror.Corp/simple/", []string{"mirror.corp:80"}},
		{"sums.example", []string{"sums.example"}},
		{"registry.example:4873 x\nregistry.example:4873", []string{"registry.example:4873", "x"}},
		{"'https://a.example' \"http://[::1]:8080/\"", []string{"a.example:443", "[::1]:8080"}},
		{"/opt/wheels file:///opt/wheels ./x --flag git+ssh://x.example *.example key=value", nil},
		{"direct off none", nil},
		{"", nil},
	} {
		if diff := cmp.Diff(c.want, parseHosts(c.in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestTheHostsOfAClient(t *testing.T) {
	l := &Local{cfg: Config{}}
	dir := t.TempDir()
	got, err := l.hosts(t.Context(), Recipe{Hosts: `echo "$A" https://b.example; pwd > where`}, []string{"A=a.example", "PATH=/usr/bin:/bin"}, dir)
	if diff := cmp.Diff([]string{"a.example", "b.example:443"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "where")); err != nil {
		t.Errorf("it ran elsewhere: %v", err)
	}
	if _, err := l.hosts(t.Context(), Recipe{Hosts: `echo broken >&2; exit 1`}, nil, dir); stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(err.Error(), "broken") {
		t.Errorf("%v", err)
	}
	l.cfg.Hosts = []string{"mine.example"}
	if got, _ := l.hosts(t.Context(), Recipe{Hosts: `exit 1`}, nil, dir); len(got) != 1 || got[0] != "mine.example" {
		t.Errorf("%v", got)
	}
}

func TestEnvironment(t *testing.T) {
	l := &Local{cfg: Config{Env: []string{"TAKEN=from the server", "SECRET=x"}}}
	got := l.environment(Recipe{Env: []string{"TAKEN", "MISSING", "A=1", "PATH=/opt/bin", "A=2"}})
	want := []string{"HOME=/tmp", "LANG=C.UTF-8", "TAKEN=from the server", "PATH=/opt/bin", "A=2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRemoveAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	outside := filepath.Join(filepath.Dir(dir), "outside")
	for _, d := range []string{filepath.Join(dir, "a", "b"), filepath.Join(dir, ".removing-1"), outside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Deeper than a path may be long, and than there should be open folders.
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 1500 {
		if err := root.Mkdir("d", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := root.OpenRoot("d")
		if err != nil {
			t.Fatal(err)
		}
		root.Close()
		root = next
	}
	root.Close()
	os.WriteFile(filepath.Join(dir, "a", "b", "file"), nil, 0o400)
	os.Symlink(outside, filepath.Join(dir, "a", "link"))
	os.Symlink("a", filepath.Join(dir, "inner"))
	os.Chmod(filepath.Join(dir, "a", "b"), 0)
	os.Chmod(filepath.Join(dir, "a"), 0o500)
	os.Chmod(filepath.Join(dir, "d"), 0)
	for i := range 4200 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint("many", i)), nil, 0o600)
	}
	if err := removeAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("what a link led to is gone: %v", err)
	}
	if err := removeAll(dir); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}

func TestQuota(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a"), make([]byte, 100_000), 0o600)
	os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	os.WriteFile(filepath.Join(dir, "hole"), nil, 0o600)
	os.Truncate(filepath.Join(dir, "hole"), 1<<40)
	os.Symlink("/usr", filepath.Join(dir, "usr"))
	os.Symlink("..", filepath.Join(dir, "up"))
	for _, c := range []struct {
		bytes   int64
		entries int
		want    string
	}{
		{150_000, 10, ""}, {90_000, 10, "more than"}, {150_000, 4, "more than 4 files"},
	} {
		err := quota{what: "its folders", dirs: []string{dir}, bytes: c.bytes, entries: c.entries}.check(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes, %d entries: %v, want %q", c.bytes, c.entries, err, c.want)
		}
	}
}

// clock gives a time that goes on with each look at it.
func clock() func() time.Time {
	now := time.Now().Add(-time.Hour)
	return func() time.Time {
		now = now.Add(time.Minute)
		return now
	}
}

func TestStoreKeepsTheLastUsed(t *testing.T) {
	now := clock()
	s, err := newStore(t.TempDir(), 2500, now)
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) string { return fmt.Sprintf("key%d", i) }
	get := func(i int) bool {
		dir := t.TempDir()
		_, ok, err := s.get(t.Context(), key(i), filepath.Join(dir, "x.tar"), filepath.Join(dir, "x"))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	put := func(i int) { // a layer of one empty file has 1536 bytes, of none 1024
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "layer.tar")
		x, _, err := pack(t.Context(), filepath.Join(dir, "in"), path, Limits{}.filled().layer())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.put(t.Context(), key(i), path, x); err != nil {
			t.Fatal(err)
		}
		when := now()
		os.Chtimes(s.path(key(i)+".json"), when, when)
	}
	put(0)
	put(1)
	if !get(0) { // used last
		t.Error("0 is not there")
	}
	put(2)
	for i, want := range []bool{true, false, true} {
		if get(i) != want {
			t.Errorf("%d is there: %t", i, !want)
		}
	}
	os.WriteFile(s.path(newFile+"half"), nil, 0o600)
	os.WriteFile(s.path("orphan.tar"), nil, 0o600)
	if s, err = newStore(s.dir, 2500, now); err != nil || !get(0) {
		t.Errorf("after a restart: %v", err)
	}
	for _, name := range []string{newFile + "half", "orphan.tar"} {
		if _, err := os.Stat(s.path(name)); err == nil {
			t.Errorf("%s stays", name)
		}
	}
	if err := os.WriteFile(s.path(key(0)+".json"), []byte("{"), 0o600); err != nil || get(0) {
		t.Errorf("a broken index is taken: %v", err)
	}
}

func TestScratch(t *testing.T) {
	now := clock()
	s, err := newScratch(t.TempDir(), 50_000, 2, now)
	if err != nil {
		t.Fatal(err)
	}
	use := func(owner string, bytes int) string {
		dir, done, err := s.open(owner, "test")
		if err != nil {
			t.Fatal(err)
		}
		if bytes > 0 {
			os.WriteFile(filepath.Join(dir, "x"), make([]byte, bytes), 0o400)
		}
		done(t.Context())
		return dir
	}
	has := func(dir string) bool { _, err := os.Stat(filepath.Join(dir, "x")); return err == nil }
	a := use("a", 1000)
	if !has(a) || use("a", 0) != a {
		t.Error("a's cache does not stay")
	}
	b := use("b", 1000)
	if a == b {
		t.Fatal("two owners share a cache")
	}
	if use("a/b", 1) == use("a", 0) {
		t.Error("two owners share a cache")
	}
	if has(b) { // a and a/b are later
		t.Error("the least recently used stays")
	}
	over := use("a", 200_000) // a file that is there may not be written to again
	os.Remove(filepath.Join(over, "x"))
	if over = use("a", 200_000); has(over) {
		t.Error("a cache over its bound is not emptied")
	}
	// While another build uses it, it is not.
	dir, done, err := s.open("a", "test")
	if err != nil {
		t.Fatal(err)
	}
	use("a", 200_000)
	if !has(dir) {
		t.Error("a cache was emptied under a build")
	}
	if done(t.Context()); has(dir) {
		t.Error("with the last build it should go")
	}
	left, _ := os.ReadDir(s.dir)
	for _, e := range left {
		if strings.HasSuffix(e.Name(), oldFolder) {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestLocks(t *testing.T) {
	var l locks
	release, err := l.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.take(ctx, "a"); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("%v", err)
	}
	other, err := l.take(ctx, "b")
	if err != nil {
		t.Error("another name waits")
	}
	other()
	next := make(chan struct{})
	go func() {
		release, err := l.take(context.Background(), "a")
		if err == nil {
			release()
		}
		close(next)
	}()
	release()
	<-next
}
