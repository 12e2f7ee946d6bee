package invoke

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// Bounds of what one call may cause. Algorithmia let a call have 24 children at
// once; the others are far above what people compose, and far below what would
// hurt.
const (
	MaxDepth    = 10   // calls below each other, the first one included
	MaxAtOnce   = 24   // children of one call under way
	MaxChildren = 1000 // children of one call in all
)

// Ticket is what code is given to make calls on behalf of the call that it
// works on.
type Ticket struct {
	Token   string // looks like a key: clients insist on that
	Request string // id of the request
}

// open is a call under way that may have children.
type open struct {
	token string
	call  stoa.Call
	key   string // owner/name of what runs
	above *open  // nil for a call that came from outside
	depth int
	ctx   context.Context //nolint:containedctx // children end with it

	// Guarded by family.mu.
	children int // so far
	atOnce   int
}

// family holds the calls under way that may have children, by their tokens.
type family struct {
	mu   sync.Mutex
	open map[string]*open
}

// tokenLength is that of an API key: "sim" and 25 characters.
const tokenLength = 28

// newToken makes a token; 25 characters of 5 bits are 125 bits of chance.
func newToken() string { return ("sim" + rand.Text() + "0")[:tokenLength] }

// begin notes a call under way, which ends by end. above is its parent, nil where
// it came from outside.
func (f *family) begin(ctx context.Context, c *stoa.Call, ref stoa.Ref, above *open) *open {
	o := &open{token: newToken(), call: *c, key: plainKey(ref), above: above, depth: 1, ctx: ctx}
	o.call.Input = stoa.Value{} // its bytes are not needed, and would be kept
	if above != nil {
		o.depth = above.depth + 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[string]*open{}
	}
	f.open[o.token] = o
	return o
}

func (f *family) end(o *open) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, o.token)
}

func (f *family) find(token string) *open {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[token]
}

// join lets a child of a call in, or says why not; leave must follow.
func (f *family) join(parent *open, child stoa.Ref) error {
	key := plainKey(child)
	var chain []string
	for o := parent; o != nil; o = o.above {
		chain = append(chain, o.key)
	}
	slices.Reverse(chain)
	switch {
	case slices.Contains(chain, key):
		return tooFar("%s would be called by itself: %s", key, strings.Join(append(chain, key), " calls "))
	case parent.depth >= MaxDepth:
		return tooFar("calls are %d deep, and may be no deeper: %s", MaxDepth, strings.Join(append(chain, key), " calls "))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case parent.atOnce >= MaxAtOnce:
		return tooFar("%s has %d calls under way, and may have no more at once: wait for some of them", parent.key, MaxAtOnce)
	case parent.children > MaxChildren:
		return tooFar("%s has made %d calls for one of its own, and may make no more", parent.key, MaxChildren)
	}
	parent.atOnce++
	return nil
}

func (f *family) leave(parent *open) {
	f.mu.Lock()
	defer f.mu.Unlock()
	parent.atOnce--
}

func tooFar(format string, args ...any) error {
	e := stoa.Errorf(stoa.Invalid, format, args...)
	e.Type = "TooManyCallsError"
	return e
}

// plainKey is owner/name in lower case, without a version: a cycle through
// another version is one too.
func plainKey(ref stoa.Ref) string {
	ref.Version = stoa.VersionSpec{}
	return ref.Key()
}

// Child tells for whom a call is made that code makes with a token, and gives it
// an id below its parent's. ok is false where no call of that token is under
// way. The caller has no right of an administrator: code may call what its
// caller may, and do nothing else in his name.
func (s *Service) Child(token string) (who stoa.Caller, id string, ok bool) {
	o := s.family.find(token)
	if o == nil {
		return stoa.Caller{}, "", false
	}
	s.family.mu.Lock()
	o.children++
	n := o.children
	s.family.mu.Unlock()
	who = o.call.Caller
	who.Admin, who.Parent = false, token
	return who, o.call.ID + "." + strconv.Itoa(n), true
}

// under ties a child's context to its parent's: it ends no later, and when the
// parent ends.
func under(ctx context.Context, parent *open) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(parent.ctx, func() { cancel(context.Cause(parent.ctx)) })
	done := func() { stop(); cancel(context.Canceled) }
	deadline, ok := parent.ctx.Deadline()
	if !ok {
		return ctx, done
	}
	ctx, end := context.WithDeadline(ctx, deadline)
	return ctx, func() { end(); done() }
}

// left is the time that a context leaves, at most limit.
func left(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, max(time.Until(deadline), 0))
	}
	return limit
}
