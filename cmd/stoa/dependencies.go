package main

import (
	"github.com/stoa-project/stoa/internal/cli"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe"
)

// dependencies is what the rooms beneath do for the commands that need no
// server.
func dependencies(version string) cli.Deps {
	return cli.Deps{
		Version: version,
		Plugs:   []importer.Plug{importer.ONNX{}, caffe.Plug{}},
	}
}
