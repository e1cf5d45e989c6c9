package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

// newestOfEach reads the newest few posts of each range, from the index alone. n
// is the range's place in the arrays, from 1.
const newestOfEach = `
SELECT r.n, p.id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS r (author, first, before, n),
	LATERAL (
		SELECT id FROM posts
		WHERE author = r.author AND id >= r.first AND id < r.before
		ORDER BY id DESC LIMIT $4
	) AS p`

const (
	// fewest posts are read of each range at first.
	fewest = 4
	// growth is by how much more are read of a range each time that it turns
	// out to hold more of the newest.
	growth = 4
)

// Newest implements storage.Posts. To read limit posts of each of thousands of
// ranges would be to read millions and keep hundreds. So it reads a few of each,
// which gives a bound that the result cannot fall below, and then goes on only in
// those ranges that may have more above the bound, which rises meanwhile: the
// threshold algorithm of Fagin, Lotem and Naor (2001). Usually one or two rounds
// do. Each round sees all that was committed before the call, and asks for what
// lies below the last, so nothing is skipped in between.
func (s *Store) Newest(ctx context.Context, ranges []storage.Range, limit int) (top []feed.Ref, err error) {
	err = s.call(ctx, "read authors' posts", func(ctx context.Context) error {
		top, err = s.newest(ctx, storage.Disjoint(ranges), limit)
		return err
	})
	return top, err
}

// newest is Newest of ranges that do not overlap, which it overwrites.
func (s *Store) newest(ctx context.Context, rest []storage.Range, limit int) ([]feed.Ref, error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	var top []feed.Ref
	each := min(limit, fewest+2*limit/max(1, len(rest)))
	for len(rest) > 0 {
		found, last, err := s.newestOfEach(ctx, rest, each)
		if err != nil {
			return nil, err
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

// PostsOf implements storage.Posts.
func (s *Store) PostsOf(ctx context.Context, author feed.UserID, before feed.PostID, limit int) (posts []feed.Post, err error) {
	err = s.call(ctx, "read an author's posts", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT id, text, payload FROM posts WHERE author = $1 AND id < $2 ORDER BY id DESC LIMIT $3`,
			int64(author), int64(before), max(limit, 0))
		if err != nil {
			return err
		}
		p := feed.Post{Author: author}
		var text []byte
		_, err = pgx.ForEachRow(rows, []any{(*int64)(&p.ID), &text, &p.Payload}, func() error {
			p.Text = string(text)
			posts = append(posts, p)
			p.Payload = nil // the next row's is another
			return nil
		})
		return err
	})
	return posts, err
}

// newestOfEach returns up to each posts of every range, and where to go on in each:
// the last id found, 0 when there is no more.
func (s *Store) newestOfEach(ctx context.Context, ranges []storage.Range, each int) (found []feed.Ref, last []feed.PostID, err error) {
	authors, firsts, befores := make([]int64, len(ranges)), make([]int64, len(ranges)), make([]int64, len(ranges))
	for i, r := range ranges {
		authors[i], firsts[i], befores[i] = int64(r.Author), int64(r.First), int64(r.Before)
	}
	rows, err := s.pool.Query(ctx, newestOfEach, authors, firsts, befores, each)
	if err != nil {
		return nil, nil, err
	}
	last = make([]feed.PostID, len(ranges))
	counts := make([]int, len(ranges))
	var n, id int64
	_, err = pgx.ForEachRow(rows, []any{&n, &id}, func() error {
		i, post := n-1, feed.PostID(id)
		found = append(found, feed.Ref{Post: post, Author: ranges[i].Author})
		if counts[i]++; counts[i] == 1 || post < last[i] {
			last[i] = post
		}
		return nil
	})
	for i := range last {
		if counts[i] < each {
			last[i] = 0
		}
	}
	return found, last, err
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
