package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"skein/fanout/eventlog"
	"skein/feed"
)

// maxBatchBytes bounds the records of one request, if the topic takes as much.
const maxBatchBytes = 512 << 10

// Append implements eventlog.Log. It asks each partition concerned at the same
// time and waits for all replicas in sync. There is no linger: who appends one
// record waits for one request, and who appends many gives them in one call. A
// failure that passes is tried again for callPatience, so records may be there
// twice.
//
// feed.CodeInvalid: a record is larger than the topic takes.
func (l *Log) Append(ctx context.Context, topic string, records ...eventlog.Record) error {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return err
	}
	defer leave()
	parts, err := t.place(records, l.clock)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for partition, part := range parts {
		if len(part) > 0 {
			group.Go(func() error { return l.appendTo(ctx, t, partition, part) })
		}
	}
	return group.Wait()
}

// place gives each record its time and its partition. Those of one call without
// a key go to one partition, of the next call to the next.
func (t *topic) place(records []eventlog.Record, clock feed.Clock) ([][]eventlog.Record, error) {
	now := clock()
	parts := make([][]eventlog.Record, t.Partitions)
	keyless := int(t.spread.Add(1) % uint32(t.Partitions))
	for _, r := range records {
		if size := sizeOf(&r) + batchOverhead; size > t.limit {
			return nil, feed.Invalid(feed.Violation{
				Field: "records",
				Description: fmt.Sprintf("has one of %d bytes, more than the %d that topic %s takes; raise its max.message.bytes",
					size, t.limit, t.name),
			})
		}
		p := keyless
		if len(r.Key) > 0 {
			p = t.partitionOf(r.Key)
		}
		r.AppendTime = now
		parts[p] = append(parts[p], r)
	}
	return parts, nil
}

// appendTo sends the records of one partition, in their order.
func (l *Log) appendTo(ctx context.Context, t *topic, partition int, records []eventlog.Record) error {
	for len(records) > 0 {
		n, size := 0, batchOverhead
		for n < len(records) && (n == 0 || size+sizeOf(&records[n]) <= min(maxBatchBytes, t.limit)) {
			size += sizeOf(&records[n])
			n++
		}
		if err := l.produce(ctx, t, partition, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (l *Log) produce(ctx context.Context, t *topic, partition int, records []eventlog.Record) error {
	return l.ask(ctx, "append to topic "+t.name, func(ctx context.Context) error {
		res, err := l.client.Produce(ctx, &kafka.ProduceRequest{
			Topic:        t.name,
			Partition:    partition,
			RequiredAcks: kafka.RequireAll,
			Records:      encode(records),
		})
		if err != nil {
			return err
		}
		return res.Error
	})
}
