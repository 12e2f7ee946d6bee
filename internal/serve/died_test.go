package serve

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestWhyAnImportDied(t *testing.T) {
	b := &builder{cfg: &Config{ImportMemory: 256 << 20}}
	tests := []struct {
		script, stderr string
		kind           stoa.Kind
		want           string
	}{
		{"exit 2", "fatal error: runtime: out of memory", stoa.TooLarge, "1024 MiB"},
		{"kill -ABRT $$", "runtime/cgo: pthread_create failed: Resource temporarily unavailable", stoa.TooLarge, "1024 MiB"},
		{"kill -KILL $$", "", stoa.TooLarge, "memory runs out"},
		{"kill -SEGV $$", "", stoa.Invalid, "segmentation fault"},
		{"exit 2", "panic: index\n\ngoroutine 1 [running]:", stoa.Invalid, "damaged"},
		{"exit 1", "first\nthe last words\n", stoa.Invalid, "the last words"},
		{"exit 1", "", stoa.Invalid, "it said nothing"},
	}
	for _, tt := range tests {
		err := b.died(t.Context(), exec.Command("/bin/sh", "-c", tt.script).Run(), tt.stderr, 1<<30)
		if stoa.KindOf(err) != tt.kind || !strings.Contains(stoa.AsError(err).Msg, tt.want) {
			t.Errorf("%s, %q: %v", tt.script, tt.stderr, err)
		}
	}
	if err := b.died(t.Context(), exec.Command("/nowhere").Run(), "", 1<<30); stoa.KindOf(err) != stoa.Unavailable {
		t.Errorf("no program: %v", err)
	}
}
