package langpack

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// askTime is how long a language's program may take to tell about itself. pip
// takes half a second on a quiet machine.
const askTime = 30 * time.Second

// systemPath is searched behind the folders of what was found.
const systemPath = "/usr/local/bin:/usr/bin:/bin"

// host is what was found on this machine, once.
type host struct {
	mu       sync.Mutex
	programs map[string]found
	settings []string // NAME=VALUE
	asked    bool     // for the settings
	version  string
}

// found is where a program is, and the folders that it needs.
type found struct {
	path    string   // of the real program
	bin     []string // folders for PATH
	folders []string // beside those that every sandbox has
}

// part says whose programs are meant: a replica needs some, a build all.
type part bool

const (
	forReplica part = false
	forBuild   part = true
)

// programs gives the language's programs of a part.
func (l *Language) programs(of part) (out []program) {
	for _, p := range l.spec.Programs {
		if of == forBuild || !p.BuildOnly {
			out = append(out, p)
		}
	}
	return out
}

// locate finds what the language needs of the host. What was found is kept; what
// was missing is looked for again.
func (l *Language) locate(of part) (map[string]found, error) {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	all := map[string]found{}
	for _, p := range l.programs(of) {
		f, known := l.host.programs[p.Name]
		if !known {
			var err error
			if f, err = p.locate(); err != nil {
				return nil, err
			}
			if l.host.programs == nil {
				l.host.programs = map[string]found{}
			}
			l.host.programs[p.Name] = f
		}
		all[p.Name] = f
	}
	return all, nil
}

func (p program) locate() (found, error) {
	at, err := exec.LookPath(p.Name)
	if err != nil {
		return found{}, stoa.Wrap(stoa.Unsupported, err, "%s is not on this machine's PATH: %s", p.Name, p.Remedy)
	}
	var lines []string
	if p.Find != "" {
		out, err := ask(p.Find)
		if err != nil {
			return found{}, stoa.Wrap(stoa.Unsupported, err, "%s does not run: %s", at, p.Remedy)
		}
		lines = strings.Split(strings.TrimSpace(out), "\n")
	}
	if len(lines) == 0 || lines[0] == "" {
		lines = []string{at}
	}
	real, err := filepath.EvalSymlinks(lines[0])
	if err != nil || !filepath.IsAbs(real) {
		return found{}, stoa.Wrap(stoa.Unsupported, err, "%s is not where it says, at %.200q: %s", p.Name, lines[0], p.Remedy)
	}
	f := found{path: real}
	if len(lines) == 1 && !ofSystem(real) {
		lines = append(lines, filepath.Dir(filepath.Dir(real)))
	}
	for _, folder := range lines[1:] {
		f.addFolder(strings.TrimSpace(folder))
	}
	// The real program's own folder is the second choice: beside the real npm, whose
	// file has another name, lies another program of that name.
	if !f.addBin(filepath.Dir(at)) {
		f.addBin(filepath.Dir(real))
	}
	return f, nil
}

// addFolder adds a folder that a program says it needs, where it is one that a
// sandbox lacks. The root and its children are never that: a program that names
// them is not installed in a place of its own.
func (f *found) addFolder(folder string) {
	folder = filepath.Clean(folder)
	if !filepath.IsAbs(folder) || ofSystem(folder) || strings.Count(folder, "/") < 2 || slices.Contains(f.folders, folder) {
		return
	}
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		f.folders = append(f.folders, folder)
	}
}

// addBin adds a folder to search, if a sandbox has it.
func (f *found) addBin(folder string) bool {
	within := func(top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") }
	there := ofSystem(folder) || slices.ContainsFunc(f.folders, within)
	if there && !slices.Contains(f.bin, folder) {
		f.bin = append(f.bin, folder)
	}
	return there
}

// ofSystem tells whether every sandbox has a path: /usr, and what belongs to it.
func ofSystem(name string) bool {
	for _, top := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64"} {
		if name == top || strings.HasPrefix(name, top+"/") {
			return true
		}
	}
	return false
}

// ask runs a script of a language's folder on the host and gives what it prints.
func ask(script string, env ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), askTime)
	defer stop()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	if len(env) > 0 {
		c.Env = append(c.Environ(), env...)
	}
	var out, bad bytes.Buffer
	c.Stdout, c.Stderr = &out, &bad
	c.Dir = "/"
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return "", stoa.Wrap(stoa.Unsupported, err, "%.500s", strings.TrimSpace(bad.String()))
	}
	return out.String(), nil
}

// path gives the PATH of a replica, or of a build, by what was found for it.
func (l *Language) path(all map[string]found) string {
	var dirs []string
	for _, p := range l.spec.Programs {
		for _, d := range all[p.Name].bin {
			if !slices.Contains(dirs, d) && !slices.Contains(strings.Split(systemPath, ":"), d) {
				dirs = append(dirs, d)
			}
		}
	}
	return strings.Join(append(dirs, systemPath), ":")
}

// Mounts gives what a replica needs of the host beside what every sandbox has:
// an interpreter that is not installed below /usr, read-only and at its own path.
func (l *Language) Mounts() ([]sandbox.Mount, error) {
	return l.mounts(forReplica)
}

// BuildMounts gives what a build needs of the host: what a replica does, the
// language's clients, and the files that their settings name.
func (l *Language) BuildMounts() ([]sandbox.Mount, error) {
	out, err := l.mounts(forBuild)
	if err != nil {
		return nil, err
	}
	for _, s := range l.settings() {
		_, value, _ := strings.Cut(s, "=")
		for _, word := range append(strings.Fields(value), value) {
			out = addMount(out, word)
		}
	}
	return out, nil
}

func (l *Language) mounts(of part) (out []sandbox.Mount, err error) {
	all, err := l.locate(of)
	if err != nil {
		return nil, err
	}
	for _, p := range l.programs(of) {
		for _, folder := range all[p.Name].folders {
			out = addMount(out, folder)
		}
	}
	return out, nil
}

// addMount adds an existing path of the host, once, unless a sandbox has it.
func addMount(list []sandbox.Mount, name string) []sandbox.Mount {
	if !filepath.IsAbs(name) || filepath.Clean(name) == "/" || ofSystem(name) {
		return list
	}
	if _, err := os.Stat(name); err != nil {
		return list
	}
	m := sandbox.Mount{Source: name, Target: name}
	if slices.Contains(list, m) {
		return list
	}
	return append(list, m)
}

// settings gives the variables by which the language's client is configured on
// this machine. Where it cannot tell them, it has none: the build's own message
// says then what is missing.
func (l *Language) settings() []string {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	if l.host.asked || l.spec.Build.Settings == "" {
		return l.host.settings
	}
	out, err := ask(l.spec.Build.Settings)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if name, value, ok := strings.Cut(line, "="); ok && name != "" && value != "" && !strings.ContainsAny(name, " \t") {
			l.host.settings = append(l.host.settings, line)
		}
	}
	l.host.asked = true
	return l.host.settings
}

// Runtime gives the version of what builds and runs the language here, such as
// "Python 3.11.7"; the language's title where it needs nothing.
func (l *Language) Runtime() (string, error) {
	if _, err := l.locate(forBuild); err != nil {
		return "", err
	}
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	if l.host.version == "" && l.spec.Version != "" {
		out, err := ask(l.spec.Version)
		if err != nil {
			return "", err
		}
		first, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
		l.host.version = first
	}
	if l.host.version == "" {
		return l.Title(), nil
	}
	return l.host.version, nil
}
