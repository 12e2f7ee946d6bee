package shim_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/runner/runnertest"
	"github.com/stoa-project/stoa/internal/shim/shimtest"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

// connectEnv makes the test binary a program that says hello at the way out.
const connectEnv = "STOA_TEST_CONNECT"

// TestMain makes the test binary the author's program, too.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(runnertest.EchoEnv) != "":
		runnertest.Echo(os.Getenv)
	case os.Getenv(connectEnv) != "":
		os.Exit(connect())
	}
	os.Exit(m.Run())
}

func connect() int {
	c, err := net.Dial("tcp", "127.0.0.1:9001")
	if err != nil {
		return 1
	}
	_, _ = c.Write([]byte("hello"))
	_ = c.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(os.Stdout, c); err != nil {
		return 2
	}
	return 5
}

// replica starts stoa-init as the driver does, and connects to it.
func replica(t testing.TB) (*worker.Remote, *exec.Cmd) {
	t.Helper()
	return replicaIn(t)
}

// replicaIn starts it through another command, such as one that makes a sandbox.
func replicaIn(t testing.TB, through ...string) (*worker.Remote, *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ln.SetUnlinkOnClose(false)
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command := append(through, shimtest.Build(t), "serve", "--label", "ann", "--build", "b1", "--folder", dir)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.ExtraFiles = []*os.File{file}
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := worker.NewRemote(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "s"))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = r.Close()
	})
	return r, cmd
}

func echo(protocol string) *runner.Program {
	return &runner.Program{
		Command: []string{os.Args[0]}, Protocol: protocol, Concurrency: 4,
		Env: []string{runnertest.EchoEnv + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH")},
	}
}

func script(s string) worker.Model {
	return worker.Model{ID: "m", Program: &runner.Program{
		Command: []string{"sh", "-c", s}, Protocol: runner.Pipe, Env: []string{"PATH=" + os.Getenv("PATH")},
	}}
}

func text(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }

func each(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, p := range []string{runner.Pipe, runner.Frames} {
		t.Run(p, func(t *testing.T) { test(t, p) })
	}
}

func load(t testing.TB, r *worker.Remote, m worker.Model) {
	t.Helper()
	if _, err := r.Load(t.Context(), m); err != nil {
		t.Fatalf("Load: %v", err)
	}
}

func run(t *testing.T, r *worker.Remote, in string) (stoa.Result, error) {
	t.Helper()
	res, err := r.Run(t.Context(), "m", []stoa.Value{text(in)})
	if err != nil {
		return stoa.Result{}, err
	}
	return res[0], nil
}

func TestItIsAnEngine(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		workertest.Exercise(t, func(t *testing.T) workertest.Subject {
			r, _ := replica(t)
			return workertest.Subject{
				Engine: r,
				Good:   worker.Model{ID: "good", Program: echo(protocol)},
				Broken: worker.Model{ID: "broken", Program: &runner.Program{Command: []string{"/bin/false"}, Protocol: protocol}},
				Input:  text("hello"),
				Want:   []byte("hello"),
				Bad:    text(runnertest.AskError),
				Slow:   text(runnertest.AskSleep),
			}
		})
	})
}

func TestHelloAndStats(t *testing.T) {
	r, cmd := replica(t)
	h, err := r.Hello(t.Context())
	if err != nil || h != (worker.Hello{Build: "b1", Label: "ann", PID: cmd.Process.Pid}) {
		t.Errorf("Hello: %+v, %v", h, err)
	}
	before, err := r.Stats(t.Context())
	if err != nil || before.Models != 0 || before.Resident <= 0 {
		t.Errorf("Stats: %+v, %v", before, err)
	}
	f, err := r.Load(t.Context(), worker.Model{ID: "m", Program: echo(runner.Frames)})
	if err != nil || f.Host <= before.Resident {
		t.Errorf("Load: %+v, %v", f, err)
	}
	if s, err := r.Stats(t.Context()); err != nil || s.Models != 1 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
}

func TestWhatDoesNotLoadLeavesNothing(t *testing.T) {
	r, _ := replica(t)
	for range 2 {
		_, err := r.Load(t.Context(), script("echo no such module >&2; exit 7"))
		e := stoa.AsError(err)
		if e == nil || e.Kind != stoa.Failed || e.Type != runner.LoadingError || !strings.Contains(e.Msg, "exited with code 7") || e.Stack != "no such module" {
			t.Errorf("Load: %+v", e)
		}
		if _, err := run(t, r, "x"); stoa.KindOf(err) != stoa.NotFound {
			t.Errorf("Run: %v", err)
		}
	}
	if _, err := r.Load(t.Context(), worker.Model{ID: "net"}); stoa.KindOf(err) != stoa.Unsupported {
		t.Errorf("Load of what has no program: %v", err)
	}
}

func TestAProgramThatEndsIsLoadedAgain(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r, _ := replica(t)
		for range 3 {
			load(t, r, worker.Model{ID: "m", Program: echo(protocol)})
			if got, err := run(t, r, runnertest.AskPrint); err != nil || got.Stdout != runnertest.PrintedOut+"\n" {
				t.Errorf("printed %q, %v", got.Stdout, err)
			}
			got, err := run(t, r, runnertest.AskExit)
			if e := stoa.AsError(got.Err); err != nil || e == nil || e.Type != runner.SystemExit || e.Msg != "exited with code 3" {
				t.Errorf("the end in a call: %v, %v", got.Err, err)
			}
			if _, err := run(t, r, "x"); stoa.KindOf(err) != stoa.NotFound {
				t.Errorf("a call afterwards: %v", err)
			}
		}
	})
}

// The orphans of a program are collected: none of them is left as a zombie.
func TestOrphansAreCollected(t *testing.T) {
	r, cmd := replica(t)
	load(t, r, script(`for i in 1 2 3 4 5 6 7 8 9; do (true & ) ; done; echo PIPE_INIT_COMPLETE; cat >/dev/null`))
	if err := r.Unload(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ps", "-o", "pid=,stat=", "--ppid", strconv.Itoa(cmd.Process.Pid)).Output()
	if len(out) > 0 {
		t.Errorf("children of the shim: %s, %v", out, err)
	}
}

// What a program has left behind is killed, also what left its process group: by
// the first process of a namespace, and by one that is not.
func TestNothingOfAProgramIsLeft(t *testing.T) {
	for name, through := range map[string][]string{
		"first": {"bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--as-pid-1", "--proc", "/proc", "--die-with-parent"},
		"other": nil,
	} {
		t.Run(name, func(t *testing.T) {
			if len(through) > 0 {
				if _, err := exec.LookPath(through[0]); err != nil {
					t.Skip("SKIPPED: there is no bwrap, to have processes of our own")
				}
			}
			r, _ := replicaIn(t, through...)
			mark := "sleep 98765" + strconv.Itoa(os.Getpid()) // ours, among those of the machine
			m := script(`setsid ` + mark + ` & echo PIPE_INIT_COMPLETE; read -r line; until ps -eo args | grep -qx '` + mark + `'; do :; done; ps -eo args >&2; exit 3`)
			for range 3 {
				load(t, r, m)
				got, err := run(t, r, "x")
				if e := stoa.AsError(got.Err); err != nil || e == nil || e.Msg != "exited with code 3" {
					t.Fatalf("%v, %v", got.Err, err)
				}
				if n := strings.Count(got.Stderr, "\n"+mark+"\n"); n != 1 {
					t.Errorf("%d of them live: %s", n, got.Stderr)
				}
			}
			if err := r.Unload(t.Context(), "m"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheProgramIsKeptOutOfTheFirstProcess(t *testing.T) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		t.Skip("SKIPPED: there is no bwrap, to have no capabilities")
	}
	r, _ := replicaIn(t, bwrap, "--dev-bind", "/", "/", "--unshare-user", "--unshare-pid", "--as-pid-1", "--proc", "/proc", "--cap-drop", "ALL", "--die-with-parent")
	load(t, r, script(`echo PIPE_INIT_COMPLETE; while read -r line; do cat /proc/self/environ >/dev/null && echo fair; cat /proc/1/environ; echo '{"result":1}' >"$STOA_FIFO"; done`))
	got, err := run(t, r, "x")
	if err != nil || got.Err != nil || got.Stdout != "fair\n" || !strings.Contains(got.Stderr, "Permission denied") {
		t.Errorf("printed %q and %q, %v, %v", got.Stdout, got.Stderr, got.Err, err)
	}
}

func TestItEndsWhenNobodyIsConnected(t *testing.T) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(shimtest.Build(t), "serve", "--linger", "10ms")
	cmd.ExtraFiles = []*os.File{file}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	cmd = exec.Command(shimtest.Build(t), "serve")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no listener at descriptor 3") {
		t.Errorf("without a listener: %v: %s", err, out)
	}
}

func TestItEndsWhenAskedAfterTheCallsUnderWay(t *testing.T) {
	r, cmd := replica(t)
	told := filepath.Join(t.TempDir(), "told")
	if err := syscall.Mkfifo(told, 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, r, script(`echo PIPE_INIT_COMPLETE; read -r line; echo told >`+told+`; cat `+told+`; echo '{"result":1}' >$STOA_FIFO; cat`))
	answer := make(chan error, 1)
	go func() {
		res, err := r.Run(t.Context(), "m", []stoa.Value{text("x")})
		if err == nil {
			err = res[0].Err
		}
		answer <- err
	}()
	if b, err := os.ReadFile(told); err != nil || string(b) != "told\n" {
		t.Errorf("%q, %v", b, err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := os.WriteFile(told, nil, 0); err != nil { // only now it may answer
		t.Error(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended so: %v", err)
	}
	<-r.Done()
}

func TestConnectionsAreCarriedAndTheStatusIsTheCommands(t *testing.T) {
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip("SKIPPED: there is no bwrap, to have a loopback address of our own")
	}
	socket := filepath.Join(t.TempDir(), "egress")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // answers when all was sent, which a half-closed connection says
				defer c.Close()
				b, _ := io.ReadAll(c)
				_, _ = c.Write([]byte(strings.ToUpper(string(b))))
			}()
		}
	}()
	cmd := exec.Command("bwrap", "--dev-bind", "/", "/", "--unshare-net", "--unshare-pid", "--as-pid-1", "--proc", "/proc",
		shimtest.Build(t), "run", "--egress", socket, "--", os.Args[0])
	cmd.Env = append(os.Environ(), connectEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if string(out) != "HELLO" || cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("printed %q, %v", out, err)
	}
}
