package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// PushRequest is a bundle to publish.
type PushRequest struct {
	As       string // owner/name; overrides the manifest's name; owner "me" is the caller
	Bump     string // major, minor (default), revision
	Manifest string // the text of stoa.yaml
	Files    []PushFile
	// Progress is told how far the push is, from one goroutine; nil: nobody is.
	Progress func(Progress)
}

// PushFile is a file of a bundle: one on disk, or Data.
type PushFile struct {
	Name string // in the bundle, with forward slashes
	Path string // on this machine; "" for Data
	Data []byte
}

// The steps of a push.
const (
	Hashing   = "hash"
	Uploading = "upload"
	Building  = "build" // the server imports the model and tries its sample, or builds the code
)

// Progress says how far a push is.
type Progress struct {
	Step  string
	File  string
	Done  int64 // bytes of this step
	Total int64
	Log   string // of a build: what it has printed since
}

// Published is what a push led to.
type Published struct {
	Algorithm
	New bool `json:"new"` // false: the newest version had this very content
}

// pushed is the server's answer to the opening of a push.
type pushed struct {
	ID      string   `json:"id"`
	Ref     string   `json:"ref"`
	Missing []string `json:"missing"`
}

// Push publishes a bundle. Only blobs that the server lacks are sent, each a
// second time where its connection broke. After an error nothing is published.
func (c *Client) Push(ctx context.Context, r PushRequest) (*Published, error) {
	files, err := hashAll(ctx, r)
	if err != nil {
		return nil, err
	}
	var p pushed
	err = c.do(ctx, request{method: http.MethodPost, path: "/v1/pushes"}, map[string]any{
		"as": r.As, "bump": r.Bump, "manifest": r.Manifest, "files": files,
	}, &p)
	if err != nil {
		return nil, err
	}
	path := "/v1/pushes/" + url.PathEscape(p.ID)
	if err = c.upload(ctx, r, files, p); err == nil {
		var out *Published
		report(r, Progress{Step: Building})
		if out, err = c.commit(ctx, r, path+"/commit"); err == nil {
			return out, nil
		}
		if stoa.KindOf(err) != stoa.Unavailable && ctx.Err() == nil {
			return nil, err // the server has answered, and forgotten the push
		}
	}
	// The server forgets open pushes by itself; this only frees room sooner, so
	// that its own failure does not matter.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = c.do(ctx, request{method: http.MethodDelete, path: path}, nil, nil)
	return nil, err
}

// maxLine bounds a line of a build's log, and of the answer after it, which holds
// the names of all files.
const maxLine = 32 << 20

// commit ends a push, and tells what the build prints as it comes.
func (c *Client) commit(ctx context.Context, r PushRequest, path string) (*Published, error) {
	res, err := c.send(ctx, request{method: http.MethodPost, path: path, accept: "application/x-ndjson"})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line struct {
			Log    string     `json:"log"`
			Result *Published `json:"result"`
			Error  *struct {
				Kind       stoa.Kind `json:"kind"`
				Message    string    `json:"message"`
				Type       string    `json:"error_type"`
				RetryAfter float64   `json:"retry_after"`
			} `json:"error"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, stoa.Wrap(stoa.Unavailable, err, "the answer of %s to %s is not what Stoa gives: is it a Stoa server?", c.base, path)
		}
		switch e := line.Error; {
		case e != nil:
			return nil, &stoa.Error{Kind: e.Kind, Msg: e.Message, Type: e.Type, RetryAfter: time.Duration(e.RetryAfter * float64(time.Second))}
		case line.Result != nil:
			return line.Result, nil
		}
		report(r, Progress{Step: Building, Log: line.Log})
	}
	if ctx.Err() != nil {
		return nil, stoa.AsError(ctx.Err())
	}
	return nil, stoa.Wrap(stoa.Unavailable, lines.Err(), "the connection to %s broke before the build ended", c.base)
}

func report(r PushRequest, p Progress) {
	if r.Progress != nil {
		r.Progress(p)
	}
}

// hashAll gives name, digest and size of every file.
func hashAll(ctx context.Context, r PushRequest) ([]File, error) {
	var total, done int64
	for _, f := range r.Files {
		size, err := f.size()
		if err != nil {
			return nil, err
		}
		total += size
	}
	files := make([]File, 0, len(r.Files))
	for _, f := range r.Files {
		in, err := f.open()
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		n, err := io.Copy(h, &meter{r: in, ctx: ctx, told: func(n int64) {
			report(r, Progress{Step: Hashing, File: f.Name, Done: done + n, Total: total})
		}})
		in.Close()
		if err != nil {
			return nil, readFailed(f.Name, err)
		}
		done += n
		files = append(files, File{Name: f.Name, SHA256: hex.EncodeToString(h.Sum(nil)), Size: n})
	}
	return files, nil
}

// upload sends the blobs that the server lacks.
func (c *Client) upload(ctx context.Context, r PushRequest, files []File, p pushed) error {
	missing := make(map[string]bool, len(p.Missing))
	for _, d := range p.Missing {
		missing[d] = true
	}
	var total, done int64
	var send []int
	for i, f := range files {
		if missing[f.SHA256] {
			delete(missing, f.SHA256) // two files may have one content
			send = append(send, i)
			total += f.Size
		}
	}
	for _, i := range send {
		told := func(n int64) {
			report(r, Progress{Step: Uploading, File: files[i].Name, Done: done + n, Total: total})
		}
		err := c.putBlob(ctx, p.ID, r.Files[i], files[i], told)
		if isBroken(ctx, err) {
			err = c.putBlob(ctx, p.ID, r.Files[i], files[i], told)
		}
		if err != nil {
			return err
		}
		done += files[i].Size
	}
	return nil
}

// isBroken tells whether a request got no answer, so that it may be tried
// again: a blob is named by its content, so that twice does no harm.
func isBroken(ctx context.Context, err error) bool {
	e := stoa.AsError(err)
	return e != nil && ctx.Err() == nil && e.Kind == stoa.Unavailable && e.Err != nil
}

func (c *Client) putBlob(ctx context.Context, id string, f PushFile, as File, told func(int64)) error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	body := &meter{r: io.LimitReader(in, as.Size), ctx: ctx, told: told}
	res, err := c.send(ctx, request{
		method: http.MethodPut, path: "/v1/pushes/" + url.PathEscape(id) + "/blobs/" + as.SHA256,
		ctype: "application/octet-stream", size: as.Size,
		body: body,
	})
	if failed := body.stop(); failed != nil {
		return readFailed(f.Name, failed)
	}
	if err != nil {
		if e := stoa.AsError(err); e.Kind == stoa.Invalid {
			return stoa.Wrap(stoa.Invalid, err, "%s: %s (did it change while it was sent?)", f.Name, e.Msg)
		}
		return err
	}
	res.Body.Close()
	return nil
}

func (f PushFile) size() (int64, error) {
	if f.Path == "" {
		return int64(len(f.Data)), nil
	}
	st, err := os.Stat(f.Path)
	if err != nil {
		return 0, readFailed(f.Name, err)
	}
	return st.Size(), nil
}

func (f PushFile) open() (io.ReadCloser, error) {
	if f.Path == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), nil
	}
	in, err := os.Open(f.Path)
	if err != nil {
		return nil, readFailed(f.Name, err)
	}
	return in, nil
}

func readFailed(name string, err error) error {
	if e := (*stoa.Error)(nil); errors.As(err, &e) {
		return err
	}
	kind := stoa.Invalid
	if errors.Is(err, os.ErrNotExist) {
		kind = stoa.NotFound
	}
	return stoa.Wrap(kind, err, "%s cannot be read: %v", name, err)
}

// meter counts what is read through it, and stops when its context ends. The
// transport may go on reading after the response has come; stop ends that.
type meter struct {
	r    io.Reader
	ctx  context.Context //nolint:containedctx // an io.Reader has no other way to hear of the end
	told func(n int64)

	mu      sync.Mutex
	n       int64
	failed  error // where reading failed, which http.Client would pass off as its own failure
	stopped bool
}

func (m *meter) Read(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return 0, io.ErrClosedPipe
	}
	if m.ctx.Err() != nil {
		return 0, stoa.AsError(m.ctx.Err())
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.told(m.n)
	if err != nil && !errors.Is(err, io.EOF) {
		m.failed = err
	}
	return n, err
}

// stop lets nothing be read any more, and gives the error of reading, if any.
func (m *meter) stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	return m.failed
}
