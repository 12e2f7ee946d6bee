package cli

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/human"
)

// State is how a check came out.
type State string

// How a check comes out. Only Bad makes doctor fail.
const (
	Good State = "ok"
	Warn State = "warning"
	Bad  State = "bad"
)

// Finding is what a check found, and what to do about it.
type Finding struct {
	State  State  `json:"state"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Check is one thing that doctor looks at.
type Check struct {
	Name string
	Run  func(ctx context.Context) Finding
}

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what may be wrong, and say what helps",
		Long:  "Look at this machine and at the server: what works, what does not, and what helps. It changes nothing.",
		Example: `  stoa doctor
  stoa doctor --json`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		type row struct {
			Name string `json:"name"`
			Finding
		}
		var rows []row
		bad := false
		for _, check := range a.checks() {
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
			f := check.Run(ctx)
			cancel()
			rows = append(rows, row{check.Name, f})
			bad = bad || f.State == Bad
			if !*asJSON {
				fmt.Fprintf(a.env.Stdout, "%-8s %-14s %s\n", f.State, check.Name, f.Text)
				if f.Remedy != "" && f.State != Good {
					fmt.Fprintf(a.env.Stdout, "%-23s %s\n", "", "→ "+f.Remedy)
				}
			}
		}
		if *asJSON {
			if err := printJSON(a.env.Stdout, rows); err != nil {
				return err
			}
		}
		if bad {
			return silentError{}
		}
		return nil
	}
	return c
}

// checks are doctor's own and those that the rooms beneath gave it.
func (a *app) checks() []Check {
	own := []Check{
		{"server", a.checkServer},
		{"key", a.checkKey},
		{"python", a.checkPython},
		{"memory", func(context.Context) Finding { return checkMemory("/proc/meminfo") }},
		{"disk", func(context.Context) Finding { return a.checkDisk() }},
	}
	return append(own, a.deps.Checks...)
}

func (a *app) checkServer(ctx context.Context) Finding {
	cl, err := a.client()
	if err != nil {
		return Finding{Bad, stoa.AsError(err).Msg, "see stoa login --help"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(cl.Server(), "/")+"/readyz", nil)
	if err != nil {
		return Finding{Bad, err.Error(), "write the server as a URL"}
	}
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		return Finding{Bad, "no server answers at " + cl.Server(), "start one with: stoa serve, or name another with --server or STOA_SERVER"}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Finding{Bad, cl.Server() + " answers " + res.Status, "look at the log of the server"}
	}
	return Finding{State: Good, Text: cl.Server() + " is ready"}
}

func (a *app) checkKey(ctx context.Context) Finding {
	cl, err := a.client()
	if err != nil {
		return Finding{Bad, stoa.AsError(err).Msg, "see stoa login --help"}
	}
	id, err := cl.WhoAmI(ctx)
	switch {
	case err == nil && id.Admin:
		return Finding{State: Good, Text: "is valid, and belongs to " + id.Account + ", an administrator"}
	case err == nil:
		return Finding{State: Good, Text: "is valid, and belongs to " + id.Account}
	case stoa.KindOf(err) == stoa.Unauthenticated:
		return Finding{Bad, "there is none, or the server does not know it", "log in with: stoa login --key KEY"}
	}
	return Finding{Warn, "could not be checked: " + stoa.AsError(err).Msg, "look at the server first"}
}

// checkPython looks for what fetches ONNX Runtime.
func (a *app) checkPython(context.Context) Finding {
	var found []string
	for _, name := range []string{"python3", "pip3", "pip"} {
		if p := a.lookPath(name); p != "" {
			found = append(found, p)
		}
	}
	if len(found) < 2 {
		return Finding{State: Good, Text: "python3 with pip is not there; only building Stoa needs them, to fetch ONNX Runtime"}
	}
	return Finding{State: Good, Text: strings.Join(found, ", ")}
}

// lookPath finds a program as a shell would.
func (a *app) lookPath(name string) string {
	for _, dir := range filepath.SplitList(a.env.Getenv("PATH")) {
		p := filepath.Join(dir, name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// lowMemory is about what the demos and one middling model take together.
const lowMemory = 1 << 30

func checkMemory(path string) Finding {
	f, err := os.Open(path)
	if err != nil {
		return Finding{State: Warn, Text: "cannot be read: " + err.Error()}
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			break
		}
		if kib<<10 < lowMemory {
			return Finding{Warn, human.Bytes(kib<<10) + " are free", "large models may not fit: end what is not needed"}
		}
		return Finding{State: Good, Text: human.Bytes(kib<<10) + " are free"}
	}
	return Finding{State: Warn, Text: "cannot be told from " + path}
}

// lowDisk is what a push of a large model takes while it is built.
const lowDisk = 2 << 30

func (a *app) checkDisk() Finding {
	dir := firstOf(a.env.Home, "/")
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Finding{State: Warn, Text: dir + " cannot be looked at: " + err.Error()}
	}
	free := int64(st.Bavail) * st.Bsize
	if free < lowDisk {
		return Finding{Warn, human.Bytes(free) + " are free at " + dir, "large models may not fit: make room"}
	}
	return Finding{State: Good, Text: human.Bytes(free) + " are free at " + dir}
}
