package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/client"
)

func (a *app) lsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ls [WORDS…]",
		Short: "List the algorithms that you may call",
		Long:  "List the newest version of each algorithm that you may call, all or those that have the words in name, tagline or tags.",
		Example: `  stoa ls
  stoa ls photo --owner demo`,
	}
	owner := c.Flags().String("owner", "", "only those of this owner; me is you")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		found, err := cl.List(c.Context(), client.Query{Owner: *owner, Text: strings.Join(args, " ")})
		if err != nil {
			return err
		}
		if *asJSON {
			if found == nil {
				found = []client.Algorithm{}
			}
			return printJSON(a.env.Stdout, found)
		}
		if len(found) == 0 {
			fmt.Fprintln(a.env.Stderr, "there are none: publish one with stoa push")
			return nil
		}
		rows := [][]string{{"ALGORITHM", "VERSION", "VISIBILITY", "WHAT IT DOES"}}
		for _, v := range found {
			rows = append(rows, []string{v.Owner + "/" + v.Name, v.Version, v.Visibility, v.Tagline})
		}
		return table(a.env.Stdout, rows)
	}
	return c
}
