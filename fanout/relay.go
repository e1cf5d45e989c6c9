package fanout

import (
	"context"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/storage"
)

const (
	// relayBatch is how many events are appended to the log together.
	relayBatch = 512
	// busy is how many events in one round show that posts keep coming, and relayRest
	// how long the relay rests then.
	busy      = 4
	relayRest = 10 * time.Millisecond
)

// relay moves events from the outbox to the log until ctx ends. An event leaves
// the outbox only after the log has it durably.
//
// A post that comes alone is relayed at once. While many come the relay rests between
// its rounds, since a round costs storage, the log, and the planner of each partition
// much the same for one event as for ten.
func (f *Fanout) relay(ctx context.Context) {
	tick := time.NewTicker(f.cfg.Sweep)
	defer tick.Stop()
	pause := newPause()
	for ctx.Err() == nil {
		n, err := f.relayOnce(ctx)
		if err != nil && ctx.Err() == nil {
			f.cfg.Logger.Warn("events wait in the outbox; trying again", "err", err)
			pause.wait(ctx)
			continue
		}
		pause = newPause()
		if n == relayBatch {
			continue // there may be more
		}
		if n >= busy {
			wait(ctx, relayRest)
		}
		select {
		case <-f.wake:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (f *Fanout) relayOnce(ctx context.Context) (int, error) {
	// Read before the outbox is: an event committed later than this moment has
	// a higher id.
	settled := settledID(f.cfg.Posts.Now())
	return f.cfg.Posts.Relay(ctx, relayBatch, func(oldest feed.PostID, events []storage.Event) error {
		low := min(oldest, settled)
		records := make([]eventlog.Record, len(events))
		for i, e := range events {
			records[i] = createdRecord(e, low)
		}
		// An append under way is finished, not cut off.
		return f.cfg.Log.Append(f.working, topicPosts, records...)
	})
}

// settledID is an id below which no post can commit any more at now: twice
// feed.MaxIDAge, as between the check of an id's age and its commit a process may
// be slow.
func settledID(now time.Time) feed.PostID { return feed.IDAt(now.Add(-2 * feed.MaxIDAge)) }
