package build

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/egress"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// Where a step sees its folders, and the way out.
const (
	inSource = "/src"
	inDeps   = "/deps"
	inOut    = "/out"
	inCache  = "/cache"
	inLang   = "/lang"
	inTmp    = "/scratch" // for temporary files, on disk: those in /tmp count as memory
	inEgress = "/run/stoa/egress"
	inCerts  = "/run/stoa/certs"
	// proxyURL is where the first process of the sandbox hands connections on to the
	// way out; the shim knows the port too.
	proxyURL = "http://127.0.0.1:9001"
)

// initCommand runs a script behind stoa-init.
func initCommand(egress, script string) []string {
	args := []string{sandbox.InitPath, "run"}
	if egress != "" {
		args = append(args, "--egress", egress)
	}
	return append(args, "--", "/bin/sh", "-e", "-c", script)
}

// step is a script of the recipe.
type step struct {
	name    string
	script  string
	src     string // the folder of the job that it sees as /src
	deps    string // the folder that it fills; "": it reads those that are there
	network bool
}

// run runs a step in the sandbox. An error of the step itself is a BuildError.
func (b *job) run(ctx context.Context, s step) error {
	from := b.log.count()
	why, err := b.execute(ctx, s)
	if err != nil || why == "" {
		return err
	}
	return b.failed(s, why, from)
}

// execute runs a step, and says in words how it failed.
func (b *job) execute(ctx context.Context, s step) (why string, err error) {
	spec := b.spec(s)
	if s.network && b.cfg.Sandbox.Mode() != sandbox.None {
		closeWay, err := b.openWay(ctx, &spec)
		if err != nil {
			return "", err
		}
		defer closeWay()
	}
	egressAt := ""
	if s.network {
		egressAt = inEgress
	}
	spec.Command = b.cfg.Command(egressAt, s.script)
	if b.cfg.Sandbox.Mode() == sandbox.None {
		spec.Command = []string{"/bin/sh", "-e", "-c", s.script} // there is no way out to be opened, and nothing to be reaped
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", stoa.Wrap(stoa.Internal, err, "no pipe for the build's output")
	}
	defer r.Close()
	defer w.Close()
	spec.Stdout, spec.Stderr = w, w
	p, err := b.cfg.Sandbox.Start(spec)
	if err != nil {
		return "", err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(b.log, r) // it ends when the last writer has gone
	}()
	why, err = b.await(ctx, p)
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	w.Close()
	// Without a sandbox something may live on that holds the pipe.
	_ = r.SetReadDeadline(time.Now().Add(2 * time.Second))
	<-read
	if oom := b.overMemory(p.Usage()); oom != "" && why != "" {
		why = oom
	}
	return why, err
}

// await waits for the end of a step, or ends it: after its time, over its quota,
// or with ctx.
func (b *job) await(ctx context.Context, p *sandbox.Process) (why string, err error) {
	inner, cancel := context.WithTimeout(ctx, b.cfg.Limits.Time)
	defer cancel()
	measure := b.measure(p.PID())
	over := make(chan error, 1)
	go func() { over <- watch(inner, measure) }()
	var full error
	select {
	case <-p.Done():
		timedOut := inner.Err() != nil
		cancel()
		if full = <-over; full == nil && !timedOut {
			full = measure(ctx) // once more: a step may have been quick
		}
	case full = <-over:
	}
	timedOut := full == nil && inner.Err() == context.DeadlineExceeded
	p.Kill()
	werr := p.Wait()
	var exit *sandbox.ExitError
	switch {
	case ctx.Err() != nil:
		return "", stoa.AsError(ctx.Err())
	case full != nil && stoa.KindOf(full) == stoa.Invalid:
		return stoa.AsError(full).Msg, nil
	case full != nil:
		return "", full
	case timedOut:
		return fmt.Sprintf("it took longer than the %s that a step may take", b.cfg.Limits.Time), nil
	case errors.As(werr, &exit):
		return exit.Error(), nil
	}
	return "", werr
}

// measure gives a function that says what a step, whose first process has that
// id, takes too much of.
func (b *job) measure(first int) func(context.Context) error {
	l := b.cfg.Limits
	var dirs []string
	for _, d := range []string{"src", "locks", "made", "out", "tmp"} {
		if _, err := os.Lstat(b.path(d)); err == nil {
			dirs = append(dirs, b.path(d))
		}
	}
	hide := func(dev uint64) int64 { return hidden(first, dev) }
	if b.cfg.Sandbox.Mode() == sandbox.None || first == 0 {
		hide = nil // its process namespace is everybody's
	}
	quotas := []quota{
		{what: "its folders", dirs: dirs, hidden: hide, bytes: l.Disk, entries: l.Entries},
		// Above l.Cache it is emptied when the build has ended.
		{what: "its cache", dirs: []string{b.scratch}, bytes: 2 * l.Cache, entries: 2 * maxScratchEntries},
	}
	return func(ctx context.Context) error {
		for _, q := range quotas {
			if err := q.check(ctx); err != nil {
				return err
			}
		}
		return enough(b.work)
	}
}

// spec lays out what a step sees.
func (b *job) spec(s step) sandbox.Spec {
	l := b.cfg.Limits
	runner := b.Runner
	if runner == "" {
		runner = b.path("none")
	}
	deps := sandbox.Mount{Source: b.path("deps"), Target: inDeps}
	out := sandbox.Mount{Source: b.path("out"), Target: inOut, Write: true}
	if s.deps != "" {
		// What is written to /out then would be missing the next time, when the layer
		// comes from the cache.
		deps = sandbox.Mount{Source: s.deps, Target: inDeps, Write: true}
		out = sandbox.Mount{Source: b.path("none"), Target: inOut}
	}
	mounts := []sandbox.Mount{
		{Source: b.path(s.src), Target: inSource, Write: true},
		deps,
		out,
		{Source: b.scratch, Target: inCache, Write: true},
		{Source: b.path("tmp"), Target: inTmp, Write: true},
		{Source: runner, Target: inLang},
	}
	mounts = append(mounts, b.Mounts...)
	env := slices.Clone(b.env)
	for _, e := range []string{"SRC=" + inSource, "DEPS=" + inDeps, "OUT=" + inOut, "CACHE=" + inCache, "LANG_DIR=" + inLang, "TMPDIR=" + inTmp, "PWD=" + inSource} {
		env = setEnv(env, e)
	}
	// What the server itself goes around its proxy for is not to be had that way from
	// inside.
	env = slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(e), "=")
		return name == "NO_PROXY" || name == "ALL_PROXY"
	})
	if s.network {
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
			if b.cfg.Sandbox.Mode() != sandbox.None {
				env = setEnv(env, name+"="+proxyURL)
			}
		}
		env, mounts = b.certificates(env, mounts)
	}
	return sandbox.Spec{
		Name: "build-" + strings.ToLower(rand.Text()[:16]), Env: env, Dir: inSource, Mounts: mounts, Tmp: 256 << 20, Kind: sandbox.Build, First: true,
		Limits: sandbox.Limits{Memory: l.Memory, CPU: l.CPU, Processes: l.Processes, FileSize: l.File, Files: 4096},
	}
}

// certNames are variables that name a file of certificates.
var certNames = []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "GIT_SSL_CAINFO"}

// bundles are where systems keep the certificates that they trust: Debian's and
// Fedora's place, Alpine's and that of older ones.
var bundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}

// certificates shows the host's certificates inside: a client must trust what the
// host trusts, which may be a mirror's own.
func (b *job) certificates(env []string, mounts []sandbox.Mount) ([]string, []sandbox.Mount) {
	has := func(name string) bool {
		return slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	}
	for _, path := range bundles {
		if isFile(path) && !has("SSL_CERT_FILE") {
			env = setEnv(env, "SSL_CERT_FILE="+path)
		}
	}
	seen := map[string]string{}
	for _, name := range certNames {
		i := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		if i < 0 {
			continue
		}
		path := strings.TrimPrefix(env[i], name+"=")
		if !filepath.IsAbs(path) || !isFile(path) {
			continue
		}
		at, ok := seen[path]
		if !ok {
			at = fmt.Sprintf("%s/%d.pem", inCerts, len(seen)+1)
			seen[path] = at
			mounts = append(mounts, sandbox.Mount{Source: path, Target: at})
		}
		env[i] = name + "=" + at
	}
	return env, mounts
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// openWay opens the way out for a step: a socket that the sandbox sees, and behind
// it a proxy to the hosts that are allowed.
func (b *job) openWay(ctx context.Context, spec *sandbox.Spec) (func(), error) {
	hosts, err := b.hosts(ctx, b.Recipe, b.env, b.path("none"))
	if err != nil {
		return nil, err
	}
	proxy, err := egress.New(egress.Policy{
		Allow: hosts, Named: true, Resolver: b.cfg.Resolver, Dial: b.cfg.Dial, Upstream: b.cfg.Upstream, Log: b.attempt,
	})
	if err != nil {
		return nil, err
	}
	ln, err := listen(b.path("net"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = proxy.Serve(ctx, ln) // the step sees that it is closed
	}()
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: filepath.Join(b.path("net"), "egress"), Target: inEgress})
	return func() {
		cancel()
		<-served
		_ = os.Remove(filepath.Join(b.path("net"), "egress")) // with its folder, else
	}, nil
}

// listen listens on a socket in a folder whose path may be longer than the 107
// bytes that an address can hold: the system goes there by the descriptor.
func listen(dir string) (net.Listener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "no socket for the way out")
	}
	defer d.Close()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/egress", d.Fd())})
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "no socket for the way out")
	}
	ln.SetUnlinkOnClose(false) // the descriptor may be another's by then
	return ln, nil
}

// attempt is told what the step wanted to reach.
func (b *job) attempt(a egress.Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	why := a.Refused
	if why == "" {
		why = a.Failed
	}
	if why != "" {
		if !slices.Contains(b.wanted, why) && len(b.wanted) < 20 {
			b.wanted = append(b.wanted, why)
			b.log.say("network: " + why)
		}
		return
	}
	if !slices.Contains(b.report.Hosts, a.Host) && len(b.report.Hosts) < 100 {
		b.report.Hosts = append(b.report.Hosts, a.Host)
	}
}

// failed makes a BuildError of how a step failed: the place that the language
// tells, hints, and the end of the log.
func (b *job) failed(s step, why string, from int) error {
	b.log.finish()
	lines := b.log.last(from, 200, maxKept)
	var m strings.Builder
	fmt.Fprintf(&m, "the build failed in its step %q", s.name)
	if place := b.place(lines); place != "" {
		fmt.Fprintf(&m, ", at %s", place)
	}
	fmt.Fprintf(&m, ": %s", why)
	if s.name == "dependencies" && !s.network {
		m.WriteString("; it had no network, since stoa.yaml does not have code.build.network: true")
	}
	b.mu.Lock()
	for _, w := range b.wanted {
		m.WriteString("; " + w)
	}
	b.mu.Unlock()
	if end := b.log.last(from, 20, 3000); len(end) > 0 {
		m.WriteString("; the log ends with:\n" + strings.Join(end, "\n"))
	}
	return &stoa.Error{Kind: stoa.Invalid, Type: BuildError, Msg: m.String()}
}

// place finds where the failure is, from the end of the log.
func (b *job) place(lines []string) string {
	if b.failure == nil {
		return ""
	}
	for _, line := range slices.Backward(lines) {
		found := b.failure.FindStringSubmatch(line)
		for i := 1; i < len(found); i++ {
			if found[i] != "" {
				return found[i]
			}
		}
	}
	return ""
}
