package timelinetest

import (
	"slices"
	"testing"

	"skein/feed"
	"skein/timeline"
)

var deliveryCases = []testCase{
	{name: "T8/AbsentAreNotDeliveredTo", run: absentCostNothing},
	{name: "F1/RepeatsChangeNothing", run: repeatsChangeNothing},
	{name: "F1/RepeatsAreCounted", run: repeatsAreCounted},
	{name: "F1/AnyOrder", run: anyOrder},
	{name: "F2/ManyByMany", run: manyByMany},
	{name: "T6/CapRaisesBottom", run: capRaisesBottom},
	{name: "T6/BelowBottomStaysOut", run: belowBottomStaysOut},
	{name: "T3/IDsOf63Bits", run: wideIDs},
	{name: "F2/DropIsWhole", run: dropIsWhole},
	{name: "F2/BarrierAfterDeliver", run: barrier},
	{name: "Shards/AreWithinBounds", run: shards},
	{name: "Stats/CountWhatIsThere", run: stats},
}

func absentCostNothing(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(2)
	if out := p.deliver(5, 1, 2, 3); out.Misses != 2 || out.Entries != 1 {
		t.Fatalf("%+v, want one entry and two misses", out)
	}
	p.isIn(1, timeline.Absent)
	p.isIn(3, timeline.Absent)
	// A timeline made afterwards does not know the post: the scan does.
	p.live(1)
	p.shows(1, 0)
	// No viewers, and no deliveries at all, are nothing.
	p.deliver(6)
	p.deliverAll()
	p.shows(2, 0, 5)
}

func repeatsChangeNothing(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.finish(1, p.create(1), 2, 9, 7)
	for range 3 {
		p.deliver(8, 1)
		p.deliver(7, 1) // came from storage already
		p.deliver(10, 1, 1)
		p.deliver(2, 1)
		p.shows(1, 2, 10, 9, 8, 7)
	}
}

func repeatsAreCounted(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.finish(1, p.create(1), 3, 7)
	p.create(2)
	for _, c := range []struct {
		post             int
		entries, repeats int64
	}{
		{5, 2, 0}, // new to both
		{5, 0, 2},
		{7, 1, 1}, // from storage in the first
		{3, 1, 1}, // at the first one's bottom
		{9, 2, 0},
	} {
		if out := p.deliver(c.post, 1, 2); out.Entries != c.entries || out.Repeats != c.repeats {
			t.Fatalf("post %d: %+v, want %d entries and %d repeats", c.post, out, c.entries, c.repeats)
		}
	}
	if out := p.deliver(11, 1, 1); out.Entries != 1 || out.Repeats != 1 {
		t.Fatalf("a viewer twice in one delivery: %+v, want an entry and a repeat", out)
	}
}

// anyOrder: events commute, so every order gives the same timeline.
func anyOrder(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	posts := []int{1, 2, 3, 4}
	viewer := feed.UserID(0)
	permute(posts, func(order []int) {
		viewer++
		p.live(viewer)
		for _, n := range order {
			p.deliver(n, viewer)
		}
		p.shows(viewer, 0, 4, 3, 2, 1)
	})
	if viewer != 24 {
		t.Fatalf("%d orders tried, want 24", viewer)
	}
}

// permute calls f with every order of s (Heap's algorithm).
func permute(s []int, f func([]int)) {
	var heap func(k int)
	heap = func(k int) {
		if k == 1 {
			f(s)
			return
		}
		for i := range k {
			heap(k - 1)
			if k%2 == 0 {
				s[i], s[k-1] = s[k-1], s[i]
			} else {
				s[0], s[k-1] = s[k-1], s[0]
			}
		}
	}
	heap(len(s))
}

// manyByMany delivers more pairs in one call than an engine is likely to take at
// once, over ids small and huge.
func manyByMany(t *testing.T, e Engine) {
	const viewers, posts = 500, 40
	p := open(t, e, Options{Cap: 100})
	ids := make([]feed.UserID, viewers)
	for i := range ids {
		ids[i] = feed.UserID(i + 1)
		if i%10 == 0 {
			ids[i] = 1<<63 - 1 - feed.UserID(i)*1_000_003
		}
	}
	p.live(ids...)
	deliveries := make([]timeline.Delivery, posts)
	var want []int
	for i := range deliveries {
		deliveries[i] = timeline.Delivery{Post: p.post(i + 1), Viewers: ids}
		want = append(want, posts-i)
	}
	if out := p.deliverAll(deliveries...); out.Entries != viewers*posts {
		t.Fatalf("%+v, want %d entries", out, viewers*posts)
	}
	for _, v := range ids {
		p.shows(v, 0, want...)
	}
}

func capRaisesBottom(t *testing.T, e Engine) {
	const limit = 40
	p := open(t, e, Options{Cap: limit})
	p.live(1, 2)
	for n := 1; n <= 5*limit; n++ {
		p.deliver(n, 1)
		if n <= limit {
			p.isComplete(1, n)
		} else {
			p.isCapped(1, limit, n)
		}
	}
	// The same in one call.
	var at []timeline.Delivery
	for n := 1; n <= 5*limit; n++ {
		at = append(at, timeline.Delivery{Post: p.post(n), Viewers: []feed.UserID{2}})
	}
	p.deliverAll(at...)
	p.isCapped(2, limit, 5*limit)
}

func belowBottomStaysOut(t *testing.T, e Engine) {
	const limit = 20
	p := open(t, e, Options{Cap: limit})
	p.live(1)
	for n := 10; n <= 100; n++ {
		p.deliver(n, 1)
	}
	before := p.read(1)
	bottom := p.number(before.Bottom)
	for _, n := range []int{bottom, bottom - 1, 1} {
		p.deliver(n, 1)
	}
	after := p.read(1)
	if after.Bottom < before.Bottom || !slices.Equal(after.Entries, before.Entries[:len(after.Entries)]) || len(after.Entries) < limit {
		t.Fatalf("posts at or below the bottom %d changed %v into %v above %d",
			bottom, p.numbers(before.Entries), p.numbers(after.Entries), p.number(after.Bottom))
	}
}

// wideIDs: no bit of an id is lost.
func wideIDs(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	token := p.create(1)
	p.store.Finish(p.ctx, 1, token, nil, 0, 1)
	want := []feed.PostID{1<<63 - 2, 1<<62 + 1, 1 << 62, 1<<53 + 1, 1 << 53, 2, 1}
	for _, id := range want {
		p.deliverAll(timeline.Delivery{Post: id, Viewers: []feed.UserID{1}})
	}
	var got []feed.PostID
	for _, entry := range p.read(1).Entries {
		if entry.IsRebuilt() {
			t.Errorf("the pushed post %d bears the mark of storage", entry.ID())
		}
		got = append(got, entry.ID())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("ids %v, want %v", got, want)
	}
}

func dropIsWhole(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1, 2, 3)
	p.deliver(5, 1, 2, 3)
	p.drop(1, 3, 4)
	p.isIn(1, timeline.Absent)
	p.isIn(3, timeline.Absent)
	p.shows(2, 0, 5)
	p.live(1)
	p.shows(1, 0) // nothing of the old one is left
	p.drop()
}

func barrier(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1)
	for range 2 {
		mark := p.store.Mark()
		p.deliver(5, 1)
		if err := p.store.Barrier(p.ctx, mark); err != nil {
			t.Fatalf("Barrier: %v", err)
		}
	}
	p.shows(1, 0, 5)
}

func shards(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	n := p.store.Shards()
	if n < 1 {
		t.Fatalf("%d shards", n)
	}
	for v := feed.UserID(1); v <= 1000; v++ {
		if at := p.store.Shard(v); at < 0 || at >= n || at != p.store.Shard(v) {
			t.Fatalf("viewer %d lies in shard %d of %d, or does not stay there", v, at, n)
		}
	}
}

func stats(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1, 2)
	p.create(3)
	p.deliver(5, 1, 2, 3)
	p.deliver(6, 1)
	got, err := p.store.Stats(p.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.Live != 2 || got.Building != 1 || got.Entries != 4 || got.Bytes < 4*8 {
		t.Fatalf("%+v; want 2 live, 1 building, 4 entries", got)
	}
}
