package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/runner/runnertest"
)

// runnerFlags are those of runner-test.
type runnerFlags struct {
	program     runner.Program
	input, kind string
	env         []string
	load        time.Duration
}

func (a *app) runnerTestCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "runner-test [FLAGS] COMMAND…",
		Short: "Try whether a program keeps to a runner protocol",
		Long: `Start a program as a replica would, and try one by one what docs/runner-protocol.md
asks of it. No server is needed.

The program echoes its input, and does what a text asks it to where that begins
with "stoa:", such as stoa:error or stoa:print; the page tells them all. For a
program that does something else, --input gives an input that it answers: what
can be asked of any program is tried then. In a program of the pipe protocol the
FIFO is /tmp/algoout.`,
		Example: `  stoa runner-test --protocol frames --concurrency 4 ./echo
  stoa runner-test --dir hello --input '{"name": "Ann"}' --type json python3 pipe.py`,
		Args: cobra.MinimumNArgs(1),
	}
	var f runnerFlags
	fl := c.Flags()
	fl.SetInterspersed(false) // what follows the command is its own
	fl.StringVar(&f.program.Protocol, "protocol", runner.Pipe, "the protocol that it speaks: pipe or frames")
	fl.IntVar(&f.program.Concurrency, "concurrency", 1, "how many calls at once it may be given (frames)")
	fl.StringVar(&f.program.Dir, "dir", "", "the folder to start it in; by default this one")
	fl.StringVar(&f.input, "input", "", "an input that it answers, for a program that is no echo; @FILE for what a file holds")
	fl.StringVar(&f.kind, "type", "text", "what the input is: text, json or binary")
	fl.StringArrayVar(&f.env, "env", nil, "NAME=VALUE in its environment, beside PATH, HOME, LANG and TMPDIR; may be repeated")
	fl.DurationVar(&f.load, "load", time.Minute, "how long it may take to become ready")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.runnerSubject(&f, args, c.Flags().Changed("input"))
		if err != nil {
			return err
		}
		return a.runnerTest(c, s, *asJSON)
	}
	return c
}

// runnerSubject makes what is to be tried of a command line.
func (a *app) runnerSubject(f *runnerFlags, args []string, hasInput bool) (runnertest.Subject, error) { //nolint:revive // whether a flag was given, which is not its value
	s := runnertest.Subject{Program: f.program, Load: f.load}
	s.Program.Command = args
	switch f.program.Protocol {
	case runner.Pipe, runner.Frames:
	default:
		return s, usagef("--protocol %s: write pipe or frames", f.program.Protocol)
	}
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR"} {
		if v := a.env.Getenv(name); v != "" {
			s.Program.Env = append(s.Program.Env, name+"="+v)
		}
	}
	for _, e := range f.env {
		if !strings.Contains(e, "=") {
			return s, usagef("--env %s: write NAME=VALUE", e)
		}
		s.Program.Env = append(s.Program.Env, e)
	}
	if !hasInput {
		return s, nil
	}
	s.Input = stoa.Value{Type: stoa.ValueType(f.kind), Data: []byte(f.input)}
	switch s.Input.Type {
	case stoa.Text, stoa.JSON, stoa.Binary:
	default:
		return s, usagef("--type %s: write text, json or binary", f.kind)
	}
	if path, ok := strings.CutPrefix(f.input, "@"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return s, stoa.Wrap(stoa.Invalid, err, "--input: %v", err)
		}
		s.Input.Data = b
	}
	return s, nil
}

func (a *app) runnerTest(c *cobra.Command, s runnertest.Subject, asJSON bool) error { //nolint:revive // --json, as everywhere
	var all []runnertest.Check
	count := map[runnertest.Outcome]int{}
	failed, err := runnertest.Exercise(c.Context(), s, func(r runnertest.Check) {
		all = append(all, r)
		count[r.Outcome]++
		if asJSON {
			return
		}
		mark := string(r.Outcome)
		switch r.Outcome {
		case runnertest.Failed:
			mark = "FAILED"
		case runnertest.NotApplicable:
			mark = "-"
		default:
		}
		fmt.Fprintf(a.env.Stdout, "%-7s %s (%s)\n", mark, r.Name, r.Took.Round(100*time.Microsecond))
		for line := range strings.SplitSeq(r.Reason, "\n") {
			if line != "" {
				fmt.Fprintf(a.env.Stdout, "        %s\n", line)
			}
		}
	})
	if err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(a.env.Stdout, all); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.env.Stdout, "%d ok, %d failed, %d not applicable\n", count[runnertest.OK], failed, count[runnertest.NotApplicable])
	}
	if failed > 0 {
		return silentError{}
	}
	return nil
}
