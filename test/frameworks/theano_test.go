package frameworks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/theano"
)

// descriptions holds lasagne.yaml for each folder of Lasagne's parameters, which
// came without one.
var descriptions = filepath.Join(root, "internal/importer/theano/testdata")

// theano puts the description of the layers beside the parameters.
func (j job) theano() job {
	if filepath.Base(filepath.Dir(j.dir)) != "theano" {
		return j
	}
	from := filepath.Join(descriptions, filepath.Base(j.dir), theano.FileName)
	j.prepare = func(dir string) error { return copyFile(from, filepath.Join(dir, theano.FileName)) }
	return j
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// TestWithoutDescription says what is in a list of parameters alone.
func TestWithoutDescription(t *testing.T) {
	for folder, want := range map[string]string{
		"lasagne-squeezenet-places365": "152 arrays of numbers, of 64x3x3x3, 64, 64",
		"lasagne-resnet32-cifar10":     "157 arrays of numbers, of 16x3x3x3, 16, 16",
	} {
		dir := filepath.Join(assets, "theano", folder)
		if _, err := os.Stat(dir); err != nil {
			t.Skip("SKIPPED: ../shared/assets is not here")
		}
		src, err := importer.Dir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		_, err = importer.Import(t.Context(), plugs, src, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Write lasagne.yaml beside it") {
			t.Errorf("%s: %v, want %q", folder, err, want)
		}
	}
}
