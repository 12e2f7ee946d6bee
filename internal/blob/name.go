package blob

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// The longest part and the longest name of a file in a bundle: what common file
// systems take for one name, and room for deep folders well below their 4096.
const (
	maxPart = 255
	maxPath = 1024
)

// CheckName tells whether name may be the name of a file in a bundle: relative
// and clean, with forward slashes, never leaving the bundle, and the same on
// every operating system. Everything else is Invalid, with the reason.
//
//	name = part { "/" part }                        at most 1024 bytes of UTF-8
//	part = any characters but "/", "\" and control characters, at most 255 bytes;
//	       not "." nor ".."
func CheckName(name string) error {
	if why := badName(name); why != "" {
		return stoa.Errorf(stoa.Invalid, "file name %.120q: %s", name, why)
	}
	return nil
}

func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxPath:
		return "it is longer than 1024 bytes"
	case !utf8.ValidString(name):
		return "it is no valid UTF-8"
	case strings.ContainsRune(name, '\\'):
		return "it has a backslash: write forward slashes"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "it has a control character"
	case name[0] == '/':
		return "it is absolute: write it relative to the bundle"
	case len(name) > 1 && name[1] == ':' && isLetter(name[0]):
		return "it starts with a drive: write it relative to the bundle"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return `it has "..": a file stays inside its bundle`
		case len(part) > maxPart:
			return "a part of it is longer than 255 bytes"
		}
	}
	if clean := path.Clean(name); clean != name || name == "." {
		return "it is not clean: write no empty parts and no \".\""
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
