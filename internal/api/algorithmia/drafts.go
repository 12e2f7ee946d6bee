package algorithmia

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
)

// Drafts takes files that nobody has described yet; package catalog's Catalog
// is one.
type Drafts interface {
	BeginDraft(ctx context.Context, who stoa.Caller) (catalog.Draft, error)
	Draft(ctx context.Context, who stoa.Caller, id string) (catalog.Draft, error)
	PutDraftFile(ctx context.Context, who stoa.Caller, id, name string, r io.Reader) (blob.File, error)
	RemoveDraftFile(ctx context.Context, who stoa.Caller, id, name string) error
	AbortDraft(ctx context.Context, who stoa.Caller, id string) error
}

// Drafting makes something of a draft; package catalog's Catalog does.
type Drafting interface {
	OpenDraftFile(ctx context.Context, who stoa.Caller, id, name string) (blob.Content, error)
	InspectDraft(ctx context.Context, who stoa.Caller, id, name string) (catalog.Inspection, error)
	CheckDraft(ctx context.Context, who stoa.Caller, id string, r catalog.DraftCheck) (*manifest.Manifest, []manifest.Problem, error)
	PublishDraft(ctx context.Context, who stoa.Caller, id string, r catalog.PushRequest) (*catalog.Version, bool, error)
}

// Previewer shows what a network gets of a picture. It is a worker: the server
// decodes no picture.
type Previewer interface {
	Preview(ctx context.Context, who stoa.Caller, j worker.PreviewJob) (media.Preview, error)
}

func (a *API) draftRoutes() []api.Route {
	const (
		get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
		draft               = "/v1/drafts/{id}"
	)
	return []api.Route{
		{Method: post, Pattern: "/v1/drafts", Access: api.Keyed, Serve: a.beginDraft},
		{Method: get, Pattern: draft, Access: api.Keyed, Serve: a.draft},
		{Method: del, Pattern: draft, Access: api.Keyed, Serve: a.abortDraft},
		{Method: put, Pattern: draft + "/files/{path...}", Access: api.Keyed, Serve: a.putDraftFile},
		{Method: del, Pattern: draft + "/files/{path...}", Access: api.Keyed, Serve: a.removeDraftFile},
		{Method: post, Pattern: draft + "/inspect", Access: api.Keyed, Serve: a.inspectDraft},
		{Method: post, Pattern: draft + "/preview", Access: api.Keyed, Serve: a.previewDraft},
		{Method: post, Pattern: draft + "/publish", Access: api.Keyed, Serve: a.publishDraft},
		{Method: post, Pattern: draft + "/manifest", Access: api.Keyed, Serve: a.checkManifest},
		{Method: get, Pattern: "/v1/manifest/schema", Access: api.Keyed, Serve: a.schema},
	}
}

// beginDraft answers POST /v1/drafts.
func (a *API) beginDraft(w *api.Response, r *api.Request) error {
	d, err := a.cfg.Drafts.BeginDraft(r.Context(), r.Caller)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusCreated, d)
}

// draft answers GET /v1/drafts/{id}.
func (a *API) draft(w *api.Response, r *api.Request) error {
	d, err := a.cfg.Drafts.Draft(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, d)
}

// abortDraft answers DELETE /v1/drafts/{id}.
func (a *API) abortDraft(w *api.Response, r *api.Request) error {
	if err := a.cfg.Drafts.AbortDraft(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// putDraftFile answers PUT …/files/{path...}: the raw bytes, streamed to disk.
func (a *API) putDraftFile(w *api.Response, r *api.Request) error {
	f, err := a.cfg.Drafts.PutDraftFile(r.Context(), r.Caller, r.PathValue("id"), r.PathValue("path"), r.Body)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, f)
}

// removeDraftFile answers DELETE …/files/{path...}.
func (a *API) removeDraftFile(w *api.Response, r *api.Request) error {
	if err := a.cfg.Drafts.RemoveDraftFile(r.Context(), r.Caller, r.PathValue("id"), r.PathValue("path")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// inspectDraft answers POST …/inspect. The body may say {"name":"net"}.
func (a *API) inspectDraft(w *api.Response, r *api.Request) error {
	var req struct {
		Name string `json:"name"`
	}
	if r.ContentLength != 0 {
		if err := api.ReadJSON(r, maxPushBody, &req); err != nil {
			return err
		}
	}
	in, err := a.cfg.Drafting.InspectDraft(r.Context(), r.Caller, r.PathValue("id"), req.Name)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, in)
}

// previewRequest asks what a network will see of a picture: of a file of the
// draft, or of the bytes in data.
type previewRequest struct {
	Input json.RawMessage `json:"input"` // as in stoa.yaml
	Spec  tensor.Spec     `json:"spec"`  // the network's input, as the report has it
	File  string          `json:"file"`
	Data  []byte          `json:"data"`
}

// previewDraft answers POST …/preview.
func (a *API) previewDraft(w *api.Response, r *api.Request) error {
	var req previewRequest
	if err := api.ReadJSON(r, (a.cfg.BodyLimit+2)/3*4+maxPushBody, &req); err != nil {
		return err
	}
	if len(req.Input) == 0 || (req.File == "") == (len(req.Data) == 0) {
		return stoa.Errorf(stoa.Invalid, "give input, and the picture by file or data")
	}
	if req.File != "" {
		var err error
		if req.Data, err = a.draftPicture(r, req.File); err != nil {
			return err
		}
	} else if _, err := a.cfg.Drafts.Draft(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return err
	}
	p, err := a.cfg.Previews.Preview(r.Context(), r.Caller, worker.PreviewJob{
		Input: req.Input, Spec: req.Spec, Value: stoa.Value{Type: stoa.Binary, Data: req.Data},
	})
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, p)
}

// draftPicture reads a file of the draft whole, as a call's body would be.
func (a *API) draftPicture(r *api.Request, name string) ([]byte, error) {
	f, err := a.cfg.Drafting.OpenDraftFile(r.Context(), r.Caller, r.PathValue("id"), name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, a.cfg.BodyLimit+1))
	switch {
	case err != nil:
		return nil, stoa.Wrap(stoa.Internal, err, "%.120q cannot be read", name)
	case int64(len(b)) > a.cfg.BodyLimit:
		return nil, stoa.Errorf(stoa.TooLarge, "%.120q is over the %d bytes that a call may have", name, a.cfg.BodyLimit)
	}
	return b, nil
}

// publishRequest publishes a draft, by its manifest as JSON or as text.
type publishRequest struct {
	As       string          `json:"as"`
	Bump     string          `json:"bump"`
	Manifest json.RawMessage `json:"manifest"`
	YAML     string          `json:"yaml"`
}

// publishDraft answers POST …/publish: 201 for a new version, 200 where nothing
// changed.
func (a *API) publishDraft(w *api.Response, r *api.Request) error {
	var req publishRequest
	if err := api.ReadJSON(r, maxPushBody, &req); err != nil {
		return err
	}
	text, err := manifestText(req.Manifest, req.YAML)
	if err != nil {
		return err
	}
	v, created, err := a.cfg.Drafting.PublishDraft(r.Context(), r.Caller, r.PathValue("id"),
		catalog.PushRequest{As: req.As, Bump: req.Bump, Manifest: text})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return api.WriteJSON(w, status, published{algorithm: a.whole(r, v), Created: created})
}

// manifestText gives the text of stoa.yaml: the one that was sent, or a readable
// one of what was sent as JSON.
func manifestText(data json.RawMessage, text string) (string, error) {
	if (len(data) == 0) == (text == "") {
		return "", stoa.Errorf(stoa.Invalid, "give the manifest as an object, manifest, or as the text of %s, yaml", manifest.FileName)
	}
	if text != "" {
		return text, nil
	}
	m, err := manifest.FromJSON(data)
	if err != nil {
		// JSON is YAML: Parse says what is wrong by field.
		if _, perr := manifest.Parse("manifest", data); perr != nil {
			return "", perr
		}
		return "", err
	}
	return string(manifest.Marshal(m, nil)), nil
}

// checkedManifest is the answer to a check.
type checkedManifest struct {
	YAML     string             `json:"yaml"`
	Manifest json.RawMessage    `json:"manifest,omitempty"` // left out where it cannot be read
	Problems []manifest.Problem `json:"problems"`
}

// checkManifest answers POST …/manifest: what is wrong with a manifest, by
// itself, beside the draft's files, and beside the network, where inputs and
// outputs say what that has.
func (a *API) checkManifest(w *api.Response, r *api.Request) error {
	var req struct {
		Manifest json.RawMessage `json:"manifest"`
		YAML     string          `json:"yaml"`
		Inputs   []tensor.Spec   `json:"inputs"`
		Outputs  []tensor.Spec   `json:"outputs"`
	}
	if err := api.ReadJSON(r, maxPushBody, &req); err != nil {
		return err
	}
	out := checkedManifest{}
	text, err := manifestText(req.Manifest, req.YAML)
	if p, ok := errors.AsType[*manifest.ParseError](err); ok {
		out.Problems = p.Problems
		return api.WriteJSON(w, http.StatusOK, out)
	}
	if err != nil {
		return err
	}
	out.YAML = text
	m, problems, err := a.cfg.Drafting.CheckDraft(r.Context(), r.Caller, r.PathValue("id"), catalog.DraftCheck{
		Text: text, Graph: media.Graph{Inputs: req.Inputs, Outputs: req.Outputs},
	})
	if err != nil {
		return err
	}
	out.Problems = append([]manifest.Problem{}, problems...)
	if m != nil {
		if out.Manifest, err = m.JSON(); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// schema answers GET /v1/manifest/schema, for editors and forms.
func (a *API) schema(w *api.Response, _ *api.Request) error {
	b, err := manifest.Schema()
	if err != nil {
		return err
	}
	api.WriteBody(w, http.StatusOK, b)
	return nil
}
