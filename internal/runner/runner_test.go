package runner_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/runner/runnertest"
)

// TestMain makes the test binary the program that is run, too.
func TestMain(m *testing.M) {
	if os.Getenv(runnertest.EchoEnv) != "" {
		runnertest.Echo(os.Getenv)
	}
	if pieces := os.Getenv(rawEnv); pieces != "" {
		if err := sendRaw(pieces, os.Getenv("STOA_SOCKET")); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if size, err := strconv.Atoi(os.Getenv(bareEnv)); err == nil {
		var in io.Reader = os.Stdin
		var out io.Writer = os.Stdout
		if path := os.Getenv("STOA_SOCKET"); path != "" {
			conn, err := net.Dial("unix", path)
			if err != nil {
				os.Exit(1)
			}
			in, out = conn, conn
		}
		bare(size, in, out)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(protocol string) runner.Program {
	return runner.Program{
		Command: []string{os.Args[0]}, Protocol: protocol, Concurrency: 4,
		Env: []string{runnertest.EchoEnv + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH")},
	}
}

func begin(t testing.TB, p runner.Program, cfg runner.Config) *runner.Runner {
	t.Helper()
	r, err := try(t, p, cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func try(t testing.TB, p runner.Program, cfg runner.Config) (*runner.Runner, error) {
	t.Helper()
	if cfg.Folder == "" {
		cfg.Folder = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return runner.Start(ctx, p, cfg)
}

func text(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }

func each(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, p := range []string{runner.Pipe, runner.Frames} {
		t.Run(p, func(t *testing.T) { test(t, p) })
	}
}

func TestValuesGoInAndOut(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{})
		for name, v := range map[string]stoa.Value{
			"text":      text("hello"),
			"empty":     text(""),
			"letters":   text("Grüße, 世界 \u2028 \"quoted\" \\ \n\t\x00 end"),
			"json":      {Type: stoa.JSON, Data: []byte(`{"a":[1,2.5,null,"\u2028",{}]}`)},
			"binary":    {Type: stoa.Binary, Data: bytes.Repeat([]byte{0, 255, 10}, 1000)},
			"a lot":     {Type: stoa.Binary, Data: bytes.Repeat([]byte{7}, 3<<20)},
			"long text": text(strings.Repeat("ö", 500_000)),
		} {
			got := r.Run(t.Context(), runner.Call{Input: v, Request: "r1", Token: "t1", Left: time.Minute})
			if got.Err != nil {
				t.Errorf("%s: %v", name, got.Err)
				continue
			}
			if got.Value.Type != v.Type || !bytes.Equal(got.Value.Data, v.Data) {
				t.Errorf("%s: %d bytes came back as %s %.300q", name, len(v.Data), got.Value.Type, got.Value.Data)
			}
			if got.Usage.Compute <= 0 || got.Stdout+got.Stderr != "" {
				t.Errorf("%s: %+v, printed %q %q", name, got.Usage, got.Stdout, got.Stderr)
			}
		}
		if got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskBig)}); len(got.Value.Data) != runnertest.BigSize {
			t.Errorf("big: %d bytes, %v", len(got.Value.Data), got.Err)
		}
	})
}

func TestAnErrorOfTheAuthor(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{})
		got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskError)})
		want := &stoa.Error{Kind: stoa.Failed, Type: "EchoError", Msg: runnertest.AskError, Stack: "in echo"}
		if d := cmp.Diff(want, stoa.AsError(got.Err)); d != "" {
			t.Error(d)
		}
		if got := r.Run(t.Context(), runner.Call{Input: text("on")}); got.Err != nil {
			t.Errorf("the next call: %v", got.Err)
		}
	})
}

func TestWhatIsPrintedIsTheCalls(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		p := program(protocol)
		p.Log = 1000
		r := begin(t, p, runner.Config{})
		for range 50 {
			got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskPrint)})
			if got.Stdout != runnertest.PrintedOut+"\n" || got.Stderr != runnertest.PrintedErr+"\n" {
				t.Fatalf("printed %q and %q, %v", got.Stdout, got.Stderr, got.Err)
			}
		}
		got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskFlood)})
		if got.Err != nil || len(got.Stdout) > 1100 || !strings.HasSuffix(got.Stdout, "\n[10484760 more bytes were not kept]\n") {
			t.Errorf("of 10 MiB: %d bytes, ending in %q, %v", len(got.Stdout), got.Stdout[max(len(got.Stdout)-60, 0):], got.Err)
		}
		got = r.Run(t.Context(), runner.Call{Input: text("quiet")})
		if got.Stdout+got.Stderr != "" {
			t.Errorf("a quiet call has printed %q %q", got.Stdout, got.Stderr)
		}
	})
}

func TestTheEndInACall(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{})
		got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskExit)})
		want := &stoa.Error{Kind: stoa.Failed, Type: runner.SystemExit, Msg: "exited with code 3"}
		if d := cmp.Diff(want, stoa.AsError(got.Err)); d != "" {
			t.Error(d)
		}
		<-r.Done()
		if r.Err() == nil || r.Err().Error() != "exited with code 3" {
			t.Errorf("Err is %v", r.Err())
		}
		if got := r.Run(t.Context(), runner.Call{Input: text("x")}); stoa.KindOf(got.Err) != stoa.NotFound {
			t.Errorf("a call afterwards: %v", got.Err)
		}
	})
}

func TestACallThatIsGivenUp(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{Grace: 20 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got := r.Run(ctx, runner.Call{Input: text(runnertest.AskSleep)}); !errors.Is(got.Err, context.DeadlineExceeded) {
			t.Errorf("gave %q, %v", got.Value.Data, got.Err)
		}
		for range 3 {
			if got := r.Run(t.Context(), runner.Call{Input: text("mine")}); got.Err != nil || string(got.Value.Data) != "mine" {
				t.Errorf("the next call: %q, %v", got.Value.Data, got.Err)
			}
		}
	})
}

func TestAProgramThatDoesNotComeBackIsKilled(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{Grace: 10 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got := r.Run(ctx, runner.Call{Input: text(runnertest.AskSleep)}); !errors.Is(got.Err, context.DeadlineExceeded) {
			t.Errorf("gave %q, %v", got.Value.Data, got.Err)
		}
		<-r.Done()
		if !strings.Contains(r.Err().Error(), "given up") {
			t.Errorf("it ended so: %v", r.Err())
		}
	})
}

func TestCallsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		r := begin(t, program(protocol), runner.Config{})
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for range 20 {
					in := text(strings.Repeat(string(rune('a'+i)), 1+i*1000))
					if got := r.Run(t.Context(), runner.Call{Input: in}); got.Err != nil || !bytes.Equal(got.Value.Data, in.Data) {
						t.Errorf("call %d: %v", i, got.Err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestResultsAreLimited(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		p := program(protocol)
		p.Output = 1000
		r := begin(t, p, runner.Config{})
		for range 2 {
			got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskBig)})
			if e := stoa.AsError(got.Err); e == nil || e.Type != runner.OutputTooLarge || !strings.Contains(e.Msg, "1048576") {
				t.Errorf("a result of 1 MiB where 1000 bytes are allowed: %v", got.Err)
			}
			if got := r.Run(t.Context(), runner.Call{Input: text(strings.Repeat("x", 1000))}); got.Err != nil {
				t.Errorf("a result as large as allowed: %v", got.Err)
			}
		}
	})
}

// When a program ends with calls under way, each of them ends too: with the
// reason, or as one that was never told.
func TestTheEndAmongOtherCalls(t *testing.T) {
	each(t, func(t *testing.T, protocol string) {
		for range 10 {
			r := begin(t, program(protocol), runner.Config{})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for {
						got := r.Run(t.Context(), runner.Call{Input: text("x")})
						if got.Err == nil {
							continue
						}
						if e := stoa.AsError(got.Err); e.Type != runner.SystemExit && e.Kind != stoa.NotFound {
							t.Errorf("a call ended with %+v", e)
						}
						return
					}
				})
			}
			wg.Go(func() {
				if got := r.Run(t.Context(), runner.Call{Input: text(runnertest.AskExit)}); got.Err == nil {
					t.Error("the program did not end")
				}
			})
			wg.Wait()
			<-r.Done()
		}
	})
}
