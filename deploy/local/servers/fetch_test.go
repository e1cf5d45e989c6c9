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
	"sync/atomic"
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

	var fetches atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			folder, err := fetched(t.Context(), cache, "engine", func(folder string) error { fetches.Add(1); return fill(folder) })
			if _, missing := os.Stat(filepath.Join(folder, "half")); err != nil || missing != nil {
				t.Error(err, missing)
			}
		})
	}
	all.Wait()
	left, err := os.ReadDir(cache)
	if err != nil || fetches.Load() != 1 || len(left) != 1 {
		t.Errorf("%d fetches, which left %v; %v", fetches.Load(), left, err)
	}
	if _, err := os.Stat(filepath.Join(cache, "engine", "old")); err == nil {
		t.Error("what a crash left was kept")
	}
}

// TestLock: one at a time, although each that gives it back removes the file.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var inside, passed atomic.Int32 // the race detector knows nothing of such locks
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				unlock, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if holders := inside.Add(1); holders != 1 {
					t.Errorf("%d hold the lock", holders)
				}
				inside.Add(-1)
				passed.Add(1)
				unlock()
			}
		})
	}
	all.Wait()
	if passed.Load() != 160 {
		t.Errorf("%d passed, want 160", passed.Load())
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

// verdict is how Require ends a test.
type verdict string

func (*verdict) Helper()                 {}
func (v *verdict) Skipf(string, ...any)  { *v += "skip " }
func (v *verdict) Fatalf(string, ...any) { *v += "fail " }

// TestRequire: what cannot be had is a skip, except in CI; what is broken never
// is.
func TestRequire(t *testing.T) {
	for _, c := range []struct {
		ci   string
		err  error
		want verdict
	}{
		{"", nil, ""},
		{"", errors.New("broken"), "fail "},
		{"true", &MissingError{}, "fail "},
		{"", fmt.Errorf("up: %w", &MissingError{}), "skip fail "}, // Skipf of a real test does not return
	} {
		t.Setenv("CI", c.ci)
		var got verdict
		if Require(&got, c.err); got != c.want {
			t.Errorf("%v with CI=%q: %q, want %q", c.err, c.ci, got, c.want)
		}
	}
}
