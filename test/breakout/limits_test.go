package breakout

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// number reads "WORD: N" from a probe's first line.
func number(out, word string) int {
	for line := range strings.Lines(out) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(line), word+": "); ok {
			n, _ := strconv.Atoi(s)
			return n
		}
	}
	return -1
}

func TestForkBomb(t *testing.T) {
	g := newGround(t)
	out, _, err := g.inside(t, inProbe, "forks", "1000")
	if n := number(out, "processes"); n < 2 || n > 40 || !strings.HasSuffix(out, "EAGAIN") {
		t.Errorf("of 40 processes it started %d: %q (%v)", n, out, err)
	}
	if out := g.outside(t, g.probe, "forks", "60"); out != "ok" {
		t.Errorf("outside there are no 60 processes either: %q", out)
	}
	// The bomb of every textbook: it must end when the sandbox does.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	begin := time.Now()
	_, err = g.box.Run(ctx, g.spec("bomb", "/bin/sh", "-c", ":(){ :|:& :; }; :"), nil, nil, nil)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the bomb was ended after %s (%v)", took, err)
	}
}

func TestMemoryBomb(t *testing.T) {
	g := newGround(t)
	for _, command := range [][]string{{"memory", "512"}, {"memory", "512", "children"}, {"memory", "400", "memfd"}} {
		out, u, err := g.inside(t, append([]string{inProbe}, command...)...)
		if u.OOMKills == 0 || strings.HasSuffix(out, "ok") {
			t.Errorf("%v: %q, %v, %+v: it was not killed for its memory", command, out, err, u)
		}
		if e := exit(err); command[len(command)-1] != "children" && (e == nil || e.Signal != 9) {
			t.Errorf("%v: it ended with %v", command, err)
		}
	}
	if out := g.outside(t, g.probe, "memory", "256"); !strings.HasSuffix(out, "ok") {
		t.Errorf("outside there is no memory either: %q", out)
	}
}

func TestDiskFiller(t *testing.T) {
	g := newGround(t)
	out, _, err := g.inside(t, inProbe, "fill", "/tmp", "100")
	if n := number(out, "MiB"); n < 10 || n > 16 || !strings.HasSuffix(out, "ENOSPC") {
		t.Errorf("into 16 MiB went %d: %q (%v)", n, out, err)
	}
	// One file has its own limit, which is 8 MiB.
	out, _, err = g.inside(t, "/bin/sh", "-c", "dd if=/dev/zero of=/tmp/x bs=1M count=12 2>&1; stat -c %s /tmp/x")
	if !strings.HasSuffix(out, strconv.Itoa(8<<20)) {
		t.Errorf("a file: %q (%v)", out, err)
	}
	// Shared memory is in /tmp too.
	out, _, err = g.inside(t, inProbe, "fill", "/dev/shm", "100")
	if n := number(out, "MiB"); n > 16 || !strings.HasSuffix(out, "ENOSPC") {
		t.Errorf("into shared memory went %d MiB: %q (%v)", n, out, err)
	}
	if out := g.outside(t, g.probe, "fill", t.TempDir(), "20"); out != "ok" {
		t.Errorf("outside 20 MiB cannot be written either: %q", out)
	}
}

func TestDescriptorExhaustion(t *testing.T) {
	g := newGround(t)
	out, _, err := g.inside(t, inProbe, "open", "5000")
	if n := number(out, "files"); n < 50 || n > 128 || !strings.HasSuffix(out, "EMFILE") {
		t.Errorf("of 128 files it opened %d: %q (%v)", n, out, err)
	}
	if out := g.outside(t, g.probe, "open", "500"); out != "ok" {
		t.Errorf("outside 500 files cannot be opened either: %q", out)
	}
}

// TestNothingIsLeft: programs that leave processes behind, ones that are killed,
// and one that is closed while it runs.
func TestNothingIsLeft(t *testing.T) {
	g := newGround(t)
	mark := fmt.Sprintf("left-%d-%d", os.Getpid(), time.Now().UnixNano())
	out, _, err := g.inside(t, inProbe, "daemon", mark)
	if out != "ok" || err != nil {
		t.Fatalf("the daemon was not started: %q, %v", out, err)
	}
	p, err := g.box.Start(g.spec("running", inProbe, "sleep", mark))
	must(t, err)
	usage := p.Usage()
	if usage.Processes == 0 {
		t.Errorf("%+v: a running program has no processes", usage)
	}
	must(t, p.Close())
	for _, pid := range pids(t, mark) {
		t.Errorf("process %d outlived its sandbox", pid)
	}
	rec := p.Record()
	if rec.Group != nil {
		for _, dir := range rec.Group.Dirs {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("the cgroup %s is left", dir)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if bytes.Contains(mounts, []byte(g.bundle)) {
		t.Error("a mount is left on the host")
	}
}

// pids finds processes of the host by a word of their command lines.
func pids(t *testing.T, mark string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	var out []int
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(mark)) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			out = append(out, n)
		}
	}
	return out
}
