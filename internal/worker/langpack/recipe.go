package langpack

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/runner"
)

// Recipe gives how a program of the language is built. src is the bundle's
// source. What the host lacks is an error that names the remedy.
func (l *Language) Recipe(m *manifest.Manifest, src fs.FS) (build.Recipe, error) {
	all, err := l.locate(forBuild)
	if err != nil {
		return build.Recipe{}, err
	}
	entry, err := l.entry(m, src)
	if err != nil {
		return build.Recipe{}, err
	}
	b := l.spec.Build
	r := build.Recipe{
		Language: l.Name(), Locks: slices.Clone(b.Locks), Dependencies: b.Dependencies, Build: b.Build, Hosts: b.Hosts,
		Failure: b.Failure,
	}
	for _, p := range l.spec.Programs {
		r.Programs = append(r.Programs, p.Name)
	}
	r.Env = append(r.Env, "PATH="+l.path(all), "HOME=/tmp", "STOA_ENTRY="+entry)
	if names := algorithmNames(m, nil); len(names) > 0 {
		r.Env = append(r.Env, "STOA_NAME="+names[0])
	}
	r.Env = append(r.Env, b.Env...)
	r.Env = append(r.Env, l.settings()...)
	if m.Code != nil && m.Code.Build != nil && m.Code.Build.Network {
		r.Env = append(r.Env, "STOA_NETWORK=1")
	} else {
		r.Env = append(r.Env, b.Offline...)
	}
	return r, nil
}

// Place says where a program's files are. Zero: the source is not to be had, and
// the folders are those of a replica.
type Place struct {
	Source          fs.FS  // the bundle's source, or the app layer, which has the same files
	App, Deps, Lang string // folders of the layers, as the program sees them
}

// Program gives how a built program is started and spoken to.
func (l *Language) Program(m *manifest.Manifest, at Place) (runner.Program, error) {
	all, err := l.locate(forReplica)
	if err != nil {
		return runner.Program{}, err
	}
	entry, err := l.entry(m, at.Source)
	if err != nil {
		return runner.Program{}, err
	}
	how := l.launch(at.Source)
	code := m.Code
	if code == nil {
		code = new(manifest.Code)
	}
	words := []string{
		"{entry}", entry, "{app}", or(at.App, build.AppDir), "{deps}", or(at.Deps, build.DepDir), "{lang}", or(at.Lang, build.LangDir),
	}
	for name, f := range all {
		words = append(words, "{"+name+"}", f.path)
	}
	fill := strings.NewReplacer(words...)
	p := runner.Program{Dir: or(at.App, build.AppDir), Protocol: or(code.Protocol, how.Protocol), Concurrency: 1}
	for _, w := range how.Run {
		if w == "{command}" {
			p.Command = append(p.Command, code.Command...)
			continue
		}
		p.Command = append(p.Command, fill.Replace(w))
	}
	p.Env = append(p.Env, "PATH="+l.path(all))
	for _, e := range how.Env {
		p.Env = append(p.Env, fill.Replace(e))
	}
	if p.Protocol == runner.Frames {
		p.Concurrency = max(code.Concurrency, 1)
	}
	return p, nil
}

// launch chooses how a program is started by what its files hold.
func (l *Language) launch(src fs.FS) launch {
	if src == nil {
		return l.spec.Start
	}
	const most = 1 << 20 // of a file: what is looked for stands in source that people write
	for _, v := range l.spec.Variants {
		for _, p := range v.Files {
			for _, name := range l.matches(src, path.Clean(p), nil) {
				info, err := fs.Stat(src, name)
				if err != nil || !info.Mode().IsRegular() || info.Size() > most {
					continue
				}
				if data, err := fs.ReadFile(src, name); err == nil && v.pattern.Match(data) {
					return v.Start
				}
			}
		}
	}
	return l.spec.Start
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
