package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// ignoreEnd gives nil for the ways in which a stream ends in good order.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
