package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/layer"
)

// fill writes a folder: "name/" is a folder, "name -> target" a link, "name*"
// may be executed, all else is a file with its name as content.
func fill(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		var err error
		if name, target, ok := strings.Cut(n, " -> "); ok {
			err = os.Symlink(target, filepath.Join(dir, name))
		} else if strings.HasSuffix(n, "/") {
			err = os.MkdirAll(filepath.Join(dir, n), 0o700)
		} else {
			mode := os.FileMode(0o600)
			if base, ok := strings.CutSuffix(n, "*"); ok {
				n, mode = base, 0o711
			}
			err = os.WriteFile(filepath.Join(dir, n), []byte(n), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tree lists a folder in fill's form, with modes.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := fmt.Sprintf("%s %o", name, info.Mode().Perm())
		switch d.Type() {
		case fs.ModeDir:
			s += " dir"
		case fs.ModeSymlink:
			target, _ := os.Readlink(p)
			s = name + " -> " + target
		default:
			b, _ := os.ReadFile(p)
			s += " " + string(b)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pack(t *testing.T, dir string) ([]byte, layer.Summary) {
	t.Helper()
	var b bytes.Buffer
	s, err := layer.Pack(t.Context(), dir, &b, layer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long/", 30)
	fill(t, dir, "b/", "b/run*", "a", "b/ä ö", "empty/", "link -> b/run", "b/up -> ../a", "b/./self -> ././run", long, long+"file", "z -> nowhere")
	b, s := pack(t, dir)
	out := filepath.Join(t.TempDir(), "out")
	got, err := layer.Unpack(t.Context(), iotest.OneByteReader(bytes.NewReader(b)), out, layer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("what was packed and unpacked (-packed +unpacked):\n%s", diff)
	}
	list := tree(t, out)
	for _, want := range []string{". 755 dir", "a 644 a", "b 755 dir", "b/run 755 b/run", "b/ä ö 644 b/ä ö", "empty 755 dir", "link -> b/run", "b/up -> ../a", "b/self -> run", "z -> nowhere", long + "file 644 " + long + "file"} {
		if !slices.Contains(list, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if again, _ := pack(t, out); !bytes.Equal(again, b) {
		t.Error("what was unpacked packs to other bytes")
	}
}

func TestSameFolderSameBytes(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	fill(t, one, "a", "b/", "b/c*", "x -> a")
	fill(t, two, "x -> a", "b/", "b/c*", "a")
	for _, set := range []struct {
		path string
		mode os.FileMode
	}{{"a", 0o664}, {"b/c", 0o775}, {"b", 0o750}} {
		if err := os.Chmod(filepath.Join(two, set.path), set.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(two, "a"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	a, _ := pack(t, one)
	b, _ := pack(t, two)
	if !bytes.Equal(a, b) {
		t.Error("the same folder packs to other bytes")
	}
	if err := os.Chmod(filepath.Join(two, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if b, _ = pack(t, two); bytes.Equal(a, b) {
		t.Error("the right to execute does not count")
	}
}

func TestPackStaysInside(t *testing.T) {
	outside := t.TempDir()
	fill(t, outside, "secret")
	dir := t.TempDir()
	fill(t, dir, "d/", "d/e/", "file", "abs -> "+outside+"/secret", "up -> ../secret", "d/up -> ../../x", "d/e/root -> ../..",
		"chain -> d/e/root/../../..", "d/fine -> ../file", "folder -> "+outside)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Join(dir, "socket")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
	b, s := pack(t, dir)
	if bytes.Contains(b, []byte("secret")) {
		t.Error("something of outside is in the layer")
	}
	slices.Sort(s.Dropped)
	if diff := cmp.Diff([]string{"abs", "chain", "d/up", "folder", "pipe", "socket", "up"}, s.Dropped); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := layer.Unpack(t.Context(), bytes.NewReader(b), out, layer.Limits{}); err != nil {
		t.Fatal(err)
	}
	want := []string{". 755 dir", "d 755 dir", "d/e 755 dir", "d/e/root -> ../..", "d/fine -> ../file", "file 644 file", "hard 644 file"}
	if diff := cmp.Diff(want, tree(t, out)); diff != "" {
		t.Errorf("unpacked (-want +got):\n%s", diff)
	}
}

// swapper turns a file into a link to a secret and back, all the time.
func swapper(t *testing.T, path, secret, tmp string) (stop func()) {
	t.Helper()
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if i%2 == 0 {
				os.Symlink(secret, tmp)
			} else {
				os.WriteFile(tmp, []byte("harmless"), 0o600)
			}
			os.Rename(tmp, path)
		}
	}()
	return func() { close(done); <-gone }
}

func TestPackUnderAttack(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	fill(t, outside, "s3cret")
	fill(t, dir, "d/", "d/a")
	stop := swapper(t, filepath.Join(dir, "d", "a"), filepath.Join(outside, "s3cret"), filepath.Join(dir, "tmp"))
	defer stop()
	packed := 0
	for range 500 {
		var b bytes.Buffer
		_, err := layer.Pack(t.Context(), dir, &b, layer.Limits{})
		if bytes.Contains(b.Bytes(), []byte("s3cret")) {
			t.Fatal("a file of outside was packed")
		}
		if err == nil {
			packed++
		} else if stoa.KindOf(err) != stoa.Invalid {
			t.Fatalf("an error of kind %s: %v", stoa.KindOf(err), err)
		}
	}
	t.Logf("%d of 500 were packed, the others seen to change", packed)
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name  string
		fill  []string
		l     layer.Limits
		words string
	}{
		{"entries", []string{"a", "b", "c"}, layer.Limits{Entries: 2}, "more than 2 files"},
		{"entries in folders", []string{"a/", "a/b", "a/c"}, layer.Limits{Entries: 2}, "more than 2 files"},
		{"bytes", []string{"aaaa", "bbbb"}, layer.Limits{Bytes: 7}, "more than 7 bytes together"},
		{"one file", []string{"aaaa"}, layer.Limits{File: 3}, `"aaaa" has 4 bytes`},
		{"depth", []string{"a/", "a/b/", "a/b/c"}, layer.Limits{Depth: 2}, "2 folders deep"},
		{"name", []string{"abcdef"}, layer.Limits{Name: 5}, "has 6 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, c.fill...)
			_, err := layer.Pack(t.Context(), dir, io.Discard, c.l)
			if err == nil || stoa.KindOf(err) != stoa.TooLarge || !strings.Contains(err.Error(), c.words) {
				t.Errorf("Pack: %v, want %q", err, c.words)
			}
			b, _ := pack(t, dir)
			out := filepath.Join(t.TempDir(), "out")
			_, err = layer.Unpack(t.Context(), bytes.NewReader(b), out, c.l)
			if err == nil || stoa.KindOf(err) != stoa.TooLarge || !strings.Contains(err.Error(), c.words) {
				t.Errorf("Unpack: %v, want %q", err, c.words)
			}
			nothingIn(t, filepath.Dir(out))
		})
	}
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil || len(es) > 0 {
		t.Errorf("something is left: %v %v", es, err)
	}
}

func TestAHugeHoleIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "hole")
	if err := os.Truncate(filepath.Join(dir, "hole"), 1<<40); err != nil {
		t.Skipf("SKIPPED: no sparse files here: %v", err)
	}
	if _, err := layer.Pack(t.Context(), dir, io.Discard, layer.Limits{}); stoa.KindOf(err) != stoa.TooLarge {
		t.Errorf("Pack: %v", err)
	}
}

// raw makes a tar of headers, with content of the size that each claims.
func raw(t *testing.T, hs ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range hs {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	reg := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	dir := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for _, c := range []struct {
		name  string
		b     []byte
		words string
	}{
		{"a way out", raw(t, reg("../x")), `has ".."`},
		{"a way out in the middle", raw(t, dir("a/"), reg("a/../../x")), "cannot be in a layer"},
		{"absolute", raw(t, reg("/etc/passwd")), "absolute"},
		{"not clean", raw(t, reg("./x")), "not clean"},
		{"no name", raw(t, dir("/")), "empty"},
		{"a control character", raw(t, reg("a\nb")), "control character"},
		{"a folder that is not there", raw(t, reg("a/b")), "before its folder"},
		{"through a link", raw(t, dir("d/"), link("l", "d"), reg("l/x")), "before its folder"},
		{"over a link", raw(t, link("l", "x"), reg("l")), "twice"},
		{"twice", raw(t, reg("a"), reg("a")), "twice"},
		{"a folder twice", raw(t, dir("a/"), dir("a/")), "twice"},
		{"a link out", raw(t, link("l", "../x")), "leads out"},
		{"an absolute link", raw(t, link("l", "/etc")), "leads out"},
		{"a link out by another link", raw(t, dir("d/"), link("d/r", ".."), link("l", "d/r/../..")), "leads out"},
		{"a hard link", raw(t, reg("a"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}), "neither"},
		{"a device", raw(t, tar.Header{Typeflag: tar.TypeChar, Name: "b", Devmajor: 1, Devminor: 3}), "neither"},
		{"a pipe", raw(t, tar.Header{Typeflag: tar.TypeFifo, Name: "b"}), "neither"},
		{"torn", raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "b", Size: 5000})[:4000], "damaged"},
		{"no tar", []byte(strings.Repeat("no tar ", 200)), "damaged"},
		{"something behind", append(raw(t, reg("a")), 'x'), "behind its end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := layer.Unpack(t.Context(), bytes.NewReader(c.b), filepath.Join(parent, "out"), layer.Limits{})
			if err == nil || stoa.KindOf(err) != stoa.Invalid || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v, want %q", err, c.words)
			}
			nothingIn(t, parent)
		})
	}
}

func TestUnpackTakesRightsAway(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	b := raw(t, tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o1777}, tar.Header{Typeflag: tar.TypeReg, Name: "suid", Mode: 0o6755},
		tar.Header{Typeflag: tar.TypeReg, Name: "wide", Mode: 0o666}, tar.Header{Typeflag: tar.TypeReg, Name: "narrow", Mode: 0o400})
	if _, err := layer.Unpack(t.Context(), bytes.NewReader(b), out, layer.Limits{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"d": os.ModeDir | 0o755, "suid": 0o755, "wide": 0o644, "narrow": 0o644} {
		if info, err := os.Lstat(filepath.Join(out, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestUnpackDoesNotReplace(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "mine")
	if _, err := layer.Unpack(t.Context(), bytes.NewReader(raw(t)), dir, layer.Limits{}); err == nil {
		t.Error("a folder was replaced")
	}
}

func TestAClaimTakesNoRoom(t *testing.T) {
	b := raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1})
	copy(b[124:136], "10000000000\x00") // octal 1 GiB
	sum := 0
	copy(b[148:156], "        ")
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	parent := t.TempDir()
	if _, err := layer.Unpack(t.Context(), bytes.NewReader(b), filepath.Join(parent, "out"), layer.Limits{}); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("%v", err)
	}
	nothingIn(t, parent)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	fill(t, dir, "a")
	b, _ := pack(t, dir)
	if _, err := layer.Pack(ctx, dir, io.Discard, layer.Limits{}); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("Pack: %v", err)
	}
	parent := t.TempDir()
	if _, err := layer.Unpack(ctx, bytes.NewReader(b), filepath.Join(parent, "out"), layer.Limits{}); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("Unpack: %v", err)
	}
	nothingIn(t, parent)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "a")
	if _, err := layer.Pack(t.Context(), dir, fullDisk{}, layer.Limits{}); stoa.KindOf(err) != stoa.NoRoom {
		t.Errorf("Pack: %v", err)
	}
}

// FuzzUnpack: whatever comes in, nothing lands outside, and what was unpacked
// packs to a layer that unpacks to the same.
func FuzzUnpack(f *testing.F) {
	seeds := [][]tar.Header{
		{{Typeflag: tar.TypeReg, Name: "a", Size: 3}},
		{{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeReg, Name: "d/a", Mode: 0o755, Size: 600}, {Typeflag: tar.TypeSymlink, Name: "l", Linkname: "d/a"}},
		{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../.."}},
		{{Typeflag: tar.TypeReg, Name: "../a"}},
		{{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 200)}},
	}
	for _, hs := range seeds {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range hs {
			w.WriteHeader(&h)
			w.Write(make([]byte, h.Size))
		}
		w.Close()
		f.Add(b.Bytes())
	}
	l := layer.Limits{Entries: 50, Bytes: 1 << 20, File: 1 << 19, Depth: 5}
	f.Fuzz(func(t *testing.T, b []byte) {
		parent := t.TempDir()
		home := filepath.Join(parent, "home")
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(home, "out")
		_, err := layer.Unpack(t.Context(), bytes.NewReader(b), out, l)
		if es, _ := os.ReadDir(parent); len(es) != 1 {
			t.Fatalf("something escaped: %v", es)
		}
		if err != nil {
			nothingIn(t, home)
			return
		}
		first := new(bytes.Buffer)
		if s, err := layer.Pack(t.Context(), out, first, l); err != nil || len(s.Dropped) > 0 {
			t.Fatalf("what was unpacked does not pack: %v %v", s.Dropped, err)
		}
		again := filepath.Join(home, "again")
		if _, err := layer.Unpack(t.Context(), bytes.NewReader(first.Bytes()), again, l); err != nil {
			t.Fatalf("what was packed does not unpack: %v", err)
		}
		second := new(bytes.Buffer)
		if _, err := layer.Pack(t.Context(), again, second, l); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("other bytes the second time: %v", err)
		}
	})
}
