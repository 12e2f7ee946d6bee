package api

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// A large body comes in some twenty pieces, and the reader would be woken for
// each. Telling the kernel how much is still to come (SO_RCVLOWAT) makes that
// two or three: measured with bodies of 0.9 MB at 16 connections, see
// docs/bench.md. It is only ever asked for less than what the client has
// promised and nobody has read, or it would wait for ever; a client that goes
// away wakes the reader all the same.
const (
	wakeAfter = 512 << 10
	// wakeMargin is more than what net/http may hold of the body already, in its
	// buffer of 4 KiB.
	wakeMargin = 16 << 10
)

type connKey struct{}

// ConnContext is for http.Server: it keeps the connection of a request where
// ReadBody finds it.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*net.TCPConn); ok {
		return context.WithValue(ctx, connKey{}, t)
	}
	return ctx
}

// wakes sets how many bytes must be there before the reader is woken.
type wakes struct {
	raw syscall.RawConn // nil where it cannot be set
	now int
}

func newWakes(r *http.Request) *wakes {
	w := &wakes{now: 1}
	if conn, ok := r.Context().Value(connKey{}).(*net.TCPConn); ok {
		if raw, err := conn.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	return w
}

// expect says that so many bytes of the body are still to be read.
func (w *wakes) expect(remaining int) { w.set(max(min(remaining, wakeAfter)-wakeMargin, 1)) }

// reset makes every byte wake the reader again.
func (w *wakes) reset() { w.set(1) }

func (w *wakes) set(n int) {
	if w.raw == nil || n == w.now {
		return
	}
	w.now = n
	_ = w.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) // a hint: without it all works as well
	})
}
