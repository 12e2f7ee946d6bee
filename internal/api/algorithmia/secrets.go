package algorithmia

import (
	"context"
	"net/http"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/secret"
)

// Secrets is what this door asks of the secrets; package secret's Vault is one.
type Secrets interface {
	Names(ctx context.Context, ref stoa.Ref) ([]secret.Name, error)
	Set(ctx context.Context, ref stoa.Ref, name, value, by string, now time.Time) error
	Remove(ctx context.Context, ref stoa.Ref, name string) error
}

// secretOwner gives the algorithm whose secrets a request is about, after making
// sure that they are the caller's to see to.
func (a *API) secretOwner(r *api.Request) (stoa.Ref, error) {
	ref, err := pathRef(r)
	if err != nil {
		return ref, err
	}
	v, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		return ref, err
	}
	if !a.owns(r, ref) {
		return ref, stoa.Errorf(stoa.Forbidden, "the secrets of %s/%s are for %s and administrators", v.Owner, v.Name, v.Owner)
	}
	return stoa.Ref{Owner: v.Owner, Name: v.Name}, nil
}

// secrets answers GET …/secrets: names, and never a value.
func (a *API) secrets(w *api.Response, r *api.Request) error {
	ref, err := a.secretOwner(r)
	if err != nil {
		return err
	}
	names, err := a.cfg.Secrets.Names(r.Context(), ref)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, page[secret.Name]{Results: names})
}

// maxSecretBody holds the longest value, escaped as JSON may have to.
const maxSecretBody = 6*secret.MaxValue + 1024

// setSecret answers PUT …/secrets/{secret}.
func (a *API) setSecret(w *api.Response, r *api.Request) error {
	ref, err := a.secretOwner(r)
	if err != nil {
		return err
	}
	var body struct {
		Value string `json:"value"`
	}
	if err := api.ReadJSON(r, maxSecretBody, &body); err != nil {
		return err
	}
	if err := a.cfg.Secrets.Set(r.Context(), ref, r.PathValue("secret"), body.Value, r.Caller.Account, time.Now()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// removeSecret answers DELETE …/secrets/{secret}.
func (a *API) removeSecret(w *api.Response, r *api.Request) error {
	ref, err := a.secretOwner(r)
	if err != nil {
		return err
	}
	if err := a.cfg.Secrets.Remove(r.Context(), ref, r.PathValue("secret")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
