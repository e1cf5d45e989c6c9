package memory_test

import (
	"runtime"
	"testing"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
)

// The figure of the design: bytes an entry, everything included.
func TestBytesPerEntry(t *testing.T) {
	const timelines, entries, most = 20_000, 800, 10.0
	for _, c := range []struct {
		name  string
		extra int // delivered after the timelines were full
	}{
		{"Rebuilt", 0},
		{"JustCut", 51},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := heap()
			s := memory.New(memory.Options{})
			viewers := make([]feed.UserID, timelines)
			for i := range viewers {
				viewers[i] = feed.UserID(i + 1)
				build(t, s, viewers[i], entries)
			}
			for n := range c.extra {
				deliver(t, s, feed.PostID(entries+1+n), viewers...)
			}
			used, told := float64(heap()-before), stats(t, s)
			perEntry := used / float64(told.Entries)
			t.Logf("%.2f bytes an entry, %d entries, %.1f MB used, %.1f MB told",
				perEntry, told.Entries, used/1e6, float64(told.Bytes)/1e6)
			if perEntry > most {
				t.Errorf("%.2f bytes an entry, want %.0f at most", perEntry, most)
			}
			if told.Entries > timelines*(entries+1) {
				t.Errorf("%d entries: the figure is not of timelines at their cap", told.Entries)
			}
			if told := float64(told.Bytes); used > told*1.02 || used < told*0.98 {
				t.Errorf("the store tells %.0f bytes, the runtime %.0f", told, used)
			}
			runtime.KeepAlive(s)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second empties the pools that the first aged
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Sparse ids cost pages and directories of pages, never gigabytes; and what is
// dropped gives its page back.
func TestSparseIDs(t *testing.T) {
	s := memory.New(memory.Options{})
	var viewers []feed.UserID
	for bit := range 63 {
		viewers = append(viewers, 1<<bit, 1<<bit-1+1<<62)
	}
	viewers = append(viewers, 0, -1, -1<<63) // no ids, and no reason to fail
	for _, v := range viewers {
		s.Drop(ctx, v)
		build(t, s, v, 3)
	}
	for _, v := range viewers {
		if page := read(t, s, v); len(page.Entries) != 3 {
			t.Fatalf("timeline of %d: %+v", v, page)
		}
	}
	if got := stats(t, s).Bytes; got > 40<<20 {
		t.Fatalf("%d timelines take %d bytes", len(viewers), got)
	}
	for i := range feed.UserID(10_000) {
		v := i * 200_000
		s.Drop(ctx, v)
		build(t, s, v, 1)
		s.Drop(ctx, v)
	}
	if got := stats(t, s).Bytes; got > 60<<20 {
		t.Fatalf("%d bytes: pages that nobody uses stay", got)
	}
}

func TestDeliverDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	s := memory.New(memory.Options{})
	viewers := make([]feed.UserID, 1000)
	for i := range viewers {
		viewers[i] = feed.UserID(i + 1)
		build(t, s, viewers[i], 800)
	}
	deliveries := []timeline.Delivery{{Post: 801, Viewers: viewers}}
	got := testing.AllocsPerRun(200, func() { // full, cut, full again
		deliveries[0].Post++
		s.Deliver(ctx, deliveries)
	})
	if got > 1 {
		t.Errorf("%.1f allocations for 1,000 deliveries", got)
	}
}
