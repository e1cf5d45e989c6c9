// Package server is the gRPC service of package feed.v1: the write path, the
// read path, and the edges of both (validation, page tokens, error codes). It
// keeps nothing that cannot be lost: two servers over the same stores agree.
//
// It does no fan-out. What it needs to know of it, that posts wait to be relayed
// and how far delivery got, goes through the small interface Fanout.
//
// # A page of a home timeline
//
// The order in which a page asks its sources is what makes it right:
//
//  1. the top and what was set aside, then the stored timeline: what is below
//     the top was delivered before, so the timeline read afterwards has it, or
//     the list does;
//  2. then the follow set, or a cached copy that bears the position read with
//     the timeline;
//  3. then storage, for the authors and intervals that nobody pushes.
//
// Merge cuts all of it at the highest floor; what remains is checked against
// the posts that exist and the follow set, and the scan goes on below until the
// page is full.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/timeline"
)

// Fanout is what a server must know of the fan-out, wherever that runs.
type Fanout interface {
	// Wake says that an event was committed and waits in the outbox. It never
	// blocks.
	Wake()

	// Progress returns the delivered-through id for the timelines of a shard,
	// and the posts whose events were set aside, newest first, to be pulled:
	// every post below top that is pushed at all has been delivered, or is in
	// aside. Both are of one moment. top may lag behind the truth and never
	// runs ahead of it. The caller must not change the slice.
	Progress(shard int) (top feed.PostID, aside []feed.Ref)
}

// Config is what a server is made of. All fields without a default are required.
type Config struct {
	Posts     storage.Posts
	Graph     storage.Graph
	Timelines timeline.Store
	Fanout    Fanout
	Tiers     *storage.TierCopy
	// Clock tells how old copies are; Posts tell the time of ids. It is time.Now
	// by default.
	Clock feed.Clock
	// Logger is slog.Default() by default.
	Logger *slog.Logger
	// Registerer takes the metrics; none are registered by default.
	Registerer prometheus.Registerer
	// LagBound is how far the top may fall behind before what lies above it
	// is pulled: 3 s by default; at least MinLagBound.
	LagBound time.Duration
	// TimelineCap is how many entries a rebuild stores: 800 by default.
	TimelineCap int
}

const (
	// DefaultLagBound leaves a client that promises five seconds room for
	// a slow read.
	DefaultLagBound = 3 * time.Second
	// MinLagBound is the least LagBound that does not pull all the time: the
	// top is never closer to now than the age that an id may have when its
	// post commits, counted twice for safety.
	MinLagBound = 3 * feed.MaxIDAge

	defaultTimelineCap = 800
)

func (c *Config) setDefaults() error {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.LagBound == 0 {
		c.LagBound = DefaultLagBound
	}
	if c.LagBound < MinLagBound {
		return fmt.Errorf("the lag bound is %v; it must be at least %v", c.LagBound, MinLagBound)
	}
	if c.TimelineCap == 0 {
		c.TimelineCap = defaultTimelineCap
	}
	return nil
}

// Server implements the three services. It is safe for concurrent use.
type Server struct {
	posts     storage.Posts
	graph     storage.Graph
	timelines timeline.Store
	fanout    Fanout
	ids       *feed.IDs
	tokens    tokens
	home      *homeReader
	log       *steady
	metrics   *metrics
}

// New makes a server. It asks storage for the key of page tokens, and fails when
// storage cannot be asked.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	key, err := cfg.Graph.TokenKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the key of page tokens: %w", err)
	}
	cfg.Graph = rememberUsers(cfg.Graph)
	m := newMetrics(cfg.Registerer)
	log := &steady{Logger: cfg.Logger}
	return &Server{
		posts:     cfg.Posts,
		graph:     cfg.Graph,
		timelines: cfg.Timelines,
		fanout:    cfg.Fanout,
		ids:       feed.NewIDs(cfg.Posts, cfg.Posts.Now),
		tokens:    tokens{key: key},
		home:      newHomeReader(cfg, log, m),
		log:       log,
		metrics:   m,
	}, nil
}

// Register adds the services to a gRPC server, which must have been made with
// grpc.ForceServerCodecV2(Codec()), UnaryErrors and StreamErrors.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	r = strictRegistrar{r}
	feedv1.RegisterPostServiceServer(r, &postService{Server: s})
	feedv1.RegisterGraphServiceServer(r, &graphService{Server: s})
	feedv1.RegisterTimelineServiceServer(r, &timelineService{Server: s})
}

// Close ends the caches. Calls must have ended before.
func (s *Server) Close() { s.home.close() }

// announce makes acts known to caches everywhere. Where that cannot be proved it
// waits until no copy can be alive any more (T4).
func (s *Server) announce(ctx context.Context, acts ...timeline.Act) error {
	err := s.timelines.Announce(ctx, acts...)
	if err == nil {
		return nil
	}
	s.log.Warn("acts were not announced; waiting for cached copies to expire", "err", err)
	select {
	case <-time.After(copyLife):
		return nil
	case <-ctx.Done():
		return feed.Unavailable("confirm the change", ctx.Err())
	}
}
