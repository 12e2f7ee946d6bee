package code

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// storm is how long replicas are killed; CI says a minute.
var storm = flag.Duration("storm", 4*time.Second, "how long the storm lasts")

// named are the errors that a call may end with whose replica was killed.
var named = map[string]bool{"SystemExit": true, "WorkerCrashed": true, "LoadingError": true}

// Replicas are killed at random under load: every call ends in an answer or a
// named error, and in the end nothing is left of them.
func TestKillStorm(t *testing.T) {
	s := server(t, nil)
	r := bundle(t, "../../internal/worker/langpack/python/testdata/probe")
	r.As = "admin/storm"
	r.Manifest += "\nreplicas: {max: 3}\n"
	push(t, s, r)
	var answered, failed atomic.Int64
	end := time.Now().Add(*storm)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for time.Now().Before(end) {
				res, err := s.Call(t.Context(), "admin/storm", stoa.Value{Type: stoa.Text, Data: []byte("sleep 0.01")}, client.CallOptions{})
				switch e := stoa.AsError(err); {
				case err == nil && string(res.Value.Data) == "slept":
					answered.Add(1)
				case err != nil && named[e.Type]:
					failed.Add(1)
				default:
					t.Errorf("a call ended in %v", err)
				}
			}
		})
	}
	killed := 0
	seen := map[string]sandbox.Record{}
	beat := time.NewTicker(30 * time.Millisecond)
	defer beat.Stop()
	for time.Now().Before(end) {
		<-beat.C
		records := replicas(t, s.Data)
		if len(records) > 0 && len(seen) == 0 {
			inItsGroup(t, records[0])
		}
		for _, rec := range records {
			seen[rec.Name] = rec
		}
		if len(records) > 0 && rand.IntN(4) == 0 {
			rec := records[rand.IntN(len(records))]
			victims := append(below(rec.PID), rec.PID)
			if syscall.Kill(victims[rand.IntN(len(victims))], syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	wg.Wait()
	t.Logf("%d calls answered, %d ended in a named error, %d kills, %d replicas", answered.Load(), failed.Load(), killed, len(seen))
	if answered.Load() == 0 || killed == 0 || failed.Load() == 0 {
		t.Error("no storm")
	}
	s.Stop()
	nothingLeft(t, s.Data, seen)
}

// replicas reads the records of the code that runs.
func replicas(t *testing.T, data string) []sandbox.Record {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "workers", "c*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []sandbox.Record
	for _, f := range files {
		var rec struct {
			Code struct{ Sandbox sandbox.Record }
		}
		b, err := os.ReadFile(f)
		if err == nil && json.Unmarshal(b, &rec) == nil && rec.Code.Sandbox.PID > 0 {
			out = append(out, rec.Code.Sandbox)
		}
	}
	return out
}

// inItsGroup makes sure that what nothingLeft looks for can be seen at all.
func inItsGroup(t *testing.T, rec sandbox.Record) {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(rec.PID) + "/cgroup")
	if err != nil || rec.Group != nil && !strings.Contains(string(b), rec.Name) {
		t.Errorf("a live replica's groups are %s, %v", b, err)
	}
}

// below gives the processes that descend from one.
func below(pid int) (out []int) {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(b)) {
			child, _ := strconv.Atoi(word)
			out = append(append(out, child), below(child)...)
		}
	}
	return out
}

// nothingLeft looks for what replicas have left on the machine.
func nothingLeft(t *testing.T, data string, seen map[string]sandbox.Record) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(data, "workers"))
	if err != nil || len(left) > 0 {
		t.Errorf("sockets, records or folders are left: %v, %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), data) {
		t.Errorf("mounts are left: %v", err)
	}
	for name, rec := range seen {
		for _, pid := range []int{rec.PID, rec.Outer} {
			if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup"); err == nil && strings.Contains(string(b), name) {
				t.Errorf("process %d of %s is left: %s", pid, name, b)
			}
		}
		if rec.Group == nil {
			continue
		}
		for controller, dir := range rec.Group.Dirs {
			if st, err := os.Stat(filepath.Dir(dir)); err == nil && !st.IsDir() || !filepath.IsAbs(dir) {
				t.Errorf("the %s group of %s was at %s, which is no place for one", controller, name, dir)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("the %s group of %s is left", controller, name)
			}
		}
	}
}
