package algorithmia

import (
	"net/http"
	"time"

	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
)

// key is what is told of a key. The key itself is told once, when it is made.
type key struct {
	ID      string `json:"id"`
	User    string `json:"user"`
	Label   string `json:"label"`
	Prefix  string `json:"prefix"`
	Created string `json:"created"`
	Revoked string `json:"revoked,omitempty"`
	Key     string `json:"key,omitempty"`
}

func keyOf(k account.Key) key {
	out := key{ID: k.ID, User: k.User, Label: k.Label, Prefix: k.Prefix, Created: k.Created.UTC().Format(time.RFC3339)}
	if !k.Revoked.IsZero() {
		out.Revoked = k.Revoked.UTC().Format(time.RFC3339)
	}
	return out
}

// keys answers GET /v1/keys.
func (a *API) keys(w *api.Response, r *api.Request) error {
	found, err := a.cfg.Accounts.Keys(r.Context(), r.Caller)
	if err != nil {
		return err
	}
	out := page[key]{Results: make([]key, 0, len(found))}
	for _, k := range found {
		out.Results = append(out.Results, keyOf(k))
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// newKey answers POST /v1/keys.
func (a *API) newKey(w *api.Response, r *api.Request) error {
	var req struct {
		Label string `json:"label"`
		User  string `json:"user"`
	}
	if r.ContentLength != 0 {
		if err := api.ReadJSON(r, 64<<10, &req); err != nil {
			return err
		}
	}
	if req.User == "" || req.User == "me" {
		req.User = r.Caller.Account
	}
	k, secret, err := a.cfg.Accounts.NewKey(r.Context(), r.Caller, req.User, req.Label, time.Now())
	if err != nil {
		return err
	}
	out := keyOf(k)
	out.Key = secret
	w.Header().Set("Cache-Control", "no-store")
	return api.WriteJSON(w, http.StatusCreated, out)
}

// revokeKey answers DELETE /v1/keys/{id}.
func (a *API) revokeKey(w *api.Response, r *api.Request) error {
	if err := a.cfg.Accounts.Revoke(r.Context(), r.Caller, r.PathValue("id"), time.Now()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// newLink answers POST /v1/sign-in-links.
func (a *API) newLink(w *api.Response, r *api.Request) error {
	t, err := a.cfg.Accounts.NewLink(r.Context(), r.Caller, time.Now())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return api.WriteJSON(w, http.StatusCreated, struct {
		URL     string `json:"url"`
		Expires string `json:"expires"`
	}{SignInURL(a.baseURL(r), t.Secret), t.Expires.UTC().Format(time.RFC3339)})
}

// SignInURL writes the URL of a sign-in link. Its token stands in the query,
// which no log of ours writes.
func SignInURL(base, token string) string { return base + "/sign-in?link=" + token }

// whoami answers GET /v1/whoami.
func (a *API) whoami(w *api.Response, r *api.Request) error {
	by := "key"
	if r.BySession {
		by = "session"
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Account string `json:"account"`
		Key     string `json:"key"` // its id; of a session that of the key that made it
		Admin   bool   `json:"admin"`
		By      string `json:"by"` // key or session
	}{r.Caller.Account, r.Caller.Key, r.Caller.Admin, by})
}
