package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"skein/fanout"
	logembedded "skein/fanout/eventlog/embedded"
	"skein/feed/policy"
	"skein/feed/server"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/storage/embedded"
	"skein/timeline"
	"skein/timeline/memory"
)

// stack is a whole skein in one process: the API over gRPC, a fan-out, and the
// embedded engines on disks in memory. Its time is that of a synctest bubble:
// it passes only when everything waits for it, at no cost.
type stack struct {
	tb
	feedv1.PostServiceClient
	feedv1.GraphServiceClient
	feedv1.TimelineServiceClient
	faults faults
	cap    int

	// What a crash leaves.
	storageDisk, logDisk *vfs.MemFS
	// What it does not.
	store     *embedded.Store
	timelines timeline.Store // without faults
	fanout    *fanout.Fanout
	stop      func()
}

// idle is how long a timeline is kept that nobody reads.
const idle = time.Minute

// bubbled runs test in a bubble of its own, with t's power to draw and to fail.
// A failure leaves the bubble before rapid hears of it, and all of them by one
// way, apart from its own panics: it tells failures apart by where they arise.
func bubbled(outer *testing.T, t *rapid.T, test func(tb)) {
	t.Helper()
	var failed any
	synctest.Test(outer, func(inner *testing.T) {
		defer func() { failed = recover() }()
		// The clock of a bubble begins before the first id.
		time.Sleep(time.Until(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
		test(bubbleT{T: t, inner: inner})
	})
	switch failed := failed.(type) {
	case nil:
	case failure:
		t.Fatal(string(failed))
	default:
		panic(failed)
	}
}

// failure is a failed test on its way out of its bubble.
type failure string

type bubbleT struct {
	*rapid.T
	inner *testing.T
}

func (t bubbleT) Fatal(args ...any)                 { panic(failure(fmt.Sprint(args...))) }
func (t bubbleT) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
func (t bubbleT) Context() context.Context          { return t.inner.Context() }
func (t bubbleT) Cleanup(f func())                  { t.inner.Cleanup(f) }

func newStack(t tb, entries int) *stack {
	s := &stack{tb: t, cap: entries, storageDisk: vfs.NewCrashableMem(), logDisk: vfs.NewCrashableMem()}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start opens what is on the disks, and serves.
func (s *stack) start() {
	s.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := embedded.Open("storage", embedded.Options{FS: s.storageDisk, Logger: quiet, CacheBytes: 1 << 20})
	must(s, err)
	records, err := logembedded.Open("log", fanout.Topics(), logembedded.Options{FS: s.logDisk, Logger: quiet})
	must(s, err)
	s.store, s.timelines = store, memory.New(memory.Options{Cap: s.cap, Idle: idle})
	posts := &faultyPosts{Posts: store, faults: &s.faults}
	timelines := &faultyTimelines{Store: s.timelines, fault: &s.faults.timelines}
	tiers := storage.NewTierCopy(store, time.Now)
	s.fanout, err = fanout.New(fanout.Config{
		Posts: posts, Graph: store, Timelines: timelines, Tiers: tiers, Logger: quiet,
		Log: &faultyLog{Log: records, fault: &s.faults.log},
	})
	must(s, err)
	must(s, s.fanout.Start())
	api, err := server.New(s.Context(), server.Config{
		Posts: posts, Graph: store, Timelines: timelines, Fanout: s.fanout, Tiers: tiers, Logger: quiet, TimelineCap: s.cap,
	})
	must(s, err)
	conn, stopServing := serve(s, api, quiet)
	s.stop = func() {
		stopServing()
		dead, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.fanout.Stop(dead) // its batches in flight are cut off
		api.Close()
		_ = records.Close()
		_ = store.Close()
	}
	s.connect(conn)
}

func (s *stack) connect(conn *grpc.ClientConn) {
	s.PostServiceClient = feedv1.NewPostServiceClient(conn)
	s.GraphServiceClient = feedv1.NewGraphServiceClient(conn)
	s.TimelineServiceClient = feedv1.NewTimelineServiceClient(conn)
}

// crash stops the machine at this moment, whatever is in flight, and starts it
// again with what was synced, and some of what was not.
func (s *stack) crash(unsyncedPercent int, seed uint64) {
	s.Helper()
	synctest.Wait() // all wait for the time or for each other: both disks are of one moment
	left := func(disk *vfs.MemFS) *vfs.MemFS {
		return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: rand.New(rand.NewPCG(seed, 0))})
	}
	storageDisk, logDisk := left(s.storageDisk), left(s.logDisk)
	s.stop()
	s.storageDisk, s.logDisk = storageDisk, logDisk
	s.faults.log.heal()
	s.faults.timelines.heal()
	time.Sleep(time.Millisecond) // no machine starts within one: ids of one ms are in no order
	s.start()
}

// settings changes the push/pull settings, as an operator does.
func (s *stack) settings(settings policy.Settings) {
	s.Helper()
	must(s, s.store.PutSettings(s.Context(), settings))
}
