package rows

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"skein/feed"
	"skein/timeline"
)

// older draws posts by authors, a millisecond apart up to a minute ago, in order.
func older(n int, author func(*rand.Rand) feed.UserID) []feed.Ref {
	random := rand.New(rand.NewPCG(seed, 3))
	begin := time.Now().Add(-time.Minute - time.Duration(n)*time.Millisecond)
	posts := make([]feed.Ref, n)
	for i := range posts {
		posts[i] = feed.Ref{Post: feed.IDAt(begin.Add(time.Duration(i) * time.Millisecond)), Author: author(random)}
	}
	return posts
}

// liveWith gives viewers the live timelines that they had if posts, oldest first,
// had been delivered. Up to a quarter of the cap of each was pushed since the
// timeline was last sorted, as happens between reads.
func (s *stores) liveWith(ctx context.Context, posts []feed.Ref, viewers []feed.UserID, following func(viewer int) []feed.UserID) error {
	byAuthor := map[feed.UserID][]feed.PostID{}
	for _, p := range slices.Backward(posts) {
		if ids := byAuthor[p.Author]; len(ids) < timelineCap {
			byAuthor[p.Author] = append(ids, p.Post)
		}
	}
	return eachOf(ctx, len(viewers), setUpWorkers, func(ctx context.Context, i int) error {
		var ids []feed.PostID // newest first
		for _, author := range following(i) {
			ids = append(ids, byAuthor[author]...)
		}
		slices.SortFunc(ids, func(a, b feed.PostID) int { return int(b - a) })
		ids = ids[:min(len(ids), timelineCap)]
		pushed := min(i%(timelineCap/4), len(ids))
		return s.liveOf(ctx, viewers[i], ids[pushed:], ids[:pushed])
	})
}

// liveOf makes a timeline of posts, rebuilt ones and later ones that were pushed,
// both newest first.
func (s *stores) liveOf(ctx context.Context, viewer feed.UserID, rebuilt, pushed []feed.PostID) error {
	token, ok, err := s.Timelines.Create(ctx, viewer, s.life)
	if err != nil || !ok {
		return errors.Join(err, ctx.Err())
	}
	entries := make([]timeline.Entry, len(rebuilt))
	for i, id := range rebuilt {
		entries[i] = timeline.Rebuilt(id)
	}
	bottom := feed.PostID(0)
	if len(rebuilt)+len(pushed) == timelineCap {
		bottom = rebuilt[len(rebuilt)-1] - 1
	}
	if _, err := s.Timelines.Finish(ctx, viewer, token, entries, bottom, 1); err != nil {
		return err
	}
	var deliveries []timeline.Delivery
	for _, id := range slices.Backward(pushed) {
		deliveries = append(deliveries, timeline.Delivery{Post: id, Viewers: []feed.UserID{viewer}})
	}
	_, err = s.Timelines.Deliver(ctx, deliveries)
	return err
}
