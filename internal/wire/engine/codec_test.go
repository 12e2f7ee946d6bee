package engine

import (
	"bytes"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stoa-project/stoa"
)

// aligned joins parts in memory that begins at a multiple of dataAlign, as the
// frames of package wire do where it matters.
func aligned(parts [][]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	buf := make([]byte, n+dataAlign)
	skip := -int(uintptr(unsafe.Pointer(&buf[0]))) & (dataAlign - 1)
	out := buf[skip:skip]
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestRunCrossesTheWire(t *testing.T) {
	items := []stoa.Value{
		{Type: stoa.Text, Data: []byte("hello")},
		{Type: stoa.Void},
		{Type: stoa.Binary, MediaType: "image/png", Data: bytes.Repeat([]byte{7}, 1000)},
		{Type: stoa.JSON, Data: []byte("[1]")},
	}
	call := Call{Token: "t", Request: "r", Left: time.Second}
	run, err := DecodeRun(aligned(EncodeRun(Run{ID: "ann/net@1", Call: call, Items: items})))
	got := run.Items
	if err != nil || run.ID != "ann/net@1" || run.Call != call {
		t.Fatalf("%+v, %v", run, err)
	}
	if d := cmp.Diff(items, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	for i, v := range got {
		if len(v.Data) > 0 && uintptr(unsafe.Pointer(&v.Data[0]))%dataAlign != 0 {
			t.Errorf("item %d is not aligned", i)
		}
	}
}

func TestResultsCrossTheWire(t *testing.T) {
	results := []stoa.Result{
		{Stdout: "said", Stderr: "warned", Value: stoa.Value{Type: stoa.JSON, Data: []byte("{}")}, Usage: stoa.Usage{Compute: time.Second, BatchSize: 2, Batch: 3}},
		{Err: &stoa.Error{Kind: stoa.TooLarge, Type: "InputError", Msg: "too large"}, Usage: stoa.Usage{Compute: 1}},
		{Value: stoa.Value{Type: stoa.Binary, Data: bytes.Repeat([]byte{9}, 500)}},
	}
	got, err := DecodeResults(aligned(EncodeResults(results)), len(results))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(results, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if _, err := DecodeResults(aligned(EncodeResults(results)), 2); err == nil {
		t.Error("three results for two items were taken")
	}
}

func FuzzDecode(f *testing.F) {
	join := func(parts [][]byte) []byte { return bytes.Join(parts, nil) }
	f.Add(join(EncodeRun(Run{ID: "m", Items: []stoa.Value{{Type: stoa.Text, Data: []byte("x")}}})))
	f.Add(join(EncodeResults([]stoa.Result{{Value: stoa.Value{Type: stoa.Text, Data: []byte("x")}}})))
	f.Add([]byte{3, 0, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		run, err := DecodeRun(b)
		if err == nil {
			total := 0
			for _, v := range run.Items {
				total += len(v.Data)
			}
			if total > len(b) {
				t.Errorf("%d bytes out of %d", total, len(b))
			}
		}
		_, _ = DecodeResults(b, 1)
	})
}
