package rows

import (
	"context"
	"fmt"
	"runtime"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
)

// entryBytes is the memory of a stored entry, with all that belongs to it.
type entryBytes struct {
	timelines, entries int
}

func (entryBytes) Names() []string { return []string{"bytes_memory"} }

func (r entryBytes) Measure(ctx context.Context, b *Bench) ([]report.Row, error) {
	value, _, err := b.alternate(ctx, "bytes_memory", func() (float64, error) { return r.fill(ctx) }, nil)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "bytes_memory", Value: value, Unit: "bytes/entry", Better: report.Lower, Target: new(10.0),
		Setup: report.Setup{
			Users: r.timelines, LiveTimelines: r.timelines, PostBytes: len(text),
			How: fmt.Sprintf("what the Go heap grows by when %d entries each are stored, slots, index and spare room included, "+
				"as rebuilt or when delivered to until the cap has cut, whichever is more", r.entries),
			LeftOut: "posts, follows, caches of the server",
		}.String(),
	}}, nil
}

// fill makes a store, and returns the bytes that an entry takes in it.
func (r entryBytes) fill(ctx context.Context) (float64, error) {
	viewers, old := make([]feed.UserID, r.timelines), filler(r.entries)
	before := heap()
	store := memory.New(memory.Options{Cap: r.entries})
	defer store.Close()
	for i := range viewers {
		viewers[i] = feed.UserID(i + 1)
		token, _, err := store.Create(ctx, viewers[i], 0)
		if err != nil {
			return 0, err
		}
		if _, err := store.Finish(ctx, viewers[i], token, old, 0, 1); err != nil {
			return 0, err
		}
	}
	rebuilt, err := perEntry(ctx, store, before)
	if err != nil {
		return 0, err
	}
	// A cut comes when a sixteenth too many are there, and leaves the least
	// entries in the most room.
	for n := range r.entries/16 + 1 {
		delivery := timeline.Delivery{Post: feed.PostID(r.entries + 1 + n), Viewers: viewers}
		if _, err := store.Deliver(ctx, []timeline.Delivery{delivery}); err != nil {
			return 0, err
		}
	}
	delivered, err := perEntry(ctx, store, before)
	runtime.KeepAlive(old)
	return max(rebuilt, delivered), err
}

func perEntry(ctx context.Context, store timeline.Store, before uint64) (float64, error) {
	used := heap() - before
	stats, err := store.Stats(ctx)
	return float64(used) / float64(stats.Entries), err
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second empties the pools that the first aged
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
