package jit

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// failure ends the interpretation; it travels as a panic from wherever it
// happens to run, which returns it as an error.
type failure struct {
	err     error
	decided bool    // the code decides by a size
	size    bool    // it may be due to the sizes that were tried
	want    *Demand // or to what was assumed of an input
}

// Demand is what the code asks of an input whose type or shape nobody told.
type Demand struct {
	Input int
	Ranks []int          // that it may have, the likeliest first
	dims  map[int]int64  // sizes by axis
	same  map[int]string // the names of dimensions that axes are the same as
	DType tensor.DType   // that it must have; tensor.Undefined: any
	Names []string       // what its dimensions are
}

// Fail ends it for good.
func (c *Converter) Fail(kind stoa.Kind, format string, args ...any) {
	panic(&failure{err: stoa.Errorf(kind, "%s: %s%s", c.file, c.here(), fmt.Sprintf(format, args...))})
}

// Contradict ends it for the sizes that are tried at present.
func (c *Converter) Contradict(format string, args ...any) {
	panic(&failure{size: true, err: stoa.Errorf(stoa.Invalid, "%s: %s%s", c.file, c.here(), fmt.Sprintf(format, args...))})
}

// Refuse tells that the operator in hand is not supported as it is used. It is
// noted and the interpretation goes on.
func (c *Converter) Refuse(format string, args ...any) {
	panic(&refusal{fmt.Sprintf(format, args...)})
}

type refusal struct{ why string }

// Demand ends it for what is assumed of an input at present.
func (c *Converter) Demand(d Demand) {
	panic(&failure{want: &d, size: true, err: stoa.Errorf(stoa.Invalid, "%s: %sits input is not as the code wants it", c.file, c.here())})
}

// here says where in the code the interpretation is.
func (c *Converter) here() string {
	if c.at.file == "" {
		return ""
	}
	out := fmt.Sprintf("%s:%d: ", c.at.file, c.at.line)
	if c.path != "" {
		out += "module " + c.path + ": "
	}
	if c.opName != "" {
		out += c.opName + ": "
	}
	return out
}

// caught gives the error of a panic that is a failure, or a mistake of a kind
// that hostile code might provoke.
func caught(file string, r any) (failure, bool) {
	switch e := r.(type) {
	case nil:
		return failure{}, false
	case *failure:
		return *e, true
	case *refusal:
		return failure{err: stoa.Errorf(stoa.Unsupported, "%s: %s", file, e.why)}, true
	case runtime.Error:
		text := e.Error()
		if strings.Contains(text, "nil pointer") {
			text = "a value is missing"
		}
		return failure{size: true, err: stoa.Errorf(stoa.Invalid, "%s: its code does what cannot be followed: %s", file, text)}, true
	}
	panic(r)
}
