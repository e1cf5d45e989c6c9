package rows

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"skein/cmd/bench/report"
	"skein/cmd/internal/threads"
	"skein/fanout"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	"skein/timeline"
)

// deliver is how many entries a second become readable, from the event log on.
type deliver struct {
	users       int
	follows     int64
	celebrities int
	share       float64
	entries     int // in each timeline beforehand
	posts       int // in each round
}

func (deliver) Names() []string { return []string{"deliveries_memory"} }

func (r deliver) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("deliveries_memory: making %s users and timelines", report.Count(r.users))
	// Without the spare thread, which would be one more to divide by.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads.Processors))
	g, err := r.graph()
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, inProcess, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.follow(ctx, edges(g, 0)); err != nil {
		return nil, err
	}
	if err := s.makeLive(ctx, 1, feed.UserID(r.users), r.entries); err != nil {
		return nil, err
	}

	authors := drawAuthors(g, r.posts, byFollowers)
	audience, largest := audienceOf(g, authors)
	value, _, err := b.alternate(ctx, "deliveries_memory", func() (float64, error) {
		rate, err := r.round(ctx, s, g, authors, audience)
		return rate / float64(threads.Processors), err
	}, nil)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "deliveries_memory", Value: value, Unit: "entries/s/thread", Better: report.Higher, Target: new(3_000_000.0),
		Setup: report.Setup{
			Users: r.users, LiveTimelines: r.users, PostBytes: len(text),
			How: fmt.Sprintf("%s posts wait in the event log, then the fan-out starts and delivers to full timelines (%d entries), "+
				"followers read from storage; %s follows; a post has %d followers on average, %s at most",
				report.Count(r.posts), r.entries, report.Count(int(g.Follows())), audience/int64(r.posts), report.Count(largest)),
			LeftOut: "writing posts, the outbox and the relay; reads meanwhile; followers without a live timeline",
		}.String(),
	}}, nil
}

func (r deliver) graph() (*graph.Graph, error) {
	return graph.Synthesize(graph.Synthetic{
		Users: r.users, Follows: r.follows, Celebrities: r.celebrities, CelebrityShare: r.share, Seed: seed,
	})
}

// audienceOf is how many followers posts by authors have in all, and one at most.
func audienceOf(g *graph.Graph, authors []uint32) (audience int64, largest int) {
	for _, author := range authors {
		audience += int64(g.FollowerCount(author))
		largest = max(largest, g.FollowerCount(author))
	}
	return audience, largest
}

// round puts posts into the log, lets a fan-out deliver them to audience
// followers in all, and returns how many entries a second that gave.
func (r deliver) round(ctx context.Context, s *stores, g *graph.Graph, authors []uint32, audience int64) (rate float64, err error) {
	posts, err := s.write(ctx, userIDs(g, authors, 0))
	if err != nil {
		return 0, err
	}
	if err := s.relay(ctx); err != nil {
		return 0, err
	}
	f, err := s.fanOut(func(c *fanout.Config) { c.NoRelay = true })
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Stop(context.WithoutCancel(ctx))) }()

	reached := s.delivered.expect(audience)
	begin := time.Now()
	if err := f.Start(); err != nil {
		return 0, err
	}
	end, err := await(ctx, reached)
	if err != nil {
		return 0, err
	}
	rate = float64(s.delivered.appended()) / end.Sub(begin).Seconds()
	return rate, r.verify(ctx, s, g, posts)
}

// verified is how many timelines are looked at after a round.
const verified = 200

// verify reads timelines and finds the newest posts of those followed in them.
func (r deliver) verify(ctx context.Context, s *stores, g *graph.Graph, posts []feed.Ref) error {
	for n := range verified {
		i := uint32(n * r.users / verified)
		want := newestOf(posts, func(author feed.UserID) bool {
			index, _ := g.Index(author)
			_, follows := slices.BinarySearch(g.Following(i), index)
			return follows
		})
		page, err := s.Timelines.Read(ctx, timeline.Query{Viewer: g.ID(i), Before: feed.MaxPostID, Life: s.life, Limit: pageSize})
		if err != nil {
			return err
		}
		for at, id := range want[:min(len(want), pageSize)] {
			if at >= len(page.Entries) || page.Entries[at].ID() != id {
				return fmt.Errorf("the timeline of user %d lacks post %d after all were delivered", g.ID(i), id)
			}
		}
	}
	return nil
}

// newestOf returns the ids of posts by certain authors, newest first.
func newestOf(posts []feed.Ref, by func(feed.UserID) bool) []feed.PostID {
	var ids []feed.PostID
	for _, post := range posts {
		if by(post.Author) {
			ids = append(ids, post.Post)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids
}

// await returns the moment that deliveries end at.
func await(ctx context.Context, reached <-chan time.Time) (time.Time, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case end := <-reached:
		return end, nil
	case <-timeout.C:
		return time.Time{}, fmt.Errorf("not all was delivered within %v", patience)
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}
