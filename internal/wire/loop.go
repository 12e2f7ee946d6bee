package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Loop answers calls on a listener until ctx ends, or until nobody has been
// connected for the time of linger. Connections that are open when ctx ends are
// served to the end of the calls in flight.
func (s *Server) Loop(ctx context.Context, ln net.Listener, linger time.Duration) error {
	l := &loop{ln: ln, linger: linger}
	l.left()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		l.joined()
		wg.Go(func() {
			defer l.left()
			_ = s.Serve(ctx, conn) // a caller that breaks off is no error of ours
		})
	}
}

// loop closes the listener when nobody has been connected for a while.
type loop struct {
	ln     net.Listener
	linger time.Duration

	mu    sync.Mutex
	open  int
	timer *time.Timer
}

func (l *loop) joined() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

func (l *loop) left() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open > 0 {
		l.open--
	}
	if l.open == 0 {
		l.timer = time.AfterFunc(l.linger, func() { _ = l.ln.Close() })
	}
}
