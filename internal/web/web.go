// Package web is the page that people see at the server's address: what the
// server offers to everybody, with a picture and a line to copy for each. It is
// rendered here, needs no JavaScript, loads nothing from elsewhere, and shows
// nothing that is not public.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

// Catalog is what the page asks of the catalogue; package catalog's Catalog is
// one.
type Catalog interface {
	Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*catalog.Version, error)
	List(ctx context.Context, who stoa.Caller, q catalog.Query) ([]*catalog.Version, error)
	OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error)
}

// Config is what the page needs.
type Config struct {
	Catalog   Catalog
	PublicURL string // "" takes the request's host
}

//go:embed home.tmpl
var homeText string

//go:embed home.css
var homeStyle []byte

// site is the door.
type site struct {
	cfg   Config
	home  *template.Template
	style string // path of the style sheet, which changes with its content
}

// The page may load its own pictures and style, and nothing else from anywhere.
const policy = "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Most algorithms that the page lists; there is a real catalogue page later.
const maxListed = 100

// Door makes the door.
func Door(cfg Config) (api.Door, error) {
	t, err := template.New("home").Parse(homeText)
	if err != nil {
		return api.Door{}, stoa.Wrap(stoa.Internal, err, "the home page cannot be read")
	}
	sum := sha256.Sum256(homeStyle)
	s := &site{cfg: cfg, home: t, style: "/assets/home-" + hex.EncodeToString(sum[:6]) + ".css"}
	s.cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return api.Door{Name: "web", WriteError: writeError, Routes: []api.Route{
		{Method: http.MethodGet, Pattern: "/{$}", Access: api.Anyone, Serve: s.page},
		{Method: http.MethodGet, Pattern: s.style, Access: api.Anyone, Serve: s.styleSheet},
		{Method: http.MethodGet, Pattern: "/files/{owner}/{name}/{path...}", Access: api.Anyone, Serve: s.file},
	}}, nil
}

// card is one algorithm on the page.
type card struct {
	Name    string // owner/name
	Version string
	Tagline string
	Before  string // URL of a picture; "" for none
	After   string // URL of the answer's picture; "" for none
	Answer  string // label that the sample got when it was published; "" for none
	Curl    string
}

type homePage struct {
	Style string
	Base  string
	Cards []card
	More  bool
}

func (s *site) page(w *api.Response, r *api.Request) error {
	found, err := s.cfg.Catalog.List(r.Context(), stoa.Caller{}, catalog.Query{Limit: maxListed + 1})
	if err != nil {
		return err
	}
	p := homePage{Style: s.style, Base: s.baseURL(r)}
	for _, v := range found {
		if !v.Public {
			continue
		}
		if len(p.Cards) == maxListed {
			p.More = true
			break
		}
		// The listing has no files.
		whole, err := s.cfg.Catalog.Resolve(r.Context(), stoa.Caller{}, exact(v))
		if stoa.KindOf(err) == stoa.NotFound && err != nil {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		p.Cards = append(p.Cards, makeCard(p.Base, whole))
	}
	var b bytes.Buffer
	if err := s.home.Execute(&b, p); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the page cannot be made")
	}
	writePage(w, http.StatusOK, b.Bytes())
	return nil
}

func exact(v *catalog.Version) stoa.Ref {
	return stoa.Ref{Owner: v.Owner, Name: v.Name, Version: stoa.VersionSpec{Kind: stoa.ExactVersion, Version: v.Number}}
}

func (s *site) baseURL(r *api.Request) string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func writePage(w *api.Response, status int, b []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader may have gone
}

// makeCard says what the page shows of an algorithm.
func makeCard(base string, v *catalog.Version) card {
	c := card{Name: v.Owner + "/" + v.Name, Version: v.Number.String(), Tagline: v.Tagline}
	var m manifest.Manifest
	if json.Unmarshal(v.Manifest, &m) != nil || m.Sample == nil {
		m.Sample = &manifest.Sample{} // the page does without
	}
	c.Curl = curl(base, v, m.Sample)
	before, after := pictures(v, m.Sample.File)
	c.Before, c.After = fileURL(v, before), fileURL(v, after)
	c.Answer = answer(v.Report)
	return c
}

// answer gives the label that the sample got when the version was published,
// as the report of the import has it.
func answer(report json.RawMessage) string {
	var r importer.Report
	if json.Unmarshal(report, &r) != nil || r.Check == nil {
		return ""
	}
	var a struct {
		Label string  `json:"label"`
		Score float64 `json:"score"`
	}
	if json.Unmarshal([]byte(r.Check.Answer), &a) != nil || a.Label == "" {
		return ""
	}
	return fmt.Sprintf("%s, %.0f %%", a.Label, 100*a.Score)
}

// pictures picks what to show: the picture that is the sample, or else the
// first one, and samples/after.* where there is one.
func pictures(v *catalog.Version, sample string) (before, after string) {
	first := ""
	for _, f := range v.Files {
		stem, in := strings.CutPrefix(strings.TrimSuffix(f.Name, path.Ext(f.Name)), "samples/")
		switch {
		case !in || !isPicture(f.Name):
		case stem == "after":
			after = f.Name
		case f.Name == sample, stem == "before" && before == "":
			before = f.Name
		case first == "":
			first = f.Name
		}
	}
	if before == "" {
		before = first
	}
	return before, after
}

func isPicture(name string) bool { return strings.HasPrefix(mediaType(name), "image/") }

// mediaType gives the content type under which a sample is sent.
func mediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain"
	case ".npy":
		return stoa.NpyMediaType
	}
	return "application/octet-stream"
}

// fileURL gives the address of a file of a version, which never changes.
func fileURL(v *catalog.Version, name string) string {
	if name == "" {
		return ""
	}
	u := url.URL{Path: "/files/" + v.Owner + "/" + v.Name + "/" + name, RawQuery: "version=" + v.Number.String()}
	return u.String()
}

// curl gives the line that calls an algorithm with its sample.
func curl(base string, v *catalog.Version, s *manifest.Sample) string {
	line := "curl " + base + "/v1/algo/" + v.Owner + "/" + v.Name + " \\\n  -H 'Authorization: Simple '$STOA_KEY \\\n  -H 'Content-Type: "
	switch {
	case s.File != "":
		line += mediaType(s.File) + "' --data-binary @" + quote(path.Base(s.File))
	case s.Text != "":
		line += "text/plain' -d " + quote(s.Text)
	default:
		b, err := json.Marshal(s.JSON)
		if err != nil || s.JSON == nil {
			b = []byte("null")
		}
		line += "application/json' -d " + quote(string(b))
	}
	return line
}

// quote writes s so that a shell takes it as it is.
func quote(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return ('a' > r || r > 'z') && ('A' > r || r > 'Z') && ('0' > r || r > '9') && !strings.ContainsRune("._-/", r)
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (s *site) styleSheet(w *api.Response, _ *api.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(homeStyle) // the reader may have gone
	return nil
}

// file serves the papers and samples of public versions, without a key.
func (s *site) file(w *api.Response, r *api.Request) error {
	name := r.PathValue("path")
	nothing := stoa.Errorf(stoa.NotFound, "there is no such file, or it is not public")
	if !api.IsPaper(name) {
		return nothing
	}
	text := r.PathValue("owner") + "/" + r.PathValue("name")
	version := r.URL.Query().Get("version")
	ref, err := stoa.ParseRef(strings.TrimSuffix(text+"/"+version, "/"))
	if err != nil {
		return nothing
	}
	v, err := s.cfg.Catalog.Resolve(r.Context(), stoa.Caller{}, ref)
	if err == nil && !v.Public {
		err = nothing
	}
	if stoa.KindOf(err) == stoa.NotFound && err != nil {
		return nothing
	}
	if err != nil {
		return err
	}
	content, err := s.cfg.Catalog.OpenFile(r.Context(), stoa.Caller{}, exact(v), name)
	if err != nil {
		return err
	}
	defer content.Close()
	if ref.Version.Kind == stoa.ExactVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f := api.File{Name: name, Content: content}
	for _, have := range v.Files {
		if have.Name == name {
			f.ETag = string(have.Digest)
		}
	}
	return api.ServeFile(w, r, f)
}

// writeError writes an error for people.
func writeError(w *api.Response, _ *api.Request, e *stoa.Error) {
	api.ErrorHeaders(w, e)
	text := template.HTMLEscapeString(api.Message(e))
	writePage(w, w.StatusFor(e), []byte("<!doctype html><meta charset=utf-8><title>Stoa</title><h1>"+text+"</h1><p><a href=\"/\">What there is</a></p>\n"))
}
