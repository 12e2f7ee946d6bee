package algorithmia

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// algorithm is a version of an algorithm as this door writes it. Files,
// Manifest and Report are left out of listings.
type algorithm struct {
	ID         string          `json:"id"` // of the algorithm, the same for all its versions
	Owner      string          `json:"owner"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Visibility string          `json:"visibility"` // public, private
	Kind       string          `json:"kind"`
	Framework  string          `json:"framework,omitempty"` // of origin
	Tagline    string          `json:"tagline"`
	Tags       []string        `json:"tags,omitempty"`
	Hash       string          `json:"hash"`
	Creator    string          `json:"creator,omitempty"`
	Created    string          `json:"created"`
	URL        string          `json:"url"` // to call this very version
	Files      []blob.File     `json:"files,omitempty"`
	Manifest   json.RawMessage `json:"manifest,omitempty"`
	Report     json.RawMessage `json:"report,omitempty"`
}

// page is a listing in the form that Algorithmia's have.
type page[T any] struct {
	Marker   *string `json:"marker"`
	NextLink *string `json:"next_link"`
	Results  []T     `json:"results"`
}

func (a *API) brief(r *api.Request, v *catalog.Version) algorithm {
	visibility := "private"
	if v.Public {
		visibility = "public"
	}
	var m struct {
		Tags []string `json:"tags"`
	}
	_ = json.Unmarshal(v.Manifest, &m) // the catalogue checked it; without tags a listing is still right
	return algorithm{
		ID: v.Algorithm, Owner: v.Owner, Name: v.Name, Version: v.Number.String(), Visibility: visibility,
		Kind: v.Kind, Framework: v.Framework, Tagline: v.Tagline, Tags: m.Tags, Hash: v.Hash, Creator: v.Creator,
		Created: v.Created.UTC().Format(time.RFC3339), URL: a.callURL(r, v),
	}
}

func (a *API) whole(r *api.Request, v *catalog.Version) algorithm {
	out := a.brief(r, v)
	out.Files, out.Manifest, out.Report = v.Files, v.Manifest, v.Report
	return out
}

// callURL gives the URL at which exactly this version is called.
func (a *API) callURL(r *api.Request, v *catalog.Version) string {
	return a.baseURL(r) + callPrefix + v.Owner + "/" + v.Name + "/" + v.Number.String()
}

func (a *API) baseURL(r *api.Request) string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// foundPage is a page of a search. The numbers are of all its pages.
type foundPage struct {
	page[algorithm]
	Total      int            `json:"total"`
	Kinds      map[string]int `json:"kinds"`
	Frameworks map[string]int `json:"frameworks"`
}

// list answers GET /v1/algorithms?q=&owner=&kind=&framework=&limit=&marker=.
func (a *API) list(w *api.Response, r *api.Request) error {
	params := r.URL.Query()
	q, err := listQuery(params, r.Caller)
	if err != nil {
		return err
	}
	found, err := a.cfg.Catalog.Search(r.Context(), r.Caller, q)
	if err != nil {
		return err
	}
	out := foundPage{Total: found.Total, Kinds: counts(found.Kinds), Frameworks: counts(found.Frameworks)}
	out.Results = a.briefs(r, found.Versions)
	if next := q.Offset + len(found.Versions); len(found.Versions) > 0 && next < found.Total {
		marker := writeMarker(next)
		params.Set("marker", marker)
		link := a.baseURL(r) + r.URL.Path + "?" + params.Encode()
		out.Marker, out.NextLink = &marker, &link
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

func listQuery(params url.Values, who stoa.Caller) (catalog.Query, error) {
	q := catalog.Query{
		Owner: params.Get("owner"), Text: params.Get("q"), Kind: params.Get("kind"), Framework: params.Get("framework"),
		Limit: maxListed,
	}
	if q.Owner == "me" {
		q.Owner = who.Account
	}
	if s := params.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxListed {
			return q, stoa.Errorf(stoa.Invalid, "limit=%.40s: write a number from 1 to %d", s, maxListed)
		}
		q.Limit = n
	}
	if s := params.Get("marker"); s != "" {
		n, ok := readMarker(s)
		if !ok {
			return q, stoa.Errorf(stoa.Invalid, "marker=%.40s is none that a page gave: take it from there as it is, or leave it out to begin anew", s)
		}
		q.Offset = n
	}
	return q, nil
}

// maxListed is a page of Algorithmia's listings.
const maxListed = 1000

// A marker says how many come before the next page. It is written so that
// nobody counts on that.
const markerPrefix = "after:"

func writeMarker(n int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(markerPrefix + strconv.Itoa(n)))
}

func readMarker(s string) (int, bool) {
	if len(s) > 40 {
		return 0, false
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, false
	}
	digits, ok := strings.CutPrefix(string(b), markerPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && writeMarker(n) == s
}

func counts(fs []catalog.Facet) map[string]int {
	out := make(map[string]int, len(fs))
	for _, f := range fs {
		out[f.Name] = f.Count
	}
	return out
}

func (a *API) briefs(r *api.Request, vs []*catalog.Version) []algorithm {
	out := make([]algorithm, 0, len(vs))
	for _, v := range vs {
		out = append(out, a.brief(r, v))
	}
	return out
}

// pathRef reads the reference of a management route, whose version stands in
// the path or in the query.
func pathRef(r *api.Request) (stoa.Ref, error) {
	s := r.PathValue("owner") + "/" + r.PathValue("name")
	version := r.PathValue("version")
	if version == "" {
		version = r.URL.Query().Get("version")
	}
	if version != "" {
		s += "/" + version
	}
	ref, err := stoa.ParseRef(s)
	if err == nil && ref.Owner == "me" && r.Caller.Account != "" {
		ref.Owner = r.Caller.Account
	}
	return ref, err
}

// show answers GET /v1/algorithms/{owner}/{name}. Where the algorithm does not
// exist, error is a string: clients compare the whole body.
func (a *API) show(w *api.Response, r *api.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	v, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		e := stoa.AsError(err)
		if e.Kind == stoa.NotFound && ref.Version.IsZero() {
			api.ErrorHeaders(w, e)
			api.WriteBody(w, http.StatusNotFound, []byte(`{"error":"No such algorithm"}`))
			return nil
		}
		return e
	}
	return api.WriteJSON(w, http.StatusOK, a.whole(r, v))
}

// versions answers GET …/versions.
func (a *API) versions(w *api.Response, r *api.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	found, err := a.cfg.Catalog.Versions(r.Context(), r.Caller, ref)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, page[algorithm]{Results: a.briefs(r, found)})
}

// remove answers DELETE of an algorithm or of one version.
func (a *API) remove(w *api.Response, r *api.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	if err := a.cfg.Catalog.Remove(r.Context(), r.Caller, ref); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// file answers GET …/files/{path...}. Who may call an algorithm may read its
// papers and samples; the rest, its weights above all, is for its owner.
func (a *API) file(w *api.Response, r *api.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	name := r.PathValue("path")
	v, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		return err
	}
	if !r.Caller.Admin && !strings.EqualFold(v.Owner, r.Caller.Account) && !v.IsPaper(name) {
		return stoa.Errorf(stoa.Forbidden, "%.200s: of an algorithm that is not yours you may read README, LICENSE, NOTICE and samples/", name)
	}
	// The very version that was checked, not one published since.
	ref.Version = stoa.VersionSpec{Kind: stoa.ExactVersion, Version: v.Number}
	content, err := a.cfg.Catalog.OpenFile(r.Context(), r.Caller, ref, name)
	if err != nil {
		return err
	}
	defer content.Close()
	return api.ServeFile(w, r, api.File{Name: name, Content: content, ETag: etag(v, name)})
}

// etag gives a file's digest, by which browsers recognise it.
func etag(v *catalog.Version, name string) string {
	for _, f := range v.Files {
		if f.Name == name {
			return string(f.Digest)
		}
	}
	return ""
}
