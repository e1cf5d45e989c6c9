package memory_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
	"skein/timeline/timelinetest"
)

var engine = timelinetest.Engine{
	Open: func(t testing.TB, opts timelinetest.Options) timeline.Store {
		return memory.New(memory.Options{Cap: opts.Cap, Clock: opts.Clock})
	},
}

func TestContract(t *testing.T) { timelinetest.Run(t, engine) }

func BenchmarkStore(b *testing.B) { timelinetest.Benchmark(b, engine) }

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
