package langpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"

	"github.com/goccy/go-yaml"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
)

// spec is language.yaml. In patterns and commands stand words in braces:
//
//	{name}              the algorithm's name, without its owner
//	{entry}             the file that holds the author's code
//	{command}           code.command of the manifest, as words of its own
//	{app} {deps} {lang} the folders of the layers, as the program sees them
//	{python3}           a program of the host by its path, as found
type spec struct {
	Name    string   `yaml:"name"`
	Title   string   `yaml:"title"`
	Aliases []string `yaml:"aliases"` // what algorithmia.conf calls it
	// Detect has patterns of files by which a folder is recognised, the most
	// certain first; those of one line are equally certain.
	Detect [][]string `yaml:"detect"`
	// Entry has patterns of the file that holds the author's code, in the order
	// in which they are tried; Tests of files that are never it. No Entry: the
	// program is named by code.command.
	Entry  []string `yaml:"entry"`
	Tests  []string `yaml:"tests"`
	Ignore []string `yaml:"ignore"`

	Programs []program `yaml:"programs"`
	Version  string    `yaml:"version"` // a command whose first line names the runtime's version

	Start    launch    `yaml:"start"`
	Variants []variant `yaml:"variants"`
	// Prepare is a script that is run on the host where the runner was laid out, in
	// LANG_DIR, to make starts quicker. A runner works without it.
	Prepare string    `yaml:"prepare"`
	Build   buildSpec `yaml:"build"`
}

// program is one that must be on the host.
type program struct {
	Name string `yaml:"name"`
	// Find is a script of the shell that prints the program's real path and then
	// the folders that it needs, a line each. "" follows the links of PATH's.
	Find   string `yaml:"find"`
	Remedy string `yaml:"remedy"` // how to get it
	// BuildOnly is one that only the build needs.
	BuildOnly bool `yaml:"build_only"`
}

// launch is how an author's program is started and spoken to.
type launch struct {
	Protocol string   `yaml:"protocol"`
	Run      []string `yaml:"run"`
	Env      []string `yaml:"env"`
}

// variant is another launch, of programs that have a file with a pattern in it.
// What it leaves out is as the language has it.
type variant struct {
	Files   []string `yaml:"files"`
	Pattern string   `yaml:"pattern"`
	Start   launch   `yaml:"start"`

	pattern *regexp.Regexp
}

// buildSpec is what build.Recipe has, as scripts of the shell. Beside what
// build.Recipe gives them they get STOA_ENTRY and STOA_NAME.
type buildSpec struct {
	Locks        []string `yaml:"locks"`
	Dependencies string   `yaml:"dependencies"`
	Build        string   `yaml:"build"`
	// Settings prints, on the host, the variables NAME=VALUE by which the
	// language's client does in the sandbox what it would do here.
	Settings string   `yaml:"settings"`
	Hosts    string   `yaml:"hosts"`
	Env      []string `yaml:"env"`
	// Offline has the variables by which the client asks no server: of a build
	// whose manifest does not ask for the network. STOA_NETWORK=1 is set otherwise.
	Offline []string `yaml:"offline"`
	Failure string   `yaml:"failure"`
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9+#-]{0,39}$`)

// parse reads a language.yaml; unknown fields are refused.
func parse(file string, data []byte) (*spec, error) {
	s := new(spec)
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(s); err != nil {
		msg := err.Error()
		if e, ok := errors.AsType[yaml.Error](err); ok {
			msg = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				msg = fmt.Sprintf("%d:%d: %s", t.Position.Line, t.Position.Column, msg)
			}
		}
		return nil, stoa.Wrap(stoa.Invalid, err, "%s:%s", file, msg)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, stoa.Errorf(stoa.Invalid, "%s: a second document begins: a language is one", file)
	}
	if field, msg := s.check(); field != "" {
		return nil, stoa.Errorf(stoa.Invalid, "%s: %s: %s", file, field, msg)
	}
	return s, nil
}

// check gives the first field that is wrong, and why.
func (s *spec) check() (field, msg string) {
	switch {
	case !nameForm.MatchString(s.Name):
		return "name", "lower-case letters, digits, plus, hash and dash"
	case s.Title == "":
		return "title", "is missing"
	case len(s.Start.Run) == 0:
		return "start.run", "is missing: say what to start"
	case s.Build.Build == "":
		return "build.build", "is missing: say how /out is filled"
	}
	for _, list := range append([][]string{s.Entry, s.Tests, s.Ignore, s.Build.Locks}, s.Detect...) {
		for _, p := range list {
			if _, err := path.Match(p, ""); err != nil {
				return p, "is no pattern"
			}
		}
	}
	for _, p := range s.Programs {
		if p.Name == "" || p.Remedy == "" {
			return "programs", "each has a name and a remedy"
		}
	}
	if _, err := regexp.Compile(s.Build.Failure); err != nil {
		return "build.failure", err.Error()
	}
	for i := range s.Variants {
		v := &s.Variants[i]
		var err error
		if v.pattern, err = regexp.Compile(v.Pattern); err != nil {
			return fmt.Sprintf("variants[%d].pattern", i), err.Error()
		}
		v.Start = v.Start.or(s.Start)
		if !v.Start.known() {
			return fmt.Sprintf("variants[%d].start.protocol", i), "write pipe or frames"
		}
	}
	if !s.Start.known() {
		return "start.protocol", "write pipe or frames"
	}
	return "", ""
}

func (l launch) known() bool { return l.Protocol == runner.Pipe || l.Protocol == runner.Frames }

// or gives the launch with what it leaves out from another.
func (l launch) or(other launch) launch {
	if l.Protocol == "" {
		l.Protocol = other.Protocol
	}
	if len(l.Run) == 0 {
		l.Run = other.Run
	}
	if len(l.Env) == 0 {
		l.Env = other.Env
	}
	return l
}
