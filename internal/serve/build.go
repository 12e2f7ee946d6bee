package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe"
	"github.com/stoa-project/stoa/internal/importer/cntk"
	"github.com/stoa-project/stoa/internal/importer/keras"
	"github.com/stoa-project/stoa/internal/importer/tensorflow"
	"github.com/stoa-project/stoa/internal/importer/theano"
	"github.com/stoa-project/stoa/internal/importer/torch"
	"github.com/stoa-project/stoa/internal/importer/torch7"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
)

// Plugs are the frameworks that this build can import.
func Plugs() []importer.Plug {
	return []importer.Plug{
		importer.ONNX{},
		caffe.Plug{},
		cntk.Plug{},
		theano.Plug{},
		keras.Plug{},
		tensorflow.Plug{},
		torch.Plug{},
		torch7.Plug{},
	}
}

// builder is the catalog's Builder: of a model, an import in a process of its own, so that
// what a model file can do to its reader it does to nobody else.
type builder struct {
	cfg     *Config
	box     *sandbox.Sandbox
	dir     string // for builds of code
	local   build.Builder
	blobs   blob.Store
	catalog func() *catalog.Catalog
	codes   func(layer func(context.Context, blob.File) (string, func(), error)) *process.Code
	secrets func(ctx context.Context, ref stoa.Ref) ([]string, error)
	trial   *invoke.Service // for samples of code, which may call other algorithms
}

var _ catalog.Builder = (*builder)(nil)

// Build runs an import child; see catalog.Builder.
func (b *builder) Build(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
	man, err := manifest.FromJSON(j.Manifest)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	if man.Kind == manifest.KindCode {
		return b.buildCode(ctx, j, man)
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ImportTime)
	defer cancel()
	memory, err := importMemory(b.cfg.ImportMemory, j.Manifest)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	a, err := b.child(ctx, childJob{Dir: j.Dir, Out: j.Out, Manifest: j.Manifest, Library: b.cfg.Library, Memory: memory})
	return catalog.BuildResult{Files: a.Files, Report: a.Report}, err
}

// child runs an import child, whose error is what the author should read.
func (b *builder) child(ctx context.Context, j childJob) (a childAnswer, err error) {
	job, err := json.Marshal(j)
	if err != nil {
		return a, stoa.Wrap(stoa.Internal, err, "the import cannot be told what to do")
	}
	var stdout, stderr limitedBuffer
	if err := b.run(ctx, j, bytes.NewReader(job), &stdout, &stderr); err != nil {
		return a, b.died(ctx, err, stderr.String(), j.Memory)
	}
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
		return a, stoa.Wrap(stoa.Invalid, err, "the import gave no answer that can be read: the model files made it fail")
	}
	if a.Error != nil {
		return childAnswer{}, a.Error
	}
	return a, nil
}

// run runs this program as an import child, in the sandbox where there is one.
func (b *builder) run(ctx context.Context, j childJob, in io.Reader, stdout, stderr io.Writer) error {
	command := append(append([]string{}, b.cfg.Self...), importWord)
	env := []string{"LANG=C.UTF-8"}
	if b.box != nil {
		_, err := b.box.Run(ctx, sandbox.Spec{
			Name: "i" + strings.ToLower(rand.Text()[:12]), Kind: sandbox.Worker, Command: command, Env: env, Dir: j.Out,
			Mounts: append(b.cfg.seen(), sandbox.Mount{Source: j.Dir, Target: j.Dir}, sandbox.Mount{Source: j.Out, Target: j.Out, Write: true}),
			Limits: sandbox.Limits{Memory: j.Memory, Processes: 1024},
		}, in, stdout, stderr)
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = env, j.Out, in
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 5 * time.Second
	if err := sandbox.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// seen is what every child of this program sees in its sandbox, beside what it
// works on: the program, and ONNX Runtime's library.
func (c *Config) seen() []sandbox.Mount {
	out := []sandbox.Mount{{Source: c.Self[0], Target: c.Self[0]}}
	if c.Library != "" {
		out = append(out, sandbox.Mount{Source: c.Library, Target: c.Library})
	}
	return out
}

// importBase is what an import takes before it reads anything: the stacks of its
// threads and the runtime's library. Measured: 120 MiB on two processors.
const importBase = 256 << 20

// importMemory gives the memory that an import may have: the server's limit, or
// that of the manifest and what every import takes, where that is lower.
func importMemory(server int64, man json.RawMessage) (int64, error) {
	m, err := manifest.FromJSON(man)
	if err != nil {
		return 0, err
	}
	own, err := memoryLimit(m)
	if err != nil || own == 0 || own > server {
		return server, err
	}
	return min(server, own+importBase), nil
}

// memoryLimit gives limits.memory in bytes; 0 where there is none.
func memoryLimit(m *manifest.Manifest) (int64, error) {
	if m.Limits == nil || m.Limits.Memory == "" {
		return 0, nil
	}
	return manifest.ParseSize(m.Limits.Memory)
}

// died says why an import child ended without an answer.
func (b *builder) died(ctx context.Context, err error, stderr string, memory int64) error {
	if ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return stoa.Wrap(stoa.Timeout, err, "the import took longer than %s and was ended", b.cfg.ImportTime)
		}
		return ctx.Err()
	}
	// Below what every import takes, whatever it died of was the lack of memory: the
	// runtimes have many last words, and some crash without any.
	starved := memory > 0 && memory < importBase
	if starved || slices.ContainsFunc(wantsMemory, func(words string) bool { return strings.Contains(stderr, words) }) {
		return stoa.Wrap(stoa.TooLarge, errors.New(stderr), "the import needs more memory than it may have (%d MiB): the file claims more than it should, or the limit is too low (limits.memory of stoa.yaml, or the server's)", memory>>20)
	}
	signal, ended := endSignal(err)
	if !ended {
		return stoa.Wrap(stoa.Unavailable, err, "the import cannot be started")
	}
	cause := fmt.Errorf("%w: %s", err, stderr)
	switch {
	case signal == syscall.SIGKILL: // none of ours: that comes with ctx
		return stoa.Wrap(stoa.TooLarge, cause, "the import was killed by the system, as it does where the machine's memory runs out, or the import's (%d MiB)", memory>>20)
	case signal != 0:
		return stoa.Wrap(stoa.Invalid, cause, "the import was killed by signal %s: the model file makes its reader crash", signal)
	case strings.Contains(stderr, "panic: "), strings.Contains(stderr, "fatal error: "):
		return stoa.Wrap(stoa.Invalid, cause, "the import failed inside while it read the model files: they are damaged in a way that it does not know")
	}
	return stoa.Wrap(stoa.Invalid, cause, "the import ended without an answer: %s", lastLine(stderr))
}

// endSignal gives the signal that ended a child, 0 where it exited by itself;
// false where it never ran.
func endSignal(err error) (syscall.Signal, bool) {
	if boxed := new(sandbox.ExitError); errors.As(err, &boxed) {
		return boxed.Signal, true
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, false
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal(), true
	}
	return 0, true
}

// wantsMemory are the last words of a process that got no memory: of Go's
// runtime, of C++, and of either where there is none for a thread's stack.
var wantsMemory = []string{"out of memory", "cannot allocate memory", "bad_alloc", "pthread_create failed", "failed to create new OS thread"}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "it said nothing"
	}
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// limitedBuffer keeps the first megabyte of what a child says.
type limitedBuffer struct{ bytes.Buffer }

// Write keeps what still fits, and takes the rest without keeping it.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 4 << 20
	if room := most - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))]) // a bytes.Buffer takes all
	}
	return len(p), nil
}

// runImport is the work of an import child.
func runImport(ctx context.Context, job childJob) (childAnswer, error) {
	man, err := manifest.FromJSON(job.Manifest)
	if err != nil {
		return childAnswer{}, err
	}
	if man.Model == nil {
		return childAnswer{}, stoa.Errorf(stoa.Invalid, "stoa.yaml names no model files")
	}
	src, err := importer.Dir(job.Dir)
	if err != nil {
		return childAnswer{}, err
	}
	defer src.Close()
	imported, err := importer.Import(ctx, Plugs(), src, importer.OptionsOf(man.Model))
	if err != nil {
		return childAnswer{}, err
	}
	defer imported.Close()
	files, err := imported.Write(job.Out)
	if err != nil {
		return childAnswer{}, err
	}
	check, err := try(ctx, job, man, imported.Report, files)
	if err != nil {
		return childAnswer{}, err
	}
	imported.Report.Check = check
	report, err := json.Marshal(imported.Report)
	if err != nil {
		return childAnswer{}, stoa.Wrap(stoa.Internal, err, "the report cannot be written")
	}
	return childAnswer{Files: files, Report: report}, nil
}

// try loads the network as a worker will, and runs the sample where there is
// one: what cannot be run is not published.
func try(ctx context.Context, job childJob, man *manifest.Manifest, rep importer.Report, files []string) (*importer.Check, error) {
	engine, err := ort.New(ort.Config{Library: job.Library, Fetcher: folderFetcher{job.Out, job.Dir}, Scratch: job.Out})
	if err != nil && job.Memory > 0 && job.Memory < importBase {
		return nil, stoa.Wrap(stoa.TooLarge, err, "the import needs more memory than it may have (%d MiB): raise the server's limit", job.Memory>>20)
	}
	if err != nil {
		return nil, err
	}
	m := worker.Model{ID: "candidate", Manifest: job.Manifest, Inputs: rep.Inputs, Outputs: rep.Outputs}
	for _, name := range append(append([]string{}, files...), adapterFiles(man)...) {
		m.Files = append(m.Files, blob.File{Name: name})
	}
	start := time.Now()
	footprint, err := engine.Load(ctx, m)
	if err != nil {
		return nil, err
	}
	if most, err := memoryLimit(man); err != nil || most > 0 && footprint.Host > most {
		return nil, stoa.Wrap(stoa.TooLarge, err, "the loaded model takes %d MiB, over limits.memory: %s", footprint.Host>>20, man.Limits.Memory)
	}
	check := &importer.Check{LoadSeconds: time.Since(start).Seconds(), HostBytes: footprint.Host}
	t := trial{engine: engine, model: m, manifest: man, dir: job.Dir, check: check}
	if err := t.compare(ctx); err != nil {
		return nil, err
	}
	if err := t.sample(ctx); err != nil {
		return nil, err
	}
	return check, engine.Unload(ctx, m.ID)
}

// trial is a loaded network before it is published.
type trial struct {
	engine   *ort.Engine
	model    worker.Model
	manifest *manifest.Manifest
	dir      string          // of the bundle's files
	check    *importer.Check // what was found out
}

// compare compares the network with what the manifest's checks say that its
// framework of origin answers: one that answers otherwise is not published.
func (t *trial) compare(ctx context.Context) error {
	cases := make([]importer.Case, len(t.manifest.Check))
	for i, c := range t.manifest.Check {
		cases[i] = importer.Case{Inputs: c.Input, Outputs: c.Output, Tolerance: c.Tolerance}
	}
	compared, err := compare(ctx, t.engine, t.model, cases, func(name string) (tensor.Tensor, error) {
		array, err := readNpy(filepath.Join(t.dir, filepath.FromSlash(name)))
		if err != nil { // without the folder, which is the server's
			return array, stoa.Wrap(stoa.KindOf(err), err, "%s", strings.ReplaceAll(stoa.AsError(err).Msg, t.dir+string(filepath.Separator), ""))
		}
		return array, nil
	})
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "check: %s", stoa.AsError(err).Msg)
	}
	t.check.Compared = compared
	var off []string
	for _, c := range compared {
		if !c.OK {
			off = append(off, fmt.Sprintf("output %q is off by %.3g of its scale, over %.3g (%s)", c.Output, c.MaxRel, c.Tolerance, c.Wanted))
		}
	}
	if len(off) > 0 {
		return stoa.Errorf(stoa.Invalid, "check: the imported network does not answer as it should: %s", strings.Join(off[:min(len(off), 5)], "; "))
	}
	return nil
}

// sample runs the sample through the adapters, where there is one.
func (t *trial) sample(ctx context.Context) error {
	in, name, err := sample(t.manifest, t.dir)
	if err != nil || name == "" {
		return err
	}
	start := time.Now()
	results, err := t.engine.Run(ctx, t.model.ID, []stoa.Value{in})
	if err != nil {
		return err
	}
	if err := results[0].Err; err != nil {
		e := *stoa.AsError(err)
		e.Msg = "the sample does not run: " + e.Msg
		return &e
	}
	t.check.Sample, t.check.RunSeconds, t.check.Answer = name, time.Since(start).Seconds(), answerText(results[0].Value)
	return nil
}

// sample reads the manifest's sample input; name is "" where there is none.
func sample(man *manifest.Manifest, dir string) (stoa.Value, string, error) {
	if man.Sample == nil {
		return stoa.Value{}, "", nil
	}
	v, err := man.Sample.Value(func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	})
	switch {
	case man.Sample.File != "":
		return v, man.Sample.File, err
	case man.Sample.Text != "":
		return v, "text", err
	}
	return v, "json", err
}

// answerText shortens an answer for the report.
func answerText(v stoa.Value) string {
	const most = 4000
	switch {
	case v.Type == stoa.Binary && v.MediaType != "":
		return v.MediaType
	case v.Type == stoa.Binary:
		return "binary"
	case len(v.Data) > most:
		return strings.ToValidUTF8(string(v.Data[:most]), "") + "…"
	}
	return string(v.Data)
}
