package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// homeReads is how many pages of home timelines are served in a second.
type homeReads struct {
	on          on
	users       int
	follows     int64
	celebrities int
	share       float64
	posts       int
	clients     int
	target      float64
}

func (r homeReads) Names() []string { return []string{r.name()} }

func (r homeReads) name() string { return "reads_" + r.on.timelines() }

func (r homeReads) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("%s: making %s users and %s posts", r.name(), report.Count(r.users), report.Count(r.posts))
	of := graph.Synthetic{Users: r.users, Follows: r.follows, Celebrities: r.celebrities, CelebrityShare: r.share, Seed: seed}
	town, err := b.readable(ctx, r.on, of, func(func(feed.Follow) bool) {}, 1, feed.UserID(r.users), r.posts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, town.close()) }()
	reply, err := read(ctx, town.service.endpoint, 0, 1)
	if err != nil {
		return nil, err
	}
	still, err := listen(constant{reply: reply}, prometheus.NewRegistry(), b.Log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, still.close()) }()

	turn := func(e *endpoint, spent *costs) func() (float64, error) {
		return func() (float64, error) {
			return spent.closedLoop(ctx, r.clients, b.Phase, func(ctx context.Context, client int) error {
				_, err := read(ctx, e, client, feed.UserID(rand.IntN(r.users)+1))
				return err
			})
		}
	}
	costs := town.costs()
	value, ceiling, err := b.alternate(ctx, r.name(), turn(town.service.endpoint, costs), turn(still, town.costs()))
	if err != nil {
		return nil, err
	}
	pages, err := town.describe(ctx)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: r.name(), Value: value, Unit: "reads/s", Better: report.Higher, Target: new(r.target),
		Ceiling: &ceiling, CeilingName: new(fmt.Sprintf("the same server and clients with a constant reply of %s bytes", report.Count(proto.Size(reply)))),
		Setup: report.Setup{
			Users: r.users, LiveTimelines: town.viewers, PostBytes: len(text),
			How: fmt.Sprintf("%s, %s follows, heavy-tailed; %d clients over %d gRPC connections on loopback, in a closed loop, viewers at random; %v",
				pages, report.Count(int(town.graph.Follows())), r.clients, connections, costs),
			LeftOut: "posts and deliveries meanwhile; a network",
		}.String(),
	}}, nil
}

// constant answers every read of a home timeline with the same page.
type constant struct {
	feedv1.UnimplementedTimelineServiceServer
	reply *feedv1.GetHomeTimelineResponse
}

func (c constant) Register(r grpc.ServiceRegistrar) { feedv1.RegisterTimelineServiceServer(r, c) }

func (c constant) GetHomeTimeline(context.Context, *feedv1.GetHomeTimelineRequest) (*feedv1.GetHomeTimelineResponse, error) {
	return c.reply, nil
}
