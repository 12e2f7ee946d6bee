package onnx

import (
	"io/fs"
	"path"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// EachTensor calls f for every tensor of the graph, those in attributes and in
// nested graphs too, until f gives an error.
func (g *Graph) EachTensor(f func(*Tensor) error) error {
	for _, t := range g.Initializers {
		if err := f(t); err != nil {
			return err
		}
	}
	for _, n := range g.Nodes {
		for i := range n.Attrs {
			if err := n.Attrs[i].eachTensor(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Attribute) eachTensor(f func(*Tensor) error) error {
	if a.T != nil {
		if err := f(a.T); err != nil {
			return err
		}
	}
	for _, t := range a.Tensors {
		if err := f(t); err != nil {
			return err
		}
	}
	for _, g := range a.Subgraphs() {
		if err := g.EachTensor(f); err != nil {
			return err
		}
	}
	return nil
}

// Subgraphs gives the graphs that an attribute holds.
func (a *Attribute) Subgraphs() []*Graph {
	if a.G != nil {
		return append([]*Graph{a.G}, a.Graphs...)
	}
	return a.Graphs
}

// LoadExternal gives the tensors whose data lie beside the model's file views of
// those files, which file opens by names relative to the model's folder. Names
// that could lead out of it are refused before file sees them. It gives the
// names of the files used.
func (m *Model) LoadExternal(file func(name string) ([]byte, error)) ([]string, error) {
	var used []string
	files := map[string][]byte{}
	err := m.Graph.EachTensor(func(t *Tensor) error {
		if t.External == nil {
			return nil
		}
		name, err := t.External.name()
		if err != nil {
			return stoa.Errorf(stoa.Invalid, "onnx: tensor %s: %s", quote(t.Name), err.Msg)
		}
		data, ok := files[name]
		if !ok {
			var err error
			if data, err = file(name); err != nil {
				return stoa.Wrap(stoa.KindOf(err), err, "onnx: tensor %s has its data in %s: %s", quote(t.Name), quote(name), stoa.AsError(err).Msg)
			}
			files[name] = data
			used = append(used, name)
		}
		return t.attach(data, name)
	})
	return used, err
}

// name checks where external data is said to lie.
func (e *External) name() (string, *stoa.Error) {
	name := path.Clean(strings.ReplaceAll(e.Location, `\`, "/"))
	if !fs.ValidPath(name) || name == "." || strings.Contains(e.Location, "..") || strings.ContainsAny(e.Location, ":\x00") {
		return "", stoa.Errorf(stoa.Invalid, "its external data is said to lie at %s, which is no file of the model's own folder", quote(e.Location))
	}
	return name, nil
}

func (t *Tensor) attach(data []byte, name string) error {
	want, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "onnx: tensor %s: %s", quote(t.Name), stoa.AsError(err).Msg)
	}
	e := t.External
	if e.Length >= 0 && e.Length != want {
		return stoa.Errorf(stoa.Invalid, "onnx: tensor %s of %s %s takes %d bytes, and its external data is said to have %d",
			quote(t.Name), tensor.ShapeString(t.Shape), t.DType, want, e.Length)
	}
	if size := int64(len(data)); e.Offset > size || want > size-e.Offset {
		return stoa.Errorf(stoa.Invalid, "onnx: tensor %s has bytes %d to %d of %s, which has only %d",
			quote(t.Name), e.Offset, e.Offset+want, quote(name), size)
	}
	t.Data = data[e.Offset : e.Offset+want : e.Offset+want]
	t.External = nil
	return nil
}
