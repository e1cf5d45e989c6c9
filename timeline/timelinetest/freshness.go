package timelinetest

import (
	"slices"
	"testing"

	"skein/feed"
	"skein/timeline"
)

var freshnessCases = []testCase{
	{name: "T4/AnnouncedActsShow", run: actsShow},
	{name: "T4/ActsNeverReturn", run: actsNeverReturn},
	{name: "T4/DeletesShow", run: deletesShow},
	{name: "T4/DeletedSince", run: deletedSince},
	{name: "T4/DeletesShowInEveryShard", run: deletesInEveryShard},
}

func actsShow(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	if acts := p.read(1).Acts; acts != 0 {
		t.Fatalf("acts of an absent timeline are %d, want 0", acts)
	}
	p.announce(timeline.Act{Viewer: 1}) // nobody to tell is no error
	p.live(1)
	seen := map[uint64]bool{0: true}
	for range 3 {
		acts := p.read(1).Acts
		if seen[acts] {
			t.Fatalf("acts %d do not tell of the act just announced", acts)
		}
		seen[acts] = true
		p.announce(timeline.Act{Viewer: 1})
	}
}

// actsNeverReturn: a copy made of a timeline that is gone does not match its
// successor, whatever was announced while there was none.
func actsNeverReturn(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	seen := map[uint64]bool{0: true}
	for range 5 {
		for _, act := range []func(){
			func() { p.create(1) },
			func() { p.announce(timeline.Act{Viewer: 1}) },
			func() { p.drop(1); p.announce(timeline.Act{Viewer: 1}); p.live(1) },
			func() { p.live(1) }, // over a live one
		} {
			act()
			acts := p.read(1).Acts
			if seen[acts] {
				t.Fatalf("acts %d came again, or are none", acts)
			}
			seen[acts] = true
		}
		p.drop(1)
	}
}

func deletesShow(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1)
	before, absent := p.read(1).Deletes, p.read(2).Deletes
	p.announce(timeline.Act{Deleted: p.post(5), Viewer: 3})
	p.announce(timeline.Act{Deleted: p.post(5)})
	for v, old := range map[feed.UserID]uint64{1: before, 2: absent} {
		if got := p.read(v).Deletes; got != old+2 {
			t.Errorf("viewer %d: deletes went from %d to %d by two", v, old, got)
		}
	}
}

func deletedSince(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	since := func(position uint64) []feed.PostID {
		t.Helper()
		got, err := p.store.DeletedSince(p.ctx, p.store.Shard(1), position)
		if err != nil || !got.Known {
			t.Fatalf("DeletedSince(%d): %+v, %v", position, got, err)
		}
		return got.Posts
	}
	start := p.read(1).Deletes
	if got := since(start); len(got) != 0 {
		t.Fatalf("deletes before the first: %v", got)
	}
	want := []feed.PostID{p.post(5), p.post(2), p.post(9)}
	for _, id := range want {
		p.announce(timeline.Act{Deleted: id})
	}
	for i := range want {
		if got := since(start + uint64(i)); !slices.Equal(got, want[i:]) {
			t.Errorf("deleted since %d: %v, want %v", i, got, want[i:])
		}
	}
	if got := since(p.read(1).Deletes); len(got) != 0 {
		t.Errorf("deleted since just now: %v", got)
	}
}

// deletesInEveryShard: whoever reads, in whichever shard, learns of a delete, and
// under the position of that shard.
func deletesInEveryShard(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	before := map[int]timeline.Position{}
	readers := map[int]feed.UserID{}
	for v := feed.UserID(1); len(readers) < p.store.Shards() && v < 100_000; v++ {
		shard := p.store.Shard(v)
		if readers[shard] == 0 {
			readers[shard], before[shard] = v, p.read(v).Position
		}
		if at := before[shard].Shard; at != shard {
			t.Fatalf("a page of shard %d bears a position of shard %d", shard, at)
		}
	}
	if len(readers) != p.store.Shards() {
		t.Fatalf("only %d of %d shards have viewers", len(readers), p.store.Shards())
	}
	p.announce(timeline.Act{Deleted: p.post(5)})
	for shard, v := range readers {
		old := before[shard].Deletes
		got, err := p.store.DeletedSince(p.ctx, shard, old)
		if err != nil || !got.Known || !slices.Equal(got.Posts, []feed.PostID{p.post(5)}) || p.read(v).Deletes == old {
			t.Errorf("shard %d: %+v, %v; want the post that was deleted, and another position", shard, got, err)
		}
	}
	for _, shard := range []int{-1, p.store.Shards()} {
		if got, err := p.store.DeletedSince(p.ctx, shard, before[0].Deletes); err != nil || got.Known {
			t.Errorf("shard %d, which is none: %+v, %v", shard, got, err)
		}
	}
}
