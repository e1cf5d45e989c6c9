package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"skein/loadgen"
)

const (
	// serveWithin is how long a server may take until it serves.
	serveWithin = 30 * time.Second
	// stopWithin is how long it may take to drain before it is killed.
	stopWithin = 15 * time.Second
	lookEvery  = 20 * time.Millisecond
)

// server is a skein process that was started here.
type server struct {
	addresses struct {
		GRPC    string `json:"grpc"`
		Metrics string `json:"metrics"`
	}
	process *exec.Cmd
	output  lastLines
	// exited is closed when the process is gone; err says how it ended and is
	// read only then.
	exited chan struct{}
	err    error
}

// startServer starts skein in a role on free ports, with its data below dir, and
// waits until it serves. environ is added to the environment.
func startServer(ctx context.Context, skein, dir, role string, environ []string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "addresses.json")
	s := &server{exited: make(chan struct{})}
	s.process = exec.Command(skein, "serve", "--role", role, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(dir, "data"), "--address-file", file)
	s.process.Env = withEnvironment(environ)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.process.SysProcAttr = ownGroup()
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("%w: cannot start the server (%w); build it with `make build`, or name it with --skein",
			loadgen.ErrConfig, err)
	}
	go func() {
		s.err = s.process.Wait()
		close(s.exited)
	}()
	if err := s.awaitAddresses(ctx, file); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// withEnvironment is this process's environment without settings of skein, which may
// name engines with real data, and with others instead.
func withEnvironment(settings []string) []string {
	ours := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SKEIN_") })
	return append(ours, settings...)
}

// awaitAddresses waits for the file that the server writes once it serves.
func (s *server) awaitAddresses(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serveWithin,
		fmt.Errorf("the server did not serve within %v", serveWithin))
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if data, err := os.ReadFile(file); err == nil {
			return json.Unmarshal(data, &s.addresses)
		}
		select {
		case <-look.C:
		case <-s.exited:
			return s.died()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// died is an error with the server's last words if it has exited.
func (s *server) died() error {
	select {
	case <-s.exited:
		return fmt.Errorf("the server ended early (%s); its last words:\n%s", s.process.ProcessState, s.output.String())
	default:
		return nil
	}
}

// stop ends the server and waits until it is gone: in good order, then by
// force. A second call does nothing.
func (s *server) stop() error {
	select {
	case <-s.exited:
		return nil
	default:
	}
	_ = s.process.Process.Signal(syscall.SIGTERM) // fails only if it is gone
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		_ = s.process.Process.Kill()
		<-s.exited
		return fmt.Errorf("the server did not stop within %v and was killed; its last words:\n%s", stopWithin, s.output.String())
	}
	if s.err != nil {
		return fmt.Errorf("the server did not stop in good order (%w); its last words:\n%s", s.err, s.output.String())
	}
	return nil
}

// lastLines keeps the end of what is written to it.
type lastLines struct {
	mu struct {
		sync.Mutex
		text []byte
	}
}

// keptBytes and keptLines bound what is kept.
const keptBytes, keptLines = 16 << 10, 20

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.text = append(l.mu.text, p...)
	if n := len(l.mu.text); n > 2*keptBytes {
		l.mu.text = append([]byte(nil), l.mu.text[n-keptBytes:]...)
	}
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.mu.text)), "\n")
	return strings.Join(lines[max(0, len(lines)-keptLines):], "\n")
}
