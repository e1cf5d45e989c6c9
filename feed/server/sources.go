package server

import (
	"context"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/timeline"
)

// The sources of a page while the stored timeline is live: the timeline itself,
// what nobody pushed to this viewer, and what was set aside.

func (s *scan) storedSource() timeline.Source {
	source := timeline.Source{Floor: s.stored.Floor, Candidates: make([]timeline.Candidate, len(s.stored.Entries))}
	for i, e := range s.stored.Entries {
		origin := timeline.Pushed
		if e.IsRebuilt() {
			origin = timeline.FromRebuild
		}
		source.Candidates[i] = timeline.Candidate{Post: e.ID(), Origin: origin}
	}
	return source
}

// loudSources returns the recent posts of the loud authors whom the viewer
// follows, and the ranges that lie deeper than the cache knows.
func (s *scan) loudSources(ctx context.Context, floor, before feed.PostID) ([]timeline.Source, []storage.Range, error) {
	sources := make([]timeline.Source, 0, len(s.following.loud)+3)
	var ranges []storage.Range
	for _, author := range s.following.loud {
		intervals := s.tiers.History(author).Loud()
		if len(intervals) == 0 || intervals[len(intervals)-1].Before <= floor {
			continue
		}
		recent, err := s.recent.get(ctx, author)
		if err != nil {
			return nil, nil, err
		}
		if before <= recent.floor {
			ranges = append(ranges, clip(author, intervals, floor, before)...)
			continue
		}
		source := timeline.Source{Floor: recent.floor}
		for _, id := range recent.ids {
			if id < floor {
				break
			}
			if id < before && within(intervals, id) {
				source.Candidates = append(source.Candidates, timeline.Candidate{Post: id, Origin: timeline.Pulled})
			}
		}
		sources = append(sources, source)
	}
	return sources, ranges, nil
}

// unpushed returns the ranges from floor to before of what nobody pushed to this
// viewer, loud authors aside: the viewer's own posts, those of authors followed
// since the timeline was built, and, above the top, those of everybody.
func (s *scan) unpushed(floor, before feed.PostID) []storage.Range {
	ranges := []storage.Range{{Author: s.viewer, First: floor, Before: before}}
	set := s.following.set
	built := storage.FollowVersion(s.stored.FollowVersion)
	if late := max(s.top, floor); late < before {
		for _, author := range set.Authors {
			ranges = append(ranges, storage.Range{Author: author, First: late, Before: before})
		}
	}
	if set.Version > built {
		for i, author := range set.Authors {
			if set.Since[i] > built {
				ranges = append(ranges, storage.Range{Author: author, First: floor, Before: before})
			}
		}
	}
	return ranges
}

// pullAll pulls everything from storage.
func (s *scan) pullAll(ctx context.Context, before feed.PostID, want int, origin timeline.Origin) ([]timeline.Candidate, feed.PostID, error) {
	ranges := make([]storage.Range, 0, len(s.following.set.Authors)+1)
	for _, author := range s.following.set.Authors {
		ranges = append(ranges, storage.Range{Author: author, Before: before})
	}
	ranges = append(ranges, storage.Range{Author: s.viewer, Before: before})
	source, err := s.pull(ctx, ranges, want, func(ref feed.Ref) timeline.Origin {
		if ref.Author == s.viewer {
			return timeline.Own
		}
		return origin
	})
	return source.Candidates, source.Floor, err
}

// pull reads the newest want posts of ranges.
func (s *scan) pull(ctx context.Context, ranges []storage.Range, want int, origin func(feed.Ref) timeline.Origin) (timeline.Source, error) {
	refs, err := s.posts.Newest(ctx, ranges, want)
	if err != nil {
		return timeline.Source{}, err
	}
	source := timeline.Source{Candidates: make([]timeline.Candidate, len(refs))}
	for i, ref := range refs {
		source.Candidates[i] = timeline.Candidate{Post: ref.Post, Origin: origin(ref)}
	}
	if len(refs) == want {
		source.Floor = refs[want-1].Post
	}
	return source, nil
}

// origin tells why a post was pulled while the stored timeline is live.
func (s *scan) origin(ref feed.Ref) timeline.Origin {
	since, _ := s.following.set.Contains(ref.Author)
	switch {
	case ref.Author == s.viewer:
		return timeline.Own
	case since > storage.FollowVersion(s.stored.FollowVersion):
		return timeline.NewlyFollowed
	case s.tiers.History(ref.Author).At(ref.Post) == policy.Loud:
		return timeline.Pulled
	}
	return timeline.AboveTop
}

// asideSource returns the posts that were set aside (F5).
func (s *scan) asideSource(before feed.PostID) timeline.Source {
	var source timeline.Source
	for _, ref := range s.aside {
		if ref.Post < before && s.visible(ref.Author) {
			source.Candidates = append(source.Candidates, timeline.Candidate{Post: ref.Post, Origin: timeline.Pulled})
		}
	}
	return source
}

// clip cuts intervals of one author to the ids from first to before.
func clip(author feed.UserID, intervals []policy.Interval, first, before feed.PostID) []storage.Range {
	var ranges []storage.Range
	for _, in := range intervals {
		r := storage.Range{Author: author, First: max(in.First, first), Before: min(in.Before, before)}
		if r.First < r.Before {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

func within(intervals []policy.Interval, id feed.PostID) bool {
	for _, in := range intervals {
		if in.First <= id && id < in.Before {
			return true
		}
	}
	return false
}
