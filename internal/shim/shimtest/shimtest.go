// Package shimtest brings the first process of replicas and builds to tests of
// what stands above.
package shimtest

import (
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Build builds cmd/stoa-init, once for each test binary and anew only where its
// source changed, and gives its path.
func Build(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("stoa-init cannot be built: %v", err)
	}
	return path
}

// build leaves the program in the system's folder for temporary files, under a
// name that this copy of the source has for itself: test binaries one after the
// other find it, and the go command sees that nothing is to be done.
var build = sync.OnceValues(func() (string, error) {
	root, err := os.Getwd() // of a test: its package's folder
	for err == nil {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			err = os.ErrNotExist
		}
		root = filepath.Dir(root)
	}
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(root)) // never fails
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("stoa-test-%d-%x", os.Getuid(), h.Sum64()))
	if err := os.MkdirAll(dir, 0o755); err != nil { // others may start it: a sandbox has another user
		return "", err
	}
	path := filepath.Join(dir, "stoa-init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/stoa-init")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") //nolint:forbidigo // the go command needs it all
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})
