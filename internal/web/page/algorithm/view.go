package algorithm

import (
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/human"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/web"
)

// view is what the page shows of a version.
type view struct {
	FullName     string // owner/name
	Owner, Name  string
	Version      string
	Kind         string
	Public       bool
	Tagline      string
	Tags         []string
	Licence      string
	LicenceURL   string // of the bundle's own licence text; "" for none
	Readme       readme
	Keyless      bool // strangers may call it
	MayCall      bool // who looks may call it
	Code         *codeView
	Language     string // of code, as people write it
	Schemas      []schemaView
	Logs         *logsView
	Console      console
	Snippets     []snippet
	Report       *reportView
	Inputs       []adapterLine
	Outputs      []adapterLine
	Versions     []versionLine
	MoreVersions int
}

// readme is the README of a version as HTML.
type readme struct {
	HTML template.HTML
	Rest string // address of the whole file where it is cut
}

// adapterLine says what an input or an output is, to people and to the network.
type adapterLine struct {
	Name    string
	People  string // such as "a picture"
	Network string // such as "1x3x96x96 float32"
	Details []string
}

type versionLine struct {
	Number, Created, Creator string
	Public, Here             bool
}

// reportView is the import report in words.
type reportView struct {
	Framework, Format string
	Files             string
	Layers            []layerCount
	Mapped            []mapping
	Simplified        string // operators that are gone, with counts
	MoreLayers        int
	LayerSum          int
	Parameters, MACs  string
	Weights, Memory   string
	Measured          string // memory that loading took; "" where nobody measured
	Opset             int64
	Check             *importer.Check
	LoadTime, RunTime string
	Compared          int    // outputs that were compared with the framework of origin's
	Off               string // how far the worst of them was off its scale
	Notes             []string
}

type layerCount struct {
	Name  string
	Count int
}

func newView(site *web.Site, v *catalog.Version) *view {
	x := &view{
		FullName: v.Owner + "/" + v.Name, Owner: v.Owner, Name: v.Name, Version: v.Number.String(), Kind: v.Kind, Public: v.Public,
		Tagline: v.Tagline,
	}
	m, err := manifest.FromJSON(v.Manifest)
	if err != nil {
		m = &manifest.Manifest{} // of an older build: the page does without
	}
	x.Tags, x.Licence = m.Tags, m.Licence
	for _, f := range v.Files {
		if up := strings.ToUpper(f.Name); strings.HasPrefix(up, "LICENCE") || strings.HasPrefix(up, "LICENSE") {
			x.LicenceURL = web.FileURL(v, f.Name)
		}
	}
	if v.Kind == manifest.KindCode {
		x.addCode(site, v, m)
		return x
	}
	var r importer.Report
	if json.Unmarshal(v.Report, &r) != nil || r.Framework == "" {
		return x
	}
	x.Report = newReport(&r)
	x.Inputs, x.Outputs = inputLines(site, m, &r), outputLines(site, m, &r)
	return x
}

func inputLines(site *web.Site, m *manifest.Manifest, r *importer.Report) []adapterLine {
	var out []adapterLine
	for _, in := range inputsOf(m, r) {
		l := adapterLine{Name: in.spec.Name, Network: describe(in.spec), People: site.Say("algorithm.array")}
		if p := in.picture; p != nil {
			l.People = site.Say("algorithm.picture")
			l.Details = append(l.Details, site.Say("algorithm.colours", cmp.Or(p.Colour, "rgb")))
			if p.Width > 0 && p.Height > 0 {
				l.Details = append(l.Details, site.Say("algorithm.resized", p.Width, p.Height, cmp.Or(p.Resize, "stretch")))
			}
			if len(p.Mean) > 0 || len(p.Scale) > 0 {
				l.Details = append(l.Details, site.Say("algorithm.levels", numbers(p.Mean, "0"), numbers(p.Scale, "1")))
			}
		}
		out = append(out, l)
	}
	return out
}

func outputLines(site *web.Site, m *manifest.Manifest, r *importer.Report) []adapterLine {
	var out []adapterLine
	for _, o := range outputsOf(m, r) {
		l := adapterLine{Name: o.spec.Name, Network: describe(o.spec), People: site.Say("algorithm.array")}
		switch {
		case o.Labels != nil:
			l.People = site.Say("algorithm.labels")
			if o.Labels.Threshold > 0 {
				l.Details = append(l.Details, site.Say("algorithm.threshold", o.Labels.Threshold))
			}
		case o.Lab != nil || o.Picture != nil:
			l.People = site.Say("algorithm.picture")
		}
		out = append(out, l)
	}
	return out
}

// describe writes a shape and a type; N stands for a size that is free.
func describe(s tensor.Spec) string {
	return strings.ReplaceAll(strings.ReplaceAll(tensor.ShapeString(s.Shape), "?", "N"), "x", "×") + " " + s.DType.String()
}

func numbers(list []float64, missing string) string {
	if len(list) == 0 {
		return missing
	}
	parts := make([]string, len(list))
	for i, f := range list {
		parts[i] = strconv.FormatFloat(f, 'g', 4, 64)
	}
	return strings.Join(parts, ", ")
}

// mapping says what became of a type of layer; nothing where it was dropped.
type mapping struct{ Layer, Operators string }

// maxLayers is how many kinds of layers the page lists.
const maxLayers = 12

func newReport(r *importer.Report) *reportView {
	x := &reportView{
		Framework: r.Framework, Format: r.Format, Files: strings.Join(r.Files, ", "),
		Parameters: human.Count(r.Parameters), MACs: human.Count(r.MACs), Weights: human.Bytes(r.WeightBytes), Memory: human.Bytes(r.MemoryBytes),
		Opset: r.Opset, Notes: r.Notes[:min(len(r.Notes), maxLayers)],
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Layers), func(a, b string) int {
		return cmp.Or(r.Layers[b]-r.Layers[a], strings.Compare(a, b))
	}) {
		x.LayerSum += r.Layers[name]
		if len(x.Layers) < maxLayers {
			x.Layers = append(x.Layers, layerCount{name, r.Layers[name]})
		}
	}
	x.MoreLayers = len(r.Layers) - len(x.Layers)
	for _, name := range slices.Sorted(maps.Keys(r.Mapped)) {
		x.Mapped = append(x.Mapped, mapping{name, strings.Join(r.Mapped[name], ", ")})
	}
	var gone []string
	for _, op := range slices.Sorted(maps.Keys(r.Simplified)) {
		gone = append(gone, strconv.Itoa(r.Simplified[op])+" "+op)
	}
	x.Simplified = strings.Join(gone, ", ")
	if c := r.Check; c != nil {
		x.Check, x.Measured = c, human.Bytes(c.HostBytes)
		worst := 0.0
		for _, o := range c.Compared {
			worst = max(worst, o.MaxRel)
		}
		x.Compared, x.Off = len(c.Compared), strconv.FormatFloat(worst, 'g', 2, 64)
		x.LoadTime, x.RunTime = human.Seconds(c.LoadSeconds), human.Seconds(c.RunSeconds)
	}
	return x
}
