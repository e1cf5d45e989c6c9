package fanout

import (
	"context"
	"errors"
	"fmt"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/timeline"
)

// chunkLane handles the chunks of a lane: it lists the followers of each where the
// edges are committed, page by page, and delivers to those who have a timeline. It
// bounds how many chunks are in work, so that processors are left to others; each lane
// for itself, so that none waits for another (F3).
type chunkLane struct {
	*Fanout
	topic string
	page  int
	way   *giveWay
	turns chan struct{} // holds one for each worker that works or rests
}

func (f *Fanout) largeLane() *chunkLane {
	return &chunkLane{Fanout: f, topic: topicLarge, page: listPage, turns: make(chan struct{}, max(1, f.cfg.Heavy/2))}
}

func (f *Fanout) bulkLane() *chunkLane {
	return &chunkLane{Fanout: f, topic: topicBulk, page: bulkPage, way: &giveWay{runnable: runnable}, turns: make(chan struct{}, f.cfg.Heavy)}
}

func (l *chunkLane) handle(ctx context.Context, records []eventlog.Record, later later) error {
	for _, r := range records {
		if err := l.handleRecord(ctx, r, later); err != nil {
			return err
		}
	}
	return nil
}

func (l *chunkLane) handleRecord(ctx context.Context, r eventlog.Record, later later) error {
	c, err := decodeChunk(r)
	if err != nil {
		return l.putAside(ctx, l.topic, r, err, later)
	}
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l.way.begin()
	defer l.way.end()
	return l.eachPage(ctx, c.Author, c.hashes, l.page, func(page []feed.UserID) error {
		if err := l.deliver(ctx, []timeline.Delivery{{Post: c.Post, Viewers: page}}, later); err != nil {
			return err
		}
		l.way.pause()
		return nil
	})
}

// deliverWhole writes the entries of one post and parks nothing: it fails when a
// shard does. For work that is too old to enter a lane again.
func (f *Fanout) deliverWhole(ctx context.Context, post feed.PostID, viewers []feed.UserID) error {
	outcome, err := f.cfg.Timelines.Deliver(ctx, []timeline.Delivery{{Post: post, Viewers: viewers}})
	if err != nil {
		return err
	}
	f.metrics.count(outcome)
	for _, u := range outcome.Undelivered {
		return feed.Unavailable("deliver to a shard", fmt.Errorf("%w: shard %d: %w", errShardFails, u.Shard, u.Err))
	}
	return nil
}

// deliver writes entries, counts them, and parks what a failing shard did not
// take: its records are done then, and the other shards go on.
func (f *Fanout) deliver(ctx context.Context, deliveries []timeline.Delivery, later later) error {
	if len(deliveries) == 0 {
		return nil
	}
	outcome, err := f.cfg.Timelines.Deliver(ctx, deliveries)
	if err != nil {
		return err
	}
	f.metrics.count(outcome)
	for _, u := range outcome.Undelivered {
		f.cfg.Logger.Warn("a shard of the timelines fails; its deliveries are parked", "shard", u.Shard, "err", u.Err)
		for _, d := range u.Deliveries {
			later.add(topicParked, parkedRecord(parked{post: d.Post, shard: u.Shard, viewers: d.Viewers}))
		}
	}
	return nil
}

var errShardFails = errors.New("the shard still fails")

// deliverParked tries parked deliveries again. They are never parked twice: a
// shard that fails holds up its partition alone, until it works.
func (f *Fanout) deliverParked(ctx context.Context, records []eventlog.Record, later later) error {
	for _, r := range records {
		err := f.deliverParkedRecord(ctx, r)
		if errors.Is(err, errMalformed) {
			err = f.putAside(ctx, topicParked, r, err, later)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Fanout) deliverParkedRecord(ctx context.Context, r eventlog.Record) error {
	p, err := decodeParked(r)
	if err != nil {
		return err
	}
	return f.deliverWhole(ctx, p.post, p.viewers)
}
