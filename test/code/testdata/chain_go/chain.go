// Package chain is the third of a chain.
package chain

import (
	"context"
	"fmt"
	"time"
)

// Input is what the chain passes on.
type Input struct {
	Wait float64 `json:"wait"` // seconds
}

// Result is what comes back.
type Result struct {
	Path string   `json:"path"`
	Left float64  `json:"left"` // seconds until the deadline
	IDs  []string `json:"ids"`
}

// Apply waits, and tells how much time is left.
func Apply(ctx context.Context, in Input) (Result, error) {
	fmt.Println("go has", in.Wait)
	deadline, _ := ctx.Deadline()
	r := Result{Path: "go", Left: time.Until(deadline).Seconds(), IDs: []string{}}
	select {
	case <-time.After(time.Duration(in.Wait * float64(time.Second))):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	return r, nil
}
