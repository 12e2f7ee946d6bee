package algorithmia

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// maxPushBody bounds the request that opens a push: a manifest and the names of
// the files, not their content.
const maxPushBody = 4 << 20

// beginPush answers POST /v1/pushes.
func (a *API) beginPush(w *api.Response, r *api.Request) error {
	var req catalog.PushRequest
	if err := api.ReadJSON(r, maxPushBody, &req); err != nil {
		return err
	}
	p, err := a.cfg.Publisher.BeginPush(r.Context(), r.Caller, req)
	if err != nil {
		return err
	}
	if p.Missing == nil {
		p.Missing = []blob.Digest{}
	}
	return api.WriteJSON(w, http.StatusCreated, p)
}

// putBlob answers PUT /v1/pushes/{id}/blobs/{sha256}: the raw bytes, of any
// length that the push declared. The catalogue holds them to their digest.
func (a *API) putBlob(w *api.Response, r *api.Request) error {
	d, err := blob.ParseDigest(r.PathValue("sha256"))
	if err != nil {
		return err
	}
	if err := a.cfg.Publisher.PutBlob(r.Context(), r.Caller, r.PathValue("id"), d, r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// published is the answer to a commit.
type published struct {
	algorithm
	Created bool `json:"new"` // false: the newest version had this very content
}

// commitPush answers POST /v1/pushes/{id}/commit: 201 for a new version, 200
// where nothing changed. Who accepts lines of JSON hears the build as it goes.
func (a *API) commitPush(w *api.Response, r *api.Request) error {
	if r.Header.Get("Accept") == linesType {
		return a.commitAloud(w, r)
	}
	v, created, err := a.cfg.Publisher.CommitPush(r.Context(), r.Caller, r.PathValue("id"), nil)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return api.WriteJSON(w, status, published{algorithm: a.whole(r, v), Created: created})
}

// linesType is the media type of JSON values, one a line.
const linesType = "application/x-ndjson"

// told is a line of an answer that comes as it happens: what a build printed, or,
// as the last one, what came of it.
type told struct {
	Log    string     `json:"log,omitempty"`
	Result *published `json:"result,omitempty"`
	Error  *toldError `json:"error,omitempty"`
}

// toldError is an error in an answer whose status was sent before it was known.
type toldError struct {
	Kind       stoa.Kind `json:"kind"`
	Message    string    `json:"message"`
	Type       string    `json:"error_type,omitempty"`
	RetryAfter float64   `json:"retry_after,omitempty"` // seconds
}

// commitAloud commits a push and tells of its build line by line. The status is
// always 200: whether it went well is in the last line.
func (a *API) commitAloud(w *api.Response, r *api.Request) error {
	l := newLines(w)
	v, created, err := a.cfg.Publisher.CommitPush(r.Context(), r.Caller, r.PathValue("id"), l)
	last := told{}
	if err != nil {
		e := stoa.AsError(err)
		w.Note(e)
		last.Error = &toldError{Kind: e.Kind, Message: api.Message(e), Type: e.Type, RetryAfter: e.RetryAfter.Seconds()}
	} else {
		last.Result = &published{algorithm: a.whole(r, v), Created: created}
	}
	l.tell(last)
	return nil
}

// lines writes an answer of JSON lines, each sent at once.
type lines struct {
	mu  sync.Mutex // a build's two streams may print at once
	w   *api.Response
	enc *json.Encoder
	out *http.ResponseController
}

func newLines(w *api.Response) *lines {
	w.Header().Set("Content-Type", linesType)
	l := &lines{w: w, enc: json.NewEncoder(w), out: http.NewResponseController(w)}
	l.enc.SetEscapeHTML(false)
	return l
}

// Write tells what was printed. Whether anybody still listens is not its
// business: a build goes on until its context ends.
func (l *lines) Write(p []byte) (int, error) {
	l.tell(told{Log: string(p)})
	return len(p), nil
}

func (l *lines) tell(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(v)
	l.flush()
}

func (l *lines) add(v any) { _ = l.enc.Encode(v) } //nolint:errchkjson // the caller may be gone
func (l *lines) flush()    { _ = l.out.Flush() }

// abortPush answers DELETE /v1/pushes/{id}.
func (a *API) abortPush(w *api.Response, r *api.Request) error {
	if err := a.cfg.Publisher.AbortPush(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
