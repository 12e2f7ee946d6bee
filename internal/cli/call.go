package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/manifest"
)

// callFlags are those of stoa call.
type callFlags struct {
	text, json, file string
	output, version  string
	timeout          time.Duration
	full, verbose    bool
}

func (a *app) callCommand() *cobra.Command {
	var f callFlags
	c := &cobra.Command{
		Use:   "call NAME[/VERSION]",
		Short: "Call an algorithm",
		Long: `Call an algorithm with a text, a JSON value or a file, and print its answer.

The content of --file is taken by its name: .json is JSON, .txt is text, .npy is
an array, .png and .jpg are pictures, anything else is bytes; - reads standard
input. Bytes are not printed to a terminal: give --output.`,
		Example: `  stoa call demo/digits --file seven.png
  stoa call demo/colorize --file old.jpg --output new.png
  stoa call me/net/1.0.2 --json '[[5.1, 3.5, 1.4, 0.2]]' -v`,
		Args: cobra.ExactArgs(1),
	}
	fl := c.Flags()
	fl.StringVar(&f.text, "text", "", "send this text")
	fl.StringVar(&f.json, "json", "", "send this JSON value")
	fl.StringVar(&f.file, "file", "", "send this file; - for standard input")
	fl.StringVarP(&f.output, "output", "o", "", "write the answer to this file; - for standard output")
	fl.StringVar(&f.version, "version", "", "call this version, such as 1.0.2 or 1.0.*")
	fl.DurationVar(&f.timeout, "timeout", 0, "the longest it may take, such as 30s (default: the server's)")
	fl.BoolVar(&f.full, "full", false, "print the whole answer as JSON: its type, its timing, its result")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "print timing and request id to standard error")
	c.MarkFlagsMutuallyExclusive("text", "json", "file")
	c.MarkFlagsOneRequired("text", "json", "file")
	c.MarkFlagsMutuallyExclusive("full", "output")
	c.RunE = func(c *cobra.Command, args []string) error {
		ref := args[0]
		if f.version != "" {
			ref += "/" + f.version
		}
		in, err := a.callInput(c, f)
		if err != nil {
			return err
		}
		if closer, ok := in.Body.(io.Closer); ok {
			defer closer.Close()
		}
		return a.call(c.Context(), ref, in, f)
	}
	return c
}

func (a *app) call(ctx context.Context, ref string, in client.Input, f callFlags) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	s, err := cl.CallStream(ctx, ref, in, client.CallOptions{Timeout: f.timeout})
	if err != nil {
		return err
	}
	defer s.Body.Close()
	if f.full {
		return a.printWhole(s)
	}
	if err := a.writeAnswer(s, f.output); err != nil {
		return err
	}
	if f.verbose {
		for _, t := range s.Timing {
			fmt.Fprintf(a.env.Stderr, "%s %s  ", t.Name, t.Took)
		}
		fmt.Fprintf(a.env.Stderr, "request %s\n", s.RequestID)
	}
	return nil
}

// callInput gives the input that the flags name.
func (a *app) callInput(c *cobra.Command, f callFlags) (client.Input, error) {
	switch {
	case c.Flags().Changed("text"):
		return textInput(f.text), nil
	case c.Flags().Changed("json"):
		return jsonInput("--json", f.json)
	case f.file == "-":
		return client.Input{ContentType: "application/octet-stream", Body: a.env.Stdin, Size: -1}, nil
	}
	return fileInput(f.file)
}

func textInput(text string) client.Input {
	return client.Input{ContentType: "text/plain; charset=utf-8", Body: strings.NewReader(text), Size: int64(len(text))}
}

func jsonInput(flag, value string) (client.Input, error) {
	if !json.Valid([]byte(value)) {
		return client.Input{}, stoa.Errorf(stoa.Invalid, "%s %.100q is no JSON: in a shell put it in single quotation marks, and text in double ones, as in %s '\"text\"'", flag, value, flag)
	}
	return client.Input{ContentType: "application/json", Body: strings.NewReader(value), Size: int64(len(value))}, nil
}

// fileInput opens the file of --file; the caller closes it.
func fileInput(path string) (client.Input, error) {
	in, err := os.Open(path)
	if err != nil {
		return client.Input{}, stoa.Wrap(stoa.NotFound, err, "--file %s cannot be read: %v", path, errors.Unwrap(err))
	}
	st, err := in.Stat()
	if err == nil && st.IsDir() {
		err = errors.New("it is a folder")
	}
	if err != nil {
		in.Close()
		return client.Input{}, stoa.Wrap(stoa.Invalid, err, "--file %s cannot be read: %v", path, err)
	}
	size := st.Size()
	if !st.Mode().IsRegular() {
		size = -1
	}
	return client.Input{ContentType: manifest.MediaType(path), Body: in, Size: size}, nil
}

// writeAnswer writes an answer where it is wanted.
func (a *app) writeAnswer(s *client.Stream, output string) error {
	switch {
	case output != "" && output != "-":
		return saveStream(output, s.Body)
	case s.Type == stoa.Binary && a.env.StdoutTTY && output == "":
		size := "bytes"
		if s.Size >= 0 {
			size = human.Bytes(s.Size)
		}
		return stoa.Errorf(stoa.Invalid, "the answer is %s of %s, which a terminal cannot show: add --output %s",
			size, firstOf(s.MediaType, "application/octet-stream"), suggestName(s.MediaType))
	case s.Type == stoa.Void:
		return nil
	}
	last := &lastByte{w: a.env.Stdout}
	if _, err := io.Copy(last, s.Body); err != nil {
		return stoa.Wrap(stoa.Unavailable, err, "the answer broke off: %v", err)
	}
	if s.Type != stoa.Binary && last.b != '\n' {
		fmt.Fprintln(a.env.Stdout)
	}
	return nil
}

// lastByte remembers what it wrote last.
type lastByte struct {
	w io.Writer
	b byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.w.Write(p)
}

func suggestName(media string) string {
	switch media {
	case "image/png":
		return "answer.png"
	case "image/jpeg":
		return "answer.jpg"
	case stoa.NpyMediaType:
		return "answer.npy"
	case stoa.NpzMediaType:
		return "answer.npz"
	}
	return "answer.bin"
}

// saveStream writes a file whole or not at all; to a device or a pipe it writes
// as it comes.
func saveStream(path string, r io.Reader) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			_, err = io.Copy(f, r)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return stoa.Wrap(stoa.Invalid, err, "--output %s cannot be written: %v", path, err)
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".stoa-*")
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "--output %s cannot be written: %v", path, err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "--output %s cannot be written: %v", path, err)
	}
	return nil
}

// printWhole prints the answer and what is known about it.
func (a *app) printWhole(s *client.Stream) error {
	b, err := io.ReadAll(s.Body)
	if err != nil {
		return stoa.Wrap(stoa.Unavailable, err, "the answer broke off: %v", err)
	}
	out := struct {
		ContentType stoa.ValueType     `json:"content_type"`
		MediaType   string             `json:"media_type,omitempty"`
		RequestID   string             `json:"request_id"`
		Timing      map[string]float64 `json:"timing_ms"`
		Result      any                `json:"result"`
	}{ContentType: s.Type, MediaType: s.MediaType, RequestID: s.RequestID, Timing: map[string]float64{}}
	for _, t := range s.Timing {
		out.Timing[t.Name] = float64(t.Took.Microseconds()) / 1000
	}
	switch s.Type {
	case stoa.Text:
		out.Result = string(b)
	case stoa.JSON:
		out.Result = json.RawMessage(bytes.TrimSpace(b))
	case stoa.Binary:
		out.Result = base64.StdEncoding.EncodeToString(b)
	case stoa.Void:
	}
	return printJSON(a.env.Stdout, out)
}
