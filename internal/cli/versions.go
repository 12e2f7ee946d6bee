package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) versionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "versions NAME",
		Short:   "List the versions of an algorithm",
		Long:    "List the versions of an algorithm that you may call, newest first.",
		Example: `  stoa versions demo/digits`,
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		found, err := cl.Versions(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, found)
		}
		rows := [][]string{{"VERSION", "VISIBILITY", "PUBLISHED", "BY", "CONTENT"}}
		for _, v := range found {
			rows = append(rows, []string{v.Version, v.Visibility, dateText(v.Created), v.Creator, v.Hash[:min(12, len(v.Hash))]})
		}
		return table(a.env.Stdout, rows)
	}
	return c
}
