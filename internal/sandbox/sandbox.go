// Package sandbox runs commands so that they can do nothing to the machine, its
// network, its users or each other: in namespaces of their own, with a root of
// their own that is read-only but for /tmp, as a user who owns nothing, under
// limits of memory, processors and processes, and without the system calls that
// have been ways out. What it promises it checks when it is made, by starting
// one: a protection that is asked for and missing is an error that names it.
package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/cgroup"
	"github.com/stoa-project/stoa/internal/landlock"
	"github.com/stoa-project/stoa/internal/seccomp"
)

// Config is what a Sandbox needs.
type Config struct {
	Mode Mode   // default On
	Dir  string // folder for files of its own, which nobody else may write
	// Init is the path of stoa-init, or of a program that runs stage.Main where its
	// arguments say so. It is shown inside at InitPath.
	Init    string
	Bwrap   string   // path of bubblewrap; "" finds it (see Find)
	Runtime string   // "bwrap", the default; "runsc" is gVisor
	Cgroup  string   // where groups are made, from the hierarchies' roots; "" finds a place
	Etc     []string // names in the host's /etc that are shown inside beside the usual
	Log     *slog.Logger
}

// InitPath is where stoa-init is seen inside.
const InitPath = "/run/stoa/init"

// The user inside. Outside it is one that owns nothing where the server is root,
// else the server's own.
const (
	insideUID  = "1000"
	insideName = "algorithm"
)

// firstUID begins a range of user ids that nobody gives out: systemd's list of
// ranges (UIDS-GIDS) calls 1,879,048,192 to 2,147,483,647 unused. Each sandbox
// takes one at random, so that two that live share one in less than one of a
// hundred million cases, in which the namespaces still part them.
const (
	firstUID = 1_879_048_192
	uids     = 1 << 28
)

// Sandbox starts commands. Its methods may be called at once.
type Sandbox struct {
	cfg     Config
	root    bool
	parent  *cgroup.Parent // nil: memory is watched, or there is no sandbox
	etc     string         // the folder that is /etc inside
	system  []string       // bubblewrap's arguments for what every sandbox sees
	filters map[Kind][]byte
	report  []Protection
}

// New makes a Sandbox, and tries it: what is missing is found here.
func New(cfg Config) (*Sandbox, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{cfg: cfg, root: os.Geteuid() == 0}
	if s.cfg.Mode == "" {
		s.cfg.Mode = On
	}
	switch s.cfg.Mode {
	case None:
		s.report = []Protection{{
			Name: "sandbox", State: Off, Detail: "--sandbox=none: commands run as the server's own user, and can do what it can",
			Remedy: "start without --sandbox=none",
		}}
		return s, nil
	case On, Strict:
	default:
		return nil, stoa.Errorf(stoa.Invalid, "--sandbox=%s: it is on, strict or none", s.cfg.Mode)
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.limits(); err != nil {
		return nil, err
	}
	if err := s.try(); err != nil {
		s.Close()
		return nil, err
	}
	s.describe()
	return s, nil
}

// prepare finds the programs, and makes what is the same for every sandbox.
func (s *Sandbox) prepare() error {
	switch s.cfg.Runtime {
	case "", "bwrap":
	case "runsc":
		return stoa.Errorf(stoa.Unsupported, "the sandbox runtime runsc (gVisor) is not supported yet: use bwrap")
	default:
		return stoa.Errorf(stoa.Invalid, "the sandbox runtime %q is not known: it is bwrap", s.cfg.Runtime)
	}
	if s.cfg.Bwrap == "" {
		s.cfg.Bwrap = Find("")
	}
	if s.cfg.Bwrap == "" {
		return stoa.Errorf(stoa.Unavailable, "namespaces: bubblewrap (bwrap) is not installed: run make setup, or install it (apt-get install bubblewrap); --sandbox=none does without, and protects nothing")
	}
	if s.cfg.Init == "" {
		return stoa.Errorf(stoa.Unavailable, "stoa-init is missing, without which no sandbox can be started: it belongs beside stoa; run make build")
	}
	if landlock.Version() == 0 {
		return stoa.Errorf(stoa.Unavailable, "landlock: this kernel has none, or does not use it: Linux 5.13 or newer is needed, with landlock in the boot parameter lsm=")
	}
	for _, path := range []*string{&s.cfg.Init, &s.cfg.Bwrap, &s.cfg.Dir} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return stoa.Wrap(stoa.Internal, err, "%s has no absolute path", *path)
		}
		*path = abs
	}
	s.etc = filepath.Join(s.cfg.Dir, "etc")
	if err := makeEtc(s.etc, s.cfg.Etc); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the sandbox's /etc cannot be made in %s", s.cfg.Dir)
	}
	s.system = systemArgs()
	s.filters = map[Kind][]byte{}
	for kind, list := range map[Kind]seccomp.Kind{Code: seccomp.Code, Build: seccomp.Code, Worker: seccomp.Worker} {
		s.filters[kind] = seccomp.Program(list)
	}
	return nil
}

// limits finds where cgroups can be made, or that memory must be watched.
func (s *Sandbox) limits() error {
	sum := sha256.Sum256([]byte(s.cfg.Dir))
	parent, err := cgroup.Find(cgroup.Host{}, s.cfg.Cgroup, "stoa-"+hex.EncodeToString(sum[:4]))
	if err == nil {
		err = parent.Problem()
	}
	if err == nil {
		s.parent = parent
		return nil
	}
	if parent != nil {
		parent.Close()
	}
	switch {
	case s.root || s.cfg.Cgroup != "":
		return stoa.Wrap(stoa.Unavailable, err, "memory: %s", stoa.AsError(err).Msg)
	case s.cfg.Mode == Strict:
		return stoa.Wrap(stoa.Unavailable, err, "memory: it could only be watched, which --sandbox=strict refuses: %s", stoa.AsError(err).Msg)
	case !canWatch():
		return stoa.Wrap(stoa.Unavailable, err, "memory: it can be neither limited nor watched: %s", stoa.AsError(err).Msg)
	}
	return nil
}

// try starts a sandbox with all that there is.
func (s *Sandbox) try() error {
	out, err := os.CreateTemp(s.cfg.Dir, "try")
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the sandbox's folder cannot be written")
	}
	defer os.Remove(out.Name())
	defer out.Close()
	p, err := s.Start(Spec{
		Name: "try-" + strings.ToLower(rand.Text()[:8]), Command: []string{"/usr/bin/true"}, Dir: "/",
		Limits: Limits{Memory: 64 << 20, CPU: 1, Processes: 16}, Stderr: out,
	})
	if err == nil {
		err = p.Wait()
		_ = p.Close() // an error of Wait's says more
	}
	if err == nil {
		return nil
	}
	said, _ := os.ReadFile(out.Name())
	return stoa.Wrap(stoa.Unavailable, err, "namespaces: a sandbox cannot be started: %s%s",
		firstLine(stoa.AsError(err).Msg, string(said)), remedy(string(said)))
}

func firstLine(msg, said string) string {
	if line, _, _ := strings.Cut(strings.TrimSpace(said), "\n"); line != "" {
		return line
	}
	return msg
}

// remedy names what usually stands in the way of namespaces.
func remedy(said string) string {
	for file, value := range map[string]string{
		"/proc/sys/kernel/unprivileged_userns_clone":             "0",
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
		"/proc/sys/user/max_user_namespaces":                     "0",
	} {
		if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == value {
			return "; this system forbids user namespaces to ordinary programs: " + file + " is " + value
		}
	}
	if strings.Contains(said, "proc") {
		return "; in a container /proc must not be masked"
	}
	return ""
}

// Find finds bubblewrap: in the folder beside the program, where setup puts it,
// or on PATH; "" where there is none.
func Find(beside string) string {
	if beside == "" {
		if self, err := os.Executable(); err == nil {
			beside = filepath.Dir(self)
		}
	}
	for _, path := range []string{"bwrap", "usr/bin/bwrap"} {
		path = filepath.Join(beside, path)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return ""
	}
	return path
}

// Mode is the mode in force.
func (s *Sandbox) Mode() Mode { return s.cfg.Mode }

// Report says which protections there are, for doctor and the log.
func (s *Sandbox) Report() []Protection { return slices.Clone(s.report) }

// Close removes the groups' common parent, if no sandbox lives.
func (s *Sandbox) Close() {
	if s.parent != nil {
		s.parent.Close()
	}
}

// Sweep ends every sandbox of this folder whose record is not among those that
// are kept: what an earlier server started and did not live to write down.
func (s *Sandbox) Sweep(ctx context.Context, keep []Record) error {
	if s.parent == nil {
		return nil
	}
	return s.parent.Sweep(func(name string) bool {
		return slices.ContainsFunc(keep, func(r Record) bool { return r.Name == name })
	})
}
