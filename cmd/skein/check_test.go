package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A check is refused while a server runs, also where the file of its lock was removed.
func TestCheck_LockRemoved(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir)
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
		t.Fatal(err)
	}
	if _, stderr := ask(t, exitError, "check", "--data-dir", dir); !strings.Contains(stderr, "in use by another skein (process ") {
		t.Errorf("of a live store: %s", stderr)
	}
	server.signal(t, syscall.SIGTERM)
	server.exit(t)
	ask(t, exitOK, "check", "--data-dir", dir)
}

// A log that is gone is a finding of the check, and serve says what is lost with it.
func TestLogGone(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir)
	server.signal(t, syscall.SIGTERM)
	if _, stderr := server.exit(t); strings.Contains(stderr, "the event log was gone") {
		t.Errorf("the first start: %s", stderr)
	}
	if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := ask(t, exitError, "check", "--data-dir", dir); !strings.Contains(stdout, "the event log in "+filepath.Join(dir, "log")+" cannot be opened") {
		t.Errorf("a check: %s", stdout)
	}
	server = serve(t, dir)
	server.signal(t, syscall.SIGTERM)
	if _, stderr := server.exit(t); !strings.Contains(stderr, "the event log was gone") || !strings.Contains(stderr, "rebuilt from storage") {
		t.Errorf("serve says: %s", stderr)
	}
}
