package build

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// hidden gives the room on a device that is taken by files which have no name any
// more and are open or mapped, in the process namespace of a sandbox's first
// process: deleted at once after they were made, they would be in no folder that
// can be measured. Mappings can be seen as root only.
func hidden(first int, dev uint64) int64 {
	space, err := os.Readlink(procPath(first, "ns", "pid"))
	own, _ := os.Readlink("/proc/self/ns/pid") // where it is not to be had, nothing is
	if err != nil || space == own {
		return 0 // it has ended, and the id may be another's
	}
	list, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	seen := map[uint64]bool{}
	var sum int64
	for _, e := range list {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if its, err := os.Readlink(procPath(pid, "ns", "pid")); err != nil || its != space {
			continue
		}
		sum += nameless(procPath(pid, "fd"), dev, seen) + nameless(procPath(pid, "map_files"), dev, seen)
	}
	return sum
}

func procPath(pid int, rest ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, rest...)...)
}

// nameless sums files without a name among the links of a folder of /proc, each
// file once.
func nameless(dir string, dev uint64, seen map[uint64]bool) int64 {
	f, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // as many as there are by then
	var sum int64
	for _, n := range names {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, n), &st) != nil || st.Nlink != 0 || st.Dev != dev || seen[st.Ino] {
			continue
		}
		seen[st.Ino] = true
		sum += st.Blocks * 512
	}
	return sum
}
