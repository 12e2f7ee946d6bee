package stoa

import "strings"

// Ref names an algorithm and, perhaps, which of its versions:
//
//	ref     = [ "algo://" | "/" ] owner "/" name [ "/" version ] [ "/" ]
//	owner   = letter { letter | digit | "_" }          at most 30 characters
//	name    = letter { letter | digit | "_" }          at most 100 characters
//	version = see VersionSpec
//
// Case is kept as written, and does not matter when matching (see Key).
type Ref struct {
	Owner   string
	Name    string
	Version VersionSpec
}

// The longest owner and name (Algorithmia's limits; its tests use longer names
// than its page allows, so names get room).
const (
	maxOwner = 30
	maxName  = 100
)

// ParseRef reads a reference. A malformed one is an Invalid error that says
// which part is wrong.
func ParseRef(s string) (Ref, error) {
	rest := strings.TrimPrefix(s, "algo://")
	rest = strings.TrimSuffix(strings.TrimPrefix(rest, "/"), "/")
	parts := strings.Split(rest, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return Ref{}, Errorf(Invalid, "%.100q is no algorithm reference: write owner/name or owner/name/version", s)
	}
	if !IsName(parts[0], maxOwner) {
		return Ref{}, Errorf(Invalid, "owner %.100q: a letter, then at most %d letters, digits or underscores", parts[0], maxOwner-1)
	}
	if !IsName(parts[1], maxName) {
		return Ref{}, Errorf(Invalid, "algorithm name %.100q: a letter, then at most %d letters, digits or underscores", parts[1], maxName-1)
	}
	r := Ref{Owner: parts[0], Name: parts[1]}
	if len(parts) == 3 {
		spec, err := ParseVersionSpec(parts[2])
		if err != nil {
			return Ref{}, err
		}
		r.Version = spec
	}
	return r, nil
}

// IsName tells whether s is a letter followed by letters, digits or
// underscores, and no longer than limit.
func IsName(s string, limit int) bool {
	if s == "" || len(s) > limit || !isLetter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isLetter(s[i]) && !isDigit(s[i]) && s[i] != '_' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// String gives owner/name or owner/name/version.
func (r Ref) String() string {
	if r.Version.IsZero() {
		return r.Owner + "/" + r.Name
	}
	return r.Owner + "/" + r.Name + "/" + r.Version.String()
}

// Key gives the owner/name under which the algorithm is matched: lower case,
// without the version.
func (r Ref) Key() string { return strings.ToLower(r.Owner + "/" + r.Name) }
