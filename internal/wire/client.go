package wire

import (
	"context"
	"net"
	"sync"

	"github.com/stoa-project/stoa"
)

// ErrLost is the Type of the error of calls whose connection was lost before
// their reply came: the peer may or may not have done the work.
const ErrLost = "ConnectionLost"

// Dialer opens a connection to the peer.
type Dialer func(ctx context.Context) (net.Conn, error)

// Client makes calls over as many connections as there are calls at a time, and
// keeps them for later ones. One more, the lifeline, carries nothing: its end
// says that the peer is gone.
type Client struct {
	dial     Dialer
	lifeline net.Conn
	done     chan struct{}

	mu   sync.Mutex
	idle []*stream // the last one used first: its memory is still warm
	gone bool
}

// NewClient opens the lifeline. The Client must be closed.
func NewClient(ctx context.Context, dial Dialer) (*Client, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, lost(err)
	}
	c := &Client{dial: dial, lifeline: conn, done: make(chan struct{})}
	go c.watch()
	return c, nil
}

// watch waits for the end of the lifeline, on which the peer sends nothing.
func (c *Client) watch() {
	defer close(c.done)
	var b [1]byte
	_, _ = c.lifeline.Read(b[:]) // whatever it gives, this is the end
	_ = c.lifeline.Close()
	c.mu.Lock()
	idle := c.idle
	c.idle, c.gone = nil, true
	c.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}

// Call sends a request made of parts, one after the other, and waits for the
// reply. When ctx ends first, the peer is told to stop, and the context's error
// is returned. The caller releases the Body.
func (c *Client) Call(ctx context.Context, method uint8, parts ...[]byte) (Body, error) {
	if err := ctx.Err(); err != nil {
		return Body{}, err
	}
	s, err := c.take(ctx)
	if err != nil {
		return Body{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(past) })
	h, body, err := s.roundTrip(method, parts)
	if !stop() || err != nil {
		// Given up, or broken: what is still to come would be taken for the next
		// call's. Closing is what cancels the call at the other end.
		s.close()
		switch {
		case err == nil: // the answer came at the last moment
		case ctx.Err() != nil:
			return Body{}, ctx.Err()
		case stoa.KindOf(err) == stoa.TooLarge:
			return Body{}, err
		default:
			return Body{}, lost(err)
		}
	} else {
		c.give(s)
	}
	if h.kind == frameError {
		return Body{}, decodeError(body.Bytes)
	}
	return body, nil
}

func (s *stream) roundTrip(method uint8, parts [][]byte) (header, Body, error) {
	if err := s.send(header{kind: frameCall, method: method}, parts); err != nil {
		return header{}, Body{}, err
	}
	h, body, err := s.read()
	if err == nil && h.kind == frameCall {
		err = stoa.Errorf(stoa.Internal, "wire: a call on the calling end")
	}
	return h, body, err
}

// send writes a call, a large one into shared memory where the connection can.
func (s *stream) send(h header, parts [][]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	conn, ok := s.conn.(*net.UnixConn)
	if !ok || n < shareFrom || n > MaxBody {
		return s.write(h, parts...)
	}
	if err := s.share(conn, n); err != nil {
		return err
	}
	return s.writeShared(h, parts)
}

func (c *Client) take(ctx context.Context) (*stream, error) {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return nil, lost(net.ErrClosed)
	}
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return s, nil
	}
	c.mu.Unlock()
	conn, err := c.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, lost(err)
	}
	return newStream(conn), nil
}

func (c *Client) give(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || len(s.shared.mem) > shareKeep {
		s.close()
		return
	}
	c.idle = append(c.idle, s)
}

// Done is closed when the peer is gone, or the Client closed.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close lets go of the peer. Calls in flight end as they would, on their own
// connections.
func (c *Client) Close() error {
	err := c.lifeline.Close()
	<-c.done
	return err
}

func lost(err error) error {
	e := stoa.Wrap(stoa.Unavailable, err, "the worker went away during the call")
	e.Type = ErrLost
	return e
}

// IsLost tells whether a call failed because its connection was lost.
func IsLost(err error) bool {
	e := stoa.AsError(err)
	return e != nil && e.Type == ErrLost
}
