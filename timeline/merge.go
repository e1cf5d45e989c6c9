package timeline

import (
	"slices"

	"skein/feed"
)

// Origin says by which way a candidate came. Where one post came by several, the
// lowest is told.
type Origin uint8

const (
	// Pushed: delivered into the stored timeline.
	Pushed Origin = iota + 1
	// FromRebuild: put into the stored timeline from storage.
	FromRebuild
	// Own: written by the viewer.
	Own
	// NewlyFollowed: by an author followed since the timeline was built.
	NewlyFollowed
	// Pulled: by an author who was loud, or set aside.
	Pulled
	// AboveTop: delivery is late.
	AboveTop
	// BelowBottom: below what the stored timeline covers.
	BelowBottom
)

// Candidate is a post that may go onto a page. Whether it does (it may be
// deleted, its author not followed any more) is found out later.
type Candidate struct {
	Post   feed.PostID
	Origin Origin
}

// Source is what one source has below the id that a merge begins at: Candidates,
// newest first, and every one that it has from Floor on. Candidates below Floor
// are allowed and ignored.
type Source struct {
	Candidates []Candidate
	Floor      feed.PostID
}

// Merge joins sources into one sequence, newest first, without duplicates, and
// returns it with its floor: the highest of the floors, since a merge never goes
// beyond the coverage of any of its sources (T1). Sources of different depth
// merged without this rule are the well-known gap of push and pull.
func Merge(sources ...Source) ([]Candidate, feed.PostID) {
	var floor feed.PostID
	total := 0
	for _, s := range sources {
		floor = max(floor, s.Floor)
		total += len(s.Candidates)
	}
	merged := make([]Candidate, 0, total)
	for _, s := range sources {
		for _, c := range s.Candidates {
			if c.Post < floor {
				break
			}
			merged = append(merged, c)
		}
	}
	// Pages are short and mostly in order already: one sort of all beats a
	// heap of sources.
	slices.SortFunc(merged, func(a, b Candidate) int {
		if a.Post != b.Post {
			if a.Post > b.Post {
				return -1
			}
			return 1
		}
		return int(a.Origin) - int(b.Origin)
	})
	return slices.CompactFunc(merged, func(a, b Candidate) bool { return a.Post == b.Post }), floor
}
