package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
)

func (a *app) loginCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Remember a server and a key for later commands",
		Long: `Check a key with its server and remember both in ~/.config/stoa/profile.json,
which only you can read. The key comes from --key, from STOA_KEY, or is asked
for; piped input is read as the key.`,
		Example: `  stoa login http://127.0.0.1:8080 --key simAbCd…
  stoa login < .stoa/admin-key`,
		Args: cobra.MaximumNArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.readProfile()
		if err != nil {
			p = profile{} // a broken one is about to be replaced
		}
		server := firstOf(strings.Join(args, ""), a.server, a.env.Getenv("STOA_SERVER"), p.Server, defaultServer)
		key := firstOf(a.key, a.env.Getenv("STOA_KEY"))
		if key == "" {
			if key, err = a.askKey(); err != nil {
				return err
			}
		}
		cl, err := client.New(server, key, client.Options{})
		if err != nil {
			return err
		}
		id, err := cl.WhoAmI(c.Context())
		if stoa.KindOf(err) == stoa.Unauthenticated && err != nil {
			return stoa.Wrap(stoa.Unauthenticated, err, "%s does not know this key: nothing was changed", cl.Server())
		}
		if err != nil {
			return err
		}
		path, err := a.writeProfile(profile{Server: cl.Server(), Key: key, Account: id.Account})
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]any{"server": cl.Server(), "account": id.Account, "admin": id.Admin, "profile": path})
		}
		fmt.Fprintf(a.env.Stdout, "logged in to %s as %s\n", cl.Server(), id.Account)
		return nil
	}
	return c
}

func (a *app) askKey() (string, error) {
	var line string
	var err error
	if a.env.StdinTTY && a.env.ReadSecret != nil {
		line, err = a.env.ReadSecret("key: ")
	} else {
		if a.env.StdinTTY {
			fmt.Fprint(a.env.Stderr, "key: ")
		}
		line, err = bufio.NewReader(io.LimitReader(a.env.Stdin, 4096)).ReadString('\n')
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", stoa.Wrap(stoa.Invalid, err, "there is no key: add --key KEY (the server keeps its first one in DIR/admin-key)")
	}
	return line, nil
}
