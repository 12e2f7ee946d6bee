package frameworks

import (
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/importer/theano"
	"github.com/stoa-project/stoa/internal/tensor"
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

// TestPictures labels the pictures of a folder as their makers say: from the
// picture on, with what the program around the network does to it.
func TestPictures(t *testing.T) {
	from := filepath.Join(assets, "theano", "lasagne-resnet32-cifar10")
	mean, err := meanImage(filepath.Join(from, "mean.binaryproto"))
	if err != nil {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	start(t)
	dir := t.TempDir()
	if err := copyFolder(from, dir); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(descriptions, "lasagne-resnet32-cifar10", theano.FileName), filepath.Join(dir, theano.FileName)); err != nil {
		t.Fatal(err)
	}
	net, err := importtest.Import(t.Context(), plugs, dir, t.TempDir(), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		picture string
		label   int
	}{{"00000_cat.png", 3}, {"00001_ship.png", 8}, {"00002_ship.png", 8}, {"00003_airplane.png", 0}, {"00004_frog.png", 6}, {"00005_frog.png", 6}} {
		pixels, err := rgb(filepath.Join(dir, c.picture))
		if err != nil || len(pixels) != len(mean) {
			t.Fatalf("%s: %d numbers: %v", c.picture, len(pixels), err)
		}
		for i := range pixels {
			pixels[i] = (pixels[i] - mean[i]) / 255
		}
		got, err := importtest.Run(net.Path, map[string]tensor.Tensor{"input": tensor.Of(pixels, 1, 3, 32, 32)}, []string{"prob"})
		if err != nil {
			t.Fatal(err)
		}
		scores := tensor.As[float32](got["prob"])
		if best := slices.Index(scores, slices.Max(scores)); best != c.label {
			t.Errorf("%s is a %d with %g, want %d", c.picture, best, scores[best], c.label)
		}
	}
}

// rgb reads a picture as three planes of 0 to 255.
func rgb(path string) ([]float32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	b := m.Bounds()
	out := make([]float32, 3*b.Dx()*b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
			for k, v := range []uint32{r, g, bl} {
				out[(k*b.Dy()+y)*b.Dx()+x] = float32(v >> 8)
			}
		}
	}
	return out, nil
}

// meanImage reads the numbers of a .binaryproto of Caffe, which are its field 5.
func meanImage(path string) ([]float32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []float32
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, typ, data[n:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		if val, k := protowire.ConsumeBytes(data[n : n+size]); num == 5 && typ == protowire.BytesType && k > 0 {
			out = append(out, tensor.As[float32](tensor.Tensor{Data: val})...)
		}
		data = data[n+size:]
	}
	return out, nil
}
