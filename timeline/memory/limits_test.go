package memory_test

import (
	"slices"
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
)

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
		if _, err := s.DeletedSince(ctx, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
