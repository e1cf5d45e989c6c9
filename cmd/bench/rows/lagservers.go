package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
)

// lagServers is how long it takes, with all engines servers, from a post's
// acknowledgement until the last of its followers can read it, at half of the load
// that the system sustains.
type lagServers struct {
	users   int
	follows int64
	posts   int // beforehand
	clients int // that find out what is sustained
	reads   int // for each post
}

func (lagServers) Names() []string { return []string{"lag_servers_p50", "lag_servers_p99"} }

func (r lagServers) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("lag_servers_p50, lag_servers_p99: starting servers, making %s users", report.Count(r.users))
	g, err := graph.Synthesize(graph.Synthetic{Users: r.users, Follows: r.follows, Seed: seed})
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, onServers, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	town := &spike{bystanders: bystanders{users: r.users}, stores: s, graph: g}
	if err := r.fill(ctx, town); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, town.service.close()) }()

	sustained, err := r.sustained(ctx, town)
	if err != nil {
		return nil, err
	}
	town.postRate = max(int(sustained/2), 1)
	town.readRate = town.postRate * r.reads
	var p50s, p99s []float64 // of each round, the first for warm-up
	if _, _, err := b.alternate(ctx, "lag_servers_p99", func() (float64, error) {
		w, err := town.turn(ctx, 0)
		if err != nil {
			return 0, err
		}
		p50s, p99s = append(p50s, 1e3*w.lag.quantile(0.5)), append(p99s, 1e3*w.lag.quantile(0.99))
		return p99s[len(p99s)-1], nil
	}, nil); err != nil {
		return nil, err
	}
	setup := report.Setup{
		Users: r.users, LiveTimelines: r.users, PostBytes: len(text),
		How: fmt.Sprintf("%d posts and %d reads a second in an open loop over gRPC on loopback, half of what %d clients in a closed loop get, deliveries included; "+
			"lag from acknowledgement to the last readable entry; policy push, %s follows",
			town.postRate, town.readRate, r.clients, report.Count(int(g.Follows()))),
		LeftOut: "a network",
	}.String()
	return []report.Row{
		{Name: "lag_servers_p50", Value: median(p50s[1:]), Unit: "ms", Better: report.Lower, Setup: setup},
		{Name: "lag_servers_p99", Value: median(p99s[1:]), Unit: "ms", Better: report.Lower, Setup: setup},
	}, nil
}

func (r lagServers) fill(ctx context.Context, town *spike) (err error) {
	if err := town.follow(ctx, edges(town.graph, 0)); err != nil {
		return err
	}
	town.authors = userIDs(town.graph, drawAuthors(town.graph, r.posts, twip), 0)
	posts := older(r.posts, func(random *rand.Rand) feed.UserID { return town.authors[random.IntN(len(town.authors))] })
	if err := town.copyPosts(ctx, posts); err != nil {
		return err
	}
	viewers := make([]feed.UserID, r.users)
	for i := range viewers {
		viewers[i] = town.graph.ID(uint32(i))
	}
	err = town.liveWith(ctx, posts, viewers, func(i int) []feed.UserID {
		return userIDs(town.graph, town.graph.Following(uint32(i)), 0)
	})
	if err != nil {
		return err
	}
	town.delivered.follow()
	town.service, err = town.serve(ctx)
	return err
}

// probes is how often it is tried out what is sustained; the first is for warm-up.
const probes = 2

// sustained is how many posts a second are posted and delivered, each with its
// reads, when clients call as fast as they are answered. The time that deliveries
// take after the last post counts.
func (r lagServers) sustained(ctx context.Context, town *spike) (float64, error) {
	var rates []float64
	for range probes {
		begin := time.Now()
		var posted postedIDs
		_, err := closedLoop(ctx, r.clients, town.bench.Phase, func(ctx context.Context, client int) error {
			id, err := town.post(ctx, client, town.authors[rand.IntN(len(town.authors))])
			posted.add(id, time.Now())
			for n := 0; n < r.reads && err == nil; n++ {
				err = town.readOne(ctx, client)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := town.service.settle(ctx); err != nil {
			return 0, err
		}
		end := begin
		for id := range posted.all() {
			if at := town.delivered.at(id); at.After(end) {
				end = at
			}
		}
		rates = append(rates, float64(len(posted.all()))/end.Sub(begin).Seconds())
		town.bench.say("lag_servers: %.4g posts and %.4g reads a second are sustained", rates[len(rates)-1], rates[len(rates)-1]*float64(r.reads))
	}
	return median(rates[1:]), nil
}
