package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"skein/deploy/local/servers"
)

// house is a folder of servers, and what the last command said.
type house struct {
	dir            string
	stdout, stderr bytes.Buffer
}

// newHouse returns an empty one, whose servers end with the test.
func newHouse(t *testing.T) *house {
	h := &house{dir: filepath.Join(t.TempDir(), "run")}
	t.Cleanup(func() {
		if code := h.run(context.Background(), "down", "--wipe"); code != exitOK {
			t.Errorf("down --wipe exits with %d: %s", code, &h.stderr)
		}
		if _, err := os.Stat(h.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("down --wipe leaves %s: %v", h.dir, err)
		}
	})
	return h
}

func (h *house) run(ctx context.Context, args ...string) (code int) {
	h.stdout.Reset()
	h.stderr.Reset()
	return (&program{stdout: &h.stdout, stderr: &h.stderr}).run(ctx, append([]string{"--dir", h.dir}, args...))
}

// must runs a command that has to work. If an engine cannot be had, that is for
// servers.Require.
func (h *house) must(t *testing.T, args ...string) {
	t.Helper()
	switch code := h.run(t.Context(), args...); code {
	case exitOK:
	case exitMissing:
		servers.Require(t, &servers.MissingError{Engine: args[1], Why: h.stderr.String()})
	default:
		t.Fatalf("%v exits with %d: %s", args, code, &h.stderr)
	}
}

// pid returns the id of an engine's process, 0 if it does not run.
func (h *house) pid(t *testing.T, engine string) int {
	t.Helper()
	s, err := servers.Open(filepath.Join(h.dir, engine))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !s.Running() {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Pid()
}

// somebodyListens reports whether a port was taken meanwhile, by another test say.
func somebodyListens(url string) bool {
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "redis://"))
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// TestTwice: all commands may be said again.
func TestTwice(t *testing.T) {
	h := newHouse(t)
	h.must(t, "down")
	h.must(t, "up", "redis")
	first := h.pid(t, "redis")
	h.must(t, "up", "redis", "redis")
	if h.pid(t, "redis") != first {
		t.Error("a server that ran was started again")
	}
	h.must(t, "status")
	if !strings.Contains(h.stdout.String(), "redis://127.0.0.1:") || !strings.Contains(h.stdout.String(), "absent") {
		t.Errorf("status: %s", &h.stdout)
	}
	h.must(t, "env")
	if got := h.stdout.String(); !strings.HasPrefix(got, "export SKEIN_TEST_REDIS='redis://127.0.0.1:") || strings.Count(got, "\n") != 1 {
		t.Errorf("env: %s", got)
	}
	h.must(t, "env", "--servers")
	if got := h.stdout.String(); !strings.HasPrefix(got, "export SKEIN_TIMELINES='redis://127.0.0.1:") {
		t.Errorf("env --servers: %s", got)
	}

	s, err := servers.Open(filepath.Join(h.dir, "redis"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	h.must(t, "up", "redis")
	again, err := servers.Open(s.Dir())
	if err != nil || !again.Running() {
		t.Errorf("a server that died: %v", err)
	}
	if again.URL() != s.URL() && !somebodyListens(s.URL()) {
		t.Errorf("a server that died is at %s, though nobody took %s", again.URL(), s.URL())
	}
	h.must(t, "down", "redis")
	if h.pid(t, "redis") != 0 {
		t.Error("down leaves it running")
	}
	h.must(t, "down")
	if code := h.run(t.Context(), "env"); code != exitError {
		t.Errorf("env without engines exits with %d", code)
	}
}

// TestCluster: a cluster runs only where it is named, and is one engine.
func TestCluster(t *testing.T) {
	for name, env := range map[string]string{
		servers.RedisCluster:     "export SKEIN_TEST_REDIS_CLUSTER='redis-cluster://127.0.0.1:",
		servers.CassandraCluster: "export SKEIN_TEST_CASSANDRA='cassandra://127.0.0.1:",
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() || name == servers.CassandraCluster && os.Getenv("SKEIN_TEST_CLUSTERS") != "true" {
				t.Skip("takes seconds to start, three nodes of Cassandra two minutes")
			}
			h := newHouse(t)
			h.must(t, "up", name)
			h.must(t, "env")
			if got := h.stdout.String(); !strings.HasPrefix(got, env) || strings.Count(got, ",") != 2 || strings.Count(got, "\n") != 1 {
				t.Errorf("env: %s", got)
			}
			h.must(t, "down")
			h.must(t, "up", name) // as it was
			h.must(t, "status")
			if got := h.stdout.String(); strings.Count(got, "runs") != 1 || strings.Count(got, "absent") != len(known)-1 {
				t.Errorf("status: %s", got)
			}
		})
	}
}

// TestAtOnce: two calls at once start one server.
func TestAtOnce(t *testing.T) {
	h := newHouse(t)
	h.must(t, "up", "redis") // fetches it
	h.must(t, "down")
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			other := &house{dir: h.dir}
			if code := other.run(t.Context(), "up", "redis"); code != exitOK || strings.Count(other.stdout.String(), "runs") != 1 {
				t.Errorf("up exits with %d: %s%s", code, &other.stdout, &other.stderr)
			}
		})
	}
	both.Wait()
	log, err := os.ReadFile(filepath.Join(h.dir, "redis", "log"))
	if err != nil || strings.Count(string(log), "Ready to accept connections") != 2 { // once before
		t.Errorf("%v:\n%s", err, log)
	}
}

// TestOneFails: then those that were started with it are stopped; those that ran
// before stay.
func TestOneFails(t *testing.T) {
	h := newHouse(t)
	h.must(t, "up", "redis")
	h.must(t, "down")
	fake(t, "postgres", `echo "postgres (PostgreSQL) 99.9"`)
	fake(t, "initdb", `echo "out of luck"; exit 1`)
	if code := h.run(t.Context(), "up", "redis", "postgres"); code != exitError || !strings.Contains(h.stderr.String(), "out of luck") {
		t.Errorf("up exits with %d: %s", code, &h.stderr)
	}
	if pid := h.pid(t, "redis"); pid != 0 {
		t.Errorf("redis, pid %d, runs on", pid)
	}
	h.must(t, "up", "redis")
	before := h.pid(t, "redis")
	if code := h.run(t.Context(), "up", "redis", "postgres"); code != exitError || h.pid(t, "redis") != before {
		t.Errorf("up exits with %d, redis has pid %d, had %d", code, h.pid(t, "redis"), before)
	}
}

// TestInterrupted: an interrupted start leaves nothing running.
func TestInterrupted(t *testing.T) {
	h := newHouse(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	// It tells that it runs, and never answers.
	tell := filepath.Join(t.TempDir(), "tell")
	if err := syscall.Mkfifo(tell, 0o600); err != nil {
		t.Fatal(err)
	}
	both, err := os.OpenFile(tell, os.O_RDWR, 0) // so that no end waits for the other
	if err != nil {
		t.Fatal(err)
	}
	fake(t, "redis-server", `[ "$1" = --version ] && echo "v=7.9.9" && exit; echo > `+tell+`; exec sleep 1000`)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer interrupt()
		_, _ = both.Read(make([]byte, 1)) // or it is closed
	})
	code := h.run(ctx, "up", "redis")
	_ = both.Close()
	waiting.Wait()
	if code != exitError || !strings.Contains(h.stderr.String(), "interrupted") || h.pid(t, "redis") != 0 {
		t.Errorf("up exits with %d, redis has pid %d: %s", code, h.pid(t, "redis"), &h.stderr)
	}
}

// TestMissing: an engine that cannot be had is said loudly, and in the exit code.
func TestMissing(t *testing.T) {
	h := newHouse(t)
	h.must(t, "up", "redis")
	h.must(t, "down")
	t.Setenv("JAVA_HOME", t.TempDir())
	if code := h.run(t.Context(), "up", "kafka", "redis"); code != exitMissing || !strings.Contains(h.stderr.String(), "MISSING kafka") {
		t.Errorf("up exits with %d: %s", code, &h.stderr)
	}
	if h.pid(t, "redis") == 0 {
		t.Error("the other does not run")
	}
}

func TestWrongCalls(t *testing.T) {
	h := newHouse(t)
	for _, args := range [][]string{{"up", "oracle"}, {"sideways"}, {"status", "redis"}, {"down", "--wide"}} {
		if code := h.run(t.Context(), args...); code != exitUsage || strings.Count(h.stderr.String(), "\n") != 1 {
			t.Errorf("%v exits with %d: %s", args, code, &h.stderr)
		}
	}
}

// fake puts a shell script on the PATH, before all else.
func fake(t *testing.T, name, script string) {
	t.Helper()
	path, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	if !strings.HasPrefix(path, os.TempDir()) { // not yet a folder of fakes
		path = t.TempDir()
		if err := os.Chmod(filepath.Dir(path), 0o755); err != nil { // others may run it too
			t.Fatal(err)
		}
		t.Setenv("PATH", path+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	t.Setenv("SKEIN_ENGINES_FETCH", "")
	if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}
