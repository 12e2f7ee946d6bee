package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// printReport prints what an import found, for people.
func printReport(w io.Writer, r *importer.Report) error {
	format := r.Framework
	if r.Format != "" {
		format = r.Format
	}
	rows := [][]string{{"format", format}}
	if len(r.Files) > 0 {
		rows = append(rows, []string{"model files", strings.Join(r.Files, ", ")})
	}
	rows = append(rows, specRows("inputs", r.Inputs)...)
	rows = append(rows, specRows("outputs", r.Outputs)...)
	rows = append(rows,
		[]string{"layers", counts(r.Layers)},
		[]string{"operators", counts(r.Operators)},
		[]string{"parameters", human.Count(r.Parameters) + " (" + human.Bytes(r.WeightBytes) + ")"},
		[]string{"work", known("", human.Count(r.MACs), " multiply-adds a call")},
		[]string{"memory", known("about ", human.Bytes(r.MemoryBytes), "")},
	)
	if r.Opset > 0 {
		rows = append(rows, []string{"ONNX opset", fmt.Sprint(r.Opset)})
	}
	rows = append(rows, lines("mapped", mapped(r.Mapped))...)
	rows = append(rows, []string{"simplified", known("gone are ", counts(r.Simplified), ", made part of others or computed beforehand")})
	rows = append(rows, lines("not supported", r.Unsupported)...)
	rows = append(rows, lines("notes", r.Notes)...)
	if r.Check != nil {
		rows = append(rows, lines("compared", comparisons(r.Check.Compared))...)
	}
	return table(w, slices.DeleteFunc(rows, func(r []string) bool { return r[len(r)-1] == "" }))
}

// known puts words around what is known, and gives "" for what is not.
func known(before, what, after string) string {
	if what == "" {
		return ""
	}
	return before + what + after
}

func specRows(head string, specs []tensor.Spec) [][]string {
	var out []string
	for _, s := range specs {
		out = append(out, fmt.Sprintf("%s  %s %s", s.Name, s.DType, tensor.ShapeString(s.Shape)))
	}
	return lines(head, out)
}

// lines makes a row of each text, the first with the heading.
func lines(head string, texts []string) [][]string {
	var rows [][]string
	for _, t := range texts {
		rows = append(rows, []string{head, t})
		head = ""
	}
	return rows
}

// counts writes how many there are of each, most first.
func counts(m map[string]int) string {
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return m[b] - m[a] })
	parts := make([]string, 0, len(names))
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%d %s", m[n], n))
	}
	return strings.Join(parts, ", ")
}

// mapped writes what became of each type of layer: those that became the same in
// one line.
func mapped(m map[string][]string) []string {
	same := map[string][]string{}
	for _, layer := range slices.Sorted(maps.Keys(m)) {
		to := strings.Join(m[layer], ", ")
		same[to] = append(same[to], layer)
	}
	var out []string
	for _, to := range slices.Sorted(maps.Keys(same)) {
		out = append(out, strings.Join(same[to], ", ")+" → "+cmp.Or(to, "nothing"))
	}
	slices.Sort(out)
	return out
}

// comparisons writes how far each output was from what was wanted.
func comparisons(list []importer.Comparison) []string {
	out := make([]string, len(list))
	for i, c := range list {
		verdict := "within"
		if !c.OK {
			verdict = "OVER"
		}
		out[i] = fmt.Sprintf("%s: largest difference %.3g, %.3g of its scale, %s %.3g (%s)", c.Output, c.MaxAbs, c.MaxRel, verdict, c.Tolerance, filepath.Base(c.Wanted))
	}
	return out
}
