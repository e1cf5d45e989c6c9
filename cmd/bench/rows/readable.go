package rows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
	"skein/timeline"
)

// pageSize is how many posts a page has in every row that reads.
const pageSize = 50

// readable is a service full of posts, some of them by loud authors.
type readable struct {
	*stores
	service *service
	graph   *graph.Graph
	loud    int // authors who are pulled
	viewers int // with live timelines
}

// readable makes one: the users of a synthetic graph, and after them others who
// follow as more says. Viewers from first on get live timelines, into which posts
// are then delivered.
func (b *Bench) readable(ctx context.Context, on on, of graph.Synthetic, more iter.Seq[feed.Follow], first, last feed.UserID, posts int) (*readable, error) {
	g, err := graph.Synthesize(of)
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, on, policy.Hybrid)
	if err != nil {
		return nil, err
	}
	r := &readable{stores: s, graph: g, viewers: int(last-first) + 1}
	if err := r.fill(ctx, more, first, last, posts); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *readable) fill(ctx context.Context, more iter.Seq[feed.Follow], first, last feed.UserID, posts int) error {
	for _, follows := range []iter.Seq[feed.Follow]{edges(r.graph, 0), more} {
		if err := r.follow(ctx, follows); err != nil {
			return err
		}
	}
	if err := r.makeLive(ctx, first, last, 0); err != nil {
		return err
	}
	authors := loud(r.graph)
	r.loud = len(authors)
	if err := r.makeLoud(ctx, authors); err != nil {
		return err
	}
	if _, err := r.write(ctx, userIDs(r.graph, drawAuthors(r.graph, posts, twip), 0)); err != nil {
		return err
	}
	var err error
	if r.service, err = r.serve(ctx); err != nil {
		return err
	}
	return r.service.settle(ctx)
}

func (r *readable) close() (err error) {
	if r.service != nil {
		err = r.service.close()
	}
	return errors.Join(err, r.stores.close())
}

// describe tells of the timelines as they are.
func (r *readable) describe(ctx context.Context) (string, error) {
	var stats timeline.Stats
	stats, err := r.Timelines.Stats(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("pages of %d whole posts from timelines of %d entries on average, %d loud authors",
		pageSize, stats.Entries/max(stats.Live, 1), r.loud), nil
}

// read gets the first page of viewer's home timeline, which must be full.
func read(ctx context.Context, e *endpoint, client int, viewer feed.UserID) (*feedv1.GetHomeTimelineResponse, error) {
	page, err := feedv1.NewTimelineServiceClient(e.conn(client)).GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{
		ViewerId: int64(viewer), PageSize: pageSize,
	})
	if err == nil && len(page.GetPosts()) != pageSize {
		err = fmt.Errorf("a page of %d posts, not %d, of user %d", len(page.GetPosts()), pageSize, viewer)
	}
	return page, err
}
