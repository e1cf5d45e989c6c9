package server

import (
	"context"
	"errors"
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
	log       *steady
	metrics   *metrics
	lagBound  time.Duration
	cap       int

	follows  *followCache
	recent   *recentCache
	shown    *postCache
	building singleflight.Group // rebuilds, and folds, one a viewer (T7)
	rebuilds chan struct{}      // bounds rebuilds
	degraded chan struct{}      // bounds degraded pages
}

func newHomeReader(cfg Config, log *steady, m *metrics) *homeReader {
	return &homeReader{
		posts:     cfg.Posts,
		graph:     cfg.Graph,
		timelines: cfg.Timelines,
		fanout:    cfg.Fanout,
		tiers:     cfg.Tiers,
		log:       log,
		metrics:   m,
		lagBound:  cfg.LagBound,
		cap:       cfg.TimelineCap,
		follows:   newFollowCache(cfg.Graph, cfg.Clock, m),
		recent:    newRecentCache(cfg.Posts, cfg.Clock, m),
		shown:     newPostCache(cfg.Posts, cfg.Timelines, cfg.Clock, m),
		rebuilds:  make(chan struct{}, maxRebuilds),
		degraded:  make(chan struct{}, maxDegraded),
	}
}

func (h *homeReader) close() { h.recent.close() }

// homePage is a page, or as much of it as could be made.
type homePage struct {
	posts   []*shownPost      // shared with other pages
	origins []timeline.Origin // parallel to posts
	// next: the page that follows begins below it; 0 when there is none.
	next     feed.PostID
	degraded bool
}

// read makes the page of viewer that begins below before and has up to size
// posts.
func (h *homeReader) read(ctx context.Context, viewer feed.UserID, before feed.PostID, size int) (homePage, error) {
	s := &scan{homeReader: h, viewer: viewer}
	defer s.release()
	s.query = timeline.Query{Viewer: viewer, Before: before, Limit: fetch(size)}
	if err := s.open(ctx); err != nil {
		return homePage{}, err
	}
	if s.stored.State != timeline.Live {
		if err := s.revive(ctx); err != nil {
			return homePage{}, err
		}
	}
	var err error
	s.following, err = h.follows.get(ctx, viewer, s.stored.Acts, s.tiers)
	if err != nil {
		return homePage{}, err
	}
	page, err := s.page(ctx, before, size)
	page.degraded = s.degraded
	if err == nil && before == feed.MaxPostID && s.stored.State == timeline.Live {
		s.fold(ctx)
	}
	return page, err
}

// open asks for the tiers, the progress and the stored timeline, in the order that
// the package comment gives.
func (s *scan) open(ctx context.Context) (err error) {
	if s.tiers, err = s.homeReader.tiers.View(ctx); err != nil {
		return err
	}
	s.query.Life = uint64(s.tiers.Life)
	s.top, s.aside = s.fanout.Progress(s.timelines.Shard(s.viewer))
	if s.top >= feed.IDAt(s.posts.Now().Add(-s.lagBound)) {
		s.top = feed.MaxPostID // delivery keeps within the lag bound
	} else {
		s.metrics.aboveTop.Inc()
	}
	return s.load(ctx)
}

// load reads the stored timeline. When it cannot be asked the page is degraded:
// what the timeline would have shown is pulled.
func (s *scan) load(ctx context.Context) (err error) {
	if s.stored, err = s.timelines.Read(ctx, s.query); err != nil {
		s.stored = timeline.Page{}
		return s.degrade(ctx, err)
	}
	return nil
}

// degrade goes on without the store of timelines, if not too many pages do and the
// reader still waits: who went away is no failure of the store.
func (s *scan) degrade(ctx context.Context, cause error) error {
	if s.degraded {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.log.Warn("the store of timelines cannot be asked; pulling from storage", "err", cause)
	s.metrics.degraded.Inc()
	select {
	case s.homeReader.degraded <- struct{}{}:
		s.degraded = true
		return nil
	default:
		return feed.Exhausted(degradedRetry, "too many timelines are read while their store is down")
	}
}

func (s *scan) release() {
	if s.degraded {
		<-s.homeReader.degraded
	}
}

// fetch is how many candidates to ask for to fill a page of n: some will turn
// out to be deleted, or by authors not followed any more.
func fetch(n int) int { return n + n/4 + 8 }

// revive rebuilds the timeline of a viewer who has none that can be read, and opens
// it. One that somebody else is building is no error: the page is then pulled.
func (s *scan) revive(ctx context.Context) error {
	if err := mustExist(ctx, s.graph, s.viewer); err != nil {
		return err
	}
	if s.degraded {
		return nil
	}
	if err := s.rebuild(ctx, s.viewer); err != nil {
		if errors.Is(err, errNotStored) {
			return s.degrade(ctx, err)
		}
		return err
	}
	// All afresh: a rebuild may have waited long, and left to be pulled what
	// the older tiers do not know to be loud.
	return s.open(ctx)
}
