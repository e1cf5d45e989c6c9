package redis_test

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// stored is a timeline as it lies in Redis, or should.
type stored struct {
	entries []timeline.Entry
	sorted  int // as the header counts them
	bottom  feed.PostID
}

// cut is what a cut must make of it: each post once, a delivered one before the same
// from storage, newest first, at most limit; the bottom is the highest one dropped.
func (s *stored) cut(limit int) {
	slices.SortFunc(s.entries, func(a, b timeline.Entry) int {
		return cmp.Or(cmp.Compare(b.ID(), a.ID()), cmp.Compare(a, b))
	})
	s.entries = slices.CompactFunc(s.entries, func(a, b timeline.Entry) bool { return a.ID() == b.ID() })
	s.entries = slices.DeleteFunc(s.entries, func(e timeline.Entry) bool { return e.ID() <= s.bottom })
	if len(s.entries) > limit {
		s.bottom = s.entries[limit].ID()
		s.entries = s.entries[:limit]
	}
	s.sorted = len(s.entries)
}

func storedIn(t interface{ Fatal(...any) }, c *goredis.Client, key string) stored {
	list, err := c.LRange(ctx, key, 0, -1).Result()
	if err != nil || len(list) == 0 {
		t.Fatal(len(list), err)
	}
	var s stored
	for _, e := range list[:len(list)-1] {
		packed := binary.BigEndian.Uint64([]byte(e))
		entry := timeline.Delivered(feed.PostID(packed >> 1))
		if packed&1 != 0 {
			entry = timeline.Rebuilt(entry.ID())
		}
		s.entries = append(s.entries, entry)
	}
	header := []byte(list[len(list)-1])
	s.bottom = feed.PostID(binary.BigEndian.Uint64(header[2:]) >> 1)
	s.sorted = int(binary.BigEndian.Uint32(header[46:]))
	return s
}

// T2, T3, T6: whatever was pushed, in whatever order, repeated or late, near or far, a
// cut leaves what the contract says, to the byte.
func TestCutsAreExact(t *testing.T) {
	const limit, full = 64, 80
	url, prefix := shared(t), rand.Text()
	s, c := open(t, url, redis.Options{Cap: limit, Prefix: prefix}), raw(t, url)
	viewer := feed.UserID(0)
	rapid.Check(t, func(t *rapid.T) {
		viewer++
		token, _, err := s.Create(ctx, viewer, life)
		if err != nil {
			t.Fatal(err)
		}
		newest := feed.PostID(rapid.SampledFrom([]int64{1, 1 << 40}).Draw(t, "first"))
		given := []feed.PostID{newest}
		var want stored
		for range rapid.IntRange(0, limit).Draw(t, "rebuilt") {
			newest += 3
			given = append(given, newest)
			want.entries = append(want.entries, timeline.Rebuilt(newest))
		}
		slices.Reverse(want.entries)
		want.sorted = len(want.entries)
		if ok, err := s.Finish(ctx, viewer, token, want.entries, 0, 1); err != nil || !ok {
			t.Fatal(ok, err)
		}
		push := map[string]func() feed.PostID{
			"next":      func() feed.PostID { return newest + feed.PostID(rapid.IntRange(1, 1000).Draw(t, "by")) },
			"overtaken": func() feed.PostID { return max(1, newest-feed.PostID(rapid.IntRange(0, 3000).Draw(t, "by"))) },
			"again":     func() feed.PostID { return rapid.SampledFrom(given).Draw(t, "post") },
			"far":       func() feed.PostID { return min(newest+1<<57, 1<<62) },
		}
		kinds := slices.Concat(slices.Repeat([]string{"next"}, 15), slices.Repeat([]string{"overtaken"}, 3), []string{"again"})
		if rapid.Bool().Draw(t, "some are far") {
			kinds = append(kinds, "far")
		}
		for range rapid.IntRange(0, 4*limit).Draw(t, "pushes") {
			id := push[rapid.SampledFrom(kinds).Draw(t, "kind")]()
			given, newest = append(given, id), max(newest, id)
			want.entries = slices.Insert(want.entries, 0, timeline.Delivered(id))
			if _, err := s.Deliver(ctx, []timeline.Delivery{{Post: id, Viewers: []feed.UserID{viewer}}}); err != nil {
				t.Fatal(err)
			}
			if len(want.entries) <= full {
				continue
			}
			want.cut(limit)
			got := storedIn(t, c, keyOf(prefix, viewer))
			if !slices.Equal(got.entries, want.entries) || got.bottom != want.bottom || got.sorted != want.sorted {
				t.Fatalf("after a cut:\n%+v\nwant\n%+v", got, want)
			}
		}
	})
}

// What was pushed nearly in order is cut without a sort of the whole list, and what
// was not is cut with one.
func TestCutsSortWhatIsNew(t *testing.T) {
	const limit = 400
	server := own(t)
	s, c := open(t, server.URL(), redis.Options{Cap: limit}), raw(t, server.URL())
	for name, test := range map[string]struct {
		post  func(n int) feed.PostID // the nth, from 0
		sorts bool
	}{
		"in order":         {func(n int) feed.PostID { return feed.PostID(1000 + n) }, false},
		"overtaken by ten": {func(n int) feed.PostID { return feed.PostID(1000 + n - n%10 + 9 - n%10) }, false},
		"all repeats":      {func(n int) feed.PostID { return feed.PostID(limit - n%16) }, false},
		"late":             {func(n int) feed.PostID { return feed.PostID(1 + n) }, true},
		"a month later":    {func(n int) feed.PostID { return feed.PostID(1+n/50) << 54 }, true},
	} {
		build(t, s, 1, limit)
		if err := c.ConfigResetStat(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		for n := range limit/4 + 1 {
			deliver(t, s, test.post(n), 1)
		}
		if page := read(t, s, 1); page.State != timeline.Live || len(page.Entries) > limit {
			t.Errorf("%s: %+v", name, page)
		}
		told, err := c.Info(ctx, "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		if sorts := strings.Contains(told, "cmdstat_sort:"); sorts != test.sorts {
			t.Errorf("%s: sorted as a whole: %v, want %v", name, sorts, test.sorts)
		}
		if err := s.Drop(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// Numbers that Lua has no bits for decide nothing: here the bottom and all posts but
// one would be the same.
func TestCutsOfFarPosts(t *testing.T) {
	s := open(t, shared(t), redis.Options{Cap: 8})
	build(t, s, 1, 0)
	for _, posts := range [][]timeline.Delivery{manyPosts(1, 1, 10), manyPosts(1, 1<<60, 1)} {
		if out, err := s.Deliver(ctx, posts); err != nil || len(out.Undelivered) > 0 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	shows(t, s, 1, 1<<60, 10, 9, 8, 7, 6, 5, 4)
}

// T1: a rebuild that ends above what was delivered and cut meanwhile has its own
// bottom, and nothing below it.
func TestFinishAboveACut(t *testing.T) {
	const limit, last, bottom = 16, 24, 18
	s := open(t, own(t).URL(), redis.Options{Cap: limit})
	token, _, err := s.Create(ctx, 1, life)
	if err != nil {
		t.Fatal(err)
	}
	for post := feed.PostID(1); post <= last; post++ {
		deliver(t, s, post, 1)
	}
	if ok, err := s.Finish(ctx, 1, token, nil, bottom, 1); err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	if page := read(t, s, 1); page.Bottom != bottom || len(page.Entries) != last-bottom {
		t.Errorf("%+v, want %d entries above %d", page, last-bottom, bottom)
	}
}
