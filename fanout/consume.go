package fanout

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/feed/policy"
)

// consume works on a lane until ctx ends.
func (f *Fanout) consume(ctx context.Context, l lane) {
	for pause := newPause(); ctx.Err() == nil; pause.wait(ctx) {
		began := time.Now()
		err := f.cfg.Log.Consume(ctx, Group, l.topic, func(ctx context.Context, p eventlog.Partition) error {
			return f.consumePartition(ctx, l, p)
		})
		if err != nil && ctx.Err() == nil {
			f.cfg.Logger.Error("a lane stopped; joining again", "lane", l.topic, "err", err)
		}
		if time.Since(began) > maxPause {
			pause = newPause() // it worked for a while
		}
	}
}

// consumePartition handles batch after batch. A batch is committed as a whole,
// after the barrier, so that the committed offset promises all below it.
func (f *Fanout) consumePartition(ctx context.Context, l lane, p eventlog.Partition) error {
	for {
		batch, err := p.Fetch(ctx, l.batch)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrRevoked) {
			return nil
		}
		if err != nil {
			return err
		}
		if batch.Gap && !f.beginLife(ctx, l) {
			return nil
		}
		if len(batch.Records) > 0 && !f.handle(ctx, l, batch.Records) {
			return nil // aborted: whoever comes next repeats the batch
		}
		if err := p.Commit(f.working, batch.Next); err != nil {
			if errors.Is(err, eventlog.ErrRevoked) {
				return nil
			}
			return err
		}
		if l.topic != topicPosts { // the planner observes what it delivers itself
			f.metrics.observe(l.topic, batch.Records, f.cfg.Posts.Now())
		}
	}
}

// handle repeats a batch until it is done, and reports whether it is. A batch
// that works is finished even after fetching ended; one that fails is then left.
func (f *Fanout) handle(ctx context.Context, l lane, records []eventlog.Record) bool {
	for pause := newPause(); ; pause.wait(ctx) {
		mark := f.cfg.Timelines.Mark()
		later, err := f.attempt(l, records)
		if err != nil && !retryable(err) {
			later, err = f.handleEach(l, records)
		}
		if err == nil {
			if err = f.cfg.Timelines.Barrier(f.working, mark); err != nil {
				f.awaitTimelines(ctx)
			} else if err = f.append(later); err == nil {
				return true
			}
		}
		f.metrics.retries.WithLabelValues(laneNames[l.topic]).Inc()
		if ctx.Err() != nil || f.working.Err() != nil {
			return false
		}
		f.cfg.Logger.Warn("a batch failed; trying it again", "lane", l.topic,
			"partition", records[0].Partition, "offset", records[0].Offset, "err", err)
	}
}

// awaitTimelines waits until a barrier succeeds, or the context ends. The batch must
// be repeated all the same, since what it delivered may be lost; but not over and over
// while the timelines are away.
func (f *Fanout) awaitTimelines(ctx context.Context) {
	for pause := newPause(); ctx.Err() == nil && f.working.Err() == nil; pause.wait(ctx) {
		if f.cfg.Timelines.Barrier(f.working, f.cfg.Timelines.Mark()) == nil {
			return
		}
	}
}

// handleEach finds the record that makes its batch fail, and sets it aside (F5).
func (f *Fanout) handleEach(l lane, records []eventlog.Record) (later, error) {
	all := later{}
	for i, r := range records {
		of, err := f.attempt(l, records[i:i+1])
		if err != nil && !retryable(err) {
			of = later{} // all of it will be done by a replay
			err = f.putAside(f.working, l.topic, r, err, of)
		}
		if err != nil {
			return nil, err
		}
		for topic, records := range of {
			all.add(topic, records...)
		}
	}
	return all, nil
}

// attempt handles records once. A panic is an error like another, since a record
// that panics would otherwise take the process down at each start.
func (f *Fanout) attempt(l lane, records []eventlog.Record) (_ later, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.cfg.Logger.Error("a worker panicked", "lane", l.topic, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	left := later{}
	return left, l.handle(f.working, records, left)
}

// beginLife distrusts every stored timeline, as the log has lost records, and waits
// until no reader still works with the old life; it reports whether that is so. The
// log may tell a gap once only, so we insist, even where the partition is revoked
// meanwhile: until the life has begun, or fetching ends.
func (f *Fanout) beginLife(ctx context.Context, l lane) bool {
	f.cfg.Logger.Error("the log has lost records; all timelines will be rebuilt", "lane", l.topic)
	for pause := newPause(); ; pause.wait(f.fetching) {
		view, err := f.cfg.Tiers.View(f.working)
		if err == nil {
			_, err = f.cfg.Graph.BeginLife(f.working, view.Life)
		}
		if err == nil {
			break
		}
		if f.fetching.Err() != nil {
			return false
		}
		f.cfg.Logger.Warn("cannot begin a new life of the timelines; trying again", "err", err)
	}
	f.cfg.Tiers.Forget()
	wait(ctx, policy.MaxAge)
	return ctx.Err() == nil
}

// retryable reports whether a failed act may succeed later, unchanged.
func retryable(err error) bool {
	return feed.CodeOf(err) == feed.CodeUnavailable || feed.CodeOf(err) == feed.CodeExhausted ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

const (
	minPause = 20 * time.Millisecond
	maxPause = 2 * time.Second
)

// pause waits between attempts, twice as long each time.
type pause struct{ next time.Duration }

func newPause() *pause { return &pause{next: minPause} }

func (p *pause) wait(ctx context.Context) {
	wait(ctx, p.next)
	p.next = min(2*p.next, maxPause)
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
