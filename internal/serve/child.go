package serve

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/blob/fs"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
)

// The words by which this program is started as a child.
const (
	workerWord = "worker"
	importWord = "import-child"
)

// Child runs this program as a worker or an import child, where args, without
// the program's name, say so; otherwise it does nothing and is false.
func Child(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case workerWord:
		o, err := parseWorker(args[1:])
		if err != nil {
			return true, err
		}
		return true, WorkerMain(ctx, o)
	case importWord:
		return true, ImportChildMain(ctx, stdin, stdout)
	}
	return false, nil
}

func parseWorker(args []string) (o WorkerOptions, err error) {
	f := flag.NewFlagSet(workerWord, flag.ContinueOnError)
	f.StringVar(&o.Label, "label", "", "whose models it holds")
	f.StringVar(&o.Build, "build", "", "build of the server")
	f.StringVar(&o.Blobs, "blobs", "", "folder of the blobs")
	f.StringVar(&o.Scratch, "scratch", "", "folder of its own")
	f.StringVar(&o.Library, "onnxruntime", "", "path of libonnxruntime.so")
	f.DurationVar(&o.Linger, "linger", time.Minute, "how long it outlives the last connection")
	f.Int64Var(&o.Memory, "memory", 0, "limit of private memory in bytes")
	f.IntVar(&o.Threads, "threads", 1, "threads of one run")
	if err := f.Parse(args); err != nil {
		return o, stoa.Wrap(stoa.Invalid, err, "a worker is started by the server, not by hand: %v", err)
	}
	return o, nil
}

// WorkerOptions is what a worker process is told on its command line.
type WorkerOptions struct {
	Label   string // whose models it holds
	Build   string
	Blobs   string // folder of the blobs
	Scratch string // folder of its own
	Library string
	Linger  time.Duration
	Memory  int64
	Threads int
}

// workerFiles bounds the descriptors of a worker: each model maps a few files.
const workerFiles = 8192

// workerGC is how far a worker's Go heap may grow between collections, in
// percent. That heap is small beside the models, and every call makes garbage of
// the size of its picture: at the usual 100 it would be collected a hundred
// times a second.
const workerGC = 800

// WorkerMain is a worker process: it serves an ONNX Runtime engine on the
// listener that it inherited as descriptor 3.
func WorkerMain(ctx context.Context, o WorkerOptions) error {
	if err := sandbox.Apply(sandbox.RLimits{Memory: o.Memory, Files: workerFiles}); err != nil {
		return err
	}
	debug.SetGCPercent(workerGC)
	// A goroutine keeps its processor during a run of the network, which the Go
	// runtime cannot interrupt, as long as there are others to spare.
	runtime.GOMAXPROCS(3 * runtime.NumCPU())
	if o.Library == "" {
		return stoa.Errorf(stoa.Unavailable, "ONNX Runtime is not there: run make setup, or give --onnxruntime PATH")
	}
	socket := os.NewFile(3, "socket")
	if socket == nil {
		return stoa.Errorf(stoa.Invalid, "a worker is started by the server, not by hand: descriptor 3 is no socket")
	}
	ln, err := net.FileListener(socket)
	_ = socket.Close() // the listener has a copy
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "a worker is started by the server, not by hand: descriptor 3 is no socket")
	}
	cfg := ort.Config{Library: o.Library, Fetcher: localFetcher(o.Blobs), Scratch: o.Scratch, Threads: o.Threads}
	if o.Memory > 0 {
		// A third for pictures that are being decoded; Go may use a half, of which
		// garbage is a part, before it collects at any price; the rest is the
		// runtime's, which Go does not see.
		cfg.Pictures = o.Memory / 3
		debug.SetMemoryLimit(o.Memory / 2)
	}
	engine, err := ort.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	return worker.Loop(ctx, ln, engine, worker.Hello{Build: o.Build, PID: os.Getpid(), Label: o.Label}, o.Linger)
}

// localFetcher finds blobs in a folder of this machine.
type localFetcher string

// Fetch gives the path of a blob; see worker.Fetcher.
func (f localFetcher) Fetch(_ context.Context, file blob.File) (string, error) {
	if _, err := blob.ParseDigest(string(file.Digest)); err != nil {
		return "", err
	}
	path := fs.PathIn(string(f), file.Digest)
	if _, err := os.Stat(path); err != nil {
		return "", stoa.Wrap(stoa.Internal, err, "the content of %s is missing from the blob store", file.Name)
	}
	return path, nil
}

// childJob is what an import child reads on its standard input.
type childJob struct {
	Look     bool            `json:"look,omitempty"` // say what is there, and make nothing
	Name     string          `json:"name,omitempty"` // of what is looked at
	Dir      string          `json:"dir"`            // the bundle's files
	Out      string          `json:"out"`            // for what workers load
	Manifest json.RawMessage `json:"manifest"`
	Library  string          `json:"library"`
	Memory   int64           `json:"memory"`
}

// childAnswer is what it writes on its standard output.
type childAnswer struct {
	Files      []string            `json:"files,omitempty"`
	Report     json.RawMessage     `json:"report,omitempty"`
	Inspection *catalog.Inspection `json:"inspection,omitempty"` // of a look
	Error      *stoa.Error         `json:"error,omitempty"`
}

// ImportChildMain is an import process: it reads a job, imports the model, runs
// its sample once, and answers. Of a job that is a look it only says what is
// there.
func ImportChildMain(ctx context.Context, in io.Reader, out io.Writer) error {
	var job childJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return stoa.Wrap(stoa.Invalid, err, "an import child is started by the server, not by hand: no job on standard input")
	}
	if err := sandbox.Apply(sandbox.RLimits{Memory: job.Memory, Files: 256}); err != nil {
		return err
	}
	run := runImport
	if job.Look {
		run = runLook
	}
	answer, err := run(ctx, job)
	if err != nil {
		answer = childAnswer{Error: stoa.AsError(err)}
	}
	return json.NewEncoder(out).Encode(answer)
}

// folderFetcher finds files by their names: what an import has just written.
type folderFetcher []string

// Fetch gives the path of a file; see worker.Fetcher.
func (f folderFetcher) Fetch(_ context.Context, file blob.File) (string, error) {
	if err := blob.CheckName(file.Name); err != nil {
		return "", err
	}
	for _, dir := range f {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return path, err
		}
	}
	return "", stoa.Errorf(stoa.Invalid, "the bundle has no file %s", file.Name)
}
