package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
)

func (a *app) secretsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "secrets",
		Short: "Set what an algorithm's code must know and nobody may read",
		Long: `Secrets are environment variables of an algorithm's code. They are encrypted
where the server keeps them, given to its replicas, and never shown again. A
change starts the replicas anew.`,
		Example: `  stoa secrets set me/hello TOKEN            # asks for the value
  stoa secrets set me/hello TOKEN < token.txt
  stoa secrets ls me/hello
  stoa secrets rm me/hello TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.secretsLsCommand(), a.secretsSetCommand(), a.secretsRmCommand())
	return c
}

func (a *app) secretsLsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "ls NAME",
		Short:   "List the names of an algorithm's secrets",
		Example: `  stoa secrets ls me/hello`,
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		found, err := cl.Secrets(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, found)
		}
		rows := [][]string{{"NAME", "SET", "BY"}}
		for _, s := range found {
			rows = append(rows, []string{s.Name, dateText(s.Set), s.By})
		}
		return table(a.env.Stdout, rows)
	}
	return c
}

func (a *app) secretsSetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME SECRET",
		Short: "Set a secret, whose value comes from standard input",
		Long:  "Set a secret. On a terminal its value is asked for and not shown; else it is all of standard input, without a line's end after it.",
		Example: `  stoa secrets set me/hello TOKEN
  stoa secrets set me/hello TOKEN < token.txt`,
		Args: cobra.ExactArgs(2),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if strings.Contains(args[1], "=") {
			return usagef("%s: the value does not belong on the command line, where others see it: write the name alone", strings.SplitN(args[1], "=", 2)[0])
		}
		value, err := a.secretValue(args[1])
		if err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		if err := cl.SetSecret(c.Context(), args[0], args[1], value); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]string{"set": args[1]})
		}
		fmt.Fprintf(a.env.Stdout, "set %s of %s\n", args[1], args[0])
		return nil
	}
	return c
}

func (a *app) secretValue(name string) (string, error) {
	if a.env.StdinTTY && a.env.ReadSecret != nil {
		v, err := a.env.ReadSecret(name + ": ")
		if err != nil {
			return "", stoa.Wrap(stoa.Invalid, err, "the value cannot be read: %v", err)
		}
		return v, nil
	}
	const most = 1 << 20 // far above what a server takes
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(a.env.Stdin), most))
	if err != nil {
		return "", stoa.Wrap(stoa.Invalid, err, "the value cannot be read: %v", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

func (a *app) secretsRmCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "rm NAME SECRET",
		Short:   "End a secret",
		Example: `  stoa secrets rm me/hello TOKEN`,
		Args:    cobra.ExactArgs(2),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		if err := cl.RemoveSecret(c.Context(), args[0], args[1]); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]string{"removed": args[1]})
		}
		fmt.Fprintf(a.env.Stdout, "removed %s of %s\n", args[1], args[0])
		return nil
	}
	return c
}
