package runnertest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a program that is to be tested does for a text input; anything else it
// answers with itself. docs/runner-protocol.md tells authors.
const (
	AskError = "stoa:error" // raises an error with this message
	AskPrint = "stoa:print" // prints PrintedOut and PrintedErr, and answers
	AskFlood = "stoa:flood" // prints FloodSize bytes to standard output, and answers
	AskBig   = "stoa:big"   // answers a text of BigSize times the letter x
	AskSleep = "stoa:sleep" // answers after SleepTime
	AskExit  = "stoa:exit"  // ends with ExitCode
)

// Figures of the contract.
const (
	PrintedOut = "stoa:out"
	PrintedErr = "stoa:err"
	FloodSize  = 10 << 20
	BigSize    = 1 << 20
	SleepTime  = 500 * time.Millisecond
	ExitCode   = 3
)

// EchoEnv is the variable that makes a test binary the program to be tested. Its
// value says in what manner.
const EchoEnv = "STOA_TEST_ECHO"

// The manners of an echo program: one that passes, and some in which it misses
// the protocol.
const (
	Good    = "1"
	Silent  = "silent"  // prints nothing
	Mangles = "mangles" // gives back ASCII only
	Deaf    = "deaf"    // does not stop
	Dies    = "dies"    // of an error
	Slow    = "slow"    // is not ready in a time that is none
	Forgets = "forgets" // does not end a call that is cancelled (frames)
)

// Echo is a program to be tested, in the protocol that its environment names. It
// is written against docs/runner-protocol.md and shares no code with package
// runner. It ends the process.
func Echo(getenv func(string) string) {
	status := 0
	e := &echo{manner: getenv(EchoEnv)}
	var err error
	if getenv("STOA_PROTOCOL") == "frames" {
		err = e.frames(getenv("STOA_SOCKET"))
	} else {
		err = e.pipe(getenv("STOA_FIFO"))
	}
	if e.manner == Deaf {
		select {}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status) //nolint:forbidigo // this is the whole of a program
}

type echo struct{ manner string }

type input struct {
	content byte
	data    []byte
}

var errAsked = errors.New(AskError)

// apply is the algorithm.
func (e *echo) apply(in input) (input, error) {
	if in.content != contentText {
		return in, nil
	}
	ask := string(in.data)
	if e.manner == Silent && (ask == AskPrint || ask == AskFlood) {
		return in, nil
	}
	switch ask {
	case AskError:
		if e.manner == Dies {
			os.Exit(1) //nolint:forbidigo // as it was asked
		}
		return in, errAsked
	case AskPrint:
		fmt.Fprintln(os.Stdout, PrintedOut)
		fmt.Fprintln(os.Stderr, PrintedErr)
	case AskFlood:
		line := []byte(strings.Repeat("f", 1023) + "\n")
		for range FloodSize / len(line) {
			if _, err := os.Stdout.Write(line); err != nil {
				return in, err
			}
		}
	case AskBig:
		in.data = []byte(strings.Repeat("x", BigSize))
	case AskSleep:
		<-time.After(SleepTime)
	case AskExit:
		os.Exit(ExitCode) //nolint:forbidigo // as it was asked
	default:
		if e.manner == Mangles {
			in.data = bytes.Map(func(r rune) rune { return min(r, 127) }, in.data)
		}
	}
	return in, nil
}

func (e *echo) pipe(fifo string) error {
	if fifo == "" {
		fifo = "/tmp/algoout"
	}
	fmt.Fprintln(os.Stdout, "PIPE_INIT_COMPLETE")
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.answerLine(fifo, line); err != nil {
			return err
		}
	}
}

type pipeRequest struct {
	ContentType string          `json:"content_type"`
	Data        json.RawMessage `json:"data"`
}

// indentUpTo is where answers are no longer written over several lines, which is
// slow.
const indentUpTo = 4096

func (e *echo) answerLine(fifo string, line []byte) error {
	var req pipeRequest
	if err := json.Unmarshal(line, &req); err != nil {
		return err
	}
	var in input
	if req.ContentType == "text" {
		var s string
		if err := json.Unmarshal(req.Data, &s); err != nil {
			return err
		}
		in = input{contentText, []byte(s)}
	}
	var message any
	out, err := e.apply(in)
	switch {
	case err != nil:
		message = map[string]any{"error": map[string]string{"message": err.Error(), "error_type": "EchoError", "stacktrace": "in echo"}}
	case req.ContentType == "text":
		message = map[string]any{"result": string(out.data), "metadata": map[string]string{"content_type": "text"}}
	default:
		message = map[string]any{"result": req.Data, "metadata": map[string]string{"content_type": req.ContentType}}
	}
	b, err := json.Marshal(message)
	if err == nil && len(b) < indentUpTo {
		b, err = json.MarshalIndent(message, "", "  ")
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(b, '\n'))
	return err
}

// The table of the frames protocol.
const (
	frameReady, frameResult, frameError      = 1, 2, 4
	frameCall, frameCancel, frameStop        = 16, 17, 18
	contentText                         byte = 1
)

func (e *echo) frames(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	out := &frameWriter{conn: conn}
	if err := out.write(frameReady, 0, 0, `{"protocol":1,"name":"echo"}`, nil); err != nil {
		return err
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	var body []byte
	for in := bufio.NewReader(conn); ; {
		var h [16]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return nil // the end of the connection means stop
		}
		body = slices.Grow(body[:0], int(binary.LittleEndian.Uint32(h[:])))
		body = body[:binary.LittleEndian.Uint32(h[:])]
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		number := binary.LittleEndian.Uint64(h[8:])
		switch h[4] {
		case frameCall:
			data := body[binary.LittleEndian.Uint16(h[6:]):]
			if string(data[:min(len(data), 5)]) == "stoa:" {
				calls.Go(func() { out.answer(e, number, input{h[5], data}) })
				body = nil // it is the call's now
			} else {
				out.answer(e, number, input{h[5], data})
			}
		case frameCancel: // the answer is sent nevertheless
			if e.manner == Forgets {
				out.forget(number)
			}
		case frameStop:
			return nil
		default:
			return fmt.Errorf("a frame of type %d", h[4])
		}
	}
}

type frameWriter struct {
	mu     sync.Mutex
	conn   net.Conn
	buf    []byte
	forgot map[uint64]bool
}

func (w *frameWriter) forget(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgot == nil {
		w.forgot = map[uint64]bool{}
	}
	w.forgot[number] = true
}

func (w *frameWriter) answer(e *echo, number uint64, in input) {
	out, err := e.apply(in)
	if err != nil {
		_ = w.write(frameError, 0, number, `{"message":"`+err.Error()+`","error_type":"EchoError","stacktrace":"in echo"}`, nil)
		return
	}
	_ = w.write(frameResult, out.content, number, "", out.data)
}

func (w *frameWriter) write(kind, content byte, number uint64, head string, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgot[number] {
		return nil
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(len(head)+len(data)))
	b = append(b, kind, content)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = binary.LittleEndian.AppendUint64(b, number)
	b = append(append(b, head...), data...)
	w.buf = b
	_, err := w.conn.Write(b)
	return err
}
