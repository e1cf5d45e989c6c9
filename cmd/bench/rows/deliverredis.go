package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
	"skein/deploy/local/servers"
	"skein/fanout"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	"skein/storage"
)

// deliverRedis is deliver where all engines are servers, and Redis is one or a cluster.
type deliverRedis struct {
	on on
	deliver
	target float64
}

func (r deliverRedis) Names() []string { return []string{r.name()} }

func (r deliverRedis) name() string { return "deliveries_" + r.on.timelines() }

func (r deliverRedis) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("%s: starting servers, making %s users and timelines", r.name(), report.Count(r.users))
	g, err := r.graph()
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, r.on, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.follow(ctx, edges(g, 0)); err != nil {
		return nil, err
	}
	// As they are after a while: each is cut when it is a quarter too long.
	lengths := spread(r.entries, r.entries+r.entries/4)
	lists, err := s.copyLive(ctx, 1, feed.UserID(r.users), lengths...)
	if err != nil {
		return nil, err
	}
	rival, err := s.pushes(ctx, r.users, lists)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rival.close()) }()
	held := &held{Graph: s.Graph}
	f, err := s.fanOut(func(c *fanout.Config) { c.Graph = held })
	if err != nil {
		return nil, err
	}
	if err := f.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop(context.WithoutCancel(ctx))) }()

	authors := drawAuthors(g, r.posts, byFollowers)
	costs := s.costs()
	audience, largest := audienceOf(g, authors)
	value, ceiling, err := b.alternate(ctx, r.name(),
		func() (float64, error) { return r.round(ctx, s, g, f, held, costs, authors, audience) },
		func() (float64, error) { return rival.push(ctx, audience) })
	if err != nil {
		return nil, err
	}
	b.note(r.name(), capacity.Delivery, costs.micros())
	return []report.Row{{
		Name: r.name(), Value: value, Unit: "entries/s", Better: report.Higher, Target: &r.target,
		Ceiling: &ceiling, CeilingName: new(rival.name()),
		Setup: report.Setup{
			Users: r.users, LiveTimelines: r.users, PostBytes: len(text),
			How: fmt.Sprintf("%s posts wait in Kafka, then the planners go on: followers from PostgreSQL, entries to timelines of %d to %d entries in %s, "+
				"those that become longer are cut; %s follows; a post has %d followers on average, %s at most; %v",
				report.Count(r.posts), lengths[0], lengths[len(lengths)-1], r.redis(), report.Count(int(g.Follows())), audience/int64(r.posts), report.Count(largest), costs),
			LeftOut: "writing posts, the outbox and the relay; reads meanwhile; followers without a live timeline; a network",
		}.String(),
	}}, nil
}

func (r deliverRedis) redis() string {
	if r.on.has(servers.RedisCluster) {
		return fmt.Sprintf("a Redis Cluster of %d masters without replicas", clusterMasters)
	}
	return "Redis"
}

// spread returns lengths from first to last, evenly.
func spread(first, last int) []int {
	const steps = 20
	var lengths []int
	for n := range steps {
		lengths = append(lengths, first+n*(last-first)/steps)
	}
	return lengths
}

// round lets posts wait in the log, and then be delivered to audience followers in
// all. It returns how many entries a second that gave.
func (r deliverRedis) round(ctx context.Context, s *stores, g *graph.Graph, f *fanout.Fanout, held *held, costs *costs, authors []uint32, audience int64) (float64, error) {
	release := held.hold()
	defer release()
	posts, err := s.write(ctx, userIDs(g, authors, 0))
	if err != nil {
		return 0, err
	}
	f.Wake()
	if err := s.relayed(ctx); err != nil {
		return 0, err
	}
	reached := s.delivered.expect(audience)
	before, begin := costs.now(), time.Now()
	release()
	end, err := await(ctx, reached)
	if err != nil {
		return 0, err
	}
	costs.add(float64(s.delivered.appended()), before)
	return float64(s.delivered.appended()) / end.Sub(begin).Seconds(), r.verify(ctx, s, g, posts)
}

// held is a graph that can hold planners up: what they ask first of all is how many
// followers authors have. Their consumers are members of the group meanwhile, which
// may take seconds to join.
type held struct {
	storage.Graph
	gate gate
}

// hold holds planners until release, which may be called twice.
func (h *held) hold() (release func()) { return h.gate.shut() }

// CountFollowers implements storage.Users.
func (h *held) CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error) {
	if err := h.gate.pass(ctx); err != nil {
		return nil, err
	}
	return h.Graph.CountFollowers(ctx, authors)
}
