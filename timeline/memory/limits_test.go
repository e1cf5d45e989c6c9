package memory_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
)

const life = 3

var ctx = context.Background()

// clock moves when told.
type clock struct {
	mu struct {
		sync.Mutex
		now time.Time
	}
}

func newClock() *clock {
	c := new(clock)
	c.mu.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return c
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.now = c.mu.now.Add(d)
}

// build makes a live timeline with posts 1 to n and reports whether it took.
func build(t testing.TB, s *memory.Store, v feed.UserID, n int) bool {
	t.Helper()
	token, ok, err := s.Create(ctx, v, life)
	if err != nil || !ok {
		t.Fatalf("Create(%d): %v, %v", v, ok, err)
	}
	scan := make([]timeline.Entry, n)
	for i := range scan {
		scan[i] = timeline.Rebuilt(feed.PostID(n - i))
	}
	ok, err = s.Finish(ctx, v, token, scan, 0, 1)
	if err != nil {
		t.Fatalf("Finish(%d): %v", v, err)
	}
	return ok
}

func deliver(t testing.TB, s *memory.Store, post feed.PostID, viewers ...feed.UserID) timeline.Outcome {
	t.Helper()
	out, err := s.Deliver(ctx, []timeline.Delivery{{Post: post, Viewers: viewers}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, s *memory.Store, v feed.UserID) timeline.Page {
	t.Helper()
	page, err := s.Read(ctx, timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: 10, Life: life})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func stats(t testing.TB, s *memory.Store) timeline.Stats {
	t.Helper()
	got, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// alive lists which of viewers 1 to n have a timeline: a delivery of a post that
// is there already tells without counting as a reading.
func alive(t testing.TB, s *memory.Store, n feed.UserID) []feed.UserID {
	t.Helper()
	var found []feed.UserID
	for v := feed.UserID(1); v <= n; v++ {
		if deliver(t, s, 1, v).Misses == 0 {
			found = append(found, v)
		}
	}
	return found
}

// T8: who has not read for a while has no timeline. Only readings count.
func TestIdleTimelinesExpire(t *testing.T) {
	c := newClock()
	s := memory.New(memory.Options{Idle: time.Hour, Clock: c.now})
	for v := feed.UserID(1); v <= 3; v++ {
		build(t, s, v, 5)
	}
	if _, ok, _ := s.Create(ctx, 4, life); !ok { // a building that nobody finishes
		t.Fatal("Create: not ok")
	}
	c.advance(40 * time.Minute)
	read(t, s, 2)
	deliver(t, s, 6, 1, 2, 3) // keeps nobody alive
	c.advance(20 * time.Minute)
	if got := alive(t, s, 4); !slices.Equal(got, []feed.UserID{1, 2, 3, 4}) {
		t.Fatalf("after an hour: %v are there, want all", got)
	}
	c.advance(time.Second)
	if got := alive(t, s, 4); !slices.Equal(got, []feed.UserID{2}) {
		t.Fatalf("after an hour and a second: %v are there, want 2, who read", got)
	}
	if page := read(t, s, 1); page.State != timeline.Absent || page.Acts != 0 {
		t.Fatalf("an expired timeline reads as %+v", page)
	}
	if got := stats(t, s); got.Live != 1 || got.Building != 0 || got.Expired != 3 || got.Entries != 6 {
		t.Fatalf("%+v", got)
	}
}

// A page that shows nothing new to its reader is a reading all the same, and one
// in another life is none.
func TestWhatCountsAsReading(t *testing.T) {
	c := newClock()
	s := memory.New(memory.Options{Idle: time.Hour, Clock: c.now})
	build(t, s, 1, 5)
	build(t, s, 2, 5)
	c.advance(40 * time.Minute)
	for v := feed.UserID(1); v <= 2; v++ {
		q := timeline.Query{Viewer: v, Before: 1, Limit: 0, Life: life + uint64(v) - 1}
		if _, err := s.Read(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(40 * time.Minute)
	if got := alive(t, s, 2); !slices.Equal(got, []feed.UserID{1}) {
		t.Fatalf("%v are there, want 1", got)
	}
}

// The limit holds, and what goes is what was not read for longest, across
// stripes, whatever was delivered.
func TestEvictionFollowsReading(t *testing.T) {
	c := newClock()
	full := memory.New(memory.Options{})
	base := stats(t, full).Bytes
	for v := feed.UserID(1); v <= 100; v++ {
		build(t, full, v, 100)
	}
	limit := base + (stats(t, full).Bytes-base)/2
	s := memory.New(memory.Options{MaxBytes: limit, Clock: c.now})
	for v := feed.UserID(1); v <= 100; v++ {
		if !build(t, s, v, 100) {
			t.Fatalf("the timeline of %d went while it was built", v)
		}
		c.advance(time.Second)
		read(t, s, 1) // reads all the time
		deliver(t, s, 1000, 2)
		if got := stats(t, s); got.Bytes > limit {
			t.Fatalf("%d bytes, more than %d", got.Bytes, limit)
		}
	}
	got := alive(t, s, 100)
	if n := len(got); n < 30 || n > 60 || stats(t, s).Evicted != int64(100-n) {
		t.Fatalf("%d timelines are left, %d evicted", n, stats(t, s).Evicted)
	}
	want := []feed.UserID{1}
	for v := feed.UserID(100 - len(got) + 2); v <= 100; v++ {
		want = append(want, v)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("left are %v, want the one who reads and the last", got)
	}
}

// Deliveries make timelines grow, and so must make room.
func TestDeliveriesEvict(t *testing.T) {
	c := newClock()
	s := memory.New(memory.Options{})
	for v := feed.UserID(1); v <= 20; v++ {
		build(t, s, v, 10)
	}
	limit := stats(t, s).Bytes
	s = memory.New(memory.Options{MaxBytes: limit, Clock: c.now})
	for v := feed.UserID(1); v <= 20; v++ {
		build(t, s, v, 10)
		c.advance(time.Second)
	}
	for post := feed.PostID(100); post < 400; post++ {
		deliver(t, s, post, 19, 20)
	}
	if got := stats(t, s); got.Bytes > limit || got.Evicted == 0 {
		t.Fatalf("%+v; the limit is %d", got, limit)
	}
	left := alive(t, s, 20)
	if len(left) == 0 || left[len(left)-1] != 20 {
		t.Fatalf("left are %v, want 20, who read last", left)
	}
}

// Buildings count, and the one at work stays; finishing makes room as well.
func TestBuildingsEvict(t *testing.T) {
	s := memory.New(memory.Options{})
	for v := feed.UserID(1); v <= 50; v++ {
		build(t, s, v, 0)
	}
	limit := stats(t, s).Bytes
	s = memory.New(memory.Options{MaxBytes: limit})
	tokens := map[feed.UserID]timeline.Token{}
	for v := feed.UserID(1); v <= 100; v++ {
		token, ok, err := s.Create(ctx, v, life)
		if err != nil || !ok {
			t.Fatalf("Create(%d): %v, %v", v, ok, err)
		}
		tokens[v] = token
		if got := stats(t, s); got.Bytes > limit {
			t.Fatalf("%d bytes, more than %d", got.Bytes, limit)
		}
	}
	scan := make([]timeline.Entry, 50)
	for i := range scan {
		scan[i] = timeline.Rebuilt(feed.PostID(len(scan) - i))
	}
	finished := 0
	for v := feed.UserID(100); v > 0; v-- {
		ok, err := s.Finish(ctx, v, tokens[v], scan, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			finished++
		}
		if page := read(t, s, v); ok && page.State != timeline.Live {
			t.Fatalf("the timeline of %d was evicted by its own Finish", v)
		}
		if got := stats(t, s); got.Bytes > limit {
			t.Fatalf("%d bytes, more than %d", got.Bytes, limit)
		}
	}
	if finished < 5 {
		t.Fatalf("%d of 100 buildings could be finished", finished)
	}
}

// A limit too small for one timeline keeps the one at work and nothing else.
func TestTinyLimit(t *testing.T) {
	for _, same := range []bool{true, false} { // in one stripe, or in many
		s := memory.New(memory.Options{MaxBytes: 1})
		v := feed.UserID(1)
		for range 20 {
			if !build(t, s, v, 50) {
				t.Fatalf("the timeline of %d went while it was built", v)
			}
			if got := stats(t, s); got.Live != 1 {
				t.Fatalf("%d live timelines, want 1", got.Live)
			}
			v++
			if same {
				v += 63
			}
		}
		deliver(t, s, 60, v-1)
		if _, err := s.DeletedSince(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
}

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
