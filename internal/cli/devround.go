package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/manifest"
)

// devRun is what one run of stoa dev came to, as --json prints it.
type devRun struct {
	Algorithm string  `json:"algorithm,omitempty"` // owner/name/version
	URL       string  `json:"url,omitempty"`
	Build     float64 `json:"build_seconds"`
	Log       string  `json:"log,omitempty"` // of the build
	// Of the call, where there was one.
	ContentType stoa.ValueType `json:"content_type,omitempty"`
	Result      any            `json:"result,omitempty"`
	Took        float64        `json:"milliseconds,omitempty"`
	Stdout      string         `json:"stdout,omitempty"`
	Stderr      string         `json:"stderr,omitempty"`
	Error       *devError      `json:"error,omitempty"`
}

// devError is an error as --json prints it.
type devError struct {
	Kind    stoa.Kind `json:"kind"`
	Type    string    `json:"error_type,omitempty"`
	Message string    `json:"message"`
	Stack   string    `json:"stacktrace,omitempty"`
}

// round publishes the folder as it is and calls it. It gives the state of the
// folder that it took.
func (d *dev) round(ctx context.Context) (was map[string]stamp, err error) {
	was = d.watch.look()
	run := &devRun{}
	r, m, err := d.app.collect(ctx, []string{d.dir}, naming{name: nameFromFolder(d.dir), quiet: d.told || d.flags.json})
	if err == nil {
		if before := d.watch.ignore; m != nil {
			if d.watch.ignoring(m); !slices.Equal(before, d.watch.ignore) {
				was = d.watch.look()
			}
		}
		err = d.publish(ctx, run, r, m)
	}
	if err == nil {
		err = d.call(ctx, run, m)
	}
	if !d.flags.json || ctx.Err() != nil {
		return was, err
	}
	if err != nil {
		e := stoa.AsError(err)
		run.Error = &devError{e.Kind, e.Type, e.Msg, e.Stack}
	}
	enc := json.NewEncoder(d.app.env.Stdout)
	enc.SetEscapeHTML(false)
	if werr := enc.Encode(run); werr != nil { // a value a line: there may be no end
		return was, stoa.Wrap(stoa.Internal, werr, "the answer cannot be printed: %v", werr)
	}
	if err != nil {
		err = silentError{}
	}
	return was, err
}

// publish builds the folder, and sets the secrets once there is what they belong
// to.
func (d *dev) publish(ctx context.Context, run *devRun, r client.PushRequest, m *manifest.Manifest) error {
	r.As = devOwner + "/" + firstOf(m.Name[strings.LastIndexByte(m.Name, '/')+1:], nameFromFolder(d.dir))
	t := teller{w: d.app.env.Stderr, log: !d.flags.json, code: m.Kind == manifest.KindCode}
	var log strings.Builder
	r.Progress = func(p client.Progress) {
		t.told(p)
		log.WriteString(p.Log)
	}
	d.say("building %s", r.As)
	start := time.Now()
	p, err := d.client.Push(ctx, r)
	run.Build, run.Log = time.Since(start).Seconds(), log.String()
	if err != nil {
		return t.failed(err)
	}
	for _, s := range d.flags.secrets {
		if d.set {
			break
		}
		name, value, _ := strings.Cut(s, "=")
		if err := d.client.SetSecret(ctx, r.As, name, value); err != nil {
			return err
		}
	}
	d.set, d.last = true, r.As
	run.Algorithm = r.As + "/" + p.Version
	run.URL = d.server.URL + "/v1/algo/" + r.As // of the newest version
	if !p.New {
		d.say("%s is built already, of this very content", r.As)
		return nil
	}
	d.say("%s %s is built, in %.1f s", r.As, p.Version, run.Build)
	return nil
}

// publishOthers publishes the folders that are wanted beside.
func (d *dev) publishOthers(ctx context.Context) error {
	for _, dir := range d.flags.also {
		r, m, err := d.app.collect(ctx, []string{dir}, naming{quiet: true})
		if err != nil {
			return err
		}
		// The folder is published for another account, and calls what that may see.
		m.Visibility = "public"
		r.Manifest = string(manifest.Marshal(m, nil))
		t := teller{w: d.app.env.Stderr, log: !d.flags.json, code: m.Kind == manifest.KindCode}
		r.Progress = t.told
		p, err := d.client.Push(ctx, r)
		if err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", dir, stoa.AsError(err).Msg)
		}
		d.say("%s/%s %s is there too", p.Owner, p.Name, p.Version)
	}
	return nil
}

// call calls what was published, and tells what came of it.
func (d *dev) call(ctx context.Context, run *devRun, m *manifest.Manifest) error {
	in, shown, err := d.inputOf(m)
	if err != nil {
		return err
	}
	if closer, ok := in.Body.(io.Closer); ok {
		defer closer.Close()
	}
	if !d.told {
		d.told = true
		d.say("call it: curl -H 'Authorization: Simple %s' -H 'Content-Type: %s' %s %s",
			d.server.Key, firstOf(in.ContentType, "text/plain"), firstOf(shown, "--data-binary @FILE"), run.URL)
	}
	if in.Body == nil {
		d.say("it is not called: there is no sample in %s, and no --input, --input-json or --file", manifest.FileName)
		return nil
	}
	start := time.Now()
	s, err := d.client.CallStream(ctx, run.Algorithm, in, client.CallOptions{Timeout: d.flags.timeout})
	run.Took = float64(time.Since(start).Microseconds()) / 1000
	d.printed(ctx, run, start)
	if err != nil {
		return err
	}
	defer s.Body.Close()
	return d.answer(run, s)
}

// inputOf gives what to call it with, and how curl says it; a zero Input where
// there is nothing.
func (d *dev) inputOf(m *manifest.Manifest) (in client.Input, shown string, err error) {
	f := &d.flags
	if d.input != nil {
		in, err = d.input()
		switch {
		case f.file != "":
			shown = "--data-binary @" + quoted(f.file)
		default:
			shown = rawData(f.input + f.inputJSON)
		}
		return in, shown, err
	}
	if m.Sample == nil {
		return in, "", nil
	}
	v, err := m.Sample.Value(func(name string) ([]byte, error) { return fs.ReadFile(os.DirFS(d.dir), name) })
	if err != nil {
		return in, "", err
	}
	in = client.Input{ContentType: client.ContentType(v), Body: bytes.NewReader(v.Data), Size: int64(len(v.Data))}
	shown = rawData(string(v.Data))
	if m.Sample.File != "" {
		in.ContentType = firstOf(manifest.MediaType(m.Sample.File), in.ContentType)
		shown = "--data-binary @" + quoted(d.dir+"/"+m.Sample.File)
	}
	return in, shown, nil
}

// rawData says to curl what to send, where it is short enough for a line to copy.
func rawData(s string) string {
	const most = 200
	if len(s) > most || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return "--data-raw " + quoted(s)
}

// quoted writes a word as a shell takes it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// printed tells what the code printed since a call began.
func (d *dev) printed(ctx context.Context, run *devRun, since time.Time) {
	q := client.LogQuery{Since: since.UTC().Format(time.RFC3339Nano)}
	err := d.client.Logs(ctx, run.Algorithm, q, func(e client.LogEntry) error {
		switch e.Stream {
		case "stdout":
			run.Stdout += e.Text
		case "stderr":
			run.Stderr += e.Text
		}
		d.entry(e)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		d.say("what it printed cannot be shown: %s", stoa.AsError(err).Msg)
	}
}

// answer writes an answer where it is wanted.
func (d *dev) answer(run *devRun, s *client.Stream) error {
	run.ContentType = s.Type
	took := fmt.Sprintf("answered in %.1f ms", run.Took)
	for _, t := range s.Timing {
		if t.Name == "load" && t.Took > 0 {
			took += fmt.Sprintf(", of which starting it took %.0f", float64(t.Took.Microseconds())/1000)
		}
	}
	if d.flags.output != "" {
		if err := saveStream(d.flags.output, s.Body); err != nil {
			return err
		}
		d.say("%s: wrote %s", took, d.flags.output)
		return nil
	}
	b, err := io.ReadAll(s.Body)
	if err != nil {
		return stoa.Wrap(stoa.Unavailable, err, "the answer broke off: %v", err)
	}
	switch s.Type {
	case stoa.Text:
		run.Result = string(b)
	case stoa.JSON:
		run.Result = json.RawMessage(bytes.TrimSpace(b))
	case stoa.Binary:
		run.Result = b // which JSON has as base64
		took += fmt.Sprintf(": %s of %s; --output FILE keeps them", human.Bytes(int64(len(b))), firstOf(s.MediaType, "application/octet-stream"))
	case stoa.Void:
		took += ": nothing"
	}
	if !d.flags.json && (s.Type == stoa.Text || s.Type == stoa.JSON) {
		text := string(b)
		if d.app.env.StdoutTTY {
			text = printableText(text)
		}
		fmt.Fprintln(d.app.env.Stdout, strings.TrimSuffix(text, "\n"))
	}
	d.say("%s", took)
	return nil
}

// printableText is printable, line by line.
func printableText(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}
