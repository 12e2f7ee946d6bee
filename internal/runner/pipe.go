package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/stoa-project/stoa"
)

// readyMarker is in the line by which a program of the pipe protocol says that
// it has loaded.
const readyMarker = "PIPE_INIT_COMPLETE"

// fifoName is fixed by the protocol; only the folder may differ, in tests.
const fifoName = "algoout"

// pipeTalk speaks the pipe protocol: lines to standard input, objects from the
// FIFO.
type pipeTalk struct {
	r       *Runner
	path    string
	in      *os.File // the program's standard input
	fifo    *os.File
	raw     syscall.RawConn
	marked  chan struct{} // the ready line was seen
	writing turn          // a program may answer before it has read all
	line    []byte        // of the last request, to be used again; of who writes

	mu  sync.Mutex // guards the FIFO's bytes: they are taken in order
	cut scanner
	buf []byte
}

func newPipe(r *Runner) (talker, *os.File, error) {
	p := &pipeTalk{
		r: r, path: filepath.Join(r.cfg.Folder, fifoName), marked: make(chan struct{}, 1), writing: newTurn(), buf: make([]byte, readSize),
		// JSON is longer than what it says: base64 by a third, escapes by more.
		cut: scanner{limit: 2*r.program.Output + 1<<20},
	}
	r.logs.marker = []byte(readyMarker)
	r.logs.seen = func() { p.marked <- struct{}{} }
	if err := p.open(); err != nil {
		return nil, nil, stoa.Wrap(stoa.Internal, err, "the FIFO for answers cannot be made: %s", p.path)
	}
	in, w, err := pipe()
	if err == nil {
		p.in, err = ours(w)
	}
	if err != nil {
		p.close()
		return nil, nil, stoa.Wrap(stoa.Internal, err, "the program's standard input cannot be made")
	}
	return p, theirs(in), nil
}

// open makes the FIFO and holds it open for both directions from the start: a
// program may open it and write before it is ready, and must not wait for us.
func (p *pipeTalk) open() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := syscall.Mkfifo(p.path, 0o600); err != nil {
		return os.NewSyscallError("mkfifo", err)
	}
	f, err := os.OpenFile(p.path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	p.fifo = f
	p.raw, err = f.SyscallConn()
	return err
}

func (p *pipeTalk) env() []string { return []string{"STOA_FIFO=" + p.path} }

func (p *pipeTalk) listen() {
	go func() {
		select {
		case <-p.marked:
			// An error that is there already was written before the line.
			_ = p.raw.Control(func(fd uintptr) { p.take(int(fd)) })
			p.r.load(nil)
		case <-p.r.done:
		}
	}()
	_ = p.raw.Read(func(fd uintptr) bool {
		for p.take(int(fd)) { // others come between
		}
		return false // until it is closed
	})
}

// take takes answers until there are none at the moment, or maxTake.
func (p *pipeTalk) take(fd int) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for taken := 0; taken < maxTake; {
		n, err := syscall.Read(fd, p.buf)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return false
		}
		taken += n
		for b := p.buf[:n]; len(b) > 0; {
			rest, object, size, err := p.cut.next(b)
			if err != nil {
				p.r.fail(malformed("%.40q to the FIFO, where a JSON object is expected", b))
				break
			}
			if object != nil {
				p.message(object, size)
			}
			b = rest
		}
	}
	return true
}

// message takes one answer.
func (p *pipeTalk) message(object []byte, size int64) {
	var v stoa.Value
	var err *stoa.Error
	if size > int64(len(object)) {
		err = tooLarge(size, p.r.program.Output)
	} else {
		v, err = parseAnswer(object, p.r.program.Output)
	}
	switch c := p.r.find(p.r.number()); {
	case c != nil && err != nil:
		p.r.answered(c, stoa.Value{}, err)
	case c != nil:
		p.r.answered(c, v, nil)
	case err == nil:
		err = malformed("an answer when it was asked nothing")
		fallthrough
	default: // loading failed, perhaps after the ready line
		if err.Type == AlgorithmError {
			err.Type = LoadingError
		}
		p.r.load(err)
		p.r.fail(err)
	}
}

// number gives the number of the last call.
func (r *Runner) number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (p *pipeTalk) send(ctx context.Context, c *call) error {
	if err := p.writing.take(ctx); err != nil {
		return err
	}
	defer p.writing.give()
	line, err := appendRequest(p.line[:0], c.Input)
	if err != nil {
		return err
	}
	if cap(line) <= keepBuffer {
		p.line = line
	}
	if len(line) > writeAtOnce {
		defer p.r.watchWrite(ctx)()
	}
	if _, err := p.in.Write(line); err != nil {
		go p.r.lost("standard input")
	}
	return nil
}

// writeAtOnce is what can be written without waiting for the program to read: a
// pipe holds 64 KiB, a socket more, and one of a page at least.
const writeAtOnce = 4096

func (p *pipeTalk) stop(c *call) {
	if c == nil { // a call that was given up cannot be told so
		_ = p.in.Close()
	}
}

func (p *pipeTalk) close() {
	if p.fifo != nil {
		if p.raw != nil {
			_ = p.raw.Control(func(fd uintptr) {
				for range p.r.program.Output/maxTake + 1 {
					if !p.take(int(fd)) {
						break
					}
				}
			})
		}
		_ = p.fifo.Close()
	}
	if p.in != nil {
		_ = p.in.Close()
	}
	_ = os.Remove(p.path)
}
