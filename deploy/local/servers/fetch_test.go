package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestFetchOnce: however many ask, one fetches; what fails leaves nothing, and
// what a crash left is no obstacle.
func TestFetchOnce(t *testing.T) {
	cache := t.TempDir()
	fill := func(folder string) error { return os.WriteFile(filepath.Join(folder, "half"), nil, 0o644) }

	broken := errors.New("the network is down")
	_, err := fetched(t.Context(), cache, "engine", func(folder string) error { return errors.Join(fill(folder), broken) })
	if left, _ := os.ReadDir(cache); !errors.Is(err, broken) || len(left) > 0 {
		t.Fatalf("a fetch that failed: %v, and left %v", err, left)
	}
	if err := os.MkdirAll(filepath.Join(cache, "engine.partial", "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "engine.lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	fetches := 0 // guarded by the lock under test
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			folder, err := fetched(t.Context(), cache, "engine", func(folder string) error { fetches++; return fill(folder) })
			if _, missing := os.Stat(filepath.Join(folder, "half")); err != nil || missing != nil {
				t.Error(err, missing)
			}
		})
	}
	all.Wait()
	left, err := os.ReadDir(cache)
	if err != nil || fetches != 1 || len(left) != 1 {
		t.Errorf("%d fetches, which left %v; %v", fetches, left, err)
	}
	if _, err := os.Stat(filepath.Join(cache, "engine", "old")); err == nil {
		t.Error("what a crash left was kept")
	}
}

// TestLock: one at a time, although each that gives it back removes the file.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	inside, passed := 0, 0 // guarded by the lock under test
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				unlock, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if inside++; inside != 1 {
					t.Errorf("%d hold the lock", inside)
				}
				inside--
				passed++
				unlock()
			}
		})
	}
	all.Wait()
	if passed != 160 {
		t.Errorf("%d passed, want 160", passed)
	}
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
}

// TestChecksums: one byte, one file more or one less is an error, and never one
// that a test may skip.
func TestChecksums(t *testing.T) {
	pinned := checksums
	t.Cleanup(func() { checksums = pinned })
	checksums = fmt.Sprintf("%x  engine-1/a.jar\n%x  engine-1/b.jar\n%x  engine-2/c.jar\n",
		sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b")), sha256.Sum256([]byte("c")))
	for files, good := range map[string]bool{
		"a.jar=a b.jar=b": true, "a.jar=x b.jar=b": false, "a.jar=a": false, "a.jar=a b.jar=b c.jar=c": false,
	} {
		folder := t.TempDir()
		for _, file := range strings.Fields(files) {
			name, content, _ := strings.Cut(file, "=")
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := verify(folder, "engine-1")
		if good != (err == nil) {
			t.Errorf("%s: %v", files, err)
		}
		var harmless *MissingError
		if !good && (!errors.Is(err, errMismatch) || errors.As(missing("engine", err, ""), &harmless)) {
			t.Errorf("%s: %v looks harmless", files, err)
		}
	}
}

// TestPinned: whatever is fetched has its checksums.
func TestPinned(t *testing.T) {
	for _, name := range []string{kafkaArtifacts().name, postgresArtifactsFor("linux", "arm64").name, postgresArtifactsFor("linux", "amd64").name, wheelName} {
		if len(sums(name)) == 0 {
			t.Errorf("%s has no checksums: see Pin", name)
		}
	}
}
