package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

type failWriter struct{ err error }

func (w failWriter) Write([]byte) (int, error) { return 0, w.err }

func TestCopy(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	var out bytes.Buffer
	d, n, err := blob.Copy(t.Context(), &out, iotest.OneByteReader(strings.NewReader("abc")), -1)
	if d != abc || n != 3 || err != nil || out.String() != "abc" {
		t.Fatalf("Copy = %s, %d, %v, wrote %q", d, n, err, out.String())
	}
	if _, _, err := blob.Copy(t.Context(), io.Discard, strings.NewReader("abc"), 3); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		dst  io.Writer
		src  io.Reader
		want stoa.Kind
	}{
		{"over the limit", t.Context(), io.Discard, strings.NewReader("abcd"), stoa.TooLarge},
		{"disk full", t.Context(), failWriter{&os.PathError{Err: syscall.ENOSPC}}, strings.NewReader("a"), stoa.NoRoom},
		{"over quota", t.Context(), failWriter{syscall.EDQUOT}, strings.NewReader("a"), stoa.NoRoom},
		{"read-only disk", t.Context(), failWriter{syscall.EROFS}, strings.NewReader("a"), stoa.Unavailable},
		{"broken disk", t.Context(), failWriter{syscall.EIO}, strings.NewReader("a"), stoa.Internal},
		{"torn upload", t.Context(), io.Discard, iotest.ErrReader(io.ErrUnexpectedEOF), stoa.Invalid},
		{"reader's own kind", t.Context(), io.Discard, iotest.ErrReader(stoa.Errorf(stoa.Busy, "x")), stoa.Busy},
		{"cancelled", cancelled, io.Discard, strings.NewReader("a"), stoa.Canceled},
	} {
		if _, _, err := blob.Copy(c.ctx, c.dst, c.src, 3); err == nil || stoa.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if blob.WriteError(nil) != nil {
		t.Error("WriteError(nil) is an error")
	}
	if !errors.Is(blob.WriteError(syscall.EIO), syscall.EIO) {
		t.Error("the cause is lost")
	}
}
