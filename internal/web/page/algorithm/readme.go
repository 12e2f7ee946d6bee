package algorithm

import (
	"bytes"
	"html/template"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/web"
)

// The most of a README that is read, and the most HTML that it may become: the
// page has a limit of 40 KB. A longer one is cut, and the page leads to the rest.
// Some texts take the parser a time that grows with the square of their length,
// such as a line of ">" alone: 0.2 s at this length, a second at twice that.
const (
	maxReadme     = 20 << 10
	maxReadmeHTML = 18 << 10
)

// maxKept is how many READMEs are kept as HTML.
const maxKept = 256

// papers turns READMEs into HTML. What it gives was written by a stranger: no
// element, attribute or address gets through that is not on the list below.
type papers struct {
	policy *bluemonday.Policy

	mu   sync.Mutex
	kept map[string]readme // by the version's id: a version never changes
}

func newPapers() *papers {
	p := bluemonday.NewPolicy()
	p.AllowElements("h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "ul", "ol", "li", "pre", "code", "em", "strong", "del",
		"table", "thead", "tbody", "tr", "th", "td", "span", "div")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^[a-z0-9 ]{1,20}$`)).OnElements("span", "pre", "div")
	p.AllowAttrs("tabindex").Matching(regexp.MustCompile(`^0$`)).OnElements("pre", "div")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|right|center)$`)).OnElements("th", "td")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("src").Matching(regexp.MustCompile(`^/files/[^\\]*$`)).OnElements("img")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	return &papers{policy: p, kept: map[string]readme{}}
}

// keep remembers a README, and forgets all when they are too many.
func (p *papers) keep(id string, x readme) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) >= maxKept {
		clear(p.kept)
	}
	p.kept[id] = x
}

func (p *papers) find(id string) (readme, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, ok := p.kept[id]
	return x, ok
}

// readme gives a version's README.
func (p *pages) readme(r *api.Request, v *catalog.Version) (readme, error) {
	if x, ok := p.papers.find(v.ID); ok {
		return x, nil
	}
	name := ""
	for _, f := range v.Files {
		if strings.EqualFold(f.Name, "README.md") || name == "" && strings.EqualFold(f.Name, "README") {
			name = f.Name
		}
	}
	if name == "" {
		return readme{}, nil
	}
	c, err := p.cfg.Catalog.OpenFile(r.Context(), r.Caller, exact(v), name)
	if err != nil {
		return readme{}, err
	}
	defer c.Close()
	source, err := io.ReadAll(io.LimitReader(c, maxReadme+1))
	if err != nil {
		return readme{}, stoa.Wrap(stoa.Internal, err, "%s could not be read", name)
	}
	out, cut, err := p.papers.render(source, v)
	if err != nil {
		return readme{}, err
	}
	x := readme{HTML: out}
	if cut {
		x.Rest = web.FileURL(v, name)
	}
	p.papers.keep(v.ID, x)
	return x, nil
}

// render turns Markdown into HTML that is safe to show, and tells whether it
// had to leave out the end.
func (p *papers) render(source []byte, v *catalog.Version) (out template.HTML, cut bool, err error) {
	source = bytes.ToValidUTF8(source, []byte(string(utf8.RuneError)))
	if len(source) > maxReadme {
		source, cut = shorter(source, maxReadme), true
	}
	// Every turn takes at least a third away.
	for {
		html, err := p.html(source, v)
		if err != nil {
			return "", cut, err
		}
		if len(html) <= maxReadmeHTML {
			return html, cut, nil
		}
		source, cut = shorter(source, len(source)*2/3), true
	}
}

// shorter cuts before a paragraph, or where there is none, before a character.
func shorter(source []byte, most int) []byte {
	source = source[:most]
	if i := bytes.LastIndex(source, []byte("\n\n")); i > most/2 {
		return source[:i]
	}
	for len(source) > 0 && !utf8.Valid(source[max(0, len(source)-utf8.UTFMax):]) {
		source = source[:len(source)-1]
	}
	return source
}

func (p *papers) html(source []byte, v *catalog.Version) (template.HTML, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(place{v}, 100))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(coloured{}, 100))),
	)
	var b bytes.Buffer
	if err := md.Convert(source, &b); err != nil {
		return "", stoa.Wrap(stoa.Internal, err, "the README cannot be shown")
	}
	clean := p.policy.SanitizeBytes(b.Bytes())
	return template.HTML(clean), nil //nolint:gosec // it has just been cleaned
}

// place makes a README fit its place: headings below the page's own, and
// addresses within the bundle.
type place struct{ version *catalog.Version }

// Transform changes the tree; see parser.ASTTransformer.
func (p place) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it never fails
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+1, 6)
		case *ast.Image:
			n.Destination = []byte(p.address(string(n.Destination)))
		case *ast.Link:
			n.Destination = []byte(p.address(string(n.Destination)))
		}
		return ast.WalkContinue, nil
	})
}

// address turns a path within the bundle into the address where it is served,
// and leaves others as they are.
func (p place) address(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.Path == "" || strings.HasPrefix(u.Path, "/") {
		return s
	}
	return web.FileURL(p.version, strings.TrimPrefix(path.Clean("/"+u.Path), "/"))
}
