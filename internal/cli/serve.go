package cli

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/sandbox"
)

func (a *app) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until it is told to stop. All its state is in one folder, and
there is nothing to configure. The first start makes the user admin, prints its
key once, and writes it to DIR/admin-key. Every start prints a link that signs
one browser in, once, within an hour; "stoa link" prints another.

Without a key anybody may call the public algorithms that --keyless names, each
address so often. All else wants a key.

Workers, imports, builds and code run in a sandbox, and a protection that is
missing refuses to start. --sandbox=strict refuses weaker ones too, such as
memory that is only watched; --sandbox=none has none at all. Builds fetch
dependencies from the hosts that pip, npm and go are configured for here, unless
--build-host names others; code reaches no host that no --code-host names.`,
		Example: `  stoa serve
  stoa serve --data ./.stoa --listen 127.0.0.1:8080
  stoa serve --sandbox strict --build-host packages.example --build-host files.example
  stoa serve --code-host api.example.com:443        # what code may reach that asks for it
  stoa serve --keyless 'demo/*' --keyless ada/net   # what needs no key
  stoa serve --keyless none                         # nothing`,
		Args: cobra.NoArgs,
	}
	var o ServeOptions
	data := "~/.stoa"
	if a.env.Home != "" {
		data = filepath.Join(a.env.Home, ".stoa")
	}
	c.Flags().StringVar(&o.Data, "data", data, "folder of all state")
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8080", "address to listen at")
	c.Flags().StringVar(&o.PublicURL, "public-url", "", "URL at which callers see the server, where it stands behind a proxy")
	c.Flags().StringVar(&o.ONNXRuntime, "onnxruntime", "", "the ONNX Runtime library; found where it is usual, unless given")
	c.Flags().StringArrayVar(&o.Keyless, "keyless", nil, "owner/name or owner/* that may be called without a key where it is public; once for each; none for nothing (default demo/*)")
	c.Flags().IntVar(&o.KeylessRate, "keyless-rate", 30, "calls a minute that each address may make without a key")
	c.Flags().BoolVar(&o.Forwarded, "forwarded", false, "take callers' addresses from X-Forwarded-For, which a proxy in front writes")
	hostFlags(c, &o)
	c.Flags().DurationVar(&o.KeepLogs, "keep-logs", 7*24*time.Hour, "how long to keep what code prints")
	sandboxFlags(c, &o)
	c.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "log more")
	c.Flags().Bool("json", false, "log as JSON, which it does always")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if a.deps.Serve == nil {
			return missing("server")
		}
		if _, _, err := net.SplitHostPort(o.Listen); err != nil {
			return usagef("--listen %s: write HOST:PORT, such as 127.0.0.1:8080", o.Listen)
		}
		if o.KeylessRate < 1 {
			return usagef("--keyless-rate %d: write 1 or more, or --keyless none", o.KeylessRate)
		}
		if err := o.check(); err != nil {
			return err
		}
		a.warnSandbox(o.Sandbox)
		return startFailed(a.deps.Serve(c.Context(), o))
	}
	return c
}

// hostFlags adds the flags of what may be reached from sandboxes.
func hostFlags(c *cobra.Command, o *ServeOptions) {
	c.Flags().StringArrayVar(&o.BuildHosts, "build-host", nil, "host or host:port that builds may fetch from; once for each; none for none (default those of the language clients' own configuration)")
	c.Flags().StringArrayVar(&o.CodeHosts, "code-host", nil, "host, *.host or host:port that running code may reach where its stoa.yaml asks for it; once for each (default none)")
}

// sandboxFlags adds the flags of commands that start a sandbox.
func sandboxFlags(c *cobra.Command, o *ServeOptions) {
	c.Flags().StringVar(&o.Sandbox, "sandbox", string(sandbox.On), "on: in a sandbox or not at all; strict: and nothing weaker than it can be; none: without any protection")
	completes(c, "sandbox", string(sandbox.On), string(sandbox.Strict), string(sandbox.None))
	c.Flags().StringVar(&o.Init, "init", "", "the program stoa-init; found beside stoa, unless given")
	c.Flags().StringVar(&o.Cgroup, "cgroup", "", "control group, from the hierarchies' roots, that root has given to this user (docs/sandbox.md)")
	c.Flags().StringVar(&o.Bwrap, "bwrap", "", "bubblewrap; found beside stoa or on PATH, unless given")
}

// noHosts stands for no host at all.
const noHosts = "none"

// check refuses options that no server can have.
func (o *ServeOptions) check() error {
	switch sandbox.Mode(o.Sandbox) {
	case "", sandbox.On, sandbox.Strict, sandbox.None:
	default:
		return usagef("--sandbox %s: write on, strict or none", o.Sandbox)
	}
	if o.KeepLogs < 0 {
		return usagef("--keep-logs %s: write a time such as 168h", o.KeepLogs)
	}
	for flag, hosts := range map[string]*[]string{"--build-host": &o.BuildHosts, "--code-host": &o.CodeHosts} {
		if !slices.Contains(*hosts, noHosts) {
			continue
		}
		if len(*hosts) > 1 {
			return usagef("%s none stands alone or not at all", flag)
		}
		*hosts = []string{} // which is none, where nil would be the default
	}
	return nil
}

// warnSandbox says at every start that nothing protects the machine.
func (a *app) warnSandbox(mode string) {
	if sandbox.Mode(mode) != sandbox.None {
		return
	}
	text := "--sandbox=none: nothing protects this machine from what workers, imports, builds and code do: they run as you"
	if a.env.StderrTTY {
		text = "\x1b[1;31m" + text + "\x1b[0m"
	}
	fmt.Fprintln(a.env.Stderr, text)
}

// startFailed is the error of a server that could not start here, for which
// another server is no remedy.
func startFailed(err error) error {
	if stoa.KindOf(err) == stoa.Unavailable {
		return stoa.Wrap(stoa.Unsupported, err, "%s", stoa.AsError(err).Msg)
	}
	return err
}
