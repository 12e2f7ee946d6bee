package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	blobfs "github.com/stoa-project/stoa/internal/blob/fs"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/layers"
	"github.com/stoa-project/stoa/internal/logbook"
	"github.com/stoa-project/stoa/internal/obs"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/secret"
	"github.com/stoa-project/stoa/internal/store"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

// System is a server: made by New, living through Run.
type System struct {
	cfg       Config
	db        *store.DB
	people    *account.Accounts
	strangers *account.Guests
	catalog   *catalog.Catalog
	fleet     *fleet.Fleet
	calls     *algorithmia.API
	box       *sandbox.Sandbox
	layers    *layers.Cache
	book      *logbook.Book
	vault     *secret.Vault
	targets   *targets
	gateway   *gateway
	handler   http.Handler
	ln        net.Listener
	record    string // path of the record that we have written
	// AdminKey is the administrator's key where this start has made it, "" later.
	AdminKey string
}

// The names below the data folder.
const (
	blobsDir   = "blobs"
	workersDir = "workers"
	stagingDir = "staging"
	sandboxDir = "sandbox"
	layersDir  = "layers"
	logsDir    = "logs"
	buildsDir  = "builds"
	cacheDir   = "build-cache"
	keyFile    = "admin-key"
	// The key under which secrets are kept.
	secretKeyFile = "secret-key"
	// RecordFile says where the server of a data folder is, while it runs.
	RecordFile = "server.json"
)

// Record is what stands in RecordFile.
type Record struct {
	URL   string `json:"url"`
	PID   int    `json:"pid"`
	Build string `json:"build"`
}

// New makes all rooms, adopts the workers of an earlier server, and takes the
// port, so that whatever can go wrong at a start goes wrong here. On an error
// nothing is left open. After New, Run must be called.
func New(ctx context.Context, cfg Config) (_ *System, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the data folder %s cannot be made", cfg.Data)
	}
	s := &System{cfg: cfg}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.db, err = sqlite.Open(ctx, cfg.Data); err != nil {
		return nil, err
	}
	if s.ln, err = listen(ctx, cfg.Listen); err != nil {
		return nil, err
	}
	if err = s.assemble(ctx); err != nil {
		return nil, err
	}
	return s, s.writeRecord()
}

// assemble draws the arrows between the rooms.
func (s *System) assemble(ctx context.Context) error {
	accounts := account.New(s.db.Accounts(), s.db.Accounts())
	s.people = accounts
	if err := s.bootstrap(ctx, accounts); err != nil {
		return err
	}
	var err error
	if s.strangers, err = s.guests(); err != nil {
		return err
	}
	blobs, err := blobfs.New(filepath.Join(s.cfg.Data, blobsDir))
	if err != nil {
		return err
	}
	if err := s.openSandbox(); err != nil {
		return err
	}
	if err := s.openCode(ctx, blobs); err != nil {
		return err
	}
	build, err := s.newBuilder(blobs)
	if err != nil {
		return err
	}
	cat, err := catalog.New(catalog.Config{
		Store: s.db.Catalog(), Blobs: blobs, Builder: build, Inspector: newInspector(build), Staging: filepath.Join(s.cfg.Data, stagingDir),
		Changed: func(ref stoa.Ref) { s.targets.changed(ref) },
	})
	if err != nil {
		return err
	}
	s.catalog = cat
	driver, err := s.openDriver(ctx)
	if err != nil {
		return err
	}
	s.fleet = fleet.New(fleet.Config{Driver: driver, Log: s.cfg.Log, Slots: s.cfg.Slots, Queue: s.cfg.Queue})
	metrics := obs.NewMetrics()
	s.gauges(metrics)
	s.targets = &targets{catalog: cat, fleet: s.fleet, codes: &codes{layers: s.layers, secrets: s.vault.Env}, book: s.book, log: s.cfg.Log}
	calls := invoke.New(s.targets, metrics)
	s.calls = algorithmia.New(algorithmia.Config{
		Invoker: calls, Catalog: cat, Publisher: cat, Accounts: accounts, Log: s.cfg.Log,
		Drafts: cat, Drafting: cat, Previews: previews{s.fleet},
		Logs: s.book, Secrets: s.vault,
		Guests:    countedGuests{s.strangers, metrics},
		PublicURL: s.cfg.PublicURL, BodyLimit: s.cfg.BodyLimit, ResultLimit: s.cfg.ResultLimit,
	})
	if err := s.openGateway(calls, s.calls.Door()); err != nil {
		return err
	}
	build.trial = calls
	if err := s.fleet.Adopt(ctx); err != nil { // which opens the doors of what it adopts
		return err
	}
	pages, err := s.pages(cat)
	if err != nil {
		return err
	}
	s.handler, err = api.New(api.Config{
		Auth:      guarded{accounts, metrics},
		Sessions:  accounts,
		PublicURL: s.cfg.PublicURL,
		Forwarded: s.cfg.Forwarded,
		Doors:     []api.Door{s.calls.Door(), pages},
		Log:       s.cfg.Log,
		Ready:     func(ctx context.Context) error { return s.db.Ping(ctx) },
		Metrics:   metrics.Handler(),
	})
	return err
}

func (s *System) gauges(m *obs.Metrics) {
	sum := func(f func(fleet.Status) int) func() float64 {
		return func() (n float64) {
			for _, st := range s.fleet.Status() {
				n += float64(f(st))
			}
			return n
		}
	}
	m.Gauge("stoa_workers", "Live model workers.", sum(func(fleet.Status) int { return 1 }))
	m.Gauge("stoa_models_loaded", "Models that workers hold.", sum(func(st fleet.Status) int { return len(st.Models) }))
	m.Gauge("nv_inference_pending_request_count", "Calls that wait for a worker.", sum(func(st fleet.Status) int { return st.Queued }))
}

// bootstrap makes the administrator at the first start, and keeps his key where
// only the owner of the data folder can read it.
func (s *System) bootstrap(ctx context.Context, accounts *account.Accounts) error {
	key, err := accounts.Bootstrap(ctx, time.Now())
	if err != nil || key == "" {
		return err
	}
	path := filepath.Join(s.cfg.Data, keyFile)
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the administrator's key cannot be written to %s", path)
	}
	s.AdminKey = key
	return nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, stoa.Wrap(stoa.Conflict, err, "%s is in use by another program: stop that, or choose another port by --listen HOST:PORT", address)
	case err != nil:
		return nil, stoa.Wrap(stoa.Invalid, err, "cannot listen on %s: write HOST:PORT, such as 127.0.0.1:8080", address)
	}
	return ln, nil
}

// Handler is the whole of what the server answers, for tests.
func (s *System) Handler() http.Handler { return s.handler }

// URL is where the server is, on this machine.
func (s *System) URL() string {
	host, port, err := net.SplitHostPort(s.ln.Addr().String())
	if err != nil {
		return "http://" + s.ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// readHeaderTimeout bounds how long a client may take over its headers; bodies
// may be large and slow.
const readHeaderTimeout = 10 * time.Second

// Run serves until ctx ends, then lets the calls in flight finish within
// DrainTime. It returns when all is closed.
func (s *System) Run(ctx context.Context) error {
	defer s.release()
	srv := &http.Server{Handler: s.handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: 2 * time.Minute, ConnContext: api.ConnContext}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		// What a killed server has left in the blob store is of no use to anybody.
		if err := s.catalog.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "blobs not swept", "cause", err)
		}
		return nil
	})
	g.Go(func() error {
		s.tend(ctx)
		return nil
	})
	g.Go(func() error {
		if err := srv.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTime)
		defer cancel()
		err := errors.Join(srv.Shutdown(drain), s.calls.Drain(drain))
		if errors.Is(err, context.DeadlineExceeded) {
			s.cfg.Log.WarnContext(ctx, "calls were cut off by the end of the drain time", "seconds", s.cfg.DrainTime.Seconds())
			return srv.Close()
		}
		return err
	})
	return g.Wait()
}

// release closes what is open; what is not there yet is passed over.
func (s *System) release() {
	if s.fleet != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var err error
		if s.cfg.StopWorkers() {
			err = s.fleet.Stop(ctx)
		} else {
			err = s.fleet.Close()
		}
		if err != nil {
			s.cfg.Log.WarnContext(ctx, "workers not let go", "cause", err)
		}
	}
	if s.box != nil {
		s.box.Close()
	}
	if s.ln != nil {
		_ = s.ln.Close() // Run has closed it already
	}
	if s.record != "" {
		_ = os.Remove(s.record)
	}
	if s.db != nil {
		if err := s.db.Close(); err != nil {
			s.cfg.Log.Warn("database not closed", "cause", err)
		}
	}
}

func (s *System) writeRecord() error {
	path := filepath.Join(s.cfg.Data, RecordFile)
	b, err := json.Marshal(Record{URL: s.URL(), PID: os.Getpid(), Build: s.cfg.Build})
	if err == nil {
		// Whoever reads it sees all of it, or none.
		if err = os.WriteFile(path+".new", b, 0o600); err == nil {
			err = os.Rename(path+".new", path)
		}
	}
	s.record = path
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the data folder %s cannot be written", s.cfg.Data)
	}
	return nil
}

// ReadRecord finds the server of a data folder; NotFound where none runs.
func ReadRecord(data string) (Record, error) {
	var r Record
	b, err := os.ReadFile(filepath.Join(data, RecordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, stoa.Errorf(stoa.NotFound, "no server runs on %s", data)
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, stoa.Wrap(stoa.Internal, err, "%s cannot be read", filepath.Join(data, RecordFile))
	}
	if syscall.Kill(r.PID, 0) != nil {
		return r, stoa.Errorf(stoa.NotFound, "no server runs on %s", data)
	}
	return r, nil
}
