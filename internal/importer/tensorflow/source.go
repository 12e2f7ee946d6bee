package tensorflow

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/bundle"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/importer"
)

// model is what was read: a graph, how it is meant to be used, and the values of
// its variables.
type model struct {
	file       string // that describes the graph
	files      []string
	size       int64 // of all files
	graph      *graphdef.Graph
	signatures map[string]*graphdef.Signature
	vars       *variables // nil where the graph is frozen
	saved      bool       // by the SavedModel's form
	notes      []string
}

// open reads the files of a candidate.
func open(job importer.Job) (*model, error) {
	m := &model{file: job.Candidate.Files[0]}
	data, err := m.read(job.Source, m.file)
	if err != nil {
		return nil, err
	}
	kind, text := sight(data)
	if text {
		if data, err = graphdef.Binary(kind, data); err != nil {
			return nil, m.invalid(err)
		}
	}
	switch kind {
	case graphdef.KindGraph:
		m.graph, err = graphdef.ParseGraph(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		return m, nil
	case graphdef.KindSavedModel:
		metas, err := graphdef.ParseSavedModel(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		m.saved = true
		m.take(m.choose(metas))
		return m, m.variables(job.Source, path.Join(path.Dir(m.file), "variables/variables"))
	case graphdef.KindMetaGraph:
		meta, err := graphdef.ParseMetaGraph(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		m.take(meta)
		return m, m.variables(job.Source, strings.TrimSuffix(m.file, ".meta"))
	case graphdef.KindNone:
	}
	return nil, stoa.Errorf(stoa.Invalid, "%s: it is no graph of TensorFlow", m.file)
}

func (m *model) invalid(err error) error {
	return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", m.file, stoa.AsError(err).Msg)
}

func (m *model) read(src *importer.Source, name string) ([]byte, error) {
	f, err := src.Open(name)
	if err != nil {
		return nil, err
	}
	m.files = append(m.files, f.Name)
	m.size += f.Size
	return f.Data()
}

// choose takes the graph that is meant for serving.
func (m *model) choose(metas []*graphdef.MetaGraph) *graphdef.MetaGraph {
	for _, meta := range metas {
		if slices.Contains(meta.Tags, "serve") {
			return meta
		}
	}
	if len(metas) > 1 {
		m.notes = append(m.notes, fmt.Sprintf("none of the %d graphs has the tag serve; the first one was taken, with the tags %s", len(metas), strings.Join(metas[0].Tags, ", ")))
	}
	return metas[0]
}

func (m *model) take(meta *graphdef.MetaGraph) { m.graph, m.signatures = meta.Graph, meta.Signatures }

// variables opens the bundle whose files begin with a name. A SavedModel whose
// graph has no variables has none.
func (m *model) variables(src *importer.Source, base string) error {
	data, err := m.read(src, base+".index")
	if err != nil && m.saved {
		return nil
	}
	if err != nil {
		return stoa.Errorf(stoa.Invalid, "%s: its variables, %s.index and %s.data-00000-of-00001, are not there: add them", m.file, path.Base(base), path.Base(base))
	}
	index, err := bundle.Parse(data)
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "%s.index: %s", base, stoa.AsError(err).Msg)
	}
	m.vars = &variables{file: base, index: index, shards: make([][]byte, index.Shards)}
	for i := range m.vars.shards {
		name := fmt.Sprintf("%s.data-%05d-of-%05d", base, i, index.Shards)
		if m.vars.shards[i], err = m.read(src, name); err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "%s: its variables lie in %s, which is not there: add it", m.file, name)
		}
	}
	return m.vars.names()
}
