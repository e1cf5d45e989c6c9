package embedded_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/storage/embedded"
	"skein/storage/storagetest"
)

// silent keeps Pebble's chatter out of the tests' output.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t testing.TB, dir string, opts embedded.Options) *embedded.Store {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = silent
	}
	s, err := embedded.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// stores opens the folder for the suite, on a file system in memory or on disk.
func stores(fs vfs.FS, dir string) storagetest.Open {
	return func(t testing.TB) storagetest.Stores {
		s := open(t, dir, embedded.Options{FS: fs, CacheBytes: 16 << 20})
		return storagetest.Stores{Posts: s, Graph: s, Reopen: func(t testing.TB) storagetest.Stores {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return stores(fs, dir)(t)
		}}
	}
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storagetest.Stores { return stores(vfs.NewMem(), "store")(t) })
}

// On a disk, syncs take time: calls meet there and go on together, which brings
// out races that memory hides.
func TestSuite_OnDisk(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storagetest.Stores { return stores(nil, t.TempDir())(t) })
}

func BenchmarkSuite(b *testing.B) {
	storagetest.Benchmark(b, func(t testing.TB) storagetest.Stores {
		s := open(t, t.TempDir(), embedded.Options{})
		return storagetest.Stores{Posts: s, Graph: s}
	})
}
