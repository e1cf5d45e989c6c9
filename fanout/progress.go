package fanout

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"skein/feed"
)

// refreshEvery is how often the top is computed, measureEvery how often the outbox is
// counted.
const (
	refreshEvery = 200 * time.Millisecond
	measureEvery = time.Second
)

// flow is the way of work through the log, in the order in which it is asked what
// is pending: work that moves on while we ask is then met at least once.
var flow = []string{topicPosts, topicLarge, topicBulk, topicParked}

// progress knows how far delivery got. Its answers may be old but never too high:
// the top only rises, so an old one is merely cautious.
type progress struct {
	cfg     Config
	metrics *metrics
	now     atomic.Pointer[progressView]
	aside   asideList // owned by the goroutine that refreshes
}

// progressView is immutable.
type progressView struct {
	tops  []feed.PostID // by shard
	aside []feed.Ref
}

func newProgress(cfg Config, m *metrics) *progress {
	p := &progress{cfg: cfg, metrics: m, aside: asideList{log: cfg.Log}}
	p.now.Store(&progressView{tops: make([]feed.PostID, cfg.Timelines.Shards())})
	return p
}

func (p *progress) of(shard int) (top feed.PostID, aside []feed.Ref) {
	view := p.now.Load()
	if shard >= 0 && shard < len(view.tops) {
		top = view.tops[shard]
	}
	return top, view.aside
}

// run refreshes until ctx ends.
func (p *progress) run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := p.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			for _, topic := range flow {
				p.metrics.pending(laneNames[topic], 0, err)
			}
		}
		if err != nil && !failing {
			p.cfg.Logger.Warn("cannot tell how far delivery got; readers pull what is newer than they know", "err", err)
		}
		failing = err != nil
	}
}

// refresh computes the top of each shard: the least post that is anywhere on its
// way. What is set aside is read first and last, since a replay takes a post from
// the end of the way back into its middle.
func (p *progress) refresh(ctx context.Context) error {
	before, err := p.aside.refresh(ctx)
	if err != nil {
		return err
	}
	low, err := p.lowAfter(ctx, topicBulk)
	if err != nil {
		return err
	}
	view := &progressView{tops: make([]feed.PostID, p.cfg.Timelines.Shards())}
	parked, err := p.cfg.Log.Pending(ctx, Group, topicParked)
	if err != nil {
		return err
	}
	count := int64(0)
	for _, pending := range parked {
		count += pending.Count
	}
	p.metrics.pending(laneNames[topicParked], count, nil)
	if view.aside, err = p.aside.refresh(ctx); err != nil {
		return err
	}
	if len(before) > 0 {
		view.aside = slices.Concat(view.aside, before)
		slices.SortFunc(view.aside, func(a, b feed.Ref) int { return compareNewest(a.Post, b.Post) })
		view.aside = slices.Compact(view.aside)
	}
	p.metrics.asideNow.Set(float64(len(view.aside)))
	low = min(low, p.aside.rest)
	for shard := range view.tops {
		view.tops[shard] = low
		partition := p.cfg.Log.PartitionOf(topicParked, shardKey(shard))
		for _, pending := range parked {
			if pending.Partition == partition {
				view.tops[shard] = min(low, pending.Low)
			}
		}
	}
	p.now.Store(view)
	return nil
}

// lowAfter returns a lower bound of the posts in the outbox and in the topics of
// the flow up to and including last, and of all that will ever get there.
func (p *progress) lowAfter(ctx context.Context, last string) (feed.PostID, error) {
	// Before the outbox is asked: a post that commits later is newer than this.
	low := settledID(p.cfg.Posts.Now())
	oldest, err := p.cfg.Posts.OldestEvent(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the outbox: %w", err)
	}
	low = min(low, oldest)
	for _, topic := range flow {
		pending, err := p.cfg.Log.Pending(ctx, Group, topic)
		if err != nil {
			return 0, fmt.Errorf("ask the log what is pending of %s: %w", topic, err)
		}
		count := int64(0)
		for _, p := range pending {
			low = min(low, p.Low)
			count += p.Count
		}
		p.metrics.pending(laneNames[topic], count, nil)
		if topic == last {
			break
		}
	}
	return low, nil
}

// measureOutbox tells, until ctx ends, what the log does not have yet, which piles up
// while it is away. It is apart from the top, which must not wait for a count.
func (p *progress) measureOutbox(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		waiting, err := p.cfg.Posts.CountEvents(ctx)
		if ctx.Err() == nil {
			p.metrics.pending(outbox, waiting, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
