package savedmodel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
)

// The signatures that are there for the program that loads a model, and the one
// that most have.
const (
	initOp    = "__saved_model_init_op"
	trainOp   = "__saved_model_train_op"
	preferred = "serving_default"
)

// Signature chooses a signature: the one that was asked for, else the first that
// has the outputs that were, else serving_default or the first there is. It is
// nil where there is none, or where other tensors of the graph were asked for.
func (m *Model) Signature(asked string, outputs []string) (*graphdef.Signature, error) {
	var names []string
	for name, s := range m.Signatures {
		if name != initOp && name != trainOp && len(s.Outputs) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == preferred) != (b == preferred) {
			return map[bool]int{true: -1, false: 1}[a == preferred]
		}
		return cmp.Compare(a, b)
	})
	if asked != "" {
		if !slices.Contains(names, asked) {
			return nil, stoa.Errorf(stoa.Invalid, "%s: it has no signature %q; there are: %s", m.File, asked, strings.Join(names, ", "))
		}
		names = []string{asked}
	}
	if len(names) == 0 {
		if m.Saved && len(outputs) == 0 && len(m.Graph.Functions) > 0 {
			return nil, stoa.Errorf(stoa.Unsupported, "%s: the SavedModel has no signature, so that nothing says what goes in and out: save it with one, as in tf.saved_model.save(model, folder, signatures=model.call.get_concrete_function(tf.TensorSpec(...)))", m.File)
		}
		return nil, nil
	}
	if len(names) > 1 {
		m.note("the file has the signatures %s; to have another, name it (model.signature in stoa.yaml, --signature NAME on the command line)", strings.Join(names, ", "))
	}
	for _, name := range names {
		s := m.Signatures[name]
		if slices.ContainsFunc(outputs, func(o string) bool { _, ok := s.Outputs[o]; return !ok }) {
			continue
		}
		m.note("the network is that of the signature %s", name)
		if len(outputs) == 0 {
			return s, nil
		}
		out := &graphdef.Signature{Inputs: s.Inputs, Outputs: map[string]graphdef.Info{}, Method: s.Method}
		for _, o := range outputs {
			out.Outputs[o] = s.Outputs[o]
		}
		return out, nil
	}
	return nil, nil
}

func (m *Model) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}
