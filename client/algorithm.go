package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// Algorithm is a version of an algorithm. Listings leave Files, Manifest and
// Report out.
type Algorithm struct {
	ID         string          `json:"id"` // the same for all versions
	Owner      string          `json:"owner"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Visibility string          `json:"visibility"` // public, private
	Kind       string          `json:"kind"`
	Framework  string          `json:"framework,omitempty"` // of origin; "" where it is unknown
	Tagline    string          `json:"tagline"`
	Tags       []string        `json:"tags,omitempty"`
	Hash       string          `json:"hash"` // of the content
	Creator    string          `json:"creator,omitempty"`
	Created    time.Time       `json:"created"`
	URL        string          `json:"url"` // to call this very version
	Files      []File          `json:"files,omitempty"`
	Manifest   json.RawMessage `json:"manifest,omitempty"`
	Report     json.RawMessage `json:"report,omitempty"` // of the import
}

// File is a file of a version.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Query narrows a listing.
type Query struct {
	Owner     string // "" for all, "me" for the caller
	Text      string // words that begin words of name, owner, tagline, tags or README
	Kind      string // such as model; "" for all
	Framework string // of origin, such as caffe; "" for all
	Limit     int    // 0 for all that there are
}

// pageSize is the most that the server gives at once.
const pageSize = 1000

// List gives the newest version of each algorithm that the caller may see: the
// best match first, or without a text the newest. It asks for as many pages as
// it needs.
func (c *Client) List(ctx context.Context, q Query) ([]Algorithm, error) {
	v := url.Values{}
	for name, value := range map[string]string{"owner": q.Owner, "q": q.Text, "kind": q.Kind, "framework": q.Framework} {
		if value != "" {
			v.Set(name, value)
		}
	}
	out := []Algorithm{}
	seen := map[string]bool{} // an algorithm that is published meanwhile moves the others on
	for {
		if q.Limit > 0 {
			v.Set("limit", strconv.Itoa(min(q.Limit-len(out), pageSize)))
		}
		var page struct {
			Marker  string      `json:"marker"`
			Results []Algorithm `json:"results"`
		}
		if err := c.do(ctx, request{method: http.MethodGet, path: "/v1/algorithms", query: v}, nil, &page); err != nil {
			return nil, err
		}
		before := len(out)
		for _, a := range page.Results {
			if !seen[a.ID] && (q.Limit <= 0 || len(out) < q.Limit) {
				out = append(out, a)
			}
			seen[a.ID] = true
		}
		// A server that gives the same page for ever is not followed.
		if page.Marker == "" || len(out) == before || len(out) == q.Limit {
			return out, nil
		}
		v.Set("marker", page.Marker)
	}
}

// Show gives all there is to know of the version that ref means.
func (c *Client) Show(ctx context.Context, ref string) (*Algorithm, error) {
	r, parsed, err := algorithmRequest(http.MethodGet, ref)
	if err != nil {
		return nil, err
	}
	out := &Algorithm{}
	if err := c.do(ctx, r, nil, out); err != nil {
		if e := stoa.AsError(err); e.Kind == stoa.NotFound && parsed.Version.IsZero() {
			return nil, stoa.Errorf(stoa.NotFound, "algorithm %s does not exist, or you may not see it", parsed)
		}
		return nil, err
	}
	return out, nil
}

// Versions lists the versions of an algorithm that the caller may see, newest
// first.
func (c *Client) Versions(ctx context.Context, ref string) ([]Algorithm, error) {
	r, _, err := algorithmRequest(http.MethodGet, ref)
	if err != nil {
		return nil, err
	}
	return list[Algorithm](ctx, c, r.path+"/versions", nil)
}

// Remove deletes the version that ref names, or the whole algorithm where it
// names none.
func (c *Client) Remove(ctx context.Context, ref string) error {
	r, parsed, err := algorithmRequest(http.MethodDelete, ref)
	if err != nil {
		return err
	}
	if !parsed.Version.IsZero() {
		r.path += "/versions/" + url.PathEscape(parsed.Version.String())
		r.query = nil
	}
	return c.do(ctx, r, nil, nil)
}

// OpenFile opens a file of a version. The caller closes it.
func (c *Client) OpenFile(ctx context.Context, ref, name string) (io.ReadCloser, error) {
	r, _, err := algorithmRequest(http.MethodGet, ref)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	r.path += "/files/" + strings.Join(parts, "/")
	res, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func algorithmRequest(method, ref string) (request, stoa.Ref, error) {
	parsed, err := stoa.ParseRef(ref)
	if err != nil {
		return request{}, parsed, err
	}
	r := request{method: method, path: "/v1/algorithms/" + parsed.Owner + "/" + parsed.Name}
	if v := parsed.Version.String(); v != "" {
		r.query = url.Values{"version": {v}}
	}
	return r, parsed, nil
}

func list[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	var page struct {
		Results []T `json:"results"`
	}
	if err := c.do(ctx, request{method: http.MethodGet, path: path, query: q}, nil, &page); err != nil {
		return nil, err
	}
	return page.Results, nil
}
