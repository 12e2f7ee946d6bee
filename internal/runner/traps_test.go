package runner_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
)

// sh is a program of the pipe protocol in shell.
func sh(script string) runner.Program {
	return runner.Program{Command: []string{"sh", "-c", script}, Protocol: runner.Pipe, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

// ready and answerEach are the parts of an ordinary one.
const (
	ready      = `echo PIPE_INIT_COMPLETE; `
	answerEach = `while read -r line; do echo '{"result":1}' >"$STOA_FIFO"; done; `
)

func call(t *testing.T, r *runner.Runner, in string) (stoa.Result, *stoa.Error) {
	t.Helper()
	got := r.Run(t.Context(), runner.Call{Input: text(in)})
	return got, stoa.AsError(got.Err)
}

// Programs whose loading fails, each in a way that was seen with a kit.
func TestWhatDoesNotLoad(t *testing.T) {
	for name, c := range map[string]struct {
		p    runner.Program
		want stoa.Error
	}{
		"it exits": {
			sh(`echo loading; echo "ModuleNotFoundError: no numpy" >&2; exit 1`),
			stoa.Error{Type: runner.LoadingError, Msg: "the program exited with code 1 before it was ready; the last that it printed is: ModuleNotFoundError: no numpy"},
		},
		"it is killed":        {sh(`kill -9 $$`), stoa.Error{Type: runner.LoadingError, Msg: "the program was killed by signal 9 before it was ready; it printed nothing"}},
		"there is no command": {runner.Program{Command: []string{"no-such-program"}, Protocol: runner.Pipe}, stoa.Error{Type: runner.LoadingError, Msg: "no-such-program"}},
		"an error and no ready line": {
			sh(`echo '{"error":{"message":"no model","error_type":"LoadingError","stacktrace":"at load"}}' >"$STOA_FIFO"; cat >/dev/null`),
			stoa.Error{Type: "LoadingError", Msg: "no model", Stack: "at load"},
		},
		"an error, and the ready line after it": {
			sh(`echo '{"error":{"message":"no model"}}' >"$STOA_FIFO"; ` + ready + answerEach),
			stoa.Error{Type: "LoadingError", Msg: "no model"},
		},
		"an answer before it is ready": {sh(`echo '{"result":1}' >"$STOA_FIFO"; cat`), stoa.Error{Type: runner.ProtocolError}},
		"no JSON":                      {sh(`echo hello >"$STOA_FIFO"; cat`), stoa.Error{Type: runner.ProtocolError}},
		"frames: it exits":             {runner.Program{Command: []string{"sh", "-c", "exit 4"}, Protocol: runner.Frames}, stoa.Error{Type: runner.LoadingError, Msg: "exited with code 4"}},
		"frames: an error": {
			raw(frame(4, 0, 0, `{"message":"no model","error_type":"MyError","stacktrace":"at load"}`, "")),
			stoa.Error{Type: "MyError", Msg: "no model", Stack: "at load"},
		},
		"frames: of another protocol": {raw(frame(1, 0, 0, `{"protocol":2}`, "")), stoa.Error{Type: runner.ProtocolError, Msg: "protocol 2"}},
		"frames: a result at first":   {raw(frame(2, 0, 0, ``, "")), stoa.Error{Type: runner.ProtocolError}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := try(t, c.p, runner.Config{})
			if err == nil {
				r.Close(t.Context())
				t.Fatal("it loaded")
			}
			e := stoa.AsError(err)
			if e.Kind != stoa.Failed || e.Type != c.want.Type || !strings.Contains(e.Msg, c.want.Msg) || c.want.Stack != "" && e.Stack != c.want.Stack {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestLoadingHasATime(t *testing.T) {
	for name, c := range map[string]struct {
		ctx  func() (context.Context, context.CancelFunc)
		kind stoa.Kind
	}{
		"late": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		}, stoa.Failed},
		"cancelled": {func() (context.Context, context.CancelFunc) {
			ctx, c := context.WithCancel(t.Context())
			c()
			return ctx, c
		}, stoa.Canceled},
	} {
		ctx, cancel := c.ctx()
		_, err := runner.Start(ctx, sh("cat"), runner.Config{Folder: t.TempDir()}) // like a program that answers at the end of its input only
		if stoa.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	p := sh("echo reading weights; exec cat")
	p.Load = 200 * time.Millisecond
	_, err := try(t, p, runner.Config{})
	if e := stoa.AsError(err); e == nil || e.Type != runner.LoadingError || !strings.Contains(e.Msg, "not ready after") || e.Stack != "reading weights" {
		t.Errorf("over its own limit: %+v", e)
	}
}

// Programs that are unlike ours and must work all the same.
func TestWhatOtherKitsDo(t *testing.T) {
	for name, c := range map[string]struct {
		p                 runner.Program
		want, out, errOut string
		err               stoa.Error
	}{
		"the ready line holds more":     {p: sh(`echo '[1] "PIPE_INIT_COMPLETE"'; ` + answerEach), want: "1"},
		"the ready line comes in parts": {p: sh(`printf 'PIPE_INIT_'; printf 'COMPLETE'; ` + answerEach), want: "1"},
		"the end of the ready line is late": {
			p: sh(`printf PIPE_INIT_COMPLETE; read -r line; echo; echo mine; echo '{"result":1}' >"$STOA_FIFO"`), want: "1", out: "mine\n",
		},
		"printed while loading is not the call's": {p: sh(`echo early; echo early >&2; ` + ready + answerEach), want: "1"},
		"the FIFO stays open":                     {p: sh(ready + `exec 9>"$STOA_FIFO"; while read -r line; do printf '{"result":1}' >&9; done`), want: "1"},
		"over several lines":                      {p: sh(ready + `while read -r line; do printf '{\n "result":\n\n [1]\n}\n\n' >"$STOA_FIFO"; done`), want: "[1]"},
		"an error that has stack_trace": {
			p:   sh(ready + `while read -r line; do echo '{"error":{"message":"m","error_type":"System.Exception","stack_trace":"s"}}' >"$STOA_FIFO"; done`),
			err: stoa.Error{Kind: stoa.Failed, Type: "System.Exception", Msg: "m", Stack: "s"},
		},
		"what is printed before the end is the call's": {
			p: sh(ready + `read -r line; echo out; echo "Traceback" >&2; exit 9`), out: "out\n", errOut: "Traceback\n",
			err: stoa.Error{Kind: stoa.Failed, Type: runner.SystemExit, Msg: "exited with code 9", Stack: "Traceback\n"},
		},
		"an answer, and the end": {p: sh(ready + `read -r line; echo '{"result":7}' >"$STOA_FIFO"`), want: "7"},
		"a signal": {
			p: sh(ready + `read -r line; kill -SEGV $$`), err: stoa.Error{Kind: stoa.Failed, Type: runner.SystemExit, Msg: "was killed by signal 11"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t, c.p, runner.Config{})
			got, err := call(t, r, "x")
			if err == nil {
				err = &stoa.Error{}
			}
			if string(got.Value.Data) != c.want || got.Stdout != c.out || got.Stderr != c.errOut || err.Error() != c.err.Error() || err.Type != c.err.Type || err.Stack != c.err.Stack {
				t.Errorf("%q, printed %q and %q, %+v", got.Value.Data, got.Stdout, got.Stderr, err)
			}
		})
	}
}

func TestAnAnswerThatNobodyAskedForEndsTheProgram(t *testing.T) {
	for name, p := range map[string]runner.Program{
		"pipe":                  sh(ready + `read -r line; for i in 1 2; do echo '{"result":1}' >"$STOA_FIFO"; done; cat`),
		"frames":                raw(hello, frame(2, 1, 1, "", "a")+frame(2, 1, 1, "", "b")),
		"frames: another frame": raw(hello, frame(2, 1, 1, "", "a")+frame(9, 0, 1, "", "")),
		"frames: ready again":   raw(hello, frame(2, 1, 1, "", "a")+hello),
		"frames: void of bytes": raw(hello, frame(2, 0, 1, "", "a")),
		"frames: a broken head": raw(hello, frame(2, 1, 1, "{", "a")),
	} {
		r := begin(t, p, runner.Config{})
		call(t, r, "x")
		<-r.Done()
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), "the program sent") {
			t.Errorf("%s: it ended so: %v", name, err)
		}
	}
}

func TestPartsAndLogsOfFrames(t *testing.T) {
	answer := frame(5, 1, 1, "", "out\n") + frame(5, 2, 1, "", "err\n") + frame(3, 3, 1, "", "one ") + frame(3, 3, 1, "", "two ") + frame(2, 3, 1, `{"media_type":"a/b"}`, "three")
	r := begin(t, raw(hello, answer), runner.Config{})
	got, err := call(t, r, "x")
	if err != nil || string(got.Value.Data) != "one two three" || got.Value.MediaType != "a/b" || got.Stdout != "out\n" || got.Stderr != "err\n" {
		t.Errorf("%+v", got)
	}
	r = begin(t, raw(hello, answer), runner.Config{})
	var parts []string
	res := r.Run(t.Context(), runner.Call{Input: text("x"), OnChunk: func(b []byte) { parts = append(parts, string(b)) }})
	if string(res.Value.Data) != "three" || strings.Join(parts, "|") != "one |two " {
		t.Errorf("%q, then %q, %v", parts, res.Value.Data, res.Err)
	}
}

// While several calls are under way, what is printed is given to none of them.
func TestWhatIsPrintedByOneOfSeveral(t *testing.T) {
	var mu sync.Mutex
	var loose strings.Builder
	r := begin(t, program(runner.Frames), runner.Config{Loose: func(s runner.Stream, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		loose.Write(b)
	}})
	slow := make(chan stoa.Result)
	go func() { slow <- r.Run(t.Context(), runner.Call{Input: text("stoa:sleep")}) }()
	for { // until the two were under way at once
		if got, err := call(t, r, "stoa:print"); err != nil {
			t.Fatal(err)
		} else if got.Stdout == "" {
			break
		}
	}
	if got := <-slow; got.Err != nil || got.Stdout != "" {
		t.Errorf("the other has printed %q, %v", got.Stdout, got.Err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(loose.String(), "stoa:out\n") {
		t.Errorf("loose: %q", loose.String())
	}
}

// Nothing of a program outlives it: neither children of its group, nor the FIFO.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, sh(`sleep 1000 & echo $! >`+dir+`/pid; `+ready+`cat >/dev/null; exit 0`), runner.Config{Folder: dir})
	r.Close(t.Context())
	b, err := os.ReadFile(dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(b))
	for { // it is dead, or dying: its parent is another now, which may take a moment
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(b), ") Z ") {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the program's child lives")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "algoout")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the FIFO: %v", err)
	}
	if r.Err() == nil || r.Err().Error() != "exited with code 0" {
		t.Errorf("it ended so: %v", r.Err())
	}
}

// A program that does not read its input cannot hold a call that is given up.
func TestAProgramThatDoesNotRead(t *testing.T) {
	for name, p := range map[string]runner.Program{"pipe": sh(ready + "exec sleep 1000"), "frames": raw(hello)} {
		r := begin(t, p, runner.Config{Grace: 10 * time.Millisecond})
		in := text(strings.Repeat("x", 4<<20))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got := r.Run(ctx, runner.Call{Input: in})
		if got.Err == nil {
			t.Errorf("%s: answered", name)
		}
		<-r.Done()
		cancel()
	}
}

// hello is the first frame of a program.
var hello = frame(1, 0, 0, `{"protocol":1,"name":"raw"}`, "")

func frame(kind, content byte, number uint64, head, data string) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(head)+len(data)))
	b = append(b, kind, content)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = binary.LittleEndian.AppendUint64(b, number)
	return string(b) + head + data
}

// rawEnv makes the test binary a program that sends what it is told: the first
// piece at once, and one more for each call.
const rawEnv = "STOA_TEST_RAW"

func raw(pieces ...string) runner.Program {
	for i := range pieces {
		pieces[i] = hex.EncodeToString([]byte(pieces[i]))
	}
	return runner.Program{
		Command: []string{os.Args[0]}, Protocol: runner.Frames,
		Env: []string{rawEnv + "=" + strings.Join(pieces, " "), "GORACE=atexit_sleep_ms=0"},
	}
}

func sendRaw(pieces, socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	all := strings.Fields(pieces)
	for i, p := range all {
		b, err := hex.DecodeString(p)
		if err != nil {
			return err
		}
		if _, err := conn.Write(b); err != nil {
			return err
		}
		if i == len(all)-1 {
			break
		}
		var h [16]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, int64(binary.LittleEndian.Uint32(h[:]))); err != nil {
			return err
		}
	}
	if len(all) == 1 {
		select {} // it reads nothing
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// Programs come and go; descriptors and goroutines go with them.
func TestNothingOfOursIsLeft(t *testing.T) {
	count := func() (int, int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds), runtime.NumGoroutine()
	}
	begin(t, sh(ready+"cat"), runner.Config{}).Close(t.Context()) // what is opened once is open now
	fds, goroutines := count()
	for range 10 {
		for _, p := range []runner.Program{
			sh(ready + answerEach), program(runner.Frames), sh("exit 1"),
			{Command: []string{"no-such-program"}, Protocol: runner.Frames},
			{Command: []string{"no-such-program"}, Protocol: runner.Pipe},
			raw(frame(2, 0, 0, "", "")),
		} {
			r, err := try(t, p, runner.Config{})
			if err != nil {
				continue
			}
			call(t, r, "x")
			r.Close(t.Context())
		}
	}
	for {
		f, g := count()
		if f <= fds && g <= goroutines {
			return
		}
		runtime.Gosched() // the last of them end by themselves
		if t.Context().Err() != nil {
			t.Fatalf("%d descriptors where there were %d, %d goroutines where there were %d", f, fds, g, goroutines)
		}
	}
}
