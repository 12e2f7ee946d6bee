package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/worker/langpack"
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

// Row is a finding of several that are made together.
type Row struct {
	Name string `json:"name"`
	Finding
}

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what may be wrong, and say what helps",
		Long: `Look at this machine and at the server: what works, what does not, and what helps.
It changes nothing. Of the sandbox it says what protections a server would have
here, after starting one as the server does; of each language, whether its
programs can be built and run here.`,
		Example: `  stoa doctor
  stoa doctor --sandbox strict   # would a server start that refuses weaker protections?
  stoa doctor --json`,
		Args: cobra.NoArgs,
	}
	var o ServeOptions
	sandboxFlags(c, &o)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		d := &diagnosis{w: a.env.Stdout, colour: a.env.StdoutTTY, silent: *asJSON}
		for _, check := range a.checks() {
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
			d.add("", Row{check.Name, check.Run(ctx)})
			cancel()
		}
		if a.deps.Protections != nil {
			d.add("sandbox", a.deps.Protections(c.Context(), o)...)
		}
		d.add("language", languageRows()...)
		if *asJSON {
			if err := printJSON(a.env.Stdout, d.rows); err != nil {
				return err
			}
		}
		if d.bad {
			return silentError{}
		}
		return nil
	}
	return c
}

// diagnosis is what doctor has found, printed as it comes.
type diagnosis struct {
	w              io.Writer
	colour, silent bool

	rows []sectionRow
	bad  bool
}

// sectionRow is a row under the heading of its section, "" for none.
type sectionRow struct {
	Section string `json:"section,omitempty"`
	Row
}

// colours are green, yellow and red.
var colours = map[State]string{Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[31m"}

func (d *diagnosis) add(section string, rows ...Row) {
	if section != "" && len(rows) > 0 && !d.silent {
		fmt.Fprintf(d.w, "\n%s\n", section)
	}
	for _, r := range rows {
		d.rows = append(d.rows, sectionRow{section, r})
		d.bad = d.bad || r.State == Bad
		if d.silent {
			continue
		}
		state := fmt.Sprintf("%-8s", r.State)
		if d.colour {
			state = colours[r.State] + state + "\x1b[0m"
		}
		fmt.Fprintf(d.w, "%s %-14s %s\n", state, r.Name, r.Text)
		if r.Remedy != "" && r.State != Good {
			fmt.Fprintf(d.w, "%-23s %s\n", "", "→ "+r.Remedy)
		}
	}
}

// languageRows tells which languages programs may be written in on this machine. A
// language that is missing is no fault where nobody uses it.
func languageRows() []Row {
	all := langpack.All()
	rows := make([]Row, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() { // each asks programs, which take their time to start
			runtime, err := l.Runtime()
			if err == nil {
				rows[i] = Row{l.Name(), Finding{State: Good, Text: runtime}}
				return
			}
			text, remedy := split(stoa.AsError(err).Msg)
			rows[i] = Row{l.Name(), Finding{Warn, text, remedy}}
		})
	}
	wg.Wait()
	return rows
}

// split parts a message into what is wrong and what helps.
func split(msg string) (text, remedy string) {
	text, remedy, _ = strings.Cut(msg, ": ")
	return text, remedy
}

// checks are doctor's own and those that the rooms beneath gave it.
func (a *app) checks() []Check {
	own := []Check{
		{"server", a.checkServer},
		{"key", a.checkKey},
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
