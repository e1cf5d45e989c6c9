package embedded

import (
	"encoding/binary"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/feed"
	"skein/internal/readonly"
)

// Options says how to open a store. The zero value is usable.
type Options struct {
	// FS holds the folder; nil is the disk.
	FS vfs.FS
	// Clock is the store's; nil is time.Now.
	Clock feed.Clock
	// Logger gets the store's few lines; nil is slog.Default.
	Logger *slog.Logger
	// OnFatal is called once, from any goroutine, when the store has failed
	// for good; nil logs one line and ends the process with code 1. If it
	// returns, every later call is feed.CodeUnavailable. It must not use the
	// store: Pebble may hold locks around the call.
	OnFatal func(error)
	// CacheBytes bounds the cache of blocks read from disk; 0 is 256 MiB.
	CacheBytes int64
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	return o
}

// tuned returns Pebble's options. The caller closes their Cache.
func (o Options) tuned(f *fault) *pebble.Options {
	p := &pebble.Options{
		FS:     guardFS{FS: o.FS, fault: f},
		Logger: pebbleLog{f},
		Cache:  pebble.NewCache(o.CacheBytes),
		Merger: sumMerger,
		// Explicit, as advised: a newer Pebble shall not change the format of
		// a folder by being linked in.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		// A large memtable takes an import in fewer flushes, and four of them
		// let writes go on while one is flushed.
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		// An import writes faster than it can be compacted. Reading through a
		// few more files is better than stopping writes for it.
		L0CompactionThreshold: 2,
		L0StopWritesThreshold: 1000,
		LBaseMaxBytes:         64 << 20,
		// Half of the processors may compact, at least one.
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
		// Smooth write-back, so that a log's sync does not wait behind a
		// whole table.
		BytesPerSync: 1 << 20,
		EventListener: &pebble.EventListener{
			// Pebble would retry a failed flush for ever, while memory fills.
			BackgroundError: f.background,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { f.fail(readonly.Corruption(info)) },
			DiskSlow: func(info pebble.DiskSlowInfo) {
				o.Logger.Warn("the disk is slow", "folder", f.dir, "what", info.String())
			},
		},
	}
	for i := range p.Levels {
		// Most point reads ask for what is not there (a key never used, an
		// edge that does not exist yet): 10 bits a key answer 99 % of them.
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	p.WithFSDefaults()
	return p
}

// sumMerger adds int64s of 8 bytes. Its name is stored in the folder.
var sumMerger = &pebble.Merger{
	Name: "skein.sum",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		s := &sum{key: key}
		return s, s.MergeNewer(value)
	},
}

type sum struct {
	key   []byte
	total uint64
}

func (s *sum) MergeNewer(value []byte) error {
	n, err := numbers(s.key, value, 1)
	s.total += n[0]
	return err
}

// MergeOlder does the same: addition commutes.
func (s *sum) MergeOlder(value []byte) error { return s.MergeNewer(value) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) {
	return binary.BigEndian.AppendUint64(nil, s.total), nil, nil
}
