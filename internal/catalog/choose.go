package catalog

import (
	"strings"

	"github.com/stoa-project/stoa"
)

// sight is which versions of an algorithm a caller may see.
type sight uint8

const (
	publicOnly sight = iota
	everything       // the owner and administrators
)

func sightOf(who stoa.Caller, owner string) sight {
	if who.Admin || who.Account != "" && strings.EqualFold(who.Account, owner) {
		return everything
	}
	return publicOnly
}

func (s sight) sees(v *Version) bool { return v.Public || s == everything }

func visible(vs []*Version, s sight) []*Version {
	var out []*Version
	for _, v := range vs {
		if s.sees(v) {
			out = append(out, v)
		}
	}
	return out
}

// choose gives the version that spec means, of the versions of one algorithm,
// newest first, to somebody of that sight; nil where it means none: the newest
// that is meant, and where no version was asked for and none is public, the
// newest that he sees.
func choose(vs []*Version, s sight, spec stoa.VersionSpec) *Version {
	for _, v := range vs {
		if means(v, s, spec) {
			return v
		}
	}
	if spec.Kind == stoa.NewestPublic {
		for _, v := range vs {
			if s.sees(v) {
				return v
			}
		}
	}
	return nil
}

// means tells whether spec may mean v. Wildcards never mean a private version,
// not for its owner either.
func means(v *Version, s sight, spec stoa.VersionSpec) bool {
	n, want := v.Number, spec.Version
	switch spec.Kind {
	case stoa.NewestPublic:
		return v.Public
	case stoa.NewestPrivate:
		return !v.Public && s.sees(v)
	case stoa.ExactVersion:
		return n == want && s.sees(v)
	case stoa.NewestOfMinor:
		return v.Public && n.Major == want.Major && n.Minor == want.Minor
	case stoa.NewestOfMajor:
		return v.Public && n.Major == want.Major
	case stoa.ByHash:
		// Algorithmia's clients know 40 digits, of a commit; ours has 64.
		return s == everything && spec.Hash != "" && strings.HasPrefix(v.Hash, spec.Hash)
	}
	return false
}

func noAlgorithm(ref stoa.Ref) error {
	return &stoa.Error{Kind: stoa.NotFound, Ref: ref.String(), Msg: "algorithm " + written(ref) + " not found"}
}

// written is the algorithm as the caller wrote it, or its UUID.
func written(ref stoa.Ref) string {
	if ref.Name == "" {
		return "algo://" + ref.Owner
	}
	return "algo://" + ref.Owner + "/" + ref.Name
}

// noVersion says that spec means none of the versions, and which are near. Who
// sees no version does not learn that there is an algorithm.
func noVersion(vs []*Version, s sight, ref stoa.Ref) error {
	seen := visible(vs, s)
	if len(seen) == 0 || ref.Version.IsZero() {
		return noAlgorithm(ref)
	}
	var msg strings.Builder
	msg.WriteString("version " + ref.Version.String() + " of algorithm " + written(ref) + " not found; ")
	if k := ref.Version.Kind; (k == stoa.NewestOfMajor || k == stoa.NewestOfMinor) && s == everything {
		msg.WriteString("* means public versions only; ")
		if public := visible(vs, publicOnly); len(public) > 0 {
			seen = public
		}
	}
	near := nearest(seen, ref.Version)
	for i, v := range near {
		switch {
		case i == 0 && len(near) == 1:
			msg.WriteString("the nearest is ")
		case i == 0:
			msg.WriteString("the nearest are ")
		default:
			msg.WriteString(" and ")
		}
		msg.WriteString(v.Number.String())
		if !v.Public {
			msg.WriteString(" (private)")
		}
	}
	return &stoa.Error{Kind: stoa.NotFound, Ref: ref.String(), Msg: msg.String()}
}

// nearest gives the newest version below the number that spec asks for and the
// oldest above it, of versions newest first; the newest where it asks for no
// number.
func nearest(vs []*Version, spec stoa.VersionSpec) []*Version {
	if spec.Kind == stoa.NewestPrivate || spec.Kind == stoa.ByHash {
		return vs[:1]
	}
	above := 0
	for above < len(vs) && vs[above].Number.Compare(spec.Version) > 0 {
		above++
	}
	return vs[max(above-1, 0):min(above+1, len(vs))]
}
