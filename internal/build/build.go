// Package build turns source into what a replica starts from: layers, each a
// deterministic tar that is stored by its digest. It runs a language's own
// client (pip, npm, go) in the sandbox, with the network only where the manifest
// asks for it and only through the egress proxy. Dependencies are a layer of
// their own, kept under the hash of what names them, so that a change of code
// alone installs nothing.
package build

import (
	"context"
	"encoding/json"
	"io"

	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// Recipe is how a language builds and runs. Package worker/langpack reads it
// from the language's folder. Dependencies and Build are scripts: the text after
// /bin/sh -e -c. They run in the sandbox, in the folder of the source, and find
// the folders by these variables, which a run without a sandbox sets to others:
//
//	SRC=/src       the source, a copy that may be changed
//	DEPS=/deps     the dependency layer: written by Dependencies; Build only reads
//	               it, and it is there, empty, where there are no dependencies
//	OUT=/out       the app layer, written by Build
//	CACHE=/cache   kept between builds, without which a build must work too. What
//	               is in it was written by code of authors: one cache for owners
//	               who trust each other
//	LANG_DIR=/lang the language's runner folder, read-only
//
// Beside them they have what Env says (PATH and HOME among it), and nothing else.
// Build needs no network.
type Recipe struct {
	Language string   // python
	Programs []string // that must be on the host, found on PATH: python3, npm
	// Locks are the files that name the dependencies, as patterns. Their content
	// is the key of the dependency layer. None there: no dependencies.
	Locks []string
	// Dependencies fills /deps from /src's lock files. "" for none.
	Dependencies string
	// Build fills /out with what runs, from /src and /deps.
	Build string
	// Hosts tells the servers that the language's client uses: a script for
	// /bin/sh -e -c on the host, with Env, whose words are URLs, hosts, or host:port.
	Hosts string
	// Env is added to what the commands get: how to pass the host's configuration
	// on, NAME=VALUE; a NAME alone is taken from the host's environment if it is there.
	Env []string
	// Failure is a pattern of Go's package regexp whose first group that is not
	// empty is the place (file:line) of what failed, looked for in the log's lines
	// from its end.
	Failure string
}

// Layers of a version, by their names among its built files, and where a
// replica sees them.
const (
	AppLayer  = "layers/app.tar"  // what Build made
	DepLayer  = "layers/deps.tar" // what Dependencies made; absent where there is none
	LangLayer = "layers/lang.tar" // the language's runner, as it was at the build
	AppDir    = "/opt/algorithm"
	DepDir    = "/opt/deps"
	LangDir   = "/opt/lang"
)

// Job is one folder of source to build.
type Job struct {
	Source   string             // the bundle's files under their names; not changed
	Out      string             // empty folder for the layers
	Manifest *manifest.Manifest // of kind code
	Recipe   Recipe
	// Owner is whose algorithm it is. What a build leaves behind for the next one is
	// kept apart by owner: it was written by code that nobody else trusts.
	Owner string
	// Runtime is the version of the language's runtime, such as "Python 3.11.7".
	// Dependencies that were installed for another one are not used.
	Runtime string
	Runner  string          // the host's folder of the language's runner; "" for none
	Mounts  []sandbox.Mount // of the host, what the runtime needs beside /usr
	Log     io.Writer       // gets the build's output as it comes, in whole lines; may be nil
}

// Result is what a build made.
type Result struct {
	Files  []string // names of layers, below Out
	Report Report
}

// Report is kept with the version.
type Report struct {
	Language  string   `json:"language"`
	Framework string   `json:"framework"`       // the language as people write it
	Runtime   string   `json:"runtime"`         // such as "Python 3.11.7"
	Protocol  string   `json:"protocol"`        // of the runner
	Command   []string `json:"command"`         // that starts it, inside
	Env       []string `json:"env,omitempty"`   // beside what every replica gets
	Cached    bool     `json:"cached"`          // the dependencies were there
	Seconds   float64  `json:"seconds"`         // of the build
	Hosts     []string `json:"hosts,omitempty"` // that the build spoke to
	Log       string   `json:"log"`             // its end, at most 64 KiB
	Programs  []string `json:"programs"`        // of the host, as found
	DepsBytes int64    `json:"deps_bytes"`      // of the dependency layer
	AppBytes  int64    `json:"app_bytes"`       // of the app layer
	Check     any      `json:"check,omitempty"` // what the sample answered
}

// JSON gives the report as a version keeps it.
func (r Report) JSON() (json.RawMessage, error) { return json.Marshal(r) }

// Builder builds; Local is the one there is.
type Builder interface {
	Build(ctx context.Context, j Job) (Result, error)
}
