package worker

import (
	"context"
	"net"
	"time"
)

// Loop serves an Engine on a listener until ctx ends, or until nobody has been
// connected for the time of linger. Connections that are open when ctx ends are
// served to the end of the calls in flight.
func Loop(ctx context.Context, ln net.Listener, e Engine, hello Hello, linger time.Duration) error {
	return newServer(e, hello).Loop(ctx, ln, linger)
}
