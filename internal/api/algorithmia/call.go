package algorithmia

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// inBand are the kinds that this dialect answers with status 200 and an error
// in the body, once a well-formed call has reached its algorithm: that it
// raised, ran out of time, or could do nothing with its input. Most published
// clients read a message only from a 200; of any other status they show the
// number. It holds the error_type of each where the error has none.
var inBand = map[stoa.Kind]string{
	stoa.Failed:      "AlgorithmError",
	stoa.Timeout:     "TimeoutError",
	stoa.Invalid:     "InputError",
	stoa.Unsupported: "UnsupportedError",
	stoa.TooLarge:    "TooLargeError",
}

// call answers POST /v1/algo/….
func (a *API) call(w *api.Response, r *api.Request) error {
	ref, err := parseCallPath(r.URL.EscapedPath()[len(callPrefix):])
	if r.Caller.Account == "" && r.Caller.Parent == "" { // a guest's child was let in with its parent
		return a.callGuest(w, r, ref, err)
	}
	if err != nil {
		return err
	}
	q, err := a.parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	input, err := readInput(r, a.cfg.BodyLimit)
	if err != nil {
		return err
	}
	return a.invoke(w, r, job{ref, q, input})
}

// callGuest answers a call without a key; pathErr is what is wrong with its
// path, which only those with a key are told.
func (a *API) callGuest(w *api.Response, r *api.Request, ref stoa.Ref, pathErr error) error {
	if pathErr != nil {
		return noKey()
	}
	leave, err := a.admitGuest(r, ref)
	if err != nil {
		return err
	}
	defer leave()
	q, err := a.parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if q.output == outputVoid {
		return noKey() // it would run on with nobody there, and not be counted
	}
	q.timeout = min(q.timeout, guestTime)
	input, err := a.readGuest(w, r)
	if err != nil {
		return err
	}
	return a.invoke(w, r, job{ref, q, input})
}

// job is a call that was read.
type job struct {
	ref   stoa.Ref
	query callQuery
	input stoa.Value
}

// invoke makes a call and writes its answer.
func (a *API) invoke(w *api.Response, r *api.Request, j job) error {
	q, input := j.query, j.input
	c := stoa.Call{ID: r.ID, Ref: j.ref, Caller: r.Caller, Input: input, Timeout: q.timeout, Received: r.Received}
	if q.output == outputVoid {
		return a.callVoid(w, r, c)
	}
	defer api.FreeBody(input.Data) // the answer is written by then
	ctx, cancel := context.WithTimeout(r.Context(), q.timeout)
	res := a.cfg.Invoker.Invoke(ctx, c)
	cancel()
	w.Usage(res.Usage)
	if res.Err == nil {
		res.Err = a.fits(&res.Value, q.output)
	}
	if res.Err != nil {
		return a.callFailed(w, r, outcome{call: c, query: q, result: res, ended: time.Now()})
	}
	if q.output == outputRaw {
		writeRaw(w, res.Value)
		return nil
	}
	a.writeResult(w, r, outcome{call: c, query: q, result: res, ended: time.Now()})
	return nil
}

// outcome is a call that has come back.
type outcome struct {
	call   stoa.Call
	query  callQuery
	result stoa.Result
	ended  time.Time
}

// seconds gives metadata.duration: the time in the algorithm where it is known,
// else that of the whole call. Clients insist that it is above zero.
func (o *outcome) seconds() float64 {
	d := o.result.Usage.Compute
	if d <= 0 {
		d = o.ended.Sub(o.call.Received)
	}
	return max(d, 1).Seconds()
}

// fits makes the result what the contract knows, and refuses one that is over
// the limit as it would be sent, or that is not what it claims to be.
func (a *API) fits(v *stoa.Value, out output) error {
	size := int64(len(v.Data))
	switch v.Type {
	case stoa.JSON:
		if err := checkJSON(v.Data); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the algorithm's worker gave a result that is no JSON")
		}
	case stoa.Binary:
		if out == outputDefault {
			size = (size + 2) / 3 * 4
		}
	case stoa.Text, stoa.Void:
	default:
		return stoa.Errorf(stoa.Internal, "the algorithm's worker gave a result of unknown type %.20q", string(v.Type))
	}
	if size > a.cfg.ResultLimit {
		return stoa.Errorf(stoa.TooLarge, "the result of %d bytes is over the limit of %d bytes for one answer", size, a.cfg.ResultLimit)
	}
	return nil
}

// callFailed writes a failed call: in the body of a 200 where the algorithm
// itself failed, by its status otherwise. It gives back what the landing
// writes in the plain form.
func (a *API) callFailed(w *api.Response, r *api.Request, o outcome) error {
	e := *stoa.AsError(o.result.Err)
	switch {
	case r.Context().Err() != nil:
		e.Kind = stoa.Canceled
	case e.Kind == stoa.Timeout, e.Kind == stoa.Canceled && o.ended.Sub(o.call.Received) >= o.query.timeout:
		e.Kind = stoa.Timeout
		if o.ended.Sub(o.call.Received) >= o.query.timeout {
			e.Msg = "algorithm did not complete within " + formatSeconds(o.query.timeout) + " seconds"
		}
	case e.Kind == stoa.NotFound:
		return a.notFound(r, o.call.Ref, e)
	}
	typ, ok := inBand[e.Kind]
	if !ok {
		return &e
	}
	if e.Type == "" {
		e.Type = typ
	}
	status := http.StatusOK
	if o.query.output == outputRaw {
		if status = api.Status(e.Kind); e.Kind == stoa.Failed || e.Kind == stoa.Timeout {
			status = http.StatusBadRequest
		}
	}
	if e.Stack != "" && !a.owns(r, o.call.Ref) {
		e.Stack = ""
	}
	api.ErrorHeaders(w, &e)
	b := appendFailure(nil, &e, o.seconds())
	if o.query.stdout && a.owns(r, o.call.Ref) {
		b = appendPrinted(b, &o.result)
	}
	api.WriteBody(w, status, append(b, "}}"...))
	return nil
}

// notFound says that an algorithm does not exist in the words that clients
// know; where only the version is missing, it says that.
func (a *API) notFound(r *api.Request, ref stoa.Ref, e stoa.Error) error {
	if !ref.Version.IsZero() {
		plain := ref
		plain.Version = stoa.VersionSpec{}
		if _, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, plain); err == nil {
			return &e
		}
	}
	return stoa.Wrap(stoa.NotFound, e.Err, "algorithm %s not found", refName(ref))
}

// owns tells whether the caller may see the insides of an algorithm: its stack
// traces and what it printed.
func (a *API) owns(r *api.Request, ref stoa.Ref) bool {
	if r.Caller.Admin {
		return true
	}
	v, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	return err == nil && r.Caller.Account != "" && strings.EqualFold(v.Owner, r.Caller.Account)
}

// appendFailure writes a failure. All members of error are strings: one client
// reads it into a dictionary of strings. Two spell the stack in one word, one
// in two. The ends of metadata and of the whole are left to the caller.
func appendFailure(b []byte, e *stoa.Error, seconds float64) []byte {
	b = append(b, `{"error":{"message":`...)
	b = api.AppendString(b, api.Message(e))
	b = api.AppendString(append(b, `,"error_type":`...), e.Type)
	if e.Stack != "" {
		b = api.AppendString(append(b, `,"stacktrace":`...), e.Stack)
		b = api.AppendString(append(b, `,"stack_trace":`...), e.Stack)
	}
	b = append(b, `},"metadata":{"duration":`...)
	b = strconv.AppendFloat(b, seconds, 'f', -1, 64)
	return b
}

// callVoid answers at once; the call goes on without its connection, with its
// own timeout. What can be refused is refused first.
func (a *API) callVoid(w *api.Response, r *api.Request, c stoa.Call) error {
	if _, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, c.Ref); err != nil {
		e := *stoa.AsError(err)
		if e.Kind == stoa.NotFound {
			return a.notFound(r, c.Ref, e)
		}
		return &e
	}
	if err := a.detached.enter(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.Timeout)
	go func() {
		defer a.detached.leave()
		defer cancel()
		a.runDetached(ctx, c)
	}()
	b := append(make([]byte, 0, 96), `{"async":"void","request_id":`...)
	api.WriteBody(w, http.StatusOK, append(api.AppendString(b, c.ID), '}'))
	return nil
}
