package cgroup_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa/internal/cgroup"
)

// fake makes folders and files that look like a machine's hierarchies, with %
// in mountinfo and the contents for the folder that it makes.
func fake(t *testing.T, mountinfo, self string, files map[string]string) (string, cgroup.Host) {
	t.Helper()
	root := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, content := range files {
		put(name, content)
	}
	return root, cgroup.Host{
		MountInfo: put("mountinfo", strings.ReplaceAll(mountinfo, "%", root)),
		Self:      put("self", self),
	}
}

// tree reads a folder's files, but for those that the fake came with.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		if rel != "mountinfo" && rel != "self" && filepath.Base(path) != "cgroup.controllers" {
			out[rel] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	v1Mounts = "30 1 0:1 / %/memory rw - cgroup none rw,memory\n31 1 0:2 / %/cpu rw - cgroup none rw,cpu,cpuacct\n32 1 0:3 / %/pids rw - cgroup none rw,pids\n"
	v2Mount  = "33 1 0:4 / %/unified rw shared:9 - cgroup2 none rw,nsdelegate\n"
)

func TestFilesOfEveryHierarchy(t *testing.T) {
	limits := cgroup.Limits{Memory: 64 << 20, CPU: 1.5, Processes: 32}
	v1 := map[string]string{
		"memory/own/stoa-x/one/memory.limit_in_bytes":       "67108864",
		"memory/own/stoa-x/one/memory.memsw.limit_in_bytes": "67108864",
		"cpu/stoa-x/one/cpu.cfs_period_us":                  "100000",
		"cpu/stoa-x/one/cpu.cfs_quota_us":                   "150000",
		"pids/stoa-x/one/pids.max":                          "32",
	}
	for _, c := range []struct {
		name, mounts, self, path string
		files                    map[string]string
		want                     map[string]string
		version                  int
	}{
		{
			name: "version 1", mounts: v1Mounts, self: "4:memory:/own\n1:cpu,cpuacct:/\n8:pids:/\n", want: v1, version: 1,
			files: map[string]string{"memory/own/x": "", "cpu/x": "", "pids/x": ""},
		},
		{
			name: "hybrid, all controllers in version 1", mounts: v1Mounts + v2Mount, self: "4:memory:/own\n1:cpu,cpuacct:/\n8:pids:/\n0::/\n",
			want: v1, version: 1,
			files: map[string]string{"memory/own/x": "", "cpu/x": "", "pids/x": "", "unified/cgroup.controllers": "hugetlb\n"},
		},
		{
			name: "version 2, a given path", mounts: v2Mount, self: "0::/user.slice\n", path: "/given", version: 2,
			files: map[string]string{"unified/cgroup.controllers": "cpuset cpu io memory pids\n", "unified/given/x": ""},
			want: map[string]string{
				"unified/given/cgroup.subtree_control":        "+pids", // the fake keeps the last
				"unified/given/stoa-x/cgroup.subtree_control": "+pids",
				"unified/given/stoa-x/one/memory.max":         "67108864",
				"unified/given/stoa-x/one/memory.swap.max":    "0",
				"unified/given/stoa-x/one/memory.oom.group":   "1",
				"unified/given/stoa-x/one/cpu.max":            "150000 100000",
				"unified/given/stoa-x/one/pids.max":           "32",
			},
		},
		{
			name: "hybrid, processes in version 2", mounts: strings.Join(strings.SplitAfter(v1Mounts, "\n")[:2], "") + v2Mount,
			self: "4:memory:/\n1:cpu,cpuacct:/\n0::/\n", path: "in", version: 1,
			files: map[string]string{"memory/in/x": "", "cpu/in/x": "", "unified/in/x": "", "unified/cgroup.controllers": "pids\n"},
			want: map[string]string{
				"memory/in/stoa-x/one/memory.limit_in_bytes":       "67108864",
				"memory/in/stoa-x/one/memory.memsw.limit_in_bytes": "67108864",
				"cpu/in/stoa-x/one/cpu.cfs_period_us":              "100000",
				"cpu/in/stoa-x/one/cpu.cfs_quota_us":               "150000",
				"unified/in/cgroup.subtree_control":                "+pids",
				"unified/in/stoa-x/cgroup.subtree_control":         "+pids",
				"unified/in/stoa-x/one/pids.max":                   "32",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, host := fake(t, c.mounts, c.self, c.files)
			p, err := cgroup.Find(host, c.path, "stoa-x")
			if err != nil {
				t.Fatal(err)
			}
			if p.Problem() != nil || p.Version("memory") != c.version {
				t.Fatalf("memory is in version %d, problem: %v", p.Version("memory"), p.Problem())
			}
			if _, err := p.New("one", limits); err != nil {
				t.Fatal(err)
			}
			got := tree(t, root)
			for name := range c.files {
				delete(got, name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUsageOfVersion2(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"memory.current": "1000\n", "memory.peak": "2000\n", "pids.current": "3\n",
		"memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &cgroup.Group{V2: dir, Dirs: map[string]string{"memory": dir, "cpu": dir, "pids": dir}}
	want := cgroup.Usage{Memory: 1000, Peak: 2000, OOMKills: 1, Processes: 3}
	if got := g.Usage(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := g.Tasks(); len(got) != 0 {
		t.Errorf("%v: version 2 moves no threads", got)
	}
	g.Kill()
	if b, err := os.ReadFile(filepath.Join(dir, "cgroup.kill")); err != nil || string(b) != "1" {
		t.Errorf("cgroup.kill: %q, %v", b, err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	_, host := fake(t, v2Mount, "0::/\n", map[string]string{"unified/cgroup.controllers": "cpu memory\n", "unified/in/x": ""})
	p, err := cgroup.Find(host, "in", "stoa-x")
	if err != nil {
		t.Fatal(err)
	}
	if p.Problem() == nil || !strings.Contains(p.Problem().Error(), `"pids"`) || p.Has("pids") || !p.Has("memory") {
		t.Errorf("problem: %v", p.Problem())
	}
	_, host = fake(t, v1Mounts, "", map[string]string{"memory/x": "", "cpu/x": "", "pids/x": ""})
	p, err = cgroup.Find(host, "not/there", "stoa-x")
	if err != nil {
		t.Fatal(err)
	}
	if p.Problem() == nil || p.Has("memory") {
		t.Error("a path that is not there was taken")
	}
}

// real gives a Parent on this machine.
func real(t *testing.T) *cgroup.Parent {
	t.Helper()
	p, err := cgroup.Find(cgroup.Host{}, "", "stoa-cgrouptest")
	if err != nil || p.Problem() != nil {
		t.Skipf("SKIPPED: no cgroup can be made here: %v, %v", err, p.Problem())
	}
	t.Cleanup(p.Close)
	return p
}

func TestARealGroupLimitsCountsAndGoes(t *testing.T) {
	p := real(t)
	g, err := p.New("real", cgroup.Limits{Memory: 64 << 20, CPU: 1, Processes: 20})
	if err != nil {
		t.Fatal(err)
	}
	join := ""
	for _, f := range g.Tasks() {
		join += "echo $$ > " + f + " && "
	}
	// tail keeps the last line, which never ends.
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", join+"tail /dev/zero")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("it had all the memory it wanted: %s", out)
	}
	if u := g.Usage(); u.OOMKills == 0 || u.Peak < 60<<20 {
		t.Errorf("%+v: a kill was not counted", u)
	}
	sleeper := exec.CommandContext(t.Context(), "/bin/sh", "-c", join+"echo in; sleep 1000 & sleep 1000")
	stdout, err := sleeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	if err := sleeper.Wait(); err == nil {
		t.Error("a member outlived Kill")
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

func TestSweep(t *testing.T) {
	p := real(t)
	for _, name := range []string{"kept", "lost"} {
		if _, err := p.New(name, cgroup.Limits{Memory: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Sweep(func(name string) bool { return name == "kept" }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.New("lost", cgroup.Limits{}); err != nil {
		t.Errorf("the lost group is still there: %v", err)
	}
	if _, err := p.New("kept", cgroup.Limits{}); err == nil {
		t.Error("the kept group is gone")
	}
	if err := p.Sweep(func(string) bool { return false }); err != nil {
		t.Error(err)
	}
}

// TestTheLastTakesTheParentAlong: many groups come and go at once, and nothing is
// left, though nobody closes the Parent.
func TestTheLastTakesTheParentAlong(t *testing.T) {
	p := real(t)
	var all sync.WaitGroup
	for lane := range 4 {
		all.Go(func() {
			for range 50 {
				g, err := p.New("lane"+strconv.Itoa(lane), cgroup.Limits{Memory: 1 << 20, CPU: 1, Processes: 5})
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				if err := g.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	g, err := p.New("last", cgroup.Limits{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(filepath.Dir(dir)); err == nil {
			t.Errorf("%s is left", filepath.Dir(dir))
		}
	}
	if err := p.Sweep(func(string) bool { return false }); err != nil {
		t.Errorf("a sweep where nothing is: %v", err)
	}
}
