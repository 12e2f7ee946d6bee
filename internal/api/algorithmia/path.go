package algorithmia

import (
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/stoa-project/stoa"
)

// The longest reference in a path: owner, name and a hash with room for
// escapes. It bounds what an error message must quote.
const maxRef = 512

// parseCallPath reads what follows /v1/algo/ in an escaped path:
//
//	owner/name[/version][/]
//	uuid[/version][/]
//
// Clients escape the slashes, or all of it twice: a reference holds no percent
// sign of its own, so that there is only one way to read it. A reference by
// UUID has the UUID as its Owner and no Name.
func parseCallPath(rest string) (stoa.Ref, error) {
	if len(rest) > maxRef {
		return stoa.Ref{}, stoa.Errorf(stoa.Invalid, "the path is too long: write %sowner/name or %sowner/name/version", callPrefix, callPrefix)
	}
	for range 2 {
		if strings.IndexByte(rest, '%') < 0 {
			break
		}
		plain, err := url.PathUnescape(rest)
		if err != nil {
			return stoa.Ref{}, stoa.Errorf(stoa.Invalid, "the path %.100q is not escaped as it should be", rest)
		}
		rest = plain
	}
	rest = strings.TrimRight(rest, "/")
	first, version, _ := strings.Cut(rest, "/")
	if len(first) == 36 && uuid.Validate(first) == nil {
		spec, err := stoa.ParseVersionSpec(version)
		if err != nil {
			return stoa.Ref{}, err
		}
		return stoa.Ref{Owner: strings.ToLower(first), Version: spec}, nil
	}
	return stoa.ParseRef(rest)
}

// refName writes a reference as in the contract's messages, without version.
func refName(r stoa.Ref) string {
	if r.Name == "" {
		return "algo://" + r.Owner
	}
	return "algo://" + r.Owner + "/" + r.Name
}
