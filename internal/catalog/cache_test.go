package catalog

import (
	"encoding/json"
	"strconv"
	"testing"
)

func TestCacheIsBounded(t *testing.T) {
	var c cache
	large := json.RawMessage(make([]byte, 100_000))
	var last *Version
	for i := range 500 {
		last = &Version{Owner: "Ada", Name: "Net" + strconv.Itoa(i), Algorithm: "id" + strconv.Itoa(i), Report: large}
		for range 2 { // a second time it takes the place of the first
			c.put([]*Version{last}, 0)
		}
		if _, _, ok := c.get([]byte("ada/net" + strconv.Itoa(i))); !ok {
			t.Fatalf("algorithm %d is not remembered", i)
		}
		if c.bytes > cacheBytes {
			t.Fatalf("%d bytes are remembered, want at most %d", c.bytes, cacheBytes)
		}
	}
	if n := len(c.known) / 2; n < 70 || n > 84 {
		t.Errorf("%d algorithms are remembered, want as many as fit", n)
	}
	c.drop(last)
	if _, _, ok := c.get([]byte(last.Algorithm)); ok {
		t.Error("it is remembered after it was dropped")
	}
	c.put([]*Version{last}, 0) // read before the drop
	if _, _, ok := c.get([]byte(last.Algorithm)); ok {
		t.Error("what was read before a drop is remembered after it")
	}
	// One algorithm over the bound is in use, and pushes all others out.
	huge := &Version{Owner: "a", Name: "b", Algorithm: "c", Report: make([]byte, cacheBytes+1)}
	c.put([]*Version{huge}, c.epoch)
	if _, _, ok := c.get([]byte("a/b")); !ok || len(c.known) != 2 {
		t.Errorf("remembered: %v, beside %d others", ok, len(c.known)/2-1)
	}
	c.drop(huge)
	if c.bytes != 0 || len(c.known) != 0 {
		t.Errorf("nothing is remembered, and counts %d bytes", c.bytes)
	}
}
