package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/format/layer"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/schema"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// buildCode builds a bundle of code, starts it once, and runs its sample where
// there is one: what does not start is not published.
func (b *builder) buildCode(ctx context.Context, j catalog.BuildJob, man *manifest.Manifest) (catalog.BuildResult, error) {
	if err := b.mayReach(man); err != nil {
		return catalog.BuildResult{}, err
	}
	if man.Schema != nil {
		for field, s := range map[string]any{"schema.input": man.Schema.Input, "schema.output": man.Schema.Output} {
			if _, err := schema.Compile(field, s); err != nil {
				return catalog.BuildResult{}, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.BuildTime)
	defer cancel()
	lang, err := langpack.Detect(os.DirFS(j.Dir), man)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	job, done, err := b.codeJob(lang, j, man)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	defer done()
	res, err := b.local.Build(ctx, job)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	models, err := b.copyModels(ctx, j, man)
	if err != nil {
		return catalog.BuildResult{}, err
	}
	res.Files = append(res.Files, models...)
	fmt.Fprintf(j.Log, "starting it once\n")
	if err := b.tryCode(ctx, lang, j, man, &res); err != nil {
		return catalog.BuildResult{}, err
	}
	report, err := res.Report.JSON()
	if err != nil {
		return catalog.BuildResult{}, stoa.Wrap(stoa.Internal, err, "the report of the build cannot be written")
	}
	return catalog.BuildResult{Files: res.Files, Report: report}, nil
}

// mayReach refuses a version that asks for hosts which the operator does not let
// code reach: it would fail at its first call.
func (b *builder) mayReach(man *manifest.Manifest) error {
	if man.Code == nil || len(man.Code.Network) == 0 {
		return nil
	}
	if len(b.cfg.CodeHosts) == 0 {
		return stoa.Errorf(stoa.Forbidden, "code.network: this server lets code reach no host: ask its operator for stoa serve --code-host %s", man.Code.Network[0])
	}
	return nil
}

// codeJob says what to build, and how its language does that.
func (b *builder) codeJob(lang *langpack.Language, j catalog.BuildJob, man *manifest.Manifest) (job build.Job, done func(), err error) {
	job = build.Job{Source: j.Dir, Out: j.Out, Manifest: man, Owner: j.Owner, Log: j.Log}
	if job.Recipe, err = lang.Recipe(man, os.DirFS(j.Dir)); err != nil {
		return job, nil, err
	}
	if job.Mounts, err = lang.BuildMounts(); err != nil {
		return job, nil, err
	}
	if job.Runtime, err = lang.Runtime(); err != nil {
		return job, nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(j.Out), "lang-")
	if err != nil {
		return job, nil, blob.WriteError(err)
	}
	done = func() { _ = os.RemoveAll(dir) }
	job.Runner = filepath.Join(dir, "runner")
	if err := lang.WriteRunner(job.Runner); err != nil {
		done()
		return job, nil, err
	}
	if _, err := os.Stat(job.Runner); err != nil { // the program speaks for itself
		job.Runner = ""
	}
	return job, done, nil
}

// copyModels brings files of other algorithms that the manifest names into the
// version, and holds all of its models to their hashes.
func (b *builder) copyModels(ctx context.Context, j catalog.BuildJob, man *manifest.Manifest) ([]string, error) {
	if man.Code == nil {
		return nil, nil
	}
	var names []string
	for i, m := range man.Code.Models {
		at := fmt.Sprintf("code.models[%d]", i)
		path := filepath.Join(j.Dir, filepath.FromSlash(m.File))
		if m.From != "" {
			name := modelsPrefix + m.Name
			path = filepath.Join(j.Out, filepath.FromSlash(name))
			if err := b.fetchModel(ctx, j.Owner, m, path); err != nil {
				return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", at, stoa.AsError(err).Msg)
			}
			names = append(names, name)
		}
		if m.SHA256 == "" {
			continue
		}
		got, err := digestOf(ctx, path)
		if err != nil {
			return nil, err
		}
		if got != blob.Digest(m.SHA256) {
			return nil, stoa.Errorf(stoa.Invalid, "%s: the SHA-256 of %s is %s, not %s: it is another file", at, m.Name, got, m.SHA256)
		}
	}
	return names, nil
}

func digestOf(ctx context.Context, path string) (blob.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", stoa.Wrap(stoa.Internal, err, "a model cannot be read")
	}
	defer f.Close()
	d, _, err := blob.Copy(ctx, discard{}, f, -1)
	return d, err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// fetchModel copies a file of another algorithm, as pushed or as built, that the
// owner may see.
func (b *builder) fetchModel(ctx context.Context, owner string, m manifest.CodeModel, to string) error {
	ref, err := stoa.ParseRef(m.From)
	if err != nil {
		return err
	}
	v, err := b.catalog().Resolve(ctx, stoa.Caller{Account: owner}, ref)
	if err != nil {
		return err
	}
	if !strings.EqualFold(v.Owner, owner) && !v.Public {
		return stoa.Errorf(stoa.NotFound, "algorithm %s not found", m.From)
	}
	i := slices.IndexFunc(slices.Concat(v.Files, v.Built), func(f blob.File) bool { return f.Name == m.File })
	if i < 0 {
		return stoa.Errorf(stoa.NotFound, "%s has no file %.120q", m.From, m.File)
	}
	f := slices.Concat(v.Files, v.Built)[i]
	src, err := b.blobs.Open(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return blob.WriteError(err)
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return blob.WriteError(err)
	}
	_, _, err = blob.Copy(ctx, dst, src, f.Size)
	if cerr := dst.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	return err
}

// tryCode starts what was built as a replica will be, and calls it with its
// sample, on behalf of its owner.
func (b *builder) tryCode(ctx context.Context, lang *langpack.Language, j catalog.BuildJob, man *manifest.Manifest, res *build.Result) error {
	dir, err := os.MkdirTemp(b.dir, "try-")
	if err != nil {
		return blob.WriteError(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t := codeTrial{builder: b, dir: dir, out: j.Out, source: j.Dir, manifest: man}
	code, built, err := t.code(ctx, res.Files)
	if err != nil {
		return err
	}
	program, mounts, err := programAt(lang, man, langpack.Place{Source: os.DirFS(j.Dir)})
	if err != nil {
		return err
	}
	if err := addModels(code, man, t.pushed(), built); err != nil {
		return err
	}
	code.Mounts = mounts
	ref := stoa.Ref{Owner: j.Owner, Name: j.Name}
	secrets, err := b.secrets(ctx, ref)
	if err != nil {
		return err
	}
	program.Env = append(program.Env, environment(ref, "0.0.0", code)...)
	program.Env = append(program.Env, secrets...)
	res.Report.Protocol, res.Report.Command, res.Report.Framework = program.Protocol, program.Command, lang.Title()
	driver, err := process.New(process.Config{Dir: filepath.Join(dir, "run"), Build: b.cfg.Build, Linger: time.Second, Code: t.driver()})
	if err != nil {
		return err
	}
	r, err := driver.Start(ctx, fleet.Spec{Label: "candidate of " + j.Owner, Code: code})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = r.Stop(stop) // by force at the latest
	}()
	m := worker.Model{ID: "candidate", Program: &program}
	if _, err := r.Engine().Load(ctx, m); err != nil {
		return explainTrial(err, "it does not start")
	}
	return t.sample(ctx, r, m, ref, res)
}

// explainTrial says of the author's own failure when it came.
func explainTrial(err error, what string) error {
	e := *stoa.AsError(err)
	if e.Kind == stoa.Failed {
		e.Kind = stoa.Invalid
		e.Msg = what + ": " + e.Msg
		if e.Stack != "" {
			e.Msg += "\n" + e.Stack
		}
	}
	return &e
}

// codeTrial is code before it is published.
type codeTrial struct {
	*builder
	dir, out, source string
	manifest         *manifest.Manifest
	files            map[blob.Digest]string // path of each, by the digest that stands for it here
}

// code gives what the replica is made of: the layers unpacked, under digests that
// mean nothing but their order.
func (t *codeTrial) code(ctx context.Context, names []string) (*fleet.Code, []blob.File, error) {
	t.files = map[blob.Digest]string{}
	var built []blob.File
	for _, name := range names {
		f := blob.File{Name: name, Digest: blob.Digest(fmt.Sprintf("%064x", len(t.files)+1))}
		path := filepath.Join(t.out, filepath.FromSlash(name))
		if !strings.HasPrefix(name, modelsPrefix) {
			unpacked := filepath.Join(t.dir, string(f.Digest))
			if err := unpackLayer(ctx, path, unpacked); err != nil {
				return nil, nil, err
			}
			path = unpacked
		}
		t.files[f.Digest] = path
		built = append(built, f)
	}
	code, err := replica(t.manifest, built)
	return code, built, err
}

func unpackLayer(ctx context.Context, path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "a layer cannot be read")
	}
	defer f.Close()
	_, err = layer.Unpack(ctx, f, dir, layer.Limits{})
	return err
}

// pushed gives the models of the bundle itself.
func (t *codeTrial) pushed() []blob.File {
	var out []blob.File
	if t.manifest.Code == nil {
		return nil
	}
	for _, m := range t.manifest.Code.Models {
		if m.From == "" {
			f := blob.File{Name: m.File, Digest: blob.Digest(fmt.Sprintf("%064x", len(t.files)+1))}
			t.files[f.Digest] = filepath.Join(t.source, filepath.FromSlash(m.File))
			out = append(out, f)
		}
	}
	return out
}

func (t *codeTrial) driver() *process.Code {
	find := func(f blob.File) (string, error) {
		if p, ok := t.files[f.Digest]; ok {
			return p, nil
		}
		return "", stoa.Errorf(stoa.Internal, "the build has lost %s", f.Name)
	}
	c := t.codes(func(_ context.Context, f blob.File) (string, func(), error) {
		p, err := find(f)
		return p, func() {}, err
	})
	c.Blob = find
	return c
}

// sample calls the candidate with its sample, as its owner would.
func (t *codeTrial) sample(ctx context.Context, r fleet.Replica, m worker.Model, ref stoa.Ref, res *build.Result) error {
	in, name, err := sample(t.manifest, t.source)
	if err != nil || name == "" {
		return err
	}
	target := &invoke.Target{Ref: ref, Code: true, Run: func(ctx context.Context, in stoa.Value, k invoke.Ticket) stoa.Result {
		ctx = worker.WithCall(ctx, worker.Call{Token: k.Token, Request: k.Request})
		results, err := r.Engine().Run(ctx, m.ID, []stoa.Value{in})
		if err != nil {
			return stoa.Result{Err: err}
		}
		return results[0]
	}}
	if target.Check, err = checks(t.manifest); err != nil {
		return err
	}
	start := time.Now()
	out := t.trial.Try(ctx, stoa.Call{ID: "trial", Caller: stoa.Caller{Account: ref.Owner}, Input: in}, target)
	if out.Err != nil {
		return explainTrial(out.Err, "the sample does not run")
	}
	res.Report.Check = trialCheck{Sample: name, RunSeconds: time.Since(start).Seconds(), Answer: answerText(out.Value)}
	return nil
}

// trialCheck is what a trial found; the names are those of an import's check.
type trialCheck struct {
	Sample     string  `json:"sample"`
	RunSeconds float64 `json:"run_seconds"`
	Answer     string  `json:"answer"`
}
