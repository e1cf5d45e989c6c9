package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/feed"
)

// maxAppendBytes bounds one Append; Pebble panics at 4 GB.
const maxAppendBytes = 256 << 20

// Append implements eventlog.Log. The records of one call become durable
// together or not at all. Calls at the same time share an fsync.
func (l *Log) Append(ctx context.Context, topic string, records ...eventlog.Record) error {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return err
	}
	defer leave()
	size := 0
	for i := range records {
		size += recordLen(&records[i])
	}
	if size > maxAppendBytes {
		return feed.Invalid(feed.Violation{
			Field:       "records",
			Description: fmt.Sprintf("are %d bytes, more than the %d of one append; split them", size, maxAppendBytes),
		})
	}
	if len(records) == 0 {
		return nil
	}
	batch := l.db.NewBatchWithSize(size + len(records)*(recordKeyLen+16))
	heads, err := l.place(t, batch, records)
	if err != nil {
		return err
	}
	if err := l.wait(batch); err != nil {
		return err
	}
	t.advance(heads)
	return nil
}

// PartitionOf implements eventlog.Log. Records with an empty key go to all
// partitions in turn, so that it is -1 for that key too.
func (l *Log) PartitionOf(topic string, key []byte) int {
	t, ok := l.topics[topic]
	if !ok || len(key) == 0 {
		return -1
	}
	return t.partitionOf(key)
}

// place gives the records their offsets and hands them to Pebble. It returns the
// heads that hold once they are durable, 0 for partitions not concerned.
func (l *Log) place(t *topic, batch *pebble.Batch, records []eventlog.Record) ([]int64, error) {
	heads := make([]int64, len(t.tails))
	t.order.Lock()
	defer t.order.Unlock()
	now := l.clock().UnixNano()
	for i := range records {
		r := &records[i]
		p := t.placeOf(r)
		end := &t.tails[p]
		end.appended = max(end.appended, now)
		op := batch.SetDeferred(recordKeyLen, recordLen(r))
		copy(op.Key, recordKey(t.id, p, end.next))
		putRecord(op.Value, r, end.appended)
		if err := op.Finish(); err != nil {
			return nil, err
		}
		end.next++
		heads[p] = end.next
	}
	return heads, l.apply(batch)
}
