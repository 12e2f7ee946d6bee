package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) linkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "link",
		Short: "Print a link that signs one browser in as you, once, within an hour",
		Example: `  stoa link
  xdg-open "$(stoa link)"`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		l, err := cl.SignInLink(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, l)
		}
		fmt.Fprintln(a.env.Stdout, l.URL)
		fmt.Fprintf(a.env.Stderr, "it works once, until %s UTC: keep it to yourself\n", dateText(l.Expires))
		return nil
	}
	return c
}
