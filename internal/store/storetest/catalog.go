package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// Catalog holds the store that open makes, empty and anew for every test, to
// what catalog.Store promises.
func Catalog(t *testing.T, open func(t *testing.T) catalog.Store) {
	for name, test := range map[string]func(*testing.T, catalog.Store){
		"Publish":          publish,
		"FirstNumbers":     firstNumbers,
		"Numbers":          numbers,
		"SameContent":      sameContent,
		"Versions":         versions,
		"Search":           search,
		"SearchOrder":      searchOrder,
		"SearchFacets":     searchFacets,
		"SearchPages":      searchPages,
		"Faces":            faces,
		"AnyText":          anyText,
		"Remove":           remove,
		"NumbersStayTaken": numbersStayTaken,
		"Holders":          holders,
		"ManyBlobs":        manyBlobs,
		"Cancel":           cancelCatalog,
		"PublishAtOnce":    publishAtOnce,
		"SameAtOnce":       sameAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func digest(c string) blob.Digest { return blob.Digest(strings.Repeat(c, 64)) }

// version makes one to publish; content tells versions apart.
func version(ref, content string) catalog.Version {
	owner, name, _ := strings.Cut(ref, "/")
	return catalog.Version{
		Owner: owner, Name: name, Kind: "model", Tagline: "says 'hello' to café", Hash: content,
		Manifest: json.RawMessage(`{"kind":"model","tags":["a"]}`),
		Files:    []blob.File{{Name: "net.caffemodel", Digest: digest("a"), Size: 1 << 40}, {Name: "stoa.yaml", Digest: digest("b"), Size: 7}},
		Built:    []blob.File{{Name: "model.onnx", Digest: digest("c"), Size: 9}},
		Report:   json.RawMessage(`{"framework":"caffe"}`), Framework: "caffe",
		Creator: "ada", Created: noon,
	}
}

func public(v catalog.Version) catalog.Version {
	v.Public = true
	return v
}

func add(t *testing.T, s catalog.Store, v catalog.Version, bump stoa.Bump) catalog.Version {
	t.Helper()
	out, created, err := s.Publish(t.Context(), v, bump)
	if err != nil || !created {
		t.Fatalf("Publish = created %v, %v", created, err)
	}
	return out
}

func publish(t *testing.T, s catalog.Store) {
	in := public(version("Ada/Net", "h1"))
	out := add(t, s, in, stoa.BumpMinor)
	if len(out.Algorithm) != 36 || out.ID == "" || out.ID == out.Algorithm {
		t.Errorf("ids: algorithm %q, version %q", out.Algorithm, out.ID)
	}
	want := in
	want.ID, want.Algorithm, want.Number = out.ID, out.Algorithm, stoa.Version{Minor: 1}
	same(t, "what was published", out, want)

	next := add(t, s, version("ADA/net", "h2"), stoa.BumpMajor)
	if next.Owner != "Ada" || next.Name != "Net" || next.Algorithm != out.Algorithm || next.ID == out.ID {
		t.Errorf("the second version: %s/%s of %s", next.Owner, next.Name, next.Algorithm)
	}
	for _, key := range []string{"ada/net", "Ada/Net", out.Algorithm, strings.ToUpper(out.Algorithm)} {
		got, err := s.Versions(t.Context(), key)
		must(t, err)
		same(t, "the versions of "+key, got, []catalog.Version{next, want})
	}
	bare := version("ada/bare", "h")
	bare.Files, bare.Built, bare.Report = nil, nil, nil
	bare = add(t, s, bare, stoa.BumpMinor)
	got, err := s.Versions(t.Context(), "ada/bare")
	must(t, err)
	same(t, "a version of nothing", got, []catalog.Version{bare})
}

func firstNumbers(t *testing.T, s catalog.Store) {
	for bump, want := range map[stoa.Bump]string{stoa.BumpMajor: "1.0.0", stoa.BumpMinor: "0.1.0", stoa.BumpRevision: "0.0.1"} {
		if got := add(t, s, version("ada/"+string(bump), "h"), bump).Number.String(); got != want {
			t.Errorf("the first %s version is %s, want %s", bump, got, want)
		}
	}
}

func numbers(t *testing.T, s catalog.Store) {
	for i, step := range []struct {
		bump stoa.Bump
		want string
	}{
		{stoa.BumpMinor, "0.1.0"},
		{stoa.BumpRevision, "0.1.1"},
		{stoa.BumpMinor, "0.2.0"},
		{stoa.BumpMajor, "1.0.0"},
		{stoa.BumpRevision, "1.0.1"},
		{stoa.BumpMajor, "2.0.0"},
	} {
		v := version("ada/net", fmt.Sprint("h", i))
		v.Public = i%2 == 0
		if got := add(t, s, v, step.bump).Number.String(); got != step.want {
			t.Errorf("step %d, %s: %s, want %s", i, step.bump, got, step.want)
		}
	}
	got, err := s.Versions(t.Context(), "ada/net")
	must(t, err)
	if !slices.IsSortedFunc(got, func(v, w catalog.Version) int { return w.Number.Compare(v.Number) }) {
		t.Error("the versions are not newest first")
	}
}

func sameContent(t *testing.T, s catalog.Store) {
	private := add(t, s, version("ada/net", "h1"), stoa.BumpMinor)
	other := version("ada/net", "h1")
	other.Built = []blob.File{{Name: "other.onnx", Digest: digest("d"), Size: 1}}
	got, created, err := s.Publish(t.Context(), other, stoa.BumpMajor)
	if created || err != nil {
		t.Errorf("the same content again: created %v, %v", created, err)
	}
	same(t, "the same content again", got, private)

	shown := add(t, s, public(version("ada/net", "h1")), stoa.BumpMinor)
	got, created, err = s.Publish(t.Context(), version("ada/net", "h1"), stoa.BumpMinor)
	if created || err != nil || got.ID != private.ID {
		t.Errorf("the same private content: %s, created %v, %v", got.Number, created, err)
	}
	got, created, err = s.Publish(t.Context(), public(version("ada/net", "h1")), stoa.BumpMinor)
	if created || err != nil || got.ID != shown.ID {
		t.Errorf("the same public content: %s, created %v, %v", got.Number, created, err)
	}
	add(t, s, version("ada/net", "h2"), stoa.BumpMinor)
	add(t, s, version("ada/net", "h1"), stoa.BumpMinor) // not the newest private one any more
	add(t, s, version("bob/net", "h1"), stoa.BumpMinor) // another algorithm
}

func versions(t *testing.T, s catalog.Store) {
	for _, key := range []string{"ada/net", "00000000-0000-4000-8000-000000000000", "", "%", "' OR 1=1 --"} {
		_, err := s.Versions(t.Context(), key)
		wants(t, err, stoa.NotFound)
	}
}

func remove(t *testing.T, s catalog.Store) {
	one := add(t, s, version("ada/net", "h1"), stoa.BumpMajor)
	two := add(t, s, version("ada/net", "h2"), stoa.BumpMajor)
	other := add(t, s, version("ada/other", "h1"), stoa.BumpMajor)
	wants(t, s.Remove(t.Context(), "ada/net", &stoa.Version{Major: 9}), stoa.NotFound)
	wants(t, s.Remove(t.Context(), "ada/none", nil), stoa.NotFound)
	wants(t, s.Remove(t.Context(), "ada/none", &stoa.Version{Major: 1}), stoa.NotFound)
	must(t, s.Remove(t.Context(), "ADA/net", &one.Number))
	wants(t, s.Remove(t.Context(), "ada/net", &one.Number), stoa.NotFound)
	got, err := s.Versions(t.Context(), "ada/net")
	must(t, err)
	same(t, "what is left", got, []catalog.Version{two})
	must(t, s.Remove(t.Context(), two.Algorithm, nil))
	_, err = s.Versions(t.Context(), "ada/net")
	wants(t, err, stoa.NotFound)
	got, err = s.Versions(t.Context(), "ada/other")
	must(t, err)
	same(t, "the other algorithm", got, []catalog.Version{other})
	again := add(t, s, version("ada/net", "h2"), stoa.BumpMajor)
	if again.Algorithm == two.Algorithm || again.Number.String() != "1.0.0" {
		t.Errorf("after the removal: %s of %s", again.Number, again.Algorithm)
	}
}

func numbersStayTaken(t *testing.T, s catalog.Store) {
	one := add(t, s, version("ada/net", "h1"), stoa.BumpMajor)
	must(t, s.Remove(t.Context(), "ada/net", &one.Number))
	_, err := s.Versions(t.Context(), "ada/net")
	wants(t, err, stoa.NotFound)
	two := add(t, s, version("ada/net", "h1"), stoa.BumpMajor)
	if two.Number.String() != "2.0.0" || two.Algorithm != one.Algorithm {
		t.Errorf("after 1.0.0 was removed: %s of %s, want 2.0.0 of %s", two.Number, two.Algorithm, one.Algorithm)
	}
}

func holders(t *testing.T, s catalog.Store) {
	add(t, s, version("Ada/net", "h1"), stoa.BumpMajor)
	add(t, s, version("Ada/net", "h2"), stoa.BumpMajor)
	shown := public(version("bob/net", "h1"))
	shown.Files = []blob.File{{Name: "x", Digest: digest("a")}, {Name: "y", Digest: digest("a")}, {Name: "z", Digest: digest("e")}}
	shown = add(t, s, shown, stoa.BumpMajor)
	holds := func(want ...catalog.Holder) {
		t.Helper()
		got, err := s.Holders(t.Context(), []blob.Digest{digest("a"), digest("c"), digest("e"), digest("f")})
		must(t, err)
		slices.SortFunc(got, func(g, h catalog.Holder) int {
			return strings.Compare(string(g.Digest)+g.Owner, string(h.Digest)+h.Owner)
		})
		same(t, "the holders", got, want)
	}
	ada := func(c string) catalog.Holder { return catalog.Holder{Digest: digest(c), Owner: "Ada"} }
	bob := func(c string) catalog.Holder { return catalog.Holder{Digest: digest(c), Owner: "bob", Public: true} }
	holds(ada("a"), bob("a"), ada("c"), bob("c"), bob("e"))
	must(t, s.Remove(t.Context(), "bob/net", &shown.Number))
	holds(ada("a"), ada("c"))
	must(t, s.Remove(t.Context(), "ada/net", nil))
	holds()
	none, err := s.Holders(t.Context(), nil)
	if len(none) != 0 || err != nil {
		t.Errorf("the holders of nothing: %v, %v", none, err)
	}
}

func manyBlobs(t *testing.T, s catalog.Store) {
	v := version("ada/net", "h")
	v.Files = nil
	var ds []blob.Digest
	for i := range 2000 {
		d := blob.Digest(fmt.Sprintf("%064x", i))
		ds = append(ds, d)
		v.Files = append(v.Files, blob.File{Name: fmt.Sprint(i), Digest: d, Size: int64(i)})
	}
	v = add(t, s, v, stoa.BumpMinor)
	got, err := s.Versions(t.Context(), "ada/net")
	must(t, err)
	same(t, "the version", got, []catalog.Version{v})
	hs, err := s.Holders(t.Context(), ds)
	must(t, err)
	if len(hs) != len(ds) {
		t.Errorf("%d of %d blobs have a holder", len(hs), len(ds))
	}
}

func cancelCatalog(t *testing.T, s catalog.Store) {
	v := add(t, s, version("ada/net", "h1"), stoa.BumpMinor)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, created, err := s.Publish(ctx, version("ada/net", "h2"), stoa.BumpMinor)
	wants(t, err, stoa.Canceled)
	if created {
		t.Error("created, and cancelled")
	}
	wants(t, s.Remove(ctx, "ada/net", nil), stoa.Canceled)
	_, err = s.Versions(ctx, "ada/net")
	wants(t, err, stoa.Canceled)
	_, err = s.Search(ctx, catalog.Sought{Limit: 1})
	wants(t, err, stoa.Canceled)
	_, err = s.Holders(ctx, []blob.Digest{digest("a")})
	wants(t, err, stoa.Canceled)
	got, err := s.Versions(t.Context(), "ada/net")
	must(t, err)
	same(t, "what is there afterwards", got, []catalog.Version{v})
	// A deadline in the midst leaves all of a version or nothing of it.
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		_, created, err := s.Publish(ctx, version("bob/net", fmt.Sprint("h", i)), stoa.BumpMinor)
		cancel()
		if created != (err == nil) {
			t.Errorf("created %v, and %v", created, err)
		}
	}
	got, err = s.Versions(t.Context(), "bob/net")
	if err != nil {
		wants(t, err, stoa.NotFound)
	}
	for _, v := range got {
		if len(v.Files) != 2 || len(v.Built) != 1 {
			t.Errorf("version %s is not whole", v.Number)
		}
	}
	add(t, s, version("ada/net", "h3"), stoa.BumpMinor)
}

func publishAtOnce(t *testing.T, s catalog.Store) {
	const n = 16
	got := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			v, created, err := s.Publish(t.Context(), version("ada/net", fmt.Sprint("h", i)), stoa.BumpMinor)
			if err != nil || !created {
				t.Errorf("Publish = created %v, %v", created, err)
			}
			got[i] = v.Number.String()
			if _, err := s.Versions(t.Context(), "ada/net"); err != nil {
				t.Errorf("Versions: %v", err)
			}
		})
	}
	wg.Wait()
	var want []string
	for i := range n {
		want = append(want, stoa.Version{Minor: i + 1}.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the numbers given: want -, got +\n%s", diff)
	}
}

func sameAtOnce(t *testing.T, s catalog.Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, ids := 0, map[string]bool{}
	for range 8 {
		wg.Go(func() {
			v, created, err := s.Publish(t.Context(), version("ada/net", "h"), stoa.BumpMinor)
			if err != nil {
				t.Errorf("Publish: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[v.ID] = true
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if made != 1 || len(ids) != 1 {
		t.Errorf("the same content made %d versions, and %d ids were given", made, len(ids))
	}
}
