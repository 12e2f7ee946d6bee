package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
)

func (a *app) lsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ls [WORDS…]",
		Short: "List the algorithms that you may call",
		Long: "List the newest version of each algorithm that you may call: all, the newest first, or those that have the words in name, owner, tagline, tags or README, " +
			"the best match first. The beginning of a word suffices.",
		Example: `  stoa ls
  stoa ls photo --owner demo
  stoa ls face --framework caffe --limit 20`,
	}
	var q client.Query
	c.Flags().StringVar(&q.Owner, "owner", "", "only those of this owner; me is you")
	c.Flags().StringVar(&q.Kind, "kind", "", "only those of this kind, such as model")
	c.Flags().StringVar(&q.Framework, "framework", "", "only those that come from this framework, such as caffe or onnx")
	c.Flags().IntVar(&q.Limit, "limit", 0, "at most so many; 0 for all")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if q.Limit < 0 {
			return stoa.Errorf(stoa.Invalid, "--limit %d: write a number from 1 on, or 0 for all", q.Limit)
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		q.Text = strings.Join(args, " ")
		found, err := cl.List(c.Context(), q)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, found)
		}
		if len(found) == 0 {
			none := "there are none: publish one with stoa push"
			if q != (client.Query{Limit: q.Limit}) {
				none = "there are none of that: stoa ls lists all"
			}
			fmt.Fprintln(a.env.Stderr, none)
			return nil
		}
		rows := [][]string{{"ALGORITHM", "VERSION", "VISIBILITY", "FROM", "WHAT IT DOES"}}
		for _, v := range found {
			rows = append(rows, []string{v.Owner + "/" + v.Name, v.Version, v.Visibility, cmp.Or(v.Framework, "-"), v.Tagline})
		}
		return table(a.env.Stdout, rows)
	}
	return c
}
