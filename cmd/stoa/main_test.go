package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/shim/shimtest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// TestMain is also the program: program gives this test binary its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "stoa" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// program is a stoa of its own, with the library beside it and a home.
type program struct {
	path, home string
	env        []string
}

func newProgram(t *testing.T) *program {
	t.Helper()
	lib, err := filepath.Abs("../../bin/lib/libonnxruntime.so")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lib); err != nil {
		t.Skip("SKIPPED: no ONNX Runtime: run make setup")
	}
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: no bubblewrap: run make setup")
	}
	dir := t.TempDir()
	p := &program{path: filepath.Join(dir, "stoa"), home: filepath.Join(dir, "home")}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Link(self, p.path) != nil { // another file system
		b, err := os.ReadFile(self)
		if err == nil {
			err = os.WriteFile(p.path, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{p.home, filepath.Join(dir, "lib")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(lib, filepath.Join(dir, "lib", "libonnxruntime.so")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shimtest.Build(t), filepath.Join(dir, "stoa-init")); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH")}
	return p
}

// run runs a command to its end.
func (p *program) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that ends with status 0.
func (p *program) must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, status := p.run(t, args...)
	if status != 0 {
		t.Fatalf("stoa %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// server is a running stoa serve.
type server struct {
	cmd  *exec.Cmd
	url  string
	said string // what it printed until it was ready
}

func (p *program) serve(t *testing.T, data string) *server {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), p.path, "serve", "--data", data, "--listen", "127.0.0.1:0")
	cmd.Env = p.env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: cmd}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGINT)
			_ = cmd.Wait()
		}
	})
	for lines := bufio.NewScanner(stdout); s.url == "" && lines.Scan(); {
		s.said += lines.Text() + "\n"
		if url, ok := strings.CutPrefix(lines.Text(), "Stoa is at "); ok {
			s.url = url
		}
	}
	if s.url == "" {
		t.Fatalf("the server did not start: %s", s.said)
	}
	return s
}

func (s *server) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after %v: %v", sig, err)
	}
}

func workers(t *testing.T, data string) []int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "workers", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var rec struct{ PID int }
		if err := json.Unmarshal(b, &rec); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, rec.PID)
	}
	return pids
}

const demo = "../../demo/"

// TestEveryCommandThroughTheProgram walks the commands against a server that is
// the program too, as their users do.
// What strangers may call reaches the server, which refuses what it cannot read.
func TestServeRefusesOddKeyless(t *testing.T) {
	p := newProgram(t)
	for _, flags := range [][]string{{"--keyless", "demo"}, {"--keyless", "none", "--keyless", "demo/*"}, {"--public-url", "stoa.example"}} {
		args := append([]string{"serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0"}, flags...)
		if _, errs, status := p.run(t, args...); status != 1 || !strings.Contains(errs, flags[len(flags)-1]) && !strings.Contains(errs, "none") {
			t.Errorf("%v: %d %s", flags, status, errs)
		}
	}
}

func TestEveryCommandThroughTheProgram(t *testing.T) {
	p := newProgram(t)
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(t, data)
	key, err := os.ReadFile(filepath.Join(data, "admin-key"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.said, "shown this once: "+strings.TrimSpace(string(key))) {
		t.Errorf("the first start says\n%s", s.said)
	}

	// Without a key, and with the address in the environment.
	p.env = append(p.env, "STOA_SERVER="+s.url)
	if _, errs, status := p.run(t, "ls"); status != 1 || !strings.Contains(errs, "stoa login") {
		t.Errorf("ls without a key: %d %s", status, errs)
	}
	p.env = append(p.env, "STOA_KEY="+strings.TrimSpace(string(key)))
	p.must(t, "login")
	p.env = p.env[:2] // from here on by the profile

	for _, c := range []struct {
		args string
		says string
	}{
		{"push " + demo + "digits", "demo/digits 0.1.0 is new (public)\n" + s.url + "/v1/algo/demo/digits/0.1.0\n"},
		{"push " + demo + "digits --bump major", "0.1.0 is there already"},
		{"push " + demo + "places --as me/places --bump major --json", `"new": true`},
		{"push " + demo + "digits/lenet.prototxt " + demo + "digits/lenet.caffemodel --as me/net", "admin/net 0.1.0 is new (private)"},
		{"ls", "demo/digits"},
		{"ls --json", `"name": "places"`},
		{"show demo/digits", "43"}, // parameters, of the import's report
		{"show demo/digits --json", `"report": {`},
		{"versions admin/places", "1.0.0"},
		{"versions admin/places --json", `"version": "1.0.0"`},
		{"call demo/digits --file " + demo + "digits/samples/seven.png", `{"label":"7"`},
		{"call demo/digits --file " + demo + "digits/samples/two.png --full", `"content_type": "json"`},
		{"call me/places/1.0.* --file " + demo + "places/samples/stream.jpg", ""},
		{"keys ls", "BEGINS WITH"},
		{"keys ls --json", `"prefix": "sim`},
		{"keys new --label laptop --json", `"key": "sim`},
		{"rm admin/places/1.0.0", "removed admin/places/1.0.0"},
		{"rm admin/net --yes --json", `"removed": "admin/net"`},
		{"doctor", "namespaces"},
		{"doctor --json", `"state": "ok"`},
		{"version --json", `"version"`},
	} {
		out, errs, status := p.run(t, strings.Fields(c.args)...)
		if c.says == "" { // a wildcard means public versions alone
			if status != 1 || !strings.Contains(errs, "not found") {
				t.Errorf("stoa %s: %d %s", c.args, status, errs)
			}
			continue
		}
		if status != 0 || !strings.Contains(out, c.says) {
			t.Errorf("stoa %s: status %d, wants %q\n%s%s", c.args, status, c.says, out, errs)
		}
	}
	report := p.must(t, "show", "demo/digits")
	for _, want := range []string{"format", "Caffe", "layers", "Convolution", "multiply-adds a call", "memory"} {
		if !strings.Contains(report, want) {
			t.Errorf("show says nothing of %q:\n%s", want, report)
		}
	}
	colour := filepath.Join(p.home, "colour.jpg")
	p.must(t, "push", demo+"colorize")
	p.must(t, "call", "demo/colorize", "--file", demo+"colorize/samples/before.jpg", "--output", colour)
	if b, err := os.ReadFile(colour); err != nil || http.DetectContentType(b) != "image/jpeg" {
		t.Errorf("colorize wrote %.10q, %v", b, err)
	}

	// Ctrl-C ends the workers too.
	pids := workers(t, data)
	if len(pids) == 0 {
		t.Error("there is no worker to end")
	}
	s.end(t, syscall.SIGINT)
	for _, pid := range pids {
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil && syscall.Kill(pid, 0) == nil {
			t.Errorf("worker %d is there after SIGINT", pid)
		}
	}
}

// TestATermLeavesTheWorkers, as a service manager's restart wants it: the next
// server answers by the same one, and makes no second key.
func TestATermLeavesTheWorkers(t *testing.T) {
	p := newProgram(t)
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(t, data)
	p.env = append(p.env, "STOA_SERVER="+s.url, "")
	key, err := os.ReadFile(filepath.Join(data, "admin-key"))
	if err != nil {
		t.Fatal(err)
	}
	p.env[3] = "STOA_KEY=" + strings.TrimSpace(string(key))
	p.must(t, "push", demo+"digits")
	want := p.must(t, "call", "demo/digits", "--file", demo+"digits/samples/five.png")
	before := workers(t, data)
	s.end(t, syscall.SIGTERM)

	s = p.serve(t, data)
	p.env[2] = "STOA_SERVER=" + s.url
	if strings.Contains(s.said, "key") || strings.Count(s.said, "/sign-in?link=") != 1 {
		t.Errorf("the second start says\n%s", s.said)
	}
	if got := p.must(t, "call", "demo/digits", "--file", demo+"digits/samples/five.png"); got != want {
		t.Errorf("the second server answers %s, the first %s", got, want)
	}
	if after := workers(t, data); len(before) != 1 || len(after) != 1 || before[0] != after[0] {
		t.Errorf("workers %v before, %v after", before, after)
	}
	s.end(t, syscall.SIGINT)
}

// TestASecondSignalEndsAtOnce, while the first one's still waits for a caller.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	p := newProgram(t)
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(t, data)
	key, err := os.ReadFile(filepath.Join(data, "admin-key"))
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.url, "http://")
	dial := func() (net.Conn, error) { return new(net.Dialer).DialContext(t.Context(), "tcp", address) }
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A request whose body does not come: the server asks for it, and waits.
	head := "POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: " + strings.TrimSpace(string(key)) + "\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	interrupt := func() {
		if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	}
	interrupt()
	for { // until the port is free, which the first signal does at once
		c, err := dial()
		if err != nil {
			break
		}
		c.Close()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for n := 0; ; n++ {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("it ended in good order, with a caller whose request was not done")
			}
			return
		case <-again.C:
			if interrupt(); n == 100 {
				t.Fatal("it does not end")
			}
		}
	}
}

// TestImportThroughTheProgram writes ONNX, runs it on an array, and tells when
// the answer is another.
func TestImportThroughTheProgram(t *testing.T) {
	p := newProgram(t)
	dir := t.TempDir()
	write := func(name string, values ...float32) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, npy.Append(nil, tensor.Of(values, 1, int64(len(values)))), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	prototxt := filepath.Join(dir, "net.prototxt")
	const net = `name: "net" input: "data" input_shape { dim: 1 dim: 3 }
layer { name: "l" type: "Power" bottom: "data" top: "out" power_param { scale: 2 shift: 1 } }`
	if err := os.WriteFile(prototxt, []byte(net), 0o600); err != nil {
		t.Fatal(err)
	}
	// What lies beside a model does no harm.
	for _, name := range []string{"notes.txt", "photo.jpg"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no model"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, right, wrong := write("in.npy", 1, 2, 3), write("right.npy", 3, 5, 7), write("wrong.npy", 3, 5, 8)
	out := filepath.Join(t.TempDir(), "out.onnx")
	got := p.must(t, "import", dir, "-o", out, "--check", in+"="+right, "--json")
	var report struct {
		Framework string
		Check     struct{ Compared []struct{ OK bool } }
	}
	if err := json.Unmarshal([]byte(got), &report); err != nil || report.Framework != "caffe" || len(report.Check.Compared) != 1 || !report.Check.Compared[0].OK {
		t.Errorf("import says %s", got)
	}
	if _, errs, status := p.run(t, "import", dir, "-o", out, "--check", in+"="+wrong); status != 1 || !strings.Contains(errs, "the network's answers are not those wanted: out is off by 0.125 of its scale") {
		t.Errorf("a wrong answer: %d %s", status, errs)
	}
	// A command stands for the framework of origin: it is right about a network
	// that changes nothing, and wrong about this.
	const same = `f() { cp "$1/data.npy" "$2/out.npy"; }; f`
	if _, errs, status := p.run(t, "import", dir, "-o", out, "--check-with", same); status != 1 || !strings.Contains(errs, "out is off by") {
		t.Errorf("a command with another opinion: %d %s", status, errs)
	}
	identity := strings.ReplaceAll(net, "scale: 2 shift: 1", "scale: 1")
	if err := os.WriteFile(prototxt, []byte(identity), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := p.must(t, "import", dir, "-o", out, "--check-with", same); !strings.Contains(text, "out: largest difference 0, 0 of its scale, within 0.0001 (out.npy)") {
		t.Errorf("import says %s", text)
	}
	for command, want := range map[string]string{"false": "exit status 1", "true": `it wrote no out.npy`} {
		if _, errs, status := p.run(t, "import", dir, "-o", out, "--check-with", command); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %s", command, status, errs)
		}
	}
	if err := os.WriteFile(prototxt, []byte(strings.ReplaceAll(net, "Power", "Magic")), 0o600); err != nil {
		t.Fatal(err)
	}
	never := filepath.Join(t.TempDir(), "never.onnx")
	if _, errs, status := p.run(t, "import", dir, "-o", never); status != 2 || !strings.Contains(errs, "Magic") {
		t.Errorf("what is not supported: %d %s", status, errs)
	}
	if _, err := os.Stat(never); err == nil {
		t.Error("what is not supported was written")
	}
	if err := os.WriteFile(prototxt, []byte(net), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := p.must(t, "inspect", out); !strings.Contains(text, "ONNX") || !strings.Contains(text, "float32 ?x3") {
		t.Errorf("inspect says %s", text)
	}
	if _, errs, status := p.run(t, "inspect", filepath.Join(dir, "notes.txt")); status != 1 || !strings.Contains(errs, "no model was recognised") {
		t.Errorf("inspect of notes: %d %s", status, errs)
	}
}

// freeAddress gives an address that nobody has at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestUp runs the newcomer's command twice, on a port that is free and on one
// that is not.
func TestUp(t *testing.T) {
	p := newProgram(t)
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(t, data)
	listen := strings.TrimPrefix(s.url, "http://")
	// Another program has the port: one sentence, and the remedy.
	other := filepath.Join(t.TempDir(), "other")
	_, errs, status := p.run(t, "up", "--data", other, "--listen", listen, "--demos", demo)
	if status != 1 || !strings.Contains(errs, listen+" is in use by another program") || !strings.Contains(errs, "--listen HOST:PORT") || strings.Count(errs, "\n") > 2 {
		t.Errorf("on a port in use: %d %s", status, errs)
	}
	s.end(t, syscall.SIGINT)

	t.Cleanup(func() { _, _, _ = p.run(t, "down", "--data", data) })
	first, errs, status := p.run(t, "up", "--data", data, "--listen", listen, "--demos", demo)
	for range 3 { // meanwhile any connection of this machine may have got the port
		if !strings.Contains(errs, "is in use") {
			break
		}
		listen = freeAddress(t)
		s.url = "http://" + listen
		first, errs, status = p.run(t, "up", "--data", data, "--listen", listen, "--demos", demo)
	}
	if status != 0 {
		t.Fatalf("up: %d %s", status, errs)
	}
	for _, want := range []string{"ALGORITHM", "demo/digits", "7 (7 100%)", "demo/places", "glacier", "demo/colorize turned", "Greetings from the ice", s.url, "Key     sim", "Page    " + s.url + "/sign-in?link=", "curl -H", " down --data " + data} {
		if !strings.Contains(first, want) {
			t.Errorf("up says nothing of %q:\n%s", want, first)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "colorize.jpg")); err != nil {
		t.Error(err)
	}
	// The command line is logged in.
	if got := p.must(t, "call", "demo/places", "--file", demo+"places/samples/stream.jpg"); !strings.Contains(got, `"label":"forest"`) {
		t.Errorf("places says %s", got)
	}
	res, err := http.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if page, err := io.ReadAll(res.Body); err != nil || !bytes.Contains(page, []byte("demo/colorize")) {
		t.Errorf("the page: %v %.200s", err, page)
	}
	again := p.must(t, "up", "--data", data, "--listen", listen, "--demos", demo, "--json")
	if strings.Contains(again, `"new": true`) || strings.Count(again, `"new": false`) != 4 {
		t.Errorf("again: %s", again)
	}
	// What it is told of the sandbox holds for a server that runs, too.
	if _, errs, status := p.run(t, "up", "--data", data, "--listen", listen, "--demos", demo, "--sandbox", "on"); status != 0 || !strings.Contains(errs, "is started anew") {
		t.Errorf("up with another sandbox: %d %s", status, errs)
	}
	p.must(t, "down", "--data", data)
	if _, errs, status := p.run(t, "down", "--data", data); status != 1 || !strings.Contains(errs, "no server runs on") {
		t.Errorf("down twice: %d %s", status, errs)
	}
}
