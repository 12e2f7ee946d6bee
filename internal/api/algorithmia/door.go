// Package algorithmia is the native door, /v1: a superset of the API that
// Algorithmia's published client libraries speak, to the letter where they
// depend on it, plus what publishing to Stoa needs. It holds no rule about
// algorithms, versions or keys: it decodes a request, asks the room that owns
// the rule, and encodes the answer.
package algorithmia

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/invoke"
)

// Catalog is what this door asks of the catalogue; package catalog's Catalog is
// one. It is declared here so that the door can be tested without a store.
type Catalog interface {
	Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*catalog.Version, error)
	Search(ctx context.Context, who stoa.Caller, q catalog.Query) (catalog.Found, error)
	Versions(ctx context.Context, who stoa.Caller, ref stoa.Ref) ([]*catalog.Version, error)
	Remove(ctx context.Context, who stoa.Caller, ref stoa.Ref) error
	OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error)
}

// Publisher takes pushes; package catalog's Catalog is one.
type Publisher interface {
	BeginPush(ctx context.Context, who stoa.Caller, r catalog.PushRequest) (catalog.Push, error)
	PutBlob(ctx context.Context, who stoa.Caller, push string, d blob.Digest, r io.Reader) error
	CommitPush(ctx context.Context, who stoa.Caller, push string, log io.Writer) (v *catalog.Version, created bool, err error)
	AbortPush(ctx context.Context, who stoa.Caller, push string) error
}

// Accounts makes, lists and ends keys, and makes sign-in links; package
// account's Accounts is one.
type Accounts interface {
	NewKey(ctx context.Context, c stoa.Caller, user, label string, now time.Time) (account.Key, string, error)
	Keys(ctx context.Context, c stoa.Caller) ([]account.Key, error)
	Revoke(ctx context.Context, c stoa.Caller, id string, now time.Time) error
	NewLink(ctx context.Context, c stoa.Caller, now time.Time) (account.Token, error)
}

// The defaults of Config, which are Algorithmia's limits.
const (
	DefaultBodyLimit   = 10 << 20
	DefaultResultLimit = 15 << 20
	DefaultTimeout     = 300 * time.Second
	DefaultMaxTimeout  = 3000 * time.Second
	// DefaultMaxDetached bounds the calls that nobody waits for: each may hold a
	// body of BodyLimit.
	DefaultMaxDetached = 256
)

// Config is what the door needs. Zero limits mean the defaults.
type Config struct {
	Invoker     invoke.Invoker
	Catalog     Catalog
	Publisher   Publisher
	Drafts      Drafts
	Drafting    Drafting
	Previews    Previewer
	Accounts    Accounts
	Logs        Logs
	Secrets     Secrets
	Guests      Guests       // nil: nothing is called without a key
	Log         *slog.Logger // of calls that nobody waits for; nil: no log
	PublicURL   string       // such as https://stoa.example.org; "" takes the request's host
	BodyLimit   int64        // of a call's input
	ResultLimit int64        // of a call's answer, as it is sent
	Timeout     time.Duration
	MaxTimeout  time.Duration
	MaxDetached int
}

// API is the door.
type API struct {
	cfg      Config
	log      *slog.Logger
	detached detached
}

// New makes the door.
func New(cfg Config) *API {
	a := &API{cfg: cfg, log: cfg.Log}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	c := &a.cfg
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	c.BodyLimit = orDefault(c.BodyLimit, DefaultBodyLimit)
	c.ResultLimit = orDefault(c.ResultLimit, DefaultResultLimit)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.MaxTimeout = orDefault(c.MaxTimeout, DefaultMaxTimeout)
	c.MaxDetached = orDefault(c.MaxDetached, DefaultMaxDetached)
	a.detached.limit = c.MaxDetached
	a.detached.idle = make(chan struct{})
	return a
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// The prefix of calls, mounted ahead of the mux.
const callPrefix = "/v1/algo/"

// Door gives the table of contents.
func (a *API) Door() api.Door {
	const (
		get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
		algorithm           = "/v1/algorithms/{owner}/{name}"
	)
	return api.Door{Name: "algorithmia", Routes: append(a.draftRoutes(), []api.Route{
		{Method: post, Pattern: callPrefix, Ahead: true, Access: api.Visitors, Serve: a.call},

		{Method: post, Pattern: "/v1/pushes", Access: api.Keyed, Serve: a.beginPush},
		{Method: put, Pattern: "/v1/pushes/{id}/blobs/{sha256}", Access: api.Keyed, Serve: a.putBlob},
		{Method: post, Pattern: "/v1/pushes/{id}/commit", Access: api.Keyed, Serve: a.commitPush},
		{Method: del, Pattern: "/v1/pushes/{id}", Access: api.Keyed, Serve: a.abortPush},

		{Method: get, Pattern: "/v1/algorithms", Access: api.Keyed, Serve: a.list},
		{Method: get, Pattern: algorithm, Access: api.Keyed, Serve: a.show},
		{Method: del, Pattern: algorithm, Access: api.Keyed, Serve: a.remove},
		{Method: get, Pattern: algorithm + "/versions", Access: api.Keyed, Serve: a.versions},
		{Method: del, Pattern: algorithm + "/versions/{version}", Access: api.Keyed, Serve: a.remove},
		{Method: get, Pattern: algorithm + "/logs", Access: api.Keyed, Serve: a.logs},
		{Method: get, Pattern: algorithm + "/secrets", Access: api.Keyed, Serve: a.secrets},
		{Method: put, Pattern: algorithm + "/secrets/{secret}", Access: api.Keyed, Serve: a.setSecret},
		{Method: del, Pattern: algorithm + "/secrets/{secret}", Access: api.Keyed, Serve: a.removeSecret},
		{Method: get, Pattern: algorithm + "/files/{path...}", Access: api.Keyed, Serve: a.file},

		{Method: get, Pattern: "/v1/keys", Access: api.Keyed, Serve: a.keys},
		{Method: post, Pattern: "/v1/keys", Access: api.Keyed, Serve: a.newKey},
		{Method: del, Pattern: "/v1/keys/{id}", Access: api.Keyed, Serve: a.revokeKey},
		{Method: post, Pattern: "/v1/sign-in-links", Access: api.Keyed, Serve: a.newLink},
		{Method: get, Pattern: "/v1/whoami", Access: api.Keyed, Serve: a.whoami},
	}...)}
}
