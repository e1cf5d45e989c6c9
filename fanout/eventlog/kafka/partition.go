package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
	"skein/feed"
)

// assigned is a partition in the hands of one handle, whose goroutine owns it. It
// implements eventlog.Partition.
//
// It asks for records itself rather than with the driver's Reader: that one
// steps over lost offsets with a log line, and what it has fetched ahead outlives
// the assignment. Here nothing is fetched but in a call of Fetch, and what
// a request brought beyond the limit is held, at most fetchBytes or one batch.
type assigned struct {
	*generation
	id        int
	over      atomic.Bool // the handle has returned
	next      position    // where Fetch goes on; none: at the oldest
	held      []eventlog.Record
	sure      moment // until when next is known to hold
	committed position
	failed    error // of the last commit, if Kafka was unavailable for it
	lost      bool  // what committed speaks of: it is not to be compared with
}

func (a *assigned) ID() int { return a.id }

// Fetch implements eventlog.Partition. It outlasts failures of Kafka: without an
// answer it waits as it does without a record.
func (a *assigned) Fetch(ctx context.Context, limit int) (eventlog.Batch, error) {
	if limit < 1 {
		return eventlog.Batch{}, fmt.Errorf("event log: a limit of %d records, need at least 1", limit)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	for pause := newPause(); ; {
		if err := a.stopped(ctx); err != nil {
			return eventlog.Batch{}, err
		}
		if len(a.held) > 0 {
			return a.take(limit), nil
		}
		gap, err := a.fill(ctx)
		if gap {
			return eventlog.Batch{Gap: true, Next: a.next.offset}, nil
		}
		if err == nil {
			pause = newPause()
			continue
		}
		if ctx.Err() == nil {
			a.log.failures.Add(1)
			a.log.logger.Debug("kafka: fetch failed; trying again", "topic", a.topic.name, "partition", a.id, "err", err)
			pause.wait(ctx)
		}
	}
}

// stopped returns why there is nothing to fetch any more. ctx may have ended
// because the handles' context has.
func (a *assigned) stopped(ctx context.Context) error {
	if a.over.Load() || errors.Is(context.Cause(a.ctx), eventlog.ErrRevoked) {
		return eventlog.ErrRevoked
	}
	return cmp.Or(ctx.Err(), a.ctx.Err())
}

func (a *assigned) take(limit int) eventlog.Batch {
	n := min(limit, len(a.held))
	records := a.held[:n:n]
	a.held = a.held[n:]
	a.next = position{records[n-1].Offset + 1, fingerprint(&records[n-1])}
	return eventlog.Batch{Records: records, Next: a.next.offset}
}

// fill asks Kafka once, or twice if it has reason to doubt that the log still is what
// next was found in. It reports a gap, after which next is where the log goes
// on.
func (a *assigned) fill(ctx context.Context) (gap bool, err error) {
	if a.next.offset < 0 {
		return a.begin(ctx)
	}
	if a.log.doubtful(a.sure, silence) {
		now := a.log.now()
		holds, err := a.log.holds(ctx, a.topic, a.id, a.next)
		if err != nil {
			return false, err
		}
		if !holds {
			return a.restart(ctx)
		}
		a.sure = now
	}
	records, err := a.log.fetch(ctx, a.topic, a.id, a.next.offset, fetchBytes, fetchWait)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return a.outside(ctx)
	}
	if err != nil {
		return false, err
	}
	a.sure.at = time.Now()
	if len(records) == 0 {
		return false, nil
	}
	a.held = records
	// Offsets rise by one, since nothing compacts and nobody uses transactions:
	// whatever is missing was lost.
	if lost := records[0].Offset > a.next.offset; lost {
		a.next = position{offset: records[0].Offset}
		return true, nil
	}
	return false, nil
}

// begin finds where a group begins that has committed nothing. If records were
// removed before it came, it never read them, or its commits expired: a gap.
func (a *assigned) begin(ctx context.Context) (gap bool, err error) {
	first, err := a.log.ends(ctx, a.topic, kafka.FirstOffset)
	if err != nil {
		return false, err
	}
	a.next = position{offset: first[a.id]}
	return a.next.offset > 0, nil
}

// outside finds where to go on when there is no such offset: retention removed it,
// or the partition ends before it.
func (a *assigned) outside(ctx context.Context) (gap bool, err error) {
	last, err := a.log.ends(ctx, a.topic, kafka.LastOffset)
	if err != nil {
		return false, err
	}
	first, err := a.log.ends(ctx, a.topic, kafka.FirstOffset)
	if err != nil {
		return false, err
	}
	if a.next.offset >= first[a.id] && a.next.offset <= last[a.id] {
		return false, errors.New("an offset out of range is in range again") // a failure: it is doubted now
	}
	return a.restart(ctx)
}

// restart goes on at the oldest record, as next means nothing any more. If retention
// did not do that, the topic was made again, or lost its last records with a broker
// that had them alone.
func (a *assigned) restart(ctx context.Context) (gap bool, err error) {
	first, err := a.log.ends(ctx, a.topic, kafka.FirstOffset)
	if err != nil {
		return false, err
	}
	a.log.logger.Error("the event log has lost records", "topic", a.topic.name, "partition", a.id,
		"expected", a.next.offset, "first", first[a.id])
	a.lost = a.next.offset >= first[a.id]
	a.next = position{offset: first[a.id]}
	return true, nil
}

// Commit implements eventlog.Partition. It works until handle returns, unless
// the group went on without this member: Kafka compares the generation.
func (a *assigned) Commit(ctx context.Context, offset int64) error {
	if a.over.Load() {
		return eventlog.ErrRevoked
	}
	_, leave, err := a.log.enter(ctx, a.topic.Name)
	if err != nil {
		return err
	}
	defer leave()
	if offset <= a.committed.offset && !a.lost {
		return nil
	}
	to := position{offset: offset}
	if offset == a.next.offset {
		to = a.next
	}
	err = a.log.commit(ctx, a.topic, a.group, a.number, a.memberID, a.id, to)
	if errors.Is(err, eventlog.ErrRevoked) {
		a.revoke(eventlog.ErrRevoked) // the member joins again
	}
	if a.failed = nil; feed.CodeOf(err) == feed.CodeUnavailable {
		a.failed = err
	}
	if err == nil {
		a.committed, a.lost = to, false
	}
	return err
}
