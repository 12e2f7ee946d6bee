package code

import (
	"os"
	"strings"
	"testing"
)

// registries skips what fetches packages, unless it is asked for.
func registries(t *testing.T) {
	t.Helper()
	if os.Getenv("STOA_REGISTRIES") == "" {
		t.Skip("SKIPPED: this fetches packages, which make test-registries does")
	}
}

// Algorithmia's own folder form with its own kit, and its published client called
// from within, both as PyPI has them.
func TestAlgorithmiasKitAndClient(t *testing.T) {
	registries(t)
	s := shared(t)
	pushChain(t, s)
	for _, name := range []string{"kit", "inside"} {
		r := bundle(t, "testdata/"+name)
		r.As = "admin/" + name
		r.Manifest = "name: admin/" + name + "\nkind: code\ncode: {language: python, build: {network: true}}\n"
		push(t, s, r)
	}
	if a, _ := post(t, s, "admin/kit", "", "text/plain", "Ada"); string(a.Result) != `"hello Ada"` {
		t.Errorf("the kit answers %s %+v", a.Result, a.Error)
	}
	if a, _ := post(t, s, "admin/kit", "", "text/plain", "raise"); !strings.Contains(a.Error.Message, "out of cheese") || a.Error.ErrorType == "SystemExit" {
		t.Errorf("the kit raises %+v", a.Error)
	}
	if a, _ := post(t, s, "admin/inside", "", "text/plain", "admin/chain_go"); string(a.Result) != `"go"` {
		t.Errorf("the client within answers %s %+v", a.Result, a.Error)
	}
}
