package loadgen

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

const (
	// readers is how many scrolls, or first reads, are under way at once when
	// nothing else is.
	readers = 16
	// scrollers and scrollsPerSecond bound the scrolls beside the load.
	scrollers        = 2
	scrollsPerSecond = 40
)

// eachViewer calls f for every viewer that is checked, several at once, until
// ctx ends.
func (r *run) eachViewer(ctx context.Context, f func(viewer uint32, rng *rand.Rand)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(r.cfg.Seed, 100+uint64(i)))
			for ctx.Err() == nil {
				at := next.Add(1) - 1
				if at >= int64(len(r.viewers)) {
					return
				}
				f(r.viewers[at], rng)
				r.cfg.Progress.Add(1)
			}
		})
	}
	wg.Wait()
}

// warm reads every viewer once, so that each has a live timeline before the
// first post, and learns which posts are older than the run.
func (r *run) warm(ctx context.Context) {
	r.cfg.Progress.Stage("warm", int64(len(r.viewers)))
	r.eachViewer(ctx, func(viewer uint32, _ *rand.Rand) {
		answer := r.page(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: int64(r.audience.ID(viewer)), PageSize: 1})
		for _, p := range answer.GetPosts() {
			r.history.Foreign(feed.PostID(p.GetId()))
		}
	})
}

// load carries out the plan. It returns when every call has, and every probe.
func (r *run) load(ctx context.Context) {
	r.cfg.Progress.Stage("load", int64(r.cfg.Duration/time.Second))
	p := newPlan(r.cfg, r.audience, rand.New(rand.NewPCG(r.cfg.Seed, 3)))
	r.began = r.now()
	sinceBegin := func() time.Duration { return r.now() - r.began }

	calls := make(chan call)
	go pace(ctx, p, sinceBegin, calls)
	var workers sync.WaitGroup
	for range r.cfg.InFlight {
		workers.Go(func() {
			for c := range calls {
				r.perform(ctx, c)
			}
		})
	}
	besides, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	for i := range scrollers {
		others.Go(func() { r.scrollBeside(besides, rand.New(rand.NewPCG(r.cfg.Seed, 200+uint64(i)))) })
	}
	others.Go(func() { r.tick(besides) })
	workers.Wait()
	r.loaded = sinceBegin()
	stop()
	others.Wait()
	r.cfg.Progress.Stage("probes", 1) // that still wait for their posts
	r.probes.running.Wait()
}

// tick moves the progress of the load, in seconds.
func (r *run) tick(ctx context.Context) {
	for range int64(r.cfg.Duration / time.Second) {
		if !wait(ctx, time.Second) {
			return
		}
		r.cfg.Progress.Add(1)
	}
}

// scrollBeside scrolls while the load goes on: viewers who have just acted, and
// others. A scroll that is under way when ctx ends is judged as far as it got.
func (r *run) scrollBeside(ctx context.Context, rng *rand.Rand) {
	limit := rate.NewLimiter(scrollsPerSecond/scrollers, 1)
	for limit.Wait(ctx) == nil {
		viewer := r.viewers[rng.IntN(len(r.viewers))]
		if rng.IntN(2) == 0 {
			select {
			case viewer = <-r.acted:
			default:
			}
		}
		r.scroll(ctx, viewer, pageSize(rng))
	}
}

// settle waits until the lag bound of the last post has passed.
func (r *run) settle(ctx context.Context) {
	r.cfg.Progress.Stage("settle", 1)
	if wait(ctx, r.cfg.LagBound) {
		r.cfg.Progress.Add(1)
	}
}

// check scrolls every viewer's home timeline to its end.
func (r *run) check(ctx context.Context) {
	r.cfg.Progress.Stage("check", int64(len(r.viewers)))
	r.eachViewer(ctx, func(viewer uint32, rng *rand.Rand) {
		v, whole := r.scroll(ctx, viewer, pageSize(rng))
		if whole {
			r.checked.Add(1)
		}
		r.pairs.Add(v.Pairs)
		r.pushed.Add(v.Pushed)
	})
}

// restoreWithin bounds the restoring, after an interruption too.
const restoreWithin = 5 * time.Second

// restore undoes the follows and unfollows of the load, those included whose outcome
// is unknown, so that another run finds the graph as it was. It does so after an
// interruption as well, but does not insist: it says what it could not undo.
func (r *run) restore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreWithin)
	defer cancel()
	edges := r.history.AllChanged()
	var left atomic.Int64
	var g errgroup.Group
	g.SetLimit(readers)
	for _, e := range edges {
		g.Go(func() error {
			name, set := r.setFollow(e.Viewer, e.Author, !e.Follows)
			if r.do(ctx, name, func(ctx context.Context) error { return patiently(ctx, func() error { return set(ctx) }) }) != happened {
				left.Add(1)
			}
			return nil
		})
	}
	_ = g.Wait() // no error
	if n := left.Load(); n > 0 {
		r.cfg.Progress.Note("THE SERVER HOLDS OTHER FOLLOWS THAN THE GRAPH'S: %d of the load's could not be undone; another run on this data may accuse a correct server", n)
	}
}
