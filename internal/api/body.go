package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/buffer"
)

// A body up to exactBody is read into one allocation of the size that it
// claims. Of a longer one the first probeSize bytes must have come before that
// allocation is made, so that a claim alone costs little.
const (
	exactBody = 256 << 10
	probeSize = 64 << 10
)

var probes = sync.Pool{New: func() any { return new([probeSize]byte) }}

// ReadBody reads the whole body, of at most limit bytes. One that says in
// advance that it is longer is refused before a byte is read.
func ReadBody(r *Request, limit int64) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, stoa.Errorf(stoa.Unsupported, "Content-Encoding %.40q is not supported: send the body as it is", enc)
	}
	n := r.ContentLength
	switch {
	case n > limit:
		return nil, tooLarge(limit)
	case n == 0:
		return nil, nil
	case n < 0:
		return readGrowing(r.Body, limit)
	case n <= exactBody:
		b := make([]byte, n)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			return nil, broken(err)
		}
		return b, nil
	}
	probe, _ := probes.Get().(*[probeSize]byte)
	defer probes.Put(probe)
	if _, err := io.ReadFull(r.Body, probe[:]); err != nil {
		return nil, broken(err)
	}
	b := buffer.Get(int(n))
	copy(b, probe[:])
	if err := readRest(r, b[probeSize:]); err != nil {
		buffer.Put(b)
		return nil, broken(err)
	}
	return b, nil
}

// readRest fills b, the rest of a large body.
func readRest(r *Request, b []byte) error {
	wakes := newWakes(r.Request)
	defer wakes.reset()
	for len(b) > 0 {
		wakes.expect(len(b))
		n, err := r.Body.Read(b)
		b = b[n:]
		if err != nil && len(b) > 0 {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// FreeBody gives back what ReadBody gave, for other requests. Nobody may use
// it afterwards; one that is never given back is garbage like any other.
func FreeBody(b []byte) { buffer.Put(b) }

// readGrowing reads a body that does not say how long it is.
func readGrowing(body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, broken(err)
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func tooLarge(limit int64) error {
	return stoa.Errorf(stoa.TooLarge, "the body is over the limit of %s", byteCount(limit))
}

// byteCount writes a limit as people set it.
func byteCount(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

func broken(err error) error {
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(big.Limit)
	}
	return stoa.Wrap(stoa.Invalid, err, "the body ended before it was complete: send it again")
}

// ReadJSON reads a JSON body of at most limit bytes into v, and refuses members
// that v does not have.
func ReadJSON(r *Request, limit int64, v any) error {
	b, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return stoa.Errorf(stoa.Invalid, "the body is empty: a JSON object is wanted")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return stoa.Wrap(stoa.Invalid, err, "the body is not the JSON object that is wanted: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return stoa.Errorf(stoa.Invalid, "the body goes on after its JSON object")
	}
	return nil
}
