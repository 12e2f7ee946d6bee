// Package blob names content by its SHA-256 and says what a store of such
// content promises: what was put is read back unchanged or not at all, putting
// the same content twice costs nothing, and a put that fails leaves nothing.
package blob

import (
	"context"
	"encoding/hex"
	"io"

	"github.com/stoa-project/stoa"
)

// Digest is the SHA-256 of some content, in 64 lower-case hexadecimal digits.
type Digest string

// ParseDigest reads a digest.
func ParseDigest(s string) (Digest, error) {
	if len(s) == 64 {
		if b, err := hex.DecodeString(s); err == nil && hex.EncodeToString(b) == s {
			return Digest(s), nil
		}
	}
	return "", stoa.Errorf(stoa.Invalid, "%.80q is no SHA-256: 64 lower-case hexadecimal digits", s)
}

// Content is an open blob: read in order or at an offset, then closed.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Store keeps blobs. All methods may be called at once from many goroutines.
type Store interface {
	// Put reads r to its end and keeps it. Where want is not "", content of
	// another digest is refused as Invalid and nothing is kept. A full disk is
	// NoRoom.
	Put(ctx context.Context, r io.Reader, want Digest) (Digest, int64, error)
	// Open gives the content; NotFound where there is none. The caller closes it.
	Open(ctx context.Context, d Digest) (Content, error)
	// Size gives the length of the content; NotFound where there is none.
	Size(ctx context.Context, d Digest) (int64, error)
	// Delete forgets a blob; one that is not there is no error.
	Delete(ctx context.Context, d Digest) error
	// Walk calls f for every blob, in no order, until f returns an error.
	Walk(ctx context.Context, f func(Digest) error) error
}

// Pather is a Store whose blobs are files of this machine: Path names the file,
// which nobody may change.
type Pather interface {
	Path(d Digest) string
}

// File is a named blob of a bundle. Name is relative and clean, with forward
// slashes, and never leaves the bundle (see CheckName).
type File struct {
	Name   string `json:"name"`
	Digest Digest `json:"sha256"`
	Size   int64  `json:"size"`
}
