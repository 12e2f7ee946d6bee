package fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/blob/blobtest"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func digest(b string) blob.Digest {
	sum := sha256.Sum256([]byte(b))
	return blob.Digest(hex.EncodeToString(sum[:]))
}

// files lists the regular files below a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s := open(t)
		t.Cleanup(func() {
			if left := files(t, s.tmp()); len(left) > 0 {
				t.Errorf("left in the temporary folder: %v", left)
			}
		})
		return s
	})
}

func TestFileIsReadOnlyUnderItsDigest(t *testing.T) {
	s := open(t)
	d, _, err := s.Put(t.Context(), strings.NewReader("abc"), "")
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(s.dir, string(d[:2]), string(d[2:4]), string(d))
	if s.Path(d) != want {
		t.Errorf("Path = %s, want %s", s.Path(d), want)
	}
	info, err := os.Stat(want)
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v; want 0444", info.Mode(), err)
	}
	again, _, err := s.Put(t.Context(), strings.NewReader("abc"), "")
	after, _ := os.Stat(want)
	if again != d || err != nil || !os.SameFile(info, after) {
		t.Errorf("the second Put gave %s, %v and did not keep the old file", again, err)
	}
}

func TestStaleTemporaryFilesGoAtStart(t *testing.T) {
	s := open(t)
	kept, _, err := s.Put(t.Context(), strings.NewReader("kept"), "")
	if err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(s.tmp(), "put-1")
	if err := os.WriteFile(stale, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = New(s.dir); err != nil {
		t.Fatal(err)
	}
	if got := files(t, s.dir); len(got) != 1 || got[0] != s.Path(kept) {
		t.Errorf("after a start: %v", got)
	}
}

func TestNewNamesTheFolder(t *testing.T) {
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(filepath.Join(f, "blobs")); err == nil || !strings.Contains(err.Error(), f) {
		t.Errorf("New below a file = %v", err)
	}
}

// fullFile is a file on a disk with room for so many bytes.
type fullFile struct {
	*os.File
	room int
}

func (f *fullFile) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.File.Write(p[:f.room])
		f.room = 0
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.File.Write(p)
}

func TestFullDiskLeavesNothing(t *testing.T) {
	s := open(t)
	s.create = func(dir string) (file, error) {
		f, err := os.CreateTemp(dir, "put-*")
		return &fullFile{f, 300_000}, err
	}
	_, _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 1<<20)), "")
	if err == nil || stoa.KindOf(err) != stoa.NoRoom {
		t.Errorf("Put on a full disk = %v, want NoRoom", err)
	}
	if got := files(t, s.dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// A real full disk, where the test may mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	s, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // each leaves the room free for the next
		_, _, err = s.Put(t.Context(), bytes.NewReader(make([]byte, 1<<20)), "")
		if err == nil || stoa.KindOf(err) != stoa.NoRoom {
			t.Fatalf("Put on a full disk = %v, want NoRoom", err)
		}
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("small"), ""); err != nil {
		t.Errorf("a small blob after the large one: %v", err)
	}
}

func TestAdopt(t *testing.T) {
	s := open(t)
	for _, name := range []string{"new", "known already"} {
		src := filepath.Join(t.TempDir(), "staged")
		if err := os.WriteFile(src, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Adopt(t.Context(), src, digest("abc")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := os.Stat(src); !os.IsNotExist(err) {
			t.Errorf("%s: the staged file is still there: %v", name, err)
		}
		c, err := s.Open(t.Context(), digest("abc"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, _ := io.ReadAll(c)
		c.Close()
		if string(got) != "abc" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if info, _ := os.Stat(s.Path(digest("abc"))); info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, want 0444", info.Mode())
	}
}

func TestAdoptRefuses(t *testing.T) {
	s := open(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"a symbolic link": s.Adopt(t.Context(), link, digest("s")),
		"no file":         s.Adopt(t.Context(), filepath.Join(dir, "none"), digest("s")),
		"no digest":       s.Adopt(t.Context(), secret, "../../x"),
		"cancelled":       s.Adopt(cancelled, secret, digest("s")),
	} {
		if err == nil {
			t.Errorf("%s was adopted", name)
		}
	}
	if got := files(t, s.dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestAdoptFromAnotherFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no other file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	s := open(t)
	src := filepath.Join(dir, "staged")
	if err := os.WriteFile(src, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), src, digest("abc")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Size(t.Context(), digest("abc")); n != 3 || err != nil {
		t.Errorf("Size = %d, %v", n, err)
	}
}

func TestWalkPassesStrangersOver(t *testing.T) {
	s := open(t)
	d, _, err := s.Put(t.Context(), strings.NewReader("abc"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", filepath.Join("ba", "x"), string(digest("elsewhere"))} {
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []blob.Digest
	if err := s.Walk(t.Context(), func(d blob.Digest) error { got = append(got, d); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != d {
		t.Errorf("Walk gave %v, want %v alone", got, d)
	}
}
