package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unicode/utf8"
)

// logs reads what a program prints and gives it to the call that it belongs to.
// Two goroutines, one for each stream, wait for it; whoever ends a call first
// takes what is in the pipes already, without waiting, so that what was printed
// before an answer is that call's.
type logs struct {
	limit  int64 // kept of each stream of a call
	serial bool  // one call at a time
	loose  func(Stream, []byte)
	marker []byte // a line with it on standard output says that loading is done; nil: none
	seen   func() // called when the marker was seen

	mu      sync.Mutex
	streams [2]printer
	loading bool
	start   []byte             // end of the last piece of standard output, where a marker may begin
	skip    bool               // the marker's line has not ended yet
	calls   map[*call]struct{} // under way and not given up
	alone   *call              // the one of them; nil where there is none, or several
	stray   int                // calls that were given up and are not answered yet
	between record             // serial: printed since the last call, and the next one's
}

// printer is the reading end of one of the program's streams.
type printer struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
	// recent is the end of what was printed while loading.
	recent []byte
}

// record is what one call has printed.
type record [2]struct {
	kept []byte
	cut  int64
}

const (
	// recentSize is what is kept of each stream while loading, for the message where it fails.
	recentSize = 8 << 10
	readSize   = 64 << 10 // what a pipe holds
	// maxTake bounds one taking: somebody may print faster than we read.
	maxTake = 1 << 20
)

func newLogs(p *Program, cfg *Config) *logs {
	l := &logs{limit: p.Log, serial: p.Concurrency == 1, loose: cfg.Loose, loading: true, calls: map[*call]struct{}{}}
	if l.loose == nil {
		l.loose = func(Stream, []byte) {}
	}
	return l
}

// pipe makes the pipe of a stream and gives the program's end, which must be
// closed once the program runs.
func (l *logs) pipe(s Stream) (*os.File, error) {
	r, w, err := pipe()
	if err != nil {
		return nil, err
	}
	end := theirs(w)
	p := &l.streams[s-1]
	p.buf = make([]byte, readSize)
	if p.file, err = ours(r); err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		_ = end.Close()
		return nil, err
	}
	return end, nil
}

// pipe makes a pipe, whose ends block, as programs expect of theirs.
func pipe() (r, w int, err error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return 0, 0, os.NewSyscallError("pipe2", err)
	}
	return fds[0], fds[1], nil
}

// ours makes a descriptor a file that does not block a thread.
func ours(fd int) (*os.File, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "pipe"), nil
}

// theirs makes a descriptor a file to be given to the program.
func theirs(fd int) *os.File { return os.NewFile(uintptr(fd), "pipe") }

// read gives what a stream prints to its calls, until its end.
func (l *logs) read(s Stream) {
	ended := false
	_ = l.streams[s-1].raw.Read(func(fd uintptr) bool {
		more := true
		for more { // as much as is there, and others come between
			l.mu.Lock()
			more, ended = l.take(s, int(fd))
			l.mu.Unlock()
		}
		return ended
	})
}

// take reads a stream until there is nothing at the moment, its end, or maxTake.
func (l *logs) take(s Stream, fd int) (more, ended bool) {
	buf := l.streams[s-1].buf
	for taken := 0; taken < maxTake; {
		n, err := syscall.Read(fd, buf)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return false, false
		case err != nil || n == 0:
			return false, true
		}
		l.printed(s, buf[:n])
		taken += n
	}
	return true, false
}

// drain takes what is in the pipes now. mu is held.
func (l *logs) drain() {
	l.drainOne(Stdout)
	l.drainOne(Stderr)
}

func (l *logs) drainOne(s Stream) {
	if p := &l.streams[s-1]; p.raw != nil {
		_ = p.raw.Control(func(fd uintptr) { l.take(s, int(fd)) })
	}
}

func (l *logs) close() {
	for i := range l.streams {
		if f := l.streams[i].file; f != nil {
			_ = f.Close()
		}
	}
}

func (l *logs) printed(s Stream, b []byte) {
	if l.loading {
		if b = l.beforeReady(s, b); len(b) == 0 {
			return
		}
	}
	if l.skip && s == Stdout {
		end := bytes.IndexByte(b, '\n') + 1
		if l.skip = end == 0; l.skip {
			end = len(b)
		}
		l.loose(s, b[:end])
		if b = b[end:]; len(b) == 0 {
			return
		}
	}
	switch {
	case l.stray > 0:
		l.loose(s, b)
	case l.alone != nil:
		l.keep(&l.alone.printed, s, b)
	case len(l.calls) == 0 && l.serial:
		l.keep(&l.between, s, b)
	default:
		l.loose(s, b)
	}
}

// beforeReady looks for the marker, and gives what comes after its line.
func (l *logs) beforeReady(s Stream, b []byte) (after []byte) {
	end := len(b)
	if s == Stdout && l.marker != nil {
		joined := append(l.start, b...)
		if i := bytes.Index(joined, l.marker); i >= 0 {
			l.drainOne(Stderr) // this too was printed while loading
			l.loading, l.skip, l.start = false, true, nil
			end = max(i+len(l.marker)-(len(joined)-len(b)), 0)
			defer l.seen()
		} else {
			l.start = append([]byte(nil), joined[max(len(joined)-len(l.marker)+1, 0):]...)
		}
	}
	p := &l.streams[s-1]
	p.recent = append(p.recent, b[:end]...)
	if extra := len(p.recent) - recentSize; extra > 0 {
		p.recent = append(p.recent[:0], p.recent[extra:]...)
	}
	l.loose(s, b[:end])
	return b[end:]
}

func (l *logs) keep(r *record, s Stream, b []byte) {
	t := &r[s-1]
	room := min(int64(len(b)), max(l.limit-int64(len(t.kept)), 0))
	t.kept = append(t.kept, b[:room]...)
	t.cut += int64(len(b)) - room
}

// ready ends the time of loading: what was printed so far is nobody's.
func (l *logs) ready() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loading {
		l.drain()
		l.loading = false
	}
}

// tail gives the end of what was printed while loading: standard output, then
// standard error, where most languages say what was wrong.
func (l *logs) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts [][]byte
	for i := range l.streams {
		b := l.streams[i].recent
		for len(b) > 0 && !utf8.RuneStart(b[0]) { // it may begin within a letter
			b = b[1:]
		}
		if b = bytes.TrimSpace(b); len(b) > 0 {
			parts = append(parts, b)
		}
	}
	return string(bytes.ToValidUTF8(bytes.Join(parts, []byte("\n")), []byte("\ufffd")))
}

// begin makes a call the one that prints, or one of several.
func (l *logs) begin(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serial {
		c.printed, l.between = l.between, record{}
	} else {
		l.drain() // what came before is not this call's
	}
	l.calls[c] = struct{}{}
	l.choose()
}

// end takes what was printed until now, and gives what is the call's. What comes
// next belongs to others.
func (l *logs) end(c *call) (stdout, stderr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drain()
	delete(l.calls, c)
	l.choose()
	return c.printed.text(Stdout), c.printed.text(Stderr)
}

// giveUp does the same for a call that was given up: what comes next may still
// be its, and belongs to none until it is settled.
func (l *logs) giveUp(c *call) (stdout, stderr string) {
	stdout, stderr = l.end(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stray++
	return stdout, stderr
}

// settle says that a call that was given up has ended.
func (l *logs) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drain()
	l.stray--
}

func (l *logs) choose() {
	l.alone = nil
	if len(l.calls) == 1 {
		for c := range l.calls {
			l.alone = c
		}
	}
}

// log keeps what a frame says that a call has printed.
func (l *logs) log(c *call, s Stream, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c == nil {
		l.loose(s, b)
		return
	}
	l.keep(&c.printed, s, b)
}

func (r *record) text(s Stream) string {
	t := &r[s-1]
	if t.cut == 0 {
		return string(t.kept)
	}
	for range utf8.UTFMax - 1 { // a letter that was cut through
		if r, n := utf8.DecodeLastRune(t.kept); r == utf8.RuneError && n == 1 {
			t.kept, t.cut = t.kept[:len(t.kept)-1], t.cut+1
		}
	}
	return fmt.Sprintf("%s\n[%d more bytes were not kept]\n", t.kept, t.cut)
}
