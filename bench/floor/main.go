// Command floor is the least that a served model can cost: an HTTP server that
// reads a body, sends it over one unix-socket hop to a second process, reads it
// back and answers. Latencies are compared with it, in the same run.
//
//	floor back SOCKET    the second process
//	floor front SOCKET   the HTTP server; prints its address
//	floor pipe -         an echo of messages from standard input to standard output
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor back|front|pipe SOCKET")
		os.Exit(2)
	}
	run := back
	switch os.Args[1] {
	case "front":
		run = front
	case "pipe":
		run = pipe
	}
	if err := run(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func back(socket string) error {
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for {
				b, err := readMessage(conn)
				if err != nil || writeMessage(conn, b) != nil {
					return
				}
			}
		}()
	}
}

// pipe is what code costs that is not served: a message in, the same one out.
func pipe(string) error {
	for {
		b, err := readMessage(os.Stdin)
		if err != nil {
			return nil //nolint:nilerr // the other end is gone
		}
		if err := writeMessage(os.Stdout, b); err != nil {
			return err
		}
	}
}

func front(socket string) error {
	pool := sync.Pool{New: func() any {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return conn
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		conn, ok := pool.Get().(net.Conn)
		if !ok {
			http.Error(w, "no second process", http.StatusInternalServerError)
			return
		}
		err := writeMessage(conn, body)
		if err == nil {
			body, err = readMessage(conn)
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		pool.Put(conn)
		_, _ = w.Write(body)
	}))
}

func readMessage(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.LittleEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeMessage(w io.Writer, b []byte) error {
	out := make([]byte, 4, 4+len(b))
	binary.LittleEndian.PutUint32(out, uint32(len(b)))
	_, err := w.Write(append(out, b...))
	return err
}
