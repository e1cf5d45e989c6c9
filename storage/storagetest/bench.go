package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"skein/feed"
	"skein/storage"
)

// Benchmark measures what must be fast.
func Benchmark(b *testing.B, open Open) {
	b.Run("CreatePost/parallel=64", func(b *testing.B) { benchCreate(b, open(b)) })
	b.Run("ImportFollows", func(b *testing.B) { benchImport(b, open(b)) })
	b.Run("ListFollowers", func(b *testing.B) { benchFollowers(b, open(b)) })
	s := open(b)
	fillAuthors(b, s, 5000, 4)
	for _, ranges := range []int{1, 50, 5000} {
		b.Run(fmt.Sprintf("Newest/ranges=%d/limit=800", ranges), func(b *testing.B) { benchNewest(b, s, ranges, 800) })
	}
}

func benchCreate(b *testing.B, s Stores) {
	w := newWriter(s.Posts)
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ResetTimer() // a server's store takes a while to open
	b.RunParallel(func(pb *testing.PB) {
		author := feed.UserID(1 + rand.IntN(100_000))
		for pb.Next() {
			if _, err := w.create(author, text(1), ""); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// benchImport imports as an edge list is read: by viewer, 40 follows each, of
// authors of whom few have most of the followers.
func benchImport(b *testing.B, s Stores) {
	const follows = 40
	rng := rand.New(rand.NewPCG(1, 2))
	popular := rand.NewZipf(rng, 1.2, 20, 1_000_000)
	edges := make([]feed.Follow, storage.MaxImport)
	viewer, total := feed.UserID(0), int64(0)
	for b.Loop() {
		b.StopTimer()
		for i := range edges {
			if i%follows == 0 {
				viewer++
			}
			edges[i] = feed.Follow{Viewer: viewer, Author: feed.UserID(popular.Uint64() + 1)}
		}
		b.StartTimer()
		if _, err := s.Graph.ImportFollows(bg, edges); err != nil {
			b.Fatal(err)
		}
		total += int64(len(edges))
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "edges/s")
}

func benchFollowers(b *testing.B, s Stores) {
	const followers, page = 200_000, 1000
	for at := 0; at < followers; at += storage.MaxImport {
		var edges []feed.Follow
		for i := range storage.MaxImport {
			edges = append(edges, feed.Follow{Viewer: feed.UserID(2 + at + i), Author: 1})
		}
		result(s.Graph.ImportFollows(bg, edges))(b)
	}
	buf := make([]feed.UserID, 0, page)
	r, total := feed.AllHashes, 0
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = s.Graph.ListFollowers(context.Background(), 1, r, page, buf[:0]); err != nil {
			b.Fatal(err)
		}
		total += len(buf)
		if r.First = 0; len(buf) == page {
			r.First = buf[page-1].Hash() + 1
		}
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "followers/s")
}

// fillAuthors has every author post a few times, in turns.
func fillAuthors(b *testing.B, s Stores, authors, each int) {
	w := newWriter(s.Posts)
	for range each {
		must(b, together(64, func(i int) error {
			for a := 1 + i; a <= authors; a += 64 {
				if _, err := w.create(feed.UserID(a), text(a), ""); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func benchNewest(b *testing.B, s Stores, authors, limit int) {
	var ranges []storage.Range
	for i := range authors {
		ranges = append(ranges, everything(feed.UserID(1+i))...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Posts.Newest(bg, ranges, limit); err != nil {
			b.Fatal(err)
		}
	}
}
