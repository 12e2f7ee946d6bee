// Package blobtest is the conformance kit of blob.Store: every implementation
// passes Run.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// Run holds the store that open makes, empty and anew for every test, to what
// blob.Store promises.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"ReadBack":         readBack,
		"PutTwice":         putTwice,
		"WrongDigest":      wrongDigest,
		"NoDigest":         noDigest,
		"NotFound":         notFound,
		"Delete":           remove,
		"OpenThenDelete":   openThenDelete,
		"TornReader":       tornReader,
		"Cancel":           cancelled,
		"CancelInTheMidst": cancelInTheMidst,
		"Walk":             walk,
		"AtOnce":           atOnce,
		"SameAtOnce":       sameAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Digest gives the digest of some content.
func Digest(content []byte) blob.Digest {
	sum := sha256.Sum256(content)
	return blob.Digest(hex.EncodeToString(sum[:]))
}

// wants fails the test unless err is of that kind.
func wants(t *testing.T, err error, kind stoa.Kind) {
	t.Helper()
	if err == nil || stoa.KindOf(err) != kind {
		t.Errorf("the error is %v, want one of kind %v", err, kind)
	}
}

func put(t *testing.T, s blob.Store, content []byte) blob.Digest {
	t.Helper()
	d, n, err := s.Put(t.Context(), bytes.NewReader(content), "")
	if err != nil || d != Digest(content) || n != int64(len(content)) {
		t.Fatalf("Put = %s, %d, %v; want %s, %d", d, n, err, Digest(content), len(content))
	}
	return d
}

func get(t *testing.T, s blob.Store, d blob.Digest) []byte {
	t.Helper()
	c, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatalf("Open(%s): %v", d, err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("reading %s: %v", d, err)
	}
	return b
}

// all lists what Walk gives, and fails where a blob comes twice.
func all(t *testing.T, s blob.Store) map[blob.Digest]bool {
	t.Helper()
	got := map[blob.Digest]bool{}
	err := s.Walk(t.Context(), func(d blob.Digest) error {
		if got[d] {
			t.Errorf("Walk gave %s twice", d)
		}
		got[d] = true
		return nil
	})
	if err != nil {
		t.Fatalf("Walk: %v", err)
	}
	return got
}

func isEmpty(t *testing.T, s blob.Store) {
	t.Helper()
	if got := all(t, s); len(got) != 0 {
		t.Errorf("the store holds %v, want nothing", got)
	}
}

func readBack(t *testing.T, s blob.Store) {
	for _, content := range [][]byte{{}, []byte("a"), bytes.Repeat([]byte("0123456789abcdef"), 100_000)} {
		d := put(t, s, content)
		if !bytes.Equal(get(t, s, d), content) {
			t.Errorf("%d bytes came back changed", len(content))
		}
		if n, err := s.Size(t.Context(), d); n != int64(len(content)) || err != nil {
			t.Errorf("Size = %d, %v, want %d", n, err, len(content))
		}
		if len(content) < 16 {
			continue
		}
		c, err := s.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var b [4]byte
		if _, err := c.ReadAt(b[:], 1_000_010); err != nil || string(b[:]) != "abcd" {
			t.Errorf("ReadAt = %q, %v", b, err)
		}
		if at, err := c.Seek(-2, io.SeekEnd); err != nil || at != int64(len(content)-2) {
			t.Errorf("Seek = %d, %v", at, err)
		}
		if rest, err := io.ReadAll(c); err != nil || string(rest) != "ef" {
			t.Errorf("after the seek: %q, %v", rest, err)
		}
	}
}

func putTwice(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("abc"))
	r := strings.NewReader("abc")
	if again, n, err := s.Put(t.Context(), r, d); again != d || n != 3 || err != nil || r.Len() != 0 {
		t.Errorf("the second Put = %s, %d, %v and left %d bytes unread", again, n, err, r.Len())
	}
	put(t, s, []byte("abc"))
	_, _, err := s.Put(t.Context(), strings.NewReader("other"), d)
	wants(t, err, stoa.Invalid)
	if string(get(t, s, d)) != "abc" {
		t.Error("the content changed")
	}
	if len(all(t, s)) != 1 {
		t.Error("the store holds more than the one blob")
	}
}

func wrongDigest(t *testing.T, s blob.Store) {
	_, _, err := s.Put(t.Context(), strings.NewReader("abc"), Digest([]byte("abd")))
	wants(t, err, stoa.Invalid)
	isEmpty(t, s)
}

func noDigest(t *testing.T, s blob.Store) {
	for _, d := range []blob.Digest{"x", "../../../../etc/passwd", blob.Digest(strings.Repeat("A", 64))} {
		_, _, err := s.Put(t.Context(), strings.NewReader("abc"), d)
		wants(t, err, stoa.Invalid)
		_, err = s.Open(t.Context(), d)
		wants(t, err, stoa.Invalid)
		_, err = s.Size(t.Context(), d)
		wants(t, err, stoa.Invalid)
		wants(t, s.Delete(t.Context(), d), stoa.Invalid)
	}
	isEmpty(t, s)
}

func notFound(t *testing.T, s blob.Store) {
	_, err := s.Open(t.Context(), Digest([]byte("abc")))
	wants(t, err, stoa.NotFound)
	_, err = s.Size(t.Context(), Digest([]byte("abc")))
	wants(t, err, stoa.NotFound)
}

func remove(t *testing.T, s blob.Store) {
	d, kept := put(t, s, []byte("abc")), put(t, s, []byte("kept"))
	for range 2 {
		if err := s.Delete(t.Context(), d); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	_, err := s.Open(t.Context(), d)
	wants(t, err, stoa.NotFound)
	if string(get(t, s, kept)) != "kept" {
		t.Error("the other blob changed")
	}
	put(t, s, []byte("abc"))
	if string(get(t, s, d)) != "abc" {
		t.Error("the blob did not come back")
	}
}

func openThenDelete(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("abc"))
	c, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := s.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "abc" {
		t.Errorf("the open blob reads %q, %v", b, err)
	}
}

func tornReader(t *testing.T, s blob.Store) {
	torn := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(errors.New("torn")))
	_, _, err := s.Put(t.Context(), torn, "")
	wants(t, err, stoa.Invalid)
	full := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(stoa.Errorf(stoa.NoRoom, "full")))
	_, _, err = s.Put(t.Context(), full, "")
	wants(t, err, stoa.NoRoom)
	isEmpty(t, s)
}

func cancelled(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("abc"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Put(ctx, strings.NewReader("new"), "")
	wants(t, err, stoa.Canceled)
	_, err = s.Open(ctx, d)
	wants(t, err, stoa.Canceled)
	wants(t, s.Delete(ctx, d), stoa.Canceled)
	wants(t, s.Walk(ctx, func(blob.Digest) error { return nil }), stoa.Canceled)
	if got := all(t, s); len(got) != 1 || !got[d] {
		t.Errorf("the store holds %v, want %s alone", got, d)
	}
}

// readerFunc is an endless reader that does something first.
type readerFunc func()

func (f readerFunc) Read(p []byte) (int, error) {
	f()
	return len(p), nil
}

func cancelInTheMidst(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reads := 0
	_, _, err := s.Put(ctx, readerFunc(func() {
		if reads++; reads == 5 {
			cancel()
		}
	}), "")
	wants(t, err, stoa.Canceled)
	isEmpty(t, s)
}

func walk(t *testing.T, s blob.Store) {
	isEmpty(t, s)
	want := map[blob.Digest]bool{}
	for i := range 20 {
		want[put(t, s, []byte{byte(i)})] = true
	}
	got := all(t, s)
	if len(got) != len(want) {
		t.Errorf("Walk gave %d blobs, want %d", len(got), len(want))
	}
	for d := range got {
		if !want[d] {
			t.Errorf("Walk gave %s, which was never put", d)
		}
	}
	stop, calls := errors.New("stop"), 0
	err := s.Walk(t.Context(), func(blob.Digest) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Walk = %v after %d calls, want the caller's own error after one", err, calls)
	}
}

func atOnce(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{byte(i)}, 10_000+i)
			for range 5 {
				d, _, err := s.Put(t.Context(), bytes.NewReader(content), Digest(content))
				if err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				c, err := s.Open(t.Context(), d)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				got, err := io.ReadAll(c)
				c.Close()
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("read back %d bytes, %v", len(got), err)
				}
				if err := s.Delete(t.Context(), d); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	isEmpty(t, s)
}

func sameAtOnce(t *testing.T, s blob.Store) {
	content := bytes.Repeat([]byte("same"), 100_000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := s.Put(t.Context(), bytes.NewReader(content), ""); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(get(t, s, Digest(content)), content) {
		t.Error("the content is not whole")
	}
	if len(all(t, s)) != 1 {
		t.Error("the store holds more than the one blob")
	}
}
