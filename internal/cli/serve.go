package cli

import (
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
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
address so often. All else wants a key.`,
		Example: `  stoa serve
  stoa serve --data ./.stoa --listen 127.0.0.1:8080
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
		return a.deps.Serve(c.Context(), o)
	}
	return c
}
