package timelinetest

import (
	"math/rand/v2"
	"testing"

	"skein/feed"
	"skein/timeline"
)

const (
	benchCap     = 800
	benchViewers = 20_000 // 130 MB of entries: more than caches of processors hold
)

// Benchmark measures what the load is made of, on full timelines:
//
//   - Deliver4096x1: one post to 4,096 viewers, a chunk of a celebrity's
//   - Deliver256x50: 256 posts to 50 viewers each, a batch of small authors
//   - Read50: a page of 50 out of 800
//   - Rebuild: Create and Finish with 800 entries
//
// The first two report deliveries/s. Each runs on one goroutine.
func Benchmark(b *testing.B, e Engine) {
	b.Run("Deliver4096x1", func(b *testing.B) { benchDeliver(b, e, 1, 4096) })
	b.Run("Deliver256x50", func(b *testing.B) { benchDeliver(b, e, 256, 50) })
	b.Run("Read50", func(b *testing.B) { benchRead(b, e) })
	b.Run("Rebuild", func(b *testing.B) { benchRebuild(b, e) })
}

// benchStore opens a store with full timelines, posts 1 to 800 in each, and
// returns it with its viewers in random order, as a hash orders followers.
func benchStore(b *testing.B, e Engine) (probe, []feed.UserID) {
	p := open(b, e, Options{Cap: benchCap})
	entries := p.fullScan()
	viewers := make([]feed.UserID, benchViewers)
	for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(benchViewers) {
		v := feed.UserID(n + 1)
		viewers[i] = v
		if _, err := p.store.Finish(p.ctx, v, p.create(v), entries, p.post(0), 1); err != nil {
			b.Fatal(err)
		}
	}
	return p, viewers
}

func (p probe) fullScan() []timeline.Entry {
	entries := make([]timeline.Entry, benchCap)
	for i := range entries {
		entries[i] = timeline.Rebuilt(p.post(benchCap - i))
	}
	return entries
}

func benchDeliver(b *testing.B, e Engine, posts, fanout int) {
	p, viewers := benchStore(b, e)
	batch := make([]timeline.Delivery, posts)
	next, at := benchCap, 0
	var entries int64
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch {
			if at+fanout > len(viewers) {
				at = 0
			}
			next++
			batch[i] = timeline.Delivery{Post: p.post(next), Viewers: viewers[at : at+fanout]}
			at += fanout
		}
		out, err := p.store.Deliver(p.ctx, batch)
		if err != nil {
			b.Fatal(err)
		}
		entries += out.Entries
	}
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "deliveries/s")
}

func benchRead(b *testing.B, e Engine) {
	p, viewers := benchStore(b, e)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		at = (at + 1) % len(viewers)
		page, err := p.store.Read(p.ctx, timeline.Query{Viewer: viewers[at], Before: feed.MaxPostID, Limit: 50, Life: life})
		if err != nil || len(page.Entries) != 50 {
			b.Fatalf("%d entries, %v", len(page.Entries), err)
		}
	}
}

func benchRebuild(b *testing.B, e Engine) {
	p, viewers := benchStore(b, e)
	entries := p.fullScan()
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		at = (at + 1) % len(viewers)
		v := viewers[at]
		ok, err := p.store.Finish(p.ctx, v, p.create(v), entries, p.post(0), 1)
		if err != nil || !ok {
			b.Fatalf("Finish: %v, %v", ok, err)
		}
	}
}
