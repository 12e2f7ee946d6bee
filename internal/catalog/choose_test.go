package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

// history makes versions, newest first, from "1.0.0 public", "1.1.0", ….
func history(t *testing.T, lines ...string) []*Version {
	t.Helper()
	var vs []*Version
	for _, line := range lines {
		number, public := strings.CutSuffix(line, " public")
		n, err := stoa.ParseVersion(number)
		if err != nil {
			t.Fatal(err)
		}
		hash := strings.Repeat(strings.ReplaceAll(number, ".", ""), 30)[:64]
		vs = append(vs, &Version{Owner: "ada", Name: "net", Number: n, Public: public, Hash: hash})
	}
	slices.SortFunc(vs, func(v, w *Version) int { return w.Number.Compare(v.Number) })
	return vs
}

// Every row of the table of version strings, for everybody who may ask.
func TestChoose(t *testing.T) {
	mixed := history(t, "0.9.0 public", "1.0.0 public", "1.1.0 public", "1.1.1 public", "1.1.2", "1.2.0", "2.0.0 public", "2.0.1", "3.0.0")
	private := history(t, "1.0.0", "1.1.0")
	hash := func(number string) string { return strings.Repeat(strings.ReplaceAll(number, ".", ""), 30)[:64] }
	callers := map[string]stoa.Caller{
		"nobody":   {},
		"stranger": {Account: "bob"},
		"owner":    {Account: "ADA"},
		"admin":    {Account: "root", Admin: true},
	}
	for _, c := range []struct {
		spec           string
		vs             []*Version
		strange, owned string // what strangers get, what owner and admin get
	}{
		{"", mixed, "2.0.0", "2.0.0"},
		{"latest", mixed, "2.0.0", "2.0.0"},
		{"", private, "", "1.1.0"},
		{"latestPrivate", mixed, "", "3.0.0"},
		{"latestPrivate", private, "", "1.1.0"},
		{"latestPrivate", history(t, "1.0.0 public"), "", ""},
		{"1.1.1", mixed, "1.1.1", "1.1.1"},
		{"1.1.2", mixed, "", "1.1.2"},
		{"3.0.0", mixed, "", "3.0.0"},
		{"9.9.9", mixed, "", ""},
		{"1.1", mixed, "1.1.1", "1.1.1"},
		{"1.1.*", mixed, "1.1.1", "1.1.1"},
		{"1.1.x", mixed, "1.1.1", "1.1.1"},
		{"1.2.*", mixed, "", ""},
		{"2.0.*", mixed, "2.0.0", "2.0.0"},
		{"7.7.*", mixed, "", ""},
		{"1", mixed, "1.1.1", "1.1.1"},
		{"1.*", mixed, "1.1.1", "1.1.1"},
		{"0.*", mixed, "0.9.0", "0.9.0"},
		{"3", mixed, "", ""},
		{"1.*", private, "", ""},
		{hash("1.1.1"), mixed, "", "1.1.1"},
		{hash("1.1.2"), mixed, "", "1.1.2"},
		{hash("1.1.2")[:40], mixed, "", "1.1.2"},
		{strings.ToUpper(hash("1.1.2")), mixed, "", "1.1.2"},
		{strings.Repeat("f", 64), mixed, "", ""},
		{strings.Repeat("f", 40), mixed, "", ""},
	} {
		spec, err := stoa.ParseVersionSpec(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		for name, who := range callers {
			want := c.strange
			if name == "owner" || name == "admin" {
				want = c.owned
			}
			got := ""
			if v := choose(c.vs, sightOf(who, "ada"), spec); v != nil {
				got = v.Number.String()
			}
			if got != want {
				t.Errorf("%q for %s: got %q, want %q", c.spec, name, got, want)
			}
		}
	}
}

// Content that was published, changed, and published again: the newest of it.
func TestChooseByHashTakesTheNewest(t *testing.T) {
	vs := history(t, "1.0.0", "1.1.0", "1.2.0")
	vs[0].Hash = vs[2].Hash
	got := choose(vs, everything, stoa.VersionSpec{Kind: stoa.ByHash, Hash: vs[2].Hash})
	if got != vs[0] {
		t.Errorf("got %v", got)
	}
	if got := choose(vs, everything, stoa.VersionSpec{Kind: stoa.ByHash}); got != nil {
		t.Errorf("no hash at all chose %v", got)
	}
}

func TestNoVersionSays(t *testing.T) {
	mixed := history(t, "1.0.0 public", "1.1.0", "1.2.0 public", "3.0.0")
	for _, c := range []struct {
		spec string
		s    sight
		vs   []*Version
		want string
	}{
		{"9.9.9", publicOnly, mixed, "version 9.9.9 of algorithm algo://Ada/Net not found; the nearest is 1.2.0"},
		{"9.9.9", everything, mixed, "version 9.9.9 of algorithm algo://Ada/Net not found; the nearest is 3.0.0 (private)"},
		{"1.1.0", publicOnly, mixed, "version 1.1.0 of algorithm algo://Ada/Net not found; the nearest are 1.2.0 and 1.0.0"},
		{"1.1.5", everything, mixed, "version 1.1.5 of algorithm algo://Ada/Net not found; the nearest are 1.2.0 and 1.1.0 (private)"},
		{"0.0.1", publicOnly, mixed, "version 0.0.1 of algorithm algo://Ada/Net not found; the nearest is 1.0.0"},
		{"3.*", publicOnly, mixed, "version 3.* of algorithm algo://Ada/Net not found; the nearest is 1.2.0"},
		{"3.*", everything, mixed, "version 3.* of algorithm algo://Ada/Net not found; * means public versions only; the nearest is 1.2.0"},
		{"1.*", everything, history(t, "1.0.0"), "version 1.* of algorithm algo://Ada/Net not found; * means public versions only; the nearest is 1.0.0 (private)"},
		{"latestPrivate", publicOnly, mixed, "version latestPrivate of algorithm algo://Ada/Net not found; the nearest is 1.2.0"},
		{"9.9.9", publicOnly, history(t, "1.0.0"), "algorithm algo://Ada/Net not found"},
		{"", publicOnly, history(t, "1.0.0"), "algorithm algo://Ada/Net not found"},
	} {
		spec, err := stoa.ParseVersionSpec(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		err = noVersion(c.vs, c.s, stoa.Ref{Owner: "Ada", Name: "Net", Version: spec})
		if stoa.KindOf(err) != stoa.NotFound || stoa.AsError(err).Msg != c.want {
			t.Errorf("%q: %v\nwant %s", c.spec, err, c.want)
		}
	}
}

func TestSightOf(t *testing.T) {
	if sightOf(stoa.Caller{}, "") != publicOnly {
		t.Error("nobody owns what has no owner")
	}
}
