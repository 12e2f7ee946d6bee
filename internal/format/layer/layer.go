// Package layer turns a folder into one file and back: a tar without
// compression, whose bytes depend on names, content, links and the right to
// execute alone, so that the same folder has the same digest wherever and
// whenever it was filled. Both directions take what untrusted code left behind:
// nothing outside the folder is read or written, no link leads out, and what a
// folder or a file may hold is bounded.
package layer

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// Limits bound a layer. Zero means the default.
type Limits struct {
	Entries int   // files, folders and links; default 200,000: the largest node_modules seen have half of that
	Bytes   int64 // of all files; default 4 GiB
	File    int64 // of one file; default 2 GiB
	Depth   int   // folders in one another; default 64
	Name    int   // bytes of a path; default 1024, as in a bundle
}

// Defaults of Limits.
const (
	DefaultEntries = 200_000
	DefaultBytes   = 4 << 30
	DefaultFile    = 2 << 30
	DefaultDepth   = 64
	DefaultName    = 1024
)

// maxPart is what common file systems take for one name.
const maxPart = 255

// Summary says what went into a layer.
type Summary struct {
	Entries int
	Bytes   int64 // of all files
	// Dropped names what a layer cannot hold and was left out: links that lead out
	// of the folder, devices, pipes and sockets; at most maxDropped of them.
	Dropped []string
}

const maxDropped = 20

func (l Limits) filled() Limits {
	if l.Entries == 0 {
		l.Entries = DefaultEntries
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.File == 0 {
		l.File = DefaultFile
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	if l.Name == 0 {
		l.Name = DefaultName
	}
	return l
}

// count is what went through so far, against the limits.
type count struct {
	limits  Limits
	entries int
	bytes   int64
}

// entry counts an entry by its name, which it checks.
func (c *count) entry(name string) error {
	if err := checkName(name, c.limits); err != nil {
		return err
	}
	c.entries++
	if c.entries > c.limits.Entries {
		return stoa.Errorf(stoa.TooLarge, "there are more than %d files and folders", c.limits.Entries)
	}
	return nil
}

// file counts the bytes that a file says it has, before any is read.
func (c *count) file(name string, size int64) error {
	if size < 0 || size > c.limits.File {
		return stoa.Errorf(stoa.TooLarge, "%.200q has %d bytes: a file has at most %d", name, size, c.limits.File)
	}
	c.bytes += size
	if c.bytes > c.limits.Bytes {
		return stoa.Errorf(stoa.TooLarge, "the files have more than %d bytes together, at %.200q", c.limits.Bytes, name)
	}
	return nil
}

// checkName tells whether name may stand in a layer: relative and clean, below
// the folder, no longer and deeper than the limits say.
func checkName(name string, l Limits) error {
	why := ""
	switch {
	case name == "" || name == ".":
		why = "it is empty"
	case len(name) > l.Name:
		return stoa.Errorf(stoa.TooLarge, "the path %.200q… has %d bytes: at most %d", name, len(name), l.Name)
	case strings.Count(name, "/") >= l.Depth:
		return stoa.Errorf(stoa.TooLarge, "the path %.200q lies more than %d folders deep", name, l.Depth)
	case !utf8.ValidString(name):
		why = "it is no valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "it has a control character"
	case name[0] == '/':
		why = "it is absolute"
	case path.Clean(name) != name:
		why = "it is not clean"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			why = `it has ".."`
		case len(part) > maxPart:
			why = "a part of it is longer than 255 bytes"
		}
	}
	if why != "" {
		return stoa.Errorf(stoa.Invalid, "the name %.200q cannot be in a layer: %s", name, why)
	}
	return nil
}

// linkInside gives the target of the link called name in its clean form, and
// whether it stays inside the folder whatever other links there are. A link is
// found in a real folder, so that ".." at the beginning of its target goes up
// real folders and can be counted. Behind a name ".." could go up from wherever
// another link leads, so that it is refused there.
func linkInside(name, target string) (string, bool) {
	if target == "" || target[0] == '/' || !utf8.ValidString(target) || strings.ContainsFunc(target, unicode.IsControl) {
		return "", false
	}
	up, down := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if down {
				return "", false
			}
			up++
		default:
			down = true
			if len(part) > maxPart {
				return "", false
			}
		}
	}
	if up > strings.Count(name, "/") {
		return "", false
	}
	return path.Clean(target), true
}
