package stoa_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestParseVersionSpec(t *testing.T) {
	hash := strings.Repeat("aB", 20)
	for in, want := range map[string]stoa.VersionSpec{
		"":              {},
		"latest":        {},
		"LATEST":        {},
		"latestPrivate": {Kind: stoa.NewestPrivate},
		"1.2.3":         {Kind: stoa.ExactVersion, Version: stoa.Version{Major: 1, Minor: 2, Revision: 3}},
		"0.0.0":         {Kind: stoa.ExactVersion},
		"1.2":           {Kind: stoa.NewestOfMinor, Version: stoa.Version{Major: 1, Minor: 2}},
		"1.2.*":         {Kind: stoa.NewestOfMinor, Version: stoa.Version{Major: 1, Minor: 2}},
		"1.2.x":         {Kind: stoa.NewestOfMinor, Version: stoa.Version{Major: 1, Minor: 2}},
		"1":             {Kind: stoa.NewestOfMajor, Version: stoa.Version{Major: 1}},
		"1.*":           {Kind: stoa.NewestOfMajor, Version: stoa.Version{Major: 1}},
		hash:            {Kind: stoa.ByHash, Hash: strings.ToLower(hash)},
	} {
		got, err := stoa.ParseVersionSpec(in)
		if err != nil || got != want {
			t.Errorf("%q gives %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"*", "x", "1.*.3", "1.2.3.4", "1.2.3.*", "-1", "+1", "1.-2", "1..2", "1.", ".1", "v1", "1.2.3-rc", "1000000000", "0x1", "1 ", hash[1:]} {
		if got, err := stoa.ParseVersionSpec(in); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%q gives %+v, %v", in, got, err)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	var vs []stoa.Version
	for _, s := range []string{"1.10.0", "1.9.9", "0.1.0", "10.0.0", "1.9.10"} {
		v, err := stoa.ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
	}
	slices.SortFunc(vs, stoa.Version.Compare)
	var got []string
	for _, v := range vs {
		got = append(got, v.String())
	}
	if want := "0.1.0 1.9.9 1.9.10 1.10.0 10.0.0"; strings.Join(got, " ") != want {
		t.Errorf("sorted %v", got)
	}
	for _, in := range []string{"1.2", "latest", "", "1.*"} {
		if _, err := stoa.ParseVersion(in); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%q is no one version, but: %v", in, err)
		}
	}
}

func TestNext(t *testing.T) {
	v := stoa.Version{Major: 1, Minor: 2, Revision: 3}
	for in, want := range map[string]string{"": "1.3.0", "minor": "1.3.0", "major": "2.0.0", "revision": "1.2.4", "patch": "1.2.4"} {
		b, err := stoa.ParseBump(in)
		if got := v.Next(b).String(); err != nil || got != want {
			t.Errorf("%q gives %s, %v", in, got, err)
		}
	}
	// The first versions.
	for b, want := range map[stoa.Bump]string{stoa.BumpMajor: "1.0.0", stoa.BumpMinor: "0.1.0", stoa.BumpRevision: "0.0.1"} {
		if got := (stoa.Version{}).Next(b).String(); got != want {
			t.Errorf("first %s is %s", b, got)
		}
	}
	if _, err := stoa.ParseBump("huge"); stoa.KindOf(err) != stoa.Invalid {
		t.Error(err)
	}
}

func FuzzVersionSpec(f *testing.F) {
	for _, s := range []string{"", "1", "1.2.*", "1.2.3", "latestPrivate", strings.Repeat("0", 64), "1.x", "9999999999", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := stoa.ParseVersionSpec(s)
		if err != nil {
			return
		}
		if again, err := stoa.ParseVersionSpec(spec.String()); err != nil || again != spec {
			t.Errorf("%q gives %+v, which gives %+v, %v", s, spec, again, err)
		}
	})
}
