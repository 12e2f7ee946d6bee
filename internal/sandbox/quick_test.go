package sandbox_test

import (
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

// A command that ends before anybody looked must be told as any other.
func TestAQuickCommand(t *testing.T) {
	s := need(t, sandbox.Config{})
	for range 60 {
		out, err := shell(t, s, sandbox.Spec{First: true}, "echo hi")
		if err != nil || out != "hi\n" {
			t.Fatalf("%q %v", out, err)
		}
	}
}
