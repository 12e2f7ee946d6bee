// Command bundle makes the site's styles and scripts: for each folder of
// WEB/page it bundles NAME.ts and NAME.css, with what they import, into
// WEB/dist. It is run by go generate, and its output is committed.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bundle WEB")
		os.Exit(2)
	}
	if err := bundle(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func bundle(web string) error {
	dist := filepath.Join(web, "dist")
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	entries := []string{filepath.Join(web, "base.css")}
	for _, pattern := range []string{"page/*/*.ts", "page/*/*.css"} {
		found, err := filepath.Glob(filepath.Join(web, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			// page/home/home.ts is a page's; what it divides itself into is imported.
			if stem := filepath.Base(f[:len(f)-len(filepath.Ext(f))]); stem == filepath.Base(filepath.Dir(f)) {
				entries = append(entries, f)
			}
		}
	}
	result := api.Build(api.BuildOptions{
		EntryPoints: entries, EntryNames: "[name]", Outdir: dist, Write: true,
		Bundle: true, Format: api.FormatESModule, Target: api.ES2022, Charset: api.CharsetUTF8,
		MinifyWhitespace: true, MinifySyntax: true, MinifyIdentifiers: true, LegalComments: api.LegalCommentsNone,
		LogLevel: api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return fmt.Errorf("%d errors", len(result.Errors))
	}
	icon, err := os.ReadFile(filepath.Join(web, "icon.svg"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, "icon.svg"), icon, 0o644)
}
