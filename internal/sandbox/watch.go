package sandbox

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watchTime is how often memory is looked at where nothing limits it.
const watchTime = 100 * time.Millisecond

// watch kills the sandbox when its memory is over the limit.
func (p *Process) watch() {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		over := !p.closed && p.usage().Memory > p.record.Watch && p.kills == 0
		if over {
			p.kills++
		}
		p.mu.Unlock()
		if over {
			p.signal(unix.SIGKILL)
		}
	}
}

// canWatch tells whether this kernel lists a process's children.
func canWatch() bool {
	_, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	return err == nil
}

// tree adds up the memory of a process and all that came of it, and counts them.
// In a PID namespace all are process 1's offspring, whoever started them.
func tree(pid int) (memory, processes int64) {
	proc := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(proc + "/status")
	if err != nil {
		return 0, 0
	}
	memory, processes = private(string(b)), 1
	threads, _ := os.ReadDir(proc + "/task")
	for _, t := range threads {
		b, _ := os.ReadFile(proc + "/task/" + t.Name() + "/children")
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				m, k := tree(n)
				memory, processes = memory+m, processes+k
			}
		}
	}
	return memory, processes
}

// private reads from /proc/PID/status what a process has in memory that is not a
// file's: the pages of files are the machine's to take back.
func private(status string) int64 {
	var kib int64
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "RssAnon:" || f[0] == "RssShmem:") {
			if n, err := strconv.ParseUint(f[1], 10, 40); err == nil {
				kib += int64(n)
			}
		}
	}
	return kib << 10
}
