package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// The controllers that are used.
const (
	memory = "memory"
	cpu    = "cpu"
	pids   = "pids"
)

// Controllers lists those that a Parent can have.
func Controllers() []string { return []string{memory, cpu, pids} }

// Host is where the kernel's files are; the zero value is this machine.
type Host struct {
	MountInfo string // default /proc/self/mountinfo
	Self      string // default /proc/self/cgroup
}

// Parent is where groups are made: a folder of each controller, which several
// share where the hierarchy is that of version 2.
type Parent struct {
	name    string
	dirs    map[string]string // controller to the folder for our groups
	v2      string            // the folder of the unified hierarchy, if it is used
	problem error             // why some are missing
}

// Find finds where this process may make groups: below path, which is counted
// from the root of every hierarchy, or with "" below the process's own group, or
// below /stoa where an administrator has made that for us. All groups of a
// Parent lie in one group of the given name, which begins with "stoa-", so that
// they can be found again.
func Find(h Host, path, name string) (*Parent, error) {
	if h.MountInfo == "" {
		h.MountInfo = "/proc/self/mountinfo"
	}
	if h.Self == "" {
		h.Self = "/proc/self/cgroup"
	}
	mounts, err := hierarchies(h.MountInfo)
	if err != nil {
		return nil, err
	}
	own, err := ownGroups(h.Self)
	if err != nil {
		return nil, err
	}
	p := &Parent{name: name, dirs: map[string]string{}}
	for _, c := range Controllers() {
		m, ok := mounts[c]
		if !ok {
			m, ok = mounts[""] // version 2 has no controllers in its mount's options
			if !ok || !has(filepath.Join(m.point, "cgroup.controllers"), c) {
				p.missing(stoa.Errorf(stoa.Unavailable, "the system has no cgroup controller %q", c))
				continue
			}
			m.v2 = true
		}
		if err := p.choose(c, m, own, path); err != nil {
			p.missing(err)
		}
	}
	return p, nil
}

// missing keeps the first problem, which is that of memory where there are several.
func (p *Parent) missing(err error) {
	if p.problem == nil {
		p.problem = err
	}
}

// hierarchy is a mounted cgroup file system.
type hierarchy struct {
	point string // where it is mounted
	root  string // which group of the hierarchy that is
	v2    bool
}

// hierarchies reads mountinfo: by controller for version 1, and version 2 under "".
func hierarchies(file string) (map[string]hierarchy, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the system's mounts cannot be read")
	}
	return parseMounts(string(b)), nil
}

func parseMounts(s string) map[string]hierarchy {
	out := map[string]hierarchy{}
	for line := range strings.Lines(s) {
		// 36 35 98:0 /root /point options - type source superoptions
		front, back, _ := strings.Cut(line, " - ")
		f, s := strings.Fields(front), strings.Fields(back)
		if len(f) < 6 || len(s) < 3 {
			continue
		}
		h := hierarchy{point: f[4], root: f[3]}
		switch s[0] {
		case "cgroup2":
			out[""] = h
		case "cgroup":
			for c := range strings.SplitSeq(s[2], ",") {
				out[c] = h
			}
		}
	}
	return out
}

// ownGroups reads /proc/self/cgroup: by controller, and version 2 under "".
func ownGroups(file string) (map[string]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the process's own cgroups cannot be read")
	}
	return parseGroups(string(b)), nil
}

func parseGroups(s string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(s) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			out[c] = f[2]
		}
	}
	return out
}

// choose takes the first folder in which a group with the controller can be made.
func (p *Parent) choose(c string, m hierarchy, own map[string]string, path string) error {
	key := c
	if m.v2 {
		key = ""
	}
	candidates := []string{path}
	if path == "" {
		// A path is seen from the hierarchy's root, a mount may show a part of it.
		in := strings.TrimPrefix(own[key], strings.TrimSuffix(m.root, "/"))
		candidates = []string{in, "stoa"}
		if m.v2 && os.Geteuid() == 0 {
			// Groups with members have no limited children in version 2, so the
			// top, which is exempt, comes first.
			candidates = []string{"", in}
		}
	}
	var first error
	for _, in := range candidates {
		base := filepath.Join(m.point, filepath.Join("/", in))
		err := p.adopt(c, m, base)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return stoa.Wrap(stoa.Unavailable, first,
		"no cgroup for %s can be made: as root, make one for this user (docs/sandbox.md shows how) and give it with --cgroup", c)
}

func (p *Parent) adopt(c string, m hierarchy, base string) error {
	dir := filepath.Join(base, p.name)
	if m.v2 {
		if err := enable(base, c); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if m.v2 {
		if err := enable(dir, c); err != nil {
			return err
		}
		p.v2 = dir
	}
	// A folder may be there and still not be ours.
	probe := filepath.Join(dir, "probe")
	if err := os.Mkdir(probe, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if err := os.Remove(probe); err != nil {
		return err
	}
	p.dirs[c] = dir
	return nil
}

// enable lets the children of a group of version 2 have a controller. A group
// with members of its own cannot have that; where we are the member, we move to
// a leaf first, as those do to whom a group is delegated.
func enable(dir, c string) error {
	control := filepath.Join(dir, "cgroup.subtree_control")
	if has(control, c) {
		return nil
	}
	err := write(control, "+"+c)
	if err == nil {
		return nil
	}
	leaf := filepath.Join(dir, "stoa-server")
	if mk := os.Mkdir(leaf, 0o755); mk != nil && !os.IsExist(mk) {
		return err
	}
	if mv := write(filepath.Join(leaf, "cgroup.procs"), "0"); mv != nil {
		_ = os.Remove(leaf) // the first error says more
		return err
	}
	return write(control, "+"+c)
}

// has tells whether a file's words have one.
func has(file, word string) bool {
	b, err := os.ReadFile(file)
	return err == nil && slices.Contains(strings.Fields(string(b)), word)
}

// Has tells whether groups are limited by a controller.
func (p *Parent) Has(controller string) bool { return p.dirs[controller] != "" }

// Problem says why a controller is missing; nil where none is.
func (p *Parent) Problem() error { return p.problem }

// Version is the version of the hierarchy that a controller is in: 0, 1 or 2.
func (p *Parent) Version(controller string) int {
	switch dir := p.dirs[controller]; dir {
	case "":
		return 0
	case p.v2:
		return 2
	}
	return 1
}
