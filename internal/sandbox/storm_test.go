package sandbox_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

// TestStormLeavesNothing starts many sandboxes at once and ends them at every
// point of their lives, by every one of their processes.
func TestStormLeavesNothing(t *testing.T) {
	s := need(t, sandbox.Config{})
	before := open(t)
	var all sync.WaitGroup
	for lane := range 8 {
		all.Go(func() {
			for round := range 8 {
				p, err := s.Start(sandbox.Spec{
					Name:    "storm-" + strconv.Itoa(lane) + "-" + strconv.Itoa(round),
					Command: []string{"/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait"}, First: round%2 == 0,
					Limits: sandbox.Limits{Memory: 64 << 20, Processes: 16},
				})
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				switch round % 4 {
				case 0: // closed at once
				case 1:
					p.Kill()
				case 2:
					_ = syscall.Kill(p.Record().Outer, syscall.SIGKILL) // bubblewrap, which waits
				case 3:
					_ = syscall.Kill(p.PID(), syscall.SIGKILL)
					_ = p.Wait() // its error is tried elsewhere
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if err := p.Close(); err != nil {
					t.Errorf("closed again: %v", err)
				}
				if err := syscall.Kill(p.PID(), 0); err == nil && alive(p) {
					t.Errorf("process %d outlived its sandbox", p.PID())
				}
				if g := p.Record().Group; g != nil {
					for _, dir := range g.Dirs {
						if _, err := os.Stat(dir); err == nil {
							t.Errorf("%s is left", dir)
						}
					}
				}
			}
		})
	}
	all.Wait()
	if after := open(t); after > before+2 { // the runtime may have opened some of its own
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// alive tells whether the process of a record is still the same.
func alive(p *sandbox.Process) bool {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/stat")
	return strings.Contains(string(b), " "+strconv.FormatUint(p.Record().Ticks, 10)+" ") && !strings.Contains(string(b), ") Z ")
}

func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
