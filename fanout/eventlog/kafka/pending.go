package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"skein/fanout/eventlog"
	"skein/feed"
)

// mark is what Pending needs to know of one record.
type mark struct {
	offset int64
	low    feed.PostID
	since  time.Time
}

// marks remembers those records of a partition that were looked at last: a run
// of at most maxMarks. Records do not change, so it never errs; if the topic was
// made again since, what it remembers is too low, which is cautious.
type marks struct {
	mu  sync.Mutex
	run []mark // by offset
}

const (
	maxMarks = 4096
	// markBytes is what is fetched for them, and no less than a batch.
	markBytes = 64 << 10
)

func (m *marks) at(offset int64) (mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := slices.BinarySearchFunc(m.run, offset, func(k mark, offset int64) int { return int(k.offset - offset) })
	if !ok {
		return mark{}, false
	}
	return m.run[i], true
}

func (m *marks) remember(records []eventlog.Record) {
	run := make([]mark, min(len(records), maxMarks))
	for i := range run {
		run[i] = mark{offset: records[i].Offset, low: records[i].Low, since: records[i].AppendTime}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = run
}

// Pending implements eventlog.Log. It asks for the group's offsets and then for
// the ends, so that what moves on meanwhile is counted. The bound of a partition
// is that of its first record not committed, which is fetched once.
//
// Where that record is lost, or the one before it, the bound is 0: nobody knows what
// was there, until a member meets the gap and a new life begins.
func (l *Log) Pending(ctx context.Context, group, topic string) ([]eventlog.Pending, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	from, err := l.committed(ctx, t, group)
	if err != nil {
		return nil, err
	}
	ends, err := l.ends(ctx, t, kafka.LastOffset)
	if err != nil {
		return nil, err
	}
	lost, err := l.lost(ctx, t, group, from)
	if err != nil {
		return nil, err
	}
	pending := make([]eventlog.Pending, t.Partitions)
	asking, ctx := errgroup.WithContext(ctx)
	for i := range pending {
		begin := max(from[i].offset, 0) // a group that has committed nothing has all to do, the lost too
		p := &pending[i]
		*p = eventlog.Pending{Partition: i, Count: ends[i] - begin, Low: feed.MaxPostID}
		switch {
		case p.Count < 0 || lost[i]: // committed beyond the end, or what is not there
			p.Count, p.Low = max(ends[i], 1), 0
		case p.Count > 0:
			asking.Go(func() error { return l.oldest(ctx, t, p, begin) })
		}
	}
	return pending, asking.Wait()
}

// oldest fills in Low and Since from the record at an offset.
func (l *Log) oldest(ctx context.Context, t *topic, p *eventlog.Pending, offset int64) error {
	known := &t.marks[p.Partition]
	oldest, ok := known.at(offset)
	if !ok {
		records, err := l.read(ctx, t, p.Partition, offset, markBytes)
		if err != nil && !errors.Is(err, kafka.OffsetOutOfRange) {
			return err
		}
		known.remember(records)
		oldest, _ = known.at(offset) // else its bound is 0
	}
	p.Low, p.Since = oldest.low, oldest.since
	return nil
}
