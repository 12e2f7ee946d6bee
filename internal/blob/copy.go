package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"syscall"

	"github.com/stoa-project/stoa"
)

// copyBuffer is the size of the steps of Copy: large enough that hashing, not
// system calls, sets the pace, and small beside an idle server's memory.
const copyBuffer = 256 << 10

// Copy writes src to dst until src ends and gives the digest and the length of
// what went through. It stops at the next read once ctx is done. Where limit is
// not negative, more bytes than that are TooLarge, at once. An error of dst is as WriteError
// says; one of src that is no *stoa.Error is Invalid: the content ended early.
// What dst got by then is the caller's to throw away.
func Copy(ctx context.Context, dst io.Writer, src io.Reader, limit int64) (Digest, int64, error) {
	sum := sha256.New()
	buf := make([]byte, copyBuffer)
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return "", n, stoa.AsError(err)
		}
		got, err := src.Read(buf)
		if got > 0 {
			if limit >= 0 && n+int64(got) > limit {
				return "", n, stoa.Errorf(stoa.TooLarge, "the content is longer than the %d bytes declared", limit)
			}
			n += int64(got)
			sum.Write(buf[:got])
			if _, werr := dst.Write(buf[:got]); werr != nil {
				return "", n, WriteError(werr)
			}
		}
		if err == io.EOF {
			return Digest(hex.EncodeToString(sum.Sum(nil))), n, nil
		}
		if err != nil {
			return "", n, readError(ctx, err, n)
		}
	}
}

func readError(ctx context.Context, err error, n int64) error {
	var e *stoa.Error
	switch {
	case ctx.Err() != nil:
		return stoa.AsError(ctx.Err())
	case errors.As(err, &e), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return stoa.AsError(err)
	}
	return stoa.Wrap(stoa.Invalid, err, "the content ended early, after %d bytes", n)
}

// WriteError gives a failure to write to this machine's disk its kind: NoRoom
// where it is full, Unavailable where it may not be written to, else Internal. A
// *stoa.Error stays as it is, and nil stays nil.
func WriteError(err error) error {
	var e *stoa.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return stoa.Wrap(stoa.NoRoom, err, "the server's disk is full: nothing was stored")
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return stoa.Wrap(stoa.Unavailable, err, "the server may not write to its disk: nothing was stored")
	}
	return stoa.Wrap(stoa.Internal, err, "the server could not write to its disk: nothing was stored")
}
