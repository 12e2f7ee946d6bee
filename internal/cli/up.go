package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/serve"
)

// upFlags are those of stoa up.
type upFlags struct {
	data   string
	listen string
	demos  string
	server ServeOptions // what else the server is told
	anew   bool         // it was told just now: a server that runs is started again
}

func (a *app) upCommand() *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a server in the background with the demos, and show that they answer",
		Long: `Start a server in the background, log this command line in, publish each folder
of the demos, call each with its sample, and print the answers. Done again, it
changes nothing. "stoa down" stops the server.`,
		Example: `  stoa up
  stoa up --data ./.stoa --listen 127.0.0.1:8080 --demos demo`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&f.data, "data", ".stoa", "folder of all state")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address to listen at")
	c.Flags().StringVar(&f.demos, "demos", "", "folder whose folders are published (default: demo here, else beside the program)")
	sandboxFlags(c, &f.server)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.server.check(); err != nil {
			return err
		}
		a.warnSandbox(f.server.Sandbox)
		for _, name := range []string{"sandbox", "init", "bwrap"} {
			f.anew = f.anew || c.Flags().Changed(name)
		}
		u, err := a.up(c.Context(), f)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, u)
		}
		return u.print(a.env.Stdout, cmp.Or(a.env.Program, "stoa"), f.data)
	}
	return c
}

func (a *app) downCommand() *cobra.Command {
	data := ".stoa"
	c := &cobra.Command{
		Use:     "down",
		Short:   "Stop the server that stoa up started",
		Example: "  stoa down --data ./.stoa",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&data, "data", data, "folder of the server's state")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		rec, err := serve.ReadRecord(data)
		if err != nil {
			return err
		}
		if err := stopServer(c.Context(), data, rec); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, rec)
		}
		fmt.Fprintf(a.env.Stdout, "stopped the server at %s; its state stays in %s\n", rec.URL, data)
		return nil
	}
	return c
}

// stopServer ends a server and its workers, and waits until it is gone.
func stopServer(ctx context.Context, data string, rec serve.Record) error {
	if err := syscall.Kill(rec.PID, syscall.SIGINT); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the server (process %d) cannot be stopped: %v", rec.PID, err)
	}
	return wait(ctx, time.Minute, func() (bool, error) {
		_, err := serve.ReadRecord(data)
		return stoa.KindOf(err) == stoa.NotFound && syscall.Kill(rec.PID, 0) != nil, nil
	})
}

// wait asks done again and again, for a time at most.
func wait(ctx context.Context, most time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// up is what stoa up did.
type up struct {
	URL   string     `json:"url"`
	Key   string     `json:"key"`
	Page  string     `json:"page"` // opens the page signed in, once
	Demos []upAnswer `json:"demos"`
}

// upAnswer is a demo's answer to its sample.
type upAnswer struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	New     bool    `json:"new"`
	Sample  string  `json:"sample"`
	Answer  string  `json:"answer"`
	Took    float64 `json:"milliseconds"` // of the second call: the first starts the worker
	Cold    float64 `json:"cold_milliseconds"`
	Saved   string  `json:"saved,omitempty"` // file that a picture was written to
}

func (a *app) up(ctx context.Context, f upFlags) (*up, error) {
	demos, err := findDemos(f.demos)
	if err != nil {
		return nil, err
	}
	rec, err := a.ensureServer(ctx, f)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(f.data, "admin-key"))
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the administrator's key is not in %s: it was moved away", f.data)
	}
	u := &up{URL: rec.URL, Key: strings.TrimSpace(string(b))}
	cl, err := client.New(u.URL, u.Key, client.Options{})
	if err != nil {
		return nil, err
	}
	who, err := cl.WhoAmI(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := a.writeProfile(profile{Server: u.URL, Key: u.Key, Account: who.Account}); err != nil {
		return nil, err
	}
	for _, d := range demos {
		answer, err := a.showDemo(ctx, cl, filepath.Dir(d), f.data)
		if stoa.KindOf(err) == stoa.Unsupported { // a language that this machine lacks
			fmt.Fprintf(a.env.Stderr, "stoa: %s is left out: %s\n", filepath.Dir(d), stoa.AsError(err).Msg)
			continue
		}
		if err != nil {
			return nil, err
		}
		u.Demos = append(u.Demos, answer)
	}
	link, err := cl.SignInLink(ctx)
	u.Page = link.URL
	return u, err
}

// findDemos gives the manifests of the demos in dir: where it is "", in the
// folder demo here, else in the one beside the program.
func findDemos(dir string) ([]string, error) {
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{"demo"}
		if self, err := os.Executable(); err == nil {
			dirs = append(dirs, filepath.Join(filepath.Dir(self), "demo"))
		}
	}
	for _, dir := range dirs {
		demos, err := filepath.Glob(filepath.Join(dir, "*", manifest.FileName))
		if err == nil && len(demos) > 0 {
			slices.Sort(demos)
			return demos, nil
		}
	}
	return nil, usagef("%s holds no folder with a %s: name the demos by --demos DIR", strings.Join(dirs, " or "), manifest.FileName)
}

// ensureServer gives the server of the data folder, starting it where there is
// none, and replacing one of another build or address.
func (a *app) ensureServer(ctx context.Context, f upFlags) (serve.Record, error) {
	rec, err := serve.ReadRecord(f.data)
	if err == nil {
		if rec.Build == a.deps.Build && rec.URL == "http://"+f.listen && !f.anew {
			return rec, nil
		}
		fmt.Fprintf(a.env.Stderr, "the server at %s is of another build, address or sandbox: it is started anew\n", rec.URL)
		if err := stopServer(ctx, f.data, rec); err != nil {
			return rec, err
		}
	}
	return a.startServer(ctx, f)
}

// startServer starts this program as a server that outlives this command.
func (a *app) startServer(ctx context.Context, f upFlags) (serve.Record, error) {
	var rec serve.Record
	self, err := os.Executable()
	if err != nil {
		return rec, stoa.Wrap(stoa.Internal, err, "this program does not know its own path")
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return rec, stoa.Wrap(stoa.Invalid, err, "the data folder cannot be made: %v", err)
	}
	logPath := filepath.Join(f.data, "server.log")
	log, err := os.Create(logPath)
	if err != nil {
		return rec, stoa.Wrap(stoa.Invalid, err, "the data folder cannot be written: %v", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, f.serveArgs()...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return rec, stoa.Wrap(stoa.Internal, err, "the server cannot be started: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	err = wait(ctx, 30*time.Second, func() (bool, error) {
		select {
		case err := <-exited:
			return false, stoa.Wrap(stoa.Conflict, err, "the server did not start: %s", serverSays(logPath))
		default:
		}
		r, err := serve.ReadRecord(f.data)
		if err != nil && stoa.KindOf(err) == stoa.NotFound {
			return false, nil
		}
		rec = r
		return err == nil && ready(ctx, r.URL), err
	})
	return rec, err
}

// serveArgs are the words that start the server.
func (f upFlags) serveArgs() []string {
	args := []string{"serve", "--data", f.data, "--listen", f.listen}
	for _, f := range [][2]string{{"--sandbox", f.server.Sandbox}, {"--init", f.server.Init}, {"--bwrap", f.server.Bwrap}, {"--cgroup", f.server.Cgroup}} {
		if f[1] != "" {
			args = append(args, f[0], f[1])
		}
	}
	return args
}

// serverSays gives the last thing that a server wrote, without our own name.
func serverSays(logPath string) string {
	b, err := os.ReadFile(logPath)
	if err != nil {
		return "it left no log"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, l := range slices.Backward(lines) {
		if s, ok := strings.CutPrefix(l, "stoa: "); ok {
			return s
		}
	}
	return lines[len(lines)-1]
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	c := http.Client{Timeout: time.Second}
	res, err := c.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// showDemo publishes a demo and calls it with its sample.
func (a *app) showDemo(ctx context.Context, cl *client.Client, dir, data string) (upAnswer, error) {
	r, m, err := a.collect(ctx, []string{dir}, naming{})
	if err != nil {
		return upAnswer{}, err
	}
	p, err := cl.Push(ctx, r)
	if err != nil {
		return upAnswer{}, err
	}
	out := upAnswer{Name: p.Owner + "/" + p.Name, Version: p.Version, New: p.New}
	if m.Sample == nil || m.Sample.File == "" {
		return out, nil
	}
	out.Sample = filepath.Join(dir, filepath.FromSlash(m.Sample.File))
	in, err := os.ReadFile(out.Sample)
	if err != nil {
		return out, stoa.Wrap(stoa.Invalid, err, "the sample cannot be read: %v", err)
	}
	v := stoa.Value{Type: stoa.Binary, Data: in}
	var answer *client.Answer
	for _, took := range []*float64{&out.Cold, &out.Took} {
		start := time.Now()
		if answer, err = cl.Call(ctx, out.Name, v, client.CallOptions{}); err != nil {
			return out, err
		}
		*took = float64(time.Since(start).Microseconds()) / 1000
	}
	out.Answer, out.Saved, err = tell(answer.Value, data, p.Name)
	return out, err
}

// tell shortens an answer to a line, and saves what is a picture.
func tell(v stoa.Value, data, name string) (text, saved string, err error) {
	if v.Type == stoa.Binary {
		ext := ".bin"
		switch http.DetectContentType(v.Data) {
		case "image/png":
			ext = ".png"
		case "image/jpeg":
			ext = ".jpg"
		}
		saved = filepath.Join(data, name+ext)
		if err := os.WriteFile(saved, v.Data, 0o600); err != nil { //nolint:gosec // the name is one that the server has passed
			return "", "", stoa.Wrap(stoa.Invalid, err, "the answer cannot be written: %v", err)
		}
		return fmt.Sprintf("a picture of %d KB", len(v.Data)>>10), saved, nil
	}
	if text, picture := pictureIn(v.Data); picture != nil {
		shown, saved, err := tell(stoa.Value{Type: stoa.Binary, Data: picture}, data, name)
		return text + ", and " + shown, saved, err
	}
	var labels struct {
		Label  string `json:"label"`
		Labels []struct {
			Label string  `json:"label"`
			Score float64 `json:"score"`
		} `json:"labels"`
	}
	if json.Unmarshal(v.Data, &labels) == nil && len(labels.Labels) > 0 {
		return fmt.Sprintf("%s (%s %.0f%%)", labels.Label, labels.Labels[0].Label, 100*labels.Labels[0].Score), "", nil
	}
	return string(v.Data), "", nil
}

// pictureIn takes a picture out of a JSON answer that holds one as a data URI,
// and gives the answer's other texts.
func pictureIn(data []byte) (text string, picture []byte) {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return "", nil
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		s, ok := fields[name].(string)
		if !ok {
			continue
		}
		if rest, isURI := strings.CutPrefix(s, "data:image/jpeg;base64,"); isURI {
			picture, _ = base64.StdEncoding.DecodeString(rest) // one that is damaged is no picture
			continue
		}
		texts = append(texts, s)
	}
	return strings.Join(texts, ", "), picture
}

// print shows what was done, and what to do next.
func (u *up) print(w io.Writer, program, data string) error {
	rows := [][]string{{"ALGORITHM", "VERSION", "SAMPLE", "ANSWER", "FIRST", "NEXT"}}
	for _, d := range u.Demos {
		rows = append(rows, []string{d.Name, d.Version, d.Sample, d.Answer, fmt.Sprintf("%.0f ms", d.Cold), fmt.Sprintf("%.1f ms", d.Took)})
	}
	fmt.Fprintln(w)
	if err := table(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, d := range u.Demos {
		if d.Saved != "" {
			fmt.Fprintf(w, "%s turned %s into %s\n", d.Name, d.Sample, d.Saved)
		}
	}
	if len(u.Demos) == 0 {
		return stoa.Errorf(stoa.Unsupported, "no demo could be published here")
	}
	example := u.Demos[len(u.Demos)-1]
	_, err := fmt.Fprintf(w, `
Page    %s   (opens the page signed in; works once, for an hour)
Server  %s
Key     %s   (this command line is logged in: %s call %s --file %s)
Call    curl -H 'Authorization: Simple %s' -H 'Content-Type: application/octet-stream' --data-binary @%s %s/v1/algo/%s
Stop    %s down --data %s
`, u.Page, u.URL, u.Key, program, example.Name, example.Sample, u.Key, example.Sample, u.URL, example.Name, program, data)
	return err
}
