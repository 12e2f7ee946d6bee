package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/client"
)

func (a *app) logsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what an algorithm's code prints",
		Long: `Show what an algorithm's code has printed, call by call; with -f, go on as it
prints. It is for the owner of the algorithm and administrators, and the server
keeps it for a week.`,
		Example: `  stoa logs me/hello
  stoa logs me/hello -f --since 10m
  stoa logs me/hello/1.0.2 --tail 100 --json`,
		Args: cobra.ExactArgs(1),
	}
	var q client.LogQuery
	c.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on as it prints, until you stop it")
	c.Flags().IntVar(&q.Tail, "tail", 0, "only the last so many entries")
	c.Flags().StringVar(&q.Since, "since", "", "only entries from so long ago on, such as 10m, or from a time such as 2026-03-01T12:00:00Z")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		enc := json.NewEncoder(a.env.Stdout)
		enc.SetEscapeHTML(false)
		err = cl.Logs(c.Context(), args[0], q, func(e client.LogEntry) error {
			if *asJSON {
				return enc.Encode(e) // a value a line: there may be no end
			}
			a.printEntry(e)
			return nil
		})
		if q.Follow && c.Context().Err() != nil {
			return nil //nolint:nilerr // that is how it ends
		}
		return err
	}
	return c
}

// printEntry prints an entry with its time, version and call before each line.
func (a *app) printEntry(e client.LogEntry) {
	parts := []string{e.Time.Local().Format("2006-01-02 15:04:05.000"), e.Version, e.Request, e.Stream}
	head := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
	for line := range strings.Lines(e.Text) {
		fmt.Fprintf(a.env.Stdout, "%s  %s\n", head, printable(strings.TrimRight(line, "\r\n")))
	}
}

// printable keeps what an algorithm printed from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
