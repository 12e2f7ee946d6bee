package cli

import "github.com/spf13/cobra"

// workerCommand is the process that runs models. The server starts it, with
// arguments that are between the two of them.
func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "worker",
		Short:              "Run models for a server, which starts this itself",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if a.deps.Worker == nil {
				return missing("worker")
			}
			return a.deps.Worker(c.Context(), WorkerOptions{Args: args})
		},
	}
}
