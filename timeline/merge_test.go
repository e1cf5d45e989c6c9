package timeline_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
)

// T1, T2, T3 against a brute-force model: each source holds a random set of posts
// and shows only its newest few, with the floor that follows from that. Merging
// again and again from the floor on must give the union, newest first, once each.
func TestMergeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sets := rapid.SliceOfN(rapid.SliceOfDistinct(rapid.Int64Range(1, 60), rapid.ID), 1, 5).Draw(t, "sources")
		depth := rapid.IntRange(1, 7).Draw(t, "depth")
		union := map[feed.PostID]timeline.Origin{}
		for i, set := range sets {
			slices.SortFunc(set, func(a, b int64) int { return int(b - a) })
			for _, id := range set {
				origin := timeline.Origin(i + 1)
				if old, ok := union[feed.PostID(id)]; !ok || origin < old {
					union[feed.PostID(id)] = origin
				}
			}
		}
		var got []timeline.Candidate
		for before := feed.MaxPostID; before > 0; {
			sources := make([]timeline.Source, len(sets))
			for i, set := range sets {
				sources[i] = shown(set, timeline.Origin(i+1), before, depth)
			}
			page, floor := timeline.Merge(sources...)
			if floor >= before {
				t.Fatalf("no progress: from %d down to %d", before, floor)
			}
			got = append(got, page...)
			before = floor
		}
		if len(got) != len(union) {
			t.Fatalf("got %d posts, want %d: %v", len(got), len(union), got)
		}
		for i, c := range got {
			if i > 0 && got[i-1].Post <= c.Post {
				t.Fatalf("%d stands behind %d", c.Post, got[i-1].Post)
			}
			if union[c.Post] != c.Origin {
				t.Fatalf("post %d is said to come from %d, want %d", c.Post, c.Origin, union[c.Post])
			}
		}
	})
}

// shown is what a source shows of its set below before.
func shown(set []int64, origin timeline.Origin, before feed.PostID, depth int) timeline.Source {
	var s timeline.Source
	for _, id := range set {
		if feed.PostID(id) >= before {
			continue
		}
		if len(s.Candidates) == depth {
			s.Floor = s.Candidates[depth-1].Post
			break
		}
		s.Candidates = append(s.Candidates, timeline.Candidate{Post: feed.PostID(id), Origin: origin})
	}
	return s
}

// The hazard that the floor is for: one source shows less deep than the other. A
// merge without it would show 1 while 7 is missing.
func TestMergeStopsAtTheHighestFloor(t *testing.T) {
	deep := timeline.Source{Candidates: []timeline.Candidate{{Post: 9, Origin: timeline.Pushed}, {Post: 1, Origin: timeline.Pushed}}}
	shallow := timeline.Source{Candidates: []timeline.Candidate{{Post: 8, Origin: timeline.Pulled}}, Floor: 8}
	got, floor := timeline.Merge(deep, shallow)
	want := []timeline.Candidate{{Post: 9, Origin: timeline.Pushed}, {Post: 8, Origin: timeline.Pulled}}
	if !slices.Equal(got, want) || floor != 8 {
		t.Errorf("got %v down to %d, want %v down to 8", got, floor, want)
	}
}
