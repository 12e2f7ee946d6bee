package cli

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// codeFiles gives the files of a folder of code, name to path: all but hidden
// ones, what the manifest ignores and what the language does. A link to a file
// within the folder is that file; one that leads out, or to a folder, is refused.
func (s *source) codeFiles(m *manifest.Manifest) (map[string]string, error) {
	lang, err := langpack.Detect(s.fsys(), m)
	if err != nil {
		return nil, err
	}
	ignore := lang.Ignore()
	out := map[string]string{}
	err = fs.WalkDir(s.fsys(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", name, plainCause(err))
		case name == ".", name == manifest.FileName:
			return nil
		case !m.Holds(name) || manifest.IgnoredByCode(name, ignore):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case len(out) == maxBundleFiles:
			return stoa.Errorf(stoa.TooLarge, "there are more files than a bundle may have (%d): name what does not belong to it in code.ignore of %s, such as %s",
				maxBundleFiles, manifest.FileName, firstOf(strings.TrimPrefix(path.Dir(name), "."), name))
		}
		out[name], err = s.path(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, s.named(m, out)
}

// named refuses a manifest that names files which are not in the bundle.
func (s *source) named(m *manifest.Manifest, files map[string]string) error {
	for _, name := range m.FileNames() {
		if _, ok := files[name]; ok {
			continue
		}
		if _, err := s.path(name); err != nil {
			return err
		}
		return stoa.Errorf(stoa.Invalid, "%s names %s, which the bundle does not hold: take it out of code.ignore, or give it a name that the language does not ignore", manifest.FileName, name)
	}
	return nil
}

// guess makes the manifest of files that have none: of a model, or of a folder
// that is in a language. name is that of the algorithm, "" where none was given.
func (a *app) guess(ctx context.Context, src *source, name string, opt importer.Options) (text, from string, err error) {
	conf, err := src.conf()
	if err != nil {
		return "", "", err
	}
	if conf != nil {
		return codeManifest(src, name, conf)
	}
	s, err := a.sketch(ctx, src, name, opt)
	if err == nil {
		return s.Text(), "the model's files", nil
	}
	// A folder that holds a model, though one that is not supported, is no code.
	if src.dir == "" || s.Report.Framework != "" || stoa.KindOf(err) != stoa.Unsupported {
		return "", "", err
	}
	text, from, cerr := codeManifest(src, name, nil)
	if cerr != nil {
		return "", "", stoa.Wrap(stoa.KindOf(err), err, "%s; and as code: %s", stoa.AsError(err).Msg, stoa.AsError(cerr).Msg)
	}
	return text, from, nil
}

// conf gives what algorithmia.conf of a folder says; nil where there is none.
func (s *source) conf() (*langpack.Conf, error) {
	if s.dir == "" {
		return nil, nil
	}
	return langpack.ReadConf(s.fsys())
}

// codeManifest makes the manifest of a folder of code; conf may be nil.
func codeManifest(src *source, name string, conf *langpack.Conf) (text, from string, err error) {
	fsys := src.fsys()
	lang, err := langpack.Detect(fsys, &manifest.Manifest{Name: name})
	if err != nil {
		return "", "", err
	}
	m := &manifest.Manifest{Name: name, Kind: manifest.KindCode, Code: &manifest.Code{Language: lang.Name()}}
	from = "the code, which is in " + lang.Title()
	if conf != nil {
		from = "algorithmia.conf"
		if m = conf.Manifest(lang.Name()); name != "" {
			m.Name = name
		}
	}
	comments := manifest.Comments{}
	lock, err := dependencies(fsys, lang.Locks())
	if err != nil {
		return "", "", err
	}
	if lock != "" {
		m.Code.Build = &manifest.CodeBuild{Network: true}
		comments["code.build"] = "What " + lock + " names is fetched when it is built."
	}
	return string(manifest.Marshal(m, comments)), from, nil
}

// dependencies gives the first file that matches a pattern and has a line beside
// comments; "" where there is none.
func dependencies(fsys fs.FS, patterns []string) (string, error) {
	for _, p := range patterns {
		names, err := fs.Glob(fsys, p)
		if err != nil {
			return "", stoa.Wrap(stoa.Internal, err, "%s is no pattern", p)
		}
		slices.Sort(names)
		for _, n := range names {
			some, err := hasLines(fsys, n)
			if err != nil {
				return "", stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", n, plainCause(err))
			}
			if some {
				return n, nil
			}
		}
	}
	return "", nil
}

func hasLines(fsys fs.FS, name string) (bool, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if l := strings.TrimSpace(lines.Text()); l != "" && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "//") {
			return true, nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return true, nil
	}
	return false, lines.Err()
}
