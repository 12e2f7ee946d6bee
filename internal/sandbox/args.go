package sandbox

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/stage"
)

// devices are those that every program may count on; none of them stores.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// systemArgs are bubblewrap's arguments for what every sandbox has. The root is
// an empty tmpfs at first.
func systemArgs() []string {
	args := []string{
		"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup",
		"--uid", insideUID, "--gid", insideUID, "--new-session", "--cap-drop", "ALL", "--clearenv",
		"--ro-bind", "/usr", "/usr",
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64", "lib32", "libx32"} {
		// A link into /usr on most systems, a folder on older ones.
		path := "/" + name
		if target, err := os.Readlink(path); err == nil {
			args = append(args, "--symlink", target, path)
		} else if st, err := os.Stat(path); err == nil && st.IsDir() {
			args = append(args, "--ro-bind", path, path)
		}
	}
	// Libraries that divide their work look there for how many processors there are.
	const processors = "/sys/devices/system/cpu"
	args = append(args, "--ro-bind-try", processors, processors)
	args = append(args, "--proc", "/proc", "--dir", "/dev")
	for _, d := range devices {
		args = append(args, "--dev-bind", "/dev/"+d, "/dev/"+d)
	}
	// Shared memory lies in /tmp, and so under its limit.
	for _, l := range [][2]string{
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
		{"/tmp", "/dev/shm"},
	} {
		args = append(args, "--symlink", l[0], l[1])
	}
	return append(args, "--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--dir", "/run")
}

// check refuses what cannot be run, and fills in what was left out.
func (s *Sandbox) check(spec *Spec) error {
	if !validName(spec.Name) {
		return stoa.Errorf(stoa.Invalid, "a sandbox cannot be called %q: letters, digits and hyphens, at most 63", spec.Name)
	}
	if len(spec.Command) == 0 {
		return stoa.Errorf(stoa.Invalid, "the sandbox %s has no command", spec.Name)
	}
	if spec.Dir == "" {
		spec.Dir = "/"
	}
	if spec.Tmp == 0 {
		spec.Tmp = 64 << 20
	}
	for _, m := range spec.Mounts {
		if !filepath.IsAbs(m.Target) || filepath.Clean(m.Target) != m.Target || m.Target == "/" {
			return stoa.Errorf(stoa.Invalid, "a mount's target is an absolute path: %q is not", m.Target)
		}
		if _, err := os.Stat(m.Source); err != nil {
			return stoa.Wrap(stoa.Unavailable, err, "what the sandbox is to see at %s is not there: %s", m.Target, m.Source)
		}
	}
	return nil
}

// validName is the grammar of a host's name, which a group's name can be too.
func validName(s string) bool {
	ok := func(r rune) bool {
		return r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return len(s) > 0 && len(s) <= 63 && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

// mounts are those of a sandbox, in an order in which one may lie in another.
func (s *Sandbox) mounts(spec *Spec) []Mount {
	out := slices.Clone(spec.Mounts)
	out = append(out, Mount{Source: s.etc, Target: "/etc"}, Mount{Source: s.cfg.Init, Target: InitPath})
	slices.SortStableFunc(out, func(a, b Mount) int { return cmp.Compare(a.Target, b.Target) })
	return out
}

// fds are the descriptors that the stage and bubblewrap get behind the command's.
type fds struct{ plan, args, filter, status, block int }

// plan is what the stage is told, and args what bubblewrap reads, apart from its
// command line: the environment may hold secrets.
func (s *Sandbox) plan(spec *Spec, fd fds, uid int, cgroups []string) (stage.Plan, []string) {
	p := stage.Plan{Cgroups: cgroups, Limits: rlimits(spec.Limits), UID: uid, Status: fd.status, Path: s.cfg.Bwrap}
	args := append(slices.Clone(s.system), "--hostname", spec.Name,
		"--perms", "1777", "--size", strconv.FormatInt(spec.Tmp, 10), "--tmpfs", "/tmp")
	for i, m := range s.mounts(spec) {
		source, bind := m.Source, "--ro-bind"
		if m.Write {
			bind = "--bind"
		}
		if uid != 0 {
			name := strconv.Itoa(i)
			p.Mounts = append(p.Mounts, stage.Mount{Source: source, Name: name, Write: m.Write})
			source = filepath.Join(stage.Folder, name)
		}
		args = append(args, bind, source, m.Target)
	}
	if uid != 0 && !within("/usr", s.cfg.Bwrap) {
		// It may lie where the user cannot go. Below /usr anybody can, and security
		// modules know it by that path.
		p.Mounts = append(p.Mounts, stage.Mount{Source: s.cfg.Bwrap, Name: "bwrap"})
		p.Path = filepath.Join(stage.Folder, "bwrap")
	}
	for _, e := range spec.Env {
		if name, value, ok := strings.Cut(e, "="); ok {
			args = append(args, "--setenv", name, value)
		}
	}
	args = append(args, "--remount-ro", "/", "--chdir", spec.Dir,
		"--seccomp", strconv.Itoa(fd.filter), "--json-status-fd", strconv.Itoa(fd.status))
	if spec.First {
		args = append(args, "--as-pid-1")
	}
	if fd.block != 0 {
		args = append(args, "--block-fd", strconv.Itoa(fd.block))
	}
	p.Args = append([]string{"--args", strconv.Itoa(fd.args), "--"}, confined(spec)...)
	return p, args
}

// confined is the command behind the step that puts Landlock in force.
func confined(spec *Spec) []string {
	out := []string{InitPath, stage.Confine, "/tmp"}
	for _, d := range devices {
		out = append(out, "/dev/"+d)
	}
	for _, m := range spec.Mounts {
		if m.Write {
			out = append(out, m.Target)
		}
	}
	return append(append(out, "--"), spec.Command...)
}

func rlimits(l Limits) []stage.Limit {
	out := []stage.Limit{{Which: unix.RLIMIT_CORE}}
	for _, x := range []struct {
		which int
		value int64
	}{{unix.RLIMIT_FSIZE, l.FileSize}, {unix.RLIMIT_NOFILE, l.Files}, {unix.RLIMIT_DATA, l.Data}} {
		if x.value > 0 {
			out = append(out, stage.Limit{Which: x.which, Value: uint64(x.value)})
		}
	}
	return out
}
