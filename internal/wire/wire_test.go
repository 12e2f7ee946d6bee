package wire_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
)

// pair connects a client to a handler over a unix socket.
func pair(t *testing.T, h wire.Handler) (*wire.Client, context.CancelFunc) {
	t.Helper()
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	srv := wire.NewServer(h)
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if err := srv.Serve(ctx, conn); err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
		}
	})
	c, err := wire.NewClient(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", ln.Addr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); ln.Close(); cancel(); wg.Wait() })
	return c, cancel
}

func TestCallsAreAnsweredEachByItsOwn(t *testing.T) {
	c, _ := pair(t, func(_ context.Context, method uint8, body []byte) ([][]byte, error) {
		return [][]byte{{method}, body}, nil
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			size := []int{0, 1, 100, 5000, 70_000, 3 << 20}[i%6]
			in := bytes.Repeat([]byte{byte(i)}, size)
			out, err := c.Call(t.Context(), uint8(i), in[:size/2], in[size/2:])
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			if out.Bytes[0] != byte(i) || !bytes.Equal(out.Bytes[1:], in) {
				t.Errorf("call %d got another's answer", i)
			}
			out.Release()
		})
	}
	wg.Wait()
}

func TestErrorsKeepTheirKind(t *testing.T) {
	c, _ := pair(t, func(_ context.Context, method uint8, _ []byte) ([][]byte, error) {
		if method == 2 {
			panic("boom")
		}
		return nil, &stoa.Error{Kind: stoa.Busy, Msg: "come back", RetryAfter: time.Second, Err: errors.New("secret")}
	})
	_, err := c.Call(t.Context(), 1)
	e := stoa.AsError(err)
	if e.Kind != stoa.Busy || e.Msg != "come back" || e.RetryAfter != time.Second || e.Err != nil {
		t.Errorf("got %+v", e)
	}
	_, err = c.Call(t.Context(), 2)
	if stoa.KindOf(err) != stoa.Internal {
		t.Errorf("a panic gave %v", err)
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	started, stopped := make(chan struct{}), make(chan struct{})
	c, _ := pair(t, func(ctx context.Context, _ uint8, _ []byte) ([][]byte, error) {
		close(started)
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := c.Call(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-stopped
}

func TestALostPeerEndsAllCalls(t *testing.T) {
	var mu sync.Mutex
	var theirs []net.Conn
	c, err := wire.NewClient(t.Context(), func(context.Context) (net.Conn, error) {
		a, b := net.Pipe()
		mu.Lock()
		theirs = append(theirs, b)
		mu.Unlock()
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() {
			_, err := c.Call(t.Context(), 1, []byte("x"))
			errs <- err
		}()
	}
	for range cap(errs) { // each call is on its way
		for reached := false; !reached; runtime.Gosched() {
			mu.Lock()
			reached = len(theirs) == 1+cap(errs)
			mu.Unlock()
		}
	}
	mu.Lock()
	for _, b := range theirs {
		b.Close()
	}
	mu.Unlock()
	for range cap(errs) {
		if err := <-errs; !wire.IsLost(err) || stoa.KindOf(err) != stoa.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	<-c.Done()
	if _, err := c.Call(t.Context(), 1); !wire.IsLost(err) {
		t.Errorf("a call afterwards gave %v", err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var dials atomic.Int32
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	echo := wire.NewServer(func(_ context.Context, _ uint8, b []byte) ([][]byte, error) { return [][]byte{b}, nil })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = echo.Serve(t.Context(), conn)
			}()
		}
	}()
	c, err := wire.NewClient(t.Context(), func(ctx context.Context) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, "unix", ln.Addr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 20 {
		if _, err := c.Call(t.Context(), 1, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := dials.Load(); n != 2 { // the lifeline, and one for the calls
		t.Errorf("%d connections for calls one after the other", n)
	}
}

func TestDrainLetsHandlersFinish(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	c, drain := pair(t, func(ctx context.Context, _ uint8, _ []byte) ([][]byte, error) {
		close(started)
		<-finish
		return [][]byte{[]byte("done")}, ctx.Err()
	})
	go func() { <-started; drain(); close(finish) }()
	out, err := c.Call(t.Context(), 1)
	if err != nil || string(out.Bytes) != "done" {
		t.Errorf("got %q, %v", out.Bytes, err)
	}
}

// A stream of garbage ends the connection with an error, whatever it claims.
func FuzzServe(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 3, 0, 0, 'x'})
	f.Add([]byte{255, 255, 255, 63, 1, 1, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- wire.NewServer(func(_ context.Context, _ uint8, body []byte) ([][]byte, error) {
				r := wire.NewReader(body)
				_, _ = r.Bytes(), r.Count()
				return [][]byte{body}, r.Err()
			}).Serve(t.Context(), b)
		}()
		go func() { // whatever comes back is not read for its sense
			buf := make([]byte, 512)
			for {
				if _, err := a.Read(buf); err != nil {
					return
				}
			}
		}()
		_, _ = a.Write(in)
		a.Close()
		<-done
	})
}
