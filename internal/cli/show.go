package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

func (a *app) showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show NAME[/VERSION]",
		Short: "Show all there is to know of an algorithm",
		Long: `Show a version of an algorithm: what it does, how to call it, its files, and the
report of its import; of code its limits, its schema, and how it was built.`,
		Example: `  stoa show demo/digits
  stoa show demo/digits/1.0.2 --json
  stoa show me/hello --build-log             # what its build printed`,
		Args: cobra.ExactArgs(1),
	}
	buildLog := c.Flags().Bool("build-log", false, "print what the build of the version printed, and nothing else")
	asJSON := jsonFlag(c)
	c.MarkFlagsMutuallyExclusive("build-log", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		v, err := cl.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		switch {
		case *asJSON:
			return printJSON(a.env.Stdout, v)
		case *buildLog:
			return a.showBuildLog(v)
		}
		return showAlgorithm(a.env.Stdout, v)
	}
	return c
}

func showAlgorithm(w io.Writer, v *client.Algorithm) error {
	fmt.Fprintf(w, "%s/%s %s\n", v.Owner, v.Name, v.Version)
	if v.Tagline != "" {
		fmt.Fprintln(w, v.Tagline)
	}
	fmt.Fprintln(w)
	rows := [][]string{
		{"call", v.URL},
		{"visibility", v.Visibility},
		{"kind", v.Kind},
		{"published", dateText(v.Created) + " by " + v.Creator},
		{"content", v.Hash},
	}
	if len(v.Tags) > 0 {
		rows = append(rows, []string{"tags", strings.Join(v.Tags, ", ")})
	}
	for i, f := range v.Files {
		head := ""
		if i == 0 {
			head = "files"
		}
		rows = append(rows, []string{head, f.Name, human.Bytes(f.Size)})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	if v.Kind == manifest.KindCode {
		return showCode(w, v)
	}
	var r importer.Report
	if len(v.Report) == 0 || json.Unmarshal(v.Report, &r) != nil || r.Framework == "" {
		return nil //nolint:nilerr // a server of another version may report in another form
	}
	fmt.Fprintln(w, "\nimport")
	return printReport(w, &r)
}
