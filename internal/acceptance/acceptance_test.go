// Package acceptance holds the acceptance tables in docs/acceptance to the code:
// every row names what shows it, and what it names exists. It has no code of its
// own.
package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var (
	function = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`)
	target   = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	quoted   = regexp.MustCompile("`([^`]+)`")
)

// A row is "| demand | shown by | result |".
type row struct {
	file, demand, shownBy, result string
	line                          int
}

func TestEveryRowNamesWhatShowsIt(t *testing.T) {
	functions, targets := declared(t)
	rows := read(t)
	if len(rows) == 0 {
		t.Fatal("docs/acceptance has no rows")
	}
	for _, r := range rows {
		names := quoted.FindAllStringSubmatch(r.shownBy, -1)
		if len(names) == 0 {
			t.Errorf("%s:%d: %q names nothing that shows it", r.file, r.line, r.demand)
		}
		if strings.TrimSpace(r.result) == "" {
			t.Errorf("%s:%d: %q has no result", r.file, r.line, r.demand)
		}
		for _, n := range names {
			name := n[1]
			switch {
			case function.MatchString("func " + name + "("):
				if !functions[name] {
					t.Errorf("%s:%d: there is no %s", r.file, r.line, name)
				}
			case strings.HasPrefix(name, "make "):
				if !targets[strings.Fields(name)[1]] {
					t.Errorf("%s:%d: the Makefile has no target %q", r.file, r.line, name)
				}
			default:
				path := strings.Fields(name)[0]
				if strings.Contains(path, "/") && !strings.HasPrefix(path, "bin/") && !strings.HasPrefix(path, "/") {
					if _, err := os.Stat(filepath.Join(root, path)); err != nil {
						t.Errorf("%s:%d: there is no %s", r.file, r.line, path)
					}
				}
			}
		}
	}
}

// TestEveryTripIsWalked holds docs/trips.md to the tests.
func TestEveryTripIsWalked(t *testing.T) {
	functions, _ := declared(t)
	b, err := os.ReadFile(root + "/docs/trips.md")
	if err != nil {
		t.Fatal(err)
	}
	trips := strings.Split(string(b), "\n## ")[1:]
	if len(trips) == 0 {
		t.Fatal("docs/trips.md has no trips")
	}
	for _, trip := range trips {
		title, _, _ := strings.Cut(trip, "\n")
		_, walked, found := strings.Cut(trip, "\nWalked by ")
		if !found {
			t.Errorf("nothing walks the trip %q", title)
		}
		for _, n := range quoted.FindAllStringSubmatch(walked, -1) {
			if !functions[n[1]] {
				t.Errorf("trip %q: there is no %s", title, n[1])
			}
		}
	}
}

func read(t *testing.T) []row {
	t.Helper()
	files, err := filepath.Glob(root + "/docs/acceptance/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		inTable := false
		for i, line := range strings.Split(string(b), "\n") {
			cells := strings.Split(line, "|")
			if header := strings.HasPrefix(line, "| demand "); header || strings.HasPrefix(line, "#") {
				inTable = header
			}
			if inTable && strings.HasPrefix(line, "|") && len(cells) != 5 {
				t.Errorf("%s:%d: a row has three cells, and no bar within them", f, i+1)
			}
			if !inTable || len(cells) != 5 || strings.HasPrefix(strings.TrimSpace(cells[1]), "---") || strings.TrimSpace(cells[1]) == "demand" {
				continue
			}
			rows = append(rows, row{filepath.Base(f), strings.TrimSpace(cells[1]), cells[2], cells[3], i + 1})
		}
	}
	return rows
}

// declared finds all test functions of the module, and all targets of make.
func declared(t *testing.T) (functions, targets map[string]bool) {
	t.Helper()
	functions, targets = map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range function.FindAllStringSubmatch(string(b), -1) {
			functions[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range target.FindAllStringSubmatch(string(b), -1) {
		targets[m[1]] = true
	}
	return functions, targets
}
