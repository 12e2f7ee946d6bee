package operators

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The code in docs/adding-an-operator.md is the project's: a block that names a
// file stands in it, line by line.
func TestAddingAnOperatorIsTrue(t *testing.T) {
	const root = "../.."
	page, err := os.ReadFile(filepath.Join(root, "docs/adding-an-operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	var file string
	var lines []string
	for line := range strings.Lines(string(page)) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		_, named, _ := strings.Cut(fence, " ")
		switch {
		case isFence && file == "":
			file, lines = named, nil
		case isFence:
			code, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(code), strings.Join(lines, "")) {
				t.Errorf("%s does not have:\n%s", file, strings.Join(lines, ""))
			}
			blocks++
			file = ""
		default:
			lines = append(lines, line)
		}
	}
	if blocks < 2 {
		t.Errorf("the page shows %d blocks of code that name their file, and should show how an operator is mapped and how its case is made", blocks)
	}
	for _, name := range []string{"tensorflow/squareddifference.npz", "tensorflow/squareddifference/graph.pb"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
