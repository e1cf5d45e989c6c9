package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
)

// A few authors have most of the newest posts, so that Newest goes on in their
// ranges and not in the others; it finds what one sort of everything finds.
func TestNewest_HeavyTail(t *testing.T) {
	const authors, posts = 200, 20_000
	url := database(t)
	s, c := open(t, url), connect(t, url)
	// Author n of the order has about 1/n of the posts.
	exec(t, c, `INSERT INTO posts SELECT n, 1 + floor(exp(random() * ln($1::float8)))::bigint, '', '' FROM generate_series(1, $2::int) AS n`, authors, posts)
	var ranges []storage.Range
	for a := range feed.UserID(authors) {
		ranges = append(ranges, storage.Range{Author: a + 1, First: 1 + feed.PostID(a), Before: posts - feed.PostID(a*7)})
	}
	for _, limit := range []int{1, 50, 800, posts} {
		rows, err := c.Query(bg, `SELECT id, author FROM posts
			WHERE id >= author AND id < $1 - (author - 1) * 7 ORDER BY id DESC LIMIT $2`, posts, limit)
		must(t, err)
		var want []feed.Ref
		for rows.Next() {
			var ref feed.Ref
			must(t, rows.Scan((*int64)(&ref.Post), (*int64)(&ref.Author)))
			want = append(want, ref)
		}
		must(t, rows.Err())
		got, err := s.Newest(bg, ranges, limit)
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %d posts, want %d", limit, len(got), len(want))
		}
	}
}

// BenchmarkCreatePost stands beside the same rows by plain statements, in as many
// sessions: the ceiling. Posts are of 100 characters, without a key.
func BenchmarkCreatePost(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		url := database(b)
		benchParallel(b, func() func(id feed.PostID) error {
			c := connect(b, url)
			return func(id feed.PostID) error {
				_, err := c.Exec(bg, `WITH p AS (INSERT INTO posts VALUES ($1, $2, $3, '')) INSERT INTO outbox VALUES ($1, $2)`,
					int64(id), int64(id%1000+1), hundred)
				return err
			}
		})
	})
	for _, keyed := range []bool{false, true} {
		b.Run(fmt.Sprintf("keyed=%t", keyed), func(b *testing.B) {
			s := open(b, database(b))
			benchParallel(b, func() func(id feed.PostID) error {
				return func(id feed.PostID) error {
					d := storage.Draft{Post: feed.Post{ID: id, Author: feed.UserID(id%1000 + 1), Text: string(hundred)}}
					if keyed {
						d.RequestID = fmt.Sprint(id)
					}
					_, err := s.CreatePost(bg, d)
					return err
				}
			})
		})
	}
}

var hundred = slices.Repeat([]byte("x"), 100)

// benchParallel has as many writers as a store has connections.
func benchParallel(b *testing.B, writer func() func(feed.PostID) error) {
	const writers = 16
	ids := feed.NewIDs(open(b, database(b)), time.Now)
	left := make(chan struct{}, b.N)
	for range b.N {
		left <- struct{}{}
	}
	close(left)
	writes := make([]func(feed.PostID) error, writers)
	for w := range writes {
		writes[w] = writer()
	}
	done := make(chan outcome[struct{}], writers)
	b.ResetTimer()
	for _, write := range writes {
		go func() {
			var err error
			for range left {
				var id feed.PostID
				if id, err = ids.Next(bg); err == nil {
					err = write(id)
				}
				if err != nil {
					break
				}
			}
			done <- outcome[struct{}]{err: err}
		}()
	}
	for range writers {
		must(b, (<-done).err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
