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
key once, and writes it to DIR/admin-key.`,
		Example: `  stoa serve
  stoa serve --data ./.stoa --listen 127.0.0.1:8080`,
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
	c.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "log more")
	c.Flags().Bool("json", false, "log as JSON, which it does always")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if a.deps.Serve == nil {
			return missing("server")
		}
		if _, _, err := net.SplitHostPort(o.Listen); err != nil {
			return usagef("--listen %s: write HOST:PORT, such as 127.0.0.1:8080", o.Listen)
		}
		return a.deps.Serve(c.Context(), o)
	}
	return c
}
