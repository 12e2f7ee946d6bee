// Package probe does on demand what programs do, for the tests of a whole server.
package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type CheeseError struct{}

func (CheeseError) Error() string     { return "out of cheese" }
func (CheeseError) ErrorType() string { return "CheeseError" }

var count atomic.Int64

func Apply(input any) (any, error) {
	n := count.Add(1)
	s, ok := input.(string)
	if !ok {
		return input, nil
	}
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case "raise":
		return nil, CheeseError{}
	case "panic":
		var none map[string]int
		none["x"] = 1
	case "memory":
		var kept [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := range b {
				b[i] = 'x'
			}
			kept = append(kept, b)
		}
	case "sleep":
		seconds, err := strconv.ParseFloat(rest, 64)
		if err != nil {
			seconds = 60
		}
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		return "slept", nil
	case "exit":
		os.Exit(3)
	case "spam":
		for range make([]struct{}, 100_000) {
			fmt.Println(strings.Repeat("x", 99))
		}
		return "done", nil
	case "stderr":
		fmt.Println("to standard output")
		fmt.Fprintln(os.Stderr, "to standard error")
		return "printed", nil
	case "state":
		return n, nil
	// What stoa runner-test asks for.
	case "stoa:error":
		return nil, fmt.Errorf("stoa:error: %w", CheeseError{})
	case "stoa:print":
		fmt.Println("stoa:out")
		fmt.Fprintln(os.Stderr, "stoa:err")
	case "stoa:flood":
		fmt.Print(strings.Repeat("f", 10<<20))
	case "stoa:big":
		return strings.Repeat("x", 1<<20), nil
	case "stoa:sleep":
		time.Sleep(500 * time.Millisecond)
	case "stoa:exit":
		os.Exit(3)
	case "stream":
		return func(yield func(string) bool) {
			_ = yield("one ") && yield("two ") && yield("three")
		}, nil
	}
	return s, nil
}
