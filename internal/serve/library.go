package serve

import (
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// FindLibrary gives the path of the ONNX Runtime library: beside the binary,
// where make setup puts the version that Stoa is tested with, or the system's;
// "" where there is none.
func FindLibrary(binDir string) string {
	candidates := []string{filepath.Join(binDir, "lib", "libonnxruntime.so"), filepath.Join(binDir, "..", "lib", "libonnxruntime.so")}
	for _, dir := range []string{"/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"} {
		matches, err := filepath.Glob(filepath.Join(dir, "libonnxruntime.so*"))
		if err == nil {
			slices.Sort(matches)
			candidates = append(candidates, matches...)
		}
	}
	for _, p := range candidates {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// machineMemory gives the bytes of memory of this machine; 0 where the system
// does not say, which means no limit.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
