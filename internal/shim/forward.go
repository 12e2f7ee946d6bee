package shim

import (
	"io"
	"net"
	"sync"

	"github.com/stoa-project/stoa"
)

// Where a program finds the API and the way out; docs/runner-protocol.md.
const (
	APIAddress    = "127.0.0.1:9000"
	EgressAddress = "127.0.0.1:9001"
)

// forward carries connections from a TCP address to a unix socket, each to a
// connection of its own, until stop is called.
func forward(address, socket string) (stop func(), err error) {
	ln, err := net.Listen("tcp", address) //nolint:noctx // takes no time
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "%s cannot be listened on", address)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go carry(in, socket)
		}
	})
	return func() { _ = ln.Close(); wg.Wait() }, nil
}

// carry connects one connection to the socket. The end of one direction leaves
// the other as it is.
func carry(in net.Conn, socket string) {
	defer in.Close()
	out, err := net.Dial("unix", socket) //nolint:noctx // a local socket
	if err != nil {
		return // the program sees a connection that ends at once
	}
	defer out.Close()
	var wg sync.WaitGroup
	wg.Go(func() { pour(out, in) })
	pour(in, out)
	wg.Wait()
}

func pour(dst, src net.Conn) {
	_, _ = io.Copy(dst, src) // an end is an end, whatever its reason
	if d, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = d.CloseWrite()
	}
}
