package server

import (
	"context"

	"skein/feed"
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
	top       feed.PostID // from here on delivery may be late
	aside     []feed.Ref
	degraded  bool // holds a place among the degraded pages
}

// page examines candidates downwards from before until it has size posts, the
// budget is spent, or an engine fails. A failure after the first post ends the
// page ahead of what could not be checked.
func (s *scan) page(ctx context.Context, before feed.PostID, size int) (homePage, error) {
	page := homePage{
		posts: make([]*shownPost, 0, size), origins: make([]timeline.Origin, 0, size), next: before,
	}
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

// leastAsked is the least number of posts to ask for at once.
const leastAsked = 16

// admit appends to page those candidates that exist and that the viewer may see,
// until it has size posts. It moves page.next down to the last one examined, or to
// floor when that is all of them. Nearly all are visible as a rule, so it asks for
// no more posts than the page has room for.
func (s *scan) admit(ctx context.Context, page *homePage, candidates []timeline.Candidate, floor feed.PostID, size int) error {
	for len(candidates) > 0 && len(page.posts) < size {
		asked := candidates[:min(len(candidates), max(size-len(page.posts), leastAsked))]
		posts, err := s.shown.get(ctx, asked, s.stored.Position)
		if err != nil {
			return err
		}
		for i, post := range posts {
			if len(page.posts) == size {
				break
			}
			if post != nil && s.visible(post.author) {
				page.posts = append(page.posts, post)
				page.origins = append(page.origins, asked[i].Origin)
			}
			page.next, candidates = asked[i].Post, candidates[1:]
		}
	}
	if len(candidates) == 0 {
		page.next = floor
	}
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
		if err := s.load(ctx); err != nil {
			return nil, 0, err
		}
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
