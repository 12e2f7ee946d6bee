package algorithmia

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// output says in which form a call is answered.
type output uint8

const (
	outputDefault output = iota
	outputRaw            // the bare result
	outputVoid           // at once, without a result
)

// callQuery is what a call's query may say.
type callQuery struct {
	timeout time.Duration
	output  output
	stdout  bool
	timing  bool
}

// parseQuery reads the parameters that a call knows. Clients let people add
// others, which are ignored; of one that comes twice the first counts.
func (a *API) parseQuery(raw string) (callQuery, error) {
	q := callQuery{timeout: a.cfg.Timeout}
	var seen [4]bool
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		i := parameter(name)
		if i < 0 || seen[i] {
			continue
		}
		seen[i] = true
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		if err := a.setParameter(&q, name, value); err != nil {
			return q, err
		}
	}
	return q, nil
}

func parameter(name string) int {
	switch name {
	case "timeout":
		return 0
	case "output":
		return 1
	case "stdout":
		return 2
	case "timing":
		return 3
	}
	return -1
}

func (a *API) setParameter(q *callQuery, name, value string) error {
	switch name {
	case "timeout":
		d, err := parseTimeout(value, a.cfg.MaxTimeout)
		if err != nil {
			return err
		}
		q.timeout = d
	case "output":
		switch strings.ToLower(value) {
		case "", "default":
		case "raw":
			q.output = outputRaw
		case "void":
			q.output = outputVoid
		default:
			return stoa.Errorf(stoa.Invalid, "output=%.40s is not known: write default, raw or void", value)
		}
	case "stdout":
		// Python sends True and False.
		q.stdout = strings.EqualFold(value, "true") || value == "1"
	case "timing":
		q.timing = value == "1" || strings.EqualFold(value, "true")
	}
	return nil
}

func parseTimeout(s string, limit time.Duration) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return 0, stoa.Errorf(stoa.Invalid, "timeout=%.40s is no number of seconds above 0, such as 30 or 0.5", s)
	}
	if seconds > limit.Seconds() {
		return 0, stoa.Errorf(stoa.Invalid, "timeout=%.40s is over the most of %s seconds", s, formatSeconds(limit))
	}
	return max(time.Duration(seconds*float64(time.Second)), 1), nil
}

// formatSeconds writes seconds as the contract's messages do, "420.0".
func formatSeconds(d time.Duration) string {
	s := strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
