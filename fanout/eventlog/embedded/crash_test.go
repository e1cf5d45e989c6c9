package embedded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
)

// TestCrash pulls the plug under load, again and again: what was not synced
// survives in part or not at all. Nothing acknowledged is lost, and no offset
// that a reader saw holds another record (W2, F2).
func TestCrash(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for life := range 6 {
		fs, known := vfs.NewCrashableMem(), newTruth()
		for crash := range 8 {
			fs, known = liveAndCrash(t, fs, known, fmt.Sprintf("%d-%d", life, crash), rng)
		}
	}
}

// liveAndCrash opens a log, holds it to what is known, loads it, and returns
// what a crash at a random moment leaves of it, and what was promised by then.
func liveAndCrash(t *testing.T, fs *vfs.MemFS, known *truth, name string, rng *rand.Rand) (*vfs.MemFS, *truth) {
	t.Helper()
	l, err := Open("log", []eventlog.Topic{posts}, Options{FS: fs, OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	known.hold(t, l)

	const unsynced = 100
	crashAt, percent := 1+rng.IntN(300), rng.IntN(unsynced+1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	now := make(chan struct{})
	w, acks := known.watcher(), 0
	note := w.acked
	w.acked = func(value string) {
		note(value)
		known.note(func() {
			if acks++; acks == crashAt {
				close(now)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		load(ctx, l, name, w)
	}()
	select {
	case <-now:
	case <-ctx.Done():
		t.Fatalf("%d acknowledged records did not come", crashAt)
	}
	promised := known.clone() // before the crash, so that all of it must hold
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	cancel()
	<-done
	return crashed, promised
}
