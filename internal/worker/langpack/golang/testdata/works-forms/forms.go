package forms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

var loaded string

func Load(models map[string]string) error {
	loaded = fmt.Sprint("loaded ", len(models))
	return nil
}

func Apply(ctx context.Context, input string) (any, error) {
	switch input {
	case "state":
		return loaded, nil
	case "call":
		_, limited := ctx.Deadline()
		return []any{ctx.Value("stoa.token"), ctx.Value("stoa.request_id"), limited, ctx.Err() != nil}, nil
	case "nothing":
		return nil, nil
	case "bytes":
		return []byte("bytes"), nil
	case "lines":
		return func(yield func(any, error) bool) {
			_ = yield(map[string]int{"a": 1}, nil) && yield([]int{2}, nil)
		}, nil
	case "fails":
		return func(yield func(any, error) bool) {
			_ = yield("a", nil) && yield(nil, errors.New("in the middle"))
		}, nil
	case "channel":
		return make(chan int), nil
	case "long":
		return nil, errors.New(strings.Repeat("é\n", 100_000))
	case "wrapped":
		return nil, fmt.Errorf("around: %w", io.EOF)
	case "panic":
		var none map[string]int
		none["x"] = 1
	case "log":
		fmt.Fprintln(ctx.Value("stoa.log").(io.Writer), "a", 1)
		return "logged", nil
	}
	return "?", nil
}
