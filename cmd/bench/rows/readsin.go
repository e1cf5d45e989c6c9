package rows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
	"skein/deploy/local/servers"
	"skein/feed"
	"skein/feed/policy"
)

// readsIn is how many pages of home timelines are served in a second, held against
// asking PostgreSQL for each: the posts of those followed, newest first.
type readsIn struct {
	viewers, follows int // each viewer follows so many
	authors, posts   int
	clients          int
}

func (readsIn) Names() []string { return []string{"reads_vs_postgres_in"} }

func (r readsIn) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("reads_vs_postgres_in: starting servers, making %s posts and %s viewers", report.Count(r.posts), report.Count(r.viewers))
	s, err := b.open(ctx, onServers, policy.Hybrid)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	following, err := r.fill(ctx, s)
	if err != nil {
		return nil, err
	}
	service, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.close()) }()
	rival, err := s.inQuery(ctx, following, r.clients)
	if err != nil {
		return nil, err
	}
	defer rival.pool.Close()
	if err := r.compare(ctx, service, rival); err != nil {
		return nil, err
	}
	costs := s.costs()
	value, ceiling, err := b.alternate(ctx, "reads_vs_postgres_in", func() (float64, error) {
		return costs.closedLoop(ctx, r.clients, b.Phase, func(ctx context.Context, client int) error {
			_, err := read(ctx, service.endpoint, client, r.someViewer())
			return err
		})
	}, func() (float64, error) {
		return closedLoop(ctx, r.clients, b.Phase, func(ctx context.Context, _ int) error {
			_, err := rival.read(ctx, r.someViewer())
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	b.note("reads_vs_postgres_in", capacity.Read, costs.micros())
	if b.Sizes {
		size, err := s.tableSize(ctx, "follows")
		if err != nil {
			return nil, err
		}
		b.note("reads_vs_postgres_in", capacity.FollowBytes, map[string]float64{servers.Postgres: size / float64(r.viewers*r.follows)})
	}
	return []report.Row{{
		Name: "reads_vs_postgres_in", Value: value, Unit: "reads/s", Better: report.Higher, Target: new(20.0),
		Ceiling: &ceiling, CeilingName: new(rival.name()),
		Setup: report.Setup{
			Users: r.viewers + r.authors, LiveTimelines: r.viewers, PostBytes: len(text),
			How: fmt.Sprintf("pages of %d whole posts; %s viewers follow %d of %s authors, drawn evenly, who wrote %s posts; "+
				"%d clients in a closed loop, viewers at random; Skein over %d gRPC connections on loopback, with all its engines servers; %v",
				pageSize, report.Count(r.viewers), r.follows, report.Count(r.authors), report.Count(r.posts), r.clients, connections, costs),
			LeftOut: "posts and deliveries meanwhile; a network; on PostgreSQL's side a server in front of it, and whom the viewer follows, which the client knows",
		}.String(),
	}}, nil
}

func (r readsIn) someViewer() feed.UserID { return feed.UserID(rand.IntN(r.viewers) + 1) }

// fill makes viewers from 1 on and authors after them, posts and timelines, and
// returns whom each viewer follows.
func (r readsIn) fill(ctx context.Context, s *stores) (following [][]feed.UserID, err error) {
	random := rand.New(rand.NewPCG(seed, 4))
	author := func(random *rand.Rand) feed.UserID { return feed.UserID(r.viewers + 1 + random.IntN(r.authors)) }
	following = make([][]feed.UserID, r.viewers)
	viewers := make([]feed.UserID, r.viewers)
	for i := range viewers {
		viewers[i] = feed.UserID(i + 1)
		seen := map[feed.UserID]bool{}
		for len(following[i]) < r.follows {
			if a := author(random); !seen[a] {
				seen[a] = true
				following[i] = append(following[i], a)
			}
		}
	}
	if err := s.follow(ctx, allEdges(viewers, following)); err != nil {
		return nil, err
	}
	posts := older(r.posts, author)
	if err := s.copyPosts(ctx, posts); err != nil {
		return nil, err
	}
	return following, s.liveWith(ctx, posts, viewers, func(i int) []feed.UserID { return following[i] })
}

func allEdges(viewers []feed.UserID, following [][]feed.UserID) iter.Seq[feed.Follow] {
	return func(yield func(feed.Follow) bool) {
		for i, authors := range following {
			for _, author := range authors {
				if !yield(feed.Follow{Viewer: viewers[i], Author: author}) {
					return
				}
			}
		}
	}
}

// compare finds the same posts on pages of both.
func (r readsIn) compare(ctx context.Context, service *service, rival *inQuery) error {
	for n := range verified {
		viewer := feed.UserID(n*r.viewers/verified + 1)
		page, err := read(ctx, service.endpoint, n, viewer)
		if err != nil {
			return err
		}
		ids, err := rival.read(ctx, viewer)
		if err != nil {
			return err
		}
		for i, post := range page.GetPosts() {
			if post.GetId() != ids[i] {
				return fmt.Errorf("the page of user %d has post %d where PostgreSQL has %d", viewer, post.GetId(), ids[i])
			}
		}
	}
	return nil
}
