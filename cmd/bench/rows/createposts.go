package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
	"skein/deploy/local/servers"
	"skein/feed/policy"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// createPosts is how many posts a second are acknowledged.
type createPosts struct {
	on      on
	users   int
	follows int64
	clients int
}

func (r createPosts) Names() []string { return []string{r.name()} }

func (r createPosts) name() string { return "posts_" + r.on.posts() }

func (r createPosts) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("%s: drawing %s users", r.name(), report.Count(r.users))
	g, err := graph.Synthesize(graph.Synthetic{Users: r.users, Follows: r.follows, Seed: seed})
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, r.on, policy.Hybrid)
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

	rival, err := r.rival(ctx, b, s)
	if err != nil {
		return nil, err
	}
	defer rival.close()
	posting := posting{createPosts: r, service: service}
	var backlogs []float64
	costs := s.costs()
	value, ceiling, err := b.alternate(ctx, r.name(), func() (float64, error) {
		rate, err := costs.closedLoop(ctx, r.clients, b.Phase, posting.post)
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
		if err := service.settle(ctx); err != nil {
			return 0, err
		}
		return rival.insert(ctx)
	})
	if err != nil {
		return nil, err
	}
	b.note(r.name(), capacity.Post, costs.micros())
	if b.Sizes && len(r.on) > 0 {
		if err := s.noteSizes(ctx, r.name(), float64(posting.number.Load())); err != nil {
			return nil, err
		}
	}
	return []report.Row{{
		Name: r.name(), Value: value, Unit: "posts/s", Better: report.Higher, Target: new(0.5),
		Ceiling: &ceiling, CeilingName: &rival.name,
		Setup: report.Setup{
			Users: r.users, PostBytes: len(text),
			How: fmt.Sprintf("%d clients over %d gRPC connections on loopback, each post with an idempotency key; %s follows; "+
				"relay and planner at work, %.0f events in the outbox at the end of a turn; %v",
				r.clients, connections, report.Count(int(g.Follows())), median(backlogs), costs),
			LeftOut: "deliveries, as nobody has a live timeline; a network",
		}.String(),
	}}, nil
}

// bare is what acknowledged posts are held against: durable inserts of their rows.
type bare struct {
	name string
	// insert returns how many a second there were.
	insert func(context.Context) (float64, error)
	close  func()
}

func (r createPosts) rival(ctx context.Context, b *Bench, s *stores) (*bare, error) {
	loop := func(insert func(context.Context, int) error) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return closedLoop(ctx, r.clients, b.Phase, insert) }
	}
	switch r.on.posts() {
	case servers.Cassandra:
		inserts, err := s.rawCassandra(ctx, r)
		if err != nil {
			return nil, err
		}
		return &bare{
			name: fmt.Sprintf("bare inserts of the same rows, prepared and to the node that has them, four statements a post one after another, "+
				"the key's IF NOT EXISTS at LOCAL_SERIAL, the others at LOCAL_QUORUM, by %d goroutines", r.clients),
			insert: loop(inserts.insert),
			close:  inserts.session.Close,
		}, nil
	case servers.Postgres:
		inserts, err := s.rawInserts(ctx, r)
		if err != nil {
			return nil, err
		}
		return &bare{
			name:   fmt.Sprintf("durable inserts of the same rows, one prepared statement and round trip a post, by %d connections", r.clients),
			insert: loop(inserts.insert),
			close:  inserts.pool.Close,
		}, nil
	}
	return &bare{
		name:   fmt.Sprintf("synced Pebble batches of the same rows, by %d goroutines", r.clients),
		insert: func(ctx context.Context) (float64, error) { return rawPosts(ctx, b, r) },
		close:  func() {},
	}, nil
}

// posting is clients at work.
type posting struct {
	createPosts
	service *service
	// number makes idempotency keys.
	number atomic.Int64
}

func (p *posting) post(ctx context.Context, client int) error {
	_, err := feedv1.NewPostServiceClient(p.service.conn(client)).CreatePost(ctx, &feedv1.CreatePostRequest{
		AuthorId: rand.Int64N(int64(p.users)) + 1, Text: text, RequestId: strconv.FormatInt(p.number.Add(1), 36),
	})
	return err
}
