package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// codeFlags are those of stoa init for code.
type codeFlags struct {
	language, dir string
	json          *bool
}

func (f *codeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.language, "language", "", "make a folder of code in this language: "+languageNames())
	completes(c, "language", languages()...)
	c.Flags().StringVar(&f.dir, "dir", "", "with --language: the folder to make; the algorithm's name where it is left out")
}

func languageNames() string {
	return strings.Join(languages(), ", ")
}

func languages() (names []string) {
	for _, l := range langpack.All() {
		names = append(names, l.Name())
	}
	return names
}

// initCode lays a language's template into a folder, and says what comes next.
func (a *app) initCode(f codeFlags, ref string) error {
	l, err := langpack.Find(f.language)
	if err != nil {
		return err
	}
	if ref == "" {
		return usagef("name the algorithm: stoa init --language %s me/hello", l.Name())
	}
	owner, name, both := strings.Cut(ref, "/")
	if !both {
		owner, name = "", ref
	}
	if both && owner == "" {
		return stoa.Errorf(stoa.Invalid, "the owner of %.100q is missing: write owner/name, or name alone", ref)
	}
	dir := firstOf(f.dir, name)
	files, err := l.Write(dir, owner, name)
	if err != nil {
		return err
	}
	if *f.json {
		return printJSON(a.env.Stdout, map[string]any{"name": ref, "language": l.Name(), "dir": dir, "files": files})
	}
	fmt.Fprintf(a.env.Stdout, "wrote %s, in %s:\n", ref, l.Title())
	for _, n := range files {
		fmt.Fprintf(a.env.Stdout, "  %s\n", filepath.Join(dir, n))
	}
	program := firstOf(a.env.Program, "stoa")
	fmt.Fprintf(a.env.Stdout, "try it here:  %s dev %s\npublish it:   %s push %s\nits page:     docs/languages/%s.md\n", program, dir, program, dir, l.Name())
	return nil
}
