package storage

import (
	"cmp"
	"slices"

	"skein/feed"
)

// Range is a span of one author's posts: ids from First, inclusive, to Before,
// exclusive.
type Range struct {
	Author        feed.UserID
	First, Before feed.PostID
}

// Disjoint sorts ranges by author and joins those that overlap or touch, so that no
// post is found twice. Ids below 1 and empty ranges are left out. It leaves its
// argument alone.
func Disjoint(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int {
		return cmp.Or(cmp.Compare(a.Author, b.Author), cmp.Compare(a.First, b.First))
	})
	joined := sorted[:0]
	for _, r := range sorted {
		r.First = max(r.First, 1)
		if r.First >= r.Before {
			continue
		}
		if n := len(joined); n > 0 && joined[n-1].Author == r.Author && r.First <= joined[n-1].Before {
			joined[n-1].Before = max(joined[n-1].Before, r.Before)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}
