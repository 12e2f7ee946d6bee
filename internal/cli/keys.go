package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/client"
)

func (a *app) keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, make and revoke API keys",
		Example: `  stoa keys ls
  stoa keys new --label laptop
  stoa keys revoke simAbCd`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.keysLsCommand(), a.keysNewCommand(), a.keysRevokeCommand())
	return c
}

func (a *app) keysLsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "ls",
		Short:   "List your keys, revoked ones too",
		Example: `  stoa keys ls`,
		Args:    cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		found, err := cl.Keys(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, found)
		}
		rows := [][]string{{"ID", "BEGINS WITH", "LABEL", "MADE", "REVOKED"}}
		for _, k := range found {
			rows = append(rows, []string{k.ID, k.Prefix, k.Label, dateText(k.Created), dateText(k.Revoked)})
		}
		return table(a.env.Stdout, rows)
	}
	return c
}

func (a *app) keysNewCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a key, which is shown this once",
		Example: `  stoa keys new --label laptop
  export STOA_KEY=$(stoa keys new)`,
		Args: cobra.NoArgs,
	}
	var r client.KeyRequest
	c.Flags().StringVar(&r.Label, "label", "", "what you call it")
	c.Flags().StringVar(&r.User, "user", "", "for another user (administrators only)")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		k, err := cl.NewKey(c.Context(), r)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, k)
		}
		fmt.Fprintln(a.env.Stdout, k.Key)
		fmt.Fprintf(a.env.Stderr, "a key of %s, id %s: keep it, it is not shown again\n", k.User, k.ID)
		return nil
	}
	return c
}

func (a *app) keysRevokeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "revoke ID",
		Short:   "End a key, named by its id, its beginning or itself",
		Example: `  stoa keys revoke simAbCd`,
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		if err := cl.RevokeKey(c.Context(), args[0]); err != nil {
			return err
		}
		// Perhaps a whole key: it is not printed.
		shown := args[0][:min(8, len(args[0]))]
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]string{"revoked": shown})
		}
		fmt.Fprintf(a.env.Stdout, "revoked %s\n", shown)
		return nil
	}
	return c
}
