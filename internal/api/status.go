package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/stoa-project/stoa"
)

// StatusClientClosed is what the access log shows where the caller went away
// before the answer: nginx's number, there is no standard one.
const StatusClientClosed = 499

// statuses is the table from Kind to status. A door declares the rows in which
// its dialect differs beside itself.
var statuses = [...]int{
	stoa.Internal:        http.StatusInternalServerError,
	stoa.Invalid:         http.StatusBadRequest,
	stoa.TooLarge:        http.StatusRequestEntityTooLarge,
	stoa.Unsupported:     http.StatusUnsupportedMediaType,
	stoa.Unauthenticated: http.StatusUnauthorized,
	stoa.Forbidden:       http.StatusForbidden,
	stoa.NotFound:        http.StatusNotFound,
	stoa.Conflict:        http.StatusConflict,
	stoa.Unpaid:          http.StatusPaymentRequired,
	stoa.Busy:            http.StatusTooManyRequests,
	stoa.NoRoom:          http.StatusInsufficientStorage,
	stoa.Timeout:         http.StatusGatewayTimeout,
	stoa.Canceled:        StatusClientClosed,
	stoa.Failed:          http.StatusInternalServerError,
	stoa.Unavailable:     http.StatusServiceUnavailable,
}

// Status gives the HTTP status of a kind of error.
func Status(k stoa.Kind) int {
	if int(k) < len(statuses) {
		return statuses[k]
	}
	return http.StatusInternalServerError
}

// KindOf gives the kind of error that a status stands for: the table read
// backwards. Statuses that the table lacks, as proxies send them, become the
// nearest kind. 500 is Internal: that an algorithm failed is said by the
// KindHeader or by the dialect's own body.
func KindOf(status int) stoa.Kind {
	for k, s := range statuses {
		if s == status {
			return stoa.Kind(k)
		}
	}
	switch {
	case status == http.StatusRequestTimeout:
		return stoa.Timeout
	case status == http.StatusGone:
		return stoa.NotFound
	case status == http.StatusBadGateway:
		return stoa.Unavailable
	case status >= 400 && status < 500:
		return stoa.Invalid
	}
	return stoa.Internal
}

// KindHeader carries the kind of an error by name, beside the body, whose form
// belongs to the dialect. Clients of ours read it; others need not.
const KindHeader = "X-Stoa-Error"

// retryAfter writes a Retry-After in whole seconds, rounded up, at least one.
func retryAfter(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	return strconv.FormatInt(max(seconds, 1), 10)
}

// ParseRetryAfter reads a Retry-After header in seconds or as a date; zero
// where there is none.
func ParseRetryAfter(s string, now time.Time) time.Duration {
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
