package worker

import (
	"context"
	"encoding/json"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
)

// The methods of an Engine on the wire. Load, unload and hello speak JSON: they
// are rare. Run has a form of its own, in runcodec.go.
const (
	methodHello uint8 = iota + 1
	methodLoad
	methodRun
	methodUnload
	methodStats
	methodPreview
)

// Hello is what a worker says of itself when the supervisor connects.
type Hello struct {
	Build string `json:"build"` // a worker of another build is drained and replaced
	PID   int    `json:"pid"`
	Label string `json:"label"` // whose models it holds
}

// Stats is what a worker says of the memory it uses.
type Stats struct {
	Resident int64 `json:"resident"` // bytes
	Models   int   `json:"models"`
}

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
	case methodHello:
		return jsonReply(s.hello)
	case methodLoad:
		var m Model
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the model to load cannot be read")
		}
		f, err := s.engine.Load(ctx, m)
		if err != nil {
			return nil, err
		}
		return jsonReply(f)
	case methodRun:
		id, items, err := decodeRun(body)
		if err != nil {
			return nil, err
		}
		results, err := s.engine.Run(ctx, id, items)
		if err != nil {
			return nil, err
		}
		return encodeResults(results), nil
	case methodUnload:
		return nil, s.engine.Unload(ctx, string(body))
	case methodStats:
		r, ok := s.engine.(StatsReporter)
		if !ok {
			return nil, stoa.Errorf(stoa.Unsupported, "this engine does not say what it uses")
		}
		st, err := r.Stats(ctx)
		if err != nil {
			return nil, err
		}
		return jsonReply(st)
	case methodPreview:
		return s.preview(ctx, body)
	}
	return nil, stoa.Errorf(stoa.Unsupported, "the worker does not know method %d", method)
}

func jsonReply(v any) ([][]byte, error) {
	b, err := json.Marshal(v)
	return [][]byte{b}, err
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
	err = r.call(ctx, methodHello, nil, &h)
	return h, err
}

// Load makes the worker load a model; see Engine.
func (r *Remote) Load(ctx context.Context, m Model) (f Footprint, err error) {
	b, err := json.Marshal(m)
	if err != nil {
		return f, stoa.Wrap(stoa.Internal, err, "the model cannot be sent")
	}
	err = r.call(ctx, methodLoad, b, &f)
	return f, err
}

// Run makes the worker answer the items; see Engine. Values in the results
// share one buffer.
func (r *Remote) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	body, err := r.c.Call(ctx, methodRun, encodeRun(id, items)...)
	if err != nil {
		return nil, err
	}
	return decodeResults(body.Bytes, len(items))
}

// Unload makes the worker drop a model; see Engine.
func (r *Remote) Unload(ctx context.Context, id string) error {
	_, err := r.c.Call(ctx, methodUnload, []byte(id))
	return err
}

// Stats asks the worker what it uses.
func (r *Remote) Stats(ctx context.Context) (s Stats, err error) {
	err = r.call(ctx, methodStats, nil, &s)
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
