package runner

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// framesTalk speaks the frames protocol over a unix socket.
type framesTalk struct {
	r        *Runner
	path     string
	ln       *net.UnixListener
	finished chan struct{} // listen has returned

	mu      sync.Mutex
	conn    *net.UnixConn // nil until the program has connected
	closing bool

	writing turn
	out     []byte // belongs to who writes
}

// socketName is in the Config's folder.
const socketName = "stoa.sock"

func newFrames(r *Runner) (talker, error) {
	f := &framesTalk{
		r: r, path: filepath.Join(r.cfg.Folder, socketName), finished: make(chan struct{}), writing: newTurn(),
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, stoa.Wrap(stoa.Internal, err, "the socket for calls cannot be made: %s", f.path)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path, Net: "unix"})
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the socket for calls cannot be made: %s", f.path)
	}
	f.ln = ln
	return f, nil
}

func (f *framesTalk) env() []string { return []string{"STOA_SOCKET=" + f.path} }

func (f *framesTalk) listen() {
	defer close(f.finished)
	conn, err := f.ln.AcceptUnix()
	_ = f.ln.Close() // it connects once; this removes the socket's name too
	if err != nil {
		return
	}
	f.mu.Lock()
	f.conn = conn
	if f.closing {
		_ = conn.SetReadDeadline(time.Now().Add(lateness))
	}
	f.mu.Unlock()
	err = f.hear(bufio.NewReaderSize(conn, 8<<10))
	if e, ok := errors.AsType[*stoa.Error](err); ok {
		f.r.fail(e)
		return
	}
	f.r.lost("connection to STOA_SOCKET")
}

// hear reads frames until the connection ends, or one is not as it should be.
func (f *framesTalk) hear(br *bufio.Reader) error {
	for first := true; ; first = false {
		p, err := br.Peek(headerSize)
		if err != nil {
			return err
		}
		h, err := parseHeader(p)
		if err != nil {
			return err
		}
		_, _ = br.Discard(headerSize) // cannot fail: it was peeked
		var raw []byte
		if h.head > 0 {
			if raw, err = readBody(br, int(h.head)); err != nil {
				return err
			}
		}
		top, err := parseHead(raw)
		if err != nil {
			return err
		}
		size := int(h.size) - int(h.head)
		switch {
		case first && h.number == 0 && (h.kind == kindReady || h.kind == kindError) && size == 0:
			err = f.greeted(h, &top)
		case first:
			err = malformed("a frame of type %d where its first is to be ready, without data", h.kind)
		default:
			err = f.frame(br, h, &top, size)
		}
		if err != nil {
			return err
		}
	}
}

// greeted takes the first frame.
func (f *framesTalk) greeted(h header, top *head) error {
	switch {
	case h.kind == kindError:
		return top.failure(LoadingError)
	case top.Protocol != 1:
		return malformed("ready for protocol %d; this is protocol 1", top.Protocol)
	}
	f.r.logs.ready()
	f.r.load(nil)
	return nil
}

// frame takes one of the later frames, whose data is still to be read.
func (f *framesTalk) frame(br *bufio.Reader, h header, top *head, size int) error {
	c := f.r.find(h.number)
	switch h.kind {
	case kindLog:
		return f.printed(br, c, Stream(h.content), size)
	case kindError:
		if c == nil || size > 0 {
			return malformed("an error frame of no call under way (%d), or with data", h.number)
		}
		f.r.answered(c, stoa.Value{}, top.failure(AlgorithmError))
		return nil
	case kindResult, kindChunk:
	default:
		return malformed("a second frame of type %d", h.kind)
	}
	if c == nil {
		return malformed("an answer of no call under way (%d)", h.number)
	}
	if contents[h.content] == stoa.Void && size > 0 {
		return malformed("%d bytes of void", size)
	}
	return f.answer(br, h, top, c, size)
}

// answer takes a result, or a part of one.
func (f *framesTalk) answer(br *bufio.Reader, h header, top *head, c *call, size int) error {
	c.size += int64(size)
	if c.size > f.r.program.Output {
		c.parts = nil
		if _, err := io.CopyN(io.Discard, br, int64(size)); err != nil {
			return err
		}
		if h.kind == kindResult {
			f.r.answered(c, stoa.Value{}, tooLarge(c.size, f.r.program.Output))
		}
		return nil
	}
	data, err := readBody(br, size)
	if err != nil {
		return err
	}
	switch {
	case h.kind == kindChunk && c.OnChunk != nil:
		if f.r.wanted(c) {
			c.OnChunk(data)
		}
		return nil
	case c.parts != nil || h.kind == kindChunk:
		c.parts = append(c.parts, data...)
		data = c.parts
	}
	if h.kind == kindResult {
		f.r.answered(c, stoa.Value{Type: contents[h.content], Data: data, MediaType: top.MediaType}, nil)
	}
	return nil
}

// printed takes a log frame; of a call that is none, or none any more, it is
// nobody's.
func (f *framesTalk) printed(br *bufio.Reader, c *call, s Stream, size int) error {
	buf := make([]byte, min(size, readSize))
	for size > 0 {
		n, err := br.Read(buf[:min(len(buf), size)])
		if err != nil {
			return err
		}
		size -= n
		f.r.logs.log(c, s, buf[:n])
	}
	return nil
}

func (f *framesTalk) send(ctx context.Context, c *call) error {
	if err := f.writing.take(ctx); err != nil {
		return err
	}
	defer f.writing.give()
	b := append(f.out[:0], make([]byte, headerSize)...)
	b = appendCallHead(b, &c.Call)
	if top := len(b) - headerSize; top > 1<<16-1 {
		return stoa.Errorf(stoa.TooLarge, "the head of a call has %d bytes", top)
	}
	h := header{
		size: uint32(len(b) - headerSize + len(c.Input.Data)), kind: kindCall,
		content: contentCode(c.Input.Type), head: uint16(len(b) - headerSize), number: c.number,
	}
	h.append(b[:0])
	f.out = b
	if len(c.Input.Data) <= joinUpTo {
		b = append(b, c.Input.Data...)
		f.out = b
		if len(b) > writeAtOnce {
			defer f.r.watchWrite(ctx)()
		}
		_, _ = f.conn.Write(b) // a program that is gone says so elsewhere
		return nil
	}
	defer f.r.watchWrite(ctx)()
	bufs := net.Buffers{b, c.Input.Data}
	_, _ = bufs.WriteTo(f.conn)
	return nil
}

// joinUpTo is where copying data to its head costs less than writing two pieces.
const joinUpTo = 16 << 10

func (f *framesTalk) stop(c *call) {
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	if conn == nil {
		return
	}
	h := header{kind: kindStop}
	if c != nil {
		h = header{kind: kindCancel, number: c.number}
	}
	_ = f.writing.take(context.Background()) // whoever writes ends, at the latest with the program
	defer f.writing.give()
	_, _ = conn.Write(h.append(nil))
	if c == nil {
		_ = conn.CloseWrite() // for programs that know the end of a connection only
	}
}

func (f *framesTalk) close() {
	// What it sent before it ended is there already; only a process that it has
	// left behind could hold the connection open.
	_ = f.ln.SetDeadline(time.Now().Add(lateness))
	f.mu.Lock()
	f.closing = true
	if f.conn != nil {
		_ = f.conn.SetReadDeadline(time.Now().Add(lateness))
	}
	f.mu.Unlock()
	if f.r.process != nil {
		<-f.finished
	}
	_ = f.ln.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		_ = f.conn.Close()
	}
}

// lateness is how long what was sent before the end may take to be read.
const lateness = 100 * time.Millisecond
