package frameworks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
)

// childVar names the folder that a copy of the test is to import, and nothing
// else.
const childVar = "STOA_TEST_IMPORT"

// Importing must take little more memory than the weights themselves, which are
// mapped and written out again: peak memory, mapped pages included, over the
// size of the model, of VGG-16.
func TestImportMemory(t *testing.T) {
	if dir := os.Getenv(childVar); dir != "" {
		importOnly(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("SKIPPED: slow")
	}
	text, err := os.ReadFile(filepath.Join(assets, "caffe/zoo-prototxts-synthetic-weights/places365_vgg16.prototxt"))
	if err != nil {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "net.prototxt"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "net.caffemodel")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := caffetest.Write(f, string(text), []int64{1, 3, 224, 224}, caffetest.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestImportMemory$", "-test.v")
	cmd.Env = append(cmd.Environ(), childVar+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, after, _ := strings.Cut(string(out), "peak=")
	kib, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	const most = 2.2
	ratio := float64(kib<<10) / float64(info.Size())
	fmt.Fprintf(os.Stdout, "frameworks: importing VGG-16 of %d MB took %d MB at most, %.2f times the model\n", info.Size()>>20, kib>>10, ratio)
	if ratio > most {
		t.Errorf("%.2f times the model; at most %.1f is allowed", ratio, most)
	}
}

func importOnly(t *testing.T, dir string) {
	src, err := importer.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := im.Write(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("SKIPPED: this system does not tell the peak of memory")
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Fprintf(os.Stdout, "peak=%s\n", strings.Fields(after)[0])
}
