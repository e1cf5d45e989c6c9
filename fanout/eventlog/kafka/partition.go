package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
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
	next      int64       // the offset that Fetch goes on from; negative: the oldest
	held      []eventlog.Record
	committed int64 // negative: nothing, or not to be compared with
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
			return eventlog.Batch{Gap: true, Next: a.next}, nil
		}
		if err == nil {
			pause = newPause()
			continue
		}
		if ctx.Err() == nil {
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
	a.next = records[n-1].Offset + 1
	return eventlog.Batch{Records: records, Next: a.next}
}

// fill asks Kafka once. It reports a gap, after which next is where the log goes
// on.
func (a *assigned) fill(ctx context.Context) (gap bool, err error) {
	if a.next < 0 {
		return a.begin(ctx)
	}
	records, err := a.log.fetch(ctx, a.topic, a.id, a.next, fetchBytes, fetchWait)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return a.restart(ctx)
	}
	if err != nil || len(records) == 0 {
		return false, err
	}
	a.held = records
	// Offsets rise by one, since nothing compacts and nobody uses transactions:
	// whatever is missing was lost.
	if lost := records[0].Offset > a.next; lost {
		a.next = records[0].Offset
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
	a.next = first[a.id]
	return a.next > 0, nil
}

// restart finds where to go on when there is no such offset: retention removed
// it, or the partition ends before it, as its topic was made again or a replica
// without the last records took over.
func (a *assigned) restart(ctx context.Context) (gap bool, err error) {
	first, err := a.log.ends(ctx, a.topic, kafka.FirstOffset)
	if err != nil {
		return false, err
	}
	last, err := a.log.ends(ctx, a.topic, kafka.LastOffset)
	if err != nil {
		return false, err
	}
	switch {
	case a.next < first[a.id]:
	case a.next > last[a.id]:
		a.committed = none // those offsets mean other records, or none
	default:
		return false, errors.New("an offset out of range is in range again")
	}
	a.log.logger.Error("the event log has lost records", "topic", a.topic.name, "partition", a.id,
		"expected", a.next, "first", first[a.id], "end", last[a.id])
	a.next = first[a.id]
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
	if offset <= a.committed {
		return nil
	}
	err = a.log.commit(ctx, a.topic, a.group, a.number, a.memberID, a.id, offset)
	if errors.Is(err, eventlog.ErrRevoked) {
		a.revoke(eventlog.ErrRevoked) // the member joins again
	}
	if err == nil {
		a.committed = offset
	}
	return err
}
