package build

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/egress"
	"github.com/stoa-project/stoa/internal/format/layer"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// BuildError is the type of an error that is the author's: a step that failed, or
// took more than it may.
const BuildError = "BuildError"

// Sandbox starts commands. *sandbox.Sandbox is one.
type Sandbox interface {
	Start(sandbox.Spec) (*sandbox.Process, error)
	Mode() sandbox.Mode
}

// Config is what builds of this machine share.
type Config struct {
	Dir   string // for builds under way; emptied by New, and readable by the server alone
	Cache string // for what is kept between builds; readable by the server alone

	Sandbox Sandbox
	// Command gives the command that runs a script in the sandbox, where egress is the
	// socket to the way out, or "". Default: stoa-init run.
	Command func(egress, script string) []string

	// Hosts are those that builds may fetch from. nil: those that the language's
	// client is configured for on this machine. Empty: none. Those that are named by
	// their very name may have a private address, such as a mirror's.
	Hosts    []string
	Resolver egress.Resolver                                                      // as in egress.Policy
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // as there
	Upstream func(*url.URL) (*url.URL, error)                                     // as there
	Env      []string                                                             // the server's environment, of which recipes take what they name
	Limits   Limits
	Parallel int              // builds at once; more wait; default 2
	Now      func() time.Time // default time.Now
}

// Limits bound one build. Zero means the default.
type Limits struct {
	Time      time.Duration // of each step; default 15 min
	Memory    int64         // default 2 GiB
	CPU       float64       // processors; default: no limit
	Processes int64         // and threads; default 1024: compilers start many
	Disk      int64         // of source, dependencies, what is built and temporary files together; default 4 GiB
	File      int64         // of one file; default 2 GiB
	Entries   int           // files and folders; default 300,000
	Cache     int64         // of /cache, for an owner and a language; default 2 GiB
	Kept      int64         // of dependency layers that are kept, of all owners; default 20 GiB
}

// maxScratch is how many folders for /cache there are.
const maxScratch = 200

func (l Limits) filled() Limits {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	if l.Time == 0 {
		l.Time = 15 * time.Minute
	}
	if l.Entries == 0 {
		l.Entries = 300_000
	}
	def(&l.Memory, 2<<30)
	def(&l.Processes, 1024)
	def(&l.Disk, 4<<30)
	def(&l.File, 2<<30)
	def(&l.Cache, 2<<30)
	def(&l.Kept, 20<<30)
	return l
}

// layer gives the bounds of a layer: no more than who unpacks it takes.
func (l Limits) layer() layer.Limits {
	return layer.Limits{Entries: min(l.Entries, layer.DefaultEntries), Bytes: min(l.Disk, layer.DefaultBytes), File: min(l.File, layer.DefaultFile)}
}

// Local builds on this machine.
type Local struct {
	cfg     Config
	room    chan struct{}
	deps    *store
	scratch *scratch
	keys    locks
}

var _ Builder = (*Local)(nil)

// New makes a builder, and removes what builds of an earlier process left.
func New(cfg Config) (*Local, error) {
	cfg.Limits = cfg.Limits.filled()
	if cfg.Parallel == 0 {
		cfg.Parallel = 2
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Command == nil {
		cfg.Command = initCommand
	}
	if _, err := egress.New(egress.Policy{Allow: cfg.Hosts}); err != nil {
		return nil, err
	}
	// Files that a build made are the server's own, whatever their modes: nobody else
	// of the machine may come near them.
	for _, dir := range []string{cfg.Dir, cfg.Cache} {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.Chmod(dir, 0o700)
		}
		if err != nil {
			return nil, blob.WriteError(err)
		}
	}
	list, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder of builds cannot be read")
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), workPrefix) {
			_ = removeAll(filepath.Join(cfg.Dir, e.Name())) // what stays goes with the next start
		}
	}
	l := &Local{cfg: cfg, room: make(chan struct{}, cfg.Parallel)}
	if l.deps, err = newStore(filepath.Join(cfg.Cache, "deps"), cfg.Limits.Kept, cfg.Now); err != nil {
		return nil, err
	}
	l.scratch, err = newScratch(filepath.Join(cfg.Cache, "scratch"), cfg.Limits.Cache, maxScratch, cfg.Now)
	return l, err
}

const workPrefix = "build-"

// noSandbox is the first line of the log of a build without one.
const noSandbox = "there is no sandbox (--sandbox=none): this build has the server's own rights and network"

// job is one build under way.
type job struct {
	*Local
	Job
	work    string // its folder, below Config.Dir
	env     []string
	scratch string
	log     *record
	failure *regexp.Regexp // of the recipe; nil for none
	report  Report

	mu     sync.Mutex
	wanted []string // hosts that were refused
}

// Build makes the layers of a version in j.Out, which is empty. An error of type
// BuildError is the author's; its message ends with the end of the log. A second
// build with the same lock files runs no dependency step.
func (l *Local) Build(ctx context.Context, j Job) (Result, error) {
	log := &record{live: j.Log}
	done, err := l.enter(ctx, log)
	if err != nil {
		return Result{}, err
	}
	defer done()
	start := l.cfg.Now()
	b := &job{Local: l, Job: j, log: log, env: l.environment(j.Recipe)}
	if err := b.prepare(); err != nil {
		return Result{}, err
	}
	res, err := b.build(ctx)
	b.log.finish()
	_ = removeAll(b.work) // what stays goes with the next start
	if err != nil {
		return Result{}, err
	}
	res.Report.Seconds = l.cfg.Now().Sub(start).Seconds()
	res.Report.Log = b.log.String()
	return res, nil
}

// enter waits for a build's turn, and tells its author that it does.
func (l *Local) enter(ctx context.Context, log *record) (done func(), err error) {
	done = func() { <-l.room }
	select {
	case l.room <- struct{}{}:
		return done, nil
	default:
	}
	log.say("waiting: other builds are under way")
	select {
	case l.room <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, stoa.AsError(ctx.Err())
	}
}

// prepare checks the job and makes its folders.
func (b *job) prepare() error {
	if b.Manifest == nil || b.Manifest.Kind != manifest.KindCode {
		return stoa.Errorf(stoa.Internal, "only code is built")
	}
	if b.cfg.Sandbox.Mode() == sandbox.None {
		b.log.say(noSandbox)
	}
	b.report = Report{Language: b.Recipe.Language, Runtime: b.Runtime}
	for _, p := range b.Recipe.Programs {
		path, err := exec.LookPath(p)
		if err != nil {
			return stoa.Wrap(stoa.Unavailable, err, "this server has no %s, which %s is built with: its operator must install it", p, b.Recipe.Language)
		}
		b.report.Programs = append(b.report.Programs, path)
	}
	if b.Recipe.Failure != "" {
		re, err := regexp.Compile(b.Recipe.Failure)
		if err != nil {
			return stoa.Wrap(stoa.Internal, err, "the recipe of %s has a bad failure pattern", b.Recipe.Language)
		}
		b.failure = re
	}
	var err error
	if b.work, err = os.MkdirTemp(b.cfg.Dir, workPrefix); err != nil {
		return blob.WriteError(err)
	}
	for _, d := range []string{"src", "locks", "out", "tmp", "net", "none"} {
		if err := os.Mkdir(b.path(d), 0o755); err != nil {
			return errors.Join(blob.WriteError(err), removeAll(b.work))
		}
	}
	return nil
}

func (b *job) path(name string) string { return filepath.Join(b.work, name) }

func (b *job) build(ctx context.Context) (res Result, err error) {
	dir, done, err := b.Local.scratch.open(b.Owner, b.Recipe.Language)
	if err != nil {
		return Result{}, err
	}
	b.scratch = dir
	defer done(context.WithoutCancel(ctx))
	if _, err := copySource(ctx, b.Source, b.path("src"), everything); err != nil {
		return Result{}, err
	}
	limits := b.cfg.Limits.layer()
	var lang index
	if b.Runner != "" {
		if lang, _, err = pack(ctx, b.Runner, b.out(LangLayer), limits); err != nil {
			return Result{}, err
		}
		res.Files = append(res.Files, LangLayer)
	}
	deps, err := b.dependencies(ctx, lang)
	if err != nil {
		return Result{}, err
	}
	if deps.Digest != "" {
		res.Files = append(res.Files, DepLayer)
		b.report.DepsBytes = deps.Size
	}
	if b.Recipe.Build != "" {
		if err := b.run(ctx, step{name: "build", script: b.Recipe.Build, src: "src"}); err != nil {
			return Result{}, err
		}
	}
	app, summary, err := pack(ctx, b.path("out"), b.out(AppLayer), limits)
	if err != nil {
		return Result{}, b.packError(AppLayer, err)
	}
	b.tellDropped(summary)
	res.Files = append(res.Files, AppLayer)
	b.report.AppBytes = app.Size
	slices.Sort(res.Files)
	res.Report = b.report
	return res, nil
}

func (b *job) out(name string) string { return filepath.Join(b.Out, filepath.FromSlash(name)) }

// packError makes a layer that is too large, or whose files cannot be, the
// author's error.
func (b *job) packError(name string, err error) error {
	e := stoa.AsError(err)
	if e.Kind != stoa.TooLarge && e.Kind != stoa.Invalid {
		return err
	}
	return &stoa.Error{Kind: stoa.Invalid, Type: BuildError, Err: err, Msg: "what was built cannot be kept (" + name + "): " + e.Msg}
}

func (b *job) tellDropped(s layer.Summary) {
	for _, d := range s.Dropped {
		b.log.say("left out: " + d + " is a link that leads out, or neither a file nor a folder")
	}
}

// dependencies gives the dependency layer, from the cache where it is there. The
// step sees the lock files alone, so that the key covers all that it is made of.
func (b *job) dependencies(ctx context.Context, lang index) (index, error) {
	r := b.Recipe
	names, err := copySource(ctx, b.Source, b.path("locks"), r.isLock)
	if err != nil || len(names) == 0 || r.Dependencies == "" {
		return index{}, errors.Join(err, b.noDeps())
	}
	network := "without network"
	if b.network() {
		network = "with network"
	}
	k := new(keySum)
	// Another owner's layer is not used, though the files were the same: what filled
	// it had that owner's cache before it.
	k.add("1", b.Owner, r.Language, b.Runtime, platform, r.Dependencies, string(lang.Digest), network)
	env := visible(b.env)
	k.add(strconv.Itoa(len(env)))
	k.add(env...)
	if err := k.addFiles(b.path("locks"), names); err != nil {
		return index{}, err
	}
	key := k.sum()
	release, err := b.keys.take(ctx, key)
	if err != nil {
		return index{}, err
	}
	defer release()
	if err := os.MkdirAll(filepath.Dir(b.out(DepLayer)), 0o700); err != nil {
		return index{}, blob.WriteError(err)
	}
	x, ok, err := b.deps.get(ctx, key, b.out(DepLayer), b.path("deps"))
	if err != nil {
		return index{}, err
	}
	if ok {
		b.report.Cached = true
		b.log.say("dependencies: as installed before, since " + strings.Join(names, ", ") + " did not change")
	} else if x, err = b.install(ctx, key); err != nil {
		return index{}, err
	}
	if x.Digest == "" {
		return x, b.noDeps()
	}
	return x, nil
}

func (b *job) noDeps() error {
	if err := os.Mkdir(b.path("deps"), 0o755); err != nil {
		return blob.WriteError(err)
	}
	return nil
}

// install runs the dependency step and keeps what it made. What the build step
// then sees was unpacked from the layer, as it is for a replica.
func (b *job) install(ctx context.Context, key string) (index, error) {
	made := b.path("made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return index{}, blob.WriteError(err)
	}
	s := step{name: "dependencies", script: b.Recipe.Dependencies, src: "locks", deps: made, network: b.network()}
	if err := b.run(ctx, s); err != nil {
		return index{}, err
	}
	x, summary, err := pack(ctx, made, b.out(DepLayer), b.cfg.Limits.layer())
	if err != nil {
		return index{}, b.packError(DepLayer, err)
	}
	b.tellDropped(summary)
	if err := removeAll(made); err != nil {
		return index{}, err
	}
	if summary.Entries == 0 {
		x = index{}
		err = os.Remove(b.out(DepLayer))
	} else {
		err = unpack(ctx, b.out(DepLayer), x, b.path("deps"))
	}
	if err != nil {
		return index{}, stoa.AsError(err)
	}
	return x, b.deps.put(ctx, key, b.out(DepLayer), x)
}

func (b *job) network() bool {
	c := b.Manifest.Code
	return c != nil && c.Build != nil && c.Build.Network
}

// overMemory says that a step was killed for memory.
func (b *job) overMemory(u sandbox.Usage) string {
	if u.OOMKills == 0 {
		return ""
	}
	return "it needed more memory than the " + human.Bytes(b.cfg.Limits.Memory) + " that a build may have"
}
