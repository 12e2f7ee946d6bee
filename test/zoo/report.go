package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/importer"
)

const heading = `# Coverage: whole architectures of the real frameworks

Each row is a network with seeded random weights that the framework itself built, saved and ran on batches of one and of three. Stoa imported the file once,
without any framework, and ONNX Runtime ran both batches. The difference is the largest of all outputs as a share of the largest number of that output; the goal
is %g. Written by ` + "`make zoo`" + `, from test/zoo/results.json.

| Network | File | Framework | Parameters | Largest difference | Transposes left, of operators | Import |
|---|---|---|---|---|---|---|
`

// report writes the table.
func report(results []result) error {
	var b strings.Builder
	fmt.Fprintf(&b, heading, importer.Tolerance)
	for _, r := range results {
		_, rest, _ := strings.Cut(r.Name, "/")
		arch, form, _ := strings.Cut(rest, ".")
		off := fmt.Sprintf("%.1e", r.MaxRel)
		if r.Error != "" {
			off = "**fails**: " + strings.ReplaceAll(r.Error, "|", "/")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d of %d | %.1f s |\n", arch, form, r.Framework, human.Count(r.Parameters), off, r.Transposes, r.Operators, r.Seconds)
	}
	return os.WriteFile(coverageFile, []byte(b.String()), 0o644)
}
