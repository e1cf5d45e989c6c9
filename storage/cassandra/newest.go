package cassandra

import (
	"cmp"
	"context"
	"slices"
	"time"

	"skein/feed"
	"skein/storage"
)

const (
	// authorBits of an id are in one bucket of an author: 22 of them are below the
	// milliseconds.
	authorBits = 22 + 35
	// fewest posts are read of each range at first.
	fewest = 4
	// growth is by how much more are read of a range each time that it turns
	// out to hold more of the newest.
	growth = 4
	// aheadID is how far ahead of the clock an id may be.
	aheadID = 30 * 24 * time.Hour
)

func bucketOfAuthor(id feed.PostID) int16 { return int16(id >> authorBits) }

// newestOf reads the newest few posts of one bucket of an author.
const newestOf = `
SELECT post FROM posts_by_author WHERE author = ? AND bucket = ? AND post >= ? AND post < ? LIMIT ?`

// Newest implements storage.Posts. To read limit posts of each of thousands of
// ranges would be to read millions and keep hundreds. So it reads a few of each,
// which gives a bound that the result cannot fall below, and then goes on only in
// those ranges that may have more above the bound, which rises meanwhile: the
// threshold algorithm of Fagin, Lotem and Naor (2001). A range is read from its newest
// bucket down, a statement for each, to the node that has it.
func (s *Store) Newest(ctx context.Context, ranges []storage.Range, limit int) ([]feed.Ref, error) {
	const doing = "read authors' posts"
	if err := ctx.Err(); err != nil {
		return nil, feed.Unavailable(doing, err)
	}
	if limit <= 0 {
		return nil, nil
	}
	var top []feed.Ref
	rest := storage.Disjoint(ranges)
	end := feed.IDAt(s.Now().Add(aheadID)) // no post is beyond
	for i := range rest {
		rest[i].Before = min(rest[i].Before, end)
	}
	each := min(limit, fewest+2*limit/max(1, len(rest)))
	for len(rest) > 0 {
		found, last, err := s.newestOfEach(ctx, rest, each)
		if err != nil {
			return nil, translate(doing, err)
		}
		top = append(top, found...)
		slices.SortFunc(top, func(a, b feed.Ref) int { return cmp.Compare(b.Post, a.Post) })
		top = top[:min(limit, len(top))]
		bound := feed.PostID(1)
		if len(top) == limit {
			bound = top[limit-1].Post + 1
		}
		rest = remaining(rest, last, bound)
		each = min(limit, growth*each)
	}
	return top, nil
}

// newestOfEach returns up to n posts of the newest bucket of every range, and where to
// go on in each: before the last post found, or before the bucket.
func (s *Store) newestOfEach(ctx context.Context, ranges []storage.Range, n int) (found []feed.Ref, last []feed.PostID, err error) {
	last = make([]feed.PostID, len(ranges))
	of := make([][]feed.Ref, len(ranges))
	err = forEach(ctx, len(ranges), func(ctx context.Context, i int) error {
		r := ranges[i]
		if r.First >= r.Before {
			return nil
		}
		bucket := bucketOfAuthor(r.Before - 1)
		last[i] = feed.PostID(bucket) << authorBits
		var id int64
		q := s.read(ctx, newestOf, int64(r.Author), bucket, int64(r.First), int64(r.Before), n)
		err := each(q, []any{&id}, func() { of[i] = append(of[i], feed.Ref{Post: feed.PostID(id), Author: r.Author}) })
		if len(of[i]) == n {
			last[i] = feed.PostID(id)
		}
		return err
	})
	return slices.Concat(of...), last, err
}

// remaining returns what is left of ranges below their last ids and from bound up.
func remaining(ranges []storage.Range, last []feed.PostID, bound feed.PostID) []storage.Range {
	rest := ranges[:0]
	for i, r := range ranges {
		r.First, r.Before = max(r.First, bound), min(r.Before, last[i])
		if r.First < r.Before {
			rest = append(rest, r)
		}
	}
	return rest
}
