package servers

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// program puts a shell script on the PATH, before all else.
func program(t *testing.T, name, script string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(ignoreInstalled, "")
}

// TestBrokenProgram: what fails to start is told in one line, and is gone.
func TestBrokenProgram(t *testing.T) {
	program(t, "redis-server", `[ "$1" = --version ] && echo "v=7.9.9 x" && exit; echo first; echo "out of luck"; exit 7`)
	dir := t.TempDir()
	_, err := StartRedis(t.Context(), t.TempDir(), dir)
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{"redis 7.9.9", "exit status 7", filepath.Join(dir, "log"), "first | out of luck"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %q", err)
	}
	s, err := Open(dir)
	if err != nil || s.Running() {
		t.Errorf("it runs, or left no trace: %v", err)
	}
}

// TestSilentProgram: one that never answers is killed when the caller gives up,
// with all that it started.
func TestSilentProgram(t *testing.T) {
	child := filepath.Join(t.TempDir(), "child")
	program(t, "redis-server", `[ "$1" = --version ] && echo "v=7.9.9" && exit; sleep 1000 & echo $! > `+child+`.new; mv `+child+`.new `+child+`; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		_ = until(t.Context(), func() bool { _, err := os.Stat(child); return err == nil })
	}()
	_, err := StartRedis(ctx, t.TempDir(), t.TempDir())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("want a start that was given up, got %v", err)
	}
	text, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if _, alive := birth(pid); alive {
		t.Errorf("its child %d runs on", pid)
	}
}

// TestOtherProcess: a process that got the id of a server that is gone is none
// of ours.
func TestOtherProcess(t *testing.T) {
	s := launchServer(t, Spec{Engine: Redis, Dir: t.TempDir()})
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	bystander, err := startProcess(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.kill() }()
	r, err := readRecord(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	r.Pid = bystander.pid
	if err := writeRecord(s.Dir(), r); err != nil {
		t.Fatal(err)
	}
	found, err := Open(s.Dir())
	if err != nil || found.Running() || found.Memory() != 0 {
		t.Fatalf("taken for a server: %v", err)
	}
	for _, end := range []func() error{func() error { return found.Stop(t.Context()) }, found.Kill, found.Pause} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	if !bystander.alive() || isStopped(bystander.pid) {
		t.Error("a bystander was hit")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Errorf("the bystander is in the way: %v", err)
	}
}

// TestStarterCrashes: a server dies with the test that started it, also as
// another user.
func TestStarterCrashes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux offers it")
	}
	for _, engine := range []string{Redis, Postgres} {
		t.Run(engine, func(t *testing.T) {
			if testing.Short() && engine != Redis {
				t.Skip("takes seconds to start")
			}
			_, err := engines[engine].locate(t.Context(), cache(t)) // so that the other finds it
			Require(t, err)
			crash(t, engine, t.TempDir())
		})
	}
}

// crash starts a server from another process, which it kills.
func crash(t *testing.T, engine, dir string) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), asStarter+"="+engine+":"+dir)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s, openErr := Open(dir)
	if err != nil || openErr != nil || !s.Running() {
		t.Fatalf("it did not start: %q, %v, %v", line, err, openErr)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // killed, as asked
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := until(ctx, func() bool { return !s.Running() }); err != nil {
		t.Errorf("the server outlives its starter: %v", s.Kill())
	}
}

func cache(t *testing.T) string {
	t.Helper()
	cache, err := DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}
