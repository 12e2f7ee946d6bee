package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/sketch"
)

func (a *app) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [FOLDER] | init --language LANGUAGE NAME",
		Short: "Begin an algorithm: a stoa.yaml for a model, or a folder of code",
		Long: `Write a stoa.yaml into a folder: what the model's files there say about inputs
and outputs is filled in, or the language of the code there; where there is
neither yet, the file is an example with comments. A stoa.yaml that exists is
never changed.

With --language, make a folder of code that works as it is: a program that
greets, with its stoa.yaml. NAME is owner/name or name. The languages are ` + languageNames() + `.`,
		Example: `  stoa init
  stoa init mynet --name me/net
  stoa init mynet --shape input=-1,3,224,224
  stoa init --language python me/hello`,
		Args: cobra.MaximumNArgs(1),
	}
	var open openFlags
	open.add(c)
	name := c.Flags().String("name", "", "name of the algorithm: owner/name, or name alone")
	asJSON := jsonFlag(c)
	code := codeFlags{json: asJSON}
	code.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if code.language != "" {
			return a.initCode(code, firstOf(strings.Join(args, ""), *name))
		}
		if code.dir != "" {
			return usagef("--dir belongs to --language: of a model, name the folder alone")
		}
		dir := firstOf(strings.Join(args, ""), ".")
		path := filepath.Join(dir, manifest.FileName)
		if _, err := os.Lstat(path); err == nil {
			return stoa.Errorf(stoa.Conflict, "%s exists already, and is left as it is", path)
		}
		var opt importer.Options
		if err := open.set(&opt); err != nil {
			return err
		}
		text, from, err := a.firstManifest(c, dir, *name, opt)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return stoa.Wrap(stoa.Invalid, err, "%s cannot be made: %v", dir, plainCause(err))
		}
		if err := writeFile(path, 0o644, []byte(text)); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, map[string]string{"file": path, "from": from})
		}
		fmt.Fprintf(a.env.Stdout, "wrote %s from %s\nlook it through, then: stoa push %s\n", path, from, dir)
		return nil
	}
	return c
}

// firstManifest gives the manifest that the files of a folder suggest, or else
// an example, and says which.
func (a *app) firstManifest(c *cobra.Command, dir, name string, opt importer.Options) (text, from string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", dir, plainCause(err))
	}
	src := &source{dir: dir}
	conf, err := src.conf()
	if err != nil {
		return "", "", err
	}
	if conf == nil { // it has a name of its own
		name = firstOf(name, nameFromFolder(dir))
	}
	if len(entries) > 0 {
		text, from, err := a.guess(c.Context(), src, name, opt)
		if err == nil {
			return text, from, nil
		}
		fmt.Fprintf(a.env.Stderr, "stoa: the files in %s do not make a manifest: %s\n", dir, stoa.AsError(err).Msg)
	}
	return exampleManifest(firstOf(name, nameFromFolder(dir))), "the example", nil
}

// nameFromFolder makes an algorithm's name of a folder's.
func nameFromFolder(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "net"
	}
	return sketch.Name(filepath.Base(abs))
}

// exampleManifest is a manifest that is valid, and says in comments what to
// change.
func exampleManifest(name string) string {
	return `# What this algorithm is, and how it is called. See docs/manifest.md.
name: ` + name + `
kind: model
tagline: Says what it does in one line
tags: [picture]
licence: Apache-2.0
visibility: private        # or public: everybody with a key may call it

model:
  files: [net.onnx]        # in this folder

input:
  - picture:               # the call is a picture; leave input out to take arrays
      width: 224
      height: 224
      colour: rgb
      mean: [123.68, 116.78, 103.94]
      scale: [0.0171, 0.0175, 0.0174]

output:
  - labels:                # the answer is the best labels; leave output out to give arrays
      file: labels.txt     # one a line
      top: 5

sample:
  file: samples/one.jpg    # an input that works: it is tried at every push
`
}
