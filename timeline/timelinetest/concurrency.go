package timelinetest

import (
	"slices"
	"sync"
	"testing"

	"skein/feed"
	"skein/timeline"
)

var concurrencyCases = []testCase{
	{name: "F1/ConcurrentDeliveriesAllArrive", run: concurrentDeliveries},
	{name: "T7/ConcurrentBuildersOneWins", run: concurrentBuilders},
	{name: "T7/RebuildsRaceWithDeliveries", run: rebuildsRace},
	{name: "T4/ConcurrentActsAllShow", run: concurrentActs},
}

// together runs f n times at once, with its number, and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// concurrentDeliveries: chunks overlap and repeat, readers read; nothing is lost.
func concurrentDeliveries(t *testing.T, e Engine) {
	const viewers, workers, posts = 100, 8, 240
	p := open(t, e, Options{Cap: posts})
	ids := make([]feed.UserID, viewers)
	for i := range ids {
		ids[i] = feed.UserID(i + 1)
	}
	p.live(ids...)
	together(workers, func(w int) {
		// Each post is delivered by two workers.
		for n := 1; n <= posts; n++ {
			if n%workers != w && (n+1)%workers != w {
				continue
			}
			if _, err := p.store.Deliver(p.ctx, []timeline.Delivery{{Post: p.post(n), Viewers: ids}}); err != nil {
				t.Errorf("Deliver: %v", err)
			}
			if _, err := p.store.Read(p.ctx, timeline.Query{Viewer: ids[n%viewers], Before: feed.MaxPostID, Limit: 5, Life: life}); err != nil {
				t.Errorf("Read: %v", err)
			}
		}
	})
	for _, v := range ids {
		p.isComplete(v, posts)
	}
}

func concurrentBuilders(t *testing.T, e Engine) {
	const builders = 8
	p := open(t, e, Options{Cap: 100})
	for v := feed.UserID(1); v <= 20; v++ {
		var tokens [builders]timeline.Token
		together(builders, func(i int) {
			token, ok, err := p.store.Create(p.ctx, v, life)
			if err != nil {
				t.Errorf("Create: %v", err)
			}
			if ok {
				tokens[i] = token
			}
		})
		won := slices.DeleteFunc(tokens[:], func(token timeline.Token) bool { return token == 0 })
		if len(won) != 1 {
			t.Fatalf("%d of %d builders won", len(won), builders)
		}
		if !p.finish(v, won[0], 0, 3) {
			t.Fatal("the winner's Finish did not take")
		}
		p.shows(v, 0, 3)
	}
}

func concurrentActs(t *testing.T, e Engine) {
	const workers, acts = 4, 50
	p := open(t, e, Options{Cap: 100})
	p.live(1)
	start := p.read(1).Position
	together(workers, func(w int) {
		seen := map[uint64]bool{}
		for n := range acts {
			if err := p.store.Announce(p.ctx, timeline.Act{Viewer: 1, Deleted: p.post(w*acts + n)}); err != nil {
				t.Errorf("Announce: %v", err)
			}
			page, err := p.store.Read(p.ctx, timeline.Query{Viewer: 1, Before: feed.MaxPostID, Limit: 1, Life: life})
			if err != nil || seen[page.Acts] {
				t.Errorf("acts %d after an act: read before it, or %v", page.Acts, err)
			}
			seen[page.Acts] = true
		}
	})
	got, err := p.store.DeletedSince(p.ctx, start.Shard, start.Deletes)
	if err != nil || !got.Known {
		t.Fatalf("DeletedSince: %+v, %v", got, err)
	}
	slices.Sort(got.Posts)
	if n := len(slices.Compact(got.Posts)); n != workers*acts || p.read(1).Deletes != start.Deletes+workers*acts {
		t.Fatalf("%d deletes known, %d counted, want %d", n, p.read(1).Deletes-start.Deletes, workers*acts)
	}
}
