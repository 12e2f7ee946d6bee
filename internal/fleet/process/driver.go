// Package process is the Driver that runs replicas as child processes of this
// machine. A worker listens on a unix socket, outlives the server by a minute,
// and is found again by the small file that stands beside its socket.
package process

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker"
)

// Config is what a Driver needs.
type Config struct {
	// Command is the worker's command line; Main reads what the Driver appends.
	Command []string
	Dir     string // folder for sockets, logs and scratch, the server's own
	Build   string // of this binary; a worker of another build is not adopted
	// Linger is how long a worker outlives the last connection; default 60 s.
	Linger time.Duration
	Memory int64 // limit of a worker's private memory in bytes; 0 means none
	Code   *Code // nil: no code is run here
	// Sandbox is what workers run in; nil means none. Mounts is what they see there
	// beside their own folder: the program of Command, and what it reads.
	Sandbox *sandbox.Sandbox
	Mounts  []sandbox.Mount
}

// Driver starts workers as child processes.
type Driver struct{ cfg Config }

var _ fleet.Driver = (*Driver)(nil)

// New makes a Driver, and its folder.
func New(cfg Config) (*Driver, error) {
	if cfg.Linger == 0 {
		cfg.Linger = time.Minute
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder for workers cannot be made: %s", cfg.Dir)
	}
	return &Driver{cfg: cfg}, nil
}

// record is what stands on disk for each worker.
type record struct {
	fleet.Handle
	Build string      `json:"build"`
	Ticks uint64      `json:"ticks"`          // start of the process: a pid alone may be somebody else's by now
	Code  *codeRecord `json:"code,omitempty"` // of a replica of code
	// Sandbox is a worker's, nil where there is none.
	Sandbox *sandbox.Record `json:"sandbox,omitempty"`
}

func (d *Driver) path(id, suffix string) string { return filepath.Join(d.cfg.Dir, id+suffix) }

// Start starts a worker; see fleet.Driver.
func (d *Driver) Start(ctx context.Context, s fleet.Spec) (fleet.Replica, error) {
	switch {
	case s.Code != nil && d.cfg.Code == nil:
		return nil, stoa.Errorf(stoa.Unsupported, "this server runs no code")
	case s.Code != nil:
		return d.startCode(ctx, s)
	}
	id := "w" + strings.ToLower(rand.Text()[:12])
	c, err := d.spawn(id, s)
	if err != nil {
		d.remove(id)
		return nil, stoa.Wrap(stoa.Unavailable, err, "the worker of %s cannot be started", s.Label)
	}
	exited := make(chan struct{})
	var status error
	go func() {
		status = c.wait()
		close(exited)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a worker that dies at once must not be waited for
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	h := fleet.Handle{ID: id, Label: s.Label, PID: c.pid, Since: time.Now().UTC()}
	r, err := d.connect(ctx, h)
	if err == nil {
		err = d.save(record{Handle: h, Build: d.cfg.Build, Ticks: startTicks(h.PID), Sandbox: c.record})
	}
	if err != nil {
		c.kill()
		<-exited
		err = stoa.Wrap(stoa.Unavailable, errors.Join(err, status), "the worker of %s did not start: %s", s.Label, d.lastWords(id))
		d.remove(id)
		return nil, err
	}
	r.exited = func() error { <-exited; return status }
	go r.watch()
	return r, nil
}

func (d *Driver) spawn(id string, s fleet.Spec) (*child, error) {
	if err := os.Mkdir(d.path(id, ""), 0o700); err != nil {
		return nil, err
	}
	ln, err := listen(d.cfg.Dir, id+".sock")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	socket, err := ln.File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	log, err := os.OpenFile(d.path(id, ".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := append([]string{}, d.cfg.Command...)
	command = append(command, "--label", s.Label, "--build", d.cfg.Build, "--scratch", d.path(id, ""),
		"--linger", d.cfg.Linger.String(), "--memory", strconv.FormatInt(d.cfg.Memory, 10))
	return d.child(sandbox.Spec{
		Name: id, Kind: sandbox.Worker, First: true, Command: command, Env: []string{"LANG=C.UTF-8"}, Dir: d.path(id, ""),
		Stdout: log, Stderr: log, Files: []*os.File{socket}, // descriptor 3 of the worker
		Limits: sandbox.Limits{Memory: d.cfg.Memory, Processes: processes},
	})
}

// connect dials the worker and hears its hello.
func (d *Driver) connect(ctx context.Context, h fleet.Handle) (*replica, error) {
	remote, err := worker.NewRemote(ctx, func(ctx context.Context) (net.Conn, error) {
		return dial(ctx, d.cfg.Dir, h.ID+".sock")
	})
	if err != nil {
		return nil, err
	}
	hello, err := remote.Hello(ctx)
	if err == nil && hello.Build != d.cfg.Build {
		err = stoa.Errorf(stoa.Conflict, "the worker is of build %s, the server of %s", hello.Build, d.cfg.Build)
	}
	if err != nil {
		_ = remote.Close()
		return nil, err
	}
	return &replica{driver: d, handle: h, remote: remote, done: make(chan struct{})}, nil
}

// Running lists the workers of earlier servers; see fleet.Driver.
func (d *Driver) Running(context.Context) ([]fleet.Handle, error) {
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder for workers cannot be read")
	}
	var out []fleet.Handle
	for _, e := range entries {
		id, isRecord := strings.CutSuffix(e.Name(), ".json")
		if !isRecord {
			continue
		}
		rec, err := d.load(id)
		if err != nil || startTicks(rec.PID) != rec.Ticks {
			d.forget(rec)
			d.remove(id)
			continue
		}
		out = append(out, rec.Handle)
	}
	return out, nil
}

// Adopt takes over a worker of an earlier server; see fleet.Driver.
func (d *Driver) Adopt(ctx context.Context, h fleet.Handle) (fleet.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rec, err := d.load(h.ID)
	if err != nil {
		return nil, err
	}
	ours := func() bool { return startTicks(rec.PID) == rec.Ticks }
	if rec.Code != nil {
		if d.cfg.Code == nil {
			return nil, stoa.Errorf(stoa.Unsupported, "this server runs no code")
		}
		return d.adoptCode(ctx, rec)
	}
	c := d.adopted(rec)
	r, err := d.connect(ctx, rec.Handle)
	if err != nil {
		if ours() {
			_ = syscall.Kill(rec.PID, syscall.SIGTERM) // it finishes what runs
		}
		go func() { _ = c.wait() }() // and its sandbox goes when it does
		d.remove(h.ID)
		return nil, err
	}
	r.exited = func() error {
		if ours() { // the connection is lost, so it is of no use to anybody
			_ = syscall.Kill(rec.PID, syscall.SIGKILL)
		}
		_ = c.wait()
		return errors.New("the adopted worker is gone")
	}
	go r.watch()
	return r, nil
}

// Release leaves a worker for the next server; see fleet.Driver.
func (d *Driver) Release(r fleet.Replica) error {
	var x *replica
	switch r := r.(type) {
	case *replica:
		x = r
	case *codeReplica:
		x = r.replica
	default:
		return stoa.Errorf(stoa.Internal, "a replica of another driver")
	}
	x.released.Store(true)
	return x.remote.Close()
}

func (d *Driver) save(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// Whoever reads it sees all of it, or none.
	if err := os.WriteFile(d.path(r.ID, ".new"), b, 0o600); err != nil {
		return err
	}
	return os.Rename(d.path(r.ID, ".new"), d.path(r.ID, ".json"))
}

func (d *Driver) load(id string) (record, error) {
	var r record
	b, err := os.ReadFile(d.path(id, ".json"))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, stoa.Wrap(stoa.NotFound, err, "no worker %s", id)
	}
	return r, nil
}

// remove forgets all that stands on disk for a worker.
func (d *Driver) remove(id string) {
	for _, suffix := range []string{".json", ".new", ".sock", ".log"} {
		_ = os.Remove(d.path(id, suffix))
	}
	_ = os.RemoveAll(d.path(id, ""))
}

// lastWords gives the end of what a worker wrote, for the message.
func (d *Driver) lastWords(id string) string {
	f, err := os.Open(d.path(id, ".log"))
	if err != nil {
		return "it left no log"
	}
	defer f.Close()
	const most = 600
	if st, err := f.Stat(); err == nil && st.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	b, _ := io.ReadAll(io.LimitReader(f, most))
	if s := strings.TrimSpace(string(b)); s != "" {
		return s
	}
	return "it said nothing"
}

// listen and dial reach a socket by its folder's descriptor: the path of a
// socket may have 108 bytes only, and a data folder may lie deep.
func listen(dir, name string) (*net.UnixListener, error) {
	var ln *net.UnixListener
	err := within(dir, func(prefix string) (err error) {
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: prefix + name, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	return ln, nil
}

func dial(ctx context.Context, dir, name string) (net.Conn, error) {
	var conn net.Conn
	err := within(dir, func(prefix string) (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", prefix+name)
		return err
	})
	return conn, err
}

func within(dir string, do func(prefix string) error) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return do("/proc/self/fd/" + strconv.Itoa(int(f.Fd())) + "/")
}

// startTicks gives when a process started, in clock ticks since boot; 0 where
// there is none. It is field 22 of /proc/PID/stat, counted after the name, which
// may hold spaces and brackets.
func startTicks(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}
