package manifest

import (
	"fmt"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
)

// Files are those of the bundle that a manifest is for.
type Files struct {
	Has  func(name string) bool
	Read func(name string) ([]byte, error) // bounded by whoever gives it
}

// Fit tells what is wrong with a manifest beside its files and its network: it
// names a file that is not there, or an adapter does not fit. text is the
// manifest's, for the lines. A graph without inputs and outputs is not known,
// and nothing is said about it.
func Fit(text []byte, m *Manifest, g media.Graph, files Files) []Problem {
	var out []Problem
	for _, name := range m.FileNames() {
		if !files.Has(name) {
			out = append(out, Problem{File: FileName, Msg: fmt.Sprintf("names %.100s, which is not among the files", name)})
		}
	}
	if len(out) > 0 || len(g.Inputs) == 0 && len(g.Outputs) == 0 {
		return out // the rest follows from these
	}
	if _, err := media.NewAdapter(m.Input, m.Output, g, files.Read, media.Limits{}); err != nil {
		msg := stoa.AsError(err).Msg
		p := Problem{File: FileName, Msg: msg}
		if field, _, ok := strings.Cut(msg, ": "); ok && !strings.Contains(field, " ") {
			p.Field = field
			p.Line, p.Column = Locate(text, field)
		}
		out = append(out, p)
	}
	return out
}
