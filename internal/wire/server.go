package wire

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/stoa-project/stoa"
)

// Handler answers one call. The parts of the reply are sent one after the
// other, and may be slices of the request's body, which is released afterwards.
// ctx ends when the caller gives the call up or is lost.
type Handler func(ctx context.Context, method uint8, body []byte) (parts [][]byte, err error)

// Serve answers the calls on one connection, one after the other, until the
// connection ends or ctx does; a call that runs when ctx ends may finish. It
// closes the connection.
func Serve(ctx context.Context, conn net.Conn, h Handler) error {
	s := &server{stream: newStream(conn), handle: h}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer func() { _ = conn.Close() }()
	for {
		h, body, err := s.read()
		if err == nil && h.kind != frameCall {
			err = stoa.Errorf(stoa.Internal, "wire: a reply on the answering end")
		}
		if err == nil {
			err = s.answer(ctx, h, body)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return ignoreEnd(err)
		}
	}
}

type server struct {
	*stream
	handle Handler
}

func (s *server) answer(ctx context.Context, h header, body Body) error {
	defer body.Release()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	unwatch := s.watch(ctx, cancel)
	parts, err := s.guarded(running, h, body.Bytes)
	unwatch()
	out := header{kind: frameReply}
	if err != nil {
		out.kind, parts = frameError, [][]byte{encodeError(err)}
	}
	if err = s.write(out, parts...); stoa.KindOf(err) == stoa.TooLarge && err != nil {
		out.kind = frameError
		err = s.write(out, encodeError(err))
	}
	return err
}

// watchAfter is how long a call runs before anybody looks whether its caller is
// still there: most calls are over by then, and cost nothing for it.
const watchAfter = 10 * time.Millisecond

// watch calls lost when the caller closes the connection during a call. The
// function that it gives ends the watching; the reader is free afterwards.
func (s *server) watch(ctx context.Context, lost func()) (unwatch func()) {
	ended := make(chan struct{})
	timer := time.AfterFunc(watchAfter, func() {
		defer close(ended)
		// Nothing may come during a call: this ends with the connection, or by the
		// deadline that unwatch, or the end of ctx, sets.
		if _, err := s.r.Peek(1); err == nil || !isTimeout(err) {
			lost()
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
		<-ended
		_ = s.conn.SetReadDeadline(time.Time{})
		if ctx.Err() != nil { // the deadline that this set is the one that was just lifted
			_ = s.conn.SetReadDeadline(time.Unix(1, 0))
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
