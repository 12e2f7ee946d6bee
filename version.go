package stoa

import (
	"cmp"
	"strconv"
	"strings"
)

// Version is the number of an immutable version of an algorithm.
type Version struct {
	Major    int
	Minor    int
	Revision int
}

// ParseVersion reads "major.minor.revision".
func ParseVersion(s string) (Version, error) {
	spec, err := ParseVersionSpec(s)
	if err != nil || spec.Kind != ExactVersion {
		return Version{}, Errorf(Invalid, "%.100q is no version: write major.minor.revision, such as 1.0.2", s)
	}
	return spec.Version, nil
}

// String gives "major.minor.revision".
func (v Version) String() string {
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) + "." + strconv.Itoa(v.Revision)
}

// Compare orders versions: negative when v is older than w.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Revision, w.Revision))
}

// Bump says which part of the number a new version raises.
type Bump string

// The three bumps. The first version of an algorithm is 1.0.0, 0.1.0 or 0.0.1.
const (
	BumpMajor    Bump = "major"
	BumpMinor    Bump = "minor"
	BumpRevision Bump = "revision"
)

// ParseBump reads a bump; "" is minor, and "patch" is another word for revision.
func ParseBump(s string) (Bump, error) {
	switch s {
	case "", "minor":
		return BumpMinor, nil
	case "major":
		return BumpMajor, nil
	case "revision", "patch":
		return BumpRevision, nil
	}
	return "", Errorf(Invalid, "bump %.100q: write major, minor or revision", s)
}

// Next gives the version that follows v.
func (v Version) Next(b Bump) Version {
	switch b {
	case BumpMajor:
		return Version{Major: v.Major + 1}
	case BumpRevision:
		return Version{v.Major, v.Minor, v.Revision + 1}
	case BumpMinor:
	}
	return Version{Major: v.Major, Minor: v.Minor + 1}
}

// SpecKind says how a VersionSpec chooses.
type SpecKind uint8

// The ways to choose a version.
const (
	NewestPublic  SpecKind = iota // "", "latest": the newest public one, else the newest that the caller may see
	NewestPrivate                 // "latestPrivate": the newest that is not public; owner only
	ExactVersion                  // "1.2.3": that one, public or private
	NewestOfMinor                 // "1.2", "1.2.*", "1.2.x": newest public revision of 1.2
	NewestOfMajor                 // "1", "1.*", "1.x": newest public version of major 1
	ByHash                        // 40 or 64 hex digits: the build of that content; owner only
)

// VersionSpec is the version part of a reference, parsed.
type VersionSpec struct {
	Kind    SpecKind
	Version Version // as many parts as Kind needs
	Hash    string  // lower case
}

// IsZero tells whether no version was asked for.
func (s VersionSpec) IsZero() bool { return s == VersionSpec{} }

// String gives the canonical spelling, "" for the newest.
func (s VersionSpec) String() string {
	switch s.Kind {
	case NewestPublic:
	case NewestPrivate:
		return "latestPrivate"
	case ExactVersion:
		return s.Version.String()
	case NewestOfMinor:
		return strconv.Itoa(s.Version.Major) + "." + strconv.Itoa(s.Version.Minor) + ".*"
	case NewestOfMajor:
		return strconv.Itoa(s.Version.Major) + ".*"
	case ByHash:
		return s.Hash
	}
	return ""
}

// ParseVersionSpec reads the version part of a reference.
func ParseVersionSpec(s string) (VersionSpec, error) {
	switch {
	case s == "" || strings.EqualFold(s, "latest"):
		return VersionSpec{}, nil
	case strings.EqualFold(s, "latestPrivate"):
		return VersionSpec{Kind: NewestPrivate}, nil
	case (len(s) == 40 || len(s) == 64) && isHex(s):
		return VersionSpec{Kind: ByHash, Hash: strings.ToLower(s)}, nil
	}
	bad := Errorf(Invalid, "version %.100q: write 1.2.3, 1.2.*, 1.*, latest or latestPrivate", s)
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return VersionSpec{}, bad
	}
	var n [3]int
	given := 0
	for i, p := range parts {
		if i > 0 && i == len(parts)-1 && (p == "*" || p == "x") {
			break
		}
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 || len(p) > 9 || !isDigit(p[0]) {
			return VersionSpec{}, bad
		}
		n[i], given = v, given+1
	}
	kind := [...]SpecKind{1: NewestOfMajor, 2: NewestOfMinor, 3: ExactVersion}[given]
	return VersionSpec{Kind: kind, Version: Version{n[0], n[1], n[2]}}, nil
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !isDigit(s[i]) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
