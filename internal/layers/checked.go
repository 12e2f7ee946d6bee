package layers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// checked reads a blob and gives an error in place of the end where its content
// is not that of its digest. layer.Unpack reads to the end before it gives a
// folder its name.
type checked struct {
	r    io.Reader
	want blob.Digest
	sum  hash.Hash
	n    int64
}

func newChecked(r io.Reader, want blob.Digest) *checked {
	return &checked{r: r, want: want, sum: sha256.New()}
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != string(c.want) {
		err = stoa.Errorf(stoa.Internal, "the server's copy is damaged: tell its administrator")
	}
	return n, err
}
