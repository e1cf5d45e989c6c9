package rows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/loadgen/graph"
)

// latency is by how much a read of somebody who follows many takes longer than
// one of somebody who follows few.
type latency struct {
	users       int
	follows     int64
	celebrities int
	share       float64
	posts       int
	readers     int // who follow few, and as many who follow many
	few, many   int
}

func (latency) Names() []string { return []string{"read_latency_follows"} }

func (r latency) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("read_latency_follows: making %s users and %s posts", report.Count(r.users+2*r.readers), report.Count(r.posts))
	of := graph.Synthetic{Users: r.users, Follows: r.follows, Celebrities: r.celebrities, CelebrityShare: r.share, Seed: seed}
	first, last := feed.UserID(r.users+1), feed.UserID(r.users+2*r.readers)
	town, err := b.readable(ctx, inProcess, of, r.readersFollow(first), first, last, r.posts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, town.close()) }()

	var few, many, again []float64 // of each round, the first for warm-up
	value, _, err := b.alternate(ctx, "read_latency_follows", func() (float64, error) {
		t, err := r.round(ctx, town.service, first)
		few, many, again = append(few, t.few.quantile(0.5)), append(many, t.many.quantile(0.5)), append(again, t.again.quantile(0.5))
		return many[len(many)-1] / few[len(few)-1], err
	}, nil)
	if err != nil {
		return nil, err
	}
	pages, err := town.describe(ctx)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "read_latency_follows", Value: value, Unit: "x", Better: report.Lower, Target: new(2.0),
		Setup: report.Setup{
			Users: r.users + 2*r.readers, LiveTimelines: town.viewers, PostBytes: len(text),
			How: fmt.Sprintf("%s; one client over gRPC on loopback reads for %d viewers of each kind in turn, each not read for a second before: "+
				"p50 %.3f ms with %s follows, %.3f ms with %s, %.3f ms for these when read again at once",
				pages, r.readers, 1e3*median(many[1:]), report.Count(r.many), 1e3*median(few[1:]), report.Count(r.few), 1e3*median(again[1:])),
			LeftOut: "other load; a network",
		}.String(),
	}}, nil
}

// readersFollow lets readers from first on follow users drawn evenly: every other
// one few, the rest many.
func (r latency) readersFollow(first feed.UserID) iter.Seq[feed.Follow] {
	return func(yield func(feed.Follow) bool) {
		random := rand.New(rand.NewPCG(seed, 2))
		for n := range 2 * r.readers {
			follows := r.few
			if n%2 == 1 {
				follows = r.many
			}
			for _, author := range random.Perm(r.users)[:follows] {
				if !yield(feed.Follow{Viewer: first + feed.UserID(n), Author: feed.UserID(author + 1)}) {
					return
				}
			}
		}
	}
}

// times are how long reads took: the first of those who follow few, and many, and
// the second of these.
type times struct{ few, many, again sample }

// apart is how long a viewer is left alone before a read that counts: as long as
// the server may use a cached copy of whom it follows.
const apart = 1100 * time.Millisecond

// passes is how often every reader reads in a round.
const passes = 2

// round reads for all readers in turn.
func (r latency) round(ctx context.Context, service *service, first feed.UserID) (*times, error) {
	t := &times{}
	for range passes {
		alone := time.NewTimer(apart)
		select {
		case <-alone.C:
		case <-ctx.Done():
			return t, ctx.Err()
		}
		for n := range 2 * r.readers {
			viewer := first + feed.UserID(n)
			into := []*sample{&t.few}
			if n%2 == 1 {
				into = []*sample{&t.many, &t.again}
			}
			for _, sample := range into {
				begin := time.Now()
				if _, err := read(ctx, service.endpoint, 0, viewer); err != nil {
					return t, err
				}
				sample.add(time.Since(begin))
			}
		}
	}
	return t, nil
}
