// Package floors holds the project to its map: who may import whom, and how
// large a file and a package may grow. It has no code of its own.
package floors

import (
	"bufio"
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/stoa-project/stoa"

// root is the module's folder, seen from here.
const root = "../.."

// maxFile and maxPackage are in lines, comments and blanks included; the linter
// has a finer count for files. maxRoot is the root package's.
const (
	maxFile    = 600
	maxPackage = 5000
	maxRoot    = 1500
)

// strict names the packages that may import nothing beyond the standard library
// and the root package.
var strict = map[string]bool{".": true}

type pkg struct {
	dir     string
	imports map[string]string // import path to the file that has it
	lines   int
}

func TestImportsGoDown(t *testing.T) {
	floors := readFloors(t)
	for _, p := range packages(t) {
		floor, known := floors[p.dir]
		if !known {
			if !testOnly(floors, p.dir) {
				t.Errorf("%s stands on no floor: add it to internal/floors/floors.txt", p.dir)
			}
			continue
		}
		for path, file := range p.imports {
			if strict[p.dir] && strings.Contains(path, ".") && !strings.HasPrefix(path, module) {
				t.Errorf("%s imports %s: the root package uses the standard library only", file, path)
			}
			rel, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			rel = strings.TrimPrefix(rel, "/")
			if rel == "" {
				rel = "."
			}
			switch below, known := floors[rel]; {
			case !known:
				t.Errorf("%s imports %s, which stands on no floor", file, rel)
			case strings.HasPrefix(p.dir, rel+"/"): // its own ancestor
			case strings.HasPrefix(rel, p.dir+"/") && p.dir != ".":
				t.Errorf("%s: %s imports its child %s", file, p.dir, rel)
			case below >= floor:
				t.Errorf("%s: %s (floor %g) imports %s (floor %g)", file, p.dir, floor, rel, below)
			}
		}
	}
}

func TestNothingGrowsTooLarge(t *testing.T) {
	for _, p := range packages(t) {
		limit := maxPackage
		if p.dir == "." {
			limit = maxRoot
		}
		if p.lines > limit {
			t.Errorf("%s has %d lines, at most %d: divide the room", p.dir, p.lines, limit)
		}
	}
}

func readFloors(t *testing.T) map[string]float64 {
	t.Helper()
	b, err := os.ReadFile("floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	floors := map[string]float64{}
	sc := bufio.NewScanner(bytes.NewReader(b))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) != 2 || f[0] == "#" {
			continue
		}
		if f[0] == "test" {
			floors["test "+f[1]] = -1
			continue
		}
		n, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatalf("floors.txt: %q", sc.Text())
		}
		floors[f[1]] = n
		if _, err := os.Stat(filepath.Join(root, f[1])); err != nil {
			t.Errorf("floors.txt names %s, which is not there", f[1])
		}
	}
	return floors
}

func testOnly(floors map[string]float64, dir string) bool {
	for key := range floors {
		if name, ok := strings.CutPrefix(key, "test "); ok && (name == dir || strings.HasSuffix(name, "/") && strings.HasPrefix(dir+"/", name)) {
			return true
		}
	}
	return strings.HasSuffix(dir, "test") && floors[filepath.Dir(dir)] != 0
}

// packages reads the product's packages: tests, and folders that hold no Go,
// are left out.
func packages(t *testing.T) []*pkg {
	t.Helper()
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		p := byDir[rel]
		if p == nil {
			p = &pkg{dir: filepath.ToSlash(rel), imports: map[string]string{}}
			byDir[rel] = p
		}
		return p.add(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []*pkg
	for _, p := range byDir {
		out = append(out, p)
	}
	return out
}

func (p *pkg) add(t *testing.T, path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := bytes.Count(src, []byte("\n"))
	if lines > maxFile {
		t.Errorf("%s has %d lines, at most %d", path, lines, maxFile)
	}
	p.lines += lines
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, i := range f.Imports {
		s, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		p.imports[s] = path
	}
	return nil
}
