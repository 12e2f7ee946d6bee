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

// Server answers calls on any number of connections.
type Server struct {
	// Sent is given the parts of a reply when they were sent, for a handler that
	// has more use for their memory; nil: nobody has.
	Sent func(parts [][]byte)

	handle  Handler
	watcher watcher
}

// NewServer makes a Server.
func NewServer(h Handler) *Server { return &Server{handle: h} }

// Serve answers the calls on one connection, one after the other, until the
// connection ends or ctx does; a call that runs when ctx ends may finish. It
// closes the connection.
func (s *Server) Serve(ctx context.Context, conn net.Conn) error {
	c := &serverConn{server: s}
	if u, ok := conn.(*net.UnixConn); ok {
		c.fds = newFDConn(u)
		conn = c.fds
	}
	c.stream = newStream(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(past) })
	defer stop()
	defer c.close()
	for {
		h, body, err := c.read()
		if err == nil {
			err = c.serve(ctx, h, body)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return ignoreEnd(err)
		}
	}
}

// past as a deadline ends what waits, now.
var past = time.Unix(1, 0)

type serverConn struct {
	*stream
	server *Server
	fds    *fdConn // nil where the connection carries no descriptors
	watch  watch
}

func (c *serverConn) serve(ctx context.Context, h header, body Body) error {
	switch {
	case h.kind == frameShare && c.fds != nil:
		return c.accept(body.Bytes, c.fds)
	case h.kind != frameCall:
		return stoa.Errorf(stoa.Internal, "wire: a reply on the answering end")
	case h.shared:
		var err error
		if body, err = c.sharedBody(body.Bytes); err != nil {
			return err
		}
	}
	return c.answer(ctx, h, body)
}

func (c *serverConn) answer(ctx context.Context, h header, body Body) error {
	if !h.shared { // shared memory belongs to the connection
		defer body.Release()
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c.server.watcher.begin(c, cancel)
	parts, err := c.guarded(running, h, body.Bytes)
	c.server.watcher.end(ctx, c)
	out := header{kind: frameReply}
	if err != nil {
		out.kind, parts = frameError, [][]byte{encodeError(err)}
	}
	err = c.write(out, parts...)
	if c.server.Sent != nil && out.kind == frameReply {
		c.server.Sent(parts)
	}
	if err != nil && stoa.KindOf(err) == stoa.TooLarge {
		out.kind = frameError
		err = c.write(out, encodeError(err))
	}
	return err
}

// guarded turns a panic of the handler into an error of that one call.
func (c *serverConn) guarded(ctx context.Context, h header, body []byte) (parts [][]byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = stoa.Wrap(stoa.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "the worker failed inside: %v", p)
		}
	}()
	return c.server.handle(ctx, h.method, body)
}
