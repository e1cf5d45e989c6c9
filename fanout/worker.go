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

// deliverChunks handles the chunks of a topic: it lists the followers of each
// where the edges are committed, and delivers to those who have a timeline.
func (f *Fanout) deliverChunks(topic string) func(context.Context, []eventlog.Record) error {
	turns := make(chan struct{}, f.cfg.Heavy) // holds one for each chunk of this lane in work, or next
	return func(ctx context.Context, records []eventlog.Record) error {
		for _, r := range records {
			c, err := decodeChunk(r)
			if err != nil {
				err = f.putAside(ctx, topic, r, err)
			} else {
				err = f.deliverChunk(ctx, turns, c)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// rest is how long a worker pauses after a chunk, which takes about as long. A
// worker that merely yields is scheduled again at once, without a look at what is
// stranded elsewhere: goroutines in the queue of a processor whose thread waits for
// the disk are found only by a processor that has nothing to do, or after 10 ms.
const rest = time.Millisecond

// deliverChunk works on one chunk when it is its turn, and then leaves its processor
// to others (F3). What is in work is bounded for both lanes of chunks together. But
// only those whose lane gives them a turn wait for it: so a chunk of the large lane
// waits for about one of bulk, not for one of each partition of bulk.
func (f *Fanout) deliverChunk(ctx context.Context, turns chan struct{}, c chunk) error {
	done, err := take(ctx, turns)
	if err != nil {
		return err
	}
	defer done()
	defer time.Sleep(rest)
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
