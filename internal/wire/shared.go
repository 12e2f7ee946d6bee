package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
)

// A large body on a unix socket would be copied into the kernel and out again
// in many small rounds. Such a connection shares memory instead: the caller
// makes it, sends its descriptor once in a frame of type share, and from then on
// writes large bodies there; the frame of the call carries only their length.
// One call at a time makes that safe without any lock: the memory is the
// caller's until the call is sent, and the handler's until the reply is.
//
// Measured with a body of 0.9 MB: see docs/bench.md.
const (
	shareFrom = 64 << 10 // bodies from here on
	shareKeep = 16 << 20 // a connection that has shared more is not kept for later calls
)

// shared is memory that both ends of a connection see.
type shared struct{ mem []byte }

func (s *shared) close() {
	if s.mem != nil {
		_ = unix.Munmap(s.mem) // fails only for what was never mapped
		s.mem = nil
	}
}

// mapFile maps size bytes of a descriptor, and closes it.
func (s *shared) mapFile(fd, size int) error {
	s.close()
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	err = errors.Join(err, unix.Close(fd))
	if err != nil {
		return err
	}
	s.mem = mem
	return nil
}

// share makes room for a body of n bytes, and tells the other end of it.
func (s *stream) share(conn *net.UnixConn, n int) error {
	if len(s.shared.mem) >= n {
		return nil
	}
	size := 1 << 20
	for size < n {
		size *= 2
	}
	fd, err := unix.MemfdCreate("stoa-wire", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	var head [headerSize + 8]byte
	header{size: 8, kind: frameShare}.put((*[headerSize]byte)(head[:]))
	binary.LittleEndian.PutUint64(head[headerSize:], uint64(size))
	if _, _, err := conn.WriteMsgUnix(head[:], unix.UnixRights(fd), nil); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	return s.shared.mapFile(fd, size)
}

// writeShared sends a call whose body lies in shared memory.
func (s *stream) writeShared(h header, parts [][]byte) error {
	at := 0
	for _, p := range parts {
		at += copy(s.shared.mem[at:], p)
	}
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(at))
	h.shared = true
	return s.write(h, n[:])
}

// accept takes the memory that the caller offers.
func (s *stream) accept(body []byte, fds *fdConn) error {
	fd, ok := fds.next()
	if !ok || len(body) != 8 {
		return stoa.Errorf(stoa.Internal, "wire: memory was offered without its descriptor")
	}
	size := binary.LittleEndian.Uint64(body)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || size == 0 || size > 2*MaxBody || uint64(st.Size) < size {
		return errors.Join(stoa.Errorf(stoa.Internal, "wire: the memory offered is not what it claims"), unix.Close(fd))
	}
	return s.shared.mapFile(fd, int(size))
}

// sharedBody gives the body that a call's frame points at.
func (s *stream) sharedBody(body []byte) (Body, error) {
	if len(body) == 8 {
		if n := binary.LittleEndian.Uint64(body); n <= uint64(len(s.shared.mem)) {
			return Body{Bytes: s.shared.mem[:n:n]}, nil
		}
	}
	return Body{}, stoa.Errorf(stoa.Internal, "wire: a body outside the shared memory")
}

// fdConn reads a unix socket and keeps the descriptors that come with the
// bytes.
type fdConn struct {
	*net.UnixConn
	oob []byte

	mu  sync.Mutex // a look for a lost caller may read at the same time
	fds []int
}

func newFDConn(c *net.UnixConn) *fdConn {
	return &fdConn{UnixConn: c, oob: make([]byte, unix.CmsgSpace(4))}
}

// Read reads bytes, and takes what descriptors come with them.
func (c *fdConn) Read(p []byte) (int, error) {
	n, oobn, flags, _, err := c.ReadMsgUnix(p, c.oob)
	if oobn > 0 {
		c.take(c.oob[:oobn])
	}
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = stoa.Errorf(stoa.Internal, "wire: more descriptors than expected")
	}
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

func (c *fdConn) take(oob []byte) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range msgs {
		if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			c.fds = append(c.fds, fds...)
		}
	}
}

func (c *fdConn) next() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fds) == 0 {
		return 0, false
	}
	fd := c.fds[0]
	c.fds = c.fds[1:]
	return fd, true
}

// Close closes the socket, and descriptors that nobody took.
func (c *fdConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fd := range c.fds {
		_ = os.NewFile(uintptr(fd), "").Close()
	}
	c.fds = nil
	return c.UnixConn.Close()
}
