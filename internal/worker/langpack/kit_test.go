package langpack_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// patience is how long a test waits for a program before it says that it hangs.
// Programs start while other tests fill the machine.
const patience = 40 * time.Second

// dirs are the folders of a build, on the host.
type dirs struct{ top, src, deps, out, cache, lang string }

// lay makes the folders of a build of a copy of some source.
func lay(t *testing.T, l *langpack.Language, source fs.FS) dirs {
	t.Helper()
	return layAt(t, t.TempDir(), l, source)
}

func layAt(t *testing.T, top string, l *langpack.Language, source fs.FS) dirs {
	t.Helper()
	d := dirs{
		top: top, src: filepath.Join(top, "src"), deps: filepath.Join(top, "deps"), out: filepath.Join(top, "out"),
		lang: filepath.Join(top, "lang"),
	}
	for _, dir := range []string{d.deps, d.out, d.lang} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(d.src, source); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteRunner(d.lang); err != nil {
		t.Fatal(err)
	}
	// The cache outlives the test, as a server's does: Go compiles its library once.
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	d.cache = filepath.Join(cache, "stoa-langpack-test", l.Name())
	if err := os.MkdirAll(d.cache, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

// readManifest reads the stoa.yaml of some source, or makes one.
func readManifest(t *testing.T, l *langpack.Language, source fs.FS) *manifest.Manifest {
	t.Helper()
	data, err := fs.ReadFile(source, manifest.FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return &manifest.Manifest{Name: "test/probe", Kind: manifest.KindCode, Code: &manifest.Code{Language: l.Name()}}
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse(manifest.FileName, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// build runs a language's recipe without a sandbox and gives its log.
func (d dirs) build(t *testing.T, l *langpack.Language, m *manifest.Manifest) (log string, err error) {
	t.Helper()
	r, err := l.Recipe(m, os.DirFS(d.src))
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	locked := false
	for _, p := range r.Locks {
		if hits, _ := fs.Glob(os.DirFS(d.src), p); len(hits) > 0 {
			locked = true
		}
	}
	scripts := []string{r.Build}
	if locked && r.Dependencies != "" {
		scripts = []string{r.Dependencies, r.Build}
	}
	for _, script := range scripts {
		c := exec.CommandContext(t.Context(), "/bin/sh", "-e", "-c", script)
		c.Dir = d.src
		c.Env = []string{"SRC=" + d.src, "DEPS=" + d.deps, "OUT=" + d.out, "CACHE=" + d.cache, "LANG_DIR=" + d.lang}
		for _, e := range r.Env {
			if !strings.Contains(e, "=") {
				e += "=" + os.Getenv(e)
			}
			c.Env = append(c.Env, e)
		}
		out, err := c.CombinedOutput()
		log += string(out)
		if err != nil {
			return log, err
		}
	}
	return log, nil
}

// session is a program that runs, behind either protocol.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *safeBuffer // both streams
	exited chan error
	speak  speaker
	next   uint64
}

// speaker is what the protocols differ in.
type speaker interface {
	send(number uint64, v stoa.Value) error
	receive() (answer, error) // of any call
}

// answer is what came of a call, or of the start where number is 0.
type answer struct {
	number uint64
	ready  bool
	value  stoa.Value
	log    string
	chunks int
	fail   *failure
}

type failure struct {
	Message string `json:"message"`
	Type    string `json:"error_type"`
	Stack   string `json:"stacktrace"`
}

// safeBuffer keeps what a program prints, which arrives when it likes.
type safeBuffer struct {
	mu     sync.Mutex
	b      bytes.Buffer
	wanted map[chan struct{}]string // closed when the text has come
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.b.Write(p)
	s.look()
	return n, err
}

func (s *safeBuffer) look() {
	for c, text := range s.wanted {
		if bytes.Contains(s.b.Bytes(), []byte(text)) {
			close(c)
			delete(s.wanted, c)
		}
	}
}

// has gives a channel that is closed when a text has been printed.
func (s *safeBuffer) has(text string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		s.wanted = map[chan struct{}]string{}
	}
	c := make(chan struct{})
	s.wanted[c] = text
	s.look()
	return c
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start starts a built program and waits until it is ready, or failed to load.
func (d dirs) start(t *testing.T, l *langpack.Language, m *manifest.Manifest) (*session, answer) {
	t.Helper()
	p, err := l.Program(m, langpack.Place{Source: os.DirFS(d.out), App: d.out, Deps: d.deps, Lang: d.lang})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, output: &safeBuffer{}, exited: make(chan error, 1), next: 1}
	env := append([]string{"STOA_PROTOCOL=" + p.Protocol, "STOA_CONCURRENCY=" + strconv.Itoa(p.Concurrency), "HOME=/tmp"}, p.Env...)
	if p.Protocol == runner.Pipe {
		return s.startPipe(d, p, env)
	}
	at := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s.cmd = exec.CommandContext(t.Context(), p.Command[0], p.Command[1:]...)
	s.cmd.Env = append(env, "STOA_SOCKET="+at)
	s.cmd.Dir = p.Dir
	s.run()
	if err := listener.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *net.UnixConn, 1)
	go func() {
		c, err := listener.AcceptUnix()
		if err == nil {
			accepted <- c
		}
	}()
	select {
	case c := <-accepted:
		t.Cleanup(func() { c.Close() })
		s.speak = &frames{conn: c, r: bufio.NewReader(c), chunks: map[uint64]*answer{}}
	case err := <-s.exited:
		t.Fatalf("the program ended before it connected: %v\n%s", err, s.output)
	case <-time.After(patience):
		t.Fatalf("the program does not connect\n%s", s.output)
	}
	a := s.receive()
	if a.number != 0 || !a.ready && a.fail == nil {
		t.Fatalf("the first frame is %+v", a)
	}
	return s, a
}

func (s *session) run() {
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.WaitDelay = time.Second
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		s.exited <- s.cmd.Wait()
		close(done)
	}()
	s.t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-done
	})
}

// startPipe runs a program under its own /tmp, since the FIFO's name is fixed.
func (s *session) startPipe(d dirs, p runner.Program, env []string) (*session, answer) {
	t := s.t
	t.Helper()
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip("SKIPPED: bwrap is not installed, and the pipe's name is fixed: apt install bubblewrap")
	}
	tmp := t.TempDir()
	fifo := filepath.Join(tmp, "algoout")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	args := []string{"--dev-bind", "/", "/", "--bind", tmp, "/tmp", "--ro-bind", d.top, d.top, "--die-with-parent", "--chdir", p.Dir, "--"}
	s.cmd = exec.CommandContext(t.Context(), "bwrap", append(args, p.Command...)...)
	s.cmd.Env = env
	ready := s.output.has("PIPE_INIT_COMPLETE")
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.run()
	s.speak = &pipe{in: in, out: out, dec: json.NewDecoder(out)}
	select {
	case <-ready:
		return s, answer{ready: true}
	case err := <-s.exited:
		s.exited <- err
		return s, answer{fail: &failure{Message: s.output.String(), Type: runner.LoadingError}}
	case <-time.After(patience):
		t.Fatalf("the program does not become ready\n%s", s.output)
	}
	return nil, answer{}
}

// send sends a call and gives its number.
func (s *session) send(v stoa.Value) uint64 {
	s.t.Helper()
	number := s.next
	s.next++
	if err := s.speak.send(number, v); err != nil {
		s.t.Fatalf("%v\n%s", err, s.output)
	}
	return number
}

// receive gives the next answer.
func (s *session) receive() answer {
	s.t.Helper()
	a, err := s.speak.receive()
	if err != nil {
		s.t.Fatalf("no answer: %v\n%s", err, s.output)
	}
	return a
}

// call sends one call and gives its answer.
func (s *session) call(v stoa.Value) answer {
	s.t.Helper()
	number := s.send(v)
	a := s.receive()
	if a.number != number {
		s.t.Fatalf("the answer is of call %d, not %d", a.number, number)
	}
	return a
}

// printed checks that a text was printed during a call.
func (s *session) printed(a answer, text string) {
	s.t.Helper()
	if strings.Contains(a.log, text) {
		return
	}
	select {
	case <-s.output.has(text):
	case <-time.After(patience):
		s.t.Errorf("%q was not printed: %q and %q were", text, s.output, a.log)
	}
}

// end waits until the program has ended and gives its exit status.
func (s *session) end() int {
	s.t.Helper()
	select {
	case err := <-s.exited:
		s.exited <- err
		if status, ok := errors.AsType[*exec.ExitError](err); ok {
			return status.ExitCode()
		}
		return 0
	case <-time.After(patience):
		s.t.Fatalf("the program does not end\n%s", s.output)
	}
	return -1
}

var valueTypes = []stoa.ValueType{stoa.Void, stoa.Text, stoa.JSON, stoa.Binary}

// frames is the side of Stoa in the frames protocol.
type frames struct {
	conn   *net.UnixConn
	r      *bufio.Reader
	chunks map[uint64]*answer
}

func (f *frames) send(number uint64, v stoa.Value) error {
	code := 0
	for i, t := range valueTypes {
		if t == v.Type {
			code = i
		}
	}
	return f.frame(16, byte(code), number, []byte(`{"request_id":"r1","token":"sim1","deadline_ms":60000}`), v.Data)
}

func (f *frames) frame(kind, content byte, number uint64, head, data []byte) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(head)+len(data)))
	b = append(b, kind, content)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = binary.LittleEndian.AppendUint64(b, number)
	_, err := f.conn.Write(append(append(b, head...), data...))
	return err
}

func (f *frames) receive() (answer, error) {
	if err := f.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	for {
		var b [16]byte
		if _, err := io.ReadFull(f.r, b[:]); err != nil {
			return answer{}, err
		}
		body := make([]byte, binary.LittleEndian.Uint32(b[:]))
		if _, err := io.ReadFull(f.r, body); err != nil {
			return answer{}, err
		}
		split := binary.LittleEndian.Uint16(b[6:])
		head, data, number := body[:split], body[split:], binary.LittleEndian.Uint64(b[8:])
		a := f.chunks[number]
		if a == nil {
			a = &answer{number: number}
			f.chunks[number] = a
		}
		switch b[4] {
		case 5:
			a.log += string(data)
			continue
		case 3:
			a.chunks++
			a.value.Data = append(a.value.Data, data...)
			continue
		case 1:
			a.ready = json.Valid(head)
		case 2:
			a.value.Type = valueTypes[b[5]]
			a.value.Data = append(a.value.Data, data...)
		case 4:
			a.fail = new(failure)
			if err := json.Unmarshal(head, a.fail); err != nil {
				return answer{}, err
			}
		default:
			return answer{}, stoa.Errorf(stoa.Invalid, "a frame of type %d", b[4])
		}
		delete(f.chunks, number)
		return *a, nil
	}
}

// pipe is the side of Stoa in the pipe protocol.
type pipe struct {
	in   io.Writer
	out  *os.File
	dec  *json.Decoder
	last uint64
}

func (p *pipe) send(number uint64, v stoa.Value) error {
	p.last = number
	line := struct {
		Type string `json:"content_type"`
		Data any    `json:"data"`
	}{string(v.Type), nil}
	switch v.Type {
	case stoa.JSON:
		line.Data = json.RawMessage(v.Data)
	case stoa.Binary:
		line.Data = v.Data
	default:
		line.Data = string(v.Data)
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(b, '\n'))
	return err
}

func (p *pipe) receive() (answer, error) {
	if err := p.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	var got struct {
		Result   json.RawMessage `json:"result"`
		Metadata struct {
			Type stoa.ValueType `json:"content_type"`
		} `json:"metadata"`
		Error *failure `json:"error"`
	}
	if err := p.dec.Decode(&got); err != nil {
		return answer{}, err
	}
	a := answer{number: p.last, fail: got.Error, value: stoa.Value{Type: got.Metadata.Type, Data: got.Result}}
	if got.Error != nil || a.value.Type == stoa.JSON {
		return a, nil
	}
	var s string
	if err := json.Unmarshal(got.Result, &s); err != nil {
		return answer{}, err
	}
	a.value.Data = []byte(s)
	var err error
	if a.value.Type == stoa.Binary {
		a.value.Data, err = base64.StdEncoding.DecodeString(s)
	}
	return a, err
}
