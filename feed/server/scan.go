package server

import (
	"context"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/timeline"
)

// scan is the making of one page. It belongs to one goroutine.
type scan struct {
	*homeReader
	viewer    feed.UserID
	query     timeline.Query
	stored    timeline.Page // what was read last; used while Live
	following *following
	tiers     *storage.TierView
	top       feed.PostID
	aside     []feed.Ref
}

// page examines candidates downwards from before until it has size posts, the
// budget is spent, or an engine fails. A failure after the first post ends the
// page ahead of what could not be checked.
func (s *scan) page(ctx context.Context, before feed.PostID, size int) (homePage, error) {
	page := homePage{next: before}
	for budget := scanBudget; len(page.posts) < size && page.next > 0 && budget > 0; {
		candidates, floor, err := s.step(ctx, page.next, fetch(size-len(page.posts)))
		if err == nil {
			budget -= max(len(candidates), 1)
			err = s.admit(ctx, &page, candidates, floor, size)
		}
		if err != nil {
			if len(page.posts) > 0 {
				s.log.Warn("a page was cut short", "err", err)
				return page, nil
			}
			return page, err
		}
	}
	return page, nil
}

// admit appends to page those candidates that exist and that the viewer may see,
// and moves page.next down to the last one examined, or to floor when that is all
// of them.
func (s *scan) admit(ctx context.Context, page *homePage, candidates []timeline.Candidate, floor feed.PostID, size int) error {
	if len(candidates) == 0 {
		page.next = floor
		return nil
	}
	ids := make([]feed.PostID, len(candidates))
	for i, c := range candidates {
		ids[i] = c.Post
	}
	posts, err := s.posts.GetPosts(ctx, ids)
	if err != nil {
		return err
	}
	for i, c := range candidates {
		if len(posts) > 0 && posts[0].ID == c.Post {
			post := posts[0]
			posts = posts[1:]
			if s.visible(post.Author) {
				page.posts = append(page.posts, post)
				page.origins = append(page.origins, c.Origin)
			}
		}
		if len(page.posts) == size && i < len(candidates)-1 {
			page.next = c.Post
			return nil
		}
	}
	page.next = floor
	return nil
}

// visible checks an author against the follow set as it is now, not as it was
// when the entry was delivered: an unfollow does not come back.
func (s *scan) visible(author feed.UserID) bool {
	if author == s.viewer {
		return true
	}
	_, ok := s.following.set.Contains(author)
	return ok
}

// step returns the candidates of all sources below before, newest first, and
// their floor; about want of them or more, fewer only if there are no more above
// the floor. Floor 0 is the end.
func (s *scan) step(ctx context.Context, before feed.PostID, want int) ([]timeline.Candidate, feed.PostID, error) {
	if before != s.query.Before && s.stored.State == timeline.Live && before > s.stored.Bottom+1 {
		s.query.Before, s.query.Limit = before, want
		stored, err := s.timelines.Read(ctx, s.query)
		if err != nil {
			stored = timeline.Page{} // lost on the way: pull the rest
		}
		s.stored = stored
	}
	if s.stored.State != timeline.Live {
		return s.pullAll(ctx, before, want, timeline.FromRebuild)
	}
	if before <= s.stored.Bottom+1 {
		return s.pullAll(ctx, before, want, timeline.BelowBottom)
	}
	stored := s.storedSource()
	loud, ranges, err := s.loudSources(ctx, stored.Floor, before)
	if err != nil {
		return nil, 0, err
	}
	ranges = append(ranges, s.unpushed(stored.Floor, before)...)
	pulled, err := s.pull(ctx, ranges, want, s.origin)
	if err != nil {
		return nil, 0, err
	}
	candidates, floor := timeline.Merge(append(loud, stored, pulled, s.asideSource(before))...)
	if floor <= 1 {
		floor = 0 // there is no id below 1
	}
	return candidates, floor, nil
}

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
