package redis_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// F3: shards are ranges of the slots that the server itself computes, whoever is
// master of them.
func TestShardsAreRangesOfSlots(t *testing.T) {
	url := sharedCluster(t)
	s := open(t, url, redis.Options{})
	first, _, _ := strings.Cut(strings.TrimPrefix(url, "redis-cluster://"), ",")
	c := raw(t, "redis://"+first)
	for v := feed.UserID(1); v < 1<<62; v = v*3 + 1 {
		slot := c.ClusterKeySlot(ctx, keyOf("", v)).Val()
		if got := s.Shard(v); got != int(slot/1024) || s.Shards() != 16 {
			t.Fatalf("viewer %d, in slot %d, is in shard %d of %d", v, slot, got, s.Shards())
		}
	}
}

// ASK: while a slot is on its way all calls work, for keys that were carried along and
// for such as are made anew; MOVED: and when it has arrived, also by way of a store
// that knows nothing of it. The first pipelines and the last meet the same timeline.
func TestSlotOnItsWay(t *testing.T) {
	c := ownCluster(t, servers.ClusterSpec{})
	m := membersOf(t, c)
	opts := redis.Options{Cap: 8, Prefix: "p"}
	s, late := open(t, c.URL(), opts), open(t, c.URL(), opts)
	const v = feed.UserID(1)
	slot := m.slotOf(v)
	from, _ := m.masterOf(slot)
	to := another(m, from)
	calls := func(when string, s *redis.Store) {
		t.Helper()
		build(t, s, v, 3)
		mark := s.Mark()
		deliver(t, s, 4, v)
		if err := s.Barrier(ctx, mark); err != nil {
			t.Fatalf("%s: Barrier: %v", when, err)
		}
		shows(t, s, v, 4, 3, 2, 1)
		acts := read(t, s, v).Acts
		if err := s.Announce(ctx, timeline.Act{Viewer: v}); err != nil || read(t, s, v).Acts == acts {
			t.Fatalf("%s: Announce: %v, acts %d after %d", when, err, read(t, s, v).Acts, acts)
		}
		if out, err := s.Deliver(ctx, manyPosts(v, 10, 20)); err != nil || len(out.Undelivered) > 0 {
			t.Fatalf("%s: a delivery that has to be cut: %+v, %v", when, out, err)
		}
		if page := read(t, s, v); page.Entries[0].ID() != 29 || page.Bottom == 0 {
			t.Fatalf("%s: %+v, want cut", when, page)
		}
	}
	calls("before", s)
	m.begin(slot, from, to)
	calls("begun", s) // what is there is served where it was
	m.carry(slot, from, to)
	if page := read(t, s, v); page.State != timeline.Absent {
		t.Fatalf("carried to another master: %+v, want absent: it bears another stamp", page)
	}
	calls("carried", s)
	m.end(slot, from, to)
	shows(t, late, v, 29, 28, 27, 26, 25, 24, 23, 22)
	calls("arrived", late)
	if err := s.Drop(ctx, v); err != nil || read(t, late, v).State != timeline.Absent {
		t.Fatalf("Drop: %v", err)
	}
}

// T7: a script that rewrites a list takes the old one away first; where its slot is on
// its way the server then refuses the new one. No call fails for that, and the list is
// there or not, but never in part.
func TestRewriteOnTheWay(t *testing.T) {
	c := ownCluster(t, servers.ClusterSpec{})
	m := membersOf(t, c)
	s := open(t, c.URL(), redis.Options{Cap: 8, Prefix: "p"})
	const v = feed.UserID(1)
	slot := m.slotOf(v)
	from, _ := m.masterOf(slot)
	build(t, s, v, 8)
	m.begin(slot, from, another(m, from))
	// Repeats, else the list is merely cut; and one far from the others, else it is tidied.
	posts := slices.Concat(manyPosts(v, 5, 20), manyPosts(v, 20, 5), manyPosts(v, 1<<60, 1))
	if out, err := s.Deliver(ctx, posts); err != nil || len(out.Undelivered) > 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if page := read(t, s, v); page.State != timeline.Absent {
		t.Fatalf("%+v: the list was not rewritten, and the test tests nothing", page)
	}
	token, _, err := s.Create(ctx, v, life)
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, s, 2, v)
	ok, err := s.Finish(ctx, v, token, []timeline.Entry{timeline.Rebuilt(2), timeline.Rebuilt(1)}, 0, 1)
	if err != nil || !ok {
		t.Fatalf("Finish where the slot goes: %v, %v", ok, err)
	}
	shows(t, s, v, 2, 1)
}

// T1: a slot goes to and fro while posts are delivered to its viewers and they read.
// Whoever finds a timeline live finds all that was delivered before; whoever does not
// builds it, as a reader does.
func TestReshardUnderLoad(t *testing.T) {
	c := ownCluster(t, servers.ClusterSpec{})
	m := membersOf(t, c)
	s := open(t, c.URL(), redis.Options{Cap: 16_000, Prefix: "p"})
	slot := m.slotOf(1)
	viewers := []feed.UserID{1}
	for v := feed.UserID(2); len(viewers) < 8; v++ {
		if s.Shard(v) == s.Shard(1) && m.slotOf(v) == slot { // the first is quicker to tell
			viewers = append(viewers, v)
		}
	}
	var posted, delivered atomic.Int64 // all posts up to it
	var done atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer done.Store(true)
	wg.Go(func() {
		for post := feed.PostID(1); !done.Load() && post < 15_000; post++ {
			posted.Store(int64(post))
			mark := s.Mark()
			out, err := s.Deliver(ctx, []timeline.Delivery{{Post: post, Viewers: viewers}})
			if err != nil || len(out.Undelivered) > 0 {
				t.Errorf("post %d: %+v, %v", post, out.Undelivered, err)
			}
			if s.Barrier(ctx, mark) != nil {
				post-- // again
				continue
			}
			delivered.Store(int64(post))
		}
	})
	var reads, builds atomic.Int64
	for _, v := range viewers {
		wg.Go(func() {
			for !done.Load() {
				before := feed.PostID(delivered.Load())
				page, err := s.Read(ctx, timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: 16_000, Life: life})
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
				if page.State == timeline.Live {
					reads.Add(1)
					if !holds(page, before) {
						t.Errorf("viewer %d: live, and lacks some of the first %d posts", v, before)
						return
					}
					continue
				}
				token, ok, err := s.Create(ctx, v, life)
				if err != nil {
					t.Errorf("Create: %v", err)
				}
				if ok { // as from storage: all that was ever posted, delivered or not
					builds.Add(1)
					scan := make([]timeline.Entry, 0, before+10)
					for post := feed.PostID(posted.Load()); post > 0; post-- {
						scan = append(scan, timeline.Rebuilt(post))
					}
					if _, err := s.Finish(ctx, v, token, scan, 0, 1); err != nil {
						t.Errorf("Finish: %v", err)
					}
				}
			}
		})
	}
	from, _ := m.masterOf(slot)
	to := another(m, from)
	for range 16 {
		settled := delivered.Load() + 20
		m.begin(slot, from, to)
		m.carry(slot, from, to)
		eventually(t, "posts are delivered while the slot is on its way", func() bool { return delivered.Load() > settled })
		m.carry(slot, from, to)
		m.end(slot, from, to)
		from, to = to, from
		settled = delivered.Load() + 20
		eventually(t, "posts are delivered when it has arrived", func() bool { return delivered.Load() > settled })
	}
	done.Store(true)
	wg.Wait()
	t.Logf("%d posts, %d pages, %d builds", delivered.Load(), reads.Load(), builds.Load())
	if reads.Load() == 0 || builds.Load() < int64(len(viewers)) {
		t.Errorf("only %d pages and %d builds", reads.Load(), builds.Load())
	}
}

// holds reports whether a page has all posts from 1 to last.
func holds(page timeline.Page, last feed.PostID) bool {
	n := 0
	for _, e := range page.Entries {
		if e.ID() <= last {
			n++
		}
	}
	return n == int(last)
}

// The trap "scripts on every master": one that joins later, and is given slots, serves
// every kind of call. T4: so does the log of deletes that moves there; what was deleted
// before and after is known, or known to be unknown.
func TestJoinedMaster(t *testing.T) {
	c := ownCluster(t, servers.ClusterSpec{})
	opts := redis.Options{Cap: 8, Prefix: "p"}
	s, other := open(t, c.URL(), opts), open(t, c.URL(), opts)
	const v = feed.UserID(1)
	build(t, s, v, 3)
	if err := s.Announce(ctx, timeline.Act{Deleted: 1}); err != nil {
		t.Fatal(err)
	}
	before := read(t, s, v).Position
	if _, err := c.AddMaster(ctx); err != nil {
		t.Fatal(err)
	}
	m := membersOf(t, c)
	joined, err := raw(t, c.Servers()[3].URL()).Do(ctx, "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range []int{m.slotOf(v), m.slotOf(v) / 1024 * 1024} { // the viewer's, and that of the log of its shard
		from, _ := m.masterOf(slot)
		m.begin(slot, from, joined)
		m.carry(slot, from, joined)
		m.end(slot, from, joined)
	}
	if err := other.Announce(ctx, timeline.Act{Viewer: v, Deleted: 2}); err != nil {
		t.Fatal(err)
	}
	after := read(t, s, v)
	if after.State != timeline.Absent || after.Deletes == before.Deletes {
		t.Fatalf("on the master that joined: %+v after %+v", after, before)
	}
	if got, err := s.DeletedSince(ctx, before.Shard, before.Deletes); err != nil || got.Known && (len(got.Posts) != 1 || got.Posts[0] != 2) {
		t.Fatalf("deletes since before: %+v, %v", got, err)
	}
	token := build(t, s, v, 3)
	deliver(t, s, 4, v)
	if ok, err := other.Fold(ctx, v, token, 1, 2, []timeline.Entry{timeline.Rebuilt(5)}); err != nil || !ok {
		t.Fatalf("Fold: %v, %v", ok, err)
	}
	shows(t, other, v, 5, 4, 3, 2, 1)
}

// another returns a master of slots other than from.
func another(m members, from string) string {
	for slot := 0; ; slot += 100 {
		if id, _ := m.masterOf(slot); id != from {
			return id
		}
	}
}
