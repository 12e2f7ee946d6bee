package shim

import (
	"bytes"
	"os"
	"strconv"
)

// resident adds up the memory of this process and of the process groups given,
// from /proc. Pages that several share count for each.
func resident(groups map[int]bool) int64 {
	dir, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0
	}
	self := os.Getpid()
	var pages int64
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + n + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		if group, rss := parseStat(b); pid == self || groups[group] {
			pages += rss
		}
	}
	return pages * int64(os.Getpagesize())
}

// parseStat reads the process group and the resident pages of /proc/PID/stat,
// fields 5 and 24 of proc(5). The name, which is the second, may hold anything.
func parseStat(b []byte) (group int, rss int64) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 22 {
		return 0, 0
	}
	group, _ = strconv.Atoi(string(f[2]))
	rss, _ = strconv.ParseInt(string(f[21]), 10, 64)
	return group, rss
}
