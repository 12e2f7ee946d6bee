package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
)

// thing makes a public version to be found, and to be told from others.
func thing(ref, tagline, tags, readme string) catalog.Version {
	v := public(version(ref, "h-"+ref+tagline))
	v.Tagline, v.Readme = tagline, readme
	list, err := json.Marshal(strings.Fields(tags))
	if err != nil {
		panic(err)
	}
	v.Manifest = json.RawMessage(`{"kind":"model","tags":` + string(list) + `}`)
	return v
}

// find gives what a search finds, as owner/name/number.
func find(t *testing.T, s catalog.Store, q catalog.Sought) ([]string, catalog.Found) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	found, err := s.Search(t.Context(), q)
	must(t, err)
	out := []string{}
	for _, v := range found.Versions {
		out = append(out, v.Owner+"/"+v.Name+"/"+v.Number.String())
	}
	return out, found
}

func words(text string) catalog.Sought {
	return catalog.Sought{Words: catalog.Words(text), Exact: strings.ToLower(text)}
}

func finds(t *testing.T, s catalog.Store, q catalog.Sought, want ...string) {
	t.Helper()
	got, found := find(t, s, q)
	if len(got) != len(want) || found.Total != len(want) {
		t.Errorf("%+v finds %v, total %d, want %v", q, got, found.Total, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v finds %v, want %v", q, got, want)
			return
		}
	}
}

// search looks for one algorithm by each of its texts.
func search(t *testing.T, s catalog.Store) {
	finds(t, s, catalog.Sought{})
	finds(t, s, words("face"))
	v := add(t, s, thing("Ada/FaceDetect2", "Outlines everybody in a picture", "Portrait vision", "# How it works\n\nA cascade of *three* networks; café."), stoa.BumpMinor)
	add(t, s, thing("bob/other", "Something else", "", ""), stoa.BumpMinor)
	for _, text := range []string{
		"face", "f", "fa", "facedet", "FaceDetect2", "detect", "det", "2", "ada", "ada/facedetect2", "ADA face",
		"outlines", "every pict", "portrait", "VISION", "cascade", "café", "cafe", "how three portrait ada", "face Face",
	} {
		finds(t, s, words(text), "Ada/FaceDetect2/0.1.0")
	}
	for _, text := range []string{"ace", "faces", "face elephant", "tect", "ada/other", "http"} {
		finds(t, s, words(text))
	}
	_, found := find(t, s, words("face"))
	v.Files, v.Built, v.Report = nil, nil, nil
	for _, got := range found.Versions {
		got.Files, got.Built, got.Report = nil, nil, nil // a Store may give them
		same(t, "what is found", *got, v)
	}
}

// searchOrder has names before taglines and tags before READMEs, and the newest
// first where there is no text.
func searchOrder(t *testing.T, s catalog.Store) {
	for i, v := range []catalog.Version{
		thing("ada/zebra", "Counts stripes", "", "It makes a portrait of a portrait, and of that portrait a portrait."),
		thing("ada/PortraitArt", "Paints", "", ""),
		thing("ada/mask", "Cuts out a portrait", "", ""),
		thing("ada/crop", "Crops", "portrait", ""),
		thing("ada/portrait", "Draws", "", strings.Repeat("many other words ", 200)),
		thing("portrait/stripes", "", "", ""),
	} {
		v.Created = v.Created.AddDate(0, 0, i)
		add(t, s, v, stoa.BumpMinor)
	}
	got, _ := find(t, s, words("portrait"))
	place := map[string]int{}
	for i, name := range got {
		place[name] = i
	}
	if len(got) != 6 || got[0] != "ada/portrait/0.1.0" || got[5] != "ada/zebra/0.1.0" ||
		place["ada/PortraitArt/0.1.0"] > 2 || place["portrait/stripes/0.1.0"] > 2 {
		t.Errorf("found in the order %v", got)
	}
	finds(t, s, catalog.Sought{}, "portrait/stripes/0.1.0", "ada/portrait/0.1.0", "ada/crop/0.1.0", "ada/mask/0.1.0", "ada/PortraitArt/0.1.0", "ada/zebra/0.1.0")
	finds(t, s, catalog.Sought{Owner: "portrait"}, "portrait/stripes/0.1.0")
	again := thing("ada/zebra", "Counts stripes again", "", "")
	again.Created = again.Created.AddDate(1, 0, 0)
	add(t, s, again, stoa.BumpMinor)
	if got, _ := find(t, s, catalog.Sought{}); got[0] != "ada/zebra/0.2.0" {
		t.Errorf("the newest version is not first: %v", got)
	}
}

// searchFacets counts kinds and frameworks, each without its own filter.
func searchFacets(t *testing.T, s catalog.Store) {
	for i, of := range []string{"model caffe", "model caffe", "model onnx", "python ", "python caffe"} {
		kind, framework, _ := strings.Cut(of, " ")
		v := thing(fmt.Sprint("ada/net", i), "tagline", "", "")
		v.Kind, v.Framework = kind, framework
		add(t, s, v, stoa.BumpMinor)
	}
	secret := version("bob/net", "h")
	secret.Kind, secret.Framework = "model", "torch"
	add(t, s, secret, stoa.BumpMinor)
	facets := func(fs ...any) []catalog.Facet {
		out := []catalog.Facet{}
		for i := 0; i < len(fs); i += 2 {
			out = append(out, catalog.Facet{Name: fs[i].(string), Count: fs[i+1].(int)})
		}
		return out
	}
	for _, text := range []string{"", "net"} {
		for _, c := range []struct {
			kind, framework, account string
			total                    int
			kinds, frameworks        []catalog.Facet
		}{
			{"", "", "", 5, facets("model", 3, "python", 2), facets("caffe", 3, "onnx", 1)},
			{"model", "", "", 3, facets("model", 3, "python", 2), facets("caffe", 2, "onnx", 1)},
			{"", "caffe", "", 3, facets("model", 2, "python", 1), facets("caffe", 3, "onnx", 1)},
			{"python", "onnx", "", 0, facets("model", 1), facets("caffe", 1)},
			{"none", "", "", 0, facets("model", 3, "python", 2), facets()},
			{"", "", "bob", 6, facets("model", 4, "python", 2), facets("caffe", 3, "onnx", 1, "torch", 1)},
		} {
			q := words(text)
			q.Kind, q.Framework, q.Sight.Account = c.kind, c.framework, c.account
			got, found := find(t, s, q)
			if len(got) != c.total || found.Total != c.total {
				t.Errorf("%+v: %v, total %d, want %d", q, got, found.Total, c.total)
			}
			same(t, fmt.Sprintf("kinds of %+v", q), found.Kinds, c.kinds)
			same(t, fmt.Sprintf("frameworks of %+v", q), found.Frameworks, c.frameworks)
		}
	}
}

func searchPages(t *testing.T, s catalog.Store) {
	for i := range 25 {
		add(t, s, thing(fmt.Sprintf("ada/net%02d", i), "the same", "", ""), stoa.BumpMinor)
	}
	for _, text := range []string{"", "net", "same"} {
		seen := map[string]bool{}
		q := words(text)
		q.Limit = 10
		for _, want := range []int{10, 10, 5, 0} {
			got, found := find(t, s, q)
			if len(got) != want || found.Total != 25 || found.Versions == nil {
				t.Errorf("%q from %d: %v of %d", text, q.Offset, got, found.Total)
			}
			for _, name := range got {
				seen[name] = true
			}
			q.Offset += 10
		}
		if len(seen) != 25 {
			t.Errorf("%q: %d algorithms on all pages together", text, len(seen))
		}
	}
}

// faces follows one algorithm as its versions come and go.
func faces(t *testing.T, s catalog.Store) {
	everybody := func(text string) catalog.Sought { return words(text) }
	owner := func(text string) catalog.Sought {
		q := words(text)
		q.Sight.Account = "ada"
		return q
	}
	admin := func(text string) catalog.Sought {
		q := words(text)
		q.Sight.All = true
		return q
	}
	text := func(v catalog.Version, readme string) catalog.Version {
		v.Readme, v.Tagline = readme, readme
		return v
	}
	one := add(t, s, text(version("Ada/net", "h1"), "first"), stoa.BumpMinor)
	finds(t, s, everybody("net"))
	finds(t, s, everybody("first"))
	finds(t, s, owner("first"), "Ada/net/0.1.0")
	finds(t, s, admin("net"), "Ada/net/0.1.0")

	shown := add(t, s, text(public(version("ada/net", "h2")), "second"), stoa.BumpMinor)
	finds(t, s, everybody("second"), "Ada/net/0.2.0")
	finds(t, s, owner("first"))

	add(t, s, text(version("ada/net", "h3"), "third"), stoa.BumpMinor) // a public one stays the face
	finds(t, s, owner("third"))
	finds(t, s, owner("net"), "Ada/net/0.2.0")
	finds(t, s, everybody(""), "Ada/net/0.2.0")

	must(t, s.Remove(t.Context(), "ada/net", &shown.Number))
	finds(t, s, everybody("second"))
	finds(t, s, everybody(""))
	finds(t, s, owner("third"), "Ada/net/0.3.0")
	must(t, s.Remove(t.Context(), "ada/net", &stoa.Version{Minor: 3}))
	finds(t, s, admin("first"), "Ada/net/0.1.0")
	must(t, s.Remove(t.Context(), "ada/net", &one.Number))
	finds(t, s, admin(""))
	finds(t, s, admin("first"))

	add(t, s, text(public(version("ada/net", "h4")), "fourth"), stoa.BumpMinor)
	add(t, s, text(public(version("bob/net", "h4")), "fifth"), stoa.BumpMinor)
	finds(t, s, everybody("fourth"), "Ada/net/0.4.0")
	must(t, s.Remove(t.Context(), "ada/net", nil))
	finds(t, s, everybody("fourth"))
	finds(t, s, everybody("net"), "bob/net/0.1.0")
	add(t, s, text(public(version("ada/net", "h5")), "sixth"), stoa.BumpMinor)
	finds(t, s, everybody("sixth"), "ada/net/0.1.0")
}

// anyText holds that what people type is never syntax of the index.
func anyText(t *testing.T, s catalog.Store) {
	add(t, s, thing("ada/net", "and or not near", "", ""), stoa.BumpMinor)
	for _, text := range []string{
		`"`, `"net`, `net"`, `net*`, `*`, `net AND`, `AND net`, `NOT net`, `NEAR(net, 2)`, `names:net`, `{names}:net`, `-net`, `^net`,
		`(net`, `net)`, `net + near`, "net\x00", "\xffnet", `'; DROP TABLE faces; --`, `$1`, strings.Repeat("net ", 10000), strings.Repeat("n", 10000),
		"\u0300", "n\u0300et", "नेट", "日本語", "𐐀net", "ª²½net", "a\U0001E900b",
	} {
		find(t, s, words(text))
	}
	finds(t, s, words(`"net" AND near`), "ada/net/0.1.0")
	finds(t, s, catalog.Sought{Words: []string{`net" OR "x`, `) net (`, "\x00"}}) // a word that no caller makes
}
