package main

import (
	"os/exec"
	"strings"
	"testing"
)

// heavy are packages that cost time at every start, or room in every archive.
var heavy = map[string]string{
	"regexp":        "compiles expressions when the program starts",
	"text/template": "brings reflection that keeps every method",
	"html/template": "see text/template",
	"net/http":      "the program forwards bytes, and speaks no HTTP",
	"crypto/tls":    "see net/http",
	"log/slog":      "there is one line to log",
	"testing":       "a kit, which is for tests",
	"github.com/stoa-project/stoa/internal/worker":   "knows models and pictures",
	"github.com/stoa-project/stoa/internal/manifest": "knows YAML and schemas",
}

func TestItStaysSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if why, bad := heavy[dep]; bad {
			t.Errorf("stoa-init links %s: %s", dep, why)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"walk"}, {"serve", "--nothing"}, {"serve", "x"}, {"run"}, {"run", "--linger", "1s", "--", "true"}} {
		if got := run(args); got != exitUsage {
			t.Errorf("%q gave %d", args, got)
		}
	}
	if got := run([]string{"run", "--", "no-such-command"}); got != exitFailed {
		t.Errorf("a command that is not there gave %d", got)
	}
	if got := run([]string{"run", "--", "sh", "-c", "kill -9 $$"}); got != 128+9 {
		t.Errorf("a command that was killed gave %d", got)
	}
}
