package process_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/stage"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

// TestMain is also the worker: the driver starts this test binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == stage.Stage || os.Args[1] == stage.Confine) {
		os.Exit(stage.Main(os.Args[1:]))
	}
	if len(os.Args) > 1 && (os.Args[1] == "worker" || os.Args[1] == "dies") {
		if os.Args[1] == "dies" {
			fmt.Fprintln(os.Stderr, "no library to be found")
			os.Exit(3)
		}
		if err := workerMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func workerMain(args []string) error {
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	label, build := fs.String("label", "", ""), fs.String("build", "", "")
	linger := fs.Duration("linger", 0, "")
	fs.String("scratch", "", "")
	fs.Int64("memory", 0, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ln, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	double := &workertest.Double{OnRun: func(ctx context.Context, _ string, v stoa.Value) (stoa.Value, error) {
		switch string(v.Data) {
		case "wait":
			<-ctx.Done()
		case "privileges":
			b, err := os.ReadFile("/proc/self/status")
			return stoa.Value{Type: stoa.Text, Data: b}, err
		case "see":
			entries, err := os.ReadDir("/")
			names := []byte{}
			for _, e := range entries {
				names = append(append(names, e.Name()...), ' ')
			}
			return stoa.Value{Type: stoa.Text, Data: names}, err
		case "scratch":
			return v, os.WriteFile("scratch", nil, 0o600)
		}
		return v, nil
	}}
	return worker.Loop(ctx, ln, double, worker.Hello{Build: *build, PID: os.Getpid(), Label: *label}, *linger)
}

func driver(t *testing.T, dir, build, command string) *process.Driver {
	t.Helper()
	d, err := process.New(process.Config{Command: []string{os.Args[0], command}, Dir: dir, Build: build, Linger: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func answer(t *testing.T, r fleet.Replica, in string) (string, error) {
	t.Helper()
	if _, err := r.Engine().Load(t.Context(), worker.Model{ID: "m"}); err != nil {
		return "", err
	}
	res, err := r.Engine().Run(t.Context(), "m", []stoa.Value{{Type: stoa.Text, Data: []byte(in)}})
	if err != nil {
		return "", err
	}
	return string(res[0].Value.Data), res[0].Err
}

func TestWorkerLivesAndStops(t *testing.T) {
	// A path longer than a socket's may be.
	dir := t.TempDir() + "/" + strings.Repeat("long", 30)
	d := driver(t, dir, "b1", "worker")
	r, err := d.Start(t.Context(), fleet.Spec{Label: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := answer(t, r, "hello"); err != nil || got != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := answer(t, r, "privileges"); err != nil || !strings.Contains(got, "NoNewPrivs:\t1") {
		t.Errorf("the worker may gain privileges: %v", err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	<-r.Done()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKilledWorkerIsSeen(t *testing.T) {
	d := driver(t, t.TempDir(), "b1", "worker")
	r, err := d.Start(t.Context(), fleet.Spec{Label: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answer(t, r, "x"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.Handle().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Done()
	if r.Err() == nil || !strings.Contains(r.Err().Error(), "killed") {
		t.Errorf("Err says %v", r.Err())
	}
}

func TestWorkerThatDiesAtItsStartIsQuoted(t *testing.T) {
	d := driver(t, t.TempDir(), "b1", "dies")
	_, err := d.Start(t.Context(), fleet.Spec{Label: "ann"})
	if stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(stoa.AsError(err).Msg, "no library to be found") {
		t.Errorf("got %v", err)
	}
}

func TestNextServerAdoptsOrReplaces(t *testing.T) {
	for _, tc := range []struct {
		name, build string
		adopted     bool
	}{{"same build", "b1", true}, {"another build", "b2", false}} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			first := driver(t, dir, "b1", "worker")
			r, err := first.Start(t.Context(), fleet.Spec{Label: "ann"})
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Release(r); err != nil {
				t.Fatal(err)
			}
			second := driver(t, dir, tc.build, "worker")
			handles, err := second.Running(t.Context())
			if err != nil || len(handles) != 1 || handles[0].Label != "ann" {
				t.Fatalf("running: %+v, %v", handles, err)
			}
			again, err := second.Adopt(t.Context(), handles[0])
			if (err == nil) != tc.adopted {
				t.Fatalf("Adopt: %v", err)
			}
			if tc.adopted {
				if got, err := answer(t, again, "hi"); err != nil || got != "hi" {
					t.Errorf("%q, %v", got, err)
				}
				if err := again.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			}
			<-r.Done()
			if handles, err := second.Running(t.Context()); err != nil || len(handles) != 0 {
				t.Errorf("still running: %+v, %v", handles, err)
			}
		})
	}
}
