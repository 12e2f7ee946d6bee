package worker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

// Hello is what a worker says of itself when the supervisor connects.
type Hello = engine.Hello

// Stats is what a worker says of the memory it uses.
type Stats = engine.Stats

// StatsReporter is an Engine that can say what it uses.
type StatsReporter interface {
	Stats(ctx context.Context) (Stats, error)
}

// newServer answers for an Engine.
func newServer(e Engine, hello Hello) *wire.Server {
	return wire.NewServer(server{engine: e, hello: hello}.handle)
}

type server struct {
	engine Engine
	hello  Hello
}

func (s server) handle(ctx context.Context, method uint8, body []byte) ([][]byte, error) {
	switch method {
	case engine.MethodHello:
		return engine.JSONReply(s.hello)
	case engine.MethodLoad:
		var m Model
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the model to load cannot be read")
		}
		f, err := s.engine.Load(ctx, m)
		if err != nil {
			return nil, err
		}
		return engine.JSONReply(f)
	case engine.MethodRun:
		run, err := engine.DecodeRun(body)
		if err != nil {
			return nil, err
		}
		results, err := s.engine.Run(WithCall(ctx, run.Call), run.ID, run.Items)
		if err != nil {
			return nil, err
		}
		return engine.EncodeResults(results), nil
	case engine.MethodUnload:
		return nil, s.engine.Unload(ctx, string(body))
	case engine.MethodStats:
		r, ok := s.engine.(StatsReporter)
		if !ok {
			return nil, stoa.Errorf(stoa.Unsupported, "this engine does not say what it uses")
		}
		st, err := r.Stats(ctx)
		if err != nil {
			return nil, err
		}
		return engine.JSONReply(st)
	case engine.MethodPreview:
		return s.preview(ctx, body)
	}
	return nil, stoa.Errorf(stoa.Unsupported, "the worker does not know method %d", method)
}

// Remote is an Engine in another process.
type Remote struct {
	c *wire.Client
}

// NewRemote connects to a worker. The Remote must be closed.
func NewRemote(ctx context.Context, dial wire.Dialer) (*Remote, error) {
	c, err := wire.NewClient(ctx, dial)
	if err != nil {
		return nil, err
	}
	return &Remote{c}, nil
}

// Hello asks the worker who it is.
func (r *Remote) Hello(ctx context.Context) (h Hello, err error) {
	err = r.call(ctx, engine.MethodHello, nil, &h)
	return h, err
}

// Load makes the worker load a model; see Engine.
func (r *Remote) Load(ctx context.Context, m Model) (f Footprint, err error) {
	b, err := json.Marshal(m)
	if err != nil {
		return f, stoa.Wrap(stoa.Internal, err, "the model cannot be sent")
	}
	err = r.call(ctx, engine.MethodLoad, b, &f)
	return f, err
}

// Run makes the worker answer the items; see Engine. Values in the results
// share one buffer.
func (r *Remote) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	run := engine.Run{ID: id, Call: CallOf(ctx), Items: items}
	if deadline, ok := ctx.Deadline(); ok && run.Call.Token != "" { // only code is told
		run.Call.Left = time.Until(deadline)
	}
	body, err := r.c.Call(ctx, engine.MethodRun, engine.EncodeRun(run)...)
	if err != nil {
		return nil, err
	}
	return engine.DecodeResults(body.Bytes, len(items))
}

// Unload makes the worker drop a model; see Engine.
func (r *Remote) Unload(ctx context.Context, id string) error {
	_, err := r.c.Call(ctx, engine.MethodUnload, []byte(id))
	return err
}

// Stats asks the worker what it uses.
func (r *Remote) Stats(ctx context.Context) (s Stats, err error) {
	err = r.call(ctx, engine.MethodStats, nil, &s)
	return s, err
}

// Done is closed when the worker is gone.
func (r *Remote) Done() <-chan struct{} { return r.c.Done() }

// Close leaves the worker; calls in flight may end as they would.
func (r *Remote) Close() error { return r.c.Close() }

func (r *Remote) call(ctx context.Context, method uint8, in []byte, out any) error {
	body, err := r.c.Call(ctx, method, in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body.Bytes, out); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the worker's answer cannot be read")
	}
	return nil
}
