package algorithmia

import (
	"net/http"

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
// where nothing changed.
func (a *API) commitPush(w *api.Response, r *api.Request) error {
	v, created, err := a.cfg.Publisher.CommitPush(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return api.WriteJSON(w, status, published{algorithm: a.whole(r, v), Created: created})
}

// abortPush answers DELETE /v1/pushes/{id}.
func (a *API) abortPush(w *api.Response, r *api.Request) error {
	if err := a.cfg.Publisher.AbortPush(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
