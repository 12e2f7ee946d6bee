package wire

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// Handler answers one call. The parts of the reply are sent one after the
// other, and may be slices of the request's body, which is released afterwards.
// ctx ends when the caller cancels or the connection is lost.
type Handler func(ctx context.Context, method uint8, body []byte) (parts [][]byte, err error)

// Serve answers calls on conn, each in its own goroutine, until the connection
// ends or ctx does. When ctx ends it reads no further call, and the handlers
// that run may finish; when the connection is lost, they are cancelled. It
// closes the connection, and returns when all handlers have.
func Serve(ctx context.Context, conn net.Conn, h Handler) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &server{s: newStream(conn), handle: h, cancels: map[uint64]context.CancelFunc{}}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer func() { _ = conn.Close() }()
	err := s.readLoop(running)
	if ctx.Err() != nil {
		s.wg.Wait()
		return nil
	}
	cancel()
	s.wg.Wait()
	return ignoreEnd(err)
}

func (s *server) readLoop(ctx context.Context) error {
	for {
		h, body, err := s.s.read()
		if err != nil {
			return err
		}
		switch h.kind {
		case frameCall:
			s.start(ctx, h, body)
		case frameCancel:
			s.mu.Lock()
			if stop := s.cancels[h.id]; stop != nil {
				stop()
			}
			s.mu.Unlock()
		case frameReply, frameError:
			return stoa.Errorf(stoa.Internal, "wire: a reply on the answering end")
		}
	}
}

type server struct {
	s      *stream
	handle Handler
	wg     sync.WaitGroup

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc
}

func (s *server) start(ctx context.Context, h header, body Body) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.cancels[h.id] = cancel
	s.mu.Unlock()
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.cancels, h.id)
			s.mu.Unlock()
			cancel()
		}()
		s.answer(ctx, h, body)
	})
}

func (s *server) answer(ctx context.Context, h header, body Body) {
	defer body.Release()
	parts, err := s.guarded(ctx, h, body.Bytes)
	out := header{kind: frameReply, id: h.id}
	if err != nil {
		out.kind, parts = frameError, [][]byte{encodeError(err)}
	}
	if err := s.s.write(out, parts...); err != nil {
		if stoa.KindOf(err) == stoa.TooLarge {
			out.kind = frameError
			err = s.s.write(out, encodeError(err))
		}
		if err != nil {
			_ = s.s.conn.Close() // the read loop notices
		}
	}
}

// guarded turns a panic of the handler into an error of that one call.
func (s *server) guarded(ctx context.Context, h header, body []byte) (parts [][]byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = stoa.Wrap(stoa.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "the worker failed inside: %v", p)
		}
	}()
	return s.handle(ctx, h.method, body)
}
