package algorithmia

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// Guests says which calls without a key are let in, and how many; package
// account's Guests is one. leave is called when the call has ended.
type Guests interface {
	Enter(ref stoa.Ref, from netip.Addr, now time.Time) (leave func(), err error)
}

// What a stranger's call may take, so that few of them do not hold the places of
// all: time to send its body, and time in all.
const (
	guestBodyTime = 30 * time.Second
	guestTime     = 60 * time.Second
)

func noKey() error { return stoa.Errorf(stoa.Unauthenticated, "authorization required") }

// admitGuest lets a stranger's call in before its body is read. Whatever he may
// not call looks as if he needed a key for it, whether it exists or not.
func (a *API) admitGuest(r *api.Request, ref stoa.Ref) (leave func(), err error) {
	if a.cfg.Guests == nil {
		return nil, noKey()
	}
	leave, err = a.cfg.Guests.Enter(ref, r.Address(), r.Received)
	if err != nil {
		return nil, err
	}
	if _, err := a.cfg.Catalog.Resolve(r.Context(), stoa.Caller{}, ref); err != nil {
		leave()
		if stoa.KindOf(err) == stoa.NotFound {
			return nil, noKey()
		}
		return nil, err
	}
	return leave, nil
}

// readGuest reads the input of a stranger's call, who may not take for ever over
// it.
func (a *API) readGuest(w *api.Response, r *api.Request) (stoa.Value, error) {
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(guestBodyTime)); err != nil {
		return readInput(r, a.cfg.BodyLimit) // no connection of net/http's: a test's
	}
	v, err := readInput(r, a.cfg.BodyLimit)
	// What is read after this tells whether the caller has gone.
	if back := conn.SetReadDeadline(time.Time{}); err == nil && back != nil {
		err = stoa.Wrap(stoa.Internal, back, "the connection's deadline cannot be taken back")
	}
	return v, err
}
