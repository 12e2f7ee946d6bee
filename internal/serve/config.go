// Package serve is the composition: it makes every room of a server and draws
// the arrows between them. The command line and the end-to-end tests start the
// same System.
package serve

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// Config is all that a server is told. Zero values mean the defaults.
type Config struct {
	Data    string // folder of all state
	Listen  string // HOST:PORT; default 127.0.0.1:8080
	Library string // path of libonnxruntime.so; "" finds it (see FindLibrary)
	Build   string // of this binary
	// Self is the command line that starts this program, for its children: a
	// worker is Self and "worker", an import Self and "import-child".
	Self         []string
	Log          *slog.Logger
	BodyLimit    int64         // of a call's body; default 10 MiB
	ResultLimit  int64         // of an answer; default 15 MiB
	WorkerMemory int64         // private memory of a worker; default three quarters of the machine's
	ImportMemory int64         // private memory of an import; default 4 GiB
	ImportTime   time.Duration // of an import; default 10 min
	// Sandbox says what protections must be there for workers, imports, builds and
	// code; default sandbox.On.
	Sandbox    sandbox.Mode
	Init       string        // path of stoa-init; "" finds it (see FindInit)
	Cgroup     string        // where groups are made, from the hierarchies' roots, for a user who was given one; "" finds a place
	Env        []string      // of this program: recipes of builds take from it what they name; nil: none
	Bwrap      string        // path of bubblewrap; "" finds it
	BuildHosts []string      // that builds may reach; nil: those of the language clients' own configuration
	CodeHosts  []string      // that running code may reach, where its version asks for them; default none
	BuildTime  time.Duration // of a build of code; default 15 min
	LogKeep    time.Duration // how long what code prints is kept; default 7 days
	Slots      int           // calls that a worker runs at once; default twice the processors
	Queue      int           // calls that wait for a worker; default 256
	DrainTime  time.Duration // for calls in flight when the server stops; default 30 s
	PublicURL  string        // at which callers see the server; "" takes the request's host
	// Forwarded: a proxy stands before the server and writes each caller's address
	// as the last of X-Forwarded-For.
	Forwarded bool
	// Keyless names what may be called without a key, where it is public: owner/*
	// or owner/name; default demo/*; "none" alone is nothing.
	Keyless       []string
	KeylessRate   int // calls a minute of one address without a key; default 30
	KeylessBurst  int // of those, at once after a rest; default 15
	KeylessAtOnce int // calls without a key under way together; default twice the processors
	// StopWorkers is asked when the server ends: true ends the workers too, false
	// leaves them a minute for the next server to adopt. nil is false.
	StopWorkers func() bool
}

// CacheDir is the name below the data folder of what builds leave for later ones.
// All else there is state; this may be kept without it.
const CacheDir = cacheDir

func (c Config) withDefaults() (Config, error) {
	if c.Data == "" {
		return c, stoa.Errorf(stoa.Invalid, "no data folder: give --data DIR")
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return c, stoa.Wrap(stoa.Invalid, err, "data folder %s has no absolute path", c.Data)
	}
	c.Data = abs
	if len(c.Self) == 0 {
		self, err := os.Executable()
		if err != nil {
			return c, stoa.Wrap(stoa.Internal, err, "this program does not know its own path")
		}
		c.Self = []string{self}
	}
	if abs, err := filepath.Abs(c.Self[0]); err == nil && filepath.Base(c.Self[0]) != c.Self[0] {
		c.Self[0] = abs // children have another working folder
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	def(&c.Listen, "127.0.0.1:8080")
	if c.StopWorkers == nil {
		c.StopWorkers = func() bool { return false }
	}
	def(&c.BodyLimit, 10<<20)
	def(&c.ResultLimit, 15<<20)
	def(&c.WorkerMemory, machineMemory()/4*3)
	def(&c.ImportMemory, 4<<30)
	def(&c.ImportTime, 10*time.Minute)
	def(&c.Slots, 2*runtime.NumCPU())
	def(&c.Queue, 256)
	def(&c.DrainTime, 30*time.Second)
	if c.Keyless == nil {
		c.Keyless = []string{"demo/*"}
	}
	def(&c.KeylessRate, 30)
	def(&c.KeylessBurst, 15)
	def(&c.KeylessAtOnce, 2*runtime.NumCPU())
	def(&c.BuildTime, 15*time.Minute)
	if c.Init == "" {
		c.Init = FindInit(filepath.Dir(c.Self[0]))
	}
	if c.Library == "" {
		c.Library = FindLibrary(filepath.Dir(c.Self[0]))
	}
	if abs, err := filepath.Abs(c.Library); err == nil && c.Library != "" {
		c.Library = abs
	}
	return c, nil
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
