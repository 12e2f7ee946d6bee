// Package workertest is the conformance kit of Engines: what every one of them
// promises, in this process and over every transport. Its Double is an Engine
// for tests of what stands above.
package workertest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/worker"
)

// Subject is an Engine under test, with what it can load and run.
type Subject struct {
	Engine worker.Engine
	Good   worker.Model // loads
	Broken worker.Model // does not load
	Input  stoa.Value   // Good answers it
	Want   []byte       // and this is the answer's Data
	Bad    stoa.Value   // Good refuses it
	Slow   stoa.Value   // Good works on it until it is cancelled; Type "" where there is none
	// Preview is a job with a picture; its Input is nil where the Engine is no
	// worker.Previewer.
	Preview worker.PreviewJob
}

// Transport brings an Engine to the caller in some way.
type Transport struct {
	Name string
	Wrap func(t *testing.T, e worker.Engine) worker.Engine
}

// Transports are all the ways: by itself, over a unix socket, over TCP.
func Transports() []Transport {
	return []Transport{
		{"direct", func(_ *testing.T, e worker.Engine) worker.Engine { return e }},
		{"unix", func(t *testing.T, e worker.Engine) worker.Engine { return remote(t, e, "unix", t.TempDir()+"/s") }},
		{"tcp", func(t *testing.T, e worker.Engine) worker.Engine { return remote(t, e, "tcp", "127.0.0.1:0") }},
	}
}

func remote(t *testing.T, e worker.Engine, network, address string) worker.Engine {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := worker.Loop(ctx, ln, e, worker.Hello{Build: "kit"}, 1<<62); err != nil {
			t.Errorf("Loop: %v", err)
		}
	})
	r, err := worker.NewRemote(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); cancel(); wg.Wait() })
	return r
}

// Exercise holds an Engine to its contract, over every transport. subject makes
// a fresh one.
func Exercise(t *testing.T, subject func(t *testing.T) Subject) {
	rules := []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"run before load is not found", runBeforeLoad},
		{"load and run", loadAndRun},
		{"load twice is no error", loadTwice},
		{"a failed load leaves nothing", failedLoad},
		{"a cancelled load leaves nothing", cancelledLoad},
		{"a bad item fails alone", badItem},
		{"results answer items in order", order},
		{"runs at once", atOnce},
		{"unload", unload},
		{"unload while runs are in flight", unloadBusy},
		{"cancel stops a run", cancelRun},
		{"a preview needs no model", preview},
	}
	for _, tr := range Transports() {
		t.Run(tr.Name, func(t *testing.T) {
			for _, r := range rules {
				t.Run(r.name, func(t *testing.T) {
					s := subject(t)
					s.Engine = tr.Wrap(t, s.Engine)
					r.test(t, s)
				})
			}
		})
	}
}

func mustLoad(t *testing.T, s Subject) {
	t.Helper()
	if _, err := s.Engine.Load(t.Context(), s.Good); err != nil {
		t.Fatalf("Load: %v", err)
	}
}

func mustAnswer(t *testing.T, s Subject) {
	t.Helper()
	res, err := s.Engine.Run(t.Context(), s.Good.ID, []stoa.Value{s.Input})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if res[0].Err != nil || !bytes.Equal(res[0].Value.Data, s.Want) {
		t.Fatalf("Run gave %.200q, %v; want %.200q", res[0].Value.Data, res[0].Err, s.Want)
	}
	if res[0].Usage.Compute <= 0 {
		t.Errorf("Run took no time, it says: %+v", res[0].Usage)
	}
}

func mustBeAbsent(t *testing.T, s Subject, id string) {
	t.Helper()
	if _, err := s.Engine.Run(t.Context(), id, []stoa.Value{s.Input}); stoa.KindOf(err) != stoa.NotFound {
		t.Fatalf("Run of a model that is not loaded gave %v, want NotFound", err)
	}
}

func runBeforeLoad(t *testing.T, s Subject) { mustBeAbsent(t, s, s.Good.ID) }

func loadAndRun(t *testing.T, s Subject) {
	mustLoad(t, s)
	mustAnswer(t, s)
	mustAnswer(t, s)
}

func loadTwice(t *testing.T, s Subject) {
	mustLoad(t, s)
	mustLoad(t, s)
	mustAnswer(t, s)
}

func failedLoad(t *testing.T, s Subject) {
	mustLoad(t, s)
	for range 2 {
		if _, err := s.Engine.Load(t.Context(), s.Broken); err == nil {
			t.Fatal("Load of a broken model gave no error")
		}
		mustBeAbsent(t, s, s.Broken.ID)
	}
	mustAnswer(t, s)
}

func cancelledLoad(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Engine.Load(ctx, s.Good); !errors.Is(err, context.Canceled) && stoa.KindOf(err) != stoa.Canceled {
		t.Fatalf("Load under a cancelled context gave %v", err)
	}
	mustBeAbsent(t, s, s.Good.ID)
	mustLoad(t, s)
	mustAnswer(t, s)
}

func badItem(t *testing.T, s Subject) {
	mustLoad(t, s)
	res, err := s.Engine.Run(t.Context(), s.Good.ID, []stoa.Value{s.Input, s.Bad, s.Input})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if res[0].Err != nil || res[2].Err != nil {
		t.Errorf("the good items failed too: %v, %v", res[0].Err, res[2].Err)
	}
	if res[1].Err == nil {
		t.Errorf("the bad item was answered: %.100q", res[1].Value.Data)
	}
	mustAnswer(t, s)
}

func order(t *testing.T, s Subject) {
	mustLoad(t, s)
	items := []stoa.Value{s.Input, s.Input, s.Input, s.Input, s.Input}
	res, err := s.Engine.Run(t.Context(), s.Good.ID, items)
	if err != nil || len(res) != len(items) {
		t.Fatalf("Run gave %d results, %v", len(res), err)
	}
	for i, r := range res {
		if r.Err != nil || !bytes.Equal(r.Value.Data, s.Want) {
			t.Errorf("item %d: %.100q, %v", i, r.Value.Data, r.Err)
		}
	}
	if res, err := s.Engine.Run(t.Context(), s.Good.ID, nil); err != nil || len(res) != 0 {
		t.Errorf("Run of nothing gave %d results, %v", len(res), err)
	}
}

func atOnce(t *testing.T, s Subject) {
	mustLoad(t, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				res, err := s.Engine.Run(t.Context(), s.Good.ID, []stoa.Value{s.Input})
				if err != nil || res[0].Err != nil || !bytes.Equal(res[0].Value.Data, s.Want) {
					t.Errorf("Run: %v", errors.Join(err, res[0].Err))
					return
				}
			}
		})
	}
	wg.Wait()
}

func unload(t *testing.T, s Subject) {
	if err := s.Engine.Unload(t.Context(), s.Good.ID); err != nil {
		t.Fatalf("Unload of what is not loaded: %v", err)
	}
	mustLoad(t, s)
	for range 2 {
		if err := s.Engine.Unload(t.Context(), s.Good.ID); err != nil {
			t.Fatalf("Unload: %v", err)
		}
		mustBeAbsent(t, s, s.Good.ID)
	}
	mustLoad(t, s)
	mustAnswer(t, s)
}

// unloadBusy allows each run one of two ends: the answer, or NotFound.
func unloadBusy(t *testing.T, s Subject) {
	mustLoad(t, s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				res, err := s.Engine.Run(t.Context(), s.Good.ID, []stoa.Value{s.Input})
				if err != nil && stoa.KindOf(err) != stoa.NotFound {
					t.Errorf("Run: %v", err)
				}
				if err == nil && (res[0].Err != nil || !bytes.Equal(res[0].Value.Data, s.Want)) {
					t.Errorf("Run gave a wrong answer: %v", res[0].Err)
				}
			}
		})
	}
	if err := s.Engine.Unload(t.Context(), s.Good.ID); err != nil {
		t.Errorf("Unload: %v", err)
	}
	wg.Wait()
	mustBeAbsent(t, s, s.Good.ID)
}

func cancelRun(t *testing.T, s Subject) {
	if s.Slow.Type == "" {
		t.Skip("this engine has no slow input")
	}
	mustLoad(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Engine.Run(ctx, s.Good.ID, []stoa.Value{s.Slow})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) && stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("a cancelled run gave %v", err)
	}
	mustAnswer(t, s)
	if err := s.Engine.Unload(t.Context(), s.Good.ID); err != nil { // waits for it to have stopped
		t.Errorf("Unload: %v", err)
	}
}

func preview(t *testing.T, s Subject) {
	p, ok := s.Engine.(worker.Previewer)
	if !ok {
		t.Skip("this engine shows no previews")
	}
	got, err := p.Preview(t.Context(), s.Preview)
	if s.Preview.Input == nil {
		if stoa.KindOf(err) != stoa.Unsupported {
			t.Errorf("a preview of an engine that has none: %v", err)
		}
		return
	}
	if err != nil || len(got.PNG) == 0 || len(got.Channels) == 0 {
		t.Errorf("Preview gave %d bytes, %+v, %v", len(got.PNG), got.Channels, err)
	}
	bad := s.Preview
	bad.Value = stoa.Value{Type: stoa.Binary, Data: []byte("no picture")}
	if _, err := p.Preview(t.Context(), bad); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("Preview of what is no picture gave %v", err)
	}
	bad = s.Preview
	bad.Input = []byte(`{"picture":{"widht":3}}`)
	if _, err := p.Preview(t.Context(), bad); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("Preview by a field that is not known gave %v", err)
	}
	if _, err := p.Preview(t.Context(), s.Preview); err != nil {
		t.Errorf("Preview after a bad one: %v", err)
	}
}
