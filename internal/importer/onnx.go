package importer

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
)

// ONNX is the plug for models that are in ONNX already. They stay as they are:
// their version of the operators, and names. Only nodes that are out of order
// are put in order.
type ONNX struct{}

var _ Plug = ONNX{}

// Framework gives "onnx".
func (ONNX) Framework() string { return "onnx" }

// Operators gives those of ONNX itself.
func (ONNX) Operators() []string { return onnx.Operators() }

// Find takes every file that begins as a model does.
func (ONNX) Find(files []*File) []Candidate {
	var out []Candidate
	for _, f := range files {
		if data, err := f.Data(); err == nil && looksLikeONNX(data) {
			out = append(out, Candidate{Files: []string{f.Name}, Format: "ONNX"})
		}
	}
	return out
}

// looksLikeONNX tells whether the first fields are those of a ModelProto: a
// version first, as all writers put it, then only fields of the right kinds,
// and a graph, where the file goes on that far.
func looksLikeONNX(data []byte) bool {
	kinds := map[protowire.Number]protowire.Type{
		1: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.BytesType, 5: protowire.VarintType,
		6: protowire.BytesType, 7: protowire.BytesType, 8: protowire.BytesType, 14: protowire.BytesType, 20: protowire.BytesType,
		25: protowire.BytesType,
	}
	seen := map[protowire.Number]bool{}
	for i := 0; len(data) > 0 && i < 64; i++ {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || kinds[num] != typ || typ == 0 && num != 1 && num != 5 {
			return false
		}
		seen[num] = true
		if num == 7 {
			return seen[1] && graphBegins(data[n:])
		}
		m := protowire.ConsumeFieldValue(num, typ, data[n:])
		if m < 0 {
			return false
		}
		data = data[n+m:]
	}
	return false
}

// graphBegins tells whether a length and then the first field of a graph
// follow: one of its messages or names. The rest may be cut off.
func graphBegins(data []byte) bool {
	_, n := protowire.ConsumeVarint(data)
	if n < 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(data[n:])
	return n > 0 && typ == protowire.BytesType && num >= 1 && num <= 16
}

// Import reads a model and the files beside it that its weights lie in.
func (ONNX) Import(_ context.Context, job Job) (*Network, error) {
	name := job.Candidate.Files[0]
	f, err := job.Source.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := f.Data()
	if err != nil {
		return nil, err
	}
	m, err := onnx.Read(data)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	beside, err := m.LoadExternal(func(ref string) ([]byte, error) {
		f, err := job.Source.Open(inFolderOf(name, ref))
		if err != nil {
			return nil, err
		}
		return f.Data()
	})
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	net := &Network{
		Model: m, Files: []string{name},
		Format: fmt.Sprintf("ONNX (IR %d, opset %d, by %s)", m.IRVersion, m.OpsetOf(""), orUnknown(m.Producer)),
	}
	for _, ref := range beside {
		net.Files = append(net.Files, inFolderOf(name, ref))
	}
	sorted, err := onnx.Sort(m.Graph)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	if sorted {
		net.Notes = append(net.Notes, "the nodes were put into the order in which they run")
	}
	if n := len(m.Graph.Inputs) - len(m.Graph.TrueInputs()); n > 0 {
		net.Notes = append(net.Notes, fmt.Sprintf("%d weights are listed as inputs too, as old files do; they are not", n))
	}
	return net, nil
}

func orUnknown(s string) string {
	const longest = 40
	switch {
	case s == "":
		return "unknown"
	case len(s) > longest:
		return s[:longest]
	}
	return s
}
