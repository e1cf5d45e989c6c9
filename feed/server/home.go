package server

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"skein/feed"
	"skein/storage"
	"skein/timeline"
)

const (
	// copyLife is A: the longest that a cached copy may live (T4).
	copyLife = time.Second

	// scanBudget is how many candidates one page may examine before it is
	// returned short (T5).
	scanBudget = 2_000

	// maxDegraded bounds the pages pulled from storage at once because the
	// store of timelines fails: each costs a scan of all the viewer follows.
	maxDegraded = 64
	// degradedRetry is when to come back once that is reached.
	degradedRetry = time.Second
)

// homeReader makes pages of home timelines.
type homeReader struct {
	posts     storage.Posts
	graph     storage.Graph
	timelines timeline.Store
	fanout    Fanout
	tiers     *storage.TierCopy
	clock     feed.Clock
	log       *slog.Logger
	metrics   *metrics
	lagBound  time.Duration
	cap       int

	follows  *followCache
	recent   *recentCache
	building singleflight.Group // rebuilds and folds, one a viewer (T7)
	rebuilds chan struct{}      // bounds rebuilds
	degraded chan struct{}      // bounds degraded pages
}

func newHomeReader(cfg Config, m *metrics) *homeReader {
	return &homeReader{
		posts:     cfg.Posts,
		graph:     cfg.Graph,
		timelines: cfg.Timelines,
		fanout:    cfg.Fanout,
		tiers:     cfg.Tiers,
		clock:     cfg.Clock,
		log:       cfg.Logger,
		metrics:   m,
		lagBound:  cfg.LagBound,
		cap:       cfg.TimelineCap,
		follows:   newFollowCache(cfg.Graph, cfg.Clock, m),
		recent:    newRecentCache(cfg.Posts, cfg.Clock, m),
		rebuilds:  make(chan struct{}, maxRebuilds),
		degraded:  make(chan struct{}, maxDegraded),
	}
}

func (h *homeReader) close() { h.recent.close() }

// homePage is a page, or as much of it as could be made.
type homePage struct {
	posts   []feed.Post
	origins []timeline.Origin // parallel to posts
	// next: the page that follows begins below it; 0 when there is none.
	next     feed.PostID
	degraded bool
}

// read makes the page of viewer that begins below before and has up to size
// posts.
func (h *homeReader) read(ctx context.Context, viewer feed.UserID, before feed.PostID, size int) (homePage, error) {
	tiers, err := h.tiers.View(ctx)
	if err != nil {
		return homePage{}, err
	}
	// The top comes first: see the package comment.
	s := &scan{homeReader: h, viewer: viewer, tiers: tiers, top: h.top(viewer)}
	s.query = timeline.Query{Viewer: viewer, Before: before, Limit: fetch(size), Life: uint64(tiers.Life)}
	s.stored, err = h.timelines.Read(ctx, s.query)
	degraded := err != nil
	if degraded {
		h.log.Warn("the store of timelines cannot be asked; pulling from storage", "err", err)
		h.metrics.degraded.Inc()
		select {
		case h.degraded <- struct{}{}:
			defer func() { <-h.degraded }()
		default:
			return homePage{}, feed.Exhausted(degradedRetry, "too many timelines are read while their store is down")
		}
	}
	s.aside = h.fanout.SetAside()
	if s.stored.State == timeline.Absent {
		if err := s.revive(ctx, degraded); err != nil {
			return homePage{}, err
		}
	}
	s.following, err = h.follows.get(ctx, viewer, s.stored.Acts, tiers)
	if err != nil {
		return homePage{}, err
	}
	page, err := s.page(ctx, before, size)
	page.degraded = degraded
	if err == nil && before == feed.MaxPostID && s.stored.State == timeline.Live {
		s.fold(ctx)
	}
	return page, err
}

// top is the id from which on delivery may be late; feed.MaxPostID while it
// keeps within the lag bound.
func (h *homeReader) top(viewer feed.UserID) feed.PostID {
	top := h.fanout.Top(h.timelines.Shard(viewer))
	if top >= feed.IDAt(h.clock().Add(-h.lagBound)) {
		return feed.MaxPostID
	}
	h.metrics.aboveTop.Inc()
	return top
}

// fetch is how many candidates to ask for to fill a page of n: some will turn
// out to be deleted, or by authors not followed any more.
func fetch(n int) int { return n + n/4 + 8 }

// revive rebuilds the timeline of a viewer who has none and reads it again. A
// timeline that cannot be had is no error: the page is then pulled.
func (s *scan) revive(ctx context.Context, degraded bool) error {
	users, err := s.graph.GetUsers(ctx, []feed.UserID{s.viewer})
	if err != nil {
		return err
	}
	if len(users) == 0 {
		return feed.NotFound("there is no user %d; create it with GraphService.CreateUser", s.viewer)
	}
	if degraded {
		return nil
	}
	if err := s.rebuild(ctx, s.viewer); err != nil {
		return err
	}
	stored, err := s.timelines.Read(ctx, s.query)
	if err == nil {
		s.stored = stored
	}
	return nil
}
