package invoke

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-project/stoa"
)

// Default and longest time of a call, as Algorithmia's clients know them.
const (
	DefaultTimeout = 300 * time.Second
	MaxTimeout     = 3000 * time.Second
)

// Target is the version that a call is for, ready to be run.
type Target struct {
	Ref     stoa.Ref      // with the exact version
	Timeout time.Duration // the version's own limit; 0 means none
	// Check refuses an input before it is run; nil takes any.
	Check func(in stoa.Value) error
	// Code: what runs may make calls of its own, so that it is given a Ticket.
	Code bool
	// Run brings a value to some replica of the version, starting one if need be.
	Run func(ctx context.Context, in stoa.Value, t Ticket) stoa.Result
}

// Resolver finds what a reference means to a caller.
type Resolver interface {
	Target(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*Target, error)
}

// Recorder is told of every call when it has ended. ref is the exact version,
// or what the caller asked for where that was not found.
type Recorder interface {
	Record(c *stoa.Call, ref stoa.Ref, res *stoa.Result, took time.Duration)
}

// Service is the Invoker.
type Service struct {
	resolver Resolver
	recorder Recorder
	family   family
}

// New makes an Invoker.
func New(resolver Resolver, recorder Recorder) *Service {
	return &Service{resolver: resolver, recorder: recorder}
}

// Invoke makes one call; see Invoker.
func (s *Service) Invoke(ctx context.Context, c stoa.Call) stoa.Result {
	start := time.Now()
	target, err := s.resolver.Target(ctx, c.Caller, c.Ref)
	if err != nil {
		res := stoa.Result{Err: err}
		s.recorder.Record(&c, c.Ref, &res, time.Since(start))
		return res
	}
	res := s.run(ctx, &c, target)
	s.recorder.Record(&c, target.Ref, &res, time.Since(start))
	return res
}

// Try makes a call of a target that nobody has published: nobody is told of it.
func (s *Service) Try(ctx context.Context, c stoa.Call, target *Target) stoa.Result {
	return s.run(ctx, &c, target)
}

// run makes a call of a target that was found.
func (s *Service) run(ctx context.Context, c *stoa.Call, target *Target) (res stoa.Result) {
	var parent *open
	if c.Caller.Parent != "" {
		if parent = s.family.find(c.Caller.Parent); parent == nil {
			return stoa.Result{Err: stoa.Errorf(stoa.Canceled, "the call for which this one is made has ended")}
		}
		if err := s.family.join(parent, target.Ref); err != nil {
			return stoa.Result{Err: err}
		}
		defer s.family.leave(parent)
		var done context.CancelFunc
		ctx, done = under(ctx, parent)
		defer done()
	}
	limit := left(ctx, Limit(c.Timeout, target.Timeout))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if target.Check != nil {
		res.Err = target.Check(c.Input)
	}
	if res.Err == nil {
		t := Ticket{Request: c.ID}
		if target.Code {
			o := s.family.begin(ctx, c, target.Ref, parent)
			defer s.family.end(o)
			t.Token = o.token
		}
		res = target.Run(ctx, c.Input, t)
	}
	if errors.Is(res.Err, context.Canceled) && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		res.Err = context.DeadlineExceeded // its parent's time was over first, at the same instant
	}
	if res.Err != nil {
		res.Err = explain(res.Err, target.Ref, limit)
	}
	return res
}

// Limit gives the time that a call may take: what was asked for, or the
// default, and no more than the version's own limit or the longest.
func Limit(asked, version time.Duration) time.Duration {
	if asked <= 0 {
		asked = DefaultTimeout
	}
	if version > 0 {
		asked = min(asked, version)
	}
	return min(asked, MaxTimeout)
}

// explain gives a passed deadline the words that Algorithmia's users know, and
// names the version in every error.
func explain(err error, ref stoa.Ref, limit time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) && stoa.AsError(err).Type == "" {
		e := stoa.Wrap(stoa.Timeout, err, "algorithm did not complete within %.1f seconds", limit.Seconds())
		e.Type, e.Ref = "TimeoutError", ref.String()
		return e
	}
	e := *stoa.AsError(err)
	e.Ref = ref.String()
	return &e
}
