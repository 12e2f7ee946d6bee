package stoa

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of thing went wrong; package api maps it to a status.
type Kind uint8

// The kinds of errors.
const (
	Internal        Kind = iota // a bug, or a broken machine
	Invalid                     // the request is malformed or contradicts itself
	TooLarge                    // over a limit on size
	Unsupported                 // well-formed, but not something Stoa does
	Unauthenticated             // who are you?
	Forbidden                   // known, but may not
	NotFound
	Conflict
	Unpaid
	Busy        // too much at once: come back after RetryAfter
	NoRoom      // memory or disk is full
	Timeout     // the deadline passed
	Canceled    // the caller went away
	Failed      // the caller's own algorithm raised
	Unavailable // a part is down for now
)

var kindNames = [...]string{
	"internal", "invalid", "too_large", "unsupported", "unauthenticated", "forbidden", "not_found", "conflict",
	"unpaid", "busy", "no_room", "timeout", "canceled", "failed", "unavailable",
}

// String gives the kind's name in snake case, such as "not_found".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// MarshalText gives the name of the kind.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name of a kind; an unknown one is Internal.
func (k *Kind) UnmarshalText(b []byte) error {
	*k = Internal
	for i, n := range kindNames {
		if n == string(b) {
			*k = Kind(i)
		}
	}
	return nil
}

// Error is the one error type that crosses rooms. Msg is safe to show to the
// caller; Err is the cause, for the log, and is never shown nor sent.
type Error struct {
	Kind       Kind          `json:"kind"`
	Type       string        `json:"type,omitempty"`        // machine-readable, such as "InputError"; "" lets the door choose
	Code       int           `json:"code,omitempty"`        // Algorithmia's number, where it has one
	Op         string        `json:"op,omitempty"`          // what was attempted
	Ref        string        `json:"ref,omitempty"`         // the algorithm concerned
	Msg        string        `json:"msg"`                   // a sentence for the caller
	Stack      string        `json:"stack,omitempty"`       // of the caller's own algorithm
	RetryAfter time.Duration `json:"retry_after,omitempty"` // for Busy and Unavailable
	Err        error         `json:"-"`
}

// Errorf makes an Error of a kind with a message for the caller.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error of a kind with a message for the caller and a cause for
// the log.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
}

// Error gives the message and the cause: for logs, not for callers.
func (e *Error) Error() string {
	s := e.Msg
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError gives err as an *Error: itself where it is one, else one whose Kind
// follows the context's errors, and otherwise Internal with a message that
// gives nothing away. nil stays nil.
func AsError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, err, "the deadline passed")
	case errors.Is(err, context.Canceled):
		return Wrap(Canceled, err, "the call was cancelled")
	}
	return Wrap(Internal, err, "internal error")
}

// KindOf gives the kind of an error; see AsError.
func KindOf(err error) Kind {
	if e := AsError(err); e != nil {
		return e.Kind
	}
	return Internal
}
