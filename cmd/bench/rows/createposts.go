package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// createPosts is how many posts a second are acknowledged.
type createPosts struct {
	users   int
	follows int64
	clients int
}

func (createPosts) Names() []string { return []string{"posts_embedded"} }

func (r createPosts) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("posts_embedded: drawing %s users", report.Count(r.users))
	g, err := graph.Synthesize(graph.Synthetic{Users: r.users, Follows: r.follows, Seed: seed})
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, policy.Hybrid)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.follow(ctx, edges(g, 0)); err != nil {
		return nil, err
	}
	service, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.close()) }()

	posting := posting{createPosts: r, service: service}
	var backlogs []float64
	value, ceiling, err := b.alternate(ctx, "posts_embedded", func() (float64, error) {
		rate, err := closedLoop(ctx, r.clients, b.Phase, posting.post)
		if err != nil {
			return 0, err
		}
		waiting, err := s.Posts.CountEvents(ctx)
		if err != nil {
			return 0, err
		}
		backlogs = append(backlogs, float64(waiting))
		return rate, nil
	}, func() (float64, error) {
		// The ceiling has the machine for itself.
		if err := service.settle(ctx, feed.PostID(posting.last.Load())); err != nil {
			return 0, err
		}
		return rawPosts(ctx, b, r)
	})
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "posts_embedded", Value: value, Unit: "posts/s", Better: report.Higher, Target: 0.5,
		Ceiling: &ceiling, CeilingName: new(fmt.Sprintf("synced Pebble batches of the same rows, by %d goroutines", r.clients)),
		Setup: report.Setup{
			Users: r.users, PostBytes: len(text),
			How: fmt.Sprintf("%d clients over %d gRPC connections on loopback, each post with an idempotency key; %s follows; "+
				"relay and planner at work, %.0f events in the outbox at the end of a turn",
				r.clients, connections, report.Count(int(g.Follows())), median(backlogs)),
			LeftOut: "deliveries, as nobody has a live timeline; a network",
		}.String(),
	}}, nil
}

// posting is clients at work.
type posting struct {
	createPosts
	service *service
	// number makes idempotency keys; last is the highest id acknowledged.
	number, last atomic.Int64
}

func (p *posting) post(ctx context.Context, client int) error {
	post, err := feedv1.NewPostServiceClient(p.service.conn(client)).CreatePost(ctx, &feedv1.CreatePostRequest{
		AuthorId: rand.Int64N(int64(p.users)) + 1, Text: text, RequestId: strconv.FormatInt(p.number.Add(1), 36),
	})
	raise(&p.last, post.GetId())
	return err
}
