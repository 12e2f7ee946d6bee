package serve

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/layers"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/shim"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

// codes turns versions of code into what the fleet runs.
type codes struct {
	layers  *layers.Cache
	secrets func(ctx context.Context, ref stoa.Ref) ([]string, error)
}

// work is what the fleet needs to run a version of code, but for its input.
func (c *codes) work(ctx context.Context, v *catalog.Version, man *manifest.Manifest) (fleet.Work, error) {
	var report build.Report
	if err := json.Unmarshal(v.Report, &report); err != nil {
		return fleet.Work{}, stoa.Wrap(stoa.Internal, err, "the build report of %s/%s %s cannot be read", v.Owner, v.Name, v.Number)
	}
	code, err := replica(man, v.Built)
	if err != nil {
		return fleet.Work{}, err
	}
	if err := addModels(code, man, v.Files, v.Built); err != nil {
		return fleet.Work{}, err
	}
	program, mounts, err := c.program(ctx, report.Language, man, v.Built)
	if err != nil {
		return fleet.Work{}, err
	}
	code.Mounts = mounts
	ref := stoa.Ref{Owner: v.Owner, Name: v.Name}
	secrets, err := c.secrets(ctx, ref)
	if err != nil {
		return fleet.Work{}, err
	}
	program.Env = append(program.Env, environment(ref, v.Number.String(), code)...)
	program.Env = append(program.Env, secrets...)
	policy, err := policyOf(man, program.Concurrency)
	if err != nil {
		return fleet.Work{}, err
	}
	return fleet.Work{
		Label: codeLabel(v), Policy: policy, Code: code,
		Model: worker.Model{ID: codeLabel(v), Program: &program},
	}, nil
}

// codeLabel names the group of a version's replicas.
func codeLabel(v *catalog.Version) string {
	return v.Owner + "/" + v.Name + "/" + v.Number.String() + "@" + v.Hash[:12]
}

// program gives how a version's program is started on this machine, and what of
// the machine it needs.
func (c *codes) program(ctx context.Context, language string, man *manifest.Manifest, built []blob.File) (runner.Program, []sandbox.Mount, error) {
	lang, err := langpack.Find(language)
	if err != nil {
		return runner.Program{}, nil, err
	}
	place := langpack.Place{}
	for _, f := range built {
		if f.Name != build.AppLayer {
			continue
		}
		dir, release, err := c.layers.Path(ctx, f)
		if err != nil {
			return runner.Program{}, nil, err
		}
		defer release()
		place.Source = os.DirFS(dir)
	}
	return programAt(lang, man, place)
}

// loadTime is how long a program may take to become ready: within the fleet's own
// limit, so that what it printed until then can be told.
const loadTime = 100 * time.Second

func programAt(lang *langpack.Language, man *manifest.Manifest, at langpack.Place) (runner.Program, []sandbox.Mount, error) {
	p, err := lang.Program(man, at)
	if err != nil {
		return p, nil, err
	}
	mounts, err := lang.Mounts()
	if err != nil {
		return p, nil, err
	}
	p.Output, p.Load = manifest.DefaultOutput, loadTime
	if man.Limits != nil && man.Limits.Output != "" {
		if p.Output, err = manifest.ParseSize(man.Limits.Output); err != nil {
			return p, nil, err
		}
	}
	return p, mounts, nil
}

// environment is what every program finds; docs/runner-protocol.md.
func environment(ref stoa.Ref, version string, code *fleet.Code) []string {
	env := []string{
		"HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8",
		"STOA_ALGORITHM=" + ref.String(), "STOA_VERSION=" + version,
		"ALGORITHMIA_API=http://" + shim.APIAddress, "ALGORITHMIA_API_KEY=" + replicaKey,
	}
	if len(code.Models) > 0 {
		env = append(env, "STOA_MODELS="+fleet.ModelsDir)
	}
	if len(code.Network) > 0 {
		proxy := "=http://" + shim.EgressAddress
		env = append(env, "HTTP_PROXY"+proxy, "HTTPS_PROXY"+proxy, "http_proxy"+proxy, "https_proxy"+proxy,
			"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost")
	}
	return env
}

// Limits of a replica that no manifest sets.
const (
	replicaFileSize = 1 << 30
	replicaFiles    = 1024
)

// replica gives what a replica of code is made of, but for what the machine must
// lend it.
func replica(man *manifest.Manifest, built []blob.File) (*fleet.Code, error) {
	code := &fleet.Code{
		Limits: sandbox.Limits{
			Memory: manifest.DefaultMemory, CPU: manifest.DefaultCPU, Processes: manifest.DefaultProcesses,
			FileSize: replicaFileSize, Files: replicaFiles,
		},
		Tmp: manifest.DefaultDisk,
	}
	if l := man.Limits; l != nil {
		for _, x := range []struct {
			text string
			to   *int64
		}{{l.Memory, &code.Limits.Memory}, {l.Disk, &code.Tmp}} {
			if x.text == "" {
				continue
			}
			n, err := manifest.ParseSize(x.text)
			if err != nil {
				return nil, err
			}
			*x.to = n
		}
		if l.CPU > 0 {
			code.Limits.CPU = l.CPU
		}
		if l.Processes > 0 {
			code.Limits.Processes = int64(l.Processes)
		}
	}
	if man.Code != nil {
		code.Network = man.Code.Network
	}
	targets := map[string]string{build.AppLayer: build.AppDir, build.DepLayer: build.DepDir, build.LangLayer: build.LangDir}
	for _, f := range built {
		if target, ok := targets[f.Name]; ok {
			code.Layers = append(code.Layers, fleet.Layer{File: f, Target: target})
		}
	}
	return code, nil
}

// modelsPrefix begins the names of files of other algorithms among what a version
// was built with.
const modelsPrefix = "models/"

// addModels adds the files that a program finds in its folder of models: of the
// bundle, or of another algorithm, which the build has copied.
func addModels(code *fleet.Code, man *manifest.Manifest, files, built []blob.File) error {
	if man.Code == nil {
		return nil
	}
	for _, m := range man.Code.Models {
		from, name := files, m.File
		if m.From != "" {
			from, name = built, modelsPrefix+m.Name
		}
		found := false
		for _, f := range from {
			if f.Name == name {
				code.Models = append(code.Models, blob.File{Name: m.Name, Digest: f.Digest, Size: f.Size})
				found = true
			}
		}
		if !found {
			return stoa.Errorf(stoa.Internal, "the version has lost its model %s", m.Name)
		}
	}
	return nil
}

// policyOf says how many replicas a version has.
func policyOf(man *manifest.Manifest, concurrency int) (fleet.Policy, error) {
	p := fleet.Policy{Max: manifest.DefaultMax, Slots: max(concurrency, 1), Idle: manifest.DefaultIdle, Once: true}
	r := man.Replicas
	if r == nil {
		return p, nil
	}
	p.Min = r.Min
	if r.Max > 0 {
		p.Max = r.Max
	}
	if r.Idle != "" {
		idle, err := time.ParseDuration(r.Idle)
		if err != nil {
			return p, stoa.Wrap(stoa.Internal, err, "replicas.idle")
		}
		p.Idle = idle
	}
	return p, nil
}

// FindInit gives the path of stoa-init: beside the binary, or where a package
// would install it; "" where there is none.
func FindInit(binDir string) string {
	for _, dir := range []string{binDir, "/usr/local/lib/stoa", "/usr/lib/stoa", "/usr/local/bin", "/usr/bin"} {
		p := filepath.Join(dir, "stoa-init")
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}
