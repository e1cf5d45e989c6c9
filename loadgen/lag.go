package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"skein/feed"
	"skein/loadgen/oracle"
	feedv1 "skein/proto/feed/v1"
)

const (
	// maxProbes bounds the probes under way. Posts acknowledged meanwhile are
	// not probed.
	maxProbes = 64
	// pollsPerSecond bounds the reads of all probes together, so that
	// measuring does not become the load.
	pollsPerSecond = 400
	// probesPerSecond bounds how many are begun, so that a slow server, whose
	// probes take long, still has some for every phase.
	probesPerSecond = 60
	// probeBounds is how many lag bounds a probe waits. One that gives up counts
	// as that lag, and is noted.
	probeBounds = 6

	probePage, probeWidePage = 20, 200
)

// probes measure lag as a reader has it: from a post's acknowledgement until a
// follower's read that shows it has returned.
type probes struct {
	begin, poll *rate.Limiter
	slots       chan struct{}
	running     sync.WaitGroup
	gaveUp      atomic.Int64
}

func (p *probes) init() {
	p.begin = rate.NewLimiter(probesPerSecond, probesPerSecond/4)
	p.poll = rate.NewLimiter(pollsPerSecond, maxProbes)
	p.slots = make(chan struct{}, maxProbes)
}

// probe begins to measure how long one follower waits for a post, if there is
// room for another probe. Posts of a burst have precedence.
func (r *run) probe(ctx context.Context, c call, n oracle.Number, id feed.PostID, acked oracle.Moment) {
	if r.cfg.NoProbes {
		return
	}
	rng := rand.New(rand.NewPCG(r.cfg.Seed, c.pick))
	viewer, ok := r.audience.follower(c.user, rng)
	if !ok || (!r.audience.celebrity(c.user) && !r.probes.begin.Allow()) {
		return
	}
	select {
	case r.probes.slots <- struct{}{}:
	default:
		return
	}
	r.probes.running.Go(func() {
		defer func() { <-r.probes.slots }()
		lag, gaveUp, ok := r.awaitPost(ctx, viewer, n, id, acked)
		if !ok {
			return
		}
		phase := r.cfg.phase(c.due)
		r.recorder.lag(fmt.Sprintf("decile_%d", r.audience.decile[c.user]), phase, lag, gaveUp)
		if who := r.group(c.user, viewer); who != "" {
			r.recorder.lag(who, phase, lag, gaveUp)
			// When it was due, as for its phase: so that a chart's band has what its
			// table counts.
			r.recorder.course.lagged(who, c.due, lag)
		}
	})
}

// group is whose lag a follower's is, of a post by author; of those who follow a
// celebrity and wait for somebody else's post, nobody's.
func (r *run) group(author, viewer uint32) string {
	switch {
	case r.audience.celebrity(author):
		return "celebrity_followers"
	case r.audience.bystander(viewer):
		return "bystanders"
	default:
		return ""
	}
}

// awaitPost polls a home timeline until it shows the post, and returns the lag, or
// that it gave up; not ok if the viewer is no longer owed the post, or for so long no
// server has answered that there is nothing to wait for.
func (r *run) awaitPost(ctx context.Context, viewer uint32, n oracle.Number, id feed.PostID, acked oracle.Moment) (lag time.Duration, gaveUp, ok bool) {
	size, answered := probePage, r.now()
	for {
		if r.probes.poll.Wait(ctx) != nil || !r.history.Owes(viewer, n) {
			return 0, false, false
		}
		shown, deeper := false, false
		r.do(ctx, callRead, func(ctx context.Context) error {
			answer, err := r.fleet.next().timelines.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{
				ViewerId: int64(r.audience.ID(viewer)), PageSize: int32(size),
			})
			shown, deeper = find(answer.GetPosts(), id, size)
			if outcomeOf(err) != unknown {
				answered = r.now()
			}
			return err
		})
		switch lag := r.now() - acked; {
		case shown:
			return lag, false, true
		case deeper && size == probeWidePage:
			return 0, false, false // 200 newer posts: it cannot be told
		case deeper:
			size = probeWidePage
		case r.now()-answered > r.cfg.LagBound:
			return 0, false, false
		case lag > probeBounds*r.cfg.LagBound:
			r.probes.gaveUp.Add(1)
			return probeBounds * r.cfg.LagBound, true, true
		default:
			// At first every 2 ms, then in proportion to the lag.
			if !wait(ctx, max(2*time.Millisecond, lag/10)) {
				return 0, false, false
			}
		}
	}
}

// find reports whether a page shows a post, else whether it may lie below.
func find(posts []*feedv1.Post, id feed.PostID, size int) (shown, deeper bool) {
	for _, p := range posts {
		if p.GetId() == int64(id) {
			return true, false
		}
	}
	return false, len(posts) >= size && posts[len(posts)-1].GetId() > int64(id)
}
