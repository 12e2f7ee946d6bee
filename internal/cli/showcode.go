package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/manifest"
)

// codeCheck is what a build says of its sample.
type codeCheck struct {
	Sample     string  `json:"sample"`
	RunSeconds float64 `json:"run_seconds"`
	Answer     string  `json:"answer"`
}

// codeReport is a build's report as a server gives it.
type codeReport struct {
	build.Report
	Check *codeCheck `json:"check"`
}

// showCode prints what only code has. What a server of another version says in
// another form is left out.
func showCode(w io.Writer, v *client.Algorithm) error {
	if m, err := manifest.FromJSON(v.Manifest); err == nil {
		fmt.Fprintln(w, "\ncode")
		if err := table(w, limitRows(m)); err != nil {
			return err
		}
		if err := showSchema(w, m.Schema); err != nil {
			return err
		}
	}
	var r codeReport
	if len(v.Report) == 0 || json.Unmarshal(v.Report, &r) != nil || r.Language == "" {
		return nil //nolint:nilerr // see above
	}
	fmt.Fprintln(w, "\nbuild")
	return table(w, r.rows())
}

// limitRows tells what a replica may use, how many there are, and what it reaches,
// defaults too.
func limitRows(m *manifest.Manifest) [][]string {
	l := manifest.Limits{}
	if m.Limits != nil {
		l = *m.Limits
	}
	c := manifest.Code{}
	if m.Code != nil {
		c = *m.Code
	}
	r := manifest.Replicas{}
	if m.Replicas != nil {
		r = *m.Replicas
	}
	size := func(set string, usual int64) string { return cmp.Or(set, human.Bytes(usual)) }
	rows := [][]string{
		{"memory", size(l.Memory, manifest.DefaultMemory) + ", of which /tmp " + size(l.Disk, manifest.DefaultDisk) + " at most"},
		{"processors", fmt.Sprintf("%g", cmp.Or(l.CPU, manifest.DefaultCPU))},
		{"processes", fmt.Sprint(cmp.Or(l.Processes, manifest.DefaultProcesses))},
		{"answer", "up to " + size(l.Output, manifest.DefaultOutput)},
	}
	if l.Timeout != "" {
		rows = append(rows, []string{"timeout", l.Timeout})
	}
	if l.Body != "" {
		rows = append(rows, []string{"input", "up to " + l.Body})
	}
	rows = append(rows,
		[]string{"replicas", fmt.Sprintf("%d to %d, ended after %s without a call", r.Min, cmp.Or(r.Max, manifest.DefaultMax), cmp.Or(r.Idle, strings.TrimSuffix(manifest.DefaultIdle.String(), "0s")))},
		[]string{"calls at once", fmt.Sprintf("%d in each replica", max(c.Concurrency, 1))},
		[]string{"network", cmp.Or(strings.Join(c.Network, ", "), "none")},
	)
	for i, model := range c.Models {
		head := ""
		if i == 0 {
			head = "models"
		}
		from := model.File
		if model.From != "" {
			from = model.From + "'s " + model.File
		}
		rows = append(rows, []string{head, model.Name + ", which is " + from})
	}
	return rows
}

// showSchema prints what a call and its answer look like.
func showSchema(w io.Writer, pair *manifest.SchemaPair) error {
	if pair == nil {
		return nil
	}
	for _, part := range []struct {
		name   string
		schema any
	}{{"input", pair.Input}, {"output", pair.Output}} {
		if part.schema == nil {
			continue
		}
		fmt.Fprintf(w, "\nschema of the %s\n", part.name)
		if err := printJSON(w, part.schema); err != nil {
			return err
		}
	}
	return nil
}

func (r *codeReport) rows() [][]string {
	rows := [][]string{
		{"language", cmp.Or(r.Framework, r.Language)},
		{"runtime", r.Runtime},
		{"protocol", r.Protocol},
		{"starts", strings.Join(r.Command, " ")},
	}
	took := fmt.Sprintf("%.1f s", r.Seconds)
	if r.Cached {
		took += ", with dependencies as installed before"
	}
	rows = append(rows, []string{"took", took})
	if len(r.Hosts) > 0 {
		rows = append(rows, []string{"fetched from", strings.Join(r.Hosts, ", ")})
	}
	size := human.Bytes(r.AppBytes)
	if r.DepsBytes > 0 {
		size += ", and " + human.Bytes(r.DepsBytes) + " of dependencies"
	}
	rows = append(rows, []string{"size", size})
	if c := r.Check; c != nil {
		const most = 200 // a screen's line or two
		answer := printable(strings.ReplaceAll(c.Answer, "\n", " "))
		if len(answer) > most {
			answer = strings.ToValidUTF8(answer[:most], "") + " …"
		}
		rows = append(rows, []string{"tried", fmt.Sprintf("%s answered in %.1f ms: %s", c.Sample, 1000*c.RunSeconds, answer)})
	}
	return rows
}

// showBuildLog prints what the build of a version printed, of which the server
// keeps the end.
func (a *app) showBuildLog(v *client.Algorithm) error {
	var r build.Report
	if v.Kind != manifest.KindCode || json.Unmarshal(v.Report, &r) != nil {
		return stoa.Errorf(stoa.NotFound, "%s/%s %s was not built: only code is", v.Owner, v.Name, v.Version)
	}
	for line := range strings.Lines(r.Log) {
		fmt.Fprintln(a.env.Stdout, printable(strings.TrimRight(line, "\r\n")))
	}
	return nil
}
