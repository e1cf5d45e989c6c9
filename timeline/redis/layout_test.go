package redis_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// T7, the trap "a rebuild without a fence": a building whose builder has slept
// for a minute of the server's time is taken over, and the sleeper's Finish does
// not take. (The suite does this with a clock; here the beginning is set back.)
func TestTakeover(t *testing.T) {
	url, prefix := shared(t), rand.Text()
	s, c := open(t, url, redis.Options{Prefix: prefix}), raw(t, url)
	first, _, err := s.Create(ctx, 1, life)
	if err != nil {
		t.Fatal(err)
	}
	age := func(seconds uint32) {
		h, err := c.LIndex(ctx, keyOf(prefix, 1), -1).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		now := uint32(c.Time(ctx).Val().Unix())
		binary.BigEndian.PutUint32(h[42:], now-seconds)
		if err := c.LSet(ctx, keyOf(prefix, 1), -1, h).Err(); err != nil {
			t.Fatal(err)
		}
	}
	age(50)
	if _, ok, err := s.Create(ctx, 1, life); ok || err != nil {
		t.Fatalf("a building 50 seconds old: %v, %v", ok, err)
	}
	age(61)
	second, ok, err := s.Create(ctx, 1, life)
	if !ok || err != nil {
		t.Fatalf("a building 61 seconds old: %v, %v", ok, err)
	}
	if ok, err := s.Finish(ctx, 1, first, nil, 0, 1); ok || err != nil {
		t.Fatalf("the sleeper's Finish: %v, %v", ok, err)
	}
	deliver(t, s, 7, 1)
	if ok, err := s.Finish(ctx, 1, second, nil, 0, 1); !ok || err != nil {
		t.Fatalf("the other's Finish: %v, %v", ok, err)
	}
	shows(t, s, 1, 7)
}

// T1, the trap of the prefix: what is pushed may be older than all that is
// sorted, in any order and as late as it likes. Every page of any size agrees
// with the whole.
func TestPrefixes(t *testing.T) {
	url := shared(t)
	const limit = 32
	s := open(t, url, redis.Options{Cap: limit})
	viewer := feed.UserID(0)
	rapid.Check(t, func(t *rapid.T) {
		viewer++
		ids := rapid.SliceOfN(rapid.Map(rapid.Int64Range(1, 100), func(n int64) feed.PostID { return feed.PostID(n << 40) }), 0, 60)
		token, _, err := s.Create(ctx, viewer, life)
		if err != nil {
			t.Fatal(err)
		}
		given := map[feed.PostID]bool{}
		var scan []timeline.Entry
		for _, id := range ids.Draw(t, "scan") {
			given[id] = true
			scan = append(scan, timeline.Rebuilt(id))
		}
		if ok, err := s.Finish(ctx, viewer, token, scan, 0, 1); err != nil || !ok {
			t.Fatal(ok, err)
		}
		for _, id := range ids.Draw(t, "pushed") {
			given[id] = true
			if _, err := s.Deliver(ctx, []timeline.Delivery{{Post: id, Viewers: []feed.UserID{viewer}}}); err != nil {
				t.Fatal(err)
			}
		}
		size := rapid.IntRange(1, limit).Draw(t, "page size")
		seen := map[feed.PostID]bool{}
		var bottom feed.PostID
		for before := feed.MaxPostID; ; {
			page, err := s.Read(ctx, timeline.Query{Viewer: viewer, Before: before, Limit: size, Life: life})
			if err != nil || page.State != timeline.Live {
				t.Fatalf("%+v, %v", page, err)
			}
			for _, e := range page.Entries {
				if e.ID() >= before || e.ID() < page.Floor || seen[e.ID()] || !given[e.ID()] {
					t.Fatalf("entry %d below %d, floor %d", e.ID(), before, page.Floor)
				}
				seen[e.ID()] = true
			}
			for id := range given {
				if id >= page.Floor && id < before && !seen[id] {
					t.Fatalf("entry %d is missing between %d and %d", id, before, page.Floor)
				}
			}
			if bottom = page.Bottom; page.Floor <= bottom+1 {
				break
			}
			before = page.Floor
		}
		for id := range given {
			if seen[id] != (id > bottom) {
				t.Fatalf("entry %d, seen %v, bottom %d", id, seen[id], bottom)
			}
		}
		if bottom > 0 && len(seen) < limit {
			t.Fatalf("%d entries above bottom %d; the cap is %d", len(seen), bottom, limit)
		}
	})
}

// What lies below the bottom leaves the list when it is written anew.
func TestBelowBottomIsDropped(t *testing.T) {
	url, prefix := shared(t), rand.Text()
	s, c := open(t, url, redis.Options{Prefix: prefix}), raw(t, url)
	token, _, err := s.Create(ctx, 1, life)
	if err != nil {
		t.Fatal(err)
	}
	s.Deliver(ctx, manyPosts(1, 1, 5))
	if ok, err := s.Finish(ctx, 1, token, nil, 3, 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	shows(t, s, 1, 5, 4)
	if n := c.LLen(ctx, keyOf(prefix, 1)).Val(); n != 3 {
		t.Fatalf("two entries and a header take %d elements", n)
	}
}

// A list of another layout, or with another element where its header was, is
// absent; Create takes its place.
func TestStrangeLists(t *testing.T) {
	url, prefix := shared(t), rand.Text()
	s, c := open(t, url, redis.Options{Prefix: prefix}), raw(t, url)
	for name, spoil := range map[string]func(key string) error{
		"another version": func(key string) error {
			h := c.LIndex(ctx, key, -1).Val()
			return c.LSet(ctx, key, -1, "\x02"+h[1:]).Err()
		},
		"no header":    func(key string) error { return c.RPop(ctx, key).Err() },
		"a longer one": func(key string) error { return c.RPush(ctx, key, fmt.Sprintf("%100d", 1)).Err() },
	} {
		token := build(t, s, 1, 5)
		if err := spoil(keyOf(prefix, 1)); err != nil {
			t.Fatal(err)
		}
		if page := read(t, s, 1); page.State != timeline.Absent {
			t.Errorf("%s: %+v, want absent", name, page)
		}
		if ok, err := s.Fold(ctx, 1, token, 1, 2, nil); ok || err != nil {
			t.Errorf("%s: Fold: %v, %v", name, ok, err)
		}
		if err := s.Announce(ctx, timeline.Act{Viewer: 1}); err != nil {
			t.Errorf("%s: Announce: %v", name, err)
		}
	}
	build(t, s, 1, 2)
	shows(t, s, 1, 2, 1)
}

// The log of deletes is bounded, and says so when asked beyond its end.
func TestDeletesAreForgottenLoudly(t *testing.T) {
	const kept = 4096
	s := open(t, shared(t), redis.Options{})
	start := read(t, s, 1).Deletes
	acts := make([]timeline.Act, kept+10)
	for n := range acts {
		acts[n].Deleted = feed.PostID(n + 1)
	}
	if err := s.Announce(ctx, acts...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		position uint64
		known    bool
		posts    int
	}{
		{0, false, 0},
		{9, false, 0},
		{10, true, kept},
		{11, true, kept - 1},
		{kept + 9, true, 1},
		{kept + 10, true, 0},
		{kept + 11, false, 0},
	} {
		got, err := s.DeletedSince(ctx, 0, start+c.position)
		if err != nil || got.Known != c.known || len(got.Posts) != c.posts {
			t.Errorf("since %d: known %v, %d posts, %v; want %v, %d", c.position, got.Known, len(got.Posts), err, c.known, c.posts)
		}
		for i, post := range got.Posts {
			if want := feed.PostID(c.position) + feed.PostID(i) + 1; post != want {
				t.Fatalf("since %d: post %d at %d, want %d", c.position, post, i, want)
			}
		}
	}
}

// The figure of the design: at most 12 bytes an entry at 800 entries, all
// included, by what the server says of itself.
func TestBytesPerEntry(t *testing.T) {
	const timelines, entries, most = 1000, 800, 12.0
	server := own(t)
	s, c := open(t, server.URL(), redis.Options{}), raw(t, server.URL())
	before := infoNumber(t, c, "used_memory")
	var viewers []feed.UserID
	for v := range feed.UserID(timelines) {
		build(t, s, 1<<40+v, entries)
		viewers = append(viewers, 1<<40+v)
	}
	for _, step := range []string{"just built", "one more", "at a quarter more"} {
		stats, err := s.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		used := float64(infoNumber(t, c, "used_memory")-before) / float64(stats.Entries)
		told := float64(stats.Bytes) / float64(stats.Entries)
		t.Logf("%s: %.2f bytes an entry in all, %.2f by MEMORY USAGE; %d entries", step, used, told, stats.Entries)
		if used > most || told > most {
			t.Errorf("%s: want %.0f at most", step, most)
		}
		if stats.Live < timelines*9/10 || stats.Live > timelines*11/10 {
			t.Errorf("Stats tells %d timelines of %d", stats.Live, timelines)
		}
		posts := map[string]int{"just built": 1, "one more": 199}[step]
		for n := range posts {
			deliver(t, s, feed.PostID(1000+n), viewers...)
		}
	}
}
