package code

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// pushChain publishes the three links.
func pushChain(t *testing.T, s *servetest.System) {
	t.Helper()
	for _, name := range []string{"chain_go", "chain_js", "chain_py"} {
		r := bundle(t, "testdata/"+name)
		r.As = "admin/" + name
		push(t, s, r)
	}
}

// A chain of three algorithms in three languages: its answer, its trace, what is
// left of its time, and how it ends where it may not go on.
func TestAChainInThreeLanguages(t *testing.T) {
	s := shared(t)
	pushChain(t, s)
	a, res := post(t, s, "admin/chain_py", "?timeout=20", "application/json", `{"wait":0}`)
	var out struct {
		Path string
		Left float64
		IDs  []string
	}
	if err := json.Unmarshal(a.Result, &out); err != nil {
		t.Fatalf("%v: %s %+v", err, a.Result, a.Error)
	}
	if out.Path != "python > javascript > go" {
		t.Errorf("the answer came by %q", out.Path)
	}
	if out.Left <= 0 || out.Left > 20 {
		t.Errorf("the last link has %g s left of 20", out.Left)
	}
	root := res.Header.Get("X-Request-Id")
	if len(out.IDs) != 2 || out.IDs[0] != root+".1.1" || out.IDs[1] != root+".1" {
		t.Errorf("the calls below %s have the ids %q", root, out.IDs)
	}
	for ref, id := range map[string]string{"admin/chain_py": root, "admin/chain_js": root + ".1", "admin/chain_go": root + ".1.1"} {
		found := false
		err := s.Logs(t.Context(), ref, client.LogQuery{}, func(e client.LogEntry) error {
			found = found || e.Request == id && strings.Contains(e.Text, " has ")
			return nil
		})
		if err != nil || !found {
			t.Errorf("the log of %s has nothing of %s: %v", ref, id, err)
		}
	}
	t.Run("deadline", func(t *testing.T) {
		start := time.Now()
		a, _ := post(t, s, "admin/chain_py", "?timeout=1", "application/json", `{"wait":60}`)
		if a.Error.ErrorType != "TimeoutError" || time.Since(start) > 30*time.Second {
			t.Errorf("%+v after %v", a.Error, time.Since(start))
		}
	})
	t.Run("cycle", func(t *testing.T) {
		a, _ := post(t, s, "admin/chain_py", "", "application/json", `{"wait":0,"third":"admin/chain_py"}`)
		if !strings.Contains(a.Error.Message, "admin/chain_py calls admin/chain_js calls admin/chain_py") {
			t.Errorf("%+v", a.Error)
		}
	})
	t.Run("nobody's", func(t *testing.T) {
		a, _ := post(t, s, "admin/chain_py", "", "application/json", `{"next":"admin/nothing"}`)
		if a.Error.ErrorType == "" || a.Error.Stacktrace == "" {
			t.Errorf("%+v", a.Error)
		}
	})
}
