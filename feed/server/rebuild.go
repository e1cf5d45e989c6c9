package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/timeline"
)

const (
	// maxRebuilds bounds the rebuilds at work at once in this process; the
	// others wait for their turn as long as their callers do.
	maxRebuilds = 64
	// rebuildTime is how long a rebuild may take; it goes on when the reader
	// who began it leaves, since others wait for it.
	rebuildTime = 10 * time.Second
)

// errNotStored says that the store of timelines failed a rebuild; storage did not.
var errNotStored = errors.New("the timeline cannot be stored")

// rebuild makes viewer's timeline from storage, once however many ask. That
// somebody else is at it is no error.
func (h *homeReader) rebuild(ctx context.Context, viewer feed.UserID) error {
	return h.once(ctx, "rebuild", viewer, func(ctx context.Context) error {
		select {
		case h.rebuilds <- struct{}{}:
			defer func() { <-h.rebuilds }()
		case <-ctx.Done():
			return feed.Exhausted(degradedRetry, "too many timelines are being rebuilt")
		}
		return h.rebuildNow(ctx, viewer)
	})
}

// once does something for a viewer one at a time: who comes meanwhile gets the
// same result. It goes on when the reader who began it leaves.
func (h *homeReader) once(ctx context.Context, what string, viewer feed.UserID, do func(context.Context) error) error {
	_, err, _ := h.building.Do(what+strconv.FormatInt(int64(viewer), 36), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildTime)
		defer cancel()
		return nil, do(ctx)
	})
	return err
}

// rebuildNow keeps the order that makes a rebuild sound: first the timeline is
// there for deliveries to land in, then whom the viewer follows is read, then
// their posts. A post committed before the scan is found by it; one committed
// later has its followers listed later still, and finds the timeline.
func (h *homeReader) rebuildNow(ctx context.Context, viewer feed.UserID) error {
	tiers, err := h.tiers.View(ctx)
	if err != nil {
		return err
	}
	// Who looked before another rebuild ended, and came here after it, has nothing to do.
	now, err := h.timelines.Read(ctx, timeline.Query{Viewer: viewer, Before: feed.MaxPostID, Limit: 1, Life: uint64(tiers.Life)})
	if err == nil && now.State == timeline.Live {
		return nil
	}
	token, ok, err := h.timelines.Create(ctx, viewer, uint64(tiers.Life))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotStored, err)
	}
	if !ok {
		return nil
	}
	built := false
	defer func() {
		if built {
			h.metrics.rebuilds.Inc()
			return
		}
		// Not left half built, also by a panic: the next reader begins afresh.
		if err := h.timelines.Drop(context.WithoutCancel(ctx), viewer); err != nil {
			h.log.Warn("a timeline whose rebuild failed was not dropped", "err", err)
		}
	}()
	err = h.build(ctx, viewer, token)
	built = err == nil
	return err
}

// build fills a timeline that was created.
func (h *homeReader) build(ctx context.Context, viewer feed.UserID, token timeline.Token) error {
	// The scan leaves loud intervals out, so it needs a view that is not older
	// than the timeline: an author who turns quiet after this view was made
	// does so at an id that is still to come, and will be delivered.
	tiers, err := h.tiers.View(ctx)
	if err != nil {
		return err
	}
	set, err := h.graph.GetFollowSet(ctx, viewer, nil)
	if err != nil {
		return err
	}
	ranges := make([]storage.Range, 0, len(set.Authors))
	for _, author := range set.Authors {
		ranges = append(ranges, quiet(author, tiers.History(author), 0)...)
	}
	entries, bottom, err := h.entries(ctx, ranges)
	if err != nil {
		return err
	}
	if _, err := h.timelines.Finish(ctx, viewer, token, entries, bottom, uint64(set.Version)); err != nil {
		return fmt.Errorf("%w: %w", errNotStored, err)
	}
	return nil
}

// fold takes the authors followed since the timeline was built into it. A post
// of theirs that was fanned out before the follow was committed is found in
// storage now; a later one was delivered. Its failure costs speed only.
func (s *scan) fold(ctx context.Context) {
	if uint64(s.following.set.Version) <= s.stored.FollowVersion {
		return
	}
	if err := s.once(ctx, "fold", s.viewer, s.foldNow); err != nil {
		s.log.Warn("new follows were not folded into a timeline", "err", err)
	}
}

func (s *scan) foldNow(ctx context.Context) error {
	set, old := s.following.set, s.stored.FollowVersion
	// A fresh view, for the reason given in build.
	tiers, err := s.homeReader.tiers.View(ctx)
	if err != nil {
		return err
	}
	var ranges []storage.Range
	for i, author := range set.Authors {
		if uint64(set.Since[i]) > old {
			ranges = append(ranges, quiet(author, tiers.History(author), s.stored.Bottom+1)...)
		}
	}
	entries, bottom, err := s.entries(ctx, ranges)
	if err != nil {
		return err
	}
	if bottom > 0 {
		// More than a timeline holds: the next read makes it afresh.
		return s.timelines.Drop(ctx, s.viewer)
	}
	_, err = s.timelines.Fold(ctx, s.viewer, s.stored.Token, old, uint64(set.Version), entries)
	return err
}

// entries reads the newest posts of ranges, as many as a timeline holds, and the
// id above which they are complete.
func (h *homeReader) entries(ctx context.Context, ranges []storage.Range) ([]timeline.Entry, feed.PostID, error) {
	if len(ranges) == 0 {
		return nil, 0, nil
	}
	refs, err := h.posts.Newest(ctx, ranges, h.cap)
	if err != nil {
		return nil, 0, err
	}
	entries := make([]timeline.Entry, len(refs))
	for i, ref := range refs {
		entries[i] = timeline.Rebuilt(ref.Post)
	}
	var bottom feed.PostID
	if len(refs) == h.cap {
		bottom = refs[len(refs)-1].Post - 1
	}
	return entries, bottom, nil
}

// quiet returns the ranges from first on in which author is pushed: what the
// loud intervals leave. Loud ones are pulled at each read and need no place in
// the timeline.
func quiet(author feed.UserID, history policy.History, first feed.PostID) []storage.Range {
	var ranges []storage.Range
	for _, loud := range history.Loud() {
		if first < loud.First {
			ranges = append(ranges, storage.Range{Author: author, First: first, Before: loud.First})
		}
		first = max(first, loud.Before)
	}
	if first < feed.MaxPostID {
		ranges = append(ranges, storage.Range{Author: author, First: first, Before: feed.MaxPostID})
	}
	return ranges
}
