package sandbox

import (
	"fmt"

	"github.com/stoa-project/stoa/internal/cgroup"
	"github.com/stoa-project/stoa/internal/landlock"
)

// describe says what was found to be there.
func (s *Sandbox) describe() {
	user := "outside as a user who owns nothing, another for each sandbox"
	if !s.root {
		user = "outside as the server's own user, of whose files it sees none"
	}
	s.report = []Protection{
		{Name: "namespaces", State: InPlace, Detail: "user, mount, PID, network, IPC, UTS and cgroup, by bubblewrap"},
		{Name: "root", State: InPlace, Detail: "its own, read-only but for /tmp, which is limited"},
		{Name: "user", State: InPlace, Detail: user},
		{Name: "privileges", State: InPlace, Detail: "no capabilities, no new privileges"},
		{Name: "seccomp", State: InPlace, Detail: fmt.Sprintf("%d rules", len(s.filters[Code])/8)},
		{Name: "landlock", State: InPlace, Detail: fmt.Sprintf("version %d: nothing is changed outside /tmp and what is given to be written", landlock.Version())},
		{Name: "rlimits", State: InPlace, Detail: "file size, open files, no core dumps"},
	}
	const remedy = "as root, make a cgroup for this user (docs/sandbox.md) and give it with --cgroup"
	if s.parent == nil {
		s.report = append(s.report,
			Protection{Name: "memory", State: Watched, Detail: "resident memory looked at every 100 ms, killed above the limit", Remedy: remedy},
			Protection{Name: "processors", State: Off, Detail: "shared with all else that this user runs", Remedy: remedy},
			Protection{Name: "processes", State: InPlace, Detail: "by the user namespace's limit"})
		return
	}
	for _, c := range cgroup.Controllers() {
		name := map[string]string{"memory": "memory", "cpu": "processors", "pids": "processes"}[c]
		s.report = append(s.report, Protection{Name: name, State: InPlace, Detail: fmt.Sprintf("cgroup v%d", s.parent.Version(c))})
	}
}
