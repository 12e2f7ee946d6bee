package engine

import "github.com/stoa-project/stoa/internal/runner"

// Load is what MethodLoad carries, as far as a code replica reads it: the rest
// of a worker.Model is for engines of networks.
type Load struct {
	ID      string          `json:"id"`
	Program *runner.Program `json:"program"`
}
