package embedded

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// Newest implements storage.Posts. One iterator visits the ranges in the order of
// their authors, so that every seek goes forward, and reads each from its newest
// post down. A heap holds the newest limit posts found so far; a range is left at
// its first post that is older than all of a full heap. So the first ranges are
// read deep, and nearly all later ones for a post or two.
func (s *Store) Newest(ctx context.Context, ranges []storage.Range, limit int) ([]feed.Ref, error) {
	const doing = "read authors' posts"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	if limit <= 0 || len(ranges) == 0 {
		return nil, nil
	}
	ranges = slices.DeleteFunc(storage.Disjoint(ranges), func(r storage.Range) bool { return s.latest.none(r.Author, r.First) })
	if len(ranges) == 0 {
		return nil, nil
	}
	top, err := s.newest(ranges, limit)
	if err != nil {
		return nil, translate(doing, err)
	}
	slices.SortFunc(top, func(a, b feed.Ref) int { return cmp.Compare(b.Post, a.Post) })
	return top, nil
}

func (s *Store) newest(ranges []storage.Range, limit int) (top oldestFirst, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableByAuthor}, UpperBound: []byte{tableByAuthor + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	key := make([]byte, 0, twoNumbers)
	for _, r := range ranges {
		if len(top) == limit && r.Before <= top[0].Post {
			continue
		}
		key = appendByAuthor(key[:0], r.Author, r.Before-1)
		for ok := it.SeekGE(key); ok; ok = it.Next() {
			k := it.Key()
			if len(k) != twoNumbers {
				return nil, damaged(k)
			}
			if string(k[:oneNumber]) != string(key[:oneNumber]) {
				break
			}
			ref := feed.Ref{Post: feed.PostID(^binary.BigEndian.Uint64(k[oneNumber:])), Author: r.Author}
			if ref.Post < r.First || !top.offer(ref, limit) {
				break
			}
		}
		if err := it.Error(); err != nil {
			return nil, err
		}
	}
	return top, nil
}

// oldestFirst is a heap with the oldest post on top.
type oldestFirst []feed.Ref

func (h oldestFirst) Len() int           { return len(h) }
func (h oldestFirst) Less(i, j int) bool { return h[i].Post < h[j].Post }
func (h oldestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *oldestFirst) Push(x any)        { *h = append(*h, x.(feed.Ref)) }
func (h *oldestFirst) Pop() any          { return nil } // the top is replaced, never taken

// offer adds ref if it is among the newest limit, and says whether an older post
// could still be.
func (h *oldestFirst) offer(ref feed.Ref, limit int) bool {
	if len(*h) < limit {
		*h = append(*h, ref)
		if len(*h) == limit {
			heap.Init(h)
		}
		return true
	}
	if ref.Post <= (*h)[0].Post {
		return false
	}
	(*h)[0] = ref
	heap.Fix(h, 0)
	return true
}
