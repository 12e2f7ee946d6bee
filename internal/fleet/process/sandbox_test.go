package process_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// sandboxed makes a driver whose workers are this test binary in a sandbox.
func sandboxed(t *testing.T, dir string) *process.Driver {
	t.Helper()
	d, _ := sandboxedIn(t, dir, t.TempDir())
	return d
}

// sandboxedIn does so with a sandbox on a folder, which a later one may share.
func sandboxedIn(t *testing.T, dir, box string) (*process.Driver, *sandbox.Sandbox) {
	t.Helper()
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: bubblewrap (bwrap) is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.New(sandbox.Config{Dir: box, Init: self})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	t.Cleanup(s.Close)
	d, err := process.New(process.Config{Command: []string{self, "worker"}, Dir: dir, Build: "b1", Linger: 20 * time.Second, Sandbox: s, Mounts: []sandbox.Mount{{Source: self, Target: self}}, Memory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

func TestWorkerInASandbox(t *testing.T) {
	dir := t.TempDir() + "/" + strings.Repeat("long", 30)
	d := sandboxed(t, dir)
	r, err := d.Start(t.Context(), fleet.Spec{Label: "ann"})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	got, err := answer(t, r, "privileges")
	if err != nil || !strings.Contains(got, "Seccomp:\t2") || !strings.Contains(got, "CapBnd:\t0000000000000000") || !strings.Contains(got, "NSpid:\t1\n") {
		t.Errorf("%v: the worker has more than it should: %s", err, got)
	}
	if got, err := answer(t, r, "see"); err != nil || strings.Contains(got, "root") || !strings.Contains(got, "usr ") {
		t.Errorf("%v: the worker sees %s", err, got)
	}
	if got, err := answer(t, r, "scratch"); err != nil || got != "scratch" {
		t.Errorf("the worker cannot write its folder: %v", err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	<-r.Done()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWorkerInASandboxIsAdopted(t *testing.T) {
	dir := t.TempDir()
	first := sandboxed(t, dir)
	r, err := first.Start(t.Context(), fleet.Spec{Label: "ann"})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	if err := first.Release(r); err != nil {
		t.Fatal(err)
	}
	second := sandboxed(t, dir)
	handles, err := second.Running(t.Context())
	if err != nil || len(handles) != 1 {
		t.Fatalf("running: %+v, %v", handles, err)
	}
	again, err := second.Adopt(t.Context(), handles[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := answer(t, again, "hi"); err != nil || got != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	if err := syscall.Kill(handles[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-again.Done()
	if again.Err() == nil {
		t.Error("a killed worker has no error")
	}
}

func TestSweepKeepsWorkersAndEndsTheRest(t *testing.T) {
	dir, box := t.TempDir(), t.TempDir()
	first, s := sandboxedIn(t, dir, box)
	r, err := first.Start(t.Context(), fleet.Spec{Label: "ann"})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	lost, err := s.Start(sandbox.Spec{Name: "import", Command: []string{"/bin/sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lost.Close() })
	if lost.Record().Group == nil {
		t.Skip("SKIPPED: there is no cgroup, by which sandboxes are found")
	}
	if err := first.Release(r); err != nil {
		t.Fatal(err)
	}
	second, _ := sandboxedIn(t, dir, box)
	if err := second.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lost.Wait(); err == nil {
		t.Error("what nobody knows has ended well")
	}
	again, err := second.Adopt(t.Context(), r.Handle())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := answer(t, again, "hi"); err != nil || got != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
