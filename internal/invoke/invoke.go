// Package invoke is the trip of one call: resolve the version, dispatch it to
// the fleet, record what it used. Whatever else a call must pass (limits,
// credits) wraps it.
package invoke

import (
	"context"

	"github.com/stoa-project/stoa"
)

// Invoker makes calls. Usage in the Result is valid even when the error is not
// nil; the Result's own Err is then the same error.
type Invoker interface {
	Invoke(ctx context.Context, c stoa.Call) stoa.Result
}
