package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
	"skein/feed"
	"skein/feed/policy"
)

// readsSpread is what a page of a home timeline costs with posts in Cassandra and
// timelines in a Redis Cluster, when hardly any post of it was shown a moment ago: each
// viewer follows authors whom nobody else follows.
type readsSpread struct {
	viewers, follows, posts int // each follows so many, who wrote so many together
	clients                 int
}

func (readsSpread) Names() []string { return []string{"reads_spread"} }

func (r readsSpread) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("reads_spread: starting servers, making %s posts and %s viewers", report.Count(r.viewers*r.posts), report.Count(r.viewers))
	s, err := b.open(ctx, onAll, policy.Hybrid)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := r.fill(ctx, s); err != nil {
		return nil, err
	}
	service, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.close()) }()
	page := func(ctx context.Context, client int) error {
		_, err := read(ctx, service.endpoint, client, feed.UserID(rand.IntN(r.viewers)+1))
		return err
	}
	if err := b.warmUp(ctx, r.clients, page); err != nil {
		return nil, err
	}
	costs := s.costs()
	value, _, err := b.alternate(ctx, "reads_spread", func() (float64, error) {
		return costs.closedLoop(ctx, r.clients, b.Phase, page)
	}, nil)
	if err != nil {
		return nil, err
	}
	b.note("reads_spread", capacity.Read, costs.micros())
	return []report.Row{{
		Name: "reads_spread", Value: value, Unit: "reads/s", Better: report.Higher,
		Setup: report.Setup{
			Users: r.viewers * (1 + r.follows), LiveTimelines: r.viewers, PostBytes: len(text),
			How: fmt.Sprintf("pages of %d whole posts from timelines of %d; viewers at random, each with %d authors of its own; %d clients over %d gRPC connections on loopback, in a closed loop; %v",
				pageSize, r.posts, r.follows, r.clients, connections, costs),
			LeftOut: "posts and deliveries meanwhile; a network; posts that many readers share, which the process has copies of for a second",
		}.String(),
	}}, nil
}

// fill makes viewers from 1 on, authors after them, posts and timelines.
func (r readsSpread) fill(ctx context.Context, s *stores) error {
	viewers, following := make([]feed.UserID, r.viewers), make([][]feed.UserID, r.viewers)
	for i := range viewers {
		viewers[i] = feed.UserID(i + 1)
		for n := range r.follows {
			following[i] = append(following[i], feed.UserID(r.viewers+1+i*r.follows+n))
		}
	}
	if err := s.follow(ctx, allEdges(viewers, following)); err != nil {
		return err
	}
	session, err := s.cassandraSession("skein")
	if err != nil {
		return err
	}
	defer session.Close()
	n := 0 // the viewers' authors in turn
	posts := older(r.viewers*r.posts, func(*rand.Rand) feed.UserID {
		n++
		return following[n%r.viewers][n/r.viewers%r.follows]
	})
	if err := insertPosts(ctx, session, posts); err != nil {
		return err
	}
	return s.liveWith(ctx, posts, viewers, func(i int) []feed.UserID { return following[i] })
}
