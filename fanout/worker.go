package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/timeline"
)

// rest is how long a worker of bulk pauses after a chunk, which takes about as long.
// A worker that merely yields is scheduled again at once, without a look at what is
// stranded elsewhere: goroutines in the queue of a processor whose thread waits for
// the disk are found only by a processor that has nothing to do, or after 10 ms.
const rest = time.Millisecond

// chunkLane handles the chunks of a lane: it lists the followers of each where the
// edges are committed, delivers to those who have a timeline, and rests.
//
// What is in work is bounded for both lanes of chunks together (F3). But a lane lets
// only so many of its workers wait for that: so a chunk of the large lane waits for
// about one of bulk, not for one of each partition of bulk.
type chunkLane struct {
	*Fanout
	topic string
	turns chan struct{} // holds one for each worker that waits for work, works or rests
	rest  time.Duration
}

func (f *Fanout) chunkLane(topic string, rest time.Duration) *chunkLane {
	return &chunkLane{Fanout: f, topic: topic, turns: make(chan struct{}, f.cfg.Heavy), rest: rest}
}

func (l *chunkLane) handle(ctx context.Context, records []eventlog.Record) error {
	for _, r := range records {
		if err := l.handleRecord(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (l *chunkLane) handleRecord(ctx context.Context, r eventlog.Record) error {
	c, err := decodeChunk(r)
	if err != nil {
		return l.putAside(ctx, l.topic, r, err)
	}
	rested, err := take(ctx, l.turns)
	if err != nil {
		return err
	}
	defer rested()
	defer time.Sleep(l.rest)
	return l.deliverChunk(ctx, c)
}

func (f *Fanout) deliverChunk(ctx context.Context, c chunk) error {
	worked, err := take(ctx, f.heavy)
	if err != nil {
		return err
	}
	defer worked()
	return f.eachPage(ctx, c.Author, c.hashes, func(page []feed.UserID) error {
		return f.deliver(ctx, []timeline.Delivery{{Post: c.Post, Viewers: page}})
	})
}

// take waits for room in a channel that counts, and returns how to give it back.
func take(ctx context.Context, room chan struct{}) (giveBack func(), err error) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
// take.
func (f *Fanout) deliver(ctx context.Context, deliveries []timeline.Delivery) error {
	if len(deliveries) == 0 {
		return nil
	}
	outcome, err := f.cfg.Timelines.Deliver(ctx, deliveries)
	if err != nil {
		return err
	}
	f.metrics.count(outcome)
	if len(outcome.Undelivered) == 0 {
		return nil
	}
	return f.park(ctx, outcome.Undelivered)
}

// park puts deliveries into the log under their shard. Their records are done
// then, and the other shards go on.
func (f *Fanout) park(ctx context.Context, undelivered []timeline.Undelivered) error {
	low, err := f.progress.lowAfter(ctx, topicBulk)
	if err != nil {
		return err
	}
	var records []eventlog.Record
	for _, u := range undelivered {
		f.cfg.Logger.Warn("a shard of the timelines fails; its deliveries are parked", "shard", u.Shard, "err", u.Err)
		for _, d := range u.Deliveries {
			records = append(records, parkedRecord(parked{post: d.Post, shard: u.Shard, viewers: d.Viewers}, low))
		}
	}
	if err := f.cfg.Log.Append(ctx, topicParked, records...); err != nil {
		return fmt.Errorf("park deliveries: %w", err)
	}
	return nil
}

var errShardFails = errors.New("the shard still fails")

// deliverParked tries parked deliveries again. They are never parked twice: a
// shard that fails holds up its partition alone, until it works.
func (f *Fanout) deliverParked(ctx context.Context, records []eventlog.Record) error {
	for _, r := range records {
		err := f.deliverParkedRecord(ctx, r)
		if errors.Is(err, errMalformed) {
			err = f.putAside(ctx, topicParked, r, err)
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
