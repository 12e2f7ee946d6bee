package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
)

func (a *app) rmCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rm NAME[/VERSION]",
		Short: "Remove a version, or an algorithm with all its versions",
		Long: `Remove one version of an algorithm, or the algorithm with all its versions where
none is named. Whoever calls it gets an error from then on. Without --yes it
asks, and where nobody can answer it refuses to remove a whole algorithm.`,
		Example: `  stoa rm me/net/1.0.2
  stoa rm me/net --yes`,
		Args: cobra.ExactArgs(1),
	}
	yes := c.Flags().BoolP("yes", "y", false, "do not ask")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		ref, err := stoa.ParseRef(args[0])
		if err != nil {
			return err
		}
		if ref.Version.IsZero() && !*yes {
			if err := a.confirm("remove " + ref.String() + " with all its versions?"); err != nil {
				return err
			}
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		if err := cl.Remove(c.Context(), args[0]); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]string{"removed": ref.String()})
		}
		fmt.Fprintf(a.env.Stdout, "removed %s\n", ref)
		return nil
	}
	return c
}

// confirm asks a person; where there is none it refuses.
func (a *app) confirm(question string) error {
	if !a.env.StdinTTY {
		return usagef("%s add --yes to say so", question)
	}
	fmt.Fprintf(a.env.Stderr, "%s [y/N] ", question)
	line, _ := bufio.NewReader(a.env.Stdin).ReadString('\n')
	if s := strings.ToLower(strings.TrimSpace(line)); s != "y" && s != "yes" {
		return stoa.Errorf(stoa.Canceled, "nothing was removed")
	}
	return nil
}
