package algorithm

import (
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
)

// file serves the papers and samples of a version to whoever may see it.
func (p *pages) file(w *api.Response, r *api.Request) error {
	name := r.PathValue("path")
	nothing := stoa.Errorf(stoa.NotFound, "there is no such file, or you may not see it")
	ref, err := reference(r)
	if err != nil {
		return nothing
	}
	v, err := p.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if stoa.KindOf(err) == stoa.NotFound && err != nil {
		return nothing
	}
	if err != nil {
		return err
	}
	if !v.IsPaper(name) {
		return nothing
	}
	content, err := p.cfg.Catalog.OpenFile(r.Context(), r.Caller, exact(v), name)
	if err != nil {
		return err
	}
	defer content.Close()
	if ref.Version.Kind == stoa.ExactVersion {
		w.Header().Set("Cache-Control", cacheFor(v))
	}
	f := api.File{Name: name, Content: content}
	for _, have := range v.Files {
		if have.Name == name {
			f.ETag = string(have.Digest)
		}
	}
	return api.ServeFile(w, r, f)
}

// cacheFor says who may keep a file of an exact version, which never changes:
// of a private one the browser alone.
func cacheFor(v *catalog.Version) string {
	if v.Public {
		return "public, max-age=31536000, immutable"
	}
	return "private, no-cache"
}

// reference reads the algorithm of a request's path, and its version from the
// query.
func reference(r *api.Request) (stoa.Ref, error) {
	text := r.PathValue("owner") + "/" + r.PathValue("name")
	return stoa.ParseRef(strings.TrimSuffix(text+"/"+r.URL.Query().Get("version"), "/"))
}

func exact(v *catalog.Version) stoa.Ref {
	return stoa.Ref{Owner: v.Owner, Name: v.Name, Version: stoa.VersionSpec{Kind: stoa.ExactVersion, Version: v.Number}}
}
