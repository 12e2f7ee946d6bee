package build

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode"
)

// Bounds of a log. A build that prints more goes on, unheard.
const (
	maxLine = 4 << 10
	maxLive = 8 << 20  // that Job.Log gets
	maxKept = 64 << 10 // of the log's end, that the report has
)

// record is a build's log: whole lines of plain text, as they come to live, and
// the end of them all.
type record struct {
	live io.Writer // may be nil

	mu    sync.Mutex
	sent  int
	lines int
	part  []byte // of a line that is not yet whole
	skip  bool   // the rest of a line that was too long
	kept  []byte
}

// Write takes output in any pieces. It never fails: whoever reads along may
// leave, and the build goes on.
func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if !r.skip {
			r.part = append(r.part, line[:min(len(line), maxLine+1-len(r.part))]...)
		}
		if !r.skip && (whole || len(r.part) > maxLine) {
			r.flush()
			r.skip = !whole
		} else if whole {
			r.skip = false
		}
	}
	return n, nil
}

// say adds a line of our own, behind what a program left unfinished.
func (r *record) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	r.emit(plain(line))
}

// finish ends the last line.
func (r *record) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
}

func (r *record) end() {
	if len(r.part) > 0 {
		r.flush()
	}
	r.skip = false
}

func (r *record) flush() {
	cut := len(r.part) > maxLine
	line := plain(string(r.part[:min(len(r.part), maxLine)]))
	if cut {
		line += " …"
	}
	r.part = r.part[:0]
	r.emit(line)
}

func (r *record) emit(line string) {
	r.lines++
	line += "\n"
	r.kept = append(r.kept, line...)
	if len(r.kept) > 2*maxKept {
		r.kept = append(r.kept[:0], r.tail()...)
	}
	if r.live == nil || r.sent > maxLive {
		return
	}
	r.sent += len(line)
	if r.sent > maxLive {
		line = "… the rest of the log is left out: it is longer than 8 MiB\n"
	}
	_, _ = io.WriteString(r.live, line) // see Write
}

// tail is what is kept, from the beginning of a line on.
func (r *record) tail() []byte {
	if len(r.kept) <= maxKept {
		return r.kept
	}
	b := r.kept[len(r.kept)-maxKept:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return b
}

// String is the end of the log.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.tail())
}

// last gives the last lines of the log from line number from on, at most so many
// and so many bytes.
func (r *record) last(from, n, size int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, r.lines-from)
	all := strings.Split(strings.TrimSuffix(string(r.tail()), "\n"), "\n")
	all = all[max(0, len(all)-n):]
	for len(all) > 1 && size < len(strings.Join(all, "\n")) {
		all = all[1:]
	}
	return all
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// plain makes a line harmless for a terminal and a page: what was drawn over with
// a carriage return is gone, and so are escape sequences and control characters.
func plain(line string) string {
	line = strings.TrimRight(strings.ToValidUTF8(line, "\uFFFD"), "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	var b strings.Builder
	for len(line) > 0 {
		if line[0] == 0x1b {
			line = line[escape(line):]
			continue
		}
		r, size := firstRune(line)
		line = line[size:]
		if r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			b.WriteRune(r)
		}
	}
	return strings.TrimRight(b.String(), " \t")
}

func firstRune(s string) (r rune, size int) {
	for i, x := range s {
		if i > 0 {
			return r, i
		}
		r = x
	}
	return r, len(s)
}

// escape gives the length of the escape sequence at the beginning of s: of ECMA-48
// the control sequences (ESC [ … letter) and strings (ESC ] … BEL or ESC \), else
// two bytes.
func escape(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == 7 {
				return i + 1
			}
			if s[i] == 0x1b {
				return min(i+2, len(s))
			}
		}
		return len(s)
	}
	_, size := firstRune(s[1:])
	return 1 + size
}
