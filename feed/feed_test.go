package feed_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"skein/feed"
)

func TestHashIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := feed.UserID(rapid.Int64().Draw(t, "user"))
		if got := feed.UserOfHash(u.Hash()); got != u {
			t.Fatalf("UserOfHash(Hash(%d)) = %d", u, got)
		}
	})
}

// Chunks tile all followers: no hash is in none of them, or in two.
func TestSplitTiles(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 2, 3, 7, 1000, 4096} {
		ranges := feed.Split(n)
		if want := max(n, 1); len(ranges) != want {
			t.Fatalf("Split(%d) has %d ranges, want %d", n, len(ranges), want)
		}
		if ranges[0].First != 0 || ranges[len(ranges)-1].Last != feed.AllHashes.Last {
			t.Fatalf("Split(%d) does not reach both ends: %x", n, ranges)
		}
		for i := 1; i < len(ranges); i++ {
			if ranges[i].First != ranges[i-1].Last+1 || ranges[i].First > ranges[i].Last {
				t.Fatalf("Split(%d): %x does not follow %x", n, ranges[i], ranges[i-1])
			}
		}
	}
}

// granter leases from a clock that the test moves.
type granter struct {
	mu    sync.Mutex
	until map[uint16]time.Time
	node  uint16
	clock feed.Clock
	calls int
}

func (g *granter) Grant(context.Context) (feed.Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	from := g.clock()
	if g.until[g.node].After(from) {
		from = g.until[g.node]
	}
	until := from.Add(5 * time.Second)
	g.until[g.node] = until
	return feed.Grant{Node: g.node, From: from, Until: until}, nil
}

type movingClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movingClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *movingClock) Add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// W4: ids rise, are unique, and lie inside the grant, also when the clock stands
// still, goes backwards, or jumps past the end of the lease.
func TestIDsRiseWhateverTheClockDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := &movingClock{now: feed.Epoch.Add(time.Hour)}
		g := &granter{until: map[uint16]time.Time{}, node: 7, clock: clock.Now}
		ids := feed.NewIDs(g, clock.Now)
		last := feed.PostID(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			clock.Add(time.Duration(rapid.Int64Range(-3000, 7000).Draw(t, "ms")) * time.Millisecond)
			for range rapid.IntRange(1, 5).Draw(t, "burst") {
				id, err := ids.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if id <= last {
					t.Fatalf("id %d follows %d", id, last)
				}
				if until := g.until[7]; !id.Time().Before(until) {
					t.Fatalf("id of %v lies outside the grant until %v", id.Time(), until)
				}
				last = id
			}
		}
	})
}

// W4, the trap of a lease and a pause: a process wakes up after its lease ended
// and another has the node. It asks for a new grant rather than use the old one.
func TestALeaseAndAPause(t *testing.T) {
	clock := &movingClock{now: feed.Epoch.Add(time.Hour)}
	g := &granter{until: map[uint16]time.Time{}, clock: clock.Now}
	asleep, other := feed.NewIDs(g, clock.Now), feed.NewIDs(g, clock.Now)
	first, err := asleep.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(time.Minute)
	theirs, err := other.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := asleep.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g.calls != 3 {
		t.Errorf("%d grants were asked for, want 3: the lease of the sleeper had ended", g.calls)
	}
	if ours == theirs || ours <= first {
		t.Errorf("after the pause came %d; before it %d, and the other has %d", ours, first, theirs)
	}
}

// A clock that no grant reaches costs one grant a call: leasing on and on, it would take
// the nodes from everybody.
func TestAClockBeyondEveryGrant(t *testing.T) {
	g := &granter{until: map[uint16]time.Time{}, clock: time.Now}
	ids := feed.NewIDs(g, func() time.Time { return time.Now().Add(time.Minute) })
	if id, err := ids.Next(t.Context()); feed.CodeOf(err) != feed.CodeUnavailable || g.calls != 1 {
		t.Errorf("id %d after %d grants, %v; want none after one, feed.CodeUnavailable", id, g.calls, err)
	}
}

// A thousand ids a millisecond are more than a sequence holds for long: the
// generator runs ahead of the clock rather than repeat itself, and many callers
// share one renewal.
func TestIDsAreUniqueUnderLoad(t *testing.T) {
	clock := &movingClock{now: feed.Epoch.Add(time.Hour)}
	g := &granter{until: map[uint16]time.Time{}, clock: clock.Now}
	ids := feed.NewIDs(g, clock.Now)
	const callers, each = 8, 5000
	got := make([][]feed.PostID, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				id, err := ids.Next(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = append(got[i], id)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(got...)
	slices.Sort(all)
	if unique := len(slices.Compact(all)); unique != callers*each {
		t.Errorf("%d unique ids of %d", unique, callers*each)
	}
	if g.calls != 1 {
		t.Errorf("%d grants for one interval", g.calls)
	}
}

func TestIDTime(t *testing.T) {
	at := feed.Epoch.Add(123456789 * time.Millisecond)
	if got := feed.IDAt(at).Time(); !got.Equal(at) {
		t.Errorf("IDAt(%v).Time() = %v", at, got)
	}
	if feed.IDAt(feed.Epoch.Add(-time.Hour)) != 0 {
		t.Error("an instant before the epoch has an id")
	}
}

func BenchmarkIDs(b *testing.B) {
	g := &granter{until: map[uint16]time.Time{}, clock: time.Now}
	ids := feed.NewIDs(g, time.Now)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := ids.Next(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
