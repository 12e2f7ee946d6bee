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

// Client is the calling end of a connection.
type Client struct {
	s    *stream
	done chan struct{}

	mu      sync.Mutex
	next    uint64
	pending map[uint64]chan reply // nil once the connection is lost
	cause   error
}

type reply struct {
	body Body
	err  error
}

// NewClient takes over the connection and reads from it until it ends.
func NewClient(conn net.Conn) *Client {
	c := &Client{s: newStream(conn), done: make(chan struct{}), pending: map[uint64]chan reply{}}
	go c.readLoop()
	return c
}

// Call sends a request made of parts, one after the other, and waits for the
// reply. When ctx ends first, the peer is told to stop, and the context's error
// is returned at once. The caller releases the Body.
func (c *Client) Call(ctx context.Context, method uint8, parts ...[]byte) (Body, error) {
	if err := ctx.Err(); err != nil {
		return Body{}, err
	}
	id, ch, err := c.register()
	if err != nil {
		return Body{}, err
	}
	if err := c.s.write(header{kind: frameCall, method: method, id: id}, parts...); err != nil {
		c.forget(id)
		if stoa.KindOf(err) == stoa.TooLarge {
			return Body{}, err
		}
		// Part of a frame may have gone out: the stream cannot be used any more.
		_ = c.s.conn.Close()
		return Body{}, lost(err)
	}
	select {
	case r := <-ch:
		return r.body, r.err
	case <-ctx.Done():
		if c.forget(id) {
			go func() { _ = c.s.write(header{kind: frameCancel, id: id}) }() // a lost connection is noticed by readLoop
		}
		return Body{}, ctx.Err()
	}
}

// Done is closed when the connection is lost or closed and no call is pending.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection; calls in flight end with ErrLost.
func (c *Client) Close() error {
	err := c.s.conn.Close()
	<-c.done
	return err
}

func (c *Client) register() (uint64, chan reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return 0, nil, c.cause
	}
	c.next++
	ch := make(chan reply, 1)
	c.pending[c.next] = ch
	return c.next, ch, nil
}

// forget tells whether the call was still waiting for its reply.
func (c *Client) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.pending[id]
	delete(c.pending, id)
	return ok
}

func (c *Client) readLoop() {
	defer close(c.done)
	for {
		h, body, err := c.s.read()
		if err != nil {
			_ = c.s.conn.Close()
			c.fail(lost(err))
			return
		}
		c.mu.Lock()
		ch, ok := c.pending[h.id]
		delete(c.pending, h.id)
		c.mu.Unlock()
		switch {
		case !ok: // cancelled meanwhile
			body.Release()
		case h.kind == frameError:
			ch <- reply{err: decodeError(body.Bytes)}
		default:
			ch <- reply{body: body}
		}
	}
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	pending := c.pending
	c.pending, c.cause = nil, err
	c.mu.Unlock()
	for _, ch := range pending {
		ch <- reply{err: err}
	}
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
