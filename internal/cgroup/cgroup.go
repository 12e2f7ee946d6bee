// Package cgroup makes the kernel's control groups by writing their files: a
// limit on memory, processors and processes that holds for all the processes of
// a sandbox together, and the kernel's own count of what it has killed. It knows
// versions 1 and 2 and machines that have some of both.
package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
)

// Limits are those of a group; zero means none.
type Limits struct {
	Memory    int64   // bytes, swap included
	CPU       float64 // processors
	Processes int64   // and threads
}

// Usage is what the processes of a group use together.
type Usage struct {
	Memory    int64 // bytes now
	Peak      int64 // the most that there was; 0 where the kernel does not keep it
	OOMKills  int64 // processes killed because the group was over its memory
	Processes int64 // and threads
}

// Group is one control group: a folder for each controller. As JSON it can be
// kept, and used by another process.
type Group struct {
	Dirs map[string]string `json:"dirs"`         // by controller
	V2   string            `json:"v2,omitempty"` // the folder in the unified hierarchy
}

// period of processor time in microseconds: the kernel's default.
const period = 100_000

// New makes a group with limits. Those of a controller that the Parent lacks are
// not set: whoever calls has looked at Has.
func (p *Parent) New(name string, l Limits) (*Group, error) {
	g := &Group{Dirs: map[string]string{}}
	err := g.fill(p, name, l)
	if err != nil {
		_ = g.Remove() // what there is of it
		return nil, stoa.Wrap(stoa.Unavailable, err, "the cgroup %s cannot be made", name)
	}
	return g, nil
}

func (g *Group) fill(p *Parent, name string, l Limits) error {
	for _, c := range Controllers() {
		if p.dirs[c] == "" {
			continue
		}
		dir := filepath.Join(p.dirs[c], name)
		if !slices.Contains(g.folders(), dir) { // version 2 has one for all
			if err := p.mkdir(c, dir); err != nil {
				return err
			}
		}
		g.Dirs[c] = dir
		v2 := p.Version(c) == 2
		if v2 {
			g.V2 = dir
		}
		for _, s := range settings(c, v2, l) {
			err := write(filepath.Join(dir, s.file), s.value)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				if s.optional {
					continue
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// mkdir makes a group's folder, and the Parent's again where the last group that
// went has taken it away.
func (p *Parent) mkdir(c, dir string) error {
	for range 100 { // others may take it away once more meanwhile, but not for ever
		if err := os.Mkdir(dir, 0o755); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Mkdir(p.dirs[c], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for other, shared := range p.dirs {
			if shared == p.v2 && p.dirs[c] == p.v2 {
				_ = enable(shared, other) // if it is gone already, the next round finds that
			}
		}
	}
	return stoa.Errorf(stoa.Unavailable, "the cgroup %s cannot be made", filepath.Base(dir))
}

// setting is a value in a file; an optional one depends on how the kernel was
// configured, such as the one that counts swap.
type setting struct {
	file, value string
	optional    bool
}

func settings(controller string, v2 bool, l Limits) []setting {
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	quota := num(int64(l.CPU * period))
	switch {
	case controller == memory && l.Memory <= 0, controller == cpu && l.CPU <= 0, controller == pids && l.Processes <= 0:
		return nil
	case controller == pids:
		return []setting{{"pids.max", num(l.Processes), false}}
	case controller == cpu && v2:
		return []setting{{"cpu.max", quota + " " + num(period), false}}
	case controller == cpu:
		return []setting{{"cpu.cfs_period_us", num(period), false}, {"cpu.cfs_quota_us", quota, false}}
	case v2:
		// Without swap the limit is that of memory and swap together. A group that
		// is over it dies as a whole: half a program is of no use.
		return []setting{{"memory.max", num(l.Memory), false}, {"memory.swap.max", "0", true}, {"memory.oom.group", "1", true}}
	}
	return []setting{{"memory.limit_in_bytes", num(l.Memory), false}, {"memory.memsw.limit_in_bytes", num(l.Memory), true}}
}

// folders lists the group's folders, each once.
func (g *Group) folders() []string {
	var out []string
	for _, d := range g.Dirs {
		out = append(out, d)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Tasks lists the files of version 1 to which a thread that is about to become
// another program writes "0" to be a member. To move a whole process the kernel
// first waits until no other is being started, which takes it 5 to 20 ms; a
// thread that moves itself need not wait. Version 2 moves no threads: there a
// process is started as a member, by a descriptor of V2.
func (g *Group) Tasks() []string {
	var out []string
	for _, d := range g.folders() {
		if d != g.V2 {
			out = append(out, filepath.Join(d, "tasks"))
		}
	}
	return out
}

// Usage reads what the members use. A controller that is missing gives zeros.
func (g *Group) Usage() Usage {
	var u Usage
	if dir := g.Dirs[memory]; dir != "" && dir == g.V2 {
		u.Memory = number(filepath.Join(dir, "memory.current"))
		u.Peak = number(filepath.Join(dir, "memory.peak"))
		u.OOMKills = keyed(filepath.Join(dir, "memory.events"), "oom_kill")
	} else if dir != "" {
		u.Memory = number(filepath.Join(dir, "memory.usage_in_bytes"))
		u.Peak = number(filepath.Join(dir, "memory.max_usage_in_bytes"))
		u.OOMKills = keyed(filepath.Join(dir, "memory.oom_control"), "oom_kill")
	}
	if dir := g.Dirs[pids]; dir != "" {
		u.Processes = number(filepath.Join(dir, "pids.current"))
	}
	return u
}

// number reads a file of one number; 0 where there is none.
func number(file string) int64 {
	b, _ := os.ReadFile(file)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// keyed reads the number behind a key.
func keyed(file, key string) int64 {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// Kill kills every member, also those that they start meanwhile.
func (g *Group) Kill() {
	if g.V2 != "" && write(filepath.Join(g.V2, "cgroup.kill"), "1") == nil {
		return
	}
	// A member can fork between the reading and the signal, but not for ever: the
	// group has a limit on processes, and each round finds those of the last.
	for range 100 {
		members := g.members()
		if len(members) == 0 {
			return
		}
		for _, pid := range members {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone by itself
		}
		<-time.After(time.Millisecond)
	}
}

func (g *Group) members() []int {
	var out []int
	for _, dir := range g.folders() {
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for s := range strings.FieldsSeq(string(b)) {
			// 0 is a member that this process cannot see.
			if pid, err := strconv.Atoi(s); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
	}
	return out
}

// Remove removes the group, whose members must be dead or dying: it waits up to
// five seconds for them.
func (g *Group) Remove() error {
	var last error
	for _, dir := range g.folders() {
		wait := time.Millisecond
		for spent := time.Duration(0); ; spent += wait {
			last = os.Remove(dir)
			if last == nil || errors.Is(last, fs.ErrNotExist) {
				last = nil
				break
			}
			if spent > 5*time.Second {
				return stoa.Wrap(stoa.Internal, last, "the cgroup %s cannot be removed", filepath.Base(dir))
			}
			<-time.After(wait)
			wait = min(2*wait, 50*time.Millisecond)
		}
		// The last one takes the Parent's folder along: the server may be gone.
		if parent := filepath.Dir(dir); strings.HasPrefix(filepath.Base(parent), prefix) {
			_ = os.Remove(parent) // others are in it
		}
	}
	return last
}

// prefix begins the name of every Parent's folder, so that nobody else's is taken.
const prefix = "stoa-"

// Sweep kills and removes the groups whose names are not to be kept: those of a
// server that died before it could write down what it had started.
func (p *Parent) Sweep(keep func(name string) bool) error {
	found := map[string]*Group{}
	for c, dir := range p.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it goes with its last group
			return stoa.Wrap(stoa.Internal, err, "the cgroups cannot be listed")
		}
		for _, e := range entries {
			if !e.IsDir() || keep(e.Name()) {
				continue
			}
			g := found[e.Name()]
			if g == nil {
				g = &Group{Dirs: map[string]string{}}
				found[e.Name()] = g
			}
			g.Dirs[c] = filepath.Join(dir, e.Name())
			if p.Version(c) == 2 {
				g.V2 = g.Dirs[c]
			}
		}
	}
	var errs []error
	for _, g := range found {
		g.Kill()
		errs = append(errs, g.Remove())
	}
	return errors.Join(errs...)
}

// Close removes the Parent's own groups, if nothing is in them.
func (p *Parent) Close() {
	for _, dir := range p.dirs {
		_ = os.Remove(dir) // somebody's sandbox may live
	}
}

func write(file, value string) error {
	// Not truncated: the kernel's files know no length.
	return os.WriteFile(file, []byte(value), 0o644) //nolint:gosec // a cgroup's file; its mode is the kernel's
}
