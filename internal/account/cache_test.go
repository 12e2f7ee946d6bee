package account

import (
	"crypto/sha256"
	"strconv"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestCacheIsBounded(t *testing.T) {
	var c cache
	for i := range 2 * cacheLen {
		id := strconv.Itoa(i)
		c.put(sha256.Sum256([]byte(id)), holder{who: stoa.Caller{Key: id}}, 0)
		if h, _, ok := c.get(sha256.Sum256([]byte(id))); !ok || h.who.Key != id {
			t.Fatalf("key %s is not remembered", id)
		}
	}
	if len(c.known) != cacheLen {
		t.Errorf("%d keys are remembered, want %d", len(c.known), cacheLen)
	}
}
