package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Key is what a server tells of a key. Key itself is only there when it was
// just made.
type Key struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Label   string    `json:"label"`
	Prefix  string    `json:"prefix"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
	Key     string    `json:"key,omitempty"`
}

// Identity is who the server takes the caller for.
type Identity struct {
	Account string `json:"account"`
	By      string `json:"by"`  // key, or session for one that a browser has
	Key     string `json:"key"` // id of the key used
	Admin   bool   `json:"admin"`
}

// KeyRequest says what key to make.
type KeyRequest struct {
	Label string `json:"label,omitempty"`
	User  string `json:"user,omitempty"` // "" for the caller
}

// WhoAmI tells whom the key belongs to.
func (c *Client) WhoAmI(ctx context.Context) (Identity, error) {
	var id Identity
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/whoami"}, nil, &id)
	return id, err
}

// Keys lists the caller's keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return list[Key](ctx, c, "/v1/keys", nil)
}

// NewKey makes a key.
func (c *Client) NewKey(ctx context.Context, r KeyRequest) (Key, error) {
	var k Key
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/keys"}, r, &k)
	return k, err
}

// RevokeKey ends a key, named by its id, its prefix or itself.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(id)}, nil, nil)
}

// SignInLink is a link that signs one browser in, once.
type SignInLink struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// SignInLink makes a link that signs a browser in as the caller.
func (c *Client) SignInLink(ctx context.Context) (SignInLink, error) {
	var l SignInLink
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/sign-in-links"}, nil, &l)
	return l, err
}
