package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/feed"
)

// assigned is a partition in the hands of one handle. It implements
// eventlog.Partition.
type assigned struct {
	log   *Log
	topic *topic
	group *group
	id    int
	ctx   context.Context // the handle's
	over  atomic.Bool     // the handle has returned
	next  int64           // the offset that Fetch goes on from
}

func (a *assigned) ID() int { return a.id }

func (a *assigned) revoked() bool {
	return a.over.Load() || errors.Is(context.Cause(a.ctx), eventlog.ErrRevoked)
}

// Fetch implements eventlog.Partition. It returns fewer than limit records when
// they are large.
func (a *assigned) Fetch(ctx context.Context, limit int) (eventlog.Batch, error) {
	for {
		if a.revoked() {
			return eventlog.Batch{}, eventlog.ErrRevoked
		}
		if err := cmp.Or(ctx.Err(), a.ctx.Err()); err != nil {
			return eventlog.Batch{}, err
		}
		head, wake := a.topic.await(a.id, a.next)
		if wake == nil {
			return a.take(ctx, head, limit)
		}
		select {
		case <-wake:
		case <-ctx.Done():
		case <-a.ctx.Done():
		}
	}
}

// take returns the records that follow, up to the next hole. A hole is data that
// went missing; what comes after it is marked.
func (a *assigned) take(ctx context.Context, head int64, limit int) (eventlog.Batch, error) {
	_, leave, err := a.log.enter(ctx, a.topic.name)
	if err != nil {
		return eventlog.Batch{}, err
	}
	defer leave()
	records, err := a.log.read(a.topic, a.id, a.next, head, limit)
	if err != nil {
		return eventlog.Batch{}, err
	}
	if len(records) == 0 {
		a.next = head
		return eventlog.Batch{Gap: true, Next: head}, nil
	}
	gap := records[0].Offset > a.next
	for i := range records {
		if records[i].Offset != records[0].Offset+int64(i) {
			records = records[:i]
			break
		}
	}
	a.next = records[len(records)-1].Offset + 1
	return eventlog.Batch{Records: records, Gap: gap, Next: a.next}, nil
}

// Commit implements eventlog.Partition. An offset beyond the last record is
// refused.
func (a *assigned) Commit(ctx context.Context, offset int64) error {
	if a.revoked() {
		return eventlog.ErrRevoked
	}
	t, leave, err := a.log.enter(ctx, a.topic.name)
	if err != nil {
		return err
	}
	defer leave()
	t.order.Lock()
	batch, err := a.decide(offset)
	t.order.Unlock()
	if batch == nil || err != nil {
		return err
	}
	if err := a.log.wait(batch); err != nil {
		return err
	}
	a.log.trim(t, a.id)
	return nil
}

// decide hands the commit to Pebble, unless it changes nothing. The caller holds
// the topic's order lock; so a Reset, which needs a group without owners, and a
// late Commit do not mix.
func (a *assigned) decide(offset int64) (*pebble.Batch, error) {
	t := a.topic
	t.mu.Lock()
	committed, head := a.group.committed[a.id], t.mu.partitions[a.id].head
	t.mu.Unlock()
	switch {
	case a.revoked():
		return nil, eventlog.ErrRevoked
	case offset <= committed:
		return nil, nil
	case offset > head:
		return nil, feed.Invalid(feed.Violation{
			Field:       "offset",
			Description: fmt.Sprintf("is %d, beyond the end of partition %d of topic %q, %d", offset, a.id, t.name, head),
		})
	}
	return a.log.commit(t, a.group, a.id, offset)
}
