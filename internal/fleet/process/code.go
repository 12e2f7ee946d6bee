package process

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// Code is what a Driver needs for replicas of code: an author's program in a
// sandbox, behind stoa-init.
type Code struct {
	Sandbox *sandbox.Sandbox
	// Layer gives the folder of an unpacked layer, held until release.
	Layer func(ctx context.Context, f blob.File) (dir string, release func(), err error)
	// Blob gives the path of a blob.
	Blob func(f blob.File) (string, error)
	// Open serves the doors of a replica until closed: the API, and the way out.
	// It owns both listeners.
	Open func(d Doors) (closed func())
}

// Doors are what a replica reaches of the outside: nothing but two sockets of the
// server, one of which it is given only where its version has a network.
type Doors struct {
	Handle  fleet.Handle
	API     net.Listener
	Egress  net.Listener // nil where it has no network
	Network []string     // hosts that the version may reach
	// Tokens gives the tokens of the calls that the replica works on.
	Tokens func() []string
}

// Where a replica finds its doors, and the names of their sockets.
const (
	doorsDir   = "/run/stoa/doors"
	apiSock    = "api.sock"
	egressSock = "egress.sock"
)

// codeRecord is what stands on disk of a replica of code, beside the rest.
type codeRecord struct {
	Code    *fleet.Code    `json:"code"`
	Sandbox sandbox.Record `json:"sandbox"`
}

// startCode starts a replica of code; see fleet.Driver.
func (d *Driver) startCode(ctx context.Context, s fleet.Spec) (_ fleet.Replica, err error) {
	id := "c" + strings.ToLower(rand.Text()[:12])
	r := &codeReplica{code: s.Code}
	defer func() {
		if err != nil {
			r.discard()
			words := d.lastWords(id)
			d.remove(id)
			e := stoa.Wrap(stoa.Unavailable, err, "the replica of %s did not start: %s", s.Label, words)
			if known := stoa.AsError(err); known.Kind != stoa.Internal {
				e = stoa.Wrap(known.Kind, err, "the replica of %s did not start: %s", s.Label, known.Msg)
			}
			err = e
		}
	}()
	spec, err := d.spec(ctx, id, s, r)
	if err != nil {
		return nil, err
	}
	defer closeFiles(append(spec.Files, spec.Stderr))
	if r.process, err = d.cfg.Code.Sandbox.Start(spec); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // one that dies at once must not be waited for
		select {
		case <-r.process.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	h := fleet.Handle{ID: id, Label: s.Label, PID: r.process.PID(), Since: time.Now().UTC(), Policy: s.Policy}
	if r.replica, err = d.connect(ctx, h); err != nil {
		r.process.Kill()
		return nil, errors.Join(err, r.process.Wait())
	}
	err = d.save(record{Handle: h, Build: d.cfg.Build, Ticks: startTicks(h.PID), Code: &codeRecord{s.Code, r.process.Record()}})
	if err != nil {
		return nil, err
	}
	return d.open(r)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // the child has its own
		}
	}
}

// spec makes what the sandbox is told, and what must be there for it: the
// replica's folder, its listener, its doors, its layers.
func (d *Driver) spec(ctx context.Context, id string, s fleet.Spec, r *codeReplica) (_ sandbox.Spec, err error) {
	spec := sandbox.Spec{
		Name: id, Dir: "/", First: true, Kind: sandbox.Code, Limits: s.Code.Limits, Tmp: s.Code.Tmp, Mounts: s.Code.Mounts,
		Env: []string{"LANG=C.UTF-8"},
		Command: []string{
			sandbox.InitPath, "serve", "--label", s.Label, "--build", d.cfg.Build, "--linger", d.cfg.Linger.String(),
			"--memory", strconv.FormatInt(s.Code.Limits.Memory, 10), "--api", filepath.Join(doorsDir, apiSock),
		},
	}
	if len(s.Code.Network) > 0 {
		spec.Command = append(spec.Command, "--egress", filepath.Join(doorsDir, egressSock))
	}
	for _, l := range s.Code.Layers {
		dir, release, err := d.cfg.Code.Layer(ctx, l.File)
		if err != nil {
			return spec, err
		}
		r.releases = append(r.releases, release)
		r.places = append(r.places, l.Target, dir)
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: dir, Target: l.Target})
	}
	for _, f := range s.Code.Models {
		path, err := d.cfg.Code.Blob(f)
		if err != nil {
			return spec, err
		}
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: path, Target: filepath.Join(fleet.ModelsDir, f.Name)})
	}
	if err := os.MkdirAll(d.path(id, ""), 0o700); err != nil {
		return spec, err
	}
	if r.api, r.egress, err = d.listenDoors(id, len(s.Code.Network) > 0); err != nil {
		return spec, err
	}
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: d.path(id, ""), Target: doorsDir})
	return spec, d.inherited(id, &spec)
}

// inherited adds what a replica is started with: its listener and its log.
func (d *Driver) inherited(id string, spec *sandbox.Spec) error {
	ln, err := listen(d.cfg.Dir, id+".sock")
	if err != nil {
		return err
	}
	defer ln.Close()
	socket, err := ln.File()
	if err != nil {
		return err
	}
	spec.Files = []*os.File{socket}
	log, err := os.OpenFile(d.path(id, ".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	spec.Stdout, spec.Stderr = log, log
	return nil
}

// listenDoors listens on the sockets of a replica, whoever may have done so
// before.
func (d *Driver) listenDoors(id string, network bool) (api, egress net.Listener, err error) { //nolint:revive // whether the version has one
	open := func(name string) (net.Listener, error) {
		_ = os.Remove(filepath.Join(d.path(id, ""), name)) // an earlier server's
		ln, err := listen(d.path(id, ""), name)
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the door %s of replica %s cannot be opened", name, id)
		}
		// Who can see the folder is the replica alone.
		if err := os.Chmod(filepath.Join(d.path(id, ""), name), 0o666); err != nil {
			_ = ln.Close()
			return nil, stoa.Wrap(stoa.Internal, err, "the door %s of replica %s cannot be opened", name, id)
		}
		return ln, nil
	}
	if api, err = open(apiSock); err != nil || !network {
		return api, nil, err
	}
	if egress, err = open(egressSock); err != nil {
		_ = api.Close()
		return nil, nil, err
	}
	return api, egress, nil
}

// open serves the doors of a replica that is connected, and watches it.
func (d *Driver) open(r *codeReplica) (fleet.Replica, error) {
	r.inFlight = map[string]int{}
	r.closeDoors = d.cfg.Code.Open(Doors{Handle: r.handle, API: r.api, Egress: r.egress, Network: r.code.Network, Tokens: r.tokens})
	r.api, r.egress = nil, nil
	r.relocated = d.cfg.Code.Sandbox.Mode() == sandbox.None
	r.ended = make(chan struct{})
	go r.watchCode()
	return r, nil
}

// adoptCode takes over a replica of code of an earlier server; see fleet.Driver.
func (d *Driver) adoptCode(ctx context.Context, rec record) (_ fleet.Replica, err error) {
	r := &codeReplica{code: rec.Code.Code}
	defer func() {
		if err != nil {
			r.discard()
			_ = d.cfg.Code.Sandbox.Forget(rec.Code.Sandbox) // it is swept at the next start
			d.remove(rec.ID)
		}
	}()
	if r.process, err = d.cfg.Code.Sandbox.Adopt(rec.Code.Sandbox); err != nil {
		return nil, err
	}
	for _, l := range r.code.Layers {
		dir, release, err := d.cfg.Code.Layer(ctx, l.File)
		if err != nil {
			return nil, err
		}
		r.releases = append(r.releases, release)
		r.places = append(r.places, l.Target, dir)
	}
	if r.api, r.egress, err = d.listenDoors(rec.ID, len(r.code.Network) > 0); err != nil {
		return nil, err
	}
	if r.replica, err = d.connect(ctx, rec.Handle); err != nil {
		r.process.Signal(syscall.SIGTERM) // it finishes what runs
		return nil, err
	}
	return d.open(r)
}
