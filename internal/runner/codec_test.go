package runner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
)

func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		h  header
		ok bool
	}{
		"ready":            {header{kind: kindReady, size: 10, head: 10}, true},
		"result":           {header{kind: kindResult, content: 3, size: 1 << 31, number: 1 << 63}, true},
		"log":              {header{kind: kindLog, content: 2, size: 5}, true},
		"a log of nothing": {header{kind: kindLog, size: 5}, false},
		"a third stream":   {header{kind: kindLog, content: 3, size: 5}, false},
		"content of error": {header{kind: kindError, content: 1}, false},
		"content 4":        {header{kind: kindResult, content: 4}, false},
		"a long head":      {header{kind: kindResult, size: 5, head: 6}, false},
		"our own":          {header{kind: kindCall}, false},
		"none":             {header{}, false},
	} {
		got, err := parseHeader(c.h.append(nil))
		if (err == nil) != c.ok || got != c.h {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestHeadOfACall(t *testing.T) {
	for want, c := range map[string]Call{
		``: {},
		`{"request_id":"r-1","token":"t","deadline_ms":1234,"media_type":"image/png"}`: {
			Request: "r-1", Token: "t", Left: 1234567 * time.Microsecond, Input: stoa.Value{MediaType: "image/png"},
		},
		`{"deadline_ms":1}`:                    {Left: time.Microsecond},
		`{"request_id":"\"\\\n\u0001é\ufffd"}`: {Request: "\"\\\n\x01é\xff"},
	} {
		got := string(appendCallHead(nil, &c))
		if strings.ReplaceAll(got, "\ufffd", `\ufffd`) != want || want != "" && !json.Valid([]byte(got)) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	value := func(kind stoa.ValueType, s string) stoa.Value { return stoa.Value{Type: kind, Data: []byte(s)} }
	for in, want := range map[string]stoa.Value{
		`{"result":"hi","metadata":{"content_type":"text"}}`: value(stoa.Text, "hi"),
		`{"result":"hi"}`:     value(stoa.Text, "hi"),
		`{"result":{"a": 1}}`: value(stoa.JSON, `{"a": 1}`),
		`{"result":null,"metadata":{"content_type":"json"}}`:             value(stoa.JSON, "null"),
		`{"result":"hi","metadata":{"content_type":"json"}}`:             value(stoa.JSON, `"hi"`),
		`{"result":"aGVs\nbG8=\n","metadata":{"content_type":"binary"}}`: value(stoa.Binary, "hello"),
		`{"result":"aGVsbG8","metadata":{"content_type":"binary"}}`:      value(stoa.Binary, "hello"),
		`{"result":null,"metadata":{"content_type":"void"}}`:             {Type: stoa.Void},
		"{\n  \"result\": [\n    1\n  ]\n}":                              value(stoa.JSON, "[1]"),
	} {
		got, err := parseAnswer([]byte(in), 100)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", in, err, d)
		}
	}
	for in, want := range map[string]stoa.Error{
		`{"error":{"message":"m","error_type":"T","stacktrace":"s"}}`: {Type: "T", Msg: "m", Stack: "s"},
		`{"error":{"message":"m","stack_trace":"s"}}`:                 {Type: AlgorithmError, Msg: "m", Stack: "s"},
		`{"error":{"message":"m","stacktrace":["a","b"]}}`:            {Type: AlgorithmError, Msg: "m", Stack: "a\nb"},
		`{"error":{"message":"m","stacktrace":null}}`:                 {Type: AlgorithmError, Msg: "m"},
		`{"error":{}}`: {Type: AlgorithmError, Msg: "the algorithm failed, and gave no message"},
		`{"result":"` + strings.Repeat("x", 101) + `"}`: {Type: OutputTooLarge},
		`{"result":NaN}`: {Type: ProtocolError},
		`{"answer":1}`:   {Type: ProtocolError},
		`{"result":1,"metadata":{"content_type":"text"}}`:      {Type: ProtocolError},
		`{"result":"&","metadata":{"content_type":"binary"}}`:  {Type: ProtocolError},
		`{"result":"x","metadata":{"content_type":"picture"}}`: {Type: ProtocolError},
	} {
		_, err := parseAnswer([]byte(in), 100)
		if err == nil || err.Kind != stoa.Failed || err.Type != want.Type || want.Msg != "" && err.Msg != want.Msg || err.Stack != want.Stack {
			t.Errorf("%s: %+v", in, err)
		}
	}
}

// A long string is not read by package json, and gives the same.
func TestLongStrings(t *testing.T) {
	long := strings.Repeat("aGVs", 1000)
	for _, result := range []string{long, "é" + long, long + `\n`, long + "\xff", long + "\u0085"} {
		for _, kind := range []string{"text", "json", "binary"} {
			var got [2]stoa.Value
			var errs [2]string
			for i, form := range []string{`{ "result" : "%r","metadata":{"content_type":"%k"}}`, `{"metadata":{"content_type":"%k"},"result":"%r"}`} {
				v, err := parseAnswer([]byte(strings.NewReplacer("%r", result, "%k", kind).Replace(form)), 1<<20)
				got[i] = v
				if err != nil {
					errs[i] = err.Msg
				}
			}
			if kind == "json" { // what is no UTF-8 may be replaced or not
				for i := range got {
					got[i].Data = bytes.ToValidUTF8(got[i].Data, []byte("\ufffd"))
				}
			}
			if d := cmp.Diff(got[0], got[1]); d != "" || errs[0] != errs[1] {
				t.Errorf("%s ...%q: %q, %q: %.300s", kind, result[len(result)-4:], errs[0], errs[1], d)
			}
		}
	}
	for _, bad := range []string{`{"result":"` + long + "\n" + `"}`, `{"result":"` + long + `"`, `{"result":"` + long + `" 1}`, `{"result":"` + long + `",}`} {
		if _, err := parseAnswer([]byte(bad), 1<<20); err == nil {
			t.Errorf("...%q was taken", bad[len(bad)-5:])
		}
	}
}

func TestRequestsAreOneLine(t *testing.T) {
	for want, v := range map[string]stoa.Value{
		`{"content_type":"text","data":"a\nb\u2028\u0000"}`: {Type: stoa.Text, Data: []byte("a\nb\u2028\x00")},
		`{"content_type":"json","data":{"a":[1,"\u2029"]}}`: {Type: stoa.JSON, Data: []byte("{\n\"a\": [1,\t\"\u2029\"]}\r\n")},
		`{"content_type":"binary","data":"AP8="}`:           {Type: stoa.Binary, Data: []byte{0, 255}},
		`{"content_type":"json","data":null}`:               {Type: stoa.Void},
	} {
		got, err := appendRequest(nil, v)
		if err != nil || string(got) != want+"\n" {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	if _, err := appendRequest(nil, stoa.Value{Type: stoa.JSON, Data: []byte("{")}); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("half a JSON value: %v", err)
	}
}

// fakeRunner has one call under way and no process.
func fakeRunner() (*Runner, *call) {
	p := Program{Output: 1000, Log: 1000, Concurrency: 4}
	r := &Runner{program: p, logs: newLogs(&p, &Config{}), slots: make(chan struct{}, 4), loaded: make(chan error, 1), loading: true}
	c := &call{number: 1, done: make(chan struct{}, 1)}
	r.calls, r.live = map[uint64]*call{1: c}, 1
	r.slots <- struct{}{}
	r.logs.begin(c)
	return r, c
}

func frame(kind frameKind, content uint8, number uint64, head, data string) []byte {
	b := header{size: uint32(len(head) + len(data)), kind: kind, content: content, head: uint16(len(head)), number: number}.append(nil)
	return append(append(b, head...), data...)
}

func FuzzFrames(f *testing.F) {
	ready := frame(kindReady, 0, 0, `{"protocol":1}`, "")
	f.Add(append(ready, frame(kindResult, 1, 1, "", "hello")...))
	f.Add(append(ready, append(frame(kindChunk, 3, 1, "", "part"), frame(kindResult, 3, 1, `{"media_type":"a/b"}`, "end")...)...))
	f.Add(append(ready, append(frame(kindLog, 2, 1, "", "said"), frame(kindError, 0, 1, `{"message":"m","stacktrace":["a"]}`, "")...)...))
	f.Add(append(ready, header{kind: kindResult, size: 1<<32 - 1, number: 1, content: 3}.append(nil)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		var ends [2]string
		for i, br := range []*bufio.Reader{
			bufio.NewReaderSize(bytes.NewReader(in), 8<<10),
			bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(in)), headerSize),
		} {
			r, c := fakeRunner()
			err := (&framesTalk{r: r}).hear(br)
			if err == nil {
				t.Fatal("a stream that ends gave no error")
			}
			select {
			case <-c.done:
				ends[i] = string(c.value.Type) + string(c.value.Data) + c.stdout + c.stderr
				if len(c.value.Data) > 1000 || len(c.stdout) > 1100 {
					t.Errorf("%d bytes, %d printed", len(c.value.Data), len(c.stdout))
				}
			default:
			}
		}
		if ends[0] != ends[1] {
			t.Errorf("%q in whole, %q in pieces", ends[0], ends[1])
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"result":"a\"}b","metadata":{"content_type":"text"}} {"error":{"message":"m"}}`), uint16(3))
	f.Add([]byte("{\"result\":[{\"\\\\\":[]}]}\n\n{}"), uint16(1))
	f.Add([]byte(`{"a":"`+strings.Repeat("x", 200)+`"}{}`), uint16(7))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		objects := func(step int) (all []string, broken bool) {
			s := scanner{limit: 100}
			for at := 0; at < len(in); at += step {
				for b := in[at:min(at+step, len(in))]; len(b) > 0; {
					rest, object, size, err := s.next(b)
					if err != nil {
						return all, true
					}
					if object != nil {
						if len(object) > 100 || size < int64(len(object)) {
							t.Fatalf("%d bytes of %d", len(object), size)
						}
						all = append(all, string(object))
						if v, err := parseAnswer(object, 50); err == nil && len(v.Data) > 50 {
							t.Errorf("a result of %d bytes", len(v.Data))
						}
					}
					b = rest
				}
			}
			return all, false
		}
		whole, broken := objects(len(in) + 1)
		pieces, brokenToo := objects(int(step%64) + 1)
		if d := cmp.Diff(whole, pieces); d != "" || broken != brokenToo {
			t.Errorf("%v, %v: %s", broken, brokenToo, d)
		}
	})
}

func TestAnObjectBeyondTheLimitIsCutAndTheNextIsFound(t *testing.T) {
	s := scanner{limit: 10}
	in := []byte(`{"a":"` + strings.Repeat("x", 50) + `"}{"b":1}`)
	rest, object, size, err := s.next(in)
	if err != nil || len(object) != 10 || size != 58 {
		t.Errorf("%q of %d, %v", object, size, err)
	}
	if _, object, _, err = s.next(rest); err != nil || string(object) != `{"b":1}` {
		t.Errorf("%q, %v", object, err)
	}
	if _, _, _, err := s.next([]byte(" 1")); !errors.Is(err, errNoObject) {
		t.Errorf("a number: %v", err)
	}
}
