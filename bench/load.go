package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// request is a POST, ready to be written to a socket again and again: the
// generator should cost as little as it can, and the same for every server.
type request struct {
	address string
	bytes   []byte
}

func newRequest(rawURL, key, contentType string, body []byte) (request, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return request{}, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, contentType, len(body))
	if key != "" {
		fmt.Fprintf(&b, "Authorization: Simple %s\r\n", key)
	}
	b.WriteString("\r\n")
	b.Write(body)
	return request{u.Host, b.Bytes()}, nil
}

// connection is one keep-alive connection of a closed-loop client.
type connection struct {
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

func connect(address string) (*connection, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

// do sends the request and reads the answer.
func (c *connection) do(q request) error {
	if _, err := c.conn.Write(q.bytes); err != nil {
		return err
	}
	length, ok := -1, false
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first {
			ok = bytes.HasPrefix(line, []byte("HTTP/1.1 200"))
		}
		if len(line) <= 2 {
			break
		}
		if v, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("an answer without Content-Length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the server answered with an error: %.300s", c.body)
	}
	return nil
}

// latencies gives the times of n requests, one after the other.
func latencies(q request, n int) ([]time.Duration, error) {
	c, err := connect(q.address)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if err := c.do(q); err != nil {
			return nil, err
		}
		times[i] = time.Since(start)
	}
	return times, nil
}

// load runs closed-loop clients for a time, and gives the answers, and the
// processor time that this process spent on them.
func load(q request, clients int, d time.Duration) (count int, cpu time.Duration, err error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		end   = time.Now().Add(d)
		start = cpuTime()
	)
	for range clients {
		wg.Go(func() {
			n, e := loop(q, end)
			mu.Lock()
			defer mu.Unlock()
			count += n
			if e != nil && err == nil {
				err = e
			}
		})
	}
	wg.Wait()
	return count, cpuTime() - start, err
}

func loop(q request, end time.Time) (n int, err error) {
	c, err := connect(q.address)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	for time.Now().Before(end) {
		if err := c.do(q); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median[T float64 | time.Duration](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
