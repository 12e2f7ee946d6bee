package publish_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/web"
	"github.com/stoa-project/stoa/internal/web/page/publish"
	"github.com/stoa-project/stoa/internal/web/webtest"
)

// oneKey knows one key, of ann's.
type oneKey struct{}

func (oneKey) Authenticate(_ context.Context, key string) (stoa.Caller, error) {
	if key != "k" {
		return stoa.Caller{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	return stoa.Caller{Account: "ann<b>"}, nil
}

// get asks for the page with a key; "" for none.
func get(t *testing.T, key string) (*http.Response, string) {
	t.Helper()
	site, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := publish.Routes(site)
	if err != nil {
		t.Fatal(err)
	}
	h, err := api.New(api.Config{Auth: oneKey{}, Doors: []api.Door{site.Door(routes...)}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	return webtest.Get(t, s.URL+"/publish", key)
}

func TestVisitorsSeeWhatThePageDoes(t *testing.T) {
	res, page := get(t, "")
	if res.StatusCode != http.StatusOK || !strings.Contains(page, `href="/sign-in?next=/publish"`) || strings.Contains(page, `id="app"`) {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
}

func TestTheFormIsForWhoIsSignedIn(t *testing.T) {
	res, page := get(t, "k")
	if res.StatusCode != http.StatusOK || !strings.Contains(page, `data-account="ann&lt;b&gt;"`) || strings.Contains(page, "next=/publish") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if len(page) > 40_000 || !strings.Contains(page, "<noscript>") {
		t.Errorf("%d bytes", len(page))
	}
	for _, never := range []string{"style=", "onclick", "ondrop", "<script>", "<b>"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	// Every field has a label, or is one's content.
	labelled := regexp.MustCompile(`<label[^>]* for="([^"]+)"`).FindAllStringSubmatch(page, -1)
	for _, m := range regexp.MustCompile(`(?:<(?:input|select|textarea)[^>]* id="([^"]+)")`).FindAllStringSubmatch(page, -1) {
		inside := regexp.MustCompile(`<label[^>]*><input[^>]* id="` + m[1] + `"`).MatchString(page)
		if !inside && !slices.ContainsFunc(labelled, func(l []string) bool { return l[1] == m[1] }) {
			t.Errorf("%s has no label", m[1])
		}
	}
}

// TestTheFormKnowsTheSchemasFields holds the few names that the script knows
// itself to the schema, of which it makes the form.
func TestTheFormKnowsTheSchemasFields(t *testing.T) {
	b, err := os.ReadFile("form.ts")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := manifest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	script := string(b)
	section := func(from, to string) string {
		_, rest, ok := strings.Cut(script, from)
		part, _, found := strings.Cut(rest, to)
		if !ok || !found {
			t.Fatalf("form.ts has no %s", from)
		}
		return part
	}
	var names []string
	for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(section("const order = [", "]")+section(`["name", "tagline"`, "]"), -1) {
		names = append(names, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^  (\w+):`).FindAllStringSubmatch(section("const adapters", "};"), -1) {
		names = append(names, m[1])
	}
	if len(names) < 15 {
		t.Fatalf("only %v", names)
	}
	for _, n := range names {
		if !strings.Contains(string(schema), `"`+n+`": {`) {
			t.Errorf("the schema has no %s", n)
		}
	}
}
