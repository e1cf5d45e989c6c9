package memory

import (
	"context"

	"skein/feed"
	"skein/timeline"
)

// Read returns a page. Its Floor is q.Before where it covers nothing: when the
// timeline is not live, or the limit is 0 or less.
//
// The position belongs to the page: an act announced before Read began is in
// it, and one announced after the lock was taken is not. The count of deletes is
// taken first, so that a delete in between is at worst looked up in vain.
func (s *Store) Read(_ context.Context, q timeline.Query) (timeline.Page, error) {
	if err := s.check("read a timeline"); err != nil {
		return timeline.Page{}, err
	}
	p := timeline.Page{Floor: q.Before, Position: timeline.Position{Deletes: s.deletes.count.Load()}}
	st := &s.stripes[stripeOf(q.Viewer)]
	now := s.enter(st)
	defer s.leave(st)
	sl := st.find(q.Viewer)
	if sl == nil || sl.Life != q.Life {
		return p, nil
	}
	st.touch(sl, now)
	p.State, p.Header, p.Acts = sl.state, sl.Header, sl.acts
	if sl.state == timeline.Live {
		p.Entries, p.Floor = sl.page(q.Before, q.Limit)
	}
	return p, nil
}

// page copies the newest limit entries below before, newest first, and tells
// down to where they are all there are.
func (sl *slot) page(before feed.PostID, limit int) ([]timeline.Entry, feed.PostID) {
	end, _ := sl.entries.below(before)
	out := make([]timeline.Entry, max(min(limit, end), 0))
	for i := range out {
		out[i] = sl.entries[end-1-i]
	}
	switch {
	case len(out) == end:
		return out, min(sl.Bottom, feed.MaxPostID-1) + 1
	case len(out) == 0:
		return out, before
	default:
		return out, out[len(out)-1].ID()
	}
}
