package algorithm

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/web"
)

// codeView is what the page shows of a program.
type codeView struct {
	Runtime    string // such as Python 3.11.7
	Time       string // of one call; "" where only the caller's own limit counts
	Memory     string
	CPU        string
	Replicas   string
	Hosts      []string // that it may reach
	Unconfined bool     // nothing holds it to that
	Models     []modelLine
	Checked    string // how long its sample took; "" where it has none
	Build      *buildView
}

// modelLine is a file that a program gets.
type modelLine struct {
	Name, Size string
	From       string // the algorithm whose file it is, perhaps with a version; "" for its own
	Page       string // of that algorithm: owner/name
}

// buildView is how a version was built, which is for its owner alone: a log may
// hold what he would rather keep.
type buildView struct {
	When, Took         string
	Dependencies       string
	AppBytes, DepBytes string // DepBytes is "" where it has no dependencies
	Hosts              []string
	Log                string
}

// addCode fills in what is of a program.
func (x *view) addCode(site *web.Site, v *catalog.Version, m *manifest.Manifest) {
	r, check := buildReport(v)
	c := &codeView{Runtime: cmp.Or(r.Runtime, r.Framework, r.Language), Replicas: replicas(site, m.Replicas)}
	limits := m.Limits
	if limits == nil {
		limits = new(manifest.Limits)
	}
	c.Memory, c.Time = human.Bytes(size(limits.Memory, manifest.DefaultMemory)), limits.Timeout
	c.CPU = strconv.FormatFloat(cmp.Or(limits.CPU, manifest.DefaultCPU), 'g', -1, 64)
	if m.Code != nil {
		c.Hosts, c.Models = m.Code.Network, modelLines(v, m.Code.Models)
	}
	if check.Sample != "" {
		c.Checked = human.Seconds(check.RunSeconds)
	}
	x.Code, x.Language = c, cmp.Or(r.Framework, r.Language)
	if m.Schema != nil {
		x.Schemas = schemas(site, m.Schema)
	}
}

// buildCheck is what the sample of a push answered.
type buildCheck struct {
	Sample     string  `json:"sample"`
	RunSeconds float64 `json:"run_seconds"`
}

// buildReport reads the report of a build; of one of an older build the page
// does without.
func buildReport(v *catalog.Version) (build.Report, buildCheck) {
	var check buildCheck
	r := build.Report{Check: &check}
	if json.Unmarshal(v.Report, &r) != nil {
		return build.Report{}, buildCheck{}
	}
	return r, check
}

func size(text string, standard int64) int64 {
	if n, err := manifest.ParseSize(text); text != "" && err == nil {
		return n
	}
	return standard
}

// replicas says how many there are, and how long one is kept without a call.
func replicas(site *web.Site, r *manifest.Replicas) string {
	if r == nil {
		r = new(manifest.Replicas)
	}
	idle := manifest.DefaultIdle
	if d, err := time.ParseDuration(r.Idle); err == nil {
		idle = d
	}
	return site.Say("algorithm.replicasof", r.Min, cmp.Or(r.Max, manifest.DefaultMax), short(idle))
}

// short writes a time without the parts that are nothing: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// copiedModels begins the names of files of other algorithms among what a version
// was built with.
const copiedModels = "models/"

func modelLines(v *catalog.Version, list []manifest.CodeModel) []modelLine {
	var out []modelLine
	for _, m := range list {
		l := modelLine{Name: m.Name, From: m.From}
		files, name := v.Files, m.File
		if m.From != "" {
			files, name = v.Built, copiedModels+m.Name
			if ref, err := stoa.ParseRef(m.From); err == nil {
				l.Page = ref.Owner + "/" + ref.Name
			}
		}
		for _, f := range files {
			if f.Name == name {
				l.Size = human.Bytes(f.Size)
			}
		}
		out = append(out, l)
	}
	return out
}

func newBuild(site *web.Site, v *catalog.Version) *buildView {
	r, _ := buildReport(v)
	b := &buildView{
		When: v.Created.UTC().Format("2006-01-02 15:04:05 UTC"), Took: human.Seconds(r.Seconds), Dependencies: site.Say("algorithm.nodeps"),
		AppBytes: human.Bytes(r.AppBytes), Hosts: r.Hosts, Log: visible(r.Log),
	}
	if r.DepsBytes > 0 {
		b.DepBytes, b.Dependencies = human.Bytes(r.DepsBytes), site.Say("algorithm.installed")
		if r.Cached {
			b.Dependencies = site.Say("algorithm.cached")
		}
	}
	return b
}
