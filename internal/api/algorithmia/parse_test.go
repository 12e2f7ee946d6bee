package algorithmia

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func FuzzCallPath(f *testing.F) {
	for _, s := range []string{
		"demo/hello", "demo/hello/", "demo/hello/1.0.0", "demo%2Fhello", "demo%252Fhello%252F1.2.%252A", "algo:%2F%2Fdemo/hello",
		"2938ca9f-54c8-4000-8000-000000000001", "2938CA9F-54c8-4000-8000-000000000001/1.x/", "%", "%25", "%2525", "//", "a/b/c/d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := parseCallPath(s)
		if err != nil {
			if stoa.KindOf(err) != stoa.Invalid || stoa.AsError(err).Msg == "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		// What was read is written and read again to the same reference.
		again := strings.TrimSuffix(ref.Owner+"/"+ref.Name, "/")
		if v := ref.Version.String(); v != "" {
			again += "/" + v
		}
		if got, err := parseCallPath(again); err != nil || got != ref {
			t.Errorf("%q gives %+v, which as %q gives %+v, %v", s, ref, again, got, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"", "timeout=300", "timeout=0.5&stdout=True&output=raw&timing=1", "timeout=1e309", "timeout=-1", "timeout=NaN", "output=void;x",
		"%74imeout=3", "&&=&", "timeout", "stdout=%54rue", "timeout=3&timeout=x",
	} {
		f.Add(s)
	}
	a := New(Config{})
	f.Fuzz(func(t *testing.T, s string) {
		q, err := a.parseQuery(s)
		if err == nil && (q.timeout <= 0 || q.timeout > DefaultMaxTimeout) {
			t.Errorf("%q: timeout %s", s, q.timeout)
		}
		if err != nil && stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func FuzzMarker(f *testing.F) {
	for _, s := range []string{"", writeMarker(1), writeMarker(1000), writeMarker(0), writeMarker(-1), "YWZ0ZXI6MQ==", "YWZ0ZXI6KzE", "!", "YWZ0ZXI6OTk5OTk5OTk5OTk5OTk5OTk5OTk5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := readMarker(s)
		if ok && (n < 1 || writeMarker(n) != s) {
			t.Errorf("%q means %d, which is written %q", s, n, writeMarker(n))
		}
	})
}

// FuzzJSON holds the scanner to encoding/json, whose limit on depth it shares.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		"", "null", " [1, -2.5e+3, \"a\\u00e9\\n\", {\"a\":{}, \"a\":[]}] ", "01", "-", "1.", "1e", "[1,]", "{,}", "{\"a\" 1}", "\"\x01\"",
		"\"0123456789abcdef\x1f\"", "\"0123456789abcdef\\\"", "\"\\ud800\"", "\"\\u12g4\"", "[[", "]", "tru", "nulll", "\"\x80\"",
		"{\"a\":1}}", strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := jsonScanner{b: b}
		problem := s.document()
		if (problem == "") != json.Valid(b) {
			t.Errorf("%q: %q, but encoding/json says %v", b, problem, json.Valid(b))
		}
		if checkJSON(b) == nil && problem != "" {
			t.Errorf("%q passed", b)
		}
	})
}

func FuzzContentType(f *testing.F) {
	for _, s := range []string{"", "application/json", "application/JSON; charset=\"UTF-8\"", "text/plain;;", "image/png", "image/", ";", "a/b; c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := valueType(s)
		if err == nil && v.Type == "" {
			t.Errorf("%q: no type and no error", s)
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	long := []byte(`{"image":"` + strings.Repeat("AAECAwQFBgcICQ", 100000) + `"}`)
	numbers := append(bytes.Repeat([]byte("0.123456,"), 100000), '0')
	numbers = append(append([]byte{'['}, numbers...), ']')
	for _, c := range []struct {
		name string
		body []byte
	}{{"string", long}, {"numbers", numbers}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if checkJSON(c.body) != nil {
					b.Fatal("refused")
				}
			}
		})
		b.Run(c.name+"/encoding", func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if !json.Valid(c.body) {
					b.Fatal("refused")
				}
			}
		})
	}
}
