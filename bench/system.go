package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a child that is ended with the benchmark.
type process struct{ cmd *exec.Cmd }

func (p process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait() // how it ends does not matter
}

// startFloor builds and starts the floor's two processes, and gives the URL.
func startFloor(dir string) (url string, stop func(), err error) {
	bin := filepath.Join(dir, "floor")
	if out, err := exec.Command("go", "build", "-o", bin, "./bench/floor").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("building the floor: %w: %s", err, out)
	}
	socket := filepath.Join(dir, "floor.sock")
	back, _, err := startPrinting(exec.Command(bin, "back", socket))
	if err != nil {
		return "", nil, err
	}
	front, address, err := startPrinting(exec.Command(bin, "front", socket))
	if err != nil {
		back.stop()
		return "", nil, err
	}
	return "http://" + address + "/", func() { front.stop(); back.stop() }, nil
}

// startPrinting starts a command and waits for its first line.
func startPrinting(cmd *exec.Cmd) (process, string, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return process{}, "", err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return process{}, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return process{cmd}, strings.TrimSpace(line), err
}

// server is bin/stoa on a data folder of the benchmark's.
type server struct {
	process
	url, key string
}

func startStoa(data string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("bin/stoa", "serve", "--data", data, "--listen", address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(filepath.Join(filepath.Dir(data), "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{process: process{cmd}, url: "http://" + address}
	if err := s.waitReady(); err != nil {
		s.stop()
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(data, "admin-key"))
	s.key = strings.TrimSpace(string(key))
	return s, err
}

func (s *server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// stoa runs a command of the command line against the server.
func (s *server) stoa(args ...string) error {
	cmd := exec.Command("bin/stoa", args...)
	cmd.Env = append(os.Environ(), "STOA_SERVER="+s.url, "STOA_KEY="+s.key)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("stoa %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
