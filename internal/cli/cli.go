// Package cli is the command line. Most commands speak to a server through
// package client; inspect, preview, import, init, runner-test and doctor work on this machine, and
// serve and worker run the system itself. A command reads the world only
// through Env, and what the rooms beneath do for it only through Deps, so that
// every command can be tested as it is used.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

// Env is the world of a command.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string // nil: nothing is set
	Home           string              // the user's home folder; "" for none
	Program        string              // how this program was called, such as ./stoa; "" is stoa
	// Whether each stream is a terminal.
	StdinTTY, StdoutTTY, StderrTTY bool
	// ReadSecret asks for a secret without showing it; nil: it is read from
	// Stdin like any line.
	ReadSecret func(prompt string) (string, error)
}

// Deps is what the rooms beneath do for the local commands. A nil function is
// an ability that this build lacks: its command says so by name.
type Deps struct {
	Version string // of this build
	Build   string // tells two builds of the same version apart
	Serve   func(ctx context.Context, o ServeOptions) error
	// Start starts a server within this process; its Run must be called then.
	Start  func(ctx context.Context, o ServeOptions) (*Server, error)
	Worker func(ctx context.Context, o WorkerOptions) error
	// Plugs read models, for the commands that need no server.
	Plugs []importer.Plug
	// CheckONNX runs an ONNX file on each case and compares its outputs.
	CheckONNX func(ctx context.Context, model string, cases []importer.Case) ([]importer.Comparison, error)
	// Checks are what doctor looks at beyond its own.
	Checks []Check
	// Protections says what a sandbox is on this machine that a server would have.
	Protections func(ctx context.Context, o ServeOptions) []Row
}

// ServeOptions are those of stoa serve.
type ServeOptions struct {
	Data        string
	Listen      string
	PublicURL   string
	ONNXRuntime string   // the library; "" finds it
	Keyless     []string // what strangers may call; nil is the server's default
	KeylessRate int      // of their calls, a minute and address; 0 is the server's default
	Forwarded   bool     // a proxy writes X-Forwarded-For
	Sandbox     string   // on, strict or none; "" is the server's default
	Init        string   // stoa-init; "" finds it
	Bwrap       string   // bubblewrap; "" finds it
	Cgroup      string   // a control group given to this user; "" finds a place
	BuildHosts  []string // that builds may reach; nil is those of the language clients' configuration, and empty none
	CodeHosts   []string // that running code may reach
	KeepLogs    time.Duration
	Verbose     bool
}

// WorkerOptions are those of stoa worker, which only the server starts.
type WorkerOptions struct {
	Args []string
}

// app is what the commands share.
type app struct {
	env    Env
	deps   Deps
	server string // flags
	key    string
}

// New makes the root command with all others below it.
func New(env Env, deps Deps) *cobra.Command {
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	a := &app{env: env, deps: deps}
	root := &cobra.Command{
		Use:   "stoa",
		Short: "Turn trained models and code into always-on, versioned REST services",
		Long: `Stoa turns trained models and code into always-on, versioned REST services on
your own machines. One program is the server, the worker and this command line.

The server and key of a command are those of --server and --key, else of
STOA_SERVER and STOA_KEY, else of the profile that "stoa login" wrote, else
` + defaultServer + ` without a key.`,
		Example: `  stoa serve                                 # in one terminal
  stoa login http://127.0.0.1:8080 --key KEY # in another
  stoa push demo/digits
  stoa call demo/digits --file seven.png`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.PersistentFlags().StringVar(&a.server, "server", "", "URL of the server")
	root.PersistentFlags().StringVar(&a.key, "key", "", "API key (seen by others in the process list: prefer STOA_KEY or stoa login)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Sprintf("%v\nsee %s --help", err, c.CommandPath())}
	})
	root.AddCommand(
		a.serveCommand(), a.workerCommand(), a.initCommand(), a.devCommand(), a.pushCommand(), a.callCommand(), a.lsCommand(), a.showCommand(),
		a.versionsCommand(), a.rmCommand(), a.inspectCommand(), a.previewCommand(), a.importCommand(), a.keysCommand(), a.loginCommand(), a.linkCommand(),
		a.logsCommand(), a.secretsCommand(), a.runnerTestCommand(), a.doctorCommand(), a.versionCommand(), a.upCommand(), a.downCommand(),
	)
	return root
}

// The exit statuses of commands.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnsupported = 2 // of import: the model has what is not supported
)

// unsupportedError is a model that cannot be imported for what it has.
type unsupportedError struct{ error }

func (e unsupportedError) Unwrap() error { return e.error }

// usageError is a command line that cannot be understood.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// silentError is a failure whose reasons were printed already.
type silentError struct{}

func (silentError) Error() string { return "failed" }

// Run runs one command line and gives its exit status. What went wrong, and
// what to do about it, goes to Stderr.
func Run(ctx context.Context, args []string, env Env, deps Deps) int {
	root := New(env, deps)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	if usage, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(env.Stderr, "stoa: %s\n", usage.msg)
		return ExitUsage
	}
	unsupported := errors.As(err, new(unsupportedError))
	switch silent := errors.As(err, new(silentError)); {
	case silent && unsupported:
		return ExitUnsupported
	case silent:
		return ExitFailed
	}
	var known *stoa.Error
	if !errors.As(err, &known) && isCobra(err) {
		fmt.Fprintf(env.Stderr, "stoa: %v\nsee stoa --help\n", err)
		return ExitUsage
	}
	printError(ctx, env.Stderr, err)
	if unsupported {
		return ExitUnsupported
	}
	return ExitFailed
}

// isCobra tells cobra's own errors about the command line, which have no type.
func isCobra(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "unknown command") || strings.HasPrefix(s, "required flag") ||
		strings.HasPrefix(s, "accepts ") || strings.HasPrefix(s, "requires at least") || strings.HasPrefix(s, "if any flags in the group")
}

// printError says what went wrong and, where something can be done, what.
func printError(ctx context.Context, w io.Writer, err error) {
	e := stoa.AsError(err)
	msg := e.Msg
	switch {
	case e.Kind == stoa.Internal && e.Err != nil && msg == "internal error":
		msg = e.Err.Error() // an error of this machine, which has no secrets from its user
	case e.Kind == stoa.Canceled && ctx.Err() != nil:
		msg = "stopped"
	case msg == "":
		msg = e.Kind.String()
	}
	// Both may be an author's own words.
	fmt.Fprintf(w, "stoa: %s\n", printableText(strings.TrimRight(msg, "\n")))
	if e.Stack != "" {
		fmt.Fprintln(w, printableText(strings.TrimRight(e.Stack, "\n")))
	}
	if h := hint(e); h != "" {
		fmt.Fprintf(w, "  %s\n", h)
	}
}

// hint says what a person can do about an error of a kind.
func hint(e *stoa.Error) string {
	switch e.Kind {
	case stoa.Unauthenticated:
		return "log in with: stoa login SERVER --key KEY (the server keeps its first key in DIR/admin-key)"
	case stoa.Unavailable:
		if e.RetryAfter > 0 {
			return "try again in " + e.RetryAfter.Round(time.Second).String()
		}
		return "start a server with: stoa serve, or name another with --server or STOA_SERVER"
	case stoa.Busy:
		return "try again in " + max(e.RetryAfter, time.Second).Round(time.Second).String()
	case stoa.NotFound:
		if strings.Contains(e.Msg, "algorithm") {
			return "see what there is with: stoa ls"
		}
	case stoa.Timeout:
		return "allow it longer with --timeout"
	default:
	}
	return ""
}

// missing is the error of an ability that this build lacks.
func missing(what string) error {
	return stoa.Errorf(stoa.Unsupported, "this build of stoa has no %s", what)
}
