package main

import "github.com/stoa-project/stoa/internal/cli"

// dependencies is what the rooms beneath do for the commands that need no
// server.
func dependencies(version string) cli.Deps {
	return cli.Deps{Version: version}
}
