// Package savedmodel opens what TensorFlow saves: graphs in files of their own,
// checkpoints with the graph that goes with them, and SavedModels, with the values
// of their variables. Values are views of the files.
package savedmodel

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/bundle"
	"github.com/stoa-project/stoa/internal/format/graphdef"
)

// Model is what was read: a graph, how it is meant to be used, and the values of
// its variables.
type Model struct {
	File       string   // that describes the graph
	Files      []string // all that were read
	Size       int64    // of all of them
	Graph      *graphdef.Graph
	Signatures map[string]*graphdef.Signature
	Vars       *Variables // nil where the graph is frozen
	Saved      bool       // by the SavedModel's form
	Notes      []string

	open func(name string) ([]byte, error)
}

// Open reads a file and those beside it that it needs, which open gives by name.
func Open(file string, open func(name string) ([]byte, error)) (*Model, error) {
	m := &Model{File: file, open: open}
	data, err := m.read(m.File)
	if err != nil {
		return nil, err
	}
	kind, text := Sight(data)
	if text {
		if data, err = graphdef.Binary(kind, data); err != nil {
			return nil, m.invalid(err)
		}
	}
	switch kind {
	case graphdef.KindGraph:
		m.Graph, err = graphdef.ParseGraph(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		return m, nil
	case graphdef.KindSavedModel:
		metas, err := graphdef.ParseSavedModel(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		m.Saved = true
		m.take(m.choose(metas))
		return m, m.variables(path.Join(path.Dir(m.File), "variables/variables"))
	case graphdef.KindMetaGraph:
		meta, err := graphdef.ParseMetaGraph(data)
		if err != nil {
			return nil, m.invalid(err)
		}
		m.take(meta)
		return m, m.variables(strings.TrimSuffix(m.File, ".meta"))
	case graphdef.KindNone:
	}
	return nil, stoa.Errorf(stoa.Invalid, "%s: it is no graph of TensorFlow", m.File)
}

func (m *Model) invalid(err error) error {
	return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", m.File, stoa.AsError(err).Msg)
}

func (m *Model) read(name string) ([]byte, error) {
	data, err := m.open(name)
	if err == nil {
		m.Files = append(m.Files, name)
		m.Size += int64(len(data))
	}
	return data, err
}

// choose takes the graph that is meant for serving.
func (m *Model) choose(metas []*graphdef.MetaGraph) *graphdef.MetaGraph {
	for _, meta := range metas {
		if slices.Contains(meta.Tags, "serve") {
			return meta
		}
	}
	if len(metas) > 1 {
		m.Notes = append(m.Notes, fmt.Sprintf("none of the %d graphs has the tag serve; the first one was taken, with the tags %s", len(metas), strings.Join(metas[0].Tags, ", ")))
	}
	return metas[0]
}

func (m *Model) take(meta *graphdef.MetaGraph) { m.Graph, m.Signatures = meta.Graph, meta.Signatures }

// variables opens the bundle whose files begin with a name. A SavedModel whose
// graph has no variables has none.
func (m *Model) variables(base string) error {
	data, err := m.read(base + ".index")
	if err != nil && m.Saved {
		return nil
	}
	if err != nil {
		return stoa.Errorf(stoa.Invalid, "%s: its variables, %s.index and %s.data-00000-of-00001, are not there: add them", m.File, path.Base(base), path.Base(base))
	}
	index, err := bundle.Parse(data)
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "%s.index: %s", base, stoa.AsError(err).Msg)
	}
	m.Vars = &Variables{file: base, index: index, shards: make([][]byte, index.Shards)}
	for i := range m.Vars.shards {
		name := fmt.Sprintf("%s.data-%05d-of-%05d", base, i, index.Shards)
		if m.Vars.shards[i], err = m.read(name); err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "%s: its variables lie in %s, which is not there: add it", m.File, name)
		}
	}
	return m.Vars.names()
}

// Sight tells what a file is.
func Sight(data []byte) (kind graphdef.Kind, text bool) {
	if kind = graphdef.SightText(data); kind != graphdef.KindNone {
		return kind, true
	}
	return graphdef.Sight(data), false
}
