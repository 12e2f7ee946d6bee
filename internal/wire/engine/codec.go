package engine

import (
	"encoding/json"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/wire"
)

// A run, and its results, are a head that describes the items and then their
// data, each at a multiple of dataAlign from the start: an array that came as
// npy can then be given to the runtime where it lies.
//
//	run     = size(head) head { padding data }
//	head    = id, token, request, time left, count, { type, media type, length }
//	results = size(head) head { padding data }
//	head    = count, { 0, type, media type, length | 1, error as JSON; usage, stdout, stderr }
//
// Numbers are uvarints; strings have their length before them.
const dataAlign = 64

var valueTypes = [...]stoa.ValueType{stoa.Void, stoa.Text, stoa.JSON, stoa.Binary}

func appendValue(dst []byte, v stoa.Value) []byte {
	code := uint64(0)
	for i, t := range valueTypes {
		if t == v.Type {
			code = uint64(i)
		}
	}
	dst = wire.AppendUvarint(dst, code)
	dst = wire.AppendString(dst, v.MediaType)
	return wire.AppendUvarint(dst, uint64(len(v.Data)))
}

func readValue(r *wire.Reader) (v stoa.Value, size uint64) {
	code := r.Uvarint()
	if code < uint64(len(valueTypes)) {
		v.Type = valueTypes[code]
	}
	v.MediaType = r.String()
	return v, r.Uvarint()
}

// assemble puts the head's size before it, and each data part at its alignment.
func assemble(head []byte, data [][]byte) [][]byte {
	front := wire.AppendUvarint(make([]byte, 0, len(head)+dataAlign+8), uint64(len(head)))
	front = append(front, head...)
	parts := make([][]byte, 0, 1+2*len(data))
	parts = append(parts, front)
	at := len(front)
	for _, d := range data {
		if pad := -at & (dataAlign - 1); pad > 0 && len(d) > 0 {
			if len(parts) == 1 {
				parts[0] = append(parts[0], zeros[:pad]...)
			} else {
				parts = append(parts, zeros[:pad])
			}
			at += pad
		}
		if len(d) > 0 {
			parts = append(parts, d)
			at += len(d)
		}
	}
	return parts
}

var zeros [dataAlign]byte

// splitter reads the head of a message and then its data parts in order.
type splitter struct {
	head *wire.Reader
	body []byte
	at   uint64
}

func newSplitter(body []byte) *splitter {
	r := wire.NewReader(body)
	head := r.Bytes()
	s := &splitter{head: wire.NewReader(head), body: body}
	s.at = uint64(len(body) - r.Len())
	return s
}

func (s *splitter) data(size uint64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	at := (s.at + dataAlign - 1) &^ (dataAlign - 1)
	if at > uint64(len(s.body)) || size > uint64(len(s.body))-at {
		return nil, stoa.Errorf(stoa.Invalid, "wire: the message is cut short")
	}
	s.at = at + size
	return s.body[at:s.at:s.at], nil
}

// EncodeRun writes a run as parts of a message.
func EncodeRun(run Run) [][]byte {
	head := make([]byte, 0, 192)
	head = wire.AppendString(head, run.ID)
	head = wire.AppendString(head, run.Call.Token)
	head = wire.AppendString(head, run.Call.Request)
	head = wire.AppendUvarint(head, uint64(max(run.Call.Left, 0)))
	head = wire.AppendUvarint(head, uint64(len(run.Items)))
	data := make([][]byte, len(run.Items))
	for i, v := range run.Items {
		head = appendValue(head, v)
		data[i] = v.Data
	}
	return assemble(head, data)
}

// DecodeRun reads what EncodeRun wrote. The items share the body.
func DecodeRun(body []byte) (Run, error) {
	s := newSplitter(body)
	run := Run{ID: s.head.String()}
	run.Call.Token, run.Call.Request = s.head.String(), s.head.String()
	run.Call.Left = time.Duration(s.head.Uvarint())
	run.Items = make([]stoa.Value, s.head.Count())
	for i := range run.Items {
		v, size := readValue(s.head)
		d, err := s.data(size)
		if err != nil {
			return Run{}, err
		}
		v.Data = d
		run.Items[i] = v
	}
	return run, s.head.Err()
}

// EncodeResults writes the answers of a run as parts of a message.
func EncodeResults(results []stoa.Result) [][]byte {
	head := make([]byte, 0, 64)
	head = wire.AppendUvarint(head, uint64(len(results)))
	data := make([][]byte, len(results))
	for i, r := range results {
		if r.Err != nil {
			b, err := json.Marshal(stoa.AsError(r.Err))
			if err != nil {
				b = []byte(`{"kind":"internal","msg":"internal error"}`)
			}
			head = wire.AppendString(wire.AppendUvarint(head, 1), b)
		} else {
			head = appendValue(wire.AppendUvarint(head, 0), r.Value)
			data[i] = r.Value.Data
		}
		head = wire.AppendUvarint(head, uint64(r.Usage.Compute))
		head = wire.AppendUvarint(head, uint64(r.Usage.Batch))
		head = wire.AppendUvarint(head, uint64(r.Usage.BatchSize))
		head = wire.AppendString(wire.AppendString(head, r.Stdout), r.Stderr)
	}
	return assemble(head, data)
}

// DecodeResults reads what EncodeResults wrote: of as many answers as are
// wanted. They share the body.
func DecodeResults(body []byte, want int) ([]stoa.Result, error) {
	s := newSplitter(body)
	if n := s.head.Count(); n != want {
		return nil, stoa.Errorf(stoa.Internal, "the worker answered %d items of %d", n, want)
	}
	results := make([]stoa.Result, want)
	for i := range results {
		if err := decodeResult(s, &results[i]); err != nil {
			return nil, err
		}
	}
	return results, s.head.Err()
}

func decodeResult(s *splitter, out *stoa.Result) error {
	if s.head.Uvarint() == 1 {
		e := new(stoa.Error)
		if err := json.Unmarshal(s.head.Bytes(), e); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the worker sent an error that cannot be read")
		}
		out.Err = e
	} else {
		v, size := readValue(s.head)
		d, err := s.data(size)
		if err != nil {
			return err
		}
		v.Data = d
		out.Value = v
	}
	out.Usage.Compute = time.Duration(s.head.Uvarint())
	out.Usage.Batch = time.Duration(s.head.Uvarint())
	out.Usage.BatchSize = int(s.head.Uvarint())
	out.Stdout, out.Stderr = s.head.String(), s.head.String()
	return nil
}
