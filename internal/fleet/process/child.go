package process

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// processes bounds the threads of a worker: Go's and those of the library, which
// are a few for each processor, and more while calls wait in it.
const processes = 4096

// child is a worker's process, in a sandbox or not.
type child struct {
	pid    int
	wait   func() error // for its end; nothing of a sandbox is left then
	kill   func()
	record *sandbox.Record
}

// child starts a worker.
func (d *Driver) child(s sandbox.Spec) (*child, error) {
	if d.cfg.Sandbox == nil {
		cmd := exec.Command(s.Command[0], s.Command[1:]...) //nolint:noctx // it outlives whoever starts it
		cmd.Env, cmd.Dir, cmd.ExtraFiles = s.Env, s.Dir, s.Files
		cmd.Stdout, cmd.Stderr = s.Stdout, s.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C for the server is not for it
		if err := sandbox.Start(cmd); err != nil {
			return nil, err
		}
		return &child{pid: cmd.Process.Pid, wait: cmd.Wait, kill: func() { _ = cmd.Process.Kill() }}, nil
	}
	s.Mounts = append([]sandbox.Mount{{Source: s.Dir, Target: s.Dir, Write: true}}, d.cfg.Mounts...)
	p, err := d.cfg.Sandbox.Start(s)
	if err != nil {
		return nil, err
	}
	rec := p.Record()
	return &child{pid: p.PID(), wait: waitAndClose(p), kill: p.Kill, record: &rec}, nil
}

func waitAndClose(p *sandbox.Process) func() error {
	return func() error {
		err := p.Wait()
		_ = p.Close() // what is left then is swept at the next start
		return err
	}
}

// adopted is the child of an earlier server, as far as it is in a sandbox.
func (d *Driver) adopted(r record) *child {
	c := &child{pid: r.PID, wait: func() error { return nil }, record: r.Sandbox}
	if r.Sandbox == nil || d.cfg.Sandbox == nil {
		return c
	}
	if p, err := d.cfg.Sandbox.Adopt(*r.Sandbox); err == nil {
		c.wait, c.kill = waitAndClose(p), p.Kill
	}
	return c
}

// forget removes what a dead replica's sandbox has left.
func (d *Driver) forget(r record) {
	if box, rec := d.boxOf(r); box != nil {
		_ = box.Forget(rec) // what is left then is swept at the next start
	}
}

// boxOf gives the sandbox that a replica is in, and its record there; nil where
// it is in none.
func (d *Driver) boxOf(r record) (*sandbox.Sandbox, sandbox.Record) {
	switch {
	case r.Code != nil && d.cfg.Code != nil:
		return d.cfg.Code.Sandbox, r.Code.Sandbox
	case r.Sandbox != nil:
		return d.cfg.Sandbox, *r.Sandbox
	}
	return nil, sandbox.Record{}
}

// Sweep ends what an earlier server has started in the sandbox and did not write
// down before it died: replicas, imports and builds. It is called once, before
// anything is started.
func (d *Driver) Sweep(ctx context.Context) error {
	if d.cfg.Sandbox == nil {
		return nil
	}
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the folder for workers cannot be read")
	}
	var keep []sandbox.Record
	for _, e := range entries {
		id, isRecord := strings.CutSuffix(e.Name(), ".json")
		if !isRecord {
			continue
		}
		if rec, err := d.load(id); err == nil && startTicks(rec.PID) == rec.Ticks {
			if box, r := d.boxOf(rec); box != nil {
				keep = append(keep, r)
			}
		}
	}
	return d.cfg.Sandbox.Sweep(ctx, keep)
}
